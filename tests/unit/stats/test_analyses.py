"""Analyses: what is kept between two answers never makes the second one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from jobmgr.history import HistoryRow
from jobmgr.stats import summary
from jobmgr.stats.columns import Columns
from jobmgr.stats.discovery.tables import Tables
from jobmgr.stats.findings import Stats
from jobmgr.stats.query import Question, Target
from jobmgr.stats.summary import Analyses, patterns_of, summarize
from tests.unit.stats.histories import columns_of, series


def a_history(count: int) -> list[HistoryRow]:
    """A task a minute, of which every fifth crashed, by chance."""
    return series(np.random.default_rng(3).random(count) < 0.2, job_name="x", script="run.sh")


def put(columns: Columns, rows: Sequence[HistoryRow]) -> None:
    """More tasks."""
    for row in rows:
        columns.put(len(columns) + 1000, (row,))
        columns.settle()


def test_what_came_since_is_in_the_answer() -> None:
    """As it would be in an answer from nothing but columns."""
    rows = a_history(420)
    columns, answer = columns_of(rows[:400]), Analyses()
    answer(columns, total_jobs=400, now=0)
    put(columns, rows[400:])
    kept, anew = (ask(columns, total_jobs=420, now=0) for ask in (answer, summarize))
    assert kept["analysis"]["finishedTasks"] == 420
    assert kept["overallSuccessRate"] == anew["overallSuccessRate"]
    assert matched(kept) == matched(anew)


def test_after_a_failure_half_way_every_task_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables in which tasks are entered, but not counted, would leave them out of every answer from then on."""
    rows = a_history(420)
    columns, answer = columns_of(rows[:400]), Analyses()
    answer(columns, total_jobs=400, now=0)
    put(columns, rows[400:])
    with monkeypatch.context() as patch:
        patch.setattr(Tables, "_count", fails)
        with pytest.raises(MemoryError):
            answer(columns, total_jobs=420, now=0)
    kept, anew = (ask(columns, total_jobs=420, now=0) for ask in (answer, summarize))
    assert kept["overallSuccessRate"] == anew["overallSuccessRate"]
    assert matched(kept) == matched(anew)


def test_another_number_of_patterns_needs_no_other_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who ask for different numbers in turn do not make each other wait."""
    columns, answer = columns_of(a_history(400)), Analyses()
    for most in (12, 3, 12):
        question = Question(max_patterns=most)
        assert answer(columns, question, total_jobs=400, now=0) == summarize(columns, question, total_jobs=400, now=0)
    with monkeypatch.context() as patch:
        patch.setattr(Tables, "__init__", fails)
        answer(columns, Question(max_patterns=5), total_jobs=400, now=0)


@pytest.mark.parametrize("question", [Question(), Question(name="x", max_patterns=3), Question(Target.SLOW)])
def test_patterns_alone_are_those_of_the_answer(question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else is looked for on the way."""
    columns = columns_of(a_history(400))
    told = summarize(columns, question, total_jobs=400, now=0)["patterns"]
    for dear in ("incidents", "changepoints", "flakiness"):
        monkeypatch.setattr(summary, dear, fails)
    assert patterns_of(columns, question) == told


def fails(*_: object, **__: object) -> None:
    """In place of what has no room."""
    raise MemoryError


def matched(stats: Stats) -> list[int]:
    """How many tasks match each pattern."""
    return [pattern["matchCount"] for pattern in stats["patterns"]]
