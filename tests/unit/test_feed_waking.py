"""How the feed wakes many watchers: in slices, all of them, again for what came meanwhile; and that following ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import cast

import pytest

from jobmgr import feed
from jobmgr.events import TASK_UPDATE, Event
from jobmgr.feed import Feed
from jobmgr.store.base import Store
from tests.waiting import eventually


class Committed:
    """Stands for the store: tells of events that the test commits."""

    def __init__(self) -> None:
        self.tell: Callable[[Sequence[Event]], None]
        self.seq = 0

    def subscribe(self, tell: Callable[[Sequence[Event]], None]) -> None:
        self.tell = tell

    async def last_seq(self) -> int:
        return self.seq

    def commit(self) -> None:
        """One more event."""
        self.seq += 1
        self.tell([Event(self.seq, 0, TASK_UPDATE, 0, {"jobId": "job-0", "status": "running"})])


@pytest.fixture
def store() -> Committed:
    """A store in which nothing has happened."""
    return Committed()


async def started(store: Committed) -> Feed:
    """A feed of it."""
    found = Feed(cast(Store, store))
    await found.start()
    return found


async def test_the_loop_serves_others_while_many_are_woken(store: Committed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With slices of no length one is woken at a time, and what became due meanwhile has its turn before the next."""
    monkeypatch.setattr(feed, "SLICE_S", 0.0)
    found, done = await started(store), list[str]()

    def first() -> None:
        done.append("first")
        asyncio.get_running_loop().call_soon(done.append, "something else")

    with found.watching(first), found.watching(lambda: done.append("second")):
        store.commit()
        await eventually(lambda: len(done) == 3)
    assert done == ["first", "something else", "second"]


async def test_what_comes_while_watchers_are_woken_is_told_to_all(
    store: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was woken first is woken again."""
    monkeypatch.setattr(feed, "SLICE_S", 0.0)
    found, seen = await started(store), dict[str, int]()

    def last() -> None:
        if store.seq == 1:
            store.commit()
        seen["last"] = found.seq

    with found.watching(lambda: seen.update(first=found.seq)), found.watching(last):
        store.commit()
        await eventually(lambda: seen.get("first") == 2)
    assert seen == {"first": 2, "last": 2}


async def test_a_watcher_that_left_meanwhile_is_not_woken(store: Committed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place among those to be woken is passed over, and the feed goes on."""
    monkeypatch.setattr(feed, "SLICE_S", 0.0)
    found, done, leaving = await started(store), list[str](), ExitStack()

    def first() -> None:
        done.append("first")
        leaving.close()

    with found.watching(first):
        leaving.enter_context(found.watching(lambda: done.append("second")))
        with found.watching(lambda: done.append("third")):
            store.commit()
            await eventually(lambda: "third" in done)
    assert done == ["first", "third"]


async def test_following_ends_with_the_feed(store: Committed) -> None:
    """At once, and not when its patience is at an end."""
    found = await started(store)

    async def follow() -> list[int]:
        return [batch.seq async for batch in found.follow(0, patience_s=600)]

    following = asyncio.create_task(follow())
    await eventually(lambda: found.watchers == 1)
    found.stop()
    assert await following == []
    assert found.watchers == 0
