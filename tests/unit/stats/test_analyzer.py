"""StatsAnalyzer: when it computes, and when it answers what it computed before."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest

from jobmgr.errors import ShuttingDown
from jobmgr.job import Change
from jobmgr.stats.analyzer import DEAR_S, KEPT_ANSWERS, MAX_AGE_S, MAX_STALE_S, StatsAnalyzer
from jobmgr.stats.columns import COMPLETED, Columns
from jobmgr.stats.findings import Stats
from jobmgr.stats.forecast import Subject
from jobmgr.stats.query import EVERYTHING, Question
from jobmgr.stats.summary import summarize
from jobmgr.store.base import Progress, Restart
from jobmgr.store.pruning import Prune
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, a_spec, an_end, claimed, ended, running, submitted
from tests.waiting import eventually


class Counting:
    """In place of the analysis: counts what there is; each time takes `cost` seconds of the clock in its hand."""

    def __init__(self) -> None:
        self.times = 0
        self.cost = 0.0
        self.now = 1000.0
        self.questions: list[Question] = []
        self.zone: tzinfo = UTC
        self.threads: set[str] = set()
        self.fails: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, columns: Columns, question: Question, /, *, total_jobs: int, now: int, zone: tzinfo) -> Stats:
        """One more computation."""
        self.times += 1
        self.questions.append(question)
        self.zone = zone
        self.threads.add(threading.current_thread().name)
        assert self.may_go_on.wait(30)
        self.now += self.cost
        if self.fails is not None:
            raise self.fails
        outcomes = columns.outcomes()
        completed = int((columns["status"][outcomes] == COMPLETED).sum())
        return _answer(total_jobs, len(outcomes), completed)


def _answer(jobs: int, tasks: int, completed: int) -> Stats:
    return {
        "totalJobs": jobs,
        "overallSuccessRate": completed / tasks if tasks else 0.0,
        "patterns": [],
        "incidents": [],
        "changepoints": [],
        "flakiness": {},
        "analysis": {
            "target": "failure",
            "finishedTasks": tasks,
            "hypotheses": 0,
            "method": "robust-BH",
            "fdr": 0.05,
            "timeBlocks": 0,
            "inflation": 1.0,
            "computedAt": "2025-11-22T08:00:00Z",
            "fresh": True,
            "notes": [],
        },
    }


def known(stats: Stats) -> tuple[int, int, bool]:
    """Jobs, finished tasks, and whether that is fresh."""
    return stats["totalJobs"], stats["analysis"]["finishedTasks"], stats["analysis"]["fresh"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Open and empty."""
    opened = SqliteStore(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def counting() -> Counting:
    """Free of cost."""
    return Counting()


@pytest.fixture
async def analyzer(store: SqliteStore, counting: Counting) -> AsyncIterator[StatsAnalyzer]:
    """With the clock of the one who counts."""
    started = StatsAnalyzer(store, clock=lambda: counting.now, summarize=counting)
    await started.start()
    yield started
    await started.close()


async def finished(store: SqliteStore, tasks: int) -> None:
    """A job of so many tasks, all completed."""
    await submitted(store, a_spec(num_tasks=tasks))
    await store.apply([an_end(run) for run in await claimed(store, tasks)], first=True)


async def test_what_changes_no_outcome_is_no_reason_to_count(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """Progress of what runs, whatever its number and however late."""
    run = await running(store)
    first = await analyzer.stats()
    for percent in range(5):
        await store.apply([Progress(run.task, run.run, AT, percent)])
        counting.now += 10 * MAX_STALE_S
        assert await analyzer.stats() == first
    assert counting.times == 1


@pytest.mark.parametrize("cost", [0.0, DEAR_S])
async def test_an_outcome_is_seen_at_once_where_counting_is_cheap(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer, cost: float
) -> None:
    """A short history is always fresh: what ended before the request is in the answer."""
    counting.cost = cost
    run = await running(store)
    assert known(await analyzer.stats()) == (1, 0, True)
    await ended(store, run, Change.CRASH)
    assert known(await analyzer.stats()) == (1, 1, True)
    await submitted(store)
    assert known(await analyzer.stats()) == (2, 1, True)
    await store.apply([Restart(0, AT)])
    assert known(await analyzer.stats()) == (2, 0, True)


@pytest.mark.parametrize("cost", [1.1 * DEAR_S, 5.0])
async def test_a_dear_answer_stands_for_a_while(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer, cost: float
) -> None:
    """For two seconds, whatever it cost; meanwhile it says that it is not fresh."""
    counting.cost = cost
    await analyzer.stats()
    await submitted(store)
    counting.now += 0.9 * MAX_AGE_S
    assert known(await analyzer.stats()) == (0, 0, False)
    counting.now += 0.2 * MAX_AGE_S
    assert known(await analyzer.stats()) == (1, 0, True)
    assert counting.times == 2


async def test_while_little_has_changed_a_dear_answer_is_renewed_behind(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """Nobody waits for a second because one of three hundred tasks is new; the next one gets the new answer."""
    counting.cost = 1.0
    await finished(store, 300)
    assert known(await analyzer.stats()) == (1, 300, True)
    await finished(store, 1)
    counting.now += 2 * MAX_AGE_S
    assert known(await analyzer.stats()) == (1, 300, False)
    await eventually(lambda: counting.times == 2)
    await eventually(lambda: not analyzer.busy)
    assert known(await analyzer.stats()) == (2, 301, True)
    assert counting.times == 2


async def test_an_answer_of_another_hour_is_not_given(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """However little has changed."""
    counting.cost = 1.0
    await finished(store, 300)
    await analyzer.stats()
    await finished(store, 1)
    counting.now += 2 * MAX_STALE_S
    assert known(await analyzer.stats()) == (2, 301, True)


async def test_those_who_ask_while_it_is_computed_share_the_next_computation(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """The one that goes on began before they asked; one after it is for all of them."""
    counting.may_go_on.clear()
    first = asyncio.create_task(analyzer.stats())
    await eventually(lambda: counting.times == 1)
    await ended(store, await running(store))
    others = [asyncio.create_task(analyzer.stats()) for _ in range(10)]
    await asyncio.sleep(0)
    counting.may_go_on.set()
    assert [known(stats) for stats in await asyncio.gather(first, *others)] == [(0, 0, True)] + [(1, 1, True)] * 10
    assert counting.times == 2


async def test_each_question_has_its_answer(store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer) -> None:
    """A few of them are kept, the one asked last for the longest."""
    questions = [Question(name=str(number)) for number in range(KEPT_ANSWERS)]
    for question in (EVERYTHING, *questions[:-1], EVERYTHING, questions[-1], EVERYTHING):
        await analyzer.stats(question)
    assert counting.questions == [EVERYTHING, *questions]
    await analyzer.stats(questions[0])
    assert counting.questions[-1] == questions[0]


async def test_a_failure_is_of_its_request_only(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """The next one tries again."""
    counting.fails = FloatingPointError("no")
    with pytest.raises(FloatingPointError):
        await analyzer.stats()
    counting.fails = None
    await ended(store, await running(store))
    assert known(await analyzer.stats()) == (1, 1, True)


async def test_a_failure_behind_an_answer_is_heard_of_by_the_next(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """An old answer does not hide for ever that nothing newer can be computed."""
    counting.cost = 1.0
    await finished(store, 300)
    await analyzer.stats()
    await finished(store, 1)
    counting.now += 2 * MAX_AGE_S
    counting.fails = FloatingPointError("no")
    await analyzer.stats()
    await eventually(lambda: counting.times == 2)
    await eventually(lambda: not analyzer.busy)
    with pytest.raises(FloatingPointError):
        await analyzer.stats()


async def test_others_compute_in_the_same_thread(
    store: SqliteStore, counting: Counting, analyzer: StatsAnalyzer
) -> None:
    """Which is not the one of the event loop; what ended before is in the columns."""
    await ended(store, await running(store))
    await analyzer.stats()
    await ended(store, await running(store))
    count, name = await analyzer.run(lambda columns: (len(columns), threading.current_thread().name))
    assert count == 2
    assert counting.threads == {name}
    assert name != threading.current_thread().name


async def test_nothing_is_read_before_the_first_question(
    store: SqliteStore, analyzer: StatsAnalyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that nobody asks stays as small as without statistics."""
    asked = asyncio.Event()

    async def history(**_: Any) -> list[Any]:
        asked.set()
        return []

    monkeypatch.setattr(store, "history", history)
    await ended(store, await running(store))
    for _ in range(10):  # Turns of the loop in which whoever follows could begin.
        await asyncio.sleep(0)
    assert not asked.is_set()
    await analyzer.stats()
    assert asked.is_set()


async def test_closed_it_answers_no_more(store: SqliteStore, counting: Counting) -> None:
    """Closing is safe to repeat, and before the start."""
    analyzer = StatsAnalyzer(store, summarize=counting)
    await analyzer.close()
    await analyzer.close()
    with pytest.raises(ShuttingDown):
        await analyzer.stats()


async def test_hours_are_those_of_the_given_time_zone(store: SqliteStore, counting: Counting) -> None:
    """It reaches the analysis."""
    east = timezone(timedelta(hours=3))
    analyzer = StatsAnalyzer(store, timezone=east, summarize=counting)
    await analyzer.stats()
    assert counting.zone == east
    await analyzer.close()


async def test_an_hour_of_day_is_told_in_the_given_time_zone(store: SqliteStore) -> None:
    """AT is 8 o'clock in UTC."""
    await ended(store, await running(store))
    east = StatsAnalyzer(store, timezone=timezone(timedelta(hours=3)), summarize=summarize)
    patterns = [pattern["pattern"] for pattern in (await east.stats())["patterns"]]
    assert "Submitted between 11:00 and 12:00" in patterns
    await east.close()


async def test_columns_that_were_replaced_are_let_go(store: SqliteStore) -> None:
    """Two million attempts are not held twice because the events between were pruned."""
    await ended(store, await running(store))
    analyzer = StatsAnalyzer(store)
    await analyzer.stats()
    await analyzer.usual_us([Subject("x", None, None)])
    before = await analyzer.run(weakref.ref)
    await ended(store, await running(store))
    await store.apply([Prune(AT + 10**9, 0)])
    assert await analyzer.run(len) == 2
    gc.collect()
    assert before() is None
    assert (await analyzer.stats())["analysis"]["finishedTasks"] == 2
    await analyzer.close()
