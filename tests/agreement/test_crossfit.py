import numpy as np

from equiderm.agreement import crossfit as module

TYPES = (1, 2, 3, 4, 5, 6)


def test_no_fold_is_predicted_by_a_fit_that_saw_its_rows(monkeypatch):
    generator = np.random.default_rng(0)
    index, folds = generator.integers(0, 6, 120), np.arange(120) % 4
    features = (56 - 14 * index + generator.normal(0, 8, 120))[:, None]
    seen: list[tuple[set, set]] = []
    fit, index_of = module._Problem.fit, module.FittedScheme.index_of
    fitted_on = {}

    def spy(self, rows, choice, names, columns):
        scheme = fit(self, rows, choice, names, columns)
        fitted_on[id(scheme)] = (scheme, set(features[rows, 0]))
        return scheme

    def watch(self, given):
        seen.append((fitted_on[id(self)][1], set(given[:, 0])))
        return index_of(self, given)

    monkeypatch.setattr(module._Problem, "fit", spy)
    monkeypatch.setattr(module.FittedScheme, "index_of", watch)
    module.crossfit(features, index, folds, types=TYPES, columns=["ita"])
    assert len(seen) > 4 * 3 * 3
    assert not any(train & test for train, test in seen)
