"""What is looked for, and in which tasks."""

from __future__ import annotations

from typing import Any

import pytest

from jobmgr.history import HistoryRow
from jobmgr.stats.discovery.targets import LEAST_RUNS, rows_of
from jobmgr.stats.query import EVERYTHING, Question, Target
from tests.unit.stats.histories import START, attempt, columns_of

FIELDS = {Target.SLOW: "duration_us", Target.MEMORY: "peak_rss_bytes"}


def runs(field: str, *values: int | None, name: str | None = "job", **known: Any) -> list[HistoryRow]:
    """Tasks of one name with these values."""
    return [
        attempt(job_name=name, finished_at=START + place, **{field: value}, **known)
        for place, value in enumerate(values)
    ]


def asked(rows: list[HistoryRow], question: Question) -> tuple[list[int], list[bool]]:
    """Which rows a question is about, and which have its target."""
    found, flags = rows_of(columns_of(rows), question)
    return found.tolist(), flags.tolist()


@pytest.mark.parametrize("target", FIELDS)
def test_unusual_is_more_than_twice_the_median_of_the_name(target: Target) -> None:
    """Exactly twice is usual still."""
    rows = runs(FIELDS[target], *[100] * LEAST_RUNS, 200, 201)
    assert asked(rows, Question(target))[1] == [False] * LEAST_RUNS + [False, True]


def test_the_median_is_each_names_own() -> None:
    """What is long for one is short for another; names stand mixed."""
    short, long = runs("duration_us", *[10] * 20, 50), runs("duration_us", *[1000] * 20, 1500, name="long")
    rows = [row for pair in zip(short, long, strict=True) for row in pair]
    found, flags = asked(rows, Question(Target.SLOW))
    assert [found[place] for place, flag in enumerate(flags) if flag] == [40]


def test_of_an_even_number_the_median_lies_between_the_middle_two() -> None:
    """10 runs of 10 and 10 of 30: above 40 is unusual."""
    assert asked(runs("duration_us", *[10] * 10, *[30] * 10), Question(Target.SLOW))[1] == [False] * 20
    rows = runs("duration_us", *[10] * 11, *[30] * 11, 40, 41)
    assert asked(rows, Question(Target.SLOW))[1][-2:] == [False, False]
    rows = runs("duration_us", *[10] * 13, *[30] * 11, 40, 41)
    assert asked(rows, Question(Target.SLOW))[1][-2:] == [False, True]


@pytest.mark.parametrize("target", FIELDS)
def test_names_with_few_runs_are_left_out(target: Target) -> None:
    """Nobody can say what is usual of them; unknown names and unknown values are left out too."""
    field = FIELDS[target]
    few = runs(field, *[100] * (LEAST_RUNS - 1), name="few")
    unknown = runs(field, *[100] * 30, name=None) + runs(field, *[None] * 30, name="unmeasured")
    enough = runs(field, *[100] * LEAST_RUNS, name="enough")
    assert len(asked(few + unknown + enough, Question(target))[0]) == LEAST_RUNS


@pytest.mark.parametrize("target", FIELDS)
def test_crashed_tasks_are_neither(target: Target) -> None:
    """A crash cuts a run short."""
    rows = runs(FIELDS[target], *[100] * 25) + runs(FIELDS[target], *[1000] * 25, status="crashed")
    assert asked(rows, Question(target)) == (list(range(25)), [False] * 25)


def test_failures_are_crashes_of_tasks_that_finished() -> None:
    """What was stopped, lost or never began counts in no rate."""
    statuses = ("completed", "crashed", "stopped", "lost", "failed", "running", "completed")
    rows = [attempt(status=status, finished_at=START + place) for place, status in enumerate(statuses)]
    assert asked(rows, EVERYTHING) == ([0, 1, 6], [False, True, False])


@pytest.mark.parametrize(
    ("question", "left"),
    [
        (Question(since=START + 1), [1, 2, 3]),
        (Question(until=START + 3), [0, 1, 2]),
        (Question(since=START + 1, until=START + 2), [1]),
        (Question(since=START + 2, until=START + 2), []),
        (Question(name="a"), [0, 2]),
        (Question(group="g"), [0, 1]),
        (Question(name="a", group="g"), [0]),
        (Question(name="nobody"), []),
    ],
)
def test_a_question_narrows_what_is_looked_at(question: Question, left: list[int]) -> None:
    """From `since` on, before `until`; by name, by group."""
    rows = [
        attempt(job_name=name, group=group, finished_at=START + place)
        for place, (name, group) in enumerate([("a", "g"), ("b", "g"), ("a", "h"), ("b", None)])
    ]
    assert asked(rows, question)[0] == left


@pytest.mark.parametrize("target", FIELDS)
def test_the_largest_numbers_have_a_median(target: Target) -> None:
    """Two of them are more than a number of 64 bits holds."""
    rows = runs(FIELDS[target], *[2**63 - 1] * 30)
    assert asked(rows, Question(target))[1] == [False] * 30
