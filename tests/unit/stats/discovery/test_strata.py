"""Effects among tasks that are alike in something else."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jobmgr.stats.discovery.strata import conditional, strata

tasks = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=60)


def by_hand(rows: list[tuple[bool, bool, int]]) -> tuple[Fraction, Fraction, Fraction]:
    """Excess, weight and variance as Mantel and Haenszel have them, stratum by stratum (flag, mask, stratum)."""
    excess = weight = variance = Fraction(0)
    for stratum in {code for _, _, code in rows}:
        own = [(flag, mask) for flag, mask, code in rows if code == stratum]
        n, n1 = len(own), sum(mask for _, mask in own)
        f, f1 = sum(flag for flag, _ in own), sum(flag and mask for flag, mask in own)
        if n < 2:
            continue
        excess += f1 - Fraction(n1 * f, n)
        weight += Fraction(n1 * (n - n1), n)
        variance += Fraction(n1 * (n - n1) * f * (n - f), n * n * (n - 1))
    return excess, weight, variance


@given(tasks)
def test_it_is_the_mantel_haenszel_test(rows: list[tuple[bool, bool, int]]) -> None:
    """z, the weighted mean of the differences, and how much there is to compare, as by exact arithmetic."""
    excess, weight, variance = by_hand(rows)
    assume(variance > 0)
    flags, mask, code = (np.array(each) for each in zip(*rows, strict=True))
    found = conditional(flags.astype(bool), mask.astype(bool), code)
    assert found.z == pytest.approx(float(excess) / sqrt(variance))
    assert found.difference == pytest.approx(float(excess / weight))
    assert found.weight == pytest.approx(float(weight))


def test_one_stratum_is_all_tasks() -> None:
    """Then the difference is that of the two rates."""
    flags = np.array([1, 1, 0, 0, 1, 0, 0, 0], bool)
    mask = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    assert conditional(flags, mask).difference == pytest.approx(0.25)
    assert conditional(flags, mask, np.zeros(8, "i8")) == conditional(flags, mask)


def test_what_only_goes_with_the_stratum_is_nothing_within_it() -> None:
    """Simpson: the mask is frequent where the target is, and has no effect within."""
    code = np.repeat([0, 1], 100)
    mask = np.concatenate([np.arange(100) < 80, np.arange(100) < 20])
    flags = np.concatenate([np.arange(100) % 2 == 0, np.arange(100) % 10 == 0])
    assert conditional(flags, mask).z > 3
    assert abs(conditional(flags, mask, code).difference) < 0.01


@pytest.mark.parametrize("mask", [[], [True], [True, True, True], [False, False]])
def test_with_nothing_to_compare_there_is_no_effect(mask: list[bool]) -> None:
    """All match, or none, or there are no tasks: z is 0, and nothing is divided by it."""
    found = conditional(np.ones(len(mask), bool), np.array(mask, bool))
    assert (found.z, found.difference) == (0, 0)


@given(st.lists(st.lists(st.booleans(), min_size=20, max_size=20), min_size=1, max_size=16))
def test_strata_tell_every_combination_apart(masks: list[list[bool]]) -> None:
    """Two tasks are of one stratum if they match the same masks, and of several if not; however many masks there are."""
    code = strata([np.array(mask) for mask in masks])
    combinations = list(zip(*masks, strict=True))
    assert len(set(code.tolist())) == len(set(combinations))
    assert len(set(zip(code.tolist(), combinations, strict=True))) == len(set(combinations))
    assert code.min() >= 0
