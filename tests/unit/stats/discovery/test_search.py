"""The search from tables to candidates."""

from __future__ import annotations

import numpy as np
import pytest

from bench.cases.bursts import ar_outcome
from bench.cases.shapes import noise, planted
from jobmgr.stats.discovery.attributes import Phase
from jobmgr.stats.discovery.search import Finder, Search
from tests.unit.stats.discovery.views import tables_of
from tests.unit.stats.histories import HOUR, START, attempt, series


def test_slow_waves_make_blocks_longer() -> None:
    """Where neighbouring blocks are alike, half as many count; where failures are independent, all."""
    rng = np.random.default_rng(2)
    wave = 0.3 + 0.28 * np.sin(np.arange(3200) / 200)
    levels = [f"n{place}" for place in rng.integers(4, size=3200)]
    for failure, halved in ((wave, True), (np.full(3200, 0.3), False)):
        failed = rng.random(3200) < failure
        rows = [
            attempt(node=node, status="crashed" if bad else "completed", finished_at=START + place * 24 * HOUR // 50)
            for place, (node, bad) in enumerate(zip(levels, failed, strict=True))
        ]
        assert (Finder(tables_of(rows), 40).search().halvings > 0) == halved


def test_what_is_planted_is_found_singly_and_in_pairs() -> None:
    """Candidates of one predicate and of two, significant ones among them; and how many questions were asked of each kind."""
    found = Finder(tables_of(planted(5000, 1).rows, 50), 50).search()
    sizes = {len(one.predicates) for one in found.candidates if one.significant}
    assert sizes == {1, 2}
    assert found.questions[1] > found.questions[0] > 100
    assert found.priors is not None


def test_of_noise_nothing_is_significant() -> None:
    """Though thousands of questions were asked."""
    found = Finder(tables_of(noise(3000, 1).rows, 30), 30).search()
    assert [one for one in found.candidates if one.significant] == []
    assert found.inflation == pytest.approx(1, abs=0.2)


def test_bursts_are_seen_in_the_usual_inflation() -> None:
    """A wave of failures over campaigns of like jobs."""
    assert Finder(tables_of(ar_outcome(5000, 1).rows, 50), 50).search().inflation > 1.5


@pytest.mark.parametrize("failed", [[], [True] * 30, [False] * 300, [True] * 300])
def test_where_there_is_nothing_to_compare_nothing_is_asked(failed: list[bool]) -> None:
    """Too few tasks, or all went the same way."""
    assert Finder(tables_of(series(failed)), 10).search() == Search()


def test_tasks_of_which_nothing_is_known_are_no_hypothesis() -> None:
    """Some failed; there is no predicate that some match."""
    found = Finder(tables_of(series([place % 5 == 0 for place in range(300)])), 10).search()
    assert found.candidates == []


def test_what_is_seen_while_a_job_runs_can_be_left_out() -> None:
    """For slowness and memory: it is how slow or large a job is, and no reason."""
    tables = tables_of(planted(2000, 1).rows)
    with_it, without = (Finder(tables, 20, runtime=runtime)._predicates for runtime in (True, False))
    assert {one.attribute.phase for one in with_it} == {Phase.BEFORE, Phase.RUNTIME}
    assert {one.attribute.phase for one in without} == {Phase.BEFORE}


def test_a_search_is_the_same_each_time() -> None:
    """There is no chance in it, and what is kept from the first time does not change it."""
    tables = tables_of(planted(2000, 1).rows)
    finder = Finder(tables, 20)
    assert finder.search().candidates == finder.search().candidates == Finder(tables, 20).search().candidates


def test_patterns_are_of_enough_tasks_on_both_sides() -> None:
    """Fewer than `least` match none, nor are all others fewer."""
    tables = tables_of(planted(2000, 1).rows)
    for one in Finder(tables, 300).search().candidates:
        assert 300 <= int(tables.by_block(one.predicates).sum()) <= 1700
