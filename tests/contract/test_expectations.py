"""What is expected of jobs, over a real store: with a history, without, and while the history is being read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.history import HistoryRow
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.stats.findings import Eta
from jobmgr.store.base import Claimed, Store
from jobmgr.store.listing import EVERY_JOB, JobFilter
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import a_spec, all_jobs, claimed, ended, submitted, the_job
from tests.waiting import eventually


class Watched(SqliteStore):
    """Counts looks at what runs, and reads the history only when the test lets it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.looks = 0
        self.readable = asyncio.Event()
        self.readable.set()

    async def open_runs(self, *, after: int = -1, limit: int = 500) -> list[Claimed]:
        """One more look."""
        self.looks += after == -1
        return await super().open_runs(after=after, limit=limit)

    async def history(
        self, *, found: JobFilter = EVERY_JOB, after: tuple[int, int] = (-1, -1), limit: int = 500
    ) -> list[HistoryRow]:
        """When the test lets it."""
        await self.readable.wait()
        return await super().history(found=found, after=after, limit=limit)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Watched]:
    """Open and empty."""
    opened = Watched(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def analyzer(store: Watched) -> AsyncIterator[StatsAnalyzer]:
    """Of that store, on a node of one slot."""
    analyzer = StatsAnalyzer(store, slots=1)
    yield analyzer
    await analyzer.close()


async def a_past(store: Store, *, runs: int = 10, seconds: float = 60) -> None:
    """Runs of `my-task` that took so long."""
    for _ in range(runs):
        await submitted(store)
        [run] = await claimed(store)
        await ended(store, run, duration_us=round(seconds * MICROSECONDS))


async def a_run(store: Store, *, seconds_ago: float = 0) -> Claimed:
    """A job of `my-task` that began so long ago."""
    await submitted(store)
    [run] = await claimed(store, at=now_us() - round(seconds_ago * MICROSECONDS))
    return run


async def eta_of(analyzer: StatsAnalyzer, store: Store, job: int) -> Eta:
    """What is told of a job as soon as anything is."""

    async def told() -> Eta | None:
        return (await analyzer.etas([await the_job(store, job)])).get(job)

    eta: Eta = await eventually(told)
    return eta


async def test_a_running_job_is_told_when_it_ends(store: Watched, analyzer: StatsAnalyzer) -> None:
    """Ten runs took a minute; twenty seconds are gone."""
    await a_past(store)
    run = await a_run(store, seconds_ago=20)
    eta = await eta_of(analyzer, store, run.job)
    assert 20 < eta["p50"] < 43  # Less where the machine is slow: time goes by.
    assert (eta["basis"], eta["quality"], eta["longerThanUsual"]) == ("10 runs of this name", "good", False)


async def test_a_waiting_job_is_told_when_it_begins(store: Watched, analyzer: StatsAnalyzer) -> None:
    """The only slot is taken for another 40 seconds."""
    await a_past(store)
    await a_run(store, seconds_ago=20)
    [waits] = await submitted(store)
    eta = await eta_of(analyzer, store, waits)
    assert 20 < eta["p50"] < 43  # Less where the machine is slow: time goes by.
    assert eta["basis"] == "what runs in 1 slot and 0 tasks before it"


async def test_of_what_has_ended_nothing_is_expected(store: Watched, analyzer: StatsAnalyzer) -> None:
    """Nor is anything looked at for it."""
    await a_past(store)
    assert await analyzer.etas(await all_jobs(store)) == {}
    assert store.looks == 0


async def test_nobody_waits_for_a_history_that_is_read(store: Watched, analyzer: StatsAnalyzer) -> None:
    """Until it is there nothing is told; then it is."""
    await a_past(store)
    run = await a_run(store, seconds_ago=20)
    store.readable.clear()
    job = await the_job(store, run.job)
    for _ in range(20):
        assert await analyzer.etas([job]) == {}
    store.readable.set()
    await eta_of(analyzer, store, run.job)


async def test_one_look_serves_all_who_ask(store: Watched, analyzer: StatsAnalyzer) -> None:
    """A list of many pages, and many lists at once."""
    await a_past(store)
    run = await a_run(store)
    await eta_of(analyzer, store, run.job)
    looks, job = store.looks, await the_job(store, run.job)
    answers = await asyncio.gather(*(analyzer.etas([job]) for _ in range(200)))
    assert store.looks < looks + 10
    assert all(answers)


async def test_a_declared_timeout_and_deadline_are_caps(store: Watched, analyzer: StatsAnalyzer) -> None:
    """Of a run that takes a minute and may take 30 seconds, or must be done 25 seconds after its submission."""
    await a_past(store)
    now = now_us()
    await submitted(store, a_spec(timeout=30.0), a_spec(deadline=25.0), at=now)
    runs = await claimed(store, 2, at=now)
    timeout, deadline = [(await eta_of(analyzer, store, run.job))["p90"] for run in runs]
    assert 10 < timeout <= 30
    assert 5 < deadline <= 25


async def test_a_failing_look_fails_nobody(store: Watched, analyzer: StatsAnalyzer) -> None:
    """The list is shown without expectations."""
    run = await a_run(store)
    job = await the_job(store, run.job)
    await analyzer.close()
    assert await analyzer.etas([job]) == {}
