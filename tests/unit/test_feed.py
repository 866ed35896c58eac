"""The feed: every watcher gets what is above its start, once and in order, however slow it is; or is told that something is gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmgr.events import EVERY_EVENT, TASK_UPDATE, Event, EventFilter
from jobmgr.feed import Batch, Feed
from jobmgr.store.base import Stop, Store
from jobmgr.store.pruning import Prune
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, a_spec, submitted

FOR_EVER_S = 60.0


class Kept:
    """Stands for the store: the events that the test commits, and forgets."""

    def __init__(self) -> None:
        self.tell: Callable[[Sequence[Event]], None]
        self.events_kept: list[Event] = []
        self.seq = 0
        self.pages_read = 0

    def subscribe(self, tell: Callable[[Sequence[Event]], None]) -> None:
        self.tell = tell

    async def last_seq(self) -> int:
        return self.seq

    async def events(self, *, after: int, limit: int) -> list[Event]:
        self.pages_read += 1
        await asyncio.sleep(0)
        return [event for event in self.events_kept if event.seq > after][:limit]

    def write(self, count: int = 1, text: str = "") -> list[Event]:
        """Events that are committed and not yet told."""
        first, self.seq = self.seq + 1, self.seq + count
        data = {"jobId": "job-0", "status": "running", "error": text}
        events = [Event(seq, 0, TASK_UPDATE, 0, data) for seq in range(first, self.seq + 1)]
        self.events_kept += events
        return events

    def commit(self, count: int = 1, text: str = "") -> None:
        """Events that are committed and told."""
        self.tell(self.write(count, text))

    def prune(self, count: int) -> None:
        """Forget the oldest."""
        del self.events_kept[:count]


@pytest.fixture
def kept() -> Kept:
    """A store in which nothing has happened."""
    return Kept()


async def a_feed(kept: Kept, *, held_events: int = 10_000, held_bytes: int = 2**23) -> Feed:
    """A feed of it, which has begun."""
    feed = Feed(cast(Store, kept), held_events=held_events, held_bytes=held_bytes)
    await feed.start()
    return feed


async def all_above(feed: Feed, after: int, *, limit: int = 500) -> list[int]:
    """The numbers that are read one page after the other."""
    found: list[int] = []
    while (batch := await feed.read(after, limit=limit)).entries:
        assert not batch.reset
        found += [entry.seq for entry in batch.entries]
        after = batch.seq
    return found


def nothing() -> None:
    """Woken for nothing."""


# --- what is held


async def test_nothing_is_held_while_nobody_watches(kept: Kept) -> None:
    """What is committed then is in the store, should anyone ask."""
    feed = await a_feed(kept)
    kept.commit(3)
    assert feed.held(0) is None and feed.held(3) == ()
    assert await all_above(feed, 0) == [1, 2, 3]


async def test_nothing_is_held_any_more_when_the_last_watcher_leaves(kept: Kept) -> None:
    """Not only from the next commit on."""
    feed = await a_feed(kept)
    with feed.watching(nothing):
        kept.commit(3)
        assert feed.held(0)
    assert feed.held(0) is None


async def test_no_more_than_so_many_events_are_held(kept: Kept) -> None:
    """The newest; older ones come from the store."""
    feed = await a_feed(kept, held_events=10)
    with feed.watching(nothing):
        kept.commit(7)
        kept.commit(8)
        assert feed.held(4) is None
        assert [entry.seq for entry in feed.held(5) or ()] == list(range(6, 16))
        assert await all_above(feed, 0) == list(range(1, 16))


async def test_no_more_than_so_many_bytes_are_held(kept: Kept) -> None:
    """Large events leave room for few."""
    feed = await a_feed(kept, held_bytes=100_000)
    with feed.watching(nothing):
        kept.commit(20, "x" * 20_000)
        assert feed.held(15) is None
        assert [entry.seq for entry in feed.held(16) or ()] == [17, 18, 19, 20]


async def test_an_event_larger_than_all_room_is_read_from_the_store(kept: Kept) -> None:
    """Nothing is held then, and nothing lost."""
    feed = await a_feed(kept, held_bytes=1000)
    with feed.watching(nothing):
        kept.commit(2, "x" * 2000)
        assert feed.held(0) is None
        assert await all_above(feed, 0) == [1, 2]


async def test_what_is_held_is_not_read_from_the_store(kept: Kept) -> None:
    """A watcher that keeps up costs the database nothing."""
    feed = await a_feed(kept)
    with feed.watching(nothing):
        kept.commit(1000)
        assert await all_above(feed, 0) == list(range(1, 1001))
    assert kept.pages_read == 0


async def test_one_who_comes_when_events_were_committed_unwatched_misses_none(kept: Kept) -> None:
    """What is held begins in the middle; below it the store answers."""
    feed = await a_feed(kept)
    kept.commit(5)
    with feed.watching(nothing):
        kept.commit(5)
        assert await all_above(feed, 2, limit=2) == list(range(3, 11))


async def test_events_told_only_after_the_start_are_no_gap(kept: Kept) -> None:
    """The start found number 6, and its events come in pages afterwards: none takes the place of another."""
    late = kept.write(6)
    feed = await a_feed(kept)
    with feed.watching(nothing):
        kept.tell(late[:2])
        assert await all_above(feed, 4) == [5, 6]
        kept.tell(late[2:])
        assert await all_above(feed, 0) == [1, 2, 3, 4, 5, 6]
        kept.tell([*late[4:], *kept.write(2)])
        assert await all_above(feed, 3) == [4, 5, 6, 7, 8]


async def test_events_that_were_not_told_are_read_from_the_store(kept: Kept) -> None:
    """A gap in what is told is none for who watches."""
    feed = await a_feed(kept)
    with feed.watching(nothing):
        kept.commit(2)
        kept.write(3)
        kept.commit(2)
        assert await all_above(feed, 0) == list(range(1, 8))


async def test_a_watcher_that_fails_silences_no_other(kept: Kept) -> None:
    """The others are woken, now and the next time."""
    feed = await a_feed(kept)

    def fails() -> None:
        raise ValueError

    news = asyncio.Event()
    with feed.watching(fails), feed.watching(news.set):
        for _ in range(2):
            news.clear()
            kept.commit()
            async with asyncio.timeout(FOR_EVER_S):
                await news.wait()


# --- where one begins


@pytest.mark.parametrize(
    ("after", "seq", "reset"),
    [
        (None, 10, False),
        (10, 10, False),
        (4, 4, False),
        (3, 10, True),
        (0, 10, True),
        (11, 10, True),
        (2**53, 10, True),
    ],
)
async def test_one_begins_where_it_asks_or_is_reset(kept: Kept, after: int | None, seq: int, reset: bool) -> None:
    """Of ten events the first four are gone: 5 is the oldest that can be told."""
    kept.write(10)
    kept.prune(4)
    feed = await a_feed(kept)
    assert await feed.begin(after) == Batch((), seq, reset=reset)


async def test_the_newest_number_is_no_reset_though_all_is_pruned(kept: Kept) -> None:
    """One who has everything misses nothing."""
    kept.write(5)
    kept.prune(5)
    feed = await a_feed(kept)
    assert await feed.begin(5) == Batch((), 5)
    assert await feed.begin(4) == Batch((), 5, reset=True)


async def test_one_ahead_of_what_was_told_waits_for_what_comes(kept: Kept) -> None:
    """It knows a number from an answer that was faster than the feed: no reset, nothing twice."""
    feed = await a_feed(kept)
    events = kept.write(5)
    assert await feed.begin(3) == Batch((), 3)
    with feed.watching(nothing):
        kept.tell(events)
        assert await all_above(feed, 3) == [4, 5]


async def test_what_is_pruned_while_one_reads_is_a_reset(kept: Kept) -> None:
    """It goes on at the newest."""
    kept.write(10)
    feed = await a_feed(kept)
    assert (await feed.read(0, limit=3)).seq == 3
    kept.prune(5)
    assert await feed.read(3) == Batch((), 10, reset=True)


async def test_what_does_not_pass_moves_the_place_on(kept: Kept) -> None:
    """A filter hides events, not how far one has come."""
    kept.write(10)
    feed = await a_feed(kept)
    batch = await feed.read(2, EventFilter(jobs=frozenset({4})))
    assert (batch.entries, batch.seq, batch.reset) == ([], 10, False)


# --- random order


@given(seed=st.integers(0, 2**32), held=st.integers(1, 30))
@settings(max_examples=150, deadline=None)
async def test_every_watcher_gets_all_above_its_start_in_order_or_is_reset(seed: int, held: int) -> None:
    """Commits, joins, reads, departures and prunes in any order; a reset only where something was pruned."""
    chance, kept = random.Random(seed), Kept()
    kept.write(chance.randrange(10))
    feed = await a_feed(kept, held_events=held)
    reader = [asyncio.create_task(_watch(feed, kept, chance.randrange(2**32))) for _ in range(3)]
    for _ in range(60):
        step = chance.random()
        if step < 0.5:
            kept.commit(chance.randint(1, 12))
        elif step < 0.55:
            kept.prune(chance.randint(1, 20))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
    kept.commit()
    async with asyncio.timeout(FOR_EVER_S):
        await asyncio.gather(*reader)


async def _watch(feed: Feed, kept: Kept, seed: int) -> None:
    """One that comes and goes until 60 times, and in the end has everything."""
    chance = random.Random(seed)
    place = (await feed.begin(chance.choice([None, feed.seq, 0]))).seq
    for turn in range(60):
        batch = await feed.begin(place)
        with feed.watching(asyncio.Event().set):
            for _ in range(chance.randrange(4) if turn < 59 else 1000):
                place = batch.seq if batch.reset else place
                oldest = kept.events_kept[0].seq if kept.events_kept else kept.seq + 1
                batch = await feed.read(place, limit=chance.randint(1, 9))
                if batch.reset:
                    assert place + 1 < max(oldest, kept.events_kept[0].seq if kept.events_kept else kept.seq + 1)
                    place = batch.seq
                    continue
                assert [entry.seq for entry in batch.entries] == list(range(place + 1, batch.seq + 1))
                if batch.seq == place:
                    break
                place = batch.seq
                await asyncio.sleep(0)
    assert place >= feed.seq


# --- over a real store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A database."""
    opened = SqliteStore(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


async def followed(feed: Feed, after: int, until: int, wanted: EventFilter = EVERY_EVENT) -> list[int]:
    """The numbers that one who follows is told up to this one."""
    found: list[int] = []
    async with asyncio.timeout(FOR_EVER_S), aclosing(feed.follow(after, wanted, patience_s=FOR_EVER_S)) as batches:
        async for batch in batches:
            assert not batch.reset
            found += [entry.seq for entry in batch.entries]
            if batch.seq >= until:
                break
    return found


async def test_replay_goes_over_to_live_without_gap_or_duplicate(store: SqliteStore) -> None:
    """Twenty who begin at different places while jobs are submitted."""
    await submitted(store, *[a_spec()] * 50)
    feed = Feed(store, held_events=20)
    await feed.start()
    last = 50 + 200
    readers = [asyncio.create_task(followed(feed, after, last)) for after in range(0, 60, 3)]
    for _ in range(50):
        await submitted(store, *[a_spec()] * 4)
    for after, numbers in zip(range(0, 60, 3), await asyncio.gather(*readers), strict=True):
        assert numbers == list(range(after + 1, last + 1))


async def test_the_events_of_a_huge_stop_reach_a_watcher_whole_and_are_not_all_held(store: SqliteStore) -> None:
    """100,000 tasks are stopped by one commit."""
    tasks = 100_000
    await submitted(store, a_spec(num_tasks=tasks))
    feed = Feed(store)
    await feed.start()
    begin = feed.seq
    reader = asyncio.create_task(followed(feed, begin, begin + tasks + 1))
    await store.apply([Stop(0, AT)])
    numbers = await reader
    assert numbers == list(range(begin + 1, begin + tasks + 2))
    assert len(feed._held) <= 10_000


async def test_a_prune_of_the_store_resets_who_was_below(store: SqliteStore) -> None:
    """And no one else."""
    await submitted(store, *[a_spec()] * 10)
    feed = Feed(store)
    await feed.start()
    await store.apply([Prune(events_before=AT + 1, keys_before=0, limit=4)])
    assert (await feed.begin(3)).reset
    assert not (await feed.begin(4)).reset
