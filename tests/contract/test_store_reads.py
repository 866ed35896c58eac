"""The contract of every store, IV: what a page of a read costs, and what is found by what."""

from __future__ import annotations

import tracemalloc
from collections.abc import Awaitable
from itertools import pairwise
from typing import TypeVar

from jobmgr.job import Change
from jobmgr.store.base import Begin, Delete, Progress, Restart, Stop, Store, Submit, Unbegin
from jobmgr.store.records import Queued
from tests.contract.stores import AT, a_spec, claimed, ended, running, submitted

LARGE = "x" * 256 * 1024

_T = TypeVar("_T")


async def peak_of(read: Awaitable[_T]) -> tuple[_T, int]:
    """What a read gives, and the bytes of memory that it held at its worst moment."""
    tracemalloc.start()
    try:
        found = await read
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_open_runs_of_one_job_share_its_spec(store: Store) -> None:
    """A job of many tasks is read and parsed once a page, not once a task."""
    await submitted(store, a_spec("many", num_tasks=100, env={"E": LARGE}), a_spec("other"))
    await claimed(store, 101)
    runs, peak = await peak_of(store.open_runs())
    assert [run.spec.name for run in runs] == ["many"] * 100 + ["other"]
    assert len({id(run.spec) for run in runs}) == 2
    assert peak < 8 * len(LARGE)


async def test_ids_come_in_pages_without_the_jobs(store: Store) -> None:
    """Those that exist above a key, oldest first, as many as asked, at the cost of numbers."""
    await submitted(store, *(a_spec(args=(LARGE,)) for _ in range(20)))
    await store.apply([Stop(2, AT), Delete(2, AT)])
    ids, peak = await peak_of(store.job_ids(after=-1, limit=500))
    assert ids == [0, 1, *range(3, 20)]
    assert await store.job_ids(after=0, limit=2) == [1, 3]
    assert peak < len(LARGE)


async def test_the_version_of_outcomes_moves_with_them_and_with_nothing_else(store: Store) -> None:
    """Submit, end, stop, restart and delete; not claim, begin, progress, retry or what was refused."""
    versions = [await store.outcomes_version()]

    async def moved() -> bool:
        versions.append(await store.outcomes_version())
        return versions[-1] != versions[-2]

    await store.apply([Submit([a_spec()], AT, key="k"), Submit([a_spec(num_tasks=2)], AT)])
    assert await moved()
    await store.apply([Submit([a_spec()], AT, key="k")])
    one, two, three = await claimed(store, 3)
    await store.apply([Begin(one.task, one.run, 1, 1, AT), Progress(one.task, one.run, AT, 50), Restart(0, AT)])
    await ended(store, one, Change.RETRY)
    await store.apply([Unbegin(two.task, two.run, AT)])
    assert not await moved()
    await ended(store, three, Change.LOSE)
    assert await moved()
    await ended(store, three)
    assert await moved()
    await store.apply([Stop(1, AT)])
    assert await moved()
    await store.apply([Stop(0, AT)])
    assert await moved()
    await store.apply([Stop(0, AT)])
    assert not await moved()
    await store.apply([Restart(0, AT)])
    assert await moved()
    [again] = await claimed(store)
    await store.apply([Stop(0, AT)])
    assert not await moved()
    await store.apply([Unbegin(again.task, again.run, AT)])
    assert await moved()
    await store.apply([Delete(0, AT)])
    assert await moved()
    assert len(set(versions)) == sum(a != b for a, b in pairwise(versions)) + 1


async def test_the_queue_is_what_waits_for_a_slot(store: Store) -> None:
    """By priority, then by age, with the arguments of each task; what runs or waits for a time is not in it."""
    await running(store, name="runs")
    await submitted(
        store, a_spec("later", args=("{index}",), indexed=True, num_tasks=2), a_spec("first", priority=10, timeout=5.0)
    )
    assert await store.queue(10) == [
        Queued(2, 0, "first", (), 5.0),
        Queued(1, 0, "later", ("0",), None),
        Queued(1, 1, "later", ("1",), None),
    ]
    assert len(await store.queue(1)) == 1
