"""What holds of every method: who moves, which way, and that both schedules agree."""

import copy
from dataclasses import asdict, astuple, fields

import pytest
import torch
from tests.debias.conftest import moved_by

from equiderm.batch import Batch
from equiderm.debias import METHODS, GroupMethod, Rates, take_step

UNLEARNING = [name for name, cls in METHODS.items() if issubclass(cls, GroupMethod)]
WITH_GROUPS = [name for name, cls in METHODS.items() if cls.uses_group]
SCHEDULED = [
    name for name in UNLEARNING if "schedule" in {one.name for one in fields(METHODS[name].Options)}
]
# Every method, and each way to run it that changes an update.
VARIANTS = [
    *[(name, {}) for name, cls in METHODS.items() if not cls.uses_pictures],
    *[(name, {"schedule": "joint"}) for name in SCHEDULED],
    *[(name, {"reversal": 0.0, "schedule": "alternating"}) for name in SCHEDULED],
    *[(name, {"reversal": -1.0}) for name in SCHEDULED],
    *[(name, {"deep_heads": True, "deep_target_head": True}) for name in UNLEARNING],
    ("dann", {"gradient_penalty": 1.0}),
    ("cdann", {"gradient_penalty": 1.0}),
    ("group_dro", {"adjustment": 2.0}),
    ("tabe", {"schedule": "alternating", "second_backbone_rate": 0.3, "reversal": -1.0}),
]


def owners(method, optimizers, steps):
    """Names of the parameters that the optimisers named in ``steps`` own."""
    ids = {
        id(p) for step in steps for group in optimizers[step].param_groups for p in group["params"]
    }
    return {name for name, p in method.named_parameters() if id(p) in ids}


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_exactly_the_declared_parameters_move_in_each_update(make_method, batches, name, options):
    method = make_method(name, **options)
    optimizers = method.optimizers(Rates(0.1, 0.1, 0.1))
    moved_ever = set()
    for update in method.updates(batches[0]):
        moved = moved_by(method, optimizers, update)
        declared = owners(method, optimizers, update.steps)
        assert moved <= declared
        if update.name == "group":  # has no gradient for the target, nor for features it leaves
            left = () if method.options.reversal == 0 else ("backbone",)
            declared = {n for n in declared if n.startswith(("group_head", *left))}
        assert moved == declared
        moved_ever |= moved
    assert moved_ever == {n for n, _ in method.named_parameters()}


@pytest.mark.parametrize("name", SCHEDULED)
def test_the_group_head_learns_the_group_while_the_features_stand_still(make_method, batches, name):
    method = make_method(name, schedule="joint")
    optimizers = method.optimizers(Rates(0.0, 0.0, 0.5))
    first = take_step(method, optimizers, batches[0])
    for _ in range(20):
        last = take_step(method, optimizers, batches[0])
    assert last["joint"] < first["joint"] - 0.05


REVERSING = [
    *[("lntl", {"entropy_weight": 0.0, "schedule": one}) for one in ("joint", "alternating")],
    *[("clgr", {"confusion_weight": 0.0, "schedule": one}) for one in ("joint", "alternating")],
    ("dann", {"ramp": False}),
    ("cdann", {"ramp": False}),
]


@pytest.mark.parametrize(("name", "options"), REVERSING)
def test_reversal_makes_the_features_unlearn_the_group(make_method, batches, name, options):
    method = make_method(name, reversal=1.0, **options)
    for p in method.target_head.parameters():
        p.requires_grad_(False).zero_()  # no target gradient reaches the features
    optimizers = method.optimizers(Rates(0.2, 0.0, 0.0))
    before = bias_loss(method, batches[0])
    for _ in range(10):
        take_step(method, optimizers, batches[0])
    assert bias_loss(method, batches[0]) > before + 0.01


def test_without_reversal_the_features_learn_the_group(make_method, batches):
    method = make_method("lntl", reversal=-1.0, entropy_weight=0.0)
    for p in method.target_head.parameters():
        p.requires_grad_(False).zero_()
    optimizers = method.optimizers(Rates(0.2, 0.0, 0.0))
    before = bias_loss(method, batches[0])
    for _ in range(10):
        take_step(method, optimizers, batches[0])
    assert bias_loss(method, batches[0]) < before - 0.01


@pytest.mark.parametrize("name", ["tabe", "lntl"])
def test_the_regulariser_moves_the_group_head_s_answer_to_uniform(make_method, batches, name):
    weight = "entropy_weight" if name == "lntl" else "confusion_weight"
    method = make_method(name, reversal=0.0, **{weight: 5.0})
    with torch.no_grad():
        method.group_head[0].weight *= 10
    optimizers = method.optimizers(Rates(0.05, 0.0, 0.0))
    before = uniformity_gap(method, batches[0])
    for _ in range(30):
        take_step(method, optimizers, batches[0])
    assert uniformity_gap(method, batches[0]) < 0.8 * before


def bias_loss(method, batch):
    if hasattr(method, "group_loss"):
        return float(method.group_loss(method.backbone(batch.image), batch).detach())
    logits = method.group_head(method.backbone(batch.image))
    return float(torch.nn.functional.cross_entropy(logits, batch.group).detach())


def uniformity_gap(method, batch):
    q = method.group_head(method.backbone(batch.image)).softmax(1)
    return float((q - 1 / q.shape[1]).abs().mean().detach())


@pytest.mark.parametrize("name", SCHEDULED)
@pytest.mark.parametrize("reversal", [0.1, 0.0, -1.0])
def test_joint_and_alternating_gradients_are_equal_at_zero_rates(
    make_method, batches, name, reversal
):
    sums = {}
    for schedule in ("joint", "alternating"):
        method = make_method(name, schedule=schedule, reversal=reversal)
        optimizers = method.optimizers(Rates(0.0, 0.0, 0.0))
        total = {n: torch.zeros_like(p) for n, p in method.named_parameters()}
        for update in method.updates(batches[0]):
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            update.loss.backward()
            stepped = owners(method, optimizers, update.steps)
            for n, p in method.named_parameters():
                if p.grad is not None and n in stepped:
                    total[n] += p.grad
        sums[schedule] = total
    for n, joint in sums["joint"].items():
        torch.testing.assert_close(joint, sums["alternating"][n], rtol=0, atol=1e-14, msg=n)
        assert joint.abs().max() > 0


@pytest.mark.parametrize("name", SCHEDULED)
def test_joint_runs_the_backbone_once_and_alternating_twice(make_method, batches, name):
    for schedule, times in (("joint", 1), ("alternating", 2)):
        method = make_method(name, schedule=schedule)
        calls = []
        method.backbone.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        take_step(method, method.optimizers(Rates()), batches[0])
        assert len(calls) == times


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_extreme_features_leave_losses_and_weights_finite(make_method, batches, name, options):
    method = make_method(name, **options).float()
    method.backbone = torch.nn.Linear(7, 5)
    with torch.no_grad():
        method.backbone.weight *= 1e6
    optimizers = method.optimizers(Rates(1e-12, 1e-12, 1e-12))
    b = batches[0]
    losses = take_step(method, optimizers, Batch(b.image.float(), b.target.float(), b.group))
    assert all(map(torch.isfinite, map(torch.tensor, losses.values())))
    assert all(bool(p.isfinite().all()) for p in method.parameters())


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_bf16_losses_stay_near_those_of_float32(make_method, batches, name, options):
    if "noise" in options.values():
        pytest.skip("fresh noise")
    method = make_method(name, **options).float()
    b = Batch(batches[0].image.float(), batches[0].target.float(), batches[0].group)
    exact = next(method.updates(b)).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = next(method.updates(b)).loss
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_batch_of_one_trains(make_method, batches, name, options):
    method = make_method(name, **options)
    b = batches[0]
    one = Batch(b.image[:1], b.target[:1], b.group[:1])
    losses = take_step(method, method.optimizers(Rates(0.1, 0.1, 0.1)), one)
    assert all(map(torch.isfinite, map(torch.tensor, losses.values())))


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_batch_without_any_known_group_trains_the_target_alone(make_method, batches, name):
    method = make_method(name, schedule="alternating")
    head = copy.deepcopy(method.group_head.state_dict())
    b = batches[0]
    unknown = Batch(b.image, b.target, torch.full_like(b.group, -1))
    losses = take_step(method, method.optimizers(Rates(0.1, 0.1, 0.1)), unknown)
    assert losses["group"] == 0
    assert all(torch.equal(head[n], p) for n, p in method.group_head.state_dict().items())


@pytest.mark.parametrize("name", SCHEDULED)
def test_images_of_unknown_group_do_not_enter_the_bias_loss(make_method, batches, name):
    method = make_method(name, schedule="alternating")
    b = batches[0]
    group = b.group.clone()
    group[3:] = -1
    some = list(method.updates(Batch(b.image, b.target, group)))[-1].loss
    few = list(method.updates(Batch(b.image[:3], b.target[:3], b.group[:3])))[-1].loss
    torch.testing.assert_close(some, few, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", WITH_GROUPS)
def test_a_group_absent_from_training_has_no_weight_and_does_no_harm(make_method, batches, name):
    weights = torch.tensor([0.0, 0.2, 0.3, 0.5], dtype=torch.float64)
    counts = torch.tensor([[0.0, 9, 5, 2], [0, 3, 4, 4]], dtype=torch.float64)
    method = make_method(name, group_weights=weights, counts=counts)
    b = batches[0]
    present = Batch(b.image, b.target, b.group.clamp_min(1))
    losses = take_step(method, method.optimizers(Rates(0.1, 0.1, 0.1)), present)
    assert all(map(torch.isfinite, map(torch.tensor, losses.values())))


@pytest.mark.parametrize("name", WITH_GROUPS)
def test_one_group_is_refused(make_method, name):
    with pytest.raises(ValueError, match="two groups"):
        make_method(name, n_groups=1, group_weights=torch.ones(1))


def test_a_second_backbone_rate_needs_the_alternating_schedule(make_method):
    with pytest.raises(ValueError, match="alternating"):
        make_method("tabe", schedule="joint", second_backbone_rate=0.1)


HEADS = {"deep_heads": False, "deep_target_head": False, "dropout": 0.5}
CONFUSION = {"confusion_weight": 0.03, "confusion_target": "uniform", "second_backbone_rate": 0.0}
RAMP = {"reversal": 1.0, "ramp": True, "gradient_penalty": 0.0}
DEFAULTS = {
    "lntl": {"schedule": "alternating", "entropy_weight": 0.01, "reversal": 0.1},
    "tabe": {"schedule": "alternating", "reversal": 0.0, **CONFUSION},
    "clgr": {"schedule": "alternating", "reversal": 0.1, **CONFUSION},
    "group_dro": {"step_size": 0.01, "adjustment": 0.0},
    "dfr": {"draws": 10},
    "dann": RAMP,
    "cdann": RAMP,
    "leace": {"shrink": 1e-3},
    "color_consistency": {"shift": 30.0, "probability": 0.5, "consistency_weight": 0.5},
    "mmd": {"distance_weight": 1.0},
    "coral": {"distance_weight": 1.0},
    "density": {"gamma": 0.5, "column": "ita"},
} | {name: {} for name in ("erm", "resampling", "domain_independent")}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_hyper_parameters_of_a_method_are_as_documented_unless_given(name):
    assert asdict(METHODS[name].Options()) == HEADS | DEFAULTS[name]
    assert astuple(Rates()) == (3e-4, 3e-4, 3e-4)


@pytest.mark.parametrize("name", UNLEARNING)
def test_saved_weights_hold_nothing_that_the_training_rows_decide(make_method, name):
    assert not {"group_weights", "counts"} & make_method(name).state_dict().keys()
