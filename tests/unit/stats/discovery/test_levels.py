"""Where numbers are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobmgr.stats.discovery.levels import MOST_EXACT, QUANTILES, TAILS, cuts, exact


def test_few_distinct_values_are_cut_at_each() -> None:
    """All but the largest, as they are, however odd: above the largest there is nothing."""
    assert cuts(np.array([7, 1.25, 1.25, 13, 7])) == [1.25, 7.0]
    assert cuts(np.arange(MOST_EXACT)) == [float(value) for value in range(MOST_EXACT - 1)]


def test_many_distinct_values_are_cut_at_round_numbers() -> None:
    """Numbers that a person would say: of two digits, here and there of three; at most so many as quantiles."""
    found = cuts(np.random.default_rng(1).lognormal(5, 2, 5000))
    assert 16 <= len(found) <= QUANTILES + len(TAILS)
    digits = [len(f"{cut:.6g}".replace(".", "").strip("0")) for cut in found]
    assert max(digits) <= 3
    assert np.mean(digits) < 2


def test_what_is_rare_is_cut_off_too() -> None:
    """The highest and the lowest hundredth."""
    found = cuts(np.random.default_rng(3).uniform(0, 1000, 5000))
    assert 5 <= found[0] <= 15
    assert 985 <= found[-1] <= 995


@pytest.mark.parametrize(("distinct", "answer"), [(1, True), (MOST_EXACT, True), (MOST_EXACT + 1, False)])
def test_few_values_stand_for_themselves(distinct: int, answer: bool) -> None:
    """Then a single one of them may be what matters."""
    assert exact(np.arange(100) % distinct) is answer


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
