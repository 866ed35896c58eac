"""Sends what is due: reads it from the store, tries it, and stores what came of it.

At most `AT_ONCE` tries are under way, `PER_RECEIVER` of them to one receiver (scheme, host and port), so one that hangs holds up itself only. Of one
webhook the deliveries of one job go one after the other: the store has only the first of such a line as due. What waits is read in pages,
whatever its number, and what is not under way is in the store only. There is no polling: it wakes when deliveries are made, when a try is over, and
at the instant at which the next one is due.

A try that was under way when the server died is made again by the next one, with the same id and the same bytes: at least once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import ClientSession

from jobmgr.addresses import Allowed
from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.errors import DataDirError
from jobmgr.log import get_logger
from jobmgr.signature import headers
from jobmgr.store.base import Store
from jobmgr.store.webhooks import DeliveryStatus, DueDelivery, RecordTry
from jobmgr.webhooks.posting import GONE, Answer, open_session, post
from jobmgr.webhooks.retrying import Retrying

AT_ONCE = 32
PER_RECEIVER = 4
LONGEST_WAIT_S = 3600.0
"""The clock of the wall may be set, and what is due goes by it."""
AFTER_FAILURE_S = 5.0
GRACE_S = 1.0
"""So long tries under way may go on when it is asked to stop."""

log = get_logger()


class Sender:
    """Works from `start` to `stop`; both may be repeated. `key`: what signs for webhooks that have no secret of their own."""

    def __init__(self, store: Store, key: Callable[[], Awaitable[str]], allowed: Allowed, retrying: Retrying) -> None:
        self._store = store
        self._key = key
        self._allowed = allowed
        self._retrying = retrying
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None
        self._tries: dict[int, asyncio.Task[None]] = {}
        """By delivery: what is under way."""
        self._busy: Counter[str] = Counter()
        """How many of them go to each receiver."""

    def start(self) -> None:
        """Begin, in the background, with what is due."""
        if self._task is None:
            self._session = open_session(self._allowed)
            self._task = asyncio.get_running_loop().create_task(self._run(self._session), name="webhooks-sender")

    def wake(self) -> None:
        """Something may be due now."""
        self._news.set()

    async def stop(self) -> None:
        """Begin what is due now, let what is under way end for a moment, then break it off; the next start tries it again."""
        task, self._task = self._task, None
        session, self._session = self._session, None
        if task is None or session is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            await self._begin_due(session)
        except Exception as error:  # noqa: BLE001 - it stays due
            log.info("what is due is tried by the next start", reason=str(error))
        tries = list(self._tries.values())
        if tries:
            await asyncio.wait(tries, timeout=GRACE_S)
        for each in tries:
            each.cancel()
        await asyncio.gather(*tries, return_exceptions=True)
        await session.close()

    async def _run(self, session: ClientSession) -> None:
        while True:
            self._news.clear()
            try:
                wait = await self._begin_due(session)
            except Exception as error:
                log.warning("deliveries cannot be read yet", reason=str(error), exc_info=error)
                wait = AFTER_FAILURE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    async def _begin_due(self, session: ClientSession) -> float:
        """Begin as many tries as there is room for; the seconds until there may be another one."""
        now = now_us()
        while (room := AT_ONCE - len(self._tries)) > 0:
            busy = [receiver for receiver, tries in self._busy.items() if tries >= PER_RECEIVER]
            page = await self._store.webhooks.due(now, busy=busy, under_way=self._tries, limit=room, each=PER_RECEIVER)
            begun = [self._begin(session, delivery) for delivery in page]
            if not any(begun):
                break
        # Where there is no room, the end of a try makes some, and wakes.
        due = await self._store.webhooks.next_due(now)
        return LONGEST_WAIT_S if due is None else min(LONGEST_WAIT_S, max(0.0, (due - now_us()) / MICROSECONDS))

    def _begin(self, session: ClientSession, delivery: DueDelivery) -> bool:
        """Begin a try, unless its receiver has enough to do."""
        if self._busy[delivery.receiver] >= PER_RECEIVER or delivery.id in self._tries:
            return False
        self._busy[delivery.receiver] += 1
        task = asyncio.get_running_loop().create_task(self._try(session, delivery), name=f"delivery-{delivery.id}")
        self._tries[delivery.id] = task
        task.add_done_callback(lambda _: self._end(delivery))
        return True

    def _end(self, delivery: DueDelivery) -> None:
        del self._tries[delivery.id]
        self._busy[delivery.receiver] -= 1
        if not self._busy[delivery.receiver]:
            del self._busy[delivery.receiver]
        self._news.set()

    async def _try(self, session: ClientSession, delivery: DueDelivery) -> None:
        try:
            answer = await self._send(session, delivery)
            change = judged(delivery, answer, now_us(), self._retrying)
            # First, as the ends of jobs are: what a full disk refuses is kept, and tried again until it fits.
            [known] = await self._store.apply([change], first=True)
            if known:
                _tell(delivery, change)
        except Exception as error:
            log.warning("a delivery could not be tried", **_names(delivery), reason=str(error), exc_info=error)
            await asyncio.sleep(AFTER_FAILURE_S)

    async def _send(self, session: ClientSession, delivery: DueDelivery) -> Answer:
        now = now_us()
        try:
            secrets = [delivery.secret or await self._key()]
        except DataDirError as error:
            return Answer(None, str(error))
        if delivery.old_secret is not None and (delivery.old_until or 0) > now:
            secrets.append(delivery.old_secret)
        body = delivery.body.encode()
        signed = headers(delivery.message, now // MICROSECONDS, body, secrets)
        return await post(session, delivery.url, body, signed, self._allowed)


def judged(delivery: DueDelivery, answer: Answer, now: int, retrying: Retrying) -> RecordTry:
    """What a try makes of its delivery. Pure but for the chance in the wait."""
    if answer.error is None:
        return RecordTry(delivery.id, now, DeliveryStatus.DELIVERED, answer.code, None, url=delivery.url)
    if answer.code == GONE:
        why = "Its receiver answered 410: it wants nothing more."
        return RecordTry(
            delivery.id, now, DeliveryStatus.DROPPED, answer.code, answer.error, gone=why, url=delivery.url
        )
    wait = retrying.wait_us(delivery.tries + 1, asked_s=answer.wait_s)
    if wait is None:
        return RecordTry(delivery.id, now, DeliveryStatus.FAILED, answer.code, answer.error, url=delivery.url)
    return RecordTry(
        delivery.id,
        now,
        DeliveryStatus.PENDING,
        answer.code,
        answer.error,
        due_at=now + wait,
        url=delivery.url,
    )


def _names(delivery: DueDelivery) -> dict[str, Any]:
    """What names it in the log: nothing of its address but the receiver."""
    return {
        "delivery": f"delivery-{delivery.id}",
        "webhook": f"webhook-{delivery.webhook}",
        "receiver": delivery.receiver,
        "type": delivery.type,
    }


def _tell(delivery: DueDelivery, change: RecordTry) -> None:
    facts = {**_names(delivery), "tries": delivery.tries + 1, "code": change.code}
    if change.status is DeliveryStatus.DELIVERED:
        log.info("webhook delivered", **facts)
    elif change.status is DeliveryStatus.PENDING:
        log.info("webhook will be tried again", **facts, reason=change.error)
    else:
        log.warning("webhook given up", **facts, reason=change.error)
