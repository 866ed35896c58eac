"""The judge of statistics can see: what conditions mean, what counts as found, false and said twice, and what a plain test would claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.cases.bursts import ar_outcome, bursty_names, circular_shift, outage
from bench.cases.facts import counted
from bench.cases.shapes import OTHER_SHAPES, Case, noise, planted, retried
from bench.cases.small import bare_row, known_25, plain_row
from bench.judging import Judgement, judge, judge_stats, matches, plain_z
from jobmgr.history import HistoryRow
from jobmgr.job import Status

MS = 1000
ROWS = [
    replace(
        plain_row(0, name="nightly-backup-7"),
        args=("--batch", "128", "--mode=full", "--force", "/data/in/x/part.csv"),
        node="a",
        group="team",
        queue_wait_us=1500 * MS,
    ),
    replace(plain_row(1, failed=True, name="Import_users"), args=("--batch", "64", "--mode", "fast"), node="b"),
    replace(plain_row(2, name="x"), args=("--force", "yes"), node="a", duration_us=2_500_000),
    bare_row(3, Status.COMPLETED),
]

CONDITIONS: list[tuple[str, str, Any, list[int]]] = [
    ("name", "==", "x", [2]),
    ("name", "!=", "x", [0, 1, 3]),
    ("name", "in", ["x", "Import_users"], [1, 2]),
    ("name", "==", None, [3]),
    ("name.length", ">", 10, [0, 1]),
    ("name.length", "<=", 10, [2]),
    ("name.length", "==", None, [3]),
    ("name.hasDigits", "==", True, [0]),
    ("name.token", "==", "nightly", [0]),
    ("name.token", "==", "import", [1]),
    ("name.token", "==", "night", []),
    ("name.family", "==", "nightly-backup-#", [0]),
    ("name.prefix", "==", "night", [0]),
    ("group", "==", "team", [0]),
    ("node", "==", "a", [0, 2]),
    ("args.count", ">", 4, [0]),
    ("args.count", "==", None, [3]),
    ("args.has", "==", "--force", [0, 2]),
    ("args.has", "==", "--mode", [0, 1]),
    ("args.has", "==", "fast", [1]),
    ("args.--batch", ">", 64, [0]),
    ("args.--batch", "<=", 64, [1]),
    ("args.--batch", "==", None, [2, 3]),
    ("args.--mode", "==", "full", [0]),
    ("args.--mode", "in", ["full", "fast"], [0, 1]),
    ("args.pathPrefix", "==", "/data/in", [0]),
    ("submit.hour", "==", 1, [1]),
    ("submit.hour", "in", [0, 2], [0, 2]),
    ("submit.weekday", "==", 3, [0, 1, 2]),
    ("queueWait", ">", 1499, [0]),
    ("duration", ">", 1000, [2]),
    ("cpuSeconds", "<=", 0.25, [0, 1, 2]),
    ("peakRssBytes", ">", 2**20 - 1, [0, 1, 2]),
    ("concurrency", "==", 1, [0, 1, 2]),
    ("previousOnNode", "==", "completed", [2]),
    ("previousOnNode", "==", None, [0, 1, 3]),
]


@pytest.mark.parametrize(("attribute", "op", "value", "found"), CONDITIONS)
def test_a_condition_holds_for_these_tasks(attribute: str, op: str, value: Any, found: list[int]) -> None:
    """Names and units of the contract; what is unknown matches null only."""
    mask = matches([{"attribute": attribute, "op": op, "value": value}], ROWS)
    assert np.flatnonzero(mask).tolist() == found


def test_all_conditions_of_a_pattern_hold() -> None:
    """A pair matches what both match, and no condition matches all."""
    pair = [{"attribute": "node", "op": "==", "value": "a"}, {"attribute": "args.has", "op": "==", "value": "yes"}]
    assert np.flatnonzero(matches(pair, ROWS)).tolist() == [2]
    assert matches([], ROWS).all()


@pytest.mark.parametrize("wrong", [("nonsense", "==", 1), ("name", "~", "x"), ("nonsense", ">", 1)])
def test_what_the_contract_does_not_know_is_refused(wrong: tuple[str, str, Any]) -> None:
    """A misspelt attribute must not look like a pattern without tasks."""
    with pytest.raises(KeyError):
        matches([dict(zip(("attribute", "op", "value"), wrong, strict=True))], ROWS)


def test_the_last_line_of_a_task_counts_if_it_completed_or_crashed() -> None:
    """A retried crash, a stopped task and one that runs are none."""
    case = retried(300, 1)
    assert len(case.rows) > 300
    assert len(counted(case.rows)) == len(case.failure) == 300
    stopped = replace(plain_row(0), status=Status.STOPPED.value)
    assert counted([plain_row(1), stopped, replace(plain_row(2), status=Status.RUNNING.value)]) == [plain_row(1)]


def test_each_planted_pattern_counts_once() -> None:
    """The planted sets are found; the same again and a true relative are redundant, a random set is false."""
    case = planted(5000, 1)
    sets = [each.tasks for each in case.planted]
    assert judge(sets, case) == Judgement(6, 6, 6, 0, 0)
    relative = sets[0] & (np.arange(5000) % 3 > 0)
    chance = np.arange(5000) % 7 == 0
    assert judge([sets[0], sets[0], relative, chance], case) == Judgement(4, 6, 1, 1, 2)
    assert judge([], case).recall == 0


def test_only_what_is_claimed_is_judged() -> None:
    """Basic patterns, bursty ones and insignificant ones are shown but not claimed."""
    case = planted(1000, 2)
    force = {"conditions": [{"attribute": "args.has", "op": "==", "value": "--force"}]}
    kinds = [("recurring", True), ("recurring", False), ("bursty", True), ("basic", True)]
    stats = {"patterns": [{**force, "kind": kind, "significant": significant} for kind, significant in kinds]}
    assert judge_stats(stats, case) == Judgement(1, 6, 1, 0, 0)


def test_a_plain_test_finds_what_is_there_and_is_fooled_by_bursts() -> None:
    """It is what others do: nothing or little in noise, the planted sets among others, and false ones wherever failures come in bursts."""
    assert sum(bool(plain_z(noise(2000, seed).rows)) for seed in range(5)) <= 2
    case = planted(5000, 1)
    assert judge(plain_z(case.rows), case).found >= 4
    assert all(plain_z(bursty_names(10_000, seed).rows) for seed in range(3))
    waves = ar_outcome(5000, 1)
    assert plain_z(circular_shift(waves.rows, 2000))


@pytest.mark.parametrize("by", [0, 1, 40, 99])
def test_a_circular_shift_moves_outcomes_only(by: int) -> None:
    """In the order of ends each task has the outcome of the one so many before it; tasks that count in no rate stay as they are."""
    rows = [*noise(99, 3).rows, replace(plain_row(500), status=Status.STOPPED.value)]
    shifted = circular_shift(rows, by)
    assert [replace(row, status="", cause=None, exit_code=None) for row in shifted] == [
        replace(row, status="", cause=None, exit_code=None) for row in rows
    ]
    assert shifted[-1] == rows[-1]
    assert _outcomes(shifted) == np.roll(_outcomes(rows), by).tolist()


def _outcomes(rows: list[HistoryRow]) -> list[bool]:
    return [row.status == Status.CRASHED for row in sorted(rows[:-1], key=lambda row: row.finished_at or 0)]


@pytest.mark.parametrize("shape", OTHER_SHAPES)
def test_a_case_is_what_it_says(shape: str) -> None:
    """Rates of what is planted lie apart from the rest, everywhere in the same order as the rows; another seed is another history."""
    draw, count = OTHER_SHAPES[shape]
    case = draw(count, 1)
    failed = np.array([row.status == Status.CRASHED for row in counted(case.rows)])
    assert len(failed) == len(case.failure) == count
    for each in case.planted:
        apart = case.failure[each.tasks].mean() - case.failure[~each.tasks].mean()
        assert abs(apart) > 0.05
        assert abs(failed[each.tasks].mean() - case.failure[each.tasks].mean()) < 0.15
    assert _same(draw(count, 1), case)
    assert not _same(draw(count, 2), case)


def _same(one: Case, other: Case) -> bool:
    return one.rows == other.rows


def test_an_outage_is_in_its_window() -> None:
    """Most that end in it fail, and most of those are of one node."""
    case = outage(5000, 2)
    assert case.window is not None
    inside = [row for row in case.rows if case.window[0] <= (row.finished_at or 0) < case.window[1]]
    assert 40 < len(inside) < 250
    failed = [row for row in inside if row.status == Status.CRASHED]
    assert len(failed) > 0.7 * len(inside)
    nodes = [row.node for row in failed]
    assert max(map(nodes.count, set(nodes))) > 0.55 * len(nodes)


def test_the_known_25_are_as_told() -> None:
    """18 of 25 completed; 10 of 12 with long names; 5 of 8 that ran longer than a second."""
    rows = known_25()
    completed = [row.status == Status.COMPLETED for row in rows]
    long_names = [len(row.job_name or "") > 10 for row in rows]
    long_runs = [(row.duration_us or 0) > 1_000_000 for row in rows]
    assert (len(rows), sum(completed)) == (25, 18)
    assert (sum(long_names), sum(a and b for a, b in zip(long_names, completed, strict=True))) == (12, 10)
    assert (sum(long_runs), sum(a and b for a, b in zip(long_runs, completed, strict=True))) == (8, 5)
