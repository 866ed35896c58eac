"""Makes deliveries of events: reads the log of events behind its place, and hands in what webhooks are to be told, with its new place.

The place is in the store (`Enqueue`), in one transaction with the deliveries that were made on the way there, so whatever dies when: nothing is lost,
nothing made twice. Where nothing is told the place is kept in memory, and stored now and then; reading twice what concerns nobody is harmless.
Nothing is polled: it wakes when the store tells of a commit, and works in batches when that is often. While there is no webhook at all, no event is
read either.

Events are read before webhooks, always: a webhook that was there before an event was committed is seen by whoever read that event before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jobmgr.clock import now_us
from jobmgr.events import JOB_UPDATE, Event
from jobmgr.log import get_logger
from jobmgr.store.base import Store
from jobmgr.store.webhooks import Enqueue, NewDelivery, Webhook
from jobmgr.webhooks.matching import asks_for_changes, body_of, outcome_of, types_for

PACE_S = 0.05
"""At most so often it looks, so that a busy server is looked at in batches…"""
PACE_ALONE_S = 0.25
"""… while there is no webhook, still less often…"""
REST = 3
"""… and after each time it rests so many times as long as it took, so that it takes at most about a quarter of the time…"""
LONGEST_REST_S = 1.0
"""… but never longer."""
AFTER_FAILURE_S = 5.0
LAST_LOOK_S = 0.5
STORED_EVENTS = 10_000
STORED_S = 60.0
"""So many events, or so long, its place may be in memory only."""
BATCH = 500
"""So many deliveries, or a few more, are one transaction."""

log = get_logger()


@dataclass(slots=True)
class _Batch:
    """What some events are to webhooks, as far as it was not handed in."""

    deliveries: list[NewDelivery] = field(default_factory=list)
    outcomes: dict[str, bool] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.deliveries or self.outcomes or self.deleted)


class Outbox:
    """Works from `start` to `stop`; both may be repeated. `made`: called when there are new deliveries."""

    def __init__(self, store: Store, made: Callable[[], None]) -> None:
        self._store = store
        self._made = made
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._subscribed = False
        self._knows_place = False
        self._seen = self._stored = 0
        """The last event looked at, and the last one of which the store knows that."""
        self._stored_at = 0.0

    def start(self) -> None:
        """Begin, in the background, where the last one stood."""
        if self._task is None:
            if not self._subscribed:
                self._store.subscribe(self._hear)
                self._subscribed = True
            self._task = asyncio.get_running_loop().create_task(self._run(), name="webhooks-outbox")

    async def stop(self) -> None:
        """End, and wait for it; what happened since it looked last is looked at once more."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_LOOK_S):
                if self._knows_place:
                    await self._catch_up()
        except Exception as error:  # noqa: BLE001 - the next start looks at it
            log.info("webhooks are told of the last events at the next start", reason=str(error))
        self._knows_place = False

    def _hear(self, _events: Sequence[Event]) -> None:
        """There are events: called at every commit, so it only takes note."""
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            began = time.monotonic()
            try:
                if not self._knows_place:
                    await self._find_place()
                pace = PACE_S if await self._catch_up() else PACE_ALONE_S
                rest = max(pace, min(REST * (time.monotonic() - began), LONGEST_REST_S))
            except Exception as error:
                log.warning("webhooks cannot follow the events yet", reason=str(error), exc_info=error)
                rest, self._knows_place = AFTER_FAILURE_S, False  # What was handed in last may be there or not.
                self._news.set()
            await asyncio.sleep(rest)
            await self._news.wait()

    async def _find_place(self) -> None:
        self._seen = self._stored = await self._store.webhooks.seen()
        self._stored_at = time.monotonic()
        self._knows_place = True

    async def _catch_up(self) -> bool:
        """Look at every event there is; whether there is any webhook that they might concern."""
        newest = await self._store.last_seq()
        if not await self._store.webhooks.any():
            # Whoever makes the first one now begins behind `newest`, which was read before.
            self._seen = max(self._seen, newest)
            await self._store_place()
            return False
        while page := await self._store.events(after=self._seen):
            if (missed := page[0].seq - self._seen - 1) > 0:
                log.warning("events were pruned before webhooks were told of them", events=missed)
            await self._take(page)
        return True

    async def _take(self, page: Sequence[Event]) -> None:
        news = [event for event in page if event.is_end or _is_deletion(event)]
        batch = _Batch()
        if news:
            webhooks = await self._store.webhooks.about({event.job for event in news})
            before = await self._outcomes(news, webhooks)
            for event in news:
                _add(batch, event, webhooks, before)
                if len(batch.deliveries) >= BATCH:
                    await self._hand_in(batch, event.seq)
                    batch = _Batch()
        if batch:
            await self._hand_in(batch, page[-1].seq)
        else:
            self._seen = page[-1].seq
            await self._store_place()

    async def _store_place(self) -> None:
        late = time.monotonic() - self._stored_at >= STORED_S
        if self._seen - self._stored >= STORED_EVENTS or (late and self._seen > self._stored):
            await self._hand_in(_Batch(), self._seen)

    async def _hand_in(self, batch: _Batch, seen: int) -> None:
        change = Enqueue(self._stored, seen, now_us(), batch.deliveries, batch.outcomes, batch.deleted)
        [done] = await self._store.apply([change])
        if not done:
            raise RuntimeError("another outbox has been at work")
        self._seen = self._stored = seen
        self._stored_at = time.monotonic()
        if batch.deliveries:
            self._made()

    # --- how a name ended before

    async def _outcomes(self, news: Sequence[Event], webhooks: Sequence[Webhook]) -> dict[str, bool] | None:
        """How each name of these ends ended before the first of them; None where nobody asks for changes."""
        if not any(map(asks_for_changes, webhooks)):
            return None
        first: dict[str, int] = {}
        for event in news:
            if event.is_end and outcome_of(event) is not None:
                first.setdefault(event.data["jobName"], event.seq)
        kept = await self._store.webhooks.outcomes(first)
        unknown = {name: seq for name, seq in first.items() if name not in kept}
        return {**kept, **await self._store.webhooks.outcomes_before(unknown)}


def _is_deletion(event: Event) -> bool:
    return event.kind == JOB_UPDATE and event.data["status"] == "deleted"


def _add(batch: _Batch, event: Event, webhooks: Sequence[Webhook], before: dict[str, bool] | None) -> None:
    """What one event is to each webhook; `before` is brought up to it."""
    if not event.is_end:
        batch.deleted += [event.job] if any(webhook.job == event.job for webhook in webhooks) else []
        return
    name = event.data["jobName"]
    last = None if before is None else before.get(name)
    bodies: dict[str, str] = {}
    for webhook in webhooks:
        for type_ in types_for(webhook, event, last):
            body = bodies.get(type_) or bodies.setdefault(type_, body_of(type_, event, last))
            batch.deliveries.append(NewDelivery(webhook.id, event.job, event.seq, type_, body))
    outcome = outcome_of(event)
    if before is not None and outcome is not None:
        before[name] = batch.outcomes[name] = outcome
