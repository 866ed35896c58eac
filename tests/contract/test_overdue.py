"""What runs unusually long is told of, once: the watch over a real store and a real history, with a floor of a fraction of a second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.events import JOB_UPDATE, TASK_UPDATE, Event
from jobmgr.overdue import OverdueWatch
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.stats.forecast import Subject
from jobmgr.store.base import Claimed, Store
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import OWNER, claimed, ended, submitted, the_job
from tests.waiting import eventually

FLOOR_S = 0.05


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Open and empty."""
    opened = SqliteStore(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def watch(store: SqliteStore) -> AsyncIterator[OverdueWatch]:
    """Not yet started."""
    analyzer = StatsAnalyzer(store, unusual_s=FLOOR_S)
    watch = a_watch(store, analyzer)
    yield watch
    await watch.stop()
    await analyzer.close()


def a_watch(store: Store, analyzer: StatsAnalyzer, *, node: str = OWNER.node) -> OverdueWatch:
    """A watch that finds everything long."""
    return OverdueWatch(store, analyzer.usual_us, node=node, floor_s=FLOOR_S, rest_s=0.01)


async def a_past(store: Store, runs: int = 8, *, seconds: float = 0.01) -> None:
    """Runs of `my-task` that took so long."""
    for _ in range(runs):
        run = await a_run(store)
        await ended(store, run, duration_us=round(seconds * MICROSECONDS))


async def a_run(store: Store) -> Claimed:
    """A job of `my-task` that begins now."""
    await submitted(store)
    [run] = await claimed(store, at=now_us())
    return run


async def told_of(store: Store) -> list[Event]:
    """The events that call something overdue."""
    return [event for event in await store.events() if event.data.get("longerThanUsual")]


async def test_a_long_run_is_told_of_and_goes_on(store: SqliteStore, watch: OverdueWatch) -> None:
    """Its task and its job, each by an event; its status stays."""
    await a_past(store)
    run = await a_run(store)
    watch.start()
    told = await eventually(lambda: told_of(store))
    assert [(event.kind, event.job) for event in told] == [(TASK_UPDATE, run.job), (JOB_UPDATE, run.job)]
    assert (await the_job(store, run.job)).status == "running"


async def test_what_begins_later_is_told_of_too(store: SqliteStore, watch: OverdueWatch) -> None:
    """The watch hears of it; nothing ran when it began to watch."""
    await a_past(store)
    watch.start()
    first = await a_run(store)
    await eventually(lambda: told_of(store))
    second = await a_run(store)

    async def both() -> bool:
        return {event.job for event in await told_of(store)} == {first.job, second.job}

    await eventually(both)


async def test_after_a_restart_it_is_not_told_again(store: SqliteStore, watch: OverdueWatch, tmp_path: Path) -> None:
    """The next server finds that it was; what begins under it, it tells of."""
    await a_past(store)
    run = await a_run(store)
    watch.start()
    await eventually(lambda: told_of(store))
    await watch.stop()
    await store.close()
    again = SqliteStore(tmp_path / "data")
    await again.open()
    analyzer = StatsAnalyzer(again, unusual_s=FLOOR_S)
    watch = a_watch(again, analyzer)
    watch.start()
    other = await a_run(again)
    await eventually(lambda: told_among(again, other.job))
    assert len([event for event in await told_of(again) if event.job == run.job]) == 2
    await watch.stop()
    await analyzer.close()
    await again.close()


async def told_among(store: Store, job: int) -> bool:
    """Whether this one was told of."""
    return job in {event.job for event in await told_of(store)}


async def test_with_few_runs_nothing_is_unusual_until_there_are_more(store: SqliteStore, watch: OverdueWatch) -> None:
    """Seven have ended; when the eighth does, the one that still runs is overdue."""
    await a_past(store, 7)
    run = await a_run(store)
    watch.start()
    await eventually(lambda: now_us() - run.claimed_at > 3 * FLOOR_S * MICROSECONDS)
    assert await told_of(store) == []
    await a_past(store, 1)
    await eventually(lambda: told_among(store, run.job))


async def test_the_runs_of_other_nodes_are_theirs_to_tell_of(store: SqliteStore, watch: OverdueWatch) -> None:
    """Each node watches its own."""
    await a_past(store)
    run = await a_run(store)
    analyzer = StatsAnalyzer(store, unusual_s=FLOOR_S)
    elsewhere = a_watch(store, analyzer, node="elsewhere")
    assert await elsewhere._look() is None
    await analyzer.close()
    watch.start()
    await eventually(lambda: told_among(store, run.job))


async def test_short_runs_ask_nobody(store: SqliteStore) -> None:
    """What has not reached the floor costs no question, and so no history that is read."""
    questions: list[Sequence[Subject]] = []

    async def usual(subjects: Sequence[Subject]) -> Sequence[int | None]:
        questions.append(subjects)
        return [None] * len(subjects)

    watch = OverdueWatch(store, usual, node=OWNER.node, floor_s=60)
    run = await a_run(store)
    wait_s = await watch._look()
    assert wait_s is not None and 50 < wait_s <= 60
    assert questions == []
    await ended(store, run)
    assert await watch._look() is None


async def test_it_is_looked_at_again_when_it_may_be_overdue(store: SqliteStore) -> None:
    """Usual is an hour: nothing is done before. Nobody knows: when it has run for twice as long."""
    run = await a_run(store)
    answers: list[int | None] = [3600 * MICROSECONDS]

    async def usual(_: Sequence[Subject]) -> Sequence[int | None]:
        return answers

    watch = OverdueWatch(store, usual, node=OWNER.node, floor_s=0.0)
    assert await watch._look() == pytest.approx(3600, abs=30)
    answers[0] = None
    wait_s = await watch._look()
    assert wait_s is not None
    assert wait_s <= (now_us() - run.claimed_at) / MICROSECONDS
    assert await told_of(store) == []


async def test_a_watch_that_fails_goes_on(store: SqliteStore) -> None:
    """Statistics that cannot be computed end nothing."""

    async def usual(_: Sequence[Subject]) -> Sequence[int | None]:
        raise ZeroDivisionError

    await a_run(store)
    watch = OverdueWatch(store, usual, node=OWNER.node, floor_s=0.0)
    assert await watch._look_safely() == 60.0
