"""How much evidence there is."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special, stats

from jobmgr.stats.discovery.evidence import (
    MOST_PRIOR,
    Evidence,
    Prior,
    _fourfold_z,
    _inverse_trigamma,
    _long_run,
    assess,
    degrees,
    expected_by,
    log_mid_p,
    log_two_sided,
)

Array = np.ndarray[Any, np.dtype[Any]]
BLOCKS, EACH = 16, 200


def history(
    rng: np.random.Generator, hypotheses: int, failure: Array, match: Array
) -> tuple[Array, Array, Array, Array]:
    """Counts by block: tasks fail with a probability by block, and match each hypothesis with one by hypothesis and block."""
    failed = rng.random((BLOCKS, EACH)) < failure[:, None]
    inside = rng.random((hypotheses, BLOCKS, EACH)) < match[:, :, None]
    n1, f1 = inside.sum(2), (inside & failed).sum(2)
    return tuple(each.astype("f8") for each in (n1, f1, EACH - n1, failed.sum(1) - f1))


def independent(seed: int, hypotheses: int = 200) -> Evidence:
    """Tasks that know nothing of each other."""
    rng = np.random.default_rng(seed)
    match = np.repeat(rng.uniform(0.1, 0.5, (hypotheses, 1)), BLOCKS, 1)
    return assess(*history(rng, hypotheses, np.full(BLOCKS, 0.2), match), ["any"] * hypotheses)


def bursty(seed: int, hypotheses: int = 200) -> Evidence:
    """Some blocks are bad, and in each some hypotheses are frequent: they have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    failure = np.where(rng.random(BLOCKS) < 0.3, 0.7, 0.1)
    match = rng.uniform(0, 0.6, (hypotheses, BLOCKS))
    return assess(*history(rng, hypotheses, failure, match), ["any"] * hypotheses)


def test_of_independent_tasks_the_variance_is_as_it_seems() -> None:
    """The inflation is about 1, and z is about standard normal."""
    found = [independent(seed) for seed in range(5)]
    assert np.median([one.inflation for one in found]) == pytest.approx(1, abs=0.15)
    assert 0.8 < float(np.std([one.plain for one in found])) < 1.2
    share = np.mean([np.exp(one.log_p) < 0.05 for one in found])
    assert 0.01 < share < 0.07


def test_bursts_inflate_the_variance() -> None:
    """More than three times; what a plain test takes for evidence is none."""
    found = [bursty(seed) for seed in range(5)]
    assert np.median([one.inflation for one in found]) > 3
    assert np.mean([np.abs(one.plain) > 1.96 for one in found]) > 0.3
    assert np.mean([np.exp(one.log_p) < 0.05 for one in found]) < 0.08


def test_a_burst_does_not_end_where_a_block_does() -> None:
    """Neighbours that are alike make the variance larger, those that alternate smaller, but never less than half."""
    wave, alternating, alone = np.repeat([1.0, -1.0], 4), np.tile([1.0, -1.0], 4), np.array([2.0, 0, 0, 0, -2, 0, 0, 0])
    found = _long_run(np.array([wave, alternating, alone]))
    assert found[0] == pytest.approx(8 + 2 * (2 / 3 * 5 + 1 / 3 * 2))  # Newey and West by hand.
    assert found[1:] == pytest.approx([4, 8])


def test_a_true_effect_stays_beside_bursts() -> None:
    """Where tasks that match fail more often in every block, bad or not."""
    rng = np.random.default_rng(1)
    n1, n0 = np.full((50, BLOCKS), 60.0), np.full((50, BLOCKS), 140.0)
    burst = np.where(rng.random(BLOCKS) < 0.3, 0.4, 0.1)
    more = np.zeros(50)
    more[0] = 0.25
    f1 = rng.binomial(n1.astype(int), burst[None, :] + more[:, None]).astype("f8")
    f0 = rng.binomial(n0.astype(int), np.repeat(burst[None, :], 50, 0)).astype("f8")
    found = assess(n1, f1, n0, f0, ["any"] * 50)
    assert int(np.argmax(np.abs(found.z))) == 0
    assert found.log_p[0] < log(1e-6)


def test_an_effect_in_one_direction_over_all_and_in_the_other_within_is_none() -> None:
    """Simpson again: z is 0 where the two contrasts contradict each other."""
    n1, f1 = np.array([[90.0, 10] * 8]), np.array([[45.0, 0] * 8])
    n0, f0 = np.array([[10.0, 90] * 8]), np.array([[6.0, 8] * 8])
    found = assess(n1, f1, n0, f0, expected_by((Prior(), Prior()), ["any"]))
    assert (found.difference[0] > 0, found.z[0], found.log_p[0]) == (True, 0, 0)


def test_what_only_goes_with_bad_times_is_no_evidence() -> None:
    """Tasks that run mostly in bad blocks fail more often, and no more than what else ran in them: the weaker contrast counts."""
    n1, f1 = np.array([[90.0, 10] * 8]), np.array([[45.0, 1] * 8])
    n0, f0 = np.array([[10.0, 90] * 8]), np.array([[5.0, 8] * 8])
    found = assess(n1, f1, n0, f0, expected_by((Prior(), Prior()), ["any"]))
    assert found.plain[0] > 5
    assert abs(found.z[0]) < 1


fourfold = st.tuples(*[st.integers(0, 400)] * 4)


@given(fourfold)
def test_plain_z_is_that_of_two_proportions(cells: tuple[int, int, int, int]) -> None:
    """Its square is Pearson's chi-square without a correction, where no cell is small."""
    a, b, c, d = cells
    n1, n0, f = a + b, c + d, a + c
    n = n1 + n0
    assume(n and min(n1, n0) * min(f, n - f) >= 10 * n)
    z = float(_fourfold_z(*(np.array([float(each)]) for each in (n1, a, n0, c)))[0])
    assert z**2 == pytest.approx(stats.chi2_contingency([[a, b], [c, d]], correction=False).statistic, abs=1e-9)
    assert np.sign(z) == np.sign(a * n0 - c * n1)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60), st.integers(0, 60))
def test_mid_p_is_that_of_the_hypergeometric_law(n1: int, n0: int, f1: int, f0: int) -> None:
    """Half of what was seen and all that is more extreme on its side, by scipy's law."""
    f1, f0 = min(f1, n1), min(f0, n0)
    n, f = n1 + n0, f1 + f0
    law = stats.hypergeom(n, f, n1)
    extreme = [k for k in range(n1 + 1) if (k > f1 if f1 * n >= f * n1 else k < f1)]
    expected = law.pmf(extreme).sum() + law.pmf(f1) / 2
    found = log_mid_p(*(np.array([each]) for each in (f1, n1, f, n)))
    assert np.exp(found[0]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_of_small_cells_the_exact_test_speaks() -> None:
    """3 of 3 against 2 of 40: its z is that of the one-sided mid-p."""
    z = float(_fourfold_z(*(np.array([each]) for each in (3.0, 3.0, 40.0, 2.0)))[0])
    assert special.ndtr(-z) == pytest.approx(np.exp(log_mid_p(*map(np.array, ([3], [3], [5], [43]))))[0])


def test_the_tail_is_known_far_out() -> None:
    """As a logarithm, where the probability itself is nothing."""
    z, freedom = np.array([0.0, 2.0, 60.0]), np.array([30.0, 1e9, 1e9])
    found = log_two_sided(z, freedom)
    assert found[0] == 0
    assert np.exp(found[1]) == pytest.approx(2 * stats.norm.sf(2), rel=1e-6)
    assert found[2] < -1700


@given(st.floats(1e-6, 1e6))
def test_trigamma_is_turned_round(x: float) -> None:
    """The argument comes back from the value."""
    assert _inverse_trigamma(float(special.polygamma(1, x))) == pytest.approx(x, rel=1e-5)


def test_degrees_of_freedom_are_fewer_than_blocks() -> None:
    """Because neighbours count together: 1 + 2 (4/9 + 1/9) times fewer."""
    assert degrees(20) == pytest.approx(19 / (1 + 2 * (4 / 9 + 1 / 9)))
    assert degrees(2) == pytest.approx(1 / (1 + 2 * 4 / 9))


def test_without_anything_learnt_inflation_is_usually_one() -> None:
    """A prior of nothing, worth many blocks."""
    usual, weight = Prior().of(["a", "b"], np.array([5.0, 500.0]))
    assert (usual.tolist(), weight.tolist()) == ([1.0, 1.0], [MOST_PRIOR, MOST_PRIOR])


def test_a_kind_has_an_inflation_of_its_own() -> None:
    """Where tasks of a name go together, that is usual of names, and says little of what is not like that."""
    rng = np.random.default_rng(4)
    failure = rng.random((40, BLOCKS)) < 0.3
    n1 = np.full((80, BLOCKS), 20.0)
    of_names = rng.binomial(20, np.where(failure, 0.8, 0.05)).astype("f8")
    of_others = rng.binomial(20, 0.27, (40, BLOCKS)).astype("f8")
    f1 = np.concatenate([of_names, of_others])
    n0, f0 = np.full((80, BLOCKS), 2000.0), np.full((80, BLOCKS), 540.0)
    found = assess(n1, f1, n0, f0, ["name"] * 40 + ["node"] * 40)
    assert found.priors is not None
    usual, _ = found.priors[0].of(["name", "node"], np.array([20.0, 20.0]))
    assert usual[0] > 3 * usual[1]
    assert np.median(found.inflation[:40]) > 3 * np.median(found.inflation[40:])


def test_what_is_like_no_other_is_not_believed_to_vary_less_than_it_does() -> None:
    """An hour of the day is judged by its own days."""
    rng = np.random.default_rng(5)
    counts = history(rng, 100, np.where(np.arange(BLOCKS) % 4 == 0, 0.6, 0.1), rng.uniform(0.1, 0.3, (100, BLOCKS)))
    lone = np.full(100, np.nan)
    lone[0] = 6.0
    with_others, alone = (assess(*counts, ["any"] * 100, lone=each) for each in (None, lone))
    assert alone.inflation[0] >= with_others.inflation[0]
    assert (alone.z[1:] == with_others.z[1:]).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_go_the_same_way_there_is_no_evidence(value: float) -> None:
    """No division by nothing, no warning."""
    n1, n0 = np.full((12, 8), 5.0), np.full((12, 8), 7.0)
    found = assess(n1, n1 * value, n0, n0 * value, ["any"] * 12)
    assert (found.z == 0).all() and (found.log_p == 0).all() and np.isfinite(found.inflation).all()
