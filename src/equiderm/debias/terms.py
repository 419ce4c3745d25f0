"""The loss terms that methods share, each a mean over the whole batch.

Each is computed in float32 or wider from logits, through log-softmax, so that none overflows under
bf16. With several processes a mean is over the global batch: every process divides its own sum by
the average over processes of the total weight, so that averaging gradients over processes gives
the gradient of the global weighted mean.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from equiderm.batch import Target


def batch_mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the weighted mean of per-image values, shape (n,), over the global batch.

    0 where no image has any weight. Its gradient is then 0, too.
    """
    weights = torch.ones_like(values) if weights is None else weights.to(values.dtype)
    total = weights.sum()
    if dist.is_available() and dist.is_initialized():
        total = total.clone()
        dist.all_reduce(total)
        total = total / dist.get_world_size()
    return (values * weights).sum() / total.clamp_min(torch.finfo(values.dtype).tiny)


def global_mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the weighted mean over the images of all processes, the same in each; no gradient.

    With several processes `batch_mean` has the right gradient but the value of one process's share;
    this is for what a method decides by.
    """
    return average(batch_mean(values, weights).detach())


def average(value: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes; the tensor itself where there is one."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def of_all_processes(values: Tensor) -> Tensor:
    """Return the rows of all processes, in their order; the tensor itself where there is one.

    For a loss over pairs of images: every process computes all of it, and moves the weights by its
    own rows. Their gradient is multiplied by the number of processes, so that averaging gradients
    over processes gives that of the whole.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return values
    count, rank = dist.get_world_size(), dist.get_rank()
    sizes = [values.new_zeros(1, dtype=torch.long) for _ in range(count)]
    dist.all_gather(sizes, torch.tensor([len(values)], device=values.device))
    longest = int(torch.cat(sizes).max())
    padded = values.new_zeros(longest, *values.shape[1:])
    padded[: len(values)] = values.detach()
    every = [torch.empty_like(padded) for _ in range(count)]
    dist.all_gather(every, padded)
    rows = [part[: int(size)] for part, size in zip(every, sizes, strict=True)]
    if values.requires_grad:
        rows[rank] = count * values - (count - 1) * values.detach()
    return torch.cat(rows)


def is_of(index: Tensor, count: int) -> Tensor:
    """Return whether each index (n,) is 0, 1, ..., shape (n, count); none where it is -1.

    `functional.one_hot` would wait for the device, to see whether an index is too large.
    """
    return index.unsqueeze(1) == torch.arange(count, device=index.device)


def group_means(values: Tensor, group: Tensor, n_groups: int) -> tuple[Tensor, Tensor]:
    """Return each group's mean value and its images, over the batches of all processes.

    Args:
        values: A value of each image, shape (n,).
        group: Group indices, shape (n,); -1 where unknown, which is not counted.
        n_groups: K.

    Returns:
        Means, shape (K,), without gradient, 0 where a group has no image; and their counts (K,).
    """
    member = is_of(group, n_groups).to(values.dtype)
    sums, counts = average(values.detach() @ member), average(member.sum(0))
    processes = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
    return sums / counts.clamp_min(1e-12), counts * processes


def target_losses(logit: Tensor, target: Tensor) -> Tensor:
    """Return each image's binary cross-entropy (n,) of target logits (n, 1) with targets (n,)."""
    logit = _wide(logit).squeeze(1)
    target = target.to(logit.dtype)
    return functional.binary_cross_entropy_with_logits(logit, target, reduction="none")


def losses_of(target: Target, outputs: Tensor, values: Tensor) -> Tensor:
    r"""Return each image's loss (n,) of outputs (n, ``target.outputs``) with its target (n,).

    The binary cross-entropy; for several classes the cross-entropy; for ordered ones the sum of the
    binary cross-entropies of being above each step; for a number the squared error of its
    standardised value.
    """
    if target.kind == "binary":
        return target_losses(outputs, values)
    outputs = _wide(outputs)
    if target.kind == "number":
        return (outputs.squeeze(1) - values.to(outputs.dtype)).square()
    index = values.long()
    if target.kind == "classes":
        return functional.cross_entropy(outputs, index, reduction="none")
    above = index.unsqueeze(1) > torch.arange(outputs.shape[1], device=outputs.device)
    each = functional.binary_cross_entropy_with_logits(
        outputs, above.to(outputs.dtype), reduction="none"
    )
    return each.sum(dim=1)


def scores_of(target: Target, outputs: Tensor) -> Tensor:
    """Return the scores of outputs: probabilities of the classes (n, C), or the number (n, 1).

    For a binary target only that of its positive class, (n, 1).
    """
    outputs = _wide(outputs)
    if target.kind == "number":
        return outputs * target.std + target.mean
    if target.kind == "classes":
        return outputs.softmax(dim=1)
    if target.kind == "binary":
        return outputs.sigmoid()
    # No step is likelier than the one below it; exporters have no running minimum.
    steps = itertools.accumulate(outputs.sigmoid().unbind(1), torch.minimum)
    above = torch.stack(list(steps), dim=1)
    one = torch.ones_like(above[:, :1])
    return torch.cat([one, above], dim=1) - torch.cat([above, one - 1], dim=1)


def ramp(progress: float) -> float:
    """Return the weight of an adversary, from 0 at the start of training to 1.

    Source:
        Ganin et al. 2016, Journal of Machine Learning Research 17(59), section 5.2.2.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


def target_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of target logits, shape (n, 1), with targets (n,)."""
    return batch_mean(target_losses(logit, target))


def group_loss(logits: Tensor, group: Tensor, group_weights: Tensor) -> Tensor:
    """Return the cross-entropy of group logits (n, K), weighted by the group of each image.

    An image of unknown group (-1) has no weight. ``group_weights`` are of each group, shape (K,),
    or of each image and group, (n, K).
    """
    log_p = _wide(logits).log_softmax(dim=1)
    known = group >= 0
    index = group.clamp_min(0)
    nll = -log_p.gather(1, index.unsqueeze(1)).squeeze(1)
    weights = group_weights.to(log_p.dtype).expand_as(log_p).gather(1, index.unsqueeze(1))
    return batch_mean(nll, weights.squeeze(1) * known)


def number_loss(output: Tensor, value: Tensor) -> Tensor:
    """Return the mean squared error of outputs (n, 1) with standardised values (n,).

    A value that is unknown (NaN) has no weight.
    """
    output = _wide(output).squeeze(1)
    known = value.isfinite()
    return batch_mean((output - value.nan_to_num().to(output.dtype)).square(), known)


def negative_entropy(logits: Tensor) -> Tensor:
    r"""Return the mean of :math:`\sum_k p_k \log p_k`, in [-log K, 0]; -log K is confusion.

    Source:
        Kim et al. 2019, Learning Not to Learn, section 3.
    """
    log_p = _wide(logits).log_softmax(dim=1)
    return batch_mean((log_p.exp() * log_p).sum(dim=1))


def confusion(logits: Tensor, towards: Tensor | None = None) -> Tensor:
    r"""Return the mean of :math:`-\sum_k u_k \log p_k`; at least log K where u = 1/K.

    Args:
        logits: Group logits, shape (n, K).
        towards: u of each image, shape (n, K); 1/K where not given.

    Source:
        Alvi et al. 2018, Turning a Blind Eye, section 3.
    """
    log_p = _wide(logits).log_softmax(dim=1)
    if towards is None:
        return batch_mean(-log_p.mean(dim=1))
    return batch_mean(-(towards * log_p).sum(dim=1))


def number_confusion(output: Tensor) -> Tensor:
    r"""Return the mean square of a number head's outputs (n, 1); 0 where it answers the mean.

    Twice the divergence of N(0, 1), the standardised number's own spread, from N(h, 1): what
    `confusion` is for classes, up to a constant.
    """
    return batch_mean(_wide(output).squeeze(1).square())


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
