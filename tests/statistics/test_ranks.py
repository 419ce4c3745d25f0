"""The rank correlation of rows drawn again, against scipy's of the rows written out."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from equiderm.statistics.ranks import rank_correlation


def test_the_rank_correlation_of_resampled_rows_is_that_of_the_rows_repeated():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=60), generator.integers(6, size=60).astype(float)
    times = generator.integers(4, size=(3, 60))
    found = rank_correlation(a, b, times)
    for row, value in zip(times, found, strict=True):
        assert value == pytest.approx(spearmanr(np.repeat(a, row), np.repeat(b, row))[0])
    assert rank_correlation(np.zeros(60), b, times).tolist() == [0, 0, 0]
