"""A measured number as group, and several group columns: equations, movement, sign, refusals."""

import pytest
import torch
from tests.debias.conftest import WEIGHTS, K, build_batches, build_method, moved_by

from equiderm.batch import Batch, Target
from equiderm.debias import LNTL, TABE, Attribute, Rates, take_step
from equiderm.debias.leace import eraser, label_of
from equiderm.debias.method import weights_and_counts
from equiderm.errors import InputError

RATE, FAST = 0.05, 0.4
NUMBER = Attribute("ita", Target("number", ()))
BANDS = Attribute("band", Target("classes", tuple(range(K))), WEIGHTS)
DOUBLE = [
    Attribute("band", BANDS.target, WEIGHTS, options=LNTL.Options(entropy_weight=0.3)),
    Attribute("ita", NUMBER.target, options=TABE.Options(confusion_weight=0.2)),
]
VARIANTS = [
    ("tabe", [NUMBER], {}),
    ("clgr", [NUMBER], {"schedule": "joint"}),
    ("lntl", [NUMBER], {"entropy_weight": 0.0}),
    ("dann", [NUMBER], {"gradient_penalty": 1.0}),
    ("cdann", [NUMBER], {"gradient_penalty": 1.0}),
    ("lntl", DOUBLE, {}),
    ("lntl", DOUBLE, {"schedule": "joint"}),
    ("dann", [NUMBER, BANDS], {}),
    ("cdann", [BANDS, NUMBER], {"deep_heads": True}),
]


@pytest.fixture
def numbered():
    """Four batches with a number in place of the group, unknown for one image, and beside it."""
    generator = torch.Generator().manual_seed(2)
    batches = []
    for b in build_batches():
        value = torch.randn(len(b.target), dtype=torch.float64, generator=generator)
        value[3] = torch.nan
        batches.append(Batch(b.image, b.target, value, (b.group,)))
    return batches


def as_learnt(batch, attributes):
    """The batch with what the attributes are of, in their order."""
    number, group = batch.groups
    of = [number if one.target.kind == "number" else group for one in attributes]
    return Batch(batch.image, batch.target, of[0], tuple(of[1:]))


def squared_error(h, value):
    known = ~torch.isnan(value)
    return ((h[known, 0] - value[known]) ** 2).mean()


@pytest.mark.parametrize("reversal", [0.0, 0.2])
def test_tabe_of_a_number_alternates_its_squared_error_and_its_square(
    make_method, make_flat, numbered, reversal
):
    method = make_method("tabe", attributes=[NUMBER], confusion_weight=0.3, reversal=reversal)
    flat = make_flat(method)
    optimizers = method.optimizers(Rates(RATE, RATE, FAST))
    for b in numbered:
        take_step(method, optimizers, b)
        z = flat.f(b.image)
        loss = flat.bce(flat.g(z), b.target) + 0.3 * (flat.h(z) ** 2).mean()
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
        bias = squared_error(flat.h(flat.f(b.image)), b.group)
        head, toward = flat.gradient(bias, "group_head"), flat.gradient(bias, "backbone")
        if reversal:
            flat.descend({name: -reversal * one for name, one in toward.items()}, RATE)
        flat.descend(head, FAST, optimizer="group")
    flat.assert_equals(method)


def test_the_loss_of_each_of_two_heads_is_told_and_their_sum_is_descended(make_method, numbered):
    method = make_method("dann", attributes=[BANDS, NUMBER])
    batch = as_learnt(numbered[0], [BANDS, NUMBER])
    total, parts = method.head_losses(method.backbone(batch.image), batch)
    assert list(parts) == [f"group {one.name}" for one in (BANDS, NUMBER)]
    assert total.item() == pytest.approx(sum(one.item() for one in parts.values()))
    method = make_method("dann")
    assert method.head_losses(method.backbone(batch.image), batch)[1] == {}


def test_lntl_and_tabe_at_once_sum_their_regularisers_and_each_head_s_own_loss(
    make_method, make_flat, numbered
):
    method = make_method("lntl", attributes=DOUBLE)
    flat = make_flat(method)
    optimizers = method.optimizers(Rates(RATE, RATE, FAST))

    def h(place, z):
        weight, bias = (flat.theta[f"group_head.{place}.0.{one}"] for one in ("weight", "bias"))
        return z @ weight.T + bias

    for b in (as_learnt(one, DOUBLE) for one in numbered):
        take_step(method, optimizers, b)
        z = flat.f(b.image)
        q = flat.softmax(h(0, z))
        loss = flat.bce(flat.g(z), b.target) + 0.3 * (q * torch.log(q)).sum() / len(q)
        loss = loss + 0.2 * (h(1, z) ** 2).mean()
        flat.descend(flat.gradient(loss, "backbone", "target_head"), RATE)
        z = flat.f(b.image)
        band, ita = flat.weighted_ce(h(0, z), b.group), squared_error(h(1, z), b.more[0])
        away = {name: -0.1 * one for name, one in flat.gradient(band, "backbone").items()}
        heads = flat.gradient(band + ita, "group_head")
        flat.descend(away, RATE)
        flat.descend(heads, FAST, optimizer="group")
    flat.assert_equals(method)


@pytest.mark.parametrize(("name", "attributes", "options"), VARIANTS)
def test_every_head_moves_and_nothing_that_is_not_declared(
    make_method, numbered, name, attributes, options
):
    method = make_method(name, attributes=attributes, **options)
    method.progress = 0.5
    optimizers = method.optimizers(Rates(0.1, 0.1, 0.1))
    moved_ever = set()
    for update in method.updates(as_learnt(numbered[0], attributes)):
        moved = moved_by(method, optimizers, update)
        if update.name == "target":
            names = {n for n, _ in method.named_parameters()}
            assert moved == {n for n in names if n.startswith(("backbone", "target_head"))}
        moved_ever |= moved
    assert moved_ever == {n for n, _ in method.named_parameters()}


@pytest.mark.parametrize("name", ["lntl", "clgr", "dann", "cdann"])
def test_reversal_makes_the_features_unlearn_a_number(make_method, numbered, name):
    weight = {"lntl": "entropy_weight", "clgr": "confusion_weight"}.get(name)
    options = {weight: 0.0} if weight else {"ramp": False}
    method = make_method(name, attributes=[NUMBER], reversal=1.0, **options)
    for p in method.target_head.parameters():
        p.requires_grad_(False).zero_()
    optimizers = method.optimizers(Rates(0.2, 0.0, 0.0))

    def error():
        features = method.backbone(numbered[0].image)
        return float(method.head_loss(method.heads[0], features, numbered[0]).detach())

    before = error()
    for _ in range(10):
        take_step(method, optimizers, numbered[0])
    assert error() > before + 0.01


def test_the_confusion_of_a_number_moves_its_head_s_answer_to_the_mean(make_method, numbered):
    method = make_method("tabe", attributes=[NUMBER], confusion_weight=5.0)
    optimizers = method.optimizers(Rates(0.05, 0.0, 0.0))

    def size():
        return float(method.group_head(method.backbone(numbered[0].image)).square().mean().detach())

    before = size()
    for _ in range(30):
        take_step(method, optimizers, numbered[0])
    assert size() < before / 2


def test_a_batch_without_any_known_number_trains_the_target_alone(make_method, numbered):
    method = make_method("clgr", attributes=[NUMBER])
    b = numbered[0]
    unknown = Batch(b.image, b.target, torch.full_like(b.group, torch.nan))
    losses = take_step(method, method.optimizers(Rates(0.1, 0.1, 0.1)), unknown)
    assert losses["group"] == 0


def test_one_column_of_groups_is_the_same_however_it_is_given(batches):
    one = build_method("clgr")
    other = build_method("clgr", attributes=[BANDS])
    for method in (one, other):
        optimizers = method.optimizers(Rates(RATE, RATE, FAST))
        for batch in batches:
            take_step(method, optimizers, batch)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_erased_features_have_no_covariance_with_a_number_nor_with_groups_beside_it():
    generator = torch.Generator().manual_seed(0)
    number = torch.randn(600, dtype=torch.float64, generator=generator)
    group = torch.randint(0, K, (600,), generator=generator)
    z = torch.randn(600, 12, dtype=torch.float64, generator=generator)
    z[:, 0] += 2 * number
    z[:, 1] += group
    number[:5] = torch.nan
    label = torch.cat([label_of(NUMBER, number), label_of(BANDS, group)], dim=1)
    known = label.isfinite().all(dim=1)
    assert int(known.sum()) == 595
    z, label = z[known], label[known]
    mean, erased, rank = eraser(z, label, shrink=1e-3)
    kept = z - (z - mean) @ erased
    cross = (kept - kept.mean(0)).T @ (label - label.mean(0)) / len(z)
    assert cross.abs().max() < 1e-10
    assert rank == 1 + K - 1


@pytest.mark.parametrize("name", ["group_dro", "mmd", "domain_independent", "dfr"])
def test_a_method_that_compares_groups_takes_no_number_and_no_second_column(make_method, name):
    for attributes in ([NUMBER], [BANDS, BANDS]):
        with pytest.raises(ValueError, match="takes one column of groups"):
            make_method(name, attributes=attributes)


def test_the_entropy_and_the_noise_of_a_number_are_refused():
    with pytest.raises(InputError, match=r"entropy_weight = 0.01: ita is a number"):
        LNTL.Options().check_attribute("ita", NUMBER.target)
    with pytest.raises(InputError, match="confusion_target = 'noise': ita is a number"):
        TABE.Options(confusion_target="noise").check_attribute("ita", NUMBER.target)


@pytest.mark.parametrize(
    "given",
    [
        {"weights": torch.ones(3)}, {"weights": torch.ones(5)}, {"counts": torch.ones(2, 3)},
        {"counts": torch.ones(1, 4)}, {"counts": torch.ones(4, 2)},
    ],
)  # fmt: skip
def test_weights_and_counts_are_one_for_each_group_and_else_refused(given):
    groups = Target("classes", tuple(range(4)))
    weights, counts = weights_and_counts(Attribute("tone", groups), 2)
    assert weights.tolist() == [1] * 4 and counts.tolist() == [[1] * 4] * 2
    with pytest.raises(ValueError, match="group weights for 4 groups"):
        weights_and_counts(Attribute("tone", groups, **given), 2)
