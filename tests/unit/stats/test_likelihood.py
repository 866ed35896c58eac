"""The log-likelihood ratio of two samples: as in scipy, and 0 where nothing can be compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jobmgr.stats.likelihood import Likelihood

counts = st.integers(1, 300)


@given(counts, counts, counts, counts)
def test_it_is_the_g_statistic_of_scipy(failed: int, good: int, other_failed: int, other_good: int) -> None:
    """2 LLR of two samples is G of their fourfold table."""
    table = [[failed, good], [other_failed, other_good]]
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    likelihood = Likelihood(2000)
    ratio = likelihood.ratio(*map(np.array, (failed, failed + good, other_failed, other_failed + other_good)))
    assert float(ratio) == pytest.approx(expected, abs=1e-7)


def test_what_cannot_differ_has_none() -> None:
    """Empty samples, and two of which nothing or everything failed."""
    empty, none, all_ = (np.array(each) for each in ((0, 0), (0, 9), (9, 9)))
    likelihood = Likelihood(18)
    assert float(likelihood.ratio(*empty, *all_)) == float(likelihood.ratio(*none, *none)) == 0
    assert float(likelihood.ratio(*all_, *all_)) == 0


@pytest.mark.parametrize("most", [0, 1, 2])
def test_it_may_be_made_for_next_to_nothing(most: int) -> None:
    """For no runs at all, or one, or two."""
    one = np.array(min(most, 1))
    assert float(Likelihood(most).single(one, one)) == 0
