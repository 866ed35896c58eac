"""StatsAnalyzer: when it counts, and when it answers what it counted before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from jobmgr.job import Change
from jobmgr.stats.analyzer import COUNTS_STAND, MAX_AGE_S, StatsAnalyzer
from jobmgr.store.base import Progress
from jobmgr.store.history import FinishedTask
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, ended, running, submitted


class Counted(SqliteStore):
    """Counts how often the history is read from its beginning; each time takes `cost` seconds of the clock in its hand."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.counts = 0
        self.cost = 0.0
        self.now = 1000.0

    async def finished_tasks(self, *, after: int = -1, limit: int = 5000) -> list[FinishedTask]:
        """One more read."""
        if after == -1:
            self.counts += 1
            self.now += self.cost
        return await super().finished_tasks(after=after, limit=limit)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counted]:
    """Open and empty."""
    opened = Counted(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def analyzer(store: Counted) -> StatsAnalyzer:
    """With the clock of the store."""
    return StatsAnalyzer(store, clock=lambda: store.now)


async def test_what_changes_no_outcome_is_no_reason_to_count(store: Counted, analyzer: StatsAnalyzer) -> None:
    """Progress of what runs, whatever its number and however late."""
    run = await running(store)
    first = await analyzer.summary()
    for percent in range(5):
        await store.apply([Progress(run.task, run.run, AT, percent)])
        store.now += 10 * MAX_AGE_S
        assert await analyzer.summary() == first
    assert store.counts == 1


async def test_an_outcome_is_seen_at_once_where_counting_costs_nothing(store: Counted, analyzer: StatsAnalyzer) -> None:
    """A short history is always fresh."""
    run = await running(store)
    assert (await analyzer.summary())["totalJobs"] == 1
    await ended(store, run, Change.CRASH)
    assert len((await analyzer.summary())["patterns"]) == 1
    await submitted(store)
    assert (await analyzer.summary())["totalJobs"] == 2


@pytest.mark.parametrize(("cost", "age"), [(0.01, COUNTS_STAND * 0.01), (5.0, MAX_AGE_S)])
async def test_a_dear_answer_stands_for_a_while(
    store: Counted, analyzer: StatsAnalyzer, cost: float, age: float
) -> None:
    """In proportion to what it cost, but never for more than two seconds."""
    store.cost = cost
    await analyzer.summary()
    await submitted(store)
    store.now += 0.9 * age
    assert (await analyzer.summary())["totalJobs"] == 0
    store.now += 0.2 * age
    assert (await analyzer.summary())["totalJobs"] == 1
    assert store.counts == 2


async def test_hours_are_those_of_the_given_time_zone(store: Counted) -> None:
    """AT is 8 o'clock in UTC."""
    await ended(store, await running(store))
    east = StatsAnalyzer(store, timezone=timezone(timedelta(hours=3)))
    assert (await east.summary())["patterns"][-1]["pattern"] == "Submitted between 11:00 and 12:00"
