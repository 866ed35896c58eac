"""Answers that are kept up to date say what a fresh one says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bench.cases.shapes import planted
from jobmgr.history import HistoryRow
from jobmgr.stats import summary
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import Stats
from jobmgr.stats.query import EVERYTHING, Question, Target
from jobmgr.stats.summary import Analyses, columns_of, summarize
from tests.unit.stats.histories import MINUTE, START, attempt

NOW = START + 10**12


def planted_in(count: int, seed: int) -> list[HistoryRow]:
    """A history with patterns, in the order of its ends."""
    return sorted(planted(count, seed).rows, key=lambda row: row.finished_at or 0)


ROWS = planted_in(900, 2)


def put(columns: Columns, rows: Sequence[HistoryRow], first: int) -> None:
    """Each row as a task of its own."""
    for key, row in enumerate(rows, first):
        columns.put(key, [row])
    columns.settle()


def known(stats: Stats) -> tuple[int, float, dict[str, tuple[Any, ...]]]:
    """The four known fields."""
    patterns = {one["pattern"]: tuple(list(one.values())[1:4]) for one in stats["patterns"]}
    return stats["totalJobs"], stats["overallSuccessRate"], patterns


def basics(stats: Stats) -> set[str]:
    """The patterns that are always shown."""
    return {one["pattern"] for one in stats["patterns"] if one["kind"] == "basic"}


def same_known(kept: Stats, fresh: Stats) -> bool:
    """Whether the known fields agree: the rates, and all that is always shown, be it discovered besides in one of them."""
    (*first, told), (*second, told_afresh) = known(kept), known(fresh)
    shown = basics(kept) | basics(fresh)
    return first == second and all(told.get(name) == told_afresh.get(name) for name in shown)


def found(stats: Stats) -> list[tuple[str, str, Any]]:
    """What was discovered, of which kind, with its conditions."""
    return [(one["pattern"], one["kind"], one["conditions"]) for one in stats["patterns"] if one["kind"] != "basic"]


# --- growth


@settings(deadline=None, max_examples=12)
@given(st.lists(st.integers(0, 250), min_size=1, max_size=4), st.booleans())
def test_an_answer_after_growth_has_the_known_fields_of_a_fresh_one(pieces: list[int], running: bool) -> None:
    """Whatever the pieces: none, a few, more than a tenth; totals, rates and counts of all that is shown are exact."""
    analyses, columns, place = Analyses(), Columns(), 0
    for size in pieces:
        put(columns, ROWS[place : place + size], place)
        place = min(place + size, len(ROWS))
        if running:
            put(columns, [attempt(status="running", finished_at=START)], 10_000)
        kept = analyses(columns, total_jobs=place, now=NOW)
        fresh = summarize(columns, total_jobs=place, now=NOW)
        assert same_known(kept, fresh)
        assert kept["analysis"]["finishedTasks"] == fresh["analysis"]["finishedTasks"] == place
        for pattern in kept["patterns"]:  # Whatever is discovered, its count is right.
            alike = [other for other in fresh["patterns"] if other["conditions"] == pattern["conditions"]]
            assert all(list(other.values())[:4] == list(pattern.values())[:4] for other in alike)


def test_what_was_searched_again_is_what_a_fresh_search_finds() -> None:
    """With a tenth more tasks levels and blocks are chosen anew: then all of the answer is the same."""
    analyses, columns = Analyses(), Columns()
    put(columns, ROWS[:600], 0)
    before = analyses(columns, total_jobs=1, now=NOW)
    put(columns, ROWS[600:], 600)
    after = analyses(columns, total_jobs=1, now=NOW)
    assert after == summarize(columns, total_jobs=1, now=NOW)
    assert after["analysis"]["finishedTasks"] > before["analysis"]["finishedTasks"]


def test_a_few_new_tasks_are_searched_on_the_same_tables() -> None:
    """Below a tenth the levels stay; what is strong is found as by a fresh search."""
    rows = planted_in(4000, 2)
    analyses, columns = Analyses(), Columns()
    put(columns, rows[:3800], 0)
    analyses(columns, total_jobs=1, now=NOW)
    tables = analyses._kept.finder.tables if analyses._kept else None
    put(columns, rows[3800:], 3800)
    kept, fresh = analyses(columns, total_jobs=1, now=NOW), summarize(columns, total_jobs=1, now=NOW)
    assert analyses._kept is not None
    assert analyses._kept.finder.tables is tables
    assert {name for name, kind, _ in found(kept) if kind == "recurring"} & {name for name, _, _ in found(fresh)} >= {"Node node-3"}  # fmt: skip
    assert same_known(kept, fresh)


def test_asking_twice_gives_the_same() -> None:
    """Nothing is counted twice."""
    analyses, columns = Analyses(), columns_of(ROWS)
    assert analyses(columns, total_jobs=5, now=NOW) == analyses(columns, total_jobs=5, now=NOW)


# --- whatever happens


class AnyOrder(RuleBasedStateMachine):
    """Tasks end, are restarted, forgotten; questions come between, also narrower ones. After each step the kept answer is that of a fresh one."""

    def __init__(self) -> None:
        super().__init__()
        self.columns, self.analyses = Columns(), Analyses()
        self.next, self.keys = 0, list[int]()

    @initialize(count=st.sampled_from([0, 10, 60, 300]))
    def begin(self, count: int) -> None:
        """Some history."""
        self.more(count)

    @rule(count=st.integers(1, 25))
    def more(self, count: int) -> None:
        """Tasks end."""
        rows = [ROWS[(self.next + place) % len(ROWS)] for place in range(count)]
        moved = [replace(row, finished_at=START + (self.next + place) * MINUTE) for place, row in enumerate(rows)]
        put(self.columns, moved, self.next)
        self.keys += range(self.next, self.next + count)
        self.next += count

    @rule(place=st.integers(0, 10**6), how=st.sampled_from(["completed", "crashed", "stopped", "lost", "running"]))
    def again(self, place: int, how: str) -> None:
        """A task stands otherwise, or ends late, long before the newest."""
        if self.keys:
            key = self.keys[place % len(self.keys)]
            put(self.columns, [replace(ROWS[key % len(ROWS)], status=how, finished_at=START + key * MINUTE + 1)], key)

    @rule(places=st.sets(st.integers(0, 10**6), max_size=5))
    def forget(self, places: set[int]) -> None:
        """Tasks are deleted."""
        gone = {self.keys[place % len(self.keys)] for place in places if self.keys}
        self.columns.forget(gone)
        self.keys = [key for key in self.keys if key not in gone]

    @rule(
        question=st.sampled_from(
            [Question(target=Target.SLOW), Question(until=START + 90 * MINUTE), Question(max_patterns=1)]
        )
    )
    def ask_otherwise(self, question: Question) -> None:
        """A narrower question leaves no trace in what is kept."""
        assert self.analyses(self.columns, question, total_jobs=1, now=NOW)["totalJobs"] == 1

    @invariant()
    def as_afresh(self) -> None:
        """The known fields, exactly."""
        kept = self.analyses(self.columns, total_jobs=self.next, now=NOW)
        fresh = summarize(self.columns, total_jobs=self.next, now=NOW)
        assert same_known(kept, fresh)
        assert kept["analysis"]["finishedTasks"] == fresh["analysis"]["finishedTasks"]


AnyOrder.TestCase.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
TestAnyOrder = AnyOrder.TestCase


# --- when little is new


def test_with_few_new_tasks_of_very_many_old_findings_are_told_with_new_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """From so many tasks on a search waits for a hundredth more, or a minute; the counts never do."""
    monkeypatch.setattr(summary, "DEAR_TASKS", 500)
    clock = [1000.0]
    monkeypatch.setattr(summary, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    analyses, columns = Analyses(), Columns()
    put(columns, ROWS[:800], 0)
    analyses(columns, total_jobs=1, now=NOW)
    kept = analyses._kept
    assert kept is not None
    searched = kept.searched_at
    put(columns, ROWS[800:805], 800)
    clock[0] += 30
    assert analyses(columns, total_jobs=1, now=NOW)["analysis"]["finishedTasks"] == 805
    assert kept.searched_at == searched
    clock[0] += 31
    analyses(columns, total_jobs=1, now=NOW)
    assert kept.searched_at == clock[0]
    put(columns, ROWS[805:820], 805)
    clock[0] += 1
    analyses(columns, total_jobs=1, now=NOW)
    assert kept.searched_at == clock[0]


@pytest.mark.parametrize("other", ["zone", "columns", "patterns"])
def test_what_is_kept_is_of_one_question(other: str) -> None:
    """Another time zone, other columns, another number of patterns: computed anew."""
    analyses, columns = Analyses(), columns_of(ROWS)
    analyses(columns, total_jobs=1, now=NOW)
    zone = ZoneInfo("Asia/Tokyo" if other == "zone" else "UTC")
    asked = columns_of(ROWS[:300]) if other == "columns" else columns
    question = Question(max_patterns=1) if other == "patterns" else EVERYTHING
    told = analyses(asked, question, total_jobs=1, now=NOW, zone=zone)
    assert told == summarize(asked, question, total_jobs=1, now=NOW, zone=zone)


def test_a_limit_of_patterns_is_kept_to() -> None:
    """Discovered ones; the basic ones are always shown."""
    columns = columns_of(planted_in(3000, 3))
    everything = summarize(columns, total_jobs=1, now=NOW)
    two = summarize(columns, Question(max_patterns=2), total_jobs=1, now=NOW)
    assert len(found(everything)) > 2
    assert found(two) == found(everything)[:2]
    assert summarize(columns, Question(max_patterns=0), total_jobs=1, now=NOW)["patterns"] != []


def test_a_question_about_a_part_is_that_of_the_part_alone() -> None:
    """Since and until: as if nothing else were known, but for what is told of the whole."""
    columns = columns_of(ROWS)
    border = int(np.sort(columns["at"])[450])
    late = summarize(columns, Question(since=border), total_jobs=9, now=NOW)
    alone = summarize(columns_of([row for row in ROWS if (row.finished_at or 0) >= border]), total_jobs=9, now=NOW)
    assert known(late) == known(alone)
    assert found(late) == found(alone)


def test_dropped_attempts_are_confessed() -> None:
    """Of a longer history only the newest are counted, and the answer says so."""
    columns = Columns(most=100)
    put(columns, ROWS[:150], 0)
    stats = summarize(columns, total_jobs=150, now=NOW)
    assert (stats["totalJobs"], stats["analysis"]["finishedTasks"]) == (150, 90)
    assert any("60 older ones are not" in note for note in stats["analysis"]["notes"])
