"""Methods that fit once training is over: on features, without an image."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from equiderm.debias import METHODS, dfr
from equiderm.debias.dfr import DFR
from equiderm.debias.leace import eraser
from equiderm.errors import InputError

K = 3


def features_of(n=900, d=12, *, seed=0, confounding=0.9):
    """Features in which the target follows the group, which is read more easily."""
    generator = np.random.default_rng(seed)
    group = generator.integers(K, size=n)
    follows = generator.random(n) < confounding
    target = np.where(follows, group > 0, generator.random(n) < 0.5).astype(int)
    z = generator.normal(size=(n, d))
    z[:, :K] += 3 * np.eye(K)[group]
    z[:, K] += 1.5 * (2 * target - 1)
    z = z @ np.random.default_rng(99).normal(size=(d, d))  # the same in every sample
    return torch.tensor(z), torch.tensor(target).double(), torch.tensor(group)


def one_hot(group):
    return torch.nn.functional.one_hot(group, K).double()


def make(make_method, name, **options):
    method = make_method(name, n_groups=K, group_weights=torch.ones(K), **options)
    method.target_head = torch.nn.Sequential(torch.nn.Linear(12, 1)).double()
    if name == "leace":
        method.register_buffer("mean", torch.zeros(12).double())
        method.register_buffer("erased", torch.zeros(12, 12).double())
    return method


def named(method, z):
    return (method.target_head(z).squeeze(1) > 0).double()


def accuracy_by_cell(named, target, group):
    return {
        (y, b): float((named == target)[(target == y) & (group == b)].double().mean())
        for y in (0, 1)
        for b in range(K)
    }


def test_erased_features_have_no_covariance_with_the_group():
    z, _, group = features_of()
    mean, erased, rank = eraser(z, one_hot(group), shrink=1e-3)
    kept = z - (z - mean) @ erased
    label = torch.nn.functional.one_hot(group, K).double()
    cross = (kept - kept.mean(0)).T @ (label - label.mean(0)) / len(z)
    assert cross.abs().max() < 1e-10
    assert rank == K - 1


def test_no_linear_probe_reads_the_group_of_erased_features_even_of_those_fitted():
    z, _, group = features_of()
    mean, erased, _ = eraser(z, one_hot(group), shrink=0.0)
    kept = (z - (z - mean) @ erased).numpy()
    probe = LogisticRegression(C=1e4, max_iter=2000, class_weight="balanced")
    read = probe.fit(kept, group).predict(kept)
    assert LogisticRegression(max_iter=2000).fit(z.numpy(), group).score(z.numpy(), group) > 0.9
    shares = [np.mean(read[group.numpy() == k] == k) for k in range(K)]
    assert abs(np.mean(shares) - 1 / K) < 0.01


def test_the_eraser_moves_features_least_of_all_that_erase():
    z, _, group = features_of()
    mean, erased, rank = eraser(z, one_hot(group), shrink=0.0)
    moved = ((z - mean) @ erased).square().sum()
    label = torch.nn.functional.one_hot(group, K).double()
    cross = (z - mean).T @ (label - label.mean(0))
    u = torch.linalg.svd(cross, full_matrices=False)[0][:, :rank]
    assert moved < ((z - mean) @ u @ u.T).square().sum()  # the orthogonal projection erases, too


def test_leace_scores_erased_features_by_a_head_fitted_on_them(make_method):
    z, target, group = features_of()
    method = make(make_method, "leace")
    said = method.refit(z, target, group)
    assert said == {"erased_dimensions": K - 1, "rows": 900}
    kept = z - (z - method.mean) @ method.erased
    method.backbone = torch.nn.Identity()
    torch.testing.assert_close(method.features(z), kept)
    expected = LogisticRegression(C=1.0, max_iter=2000)
    scaled = (kept - kept.mean(0)) / kept.std(0, correction=0)
    expected.fit(scaled.numpy(), target.numpy().astype(int))
    np.testing.assert_allclose(
        method(z).detach().numpy(), expected.decision_function(scaled.numpy()), atol=1e-6
    )


def test_leace_erases_nothing_before_it_is_fitted(make_method, batches):
    method = make_method("leace")
    image = batches[0].image
    assert torch.equal(method.features(image), method.backbone(image))


def test_dfr_raises_the_worst_cell_that_erm_s_head_leaves(make_method):
    z, target, _ = features_of()
    held_out = features_of(seed=1, confounding=0.7)
    tested = features_of(3000, seed=2)
    whole = LogisticRegression(max_iter=2000).fit(z.numpy(), target.numpy().astype(int))
    before = accuracy_by_cell(torch.tensor(whole.predict(tested[0].numpy())), *tested[1:])
    method = make(make_method, "dfr")
    said = method.refit(*held_out)
    after = accuracy_by_cell(named(method, tested[0]), *tested[1:])
    assert min(after.values()) > min(before.values()) + 0.1
    assert said["held_out"] == 900
    assert said["rows"] % (2 * K) == 0


def test_dfr_fits_the_same_head_each_time_and_leaves_the_caller_s_generators(make_method):
    ends = []
    for _ in range(2):
        method = make(make_method, "dfr")
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        method.refit(*features_of())
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
        ends.append(method.target_head[0].weight.detach().clone())
    assert torch.equal(*ends)


def test_dfr_s_scores_do_not_depend_on_the_features_mean_and_scale(make_method):
    z, target, group = features_of()
    scores = []
    for features in (z, 3 * z + 10):
        method = make(make_method, "dfr", draws=1)
        method.refit(features, target, group)
        scores.append(method.target_head(features).detach())
    torch.testing.assert_close(*scores, rtol=1e-6, atol=1e-6)


def test_dfr_takes_the_strength_whose_worst_held_out_cell_is_right_most_often(monkeypatch):
    best = dfr.STRENGTHS[2]
    fits = lambda z, y, rows, strength: (np.ones(1), -2.0 if strength == best else 0.0)  # noqa: E731
    monkeypatch.setattr(dfr, "_fit", fits)
    z = np.linspace(1, 3, 40)[:, None]
    y = (z[:, 0] > 2).astype(int)
    cells = 2 * (np.arange(40) % 2) + y
    assert dfr._choose_strength(z, y, cells, np.random.default_rng(0)) == best


def test_dfr_needs_rows_of_every_target_and_group(make_method):
    z, target, group = features_of()
    target[group == 2] = 1
    with pytest.raises(InputError, match="0 validation rows have group 2 and target 0"):
        make(make_method, "dfr").refit(z, target, group)


def test_rows_of_unknown_group_are_no_cell_of_their_own(make_method):
    z, target, group = features_of()
    group[:300] = -1
    assert make(make_method, "dfr").refit(z, target, group)["held_out"] == 600
    assert make(make_method, "leace").refit(z, target, group)["rows"] == 600


@pytest.mark.parametrize("name", ["dfr", "leace"])
def test_a_deep_head_is_refused_where_one_layer_is_fitted(make_method, name):
    with pytest.raises(InputError, match="deep_target_head: this method fits one"):
        make_method(name, deep_target_head=True)


def test_dfr_wants_four_rows_of_each_target_and_known_group():
    target, group = np.tile([0, 1], 9), np.repeat([0, 1, -1], [8, 8, 2])
    DFR.check_refit(target, group, ("light", "dark"))
    group[15] = -1
    with pytest.raises(InputError, match="3 validation rows have group dark and target 1; 4 of"):
        DFR.check_refit(target, group, ("light", "dark"))


def test_the_eraser_mixes_a_share_of_the_mean_variance_into_the_covariance():
    z, _, group = features_of(d=6)
    mean, erased, _ = eraser(z, one_hot(group), shrink=0.4)
    x, label = z.numpy() - mean.numpy(), one_hot(group).numpy()
    covariance = x.T @ x / len(x)
    mixed = 0.6 * covariance + 0.4 * np.trace(covariance) / 6 * np.eye(6)
    values, vectors = np.linalg.eigh(mixed)
    whiten = vectors / np.sqrt(values) @ vectors.T
    cross = whiten @ x.T @ (label - label.mean(0))
    expected = np.linalg.inv(whiten) @ cross @ np.linalg.pinv(cross, rcond=1e-8) @ whiten
    np.testing.assert_allclose(erased.numpy(), expected.T, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "least", "most", "beyond"),
    [
        ("leace", {"shrink": 0.0}, {"shrink": 0.999}, [{"shrink": 1.0}, {"shrink": -0.01}]),
        ("dfr", {"draws": 1}, {"draws": 99}, [{"draws": 0}, {"draws": 2.0}]),
        ("erm", {"dropout": 0.0}, {"dropout": 0.99}, [{"dropout": 1.0}, {"dropout": "0.1"}]),
        (
            *("color_consistency", {"probability": 0.0}, {"probability": 1.0}),
            [{"probability": 1.01}, {"shift": -0.1}, {"shift": float("inf")}],
        ),
        ("lntl", {"reversal": -9.0}, {"entropy_weight": 0.0}, [{"reversal": float("nan")}]),
    ],
)
def test_an_option_is_taken_within_its_range_alone(name, least, most, beyond):
    options = METHODS[name].Options
    assert options(**least) != options(**most)
    for wrong in beyond:
        with pytest.raises(InputError, match=f"{next(iter(wrong))} = "):
            options(**wrong)
