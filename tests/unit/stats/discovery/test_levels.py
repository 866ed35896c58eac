"""Where numbers are cut."""

from __future__ import annotations

from math import floor, log10

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobmgr.stats.discovery.levels import MANTISSAS, MOST_EXACT, QUANTILES, cuts


def test_few_distinct_values_are_cut_at_each() -> None:
    """All but the largest, as they are, however odd: above the largest there is nothing."""
    assert cuts(np.array([7, 1.25, 1.25, 13, 7])) == [1.25, 7.0]
    assert cuts(np.arange(MOST_EXACT)) == [float(value) for value in range(MOST_EXACT - 1)]


def test_many_distinct_values_are_cut_at_round_numbers() -> None:
    """Numbers that a person would say: one of nine mantissas and a power of ten, at most so many as quantiles."""
    found = cuts(np.random.default_rng(1).lognormal(5, 2, 5000))
    assert 8 <= len(found) <= QUANTILES
    for cut in found:
        assert min(abs(cut / 10 ** floor(log10(cut)) - one) for one in MANTISSAS) < 1e-9


def test_cuts_leave_about_equal_shares() -> None:
    """Between two cuts there are never more than a third of the tasks, though they are at round numbers."""
    values = np.random.default_rng(2).uniform(0, 1000, 5000)
    shares = np.histogram(values, [-np.inf, *cuts(values), np.inf])[0] / len(values)
    assert shares.max() < 1 / 3


@pytest.mark.parametrize("values", [[], [5], [5, 5, 5], [0.0, -0.0]])
def test_what_is_all_equal_is_not_cut(values: list[float]) -> None:
    """Nor is nothing."""
    assert cuts(np.array(values)) == []


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.floats(-1e300, 1e300), max_size=60))
@example([float(place) * 1e-300 for place in range(60)])
@example([2**63 - 1 - place for place in range(60)])
def test_cuts_ascend_and_separate(values: list[float]) -> None:
    """Whatever the numbers, each cut has values on both of its sides, is finite, and is above the one before."""
    known = np.array(values, "f8")
    found = cuts(known)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    assert all((known <= cut).any() and (known > cut).any() for cut in found)
