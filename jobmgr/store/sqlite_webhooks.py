"""What the store reads of webhooks and deliveries, on SQLite. Lists walk the index of one condition; the others are asked of what is met."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jobmgr.store import webhook_statements as sql
from jobmgr.store.specs import dumps
from jobmgr.store.sqlite_listing import Reading
from jobmgr.store.sqlite_text import Text
from jobmgr.store.statements import READ_COUNTER
from jobmgr.store.webhooks import Delivery, DeliveryFilter, DeliveryStatus, DueDelivery, Webhook, WebhookFilter

_READ_COUNTER = Text(READ_COUNTER)
_ANY_WEBHOOK = Text(sql.ANY_WEBHOOK)
_STANDING = Text(sql.STANDING)
_READ_WEBHOOK = Text(sql.READ_WEBHOOK)
_READ_DELIVERY = Text(sql.READ_DELIVERY)
_NEXT_DUE = Text(sql.NEXT_DUE_DELIVERY)

# A list of values comes as one JSON parameter, so that a statement is the same whatever their number.
_AMONG = "IN (SELECT value FROM json_each(?))"
_ABOUT = f"""
SELECT {sql.WEBHOOK_COLUMNS} FROM webhooks WHERE job IS NULL
UNION ALL SELECT {sql.WEBHOOK_COLUMNS} FROM webhooks WHERE job IS NOT NULL AND job {_AMONG}"""
_OUTCOMES = f"SELECT name, good FROM outcomes WHERE name {_AMONG}"
_TOLD_OF_SINCE = "SELECT job, max(seq) FROM events WHERE seq >= ? AND kind = 'job-update' GROUP BY job"
_OUTCOMES_OF = """
SELECT id, status = 'completed' FROM jobs INDEXED BY jobs_name
WHERE name = ? AND status IN ('completed', 'crashed', 'failed') ORDER BY id DESC"""
_DUE = "SELECT id, receiver FROM deliveries INDEXED BY deliveries_due WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at LIMIT ?"
_NEXT_RECEIVER = (
    "SELECT min(receiver) FROM deliveries INDEXED BY deliveries_receiver WHERE due_at IS NOT NULL AND receiver > ?"
)
_DUE_AT_RECEIVER = """
SELECT id, receiver FROM deliveries INDEXED BY deliveries_receiver
WHERE due_at IS NOT NULL AND receiver = ? AND due_at <= ? ORDER BY due_at LIMIT ?"""
_READ_DUE = """
SELECT d.id, d.webhook, d.receiver, d.message, d.type, d.tries, d.body, w.url, w.secret, w.old_secret, w.old_until
FROM deliveries d CROSS JOIN webhooks w ON w.id = d.webhook WHERE d.id = ?"""
WINDOW = 500
"""So many of those that are longest due are looked at before the receivers are gone through one by one."""
_LAST = 2**63 - 1


class SqliteWebhooks:
    """The reads of `WebhookReads`."""

    def __init__(self, read: Reading) -> None:
        self._read = read

    async def seen(self) -> int:
        """The number of the last event that the outbox has made deliveries of."""
        return int((await self._rows(_READ_COUNTER, "webhooks_seen"))[0][0])

    async def any(self) -> bool:
        """Whether there is a webhook at all."""
        return bool((await self._rows(_ANY_WEBHOOK))[0][0])

    async def standing(self) -> list[Webhook]:
        """All but callbacks, oldest first."""
        return [_webhook(row) for row in await self._rows(_STANDING)]

    async def webhook(self, webhook: int) -> Webhook | None:
        """One webhook."""
        found = await self._rows(_READ_WEBHOOK, webhook)
        return _webhook(found[0]) if found else None

    async def about(self, jobs: Collection[int]) -> list[Webhook]:
        """The standing ones and the callbacks of these jobs."""
        return sorted(map(_webhook, await self._rows(_ABOUT, dumps(list(jobs)))), key=lambda webhook: webhook.id)

    async def outcomes(self, names: Collection[str]) -> dict[str, bool]:
        """How these names ended last, as far as it was kept."""
        return {name: bool(good) for name, good in await self._rows(_OUTCOMES, dumps(list(names)))}

    async def outcomes_before(self, ends: Mapping[str, int]) -> dict[str, bool]:
        """How the newest job of each name ended of which nothing was told since."""
        return await self._read(partial(_outcomes_before, ends)) if ends else {}

    async def due(
        self, now: int, *, busy: Collection[str], under_way: Collection[int], limit: int, each: int
    ) -> list[DueDelivery]:
        """What may be tried now."""
        return await self._read(partial(_due, now, _Choice(frozenset(busy), frozenset(under_way), limit, each)))

    async def next_due(self, now: int) -> int | None:
        """The earliest instant after this one at which a delivery is due."""
        due: int | None = (await self._rows(_NEXT_DUE, now))[0][0]
        return due

    async def deliveries(self, found: DeliveryFilter, *, before: int | None = None, limit: int = 100) -> list[Delivery]:
        """Those that pass the filter, newest first."""
        text, values = _listed(found)
        rows = await self._rows(text, *values, _LAST if before is None else before, limit)
        return [_delivery(row) for row in rows]

    async def delivery(self, delivery: int) -> Delivery | None:
        """One delivery."""
        found = await self._rows(_READ_DELIVERY, delivery)
        return _delivery(found[0]) if found else None

    async def _rows(self, text: str, *values: Any) -> list[Sequence[Any]]:
        return await self._read(lambda connection: connection.execute(text, values).fetchall())


def _outcomes_before(ends: Mapping[str, int], connection: sqlite3.Connection) -> dict[str, bool]:
    """What the jobs are now they were then, but for those of which was told since; these are passed over."""
    found: dict[str, bool] = {}
    connection.execute("BEGIN")  # All statements see one state.
    try:
        told = dict(connection.execute(_TOLD_OF_SINCE, (min(ends.values()),)).fetchall())
        for name, seq in ends.items():
            with closing(connection.execute(_OUTCOMES_OF, (name,))) as jobs:
                before = next((good for job, good in jobs if told.get(job, 0) < seq), None)
            if before is not None:
                found[name] = bool(before)
        return found
    finally:
        connection.execute("COMMIT")


@dataclass(slots=True)
class _Choice:
    """Chooses among what is due, as it comes."""

    busy: frozenset[str]
    under_way: frozenset[int]
    limit: int
    each: int
    ids: list[int] = field(default_factory=list)
    receivers: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        """Whether no more is wanted."""
        return len(self.ids) >= self.limit

    def offer(self, delivery: int, receiver: str) -> None:
        """Take it, where there is room for it."""
        if self.full or receiver in self.busy or delivery in self.under_way or self.receivers[receiver] >= self.each:
            return
        self.receivers[receiver] += 1
        self.ids.append(delivery)


def _due(now: int, choice: _Choice, connection: sqlite3.Connection) -> list[DueDelivery]:
    """The longest due first. Where the first ones all go to receivers that are busy, each of the others is looked at."""
    connection.execute("BEGIN")  # All statements see one state.
    try:
        window = connection.execute(_DUE, (now, WINDOW)).fetchall()
        for delivery, receiver in window:
            choice.offer(delivery, receiver)
        if len(window) == WINDOW and not choice.full:
            _go_through_receivers(now, choice, connection)
        found = [connection.execute(_READ_DUE, (id_,)).fetchone() for id_ in choice.ids]
        return [DueDelivery(*row) for row in found if row is not None]
    finally:
        connection.execute("COMMIT")


def _go_through_receivers(now: int, choice: _Choice, connection: sqlite3.Connection) -> None:
    receiver: str | None = ""
    while not choice.full:
        [receiver] = connection.execute(_NEXT_RECEIVER, (receiver,)).fetchone()
        if receiver is None:
            return
        if receiver not in choice.busy and not choice.receivers[receiver]:
            wanted = choice.each + len(choice.under_way)  # Those under way may be the first.
            for found in connection.execute(_DUE_AT_RECEIVER, (receiver, now, wanted)).fetchall():
                choice.offer(*found)


def _listed(found: DeliveryFilter) -> tuple[str, list[int | str]]:
    """The statement of a list: by the condition that fewest pass."""
    given = {"job": found.job, "webhook": found.webhook, "status": found.status}
    asked = {name: value for name, value in given.items() if value is not None}
    index = f"INDEXED BY deliveries_{next(iter(asked))}" if asked else "NOT INDEXED"
    where = " AND ".join([*(f"{name} = ?" for name in asked), "id < ?"])
    text = f"SELECT {sql.DELIVERY_COLUMNS} FROM deliveries {index} WHERE {where} ORDER BY id DESC LIMIT ?"
    return text, list(asked.values())


def _webhook(row: Sequence[Any]) -> Webhook:
    id_, url, wanted, filter_, secret, job, enabled, disabled_why, since_seq, created_at = row
    return Webhook(
        id=id_,
        url=url,
        on=tuple(json.loads(wanted)),
        filter=_filter(json.loads(filter_)),
        secret=secret,
        job=job,
        enabled=bool(enabled),
        disabled_why=disabled_why,
        since_seq=since_seq,
        created_at=created_at,
    )


def _filter(kept: dict[str, list[Any]]) -> WebhookFilter:
    labels = tuple((key, value) for key, value in kept["labels"])
    return WebhookFilter(tuple(kept["names"]), tuple(kept["types"]), labels)


def _delivery(row: Sequence[Any]) -> Delivery:
    id_, webhook, job, seq, message, type_, status, tries, due_at, code, error, created_at, ended_at, body = row
    return Delivery(
        id=id_,
        webhook=webhook,
        job=job,
        seq=seq,
        message=message,
        type=type_,
        status=DeliveryStatus(status),
        tries=tries,
        due_at=due_at,
        code=code,
        error=error,
        created_at=created_at,
        ended_at=ended_at,
        body=body,
    )
