"""The throughput comparison: fair turns, medians, true results, and bounds that can be missed."""

from __future__ import annotations

from typing import Any

import pytest

from bench.jobs import KEEPER, measure, missed, ratio, table, verify
from bench.peers import HYPERQUEUE, LIMIT, Load, Peer

DONE = {
    "jobId": "job-0",
    "status": "completed",
    "createdAt": "2026-11-22T08:00:00.000Z",
    "finishedAt": "2026-11-22T08:00:01.500Z",
}


def results(*runs: tuple[str, int, float]) -> dict[str, Any]:
    """Results of one round each, from (name, parallel, rate)."""
    measured = [
        {"name": name, "parallel": parallel, "perSecond": rate, "seconds": [1000 / rate]}
        for name, parallel, rate in runs
    ]
    return {"runs": measured, "skipped": {}}


def tasks(count: int) -> list[dict[str, Any]]:
    """So many tasks that ended well."""
    return [{"taskId": f"job-0.{number}", "status": "completed", "exitCode": 0} for number in range(count)]


def test_contestants_take_turns() -> None:
    """A round is every contestant once at every degree; then the next round begins."""
    turns: list[tuple[str, int]] = []

    def runner(name: str) -> Peer:
        def run(load: Load) -> float:
            turns.append((name, load.parallel))
            return 1.0

        return Peer(name, run)

    measure([runner("a"), runner("b")], [2, 8], lambda _: None, count=10, rounds=3)
    assert turns == [("a", 2), ("b", 2), ("a", 8), ("b", 8)] * 3


def test_the_median_counts() -> None:
    """One slow round of three changes nothing; all rounds are kept."""
    times = iter([1.0, 9.0, 2.0])
    found = measure([Peer("a", lambda _: next(times))], [2], lambda _: None, count=10, rounds=3)
    assert found["runs"] == [{"name": "a", "parallel": 2, "seconds": [1.0, 9.0, 2.0], "perSecond": 5.0}]


def test_what_is_missing_is_skipped_and_told() -> None:
    """It is in the result, below the table and on the screen."""
    said: list[str] = []
    found = measure([Peer("a", lambda _: 1.0, lambda: "not here")], [2], said.append, count=10, rounds=3)
    assert (found["runs"], found["skipped"], said) == ([], {"a": "not here"}, ["a: skipped, not here."])
    assert "a was skipped: not here." in table(found)


def test_the_table_has_a_row_a_contestant_and_the_share_of_the_limit() -> None:
    """Rates are whole numbers; what was not measured is a dash."""
    text = table(results((KEEPER.name, 2, 500.4), (LIMIT.name, 2, 1000), (LIMIT.name, 8, 1234.5)))
    assert text.splitlines() == [
        "| | 2 at once: jobs/s | of the limit | 8 at once: jobs/s | of the limit |",
        "|---|---:|---:|---:|---:|",
        f"| {KEEPER.name} | 500 | 0.50 | – | – |",
        f"| {LIMIT.name} | 1,000 | 1.00 | 1,234 | 1.00 |",
    ]


def test_a_ratio_is_taken_within_each_round() -> None:
    """A round in which the whole machine is ten times slower changes no ratio."""
    runs = [
        {"name": "a", "parallel": 2, "seconds": [1.0, 10.0, 1.0]},
        {"name": "b", "parallel": 2, "seconds": [2.0, 20.0, 20.0]},
    ]
    assert ratio(runs, "a", "b", 2) == 2.0


def test_bounds_that_are_met_say_nothing() -> None:
    """Exactly on the bound is met."""
    assert missed(results((KEEPER.name, 2, 500), (HYPERQUEUE.name, 2, 250), (LIMIT.name, 2, 1500))) == []


def test_the_bounds_hold_for_every_number_in_flight() -> None:
    """A good figure at one degree does not hide a bad one at another."""
    few = [(KEEPER.name, 2, 100), (HYPERQUEUE.name, 2, 100), (LIMIT.name, 2, 2000)]
    many = [(KEEPER.name, 8, 800), (HYPERQUEUE.name, 8, 300), (LIMIT.name, 8, 2000)]
    assert missed(results(*many)) == []
    assert [sentence.split(":")[0] for sentence in missed(results(*few, *many))] == ["2 at once", "2 at once"]


def test_each_missed_bound_is_a_sentence() -> None:
    """It names the degree, both sides and the ratio."""
    first, second = missed(results((KEEPER.name, 2, 300), (HYPERQUEUE.name, 2, 250), (LIMIT.name, 2, 1500)))
    assert first == f"2 at once: {KEEPER.name} is 1.20 × {HYPERQUEUE.name}; wanted is 2.0 ×."
    assert "0.20 ×" in second


def test_a_bound_that_could_not_be_checked_is_missed() -> None:
    """Without the peer there is no proof."""
    assert missed(results((KEEPER.name, 2, 300), (LIMIT.name, 2, 300))) == [
        f"2 at once: {KEEPER.name} and {HYPERQUEUE.name} were not both measured."
    ]


def test_true_results_pass() -> None:
    """A completed job with all its tasks, each with its own exit code."""
    verify(DONE, tasks(3), 3)


@pytest.mark.parametrize(
    ("job", "listed"),
    [
        ({**DONE, "status": "crashed"}, tasks(3)),
        ({**DONE, "finishedAt": DONE["createdAt"]}, tasks(3)),
        (DONE, tasks(2)),
        (DONE, [*tasks(2), tasks(1)[0]]),
        (DONE, [*tasks(2), {"taskId": "job-0.2", "status": "completed", "exitCode": None}]),
        (DONE, [*tasks(2), {"taskId": "job-0.2", "status": "crashed", "exitCode": 0}]),
    ],
)
def test_a_figure_without_true_results_is_refused(job: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    """A wrong status, no time at all, a task missing, twice, without code or not completed: each is an error."""
    with pytest.raises(RuntimeError, match="job-0"):
        verify(job, listed, 3)
