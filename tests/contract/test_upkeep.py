"""What grows has an end: upkeep against a real store and real files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobmgr.clock import now_us
from jobmgr.config import Settings, load
from jobmgr.job import JobSpec
from jobmgr.output import OutputFiles
from jobmgr.store.base import Submit
from jobmgr.store.sqlite import SqliteStore
from jobmgr.store.webhooks import DeliveryFilter, DeliveryStatus, Enqueue, NewDelivery, RecordTry
from jobmgr.upkeep import DAY_US, Upkeep
from tests.waiting import eventually


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults: events for 7 days, keys for 24 hours."""
    (tmp_path / ".env").touch()
    return load({}, cwd=tmp_path).settings


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An open store with one job of eight days ago and one of now, each with a key."""
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await store.apply([Submit([JobSpec("old", "/bin/true")], now_us() - 8 * DAY_US, "old", "h")])
    await store.apply([Submit([JobSpec("new", "/bin/true")], now_us(), "new", "h")])
    yield store
    await store.close()


async def test_old_events_and_keys_go_and_new_ones_stay(settings: Settings, store: SqliteStore, tmp_path: Path) -> None:
    """The jobs themselves stay; sequence numbers go on."""
    upkeep = Upkeep(settings, store, OutputFiles(tmp_path / "output"))
    before = await store.last_seq()
    upkeep.start()

    async def only_new() -> bool:
        return {event.job for event in await store.events()} == {1}

    await eventually(only_new)
    await upkeep.stop()
    [again] = await store.apply([Submit([JobSpec("x", "/bin/true")], now_us(), "new", "h")])
    [forgotten] = await store.apply([Submit([JobSpec("x", "/bin/true")], now_us(), "old", "other")])
    assert (again.replayed, again.jobs) == (True, (1,))
    assert (forgotten.replayed, forgotten.jobs) == (False, (2,))
    assert await store.count_jobs() == 3
    assert await store.last_seq() > before


async def test_old_deliveries_go_and_new_ones_stay(settings: Settings, store: SqliteStore, tmp_path: Path) -> None:
    """Those that ended 30 days ago; what is pending stays however old it is."""
    job = JobSpec("told", "/bin/true", callback_url="https://example.org/")
    now = now_us()
    [submitted] = await store.apply([Submit([job], now)])
    new = [NewDelivery(0, submitted.jobs[0] + n, 1, "job.completed", "{}") for n in range(3)]
    seen = await store.webhooks.seen()
    await store.apply([Enqueue(seen, seen, now - 99 * DAY_US, new)])
    for delivery, days in ((0, 31), (1, 29)):
        at = now - days * DAY_US
        await store.apply([RecordTry(delivery, at, DeliveryStatus.DELIVERED, 200, None)])
    upkeep = Upkeep(settings, store, OutputFiles(tmp_path / "output"))
    upkeep.start()

    async def without_the_oldest() -> bool:
        return [each.id for each in await store.webhooks.deliveries(DeliveryFilter())] == [2, 1]

    await eventually(without_the_oldest)
    await upkeep.stop()


async def test_output_of_jobs_that_are_gone_is_removed(settings: Settings, store: SqliteStore, tmp_path: Path) -> None:
    """A crash between the commit of a delete and the unlinking leaves nothing for ever."""
    outputs = OutputFiles(tmp_path / "output")
    kept, orphan, far = (Path(outputs.prepare(job, 0, 1).output) for job in (1, 7, 5003))
    for path in (kept, orphan, far):
        path.write_text("x")
    upkeep = Upkeep(settings, store, outputs)
    upkeep.start()
    await eventually(lambda: not orphan.exists() and not far.exists())
    await upkeep.stop()
    assert kept.read_text() == "x"


async def test_stopping_twice_and_before_the_start_is_fine(
    settings: Settings, store: SqliteStore, tmp_path: Path
) -> None:
    """The same protocol as all duties."""
    upkeep = Upkeep(settings, store, OutputFiles(tmp_path / "output"))
    await upkeep.stop()
    upkeep.start()
    upkeep.start()
    await upkeep.stop()
    await upkeep.stop()
