"""What statistics say of histories whose truth is known: what is there is found, what is not there is not claimed. With --stats by all seeds.

D1 to D8 are the names that docs/statistics.md gives the cases. How they are drawn and judged is in bench/ and knows nothing of how patterns are
discovered. The numbers are drawn from fixed seeds, so a test says the same each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import TypeAdapter

from bench.cases.bursts import circular_shift
from bench.cases.facts import Facts, counted
from bench.cases.shapes import OTHER_SHAPES
from bench.cases.small import degenerate, known_25
from bench.cases.traces import FILES, read_trace, trace_file
from bench.judging import claimed, matches, plain_z
from bench.scoring import answer, mean, score
from jobmgr.history import HistoryRow, ReadReport, read
from jobmgr.stats.findings import Stats
from jobmgr.stats.query import Question, Target
from jobmgr.stats.summary import columns_of, summarize

pytestmark = pytest.mark.timeout(900)  # --stats takes its time; without it each test takes seconds

Seeds = Callable[[int, int], range]


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> Seeds:
    """So many seeds usually, and so many with --stats."""
    everything = request.config.getoption("--stats")
    return lambda few, many: range(many if everything else few)


# --- D1


def test_the_known_25_jobs() -> None:
    """D1: the known four fields are exact, and nothing is claimed of so few."""
    stats, _ = answer(known_25())
    assert (stats["totalJobs"], stats["overallSuccessRate"]) == (25, 0.72)
    shown = {pattern["pattern"]: pattern for pattern in stats["patterns"]}
    known = [
        ("Job name length > 10", 12, 0.83, "+15%"),
        ("Job execution time > 1 second", 8, 0.63, "-13%"),
    ]
    for words, count, rate, difference in known:
        assert list(shown[words].items())[:4] == [
            ("pattern", words),
            ("matchCount", count),
            ("successRate", rate),
            ("differenceFromAverage", difference),
        ]
        assert shown[words]["kind"] == "basic"
    assert [pattern["pattern"] for pattern in stats["patterns"] if pattern["significant"]] == []


# --- D2: nothing is there


@pytest.mark.parametrize(("count", "few"), [(120, 6), (500, 6), (2000, 6), (10_000, 3)])
def test_nothing_is_claimed_of_noise(count: int, few: int, seeds: Seeds) -> None:
    """D2: where all tasks fail with the same probability, at most one run in ten claims anything."""
    assert mean(list(score("D2", count, seeds(few, 30))))["anySignificant"] <= 0.10


# --- D3: six patterns are there


@pytest.mark.parametrize(("count", "few", "recall"), [(2000, 6, 0.70), (5000, 4, 0.90), (20_000, 2, 0.93)])
def test_planted_patterns_are_found(count: int, few: int, recall: float, seeds: Seeds) -> None:
    """D3: nearly all that is planted is found, and hardly anything is shown that is false or says the same twice."""
    figures = mean(list(score("D3", count, seeds(few, 12))))
    assert figures["recall"] >= recall, figures
    assert figures["fdp"] <= 0.05, figures
    assert figures["redundant"] <= 1, figures


# --- D4: an outage


@pytest.mark.parametrize("case", ["D4", "D4-node"])
def test_an_outage_is_an_incident_and_no_pattern(case: str, seeds: Seeds) -> None:
    """D4: what went wrong once, in a fiftieth of the time, is told as one incident at its time; nothing is said to come again."""
    figures = mean(list(score(case, 5000, seeds(4, 12))))
    assert figures["any"] == 0, figures
    assert figures["outageTold"] == 1, figures


# --- D5: bursts that have nothing to do with the jobs


def test_a_wave_of_failures_that_is_turned_in_time_shows_no_pattern(seeds: Seeds) -> None:
    """D5: a plain test claims patterns of nearly every circular shift, jobmgr at most of one in ten."""
    figures = mean(list(score("D5", 5000, seeds(6, 20), plain=True)))
    assert figures["plainAny"] >= 0.8, figures
    assert figures["any"] <= 0.10, figures


@pytest.fixture(scope="module", params=FILES)
def trace(request: pytest.FixtureRequest) -> list[HistoryRow]:
    """A real log, where this machine has it."""
    path = trace_file(request.param)
    if path is None:
        pytest.skip(
            f"the log {FILES[request.param]} is no part of jobmgr, and not here; JOBMGR_TRACES names its folder"
        )
    return read_trace(path)


def test_a_real_log_turned_in_time_shows_no_pattern(trace: list[HistoryRow], seeds: Seeds) -> None:
    """D5: none of ten circular shifts of a real log has a recurring pattern; a plain test finds some in most."""
    tasks = len(counted(trace))
    shifts = [circular_shift(trace, tasks * (turn + 1) // 11) for turn in seeds(3, 10)]
    assert sum(bool(plain_z(rows)) for rows in shifts) >= 0.8 * len(shifts)
    assert [pattern["sentence"] for rows in shifts for pattern in claimed(answer(rows)[0])] == []


def test_what_is_found_early_in_a_real_log_holds_later(trace: list[HistoryRow]) -> None:
    """Of the patterns that the first 70 % of a real log show, and that the rest can judge, most hold there, and at least one does."""
    rows = sorted(counted(trace), key=_end)
    early, late = rows[: len(rows) * 7 // 10], Facts(rows[len(rows) * 7 // 10 :])
    verdicts = [_holds(pattern, late) for pattern in claimed(answer(early)[0])]
    judged = [verdict for verdict in verdicts if verdict is not None]
    assert any(judged)
    assert sum(judged) >= 0.7 * len(judged), verdicts


def _end(row: HistoryRow) -> int:
    return (row.created_at or 0) + (row.queue_wait_us or 0) + (row.duration_us or 0)


def _holds(pattern: Mapping[str, Any], late: Facts) -> bool | None:
    """The same sign, and one-sided p below 0.05 by a plain test; None: fewer than ten tasks."""
    from scipy.stats import norm

    mask = matches(pattern["conditions"], late)
    inside, total = int(mask.sum()), len(mask)
    if not 10 <= inside <= total - 10:
        return None
    bad, failed = int((mask & late.failed).sum()), int(late.failed.sum())
    spread = np.sqrt(failed / total * (1 - failed / total) * (1 / inside + 1 / (total - inside)))
    z = (bad / inside - (failed - bad) / (total - inside)) / spread
    more = pattern["riskDifference"][0] + pattern["riskDifference"][1] < 0
    return bool(norm.sf(z if more else -z) < 0.05)


# --- D8: days on which a name is bad


def test_bad_days_of_names_are_hardly_taken_for_patterns(seeds: Seeds) -> None:
    """D8: 12 % of (name, day) are bad and nothing comes again: at most one run in five claims anything, a plain test nearly always."""
    figures = mean(list(score("D8", 10_000, seeds(5, 20), plain=True)))
    assert figures["plainAny"] >= 0.8, figures
    assert figures["any"] <= 0.20, figures


# --- other shapes


@pytest.mark.parametrize("shape", OTHER_SHAPES)
def test_a_single_fact_is_found_and_nothing_else_claimed(shape: str, seeds: Seeds) -> None:
    """What is true in an odd shape of history is found in most runs; with one true pattern a run, one false one in seven shown is rare."""
    figures = mean(list(score(shape, 0, seeds(3, 12))))
    assert figures["recall"] >= 0.65, figures
    assert figures["fdp"] <= 0.15, figures
    assert figures["redundant"] <= 1, figures


def test_what_only_goes_with_the_cause_is_not_claimed(seeds: Seeds) -> None:
    """A name that fails and runs at night: the name alone is shown, not the night."""
    for each in score("confounded", 5000, seeds(3, 12)):
        assert (each.judgement.found, each.judgement.shown) == (1, 1), each.words


# --- bad input


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("history", degenerate())
def test_of_a_broken_history_little_is_said(history: str, target: Target) -> None:
    """An answer of the promised shape, without an exception or a warning, and with nothing found by a search."""
    stats = _ask(degenerate()[history], Question(target))
    assert claimed(stats) == []
    bounded = [pattern["successRate"] for pattern in stats["patterns"]] + [stats["overallSuccessRate"]]
    assert all(0 <= rate <= 1 for rate in bounded)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    "history", ["from the year 1 to no calendar", "huge durations", "times at the edges", "equal times"]
)
def test_no_time_is_too_odd_for_a_time_zone(history: str, zone: str) -> None:
    """Hours and dates of times that no calendar has are some hours and dates, also where clocks are ahead or behind."""
    assert claimed(_ask(degenerate()[history], Question(), ZoneInfo(zone))) == []


def test_so_many_names_that_none_says_anything(seeds: Seeds) -> None:
    """As many names as tasks: no pattern in them, and no failure."""
    count = seeds(50_000, 1_000_000)[-1] + 1
    plain = known_25()[0]
    rows = [replace(plain, job_id=f"job-{index}", job_name=f"run {index:x} of {index}") for index in range(count)]
    assert claimed(_ask(rows, Question())) == []


@pytest.mark.parametrize(
    "question",
    [
        Question(since=2**62),
        Question(until=0),
        Question(since=5, until=4),
        Question(name="nobody"),
        Question(group="nobody"),
        Question(name="\x00"),
        Question(max_patterns=0),
        Question(min_support=1),
        Question(min_support=10**9),
    ],
    ids=str,
)
def test_a_question_that_leaves_nothing_is_answered(question: Question) -> None:
    """Whatever part of the history is asked for, the answer has its shape."""
    assert claimed(_ask(degenerate()["something known"], question)) == []


def test_lines_that_say_the_impossible_are_unknown_and_answered() -> None:
    """NaN, negative durations, texts for numbers, missing fields: what is unusable is unknown, the rest is counted."""
    values: Sequence[Any] = (
        float("nan"),
        float("inf"),
        -1,
        -(2**70),
        2**70,
        "",
        "x",
        None,
        [],
        {},
        True,
        [[]],
        "2026-99-99",
    )
    fields = (
        "jobName",
        "args",
        "node",
        "createdAt",
        "finishedAt",
        "duration",
        "queueWait",
        "peakRssBytes",
        "attempt",
        "task",
    )
    lines = [
        json.dumps({"jobId": index, "status": ("completed", "crashed")[index % 3 == 0], name: value})
        for index, (name, value) in enumerate((name, value) for name in fields for value in values)
    ]
    report = ReadReport()
    rows = list(read(lines, report))
    stats = _ask(rows, Question())
    assert (len(rows), report.skipped) == (len(lines), 0)
    assert claimed(stats) == []
    assert stats["analysis"]["finishedTasks"] == len(lines)


def _ask(rows: list[HistoryRow], question: Question, zone: tzinfo = UTC) -> Stats:
    stats = summarize(columns_of(rows), question, total_jobs=len(rows), now=1_800_000_000_000_000, zone=zone)
    json.dumps(stats, allow_nan=False).encode()
    return TypeAdapter(Stats).validate_python(stats)
