"""Each method beside a second, flat writing of its published equations: four batches, float64."""

import math

import pytest
import torch

from equiderm.batch import Batch
from equiderm.debias import Rates, take_step

RATE, FAST = 0.05, 0.4


def run(method, batches, *, group_rate=RATE):
    optimizers = method.optimizers(Rates(RATE, RATE, group_rate))
    for batch in batches:
        take_step(method, optimizers, batch)


def test_erm_descends_the_cross_entropy(make_method, make_flat, batches):
    method = make_method("erm")
    flat = make_flat(method)
    run(method, batches)
    for b in batches:
        loss = flat.bce(flat.g(flat.f(b.image)), b.target)
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
    flat.assert_equals(method)


@pytest.mark.parametrize("reversal", [0.1, -1.0, 0.0])
def test_lntl_alternates_entropy_and_reversed_bias_loss(make_method, make_flat, batches, reversal):
    method = make_method("lntl", schedule="alternating", entropy_weight=0.3, reversal=reversal)
    flat = make_flat(method)
    run(method, batches)
    for b in batches:
        z = flat.f(b.image)
        q = flat.softmax(flat.h(z))
        loss = flat.bce(flat.g(z), b.target) + 0.3 * (q * torch.log(q)).sum() / len(q)
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
        bias = flat.weighted_ce(flat.h(flat.f(b.image)), b.group)
        if reversal:
            toward = flat.gradient(bias, "backbone")
            away = {name: -reversal * gradient for name, gradient in toward.items()}
        else:
            away = {}
        head = flat.gradient(bias, "group_head")
        flat.descend(away, RATE)
        flat.descend(head, RATE, optimizer="group")
    flat.assert_equals(method)


@pytest.mark.parametrize("name", ["tabe", "clgr"])
def test_tabe_and_clgr_alternate_confusion_and_bias_loss(make_method, make_flat, batches, name):
    method = make_method(name, schedule="alternating", confusion_weight=0.3)
    flat = make_flat(method)
    run(method, batches, group_rate=FAST)
    for b in batches:
        z = flat.f(b.image)
        q = flat.softmax(flat.h(z))
        confusion = -(torch.log(q) / q.shape[1]).sum() / len(q)
        loss = flat.bce(flat.g(z), b.target) + 0.3 * confusion
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
        bias = flat.weighted_ce(flat.h(flat.f(b.image)), b.group)
        head = flat.gradient(bias, "group_head")
        if name == "clgr":
            toward = flat.gradient(bias, "backbone")
            flat.descend({name: -0.1 * gradient for name, gradient in toward.items()}, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


def test_tabe_as_released_steps_the_backbone_twice_and_towards_the_group(
    make_method, make_flat, batches
):
    method = make_method(
        "tabe",
        schedule="alternating",
        confusion_weight=0.3,
        confusion_target="noise",
        reversal=-1.0,
        second_backbone_rate=FAST,
    )
    flat = make_flat(method)
    torch.manual_seed(5)
    run(method, batches, group_rate=FAST)
    torch.manual_seed(5)
    for b in batches:
        z = flat.f(b.image)
        logits = flat.h(z)
        noise = torch.rand(logits.shape, dtype=logits.dtype)
        confusion = -(noise * torch.log(flat.softmax(logits))).sum() / len(logits)
        loss = flat.bce(flat.g(z), b.target) + 0.3 * confusion
        both = flat.gradient(loss, "backbone", "target_head")
        backbone = {n: gradient for n, gradient in both.items() if n.startswith("backbone")}
        flat.descend(both, RATE)
        flat.descend(backbone, FAST, optimizer="second")
        bias = flat.weighted_ce(flat.h(flat.f(b.image)), b.group)
        head, toward = flat.gradient(bias, "group_head"), flat.gradient(bias, "backbone")
        flat.descend(toward, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


@pytest.mark.parametrize("name", ["lntl", "tabe", "clgr"])
def test_joint_descends_the_sum_of_both_losses_from_one_forward(
    make_method, make_flat, batches, name
):
    method = make_method(name, schedule="joint")
    flat = make_flat(method)
    run(method, batches, group_rate=FAST)
    for b in batches:
        z = flat.f(b.image)
        logits = flat.h(z)
        q = flat.softmax(logits)
        loss = flat.bce(flat.g(z), b.target)
        if name == "lntl":
            loss = loss + 0.01 * (q * torch.log(q)).sum() / len(q)
        else:
            loss = loss - 0.03 * (torch.log(q) / q.shape[1]).sum() / len(q)
        bias = flat.weighted_ce(logits, b.group)
        main = flat.gradient(loss, "backbone", "target_head")
        if name != "tabe":
            for key, gradient in flat.gradient(bias, "backbone").items():
                main[key] = main[key] - 0.1 * gradient
        head = flat.gradient(bias, "group_head")
        flat.descend(main, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


def test_resampling_draws_each_pair_of_target_and_group_as_often(make_method):
    method = make_method("resampling")
    target = torch.tensor([1, 0, 0, 0, 1, 0])
    group = torch.tensor([0, 0, 0, 1, 1, -1])
    weights = method.sample_weights(target, group)
    assert weights is not None
    assert weights.tolist() == [1.0, 0.5, 0.5, 1.0, 1.0, 1.0]


def test_resampling_descends_as_erm_does(make_method, batches):
    one, other = make_method("erm"), make_method("resampling")
    run(one, batches)
    run(other, batches)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_group_dro_weighs_groups_by_the_exponential_of_their_loss(make_method, make_flat, batches):
    counts = torch.tensor([[10.0, 20, 30, 40], [5, 5, 10, 20]], dtype=torch.float64)
    method = make_method("group_dro", step_size=0.5, adjustment=2.0, counts=counts)
    flat, q = make_flat(method), torch.full((4,), 0.25, dtype=torch.float64)
    run(method, batches)
    for b in batches:
        p = 1 / (1 + torch.exp(-flat.g(flat.f(b.image))))
        each = -(b.target * torch.log(p) + (1 - b.target) * torch.log(1 - p))
        zero = each.sum() * 0
        means = [each[b.group == k].mean() if (b.group == k).any() else zero for k in range(4)]
        raised = torch.stack(means).detach() + 2.0 / torch.sqrt(counts.sum(0))
        q = q * torch.exp(0.5 * raised)
        q = q / q.sum()
        loss = sum(q[k] * means[k] for k in range(4))
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
    flat.assert_equals(method)
    torch.testing.assert_close(method.group_share, q, rtol=0, atol=1e-12)


def test_group_dro_shares_nothing_with_a_group_that_has_no_images(make_method, batches):
    counts = torch.tensor([[10, 0, 3, 5], [4, 0, 2, 6]])
    method = make_method("group_dro", counts=counts)
    assert method.group_share.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    next(method.updates(batches[0]))
    assert method.group_share[1] == 0


def test_group_dro_without_steps_is_erm_on_balanced_batches(make_method, batches):
    b = batches[0]
    group = torch.arange(len(b.target)) % 4
    even = type(b)(b.image, b.target, group)
    one, other = make_method("group_dro", step_size=0.0), make_method("erm")
    losses = [next(method.updates(even)).loss for method in (one, other)]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-14)


def test_images_of_unknown_group_have_erm_s_weight_in_group_dro(make_method, batches):
    b = batches[0]
    unknown = type(b)(b.image, b.target, torch.full_like(b.group, -1))
    losses = [next(make_method(name).updates(unknown)).loss for name in ("group_dro", "erm")]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-14)


def test_domain_independent_heads_learn_from_their_own_group(make_method, make_flat, batches):
    method = make_method("domain_independent")
    flat = make_flat(method)
    run(method, batches)
    for b in batches:
        w, a = flat.theta["target_head.0.weight"], flat.theta["target_head.0.bias"]
        logits = flat.f(b.image) @ w.T + a
        own = torch.stack([logits[i, int(k)] for i, k in enumerate(b.group)])
        loss = flat.bce(own, b.target)
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
    flat.assert_equals(method)


def test_domain_independent_scores_with_the_mean_of_the_heads(make_method, batches):
    method = make_method("domain_independent")
    image = batches[0].image
    mean = torch.sigmoid(method.target_head(method.backbone(image))).mean(dim=1)
    torch.testing.assert_close(torch.sigmoid(method(image)), mean, rtol=0, atol=1e-14)
    with torch.no_grad():
        method.target_head[0].weight *= 1e4
    assert bool(method(image).isfinite().all())


@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_dann_reverses_the_ramped_group_loss_in_one_step(make_method, make_flat, batches, penalty):
    method = make_method("dann", reversal=0.3, gradient_penalty=penalty)
    flat = make_flat(method)
    optimizers = method.optimizers(Rates(RATE, RATE, FAST))
    for k, b in enumerate(batches):
        method.progress = k / 4
        take_step(method, optimizers, b)
    for k, b in enumerate(batches):
        weight = 0.3 * (2 / (1 + math.exp(-10 * k / 4)) - 1)
        z = flat.f(b.image)
        target, bias = flat.bce(flat.g(z), b.target), flat.weighted_ce(flat.h(z), b.group)
        down = flat.gradient(target, "backbone", "target_head")
        for name, gradient in flat.gradient(bias, "backbone").items():
            down[name] = down[name] - weight * gradient
        still = z.detach().requires_grad_()
        whole = flat.weighted_ce(flat.h(still), b.group) * len(still)
        (slope,) = torch.autograd.grad(whole, still, create_graph=True)
        bias = bias + penalty * (slope**2).sum(1).mean()
        flat.descend(down, RATE)
        flat.descend(flat.gradient(bias, "group_head"), FAST, optimizer="group")
    flat.assert_equals(method)


def test_cdann_has_an_adversary_of_its_own_weights_for_each_target(make_method, make_flat, batches):
    counts = torch.tensor([[10.0, 20, 30, 40], [5, 1, 10, 0]], dtype=torch.float64)
    method = make_method("cdann", reversal=0.3, ramp=False, counts=counts)
    flat = make_flat(method)
    run(method, batches, group_rate=FAST)
    for b in batches:
        z = flat.f(b.image)
        total, weights = 0, 0
        for i in range(len(z)):
            y, k = int(b.target[i]), int(b.group[i])
            inverse = [1 / n if n else 0.0 for n in counts[y].tolist()]
            w = inverse[k] / sum(inverse)
            q = flat.softmax(flat.h(z[i : i + 1])[:, 4 * y : 4 * y + 4])
            total, weights = total - w * torch.log(q[0, k]), weights + w
        bias = total / weights
        target = flat.bce(flat.g(z), b.target)
        down = flat.gradient(target, "backbone", "target_head")
        for name, gradient in flat.gradient(bias, "backbone").items():
            down[name] = down[name] - 0.3 * gradient
        head = flat.gradient(bias, "group_head")
        flat.descend(down, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


@pytest.mark.parametrize("name", ["dfr", "leace"])
def test_what_is_refitted_trains_as_erm_does(make_method, batches, name):
    one, other = make_method("erm"), make_method(name)
    run(one, batches)
    run(other, batches)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def cells_of(z, b):
    """Features of each target and group, as lists by target, where there are two images or more."""
    for y in (0, 1):
        yield [c for k in range(4) if len(c := z[(b.target == y) & (b.group == k)]) >= 2]


def mmd_by_hand(one, other, m):
    def k(a, b):
        squared = ((a - b) ** 2).sum()
        return sum(torch.exp(-squared / (s * m)) for s in (0.25, 1.0, 4.0)) / 3

    def within(c):
        pairs = [k(c[i], c[j]) for i in range(len(c)) for j in range(len(c)) if i != j]
        return sum(pairs) / len(pairs)

    across = [k(a, b) for a in one for b in other]
    return within(one) + within(other) - 2 * sum(across) / len(across)


def coral_by_hand(one, other, m):
    def mean_and_covariance(c):
        mean = c.sum(0) / len(c)
        return mean, sum(torch.outer(row - mean, row - mean) for row in c) / (len(c) - 1)

    (a, one_c), (b, other_c) = map(mean_and_covariance, (one, other))
    return ((a - b) ** 2).sum() / 5 + ((one_c - other_c) ** 2).sum() / 25


@pytest.mark.parametrize(("name", "by_hand"), [("mmd", mmd_by_hand), ("coral", coral_by_hand)])
def test_mmd_and_coral_descend_the_distance_of_groups_of_one_target(
    make_method, make_flat, batches, name, by_hand
):
    method = make_method(name, distance_weight=0.7)
    flat = make_flat(method)
    run(method, batches)
    compared = 0
    for b in batches:
        z = flat.f(b.image)
        n = len(z)
        apart = [((z[i] - z[j]) ** 2).sum().detach() for i in range(n) for j in range(n) if i != j]
        m = torch.stack(apart).sort().values[(len(apart) - 1) // 2]
        distances = [
            by_hand(of_target[i], of_target[j], m)
            for of_target in cells_of(z, b)
            for i in range(len(of_target))
            for j in range(i)
        ]
        compared += len(distances)
        loss = flat.bce(flat.g(z), b.target)
        if distances:
            loss = loss + 0.7 * sum(distances) / len(distances)
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
    assert compared > 4
    flat.assert_equals(method)


@pytest.mark.parametrize("name", ["mmd", "coral"])
def test_mmd_and_coral_bring_groups_together_and_leave_targets_apart(make_method, name):
    """Group shifts one feature, the target another: only the first is to go."""
    torch.manual_seed(0)
    group, target = torch.arange(80) % 2, torch.arange(80) // 2 % 2
    image = torch.randn(80, 7, dtype=torch.float64)
    image[:, 0] += 4 * group
    image[:, 1] += 4 * target
    batch = Batch(image, target.double(), group)
    moved = []
    for weight in (0.0, 3.0):
        method = make_method(name, distance_weight=weight)
        optimizers = method.optimizers(Rates(RATE, RATE, RATE))
        for _ in range(150):
            take_step(method, optimizers, batch)
        z = method.backbone(image).detach()
        spread = z.std()
        apart = [
            (z[by == 1].mean(0) - z[by == 0].mean(0)).norm() / spread for by in (group, target)
        ]
        moved.append([float(one) for one in apart])
    (group_before, _), (group_after, target_after) = moved
    assert group_after < group_before / 3
    assert target_after > 1.0
