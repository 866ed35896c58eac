"""When evidence is enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jobmgr.stats.discovery.candidates import (
    FDR,
    TURNED_FDR,
    Candidate,
    adjusted,
    plain_log_p,
    turned_shares,
    worth_telling,
)

some_p = st.lists(st.floats(0, 1), min_size=1, max_size=50)


@given(some_p)
def test_q_is_that_of_benjamini_and_hochberg(p: list[float]) -> None:
    """Step up: the smallest of p times count by rank, of all that are no smaller; by hand."""
    order = sorted(p)
    by_hand = [min(order[rank] * len(p) / (rank + 1) for rank in range(order.index(one), len(p))) for one in p]
    assert adjusted(np.array(p)).tolist() == pytest.approx(np.minimum(by_hand, 1).tolist())


@given(some_p, st.integers(0, 100))
def test_what_was_tried_and_is_not_given_counts(p: list[float], more: int) -> None:
    """As if it were there with p = 1."""
    whole = adjusted(np.array(p + [1.0] * more))[: len(p)]
    assert adjusted(np.array(p), len(p) + more).tolist() == pytest.approx(whole.tolist())


def test_of_nothing_there_is_no_q() -> None:
    """An empty answer."""
    assert len(adjusted(np.empty(0))) == 0


@pytest.mark.parametrize(
    ("rate", "other", "told"),
    [
        (0.121, 0.10, True),
        (0.119, 0.10, False),
        (0.079, 0.10, True),
        (0.0151, 0.010, True),
        (0.0149, 0.010, False),
        (0.006, 0.0, True),
        (0.004, 0.0, False),
        (0.0, 0.0, False),
        (1.0, 0.985, False),
    ],
)
def test_small_differences_are_not_told(rate: float, other: float, told: bool) -> None:
    """Two points, or half a point and half as much again, in either direction."""
    assert worth_telling(np.array([rate, other]), np.array([other, rate])).tolist() == [told, told]


def test_p_is_two_sided() -> None:
    """And known as a logarithm where it is nothing."""
    assert np.exp(plain_log_p(np.array([0.0, 1.96, -1.96]))) == pytest.approx([1, 0.05, 0.05], abs=1e-4)
    assert plain_log_p(np.array([40.0]))[0] == pytest.approx(np.log(2) + stats.norm.logsf(40))


def test_both_tests_must_speak_for_it() -> None:
    """Enough by q, and by turning the outcomes."""
    one = Candidate((), 5.0, 0.0, FDR, 0.0, 1.0, 0.1, turned_q=TURNED_FDR)
    assert one.significant
    assert not replace(one, q=FDR + 1e-9).significant
    assert not replace(one, turned_q=TURNED_FDR + 1e-9).significant


@given(st.lists(st.floats(0, 50), min_size=1, max_size=30))
def test_shares_of_what_turning_makes(turned: list[float]) -> None:
    """So many false ones a number by how many are at least so extreme; the least of it and all larger ones."""
    order = sorted(turned)
    by_hand = [min(order[rank] / (rank + 1) for rank in range(order.index(one), len(order))) for one in turned]
    assert turned_shares(np.array(turned)).tolist() == pytest.approx(by_hand)
