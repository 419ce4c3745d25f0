"""What a method moves in each of its updates, seen on a tiny network: in words and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import Method, Rates
from equiderm.format import listed
from equiderm.page import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS, IMAGES, SIDE, FEATURES = 2, 16, 12, 6
PARTS = {"backbone": "f, backbone", "target_head": "g, target head", "group_head": "h, group head"}
MOVED, STILL = "#E69F00", "#FFFFFF"


@dataclass(frozen=True)
class Movement:
    """One update of a method, as observed.

    Attributes:
        name: The update's name; ``refit`` for what is fitted once training is over.
        losses: Names of the losses that it minimises.
        moved: The parts whose parameters changed: keys of `PARTS`.
        through: Parts that a loss passes through and that stand still.
        direction: Where the backbone went, by the group head's own loss: ``towards the group``,
            ``away from the group``, or empty where the loss is not of the group or it stood still.
    """

    name: str
    losses: tuple[str, ...]
    moved: tuple[str, ...]
    through: tuple[str, ...] = ()
    direction: str = ""


def movements(method: type[Method], **options: Any) -> list[Movement]:
    """Return what each update of a method moves, from one batch through a tiny network.

    Args:
        method: A method's class.
        options: Its options; those that make a term large leave no doubt about a direction.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = _build(method, options)
        batch = _batch()
        optimizers = built.optimizers(Rates(1e-3, 1e-3, 1e-3), momentum=0.0)
        observed: list[Movement] = []
        called: set[str] = set()
        for part in PARTS:
            module = getattr(built, part)
            if module is not None:
                module.register_forward_hook(lambda *_, part=part: called.add(part))
        for update in built.updates(batch):
            passed = tuple(called)
            before = {name: weight.detach().clone() for name, weight in built.named_parameters()}
            losses = tuple(update.parts) or (update.name,)
            pull = 0.0
            if "group" in losses:
                pull = _pull(built, update.parts.get("group", update.loss), batch)
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            update.loss.backward()
            for name in update.steps:
                optimizers[name].step()
            changed = [n for n, w in built.named_parameters() if not torch.equal(w, before[n])]
            moved = tuple(part for part in PARTS if any(n.startswith(part) for n in changed))
            direction = "towards the group" if pull > 0 else "away from the group" if pull else ""
            through = tuple(part for part in PARTS if part in passed and part not in moved)
            observed.append(Movement(update.name, losses, moved, through, direction))
            called.clear()
        if built.refits != "none":
            observed.append(Movement("refit", ("target",), ("target_head",)))
    return observed


def _build(method: type[Method], options: dict[str, Any]) -> Method:
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, FEATURES), nn.Tanh())
    if method.uses_group:
        options = {"n_groups": GROUPS, "counts": torch.full((2, GROUPS), 4.0), **options}
    built = method(backbone, FEATURES, **options)
    built.progress = 0.5  # a ramp has begun
    return built.train()


def _batch() -> Batch:
    image = torch.rand(IMAGES, 3, SIDE, SIDE)
    target, group = torch.arange(IMAGES) % 2, torch.arange(IMAGES) // 2 % GROUPS
    return Batch(image, target.float(), group)


def _pull(method: Method, loss: torch.Tensor, batch: Batch) -> float:
    """Return how a loss moves the backbone along the group head's plain loss; 0 if it does not.

    Positive: its descent lowers that loss, so that the group can be read better.
    """
    weights = list(method.backbone.parameters())
    own = _gradients(loss, weights, retain_graph=True)
    head: Any = method.group_head
    logits = head(method.backbone(batch.image))[:, : method.n_groups]
    plain = _gradients(terms.group_loss(logits, batch.group, method.group_weights), weights)
    return sum(float((a * b).sum()) for a, b in zip(own, plain, strict=True))


def _gradients(
    loss: torch.Tensor, weights: Sequence[torch.Tensor], **options: Any
) -> list[torch.Tensor]:
    """Return a loss's gradients, zeros where it does not depend on the weights."""
    if not loss.requires_grad:
        return [torch.zeros_like(weight) for weight in weights]
    return list(torch.autograd.grad(loss, weights, materialize_grads=True, **options))


def in_words(updates: Sequence[Movement]) -> str:
    """Return what moves in which update, in sentences."""
    return " ".join(map(_sentence, updates))


def _sentence(update: Movement) -> str:
    if update.name == "refit":
        return "Once training is over the target head is refitted; the backbone stands still."
    names = [PARTS[part].partition(", ")[2] for part in update.moved]
    if update.direction:
        names = [f"{n} ({update.direction})" if n == "backbone" else n for n in names]
    losses = listed(f"the {name} loss" for name in update.losses)
    still = [PARTS[part].partition(", ")[2] for part in update.through]
    rest = f", through the {' and '.join(still)}, which stands still" if still else ""
    return f"Update `{update.name}`, {losses}{rest}: moves {listed(names)}."


def draw(updates: Sequence[Movement]) -> Figure:
    """Return the flow as a figure: a panel per update, what moves filled."""
    has_group = any("group_head" in update.moved for update in updates)
    canvas = new_figure(4.1 * len(updates), 2.3 if has_group else 1.5)
    panels: Any = canvas.subplots(1, len(updates), squeeze=False)
    for panel, update in zip(panels.flat, updates, strict=True):
        _panel(panel, update, has_group)
    return canvas


def _panel(panel: Any, update: Movement, has_group: bool) -> None:
    panel.set(xlim=(0, 10), ylim=(0, 5.4) if has_group else (1.7, 5.4))
    panel.axis("off")
    panel.set_title(f"update: {update.name}", fontsize=10, loc="left")
    level = 3.0 if has_group else 3.3
    upper, lower = (4.2, 1.2) if has_group else (level, 0.0)
    _arrow(panel, (0.7, level), (1.6, level))
    panel.text(0.3, level, "x", ha="center", va="center", fontsize=11)
    boxes = {"backbone": (1.6, level), "target_head": (5.2, upper)}
    boxes |= {"group_head": (5.2, lower)} if has_group else {}
    for part, (x, y) in boxes.items():
        moved = part in update.moved
        panel.text(
            x + 1.25,
            y,
            PARTS[part].replace(", ", "\n"),
            ha="center",
            va="center",
            fontsize=9,
            bbox={
                "boxstyle": "round,pad=0.45",
                "facecolor": MOVED if moved else STILL,
                "edgecolor": "#000000" if moved else "#999999",
                "linestyle": "-" if moved else "--",
            },
        )
        if part != "backbone":
            _arrow(panel, (4.2, level), (5.3, y))
            loss = part.removesuffix("_head")
            if loss in update.losses:
                _loss(panel, y, f"{loss}\nloss")
            elif part in update.through:
                _loss(panel, y, "regu-\nlariser")
    if update.direction:
        panel.text(2.9, level - 1.6, update.direction, ha="center", va="center", fontsize=8)


def _loss(panel: Any, y: float, name: str) -> None:
    _arrow(panel, (7.8, y), (8.6, y))
    panel.text(9.2, y, name, ha="center", va="center", fontsize=9)


def _arrow(panel: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    panel.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#333333"})
