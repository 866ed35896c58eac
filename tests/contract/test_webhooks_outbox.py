"""The outbox over every store: which deliveries the events become, from which place on, and what is kept of that."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from jobmgr.job import Change
from jobmgr.store.base import Delete, Restart, Stop, Store
from jobmgr.store.pruning import Prune
from jobmgr.store.webhooks import ChangeWebhook, DeliveryFilter, WebhookFilter
from jobmgr.webhooks import outbox as module
from jobmgr.webhooks.outbox import Outbox
from tests.contract.stores import AT, a_spec, claimed, ended, running, submitted
from tests.contract.test_store_webhooks import URL, created
from tests.waiting import eventually


class Watched:
    """An outbox, and what it makes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.woken = 0
        self.outbox = Outbox(store, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def done(self) -> None:
        """Wait until it has seen every event there is."""
        last = await self.store.last_seq()
        await eventually(lambda: self.outbox._seen >= last)

    async def told(self, **conditions: Any) -> list[tuple[int, str]]:
        """Job and type of each delivery, the oldest first."""
        await self.done()
        found = await self.store.webhooks.deliveries(DeliveryFilter(**conditions), limit=5000)
        return [(each.job, each.type.removeprefix("job.")) for each in reversed(found)]


@pytest.fixture
async def watched(store: Store) -> AsyncIterator[Watched]:
    """An outbox at work."""
    watched = Watched(store)
    watched.outbox.start()
    yield watched
    await watched.outbox.stop()


async def one(store: Store, change: Change = Change.COMPLETE, **fields: Any) -> int:
    """A job that has ended."""
    run = await running(store, **fields)
    await ended(store, run, change)
    return run.job


async def test_each_end_becomes_one_delivery_to_each_that_wants_it(watched: Watched) -> None:
    """With the data of its event and its number, and whoever sends is woken."""
    store = watched.store
    everything = await created(store)
    await created(store, on=["failed"], filter=WebhookFilter(names=("b",)))
    for name, change in (("a", Change.COMPLETE), ("a", Change.CRASH), ("b", Change.CRASH), ("b", Change.LOSE)):
        await one(store, change, name=name, labels={"team": name})
    assert await watched.told(webhook=everything) == [(0, "completed"), (1, "crashed"), (2, "crashed"), (3, "lost")]
    assert await watched.told(webhook=1) == [(2, "crashed")]
    assert watched.woken
    [delivery] = await store.webhooks.deliveries(DeliveryFilter(webhook=1))
    event = next(each for each in await store.events(after=delivery.seq - 1) if each.seq == delivery.seq)
    assert json.loads(delivery.body)["data"] == {**event.data, "seq": event.seq}


async def test_a_late_true_end_is_an_end_too(watched: Watched) -> None:
    """After the one that nobody knew."""
    await created(watched.store)
    run = await running(watched.store)
    await ended(watched.store, run, Change.LOSE)
    await ended(watched.store, run)
    assert await watched.told() == [(0, "lost"), (0, "completed")]


async def test_progress_retries_restarts_and_deletions_are_no_ends(watched: Watched) -> None:
    """Each round has one."""
    store = watched.store
    await created(store)
    run = await running(store)
    await ended(store, run, Change.RETRY)
    [run] = await claimed(store)
    await ended(store, run)
    await store.apply([Restart(run.job, AT)])
    await store.apply([Stop(run.job, AT)])
    await store.apply([Delete(run.job, AT)])
    assert await watched.told() == [(0, "completed"), (0, "stopped")]


async def test_a_webhook_is_told_of_nothing_before_it_was_made_or_enabled(watched: Watched) -> None:
    """However far the outbox is behind."""
    store = watched.store
    await watched.outbox.stop()
    await created(store)
    await one(store)
    await created(store)
    await one(store)
    await store.apply([ChangeWebhook(0, AT, enabled=False)])
    await one(store)
    await store.apply([ChangeWebhook(0, AT, enabled=True)])
    await one(store)
    watched.outbox.start()
    assert await watched.told(webhook=0) == [(3, "completed")]
    assert await watched.told(webhook=1) == [(1, "completed"), (2, "completed"), (3, "completed")]


async def test_a_callback_is_told_of_its_job_only(watched: Watched) -> None:
    """At each end of it, and gone with it when nothing is pending."""
    store = watched.store
    await one(store)
    job = await one(store, callback_url=URL)
    await store.apply([Restart(job, AT)])
    await store.apply([Stop(job, AT)])
    assert await watched.told() == [(1, "completed"), (1, "stopped")]
    await store.apply([ChangeWebhook(0, AT, enabled=False)])
    await store.apply([Delete(job, AT)])
    await watched.done()
    assert not await store.webhooks.any()


async def test_a_break_is_seen_by_a_webhook_that_came_later(watched: Watched) -> None:
    """The newest finished job of the name before it says how it was."""
    store = watched.store
    await one(store, Change.CRASH)
    await one(store)
    await one(store, Change.STOP)
    webhook = await created(store, on=["broken", "mended"])
    await one(store, Change.CRASH)
    await one(store, Change.CRASH)
    await one(store)
    await one(store, Change.CRASH, name="new")
    assert await watched.told(webhook=webhook) == [(3, "broken"), (5, "mended")]


async def test_changes_are_seen_in_the_order_of_the_events_however_late(store: Store) -> None:
    """What ended later, when the outbox was behind, is not what was before."""
    await one(store)
    await created(store, on=["broken", "mended"])
    for change in (Change.CRASH, Change.COMPLETE, Change.CRASH, Change.CRASH):
        await one(store, change)
    watched = Watched(store)
    watched.outbox.start()
    assert await watched.told() == [(1, "broken"), (2, "mended"), (3, "broken")]
    await watched.outbox.stop()


async def test_what_is_kept_of_names_is_not_used_after_a_time_without_a_webhook(watched: Watched) -> None:
    """The name may have ended otherwise meanwhile."""
    store = watched.store
    await created(store, on=["broken"])
    await one(store)
    await watched.done()
    await store.apply([ChangeWebhook(0, AT, enabled=False)])
    await one(store, Change.CRASH)
    await store.apply([ChangeWebhook(0, AT, enabled=True)])
    await one(store, Change.CRASH)
    assert await watched.told() == []


async def test_it_goes_on_where_the_last_one_stood(store: Store) -> None:
    """Nothing is made twice, nothing left out."""
    await created(store)
    for _ in range(3):
        watched = Watched(store)
        watched.outbox.start()
        watched.outbox.start()
        await one(store)
        await watched.done()
        await watched.outbox.stop()
        await watched.outbox.stop()
        await one(store)
    watched = Watched(store)
    watched.outbox.start()
    assert await watched.told() == [(job, "completed") for job in range(6)]
    await watched.outbox.stop()


async def test_two_at_once_make_nothing_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place is compared: the second one looks again."""
    monkeypatch.setattr(module, "AFTER_FAILURE_S", 0.01)
    await created(store)
    both = [Watched(store), Watched(store)]
    for each in both:
        each.outbox.start()
    jobs = [await one(store) for _ in range(20)]
    for each in both:
        assert await each.told() == [(job, "completed") for job in jobs]
    for each in both:
        await each.outbox.stop()


async def test_without_any_webhook_its_place_is_in_memory_and_stored_now_and_then(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy server pays nothing for what nobody asked for."""
    await one(watched.store)
    await watched.done()
    assert await watched.store.webhooks.seen() == 0
    monkeypatch.setattr(module, "STORED_EVENTS", 1)
    await one(watched.store)
    await eventually(lambda: _is_stored(watched.store))


async def _is_stored(store: Store) -> bool:
    return await store.webhooks.seen() == await store.last_seq()


async def test_many_ends_at_once_are_handed_in_bit_by_bit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many webhooks want them."""
    monkeypatch.setattr(module, "BATCH", 10)
    sizes: list[int] = []
    apply = store.apply

    async def counted(changes: Any, **more: Any) -> Any:
        sizes.extend(len(change.deliveries) for change in changes if hasattr(change, "deliveries"))
        return await apply(changes, **more)

    monkeypatch.setattr(store, "apply", counted)
    for _ in range(7):
        await created(store)
    await submitted(store, *[a_spec() for _ in range(20)])
    for run in await claimed(store, 20):
        await ended(store, run)
    watched = Watched(store)
    watched.outbox.start()
    assert len(await watched.told()) == 140
    assert max(sizes) == 14
    await watched.outbox.stop()


async def test_after_a_gap_in_the_events_it_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a warning that says how many there were."""
    warnings: list[dict[str, Any]] = []
    monkeypatch.setattr(module.log, "warning", lambda _, **facts: warnings.append(facts))
    await created(store)
    await one(store)
    pruned = await store.last_seq()
    await store.apply([Prune(AT + 10**9, 0)])
    await one(store)
    watched = Watched(store)
    watched.outbox.start()
    assert await watched.told() == [(1, "completed")]
    assert warnings == [{"events": pruned}]
    await watched.outbox.stop()


async def test_a_store_that_refuses_is_asked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost by it."""
    monkeypatch.setattr(module, "AFTER_FAILURE_S", 0.01)
    await created(store)
    await one(store)
    fail_first(store, monkeypatch, times=3)
    watched = Watched(store)
    watched.outbox.start()
    assert await watched.told() == [(0, "completed")]
    await watched.outbox.stop()


def fail_first(store: Store, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """Let so many changes fail."""
    apply: Callable[..., Any] = store.apply
    left = [OSError(28, "no space")] * times

    async def failing(changes: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return await apply(changes, **more)

    monkeypatch.setattr(store, "apply", failing)
