"""Named watchers: what the store keeps of them, and that each begins where it stopped, whatever happens to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest

from jobmgr import watchers
from jobmgr.errors import DiskFull
from jobmgr.store.base import Store
from jobmgr.store.pruning import Prune
from jobmgr.store.watching import KeepWatchers
from jobmgr.watchers import Connection, Watchers
from tests.contract.stores import AT
from tests.waiting import eventually


class Failing:
    """A store whose disk is full while `full`; it counts what it is asked to keep."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.full = False
        self.kept: list[dict[str, int]] = []

    async def apply(self, changes: Sequence[Any]) -> list[Any]:
        if self.full:
            raise DiskFull
        self.kept += [dict(change.rows) for change in changes]
        return await self._store.apply(changes)

    async def watcher(self, name: str) -> int | None:
        return await self._store.watcher(name)


@pytest.fixture
def disk(store: Store) -> Failing:
    """The store, on a disk that may be full."""
    return Failing(store)


@pytest.fixture
async def known(disk: Failing, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watchers]:
    """The watchers of a server."""
    monkeypatch.setattr(watchers, "PACE_S", 0.01)
    found = Watchers(disk)  # type: ignore[arg-type] # the part of a store that it uses
    found.start()
    yield found
    disk.full = False
    await found.stop()


def silent() -> None:
    """Replaced, and nobody minds."""


async def connected(known: Watchers, name: str = "board", newest: int = 7) -> Connection:
    """A connection of this name."""
    return await known.connect(name, newest, silent)


# --- the store


async def test_a_name_that_never_came_is_not_known(store: Store) -> None:
    """None, not 0."""
    assert await store.watcher("board") is None


async def test_the_last_number_of_each_name_is_kept(store: Store) -> None:
    """Several at once, and one again: the newer row holds, be it smaller."""
    await store.apply([KeepWatchers((("board", 5), ("phone", 6)), AT)])
    await store.apply([KeepWatchers((("board", 3),), AT)])
    assert (await store.watcher("board"), await store.watcher("phone")) == (3, 6)


async def test_names_not_seen_since_are_pruned(store: Store) -> None:
    """By when they were seen last, at most so many at a time, the oldest first."""
    for at, name in enumerate(("first", "second", "third")):
        await store.apply([KeepWatchers(((name, 1),), AT + at)])
    prune = Prune(events_before=0, keys_before=0, watchers_before=AT + 2, limit=1)
    assert await store.apply([prune]) == [1]
    assert [await store.watcher(name) for name in ("first", "second", "third")] == [None, 1, 1]
    assert await store.apply([prune, prune]) == [1, 0]
    assert [await store.watcher(name) for name in ("second", "third")] == [None, 1]


async def test_to_keep_watchers_is_no_event(store: Store) -> None:
    """Nobody is told of it."""
    await store.apply([KeepWatchers((("board", 5),), AT)])
    assert await store.last_seq() == 0


# --- connections


async def test_a_first_connection_begins_at_the_newest_and_is_stored_at_once(known: Watchers, store: Store) -> None:
    """So what comes after a crash of this moment is not lost to it."""
    assert (await connected(known)).seq == 7
    assert await store.watcher("board") == 7


async def test_the_next_connection_begins_after_what_was_acknowledged(known: Watchers) -> None:
    """Not at the newest."""
    first = await connected(known)
    known.acknowledge(first, 9)
    known.disconnect(first)
    assert (await connected(known, newest=20)).seq == 9


async def test_over_a_new_start_too(known: Watchers, disk: Failing) -> None:
    """What was acknowledged is stored at the stop."""
    known.acknowledge(await connected(known), 9)
    await known.stop()
    assert (await connected(Watchers(disk), newest=20)).seq == 9  # type: ignore[arg-type] # as above


async def test_the_newest_connection_takes_the_place_of_an_older_one(known: Watchers) -> None:
    """The older is told, and what it says afterwards does not count."""
    replaced: list[str] = []
    first = await known.connect("board", 7, lambda: replaced.append("first"))
    known.acknowledge(first, 8)
    second = await known.connect("board", 20, lambda: replaced.append("second"))
    known.acknowledge(first, 15)
    known.disconnect(first)
    assert (replaced, second.seq) == (["first"], 8)
    assert (await connected(known)).seq == 8


async def test_of_two_that_come_at_the_same_time_one_remains(known: Watchers) -> None:
    """And the other is told."""
    replaced: list[int] = []
    both = await asyncio.gather(*(known.connect("board", 7, partial(replaced.append, n)) for n in range(2)))
    assert len(replaced) == 1
    assert [connection.seq for connection in both] == [7, 7]


async def test_a_smaller_number_is_no_news(known: Watchers) -> None:
    """An acknowledgement that was overtaken does not move it back."""
    connection = await connected(known)
    known.acknowledge(connection, 9)
    known.acknowledge(connection, 8)
    assert connection.seq == 9


async def test_who_asks_for_an_earlier_place_gets_it(known: Watchers, store: Store) -> None:
    """`move` goes back too."""
    known.move(await connected(known), 3)
    await eventually(lambda: _is(store, 3))


async def test_acknowledgements_are_stored_together(known: Watchers, disk: Failing, store: Store) -> None:
    """A thousand numbers of ten names are far fewer commits, and the last of each is kept."""
    ten = [await connected(known, f"watcher-{number}") for number in range(10)]
    before = len(disk.kept)
    for seq in range(8, 108):
        for connection in ten:
            known.acknowledge(connection, seq)
        await asyncio.sleep(0)
    await eventually(lambda: _is(store, 107, "watcher-9"))
    assert len(disk.kept) - before < 100
    assert [await store.watcher(f"watcher-{number}") for number in range(10)] == [107] * 10


async def test_on_a_full_disk_it_is_stored_when_there_is_room(known: Watchers, disk: Failing, store: Store) -> None:
    """The newest number then, and those of others."""
    board, phone = await connected(known), await connected(known, "phone")
    disk.full = True
    known.acknowledge(board, 8)
    known.acknowledge(phone, 9)
    await eventually(lambda: not known._unsaved or known._unsaved.get("phone") == 9)
    known.acknowledge(board, 10)
    disk.full = False
    await eventually(lambda: _is(store, 10))
    await eventually(lambda: _is(store, 9, "phone"))


async def test_a_first_connection_that_cannot_be_stored_is_none(known: Watchers, disk: Failing, store: Store) -> None:
    """It is refused, and the next one is a first one again."""
    replaced: list[str] = []
    disk.full = True
    with pytest.raises(DiskFull):
        await known.connect("board", 7, lambda: replaced.append("board"))
    disk.full = False
    assert (await connected(known, newest=9)).seq == 9
    assert (await store.watcher("board"), replaced) == (9, [])


async def test_a_name_that_was_pruned_begins_anew(known: Watchers, store: Store) -> None:
    """As one that never came."""
    known.disconnect(await connected(known))
    await known.stop()
    await store.apply([Prune(events_before=0, keys_before=0, watchers_before=2**60, limit=9)])
    assert (await connected(known, newest=30)).seq == 30


async def test_stop_may_be_repeated_and_come_first(disk: Failing) -> None:
    """Nothing to end is no error."""
    never = Watchers(disk)  # type: ignore[arg-type] # as above
    await never.stop()
    never.start()
    await never.stop()
    await never.stop()


async def _is(store: Store, seq: int, name: str = "board") -> bool:
    return await store.watcher(name) == seq
