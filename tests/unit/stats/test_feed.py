"""Feed: the columns are what the store holds, whatever happens, whenever it happens."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobmgr.events import Event
from jobmgr.history import HistoryRow
from jobmgr.job import Change
from jobmgr.stats import feed as feeding
from jobmgr.stats.columns import TYPES, Columns
from jobmgr.stats.feed import Feed
from jobmgr.store.base import Claim, Claimed, Delete, MakeDue, Restart, Stop, StoreChange, Submit, Unbegin
from jobmgr.store.listing import EVERY_JOB, JobFilter
from jobmgr.store.pruning import Prune
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, OWNER, a_spec, an_end, claimed, ended, running, submitted
from tests.waiting import eventually

T = TypeVar("T")


class Store(SqliteStore):
    """Counts the readings of the whole, and does something else between two pages of one."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.loads = 0
        self.meanwhile: Callable[[], Any] | None = None

    async def history(
        self, *, found: JobFilter = EVERY_JOB, after: tuple[int, int] = (-1, -1), limit: int = 500
    ) -> list[HistoryRow]:
        """A page; something may happen after it was read."""
        self.loads += after == (-1, -1)
        page = await super().history(found=found, after=after, limit=limit)
        if page and self.meanwhile is not None:
            await self.meanwhile()
        return page


async def at_once(function: Callable[[], T]) -> T:
    """In place of a thread."""
    return function()


def rows_of(columns: Columns) -> list[tuple[object, ...]]:
    """Every row in words, without the places at which it and its arguments stand."""
    texts = {"name": columns.names, "script": columns.scripts, "node": columns.nodes, "group": columns.groups}
    told = {name: columns[name].tolist() for name in TYPES if name != "order"}
    for name, known in texts.items():
        told[name] = [None if code < 0 else known.values[code] for code in told[name]]
    args = [
        tuple(columns.tokens.values[code] for code in columns.arguments[first : first + max(count, 0)])
        for first, count in zip(told.pop("first_token"), told["args_count"], strict=True)
    ]
    return sorted(zip(*told.values(), args, strict=True), key=repr)


async def fresh(store: SqliteStore) -> Feed:
    """All of it, read now."""
    feed = Feed(store, at_once)
    await feed.catch_up()
    return feed


async def assert_in_step(feed: Feed, store: SqliteStore) -> None:
    """The feed has, once it has caught up, what a fresh one has."""
    await feed.catch_up()
    again = await fresh(store)
    assert rows_of(feed.columns) == rows_of(again.columns)
    assert feed.columns.active == again.columns.active


def told(columns: Columns, *names: str) -> list[tuple[int, ...]]:
    """These columns, row by row."""
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open and empty."""
    opened = Store(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


class AnyOrder(RuleBasedStateMachine):
    """Random changes, between which the feed catches up or does not; each time it does, it equals a fresh load."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "data")
        self.loop.run_until_complete(self.store.open())
        self.feed = self.loop.run_until_complete(fresh(self.store))
        self.runs: list[Claimed] = []
        self.jobs: set[int] = set()
        self.at = AT

    def apply(self, *changes: StoreChange) -> list[Any]:
        """Do them in one apply, a little later than the last."""
        self.at += 10
        return self.loop.run_until_complete(self.store.apply(changes))

    @rule(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def submit(self, sizes: list[int]) -> None:
        """Jobs of one task and of several."""
        specs = [a_spec(f"n{n}", num_tasks=n, indexed=n == 3, args=("{index}",) * n) for n in sizes]
        [outcome] = self.apply(Submit(specs, self.at))
        self.jobs |= set(outcome.jobs)

    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        """Some begin."""
        [runs] = self.apply(Claim(limit, OWNER, self.at))
        self.runs += runs

    @precondition(lambda self: self.runs)
    @rule(
        data=st.data(),
        change=st.sampled_from([Change.COMPLETE, Change.CRASH, Change.RETRY, Change.STOP, Change.LOSE, Change.REFUSE]),
        due=st.booleans(),
    )
    def end(self, data: st.DataObject, change: Change, due: bool) -> None:
        """Old runs and new ones; what was lost may truly end later."""
        run = data.draw(st.sampled_from(self.runs))
        self.apply(an_end(run, change, at=self.at, due_at=self.at + 50 if due else None))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def unbegin(self, data: st.DataObject) -> None:
        """Any run may turn out never to have begun."""
        run = data.draw(st.sampled_from(self.runs))
        self.apply(Unbegin(run.task, run.run, self.at))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), verb=st.sampled_from([Stop, Restart, Delete]))
    def ask(self, data: st.DataObject, verb: type[Stop | Restart | Delete]) -> None:
        """At any time; some are refused."""
        self.apply(verb(data.draw(st.sampled_from(sorted(self.jobs))), self.at))

    @rule()
    def time_passes(self) -> None:
        """Waiting tasks become ready."""
        self.at += 50
        self.apply(MakeDue(self.at))

    @rule()
    def old_events_go(self) -> None:
        """Seen or not."""
        self.apply(Prune(self.at - 200, 0, limit=20))

    @rule()
    def catch_up(self) -> None:
        """In one go with whatever happened since."""
        self.loop.run_until_complete(assert_in_step(self.feed, self.store))

    @invariant()
    def nothing_is_pending(self) -> None:
        """What is in the columns is settled, also while they are behind."""
        assert len(self.feed.columns) == len(self.feed.columns["key"])

    def teardown(self) -> None:
        """Once more, and let go."""
        self.catch_up()
        self.loop.run_until_complete(self.store.close())
        self.loop.close()
        self.folder.cleanup()


AnyOrder.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyOrder = AnyOrder.TestCase


async def test_what_ends_is_appended(store: Store) -> None:
    """Once the history is read, it is not read again."""
    feed = await fresh(store)
    for _ in range(3):
        await ended(store, await running(store))
        await feed.catch_up()
    assert told(feed.columns, "key", "attempt", "standing") == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    assert store.loads == 1


async def test_what_waits_or_runs_is_no_row(store: Store) -> None:
    """A job of many tasks costs nothing before they end; those that run are told apart."""
    await submitted(store, a_spec(num_tasks=100))
    feed = await fresh(store)
    await claimed(store, 2)
    await assert_in_step(feed, store)
    assert len(feed.columns) == 0
    assert {key: row.task for key, row in feed.columns.active.items()} == {0: 0, 1: 1}


async def test_a_retry_adds_a_row_and_forgets_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ordinary course of a busy server never copies the columns."""
    feed = await fresh(store)
    monkeypatch.setattr(Columns, "_keep", None)
    run = await running(store)
    await ended(store, run, Change.RETRY)
    await feed.catch_up()
    [again] = await claimed(store)
    await feed.catch_up()
    await ended(store, again)
    await feed.catch_up()
    assert told(feed.columns, "attempt", "retries", "standing") == [(1, 0, 0), (2, 1, 1)]


async def test_a_restart_takes_the_outcome_out(store: Store) -> None:
    """At once, not when it ends again."""
    await ended(store, await running(store))
    feed = await fresh(store)
    assert len(feed.columns.outcomes()) == 1
    await store.apply([Restart(0, AT)])
    await assert_in_step(feed, store)
    assert len(feed.columns.outcomes()) == 0
    await claimed(store)
    await assert_in_step(feed, store)
    assert len(feed.columns.outcomes()) == 0


async def test_a_late_true_end_replaces_the_guess(store: Store) -> None:
    """The same attempt, another outcome."""
    run = await running(store)
    await ended(store, run, Change.LOSE)
    feed = await fresh(store)
    assert len(feed.columns.outcomes()) == 0
    await ended(store, run)
    await assert_in_step(feed, store)
    assert len(feed.columns.outcomes()) == len(feed.columns) == 1


async def test_a_deleted_job_leaves_nothing(store: Store) -> None:
    """With all of its tasks, and what ran of it when it was last seen."""
    await submitted(store, a_spec(num_tasks=3), a_spec())
    runs = await claimed(store, 4)
    await ended(store, runs[0])
    feed = await fresh(store)
    for run in runs[1:]:
        await ended(store, run)
    await store.apply([Delete(0, AT)])
    await assert_in_step(feed, store)
    assert told(feed.columns, "job", "key") == [(1, 3)]
    assert not feed.columns.active


async def test_what_changes_during_the_load_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the page that was read and before it: ends, restarts, a deletion, new jobs."""
    monkeypatch.setattr(feeding, "PAGE", 2)
    await submitted(store, *(a_spec(num_tasks=2) for _ in range(6)))
    runs = list(await claimed(store, 9))
    for run in runs[:6]:
        await ended(store, run)
    changes: list[StoreChange] = [Restart(0, AT), Delete(1, AT), an_end(runs[6], Change.CRASH), an_end(runs[8])]

    async def meanwhile() -> None:
        if changes:
            await store.apply([changes.pop(0)])
            await submitted(store)

    store.meanwhile = meanwhile
    feed = await fresh(store)
    assert not changes
    store.meanwhile = None
    await assert_in_step(feed, store)


async def test_all_is_read_again_where_events_are_missing(store: Store) -> None:
    """Beside the old columns, which stay as they were for whoever computes on them."""
    feed = await fresh(store)
    before = feed.columns
    await ended(store, await running(store))
    await store.apply([Prune(AT + 10**9, 0)])
    await assert_in_step(feed, store)
    assert len(feed.columns) == 1
    assert (len(before), feed.columns is before) == (0, False)


async def test_many_tasks_are_read_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a page holds, and with tasks that are gone by then among them."""
    monkeypatch.setattr(feeding, "TASKS", 3)
    feed = await fresh(store)
    await submitted(store, a_spec(num_tasks=10), a_spec(num_tasks=4), a_spec(num_tasks=10))
    for run in await claimed(store, 24):
        await ended(store, run)
    await store.apply([Delete(1, AT)])
    await assert_in_step(feed, store)
    assert len(feed.columns) == 20


async def test_after_a_failed_change_all_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a change is not built upon."""
    feed = await fresh(store)
    await ended(store, await running(store))
    with monkeypatch.context() as broken:
        broken.setattr(Columns, "settle", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await feed.catch_up()
    assert not feed.loaded
    await assert_in_step(feed, store)


async def test_it_follows_by_itself_once_something_was_asked(store: Store) -> None:
    """Woken by the store. Before the first question nothing is read."""
    feed = Feed(store, at_once)
    store.subscribe(feed.hear)
    following = asyncio.create_task(feed.follow())
    try:
        await ended(store, await running(store))
        assert store.loads == 0
        await feed.catch_up()
        await ended(store, await running(store))
        await eventually(lambda: len(feed.columns) == 2)
    finally:
        following.cancel()


async def test_a_failure_does_not_end_the_following(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the log, and the next news find it following."""
    monkeypatch.setattr(feeding, "LONGEST_REST_S", 0.0)
    feed = await fresh(store)
    store.subscribe(feed.hear)
    fails = True

    async def events(*, after: int = 0, limit: int = 500) -> list[Event]:
        if fails:
            raise OSError(5, "the disk is gone")
        return await SqliteStore.events(store, after=after, limit=limit)

    monkeypatch.setattr(store, "events", events)
    following = asyncio.create_task(feed.follow())
    try:
        await ended(store, await running(store))
        with pytest.raises(OSError, match="the disk is gone"):
            await feed.catch_up()
        fails = False
        await ended(store, await running(store))
        await eventually(lambda: len(feed.columns) == 2)
        assert store.loads == 1
    finally:
        following.cancel()


async def test_many_ends_are_followed_in_few_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one by one: what comes while it rests is one batch."""
    feed = await fresh(store)
    store.subscribe(feed.hear)
    batches = []
    catch_up = feed.catch_up

    async def counted() -> None:
        batches.append(1)
        await catch_up()

    monkeypatch.setattr(feed, "catch_up", counted)
    following = asyncio.create_task(feed.follow())
    try:
        for _ in range(50):
            await ended(store, await running(store))
        await eventually(lambda: len(feed.columns) == 50)
        assert len(batches) <= 25
    finally:
        following.cancel()
