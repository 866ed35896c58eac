"""Intervals of proportions: as the libraries and the published examples have them, and rounded as people do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jobmgr.stats.intervals import newcombe, rounded, wilson


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_is_that_of_scipy(successes: int, count: int) -> None:
    """Both ends agree with scipy's to the two decimals that are shown."""
    successes = min(successes, count)
    interval = stats.binomtest(successes, count).proportion_ci(method="wilson")
    assert wilson(successes, count) == pytest.approx((interval.low, interval.high), abs=0.00501)


def test_nothing_known_is_everything_possible() -> None:
    """Without a run a proportion may be anything from 0 to 1, a difference anything from -1 to 1."""
    assert wilson(0, 0) == (0.0, 1.0)
    assert newcombe(0, 0, 5, 10) == newcombe(5, 10, 0, 0) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("pairs", "published"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
    ],
)
def test_newcombe_is_as_published(pairs: tuple[int, int, int, int], published: tuple[float, float]) -> None:
    """The examples of Newcombe 1998, table II, method 10."""
    assert newcombe(*pairs) == tuple(map(rounded, published))


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.125, 2, 0.13),
        (0.625, 2, 0.63),
        (-0.125, 2, -0.13),
        (1.005, 2, 1.01),
        (0.124, 2, 0.12),
        (2.5, 0, 3.0),
        (1e-9, 2, 0.0),
    ],
)
def test_halves_are_rounded_away_from_zero(value: float, digits: int, shown: float) -> None:
    """Python's round would give 0.12 and 0.62 for the first two."""
    assert rounded(value, digits) == shown


def test_nothing_is_minus_zero() -> None:
    """A small negative number is shown as 0, without a sign."""
    assert str(rounded(-0.001)) == "0.0"
