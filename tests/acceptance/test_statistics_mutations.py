"""What would be seen if a safeguard of statistics were broken: for each, a test that passes otherwise fails.

A safeguard that nothing misses could be lost unseen. Each is broken here by itself, and the very function that is a test elsewhere is called before
and after: it passes, and then it does not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from jobmgr.stats import alike
from jobmgr.stats.discovery import basic, candidates, evidence, prune, rotation
from tests.acceptance import test_statistics_cases as cases
from tests.unit.stats import test_basic, test_forecast
from tests.unit.stats.discovery import test_evidence, test_prune, test_rotation, test_search

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A safeguard, what stands in its place when it is broken, and a test that must see it."""

    broken: Callable[..., Any]
    by: Callable[..., Any]
    check: Callable[[], None]


def few(usual: int, _all: int) -> range:
    """As many seeds as the tests have usually."""
    return range(usual)


# --- what stands in the place of a safeguard


def no_inflation(ratio: Array, freedom: float, usual: Array, weight: Array) -> Array:
    """Tasks are taken for independent."""
    return np.ones(len(ratio))


def nothing_expected(test: rotation.Rotation, z: Array) -> Array:
    """Whatever turning makes, nothing is thought to be made by it."""
    return np.zeros(len(z))


def unadjusted(p: Array, tried: int | None = None) -> Array:
    """As if there were one question only."""
    return p


def all_kept(tables: Any, found: Any, most: int) -> list[prune.Kept]:
    """Whatever was found is told."""
    return [prune.Kept(one, tables.matching(one.predicates)) for one in found.candidates]


def half_to_even(successes: int, count: int) -> int:
    """As Python rounds."""
    return round(100 * successes / count) if count else 0


def all_ended(columns: Any, rows: Array) -> Array:
    """What was cut off is taken for an end."""
    return np.ones(len(rows), bool)


# --- which test sees it


def waves_show_nothing() -> None:
    """D5."""
    cases.test_a_wave_of_failures_that_is_turned_in_time_shows_no_pattern(few)


def the_cause_alone_is_told() -> None:
    """A name that fails and runs at night."""
    cases.test_what_only_goes_with_the_cause_is_not_claimed(few)


def a_proxy_goes() -> None:
    """A name that runs mostly on a bad node."""
    test_prune.test_what_another_explains_goes(np.random.default_rng(11))


def each_finding_counts_once() -> None:
    """Too weak among two, though borne among ten descriptions of a strong one."""
    test_prune.test_what_stays_is_judged_again_among_what_stays(np.random.default_rng(11))


def half_of_eight() -> None:
    """0.625 is 63 hundredths."""
    assert basic.hundredths(5, 8) == 63


def the_timed_out_would_have_gone_on() -> None:
    """A time limit is no end of a program."""
    test_forecast.test_whatever_was_cut_off_would_have_gone_on("crashed", "timeout")


MUTATIONS = {
    "variance: D5": Mutation(evidence._moderated, no_inflation, waves_show_nothing),
    "variance: bursts": Mutation(evidence._moderated, no_inflation, test_evidence.test_bursts_inflate_the_variance),
    "rotation": Mutation(
        rotation.Rotation.expected, nothing_expected, test_rotation.test_bursts_in_both_series_make_z_smaller
    ),
    "multiplicity: noise": Mutation(candidates.adjusted, unadjusted, test_search.test_of_noise_nothing_is_significant),
    "multiplicity: what stays": Mutation(candidates.adjusted, unadjusted, each_finding_counts_once),
    "pruning: confounded": Mutation(prune.prune, all_kept, the_cause_alone_is_told),
    "pruning: proxy": Mutation(prune.prune, all_kept, a_proxy_goes),
    "rounding: D1": Mutation(basic.hundredths, half_to_even, cases.test_the_known_25_jobs),
    "rounding: known 25": Mutation(
        basic.hundredths, half_to_even, test_basic.test_the_known_example_gives_the_known_answer
    ),
    "rounding": Mutation(basic.hundredths, half_to_even, half_of_eight),
    "censoring: stopped": Mutation(alike.ended, all_ended, test_forecast.test_runs_that_were_stopped_are_no_ends),
    "censoring: timed out": Mutation(alike.ended, all_ended, the_timed_out_would_have_gone_on),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_safeguard_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test passes as things are, and fails when the safeguard is broken."""
    mutation = MUTATIONS[name]
    mutation.check()
    replace_everywhere(monkeypatch, mutation.broken, mutation.by)
    with pytest.raises(AssertionError):
        mutation.check()


def replace_everywhere(monkeypatch: pytest.MonkeyPatch, old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """In whatever module (or class) of ours it has a name, these tests included."""
    homes: list[Any] = [module for name, module in list(sys.modules.items()) if name.startswith(("jobmgr.", "tests."))]
    homes.append(rotation.Rotation)
    found = [(home, name) for home in homes for name, value in vars(home).items() if value is old]
    assert found
    for home, name in found:
        monkeypatch.setattr(home, name, new)
