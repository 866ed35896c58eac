"""Webhooks and deliveries as the store keeps them: the values, the changes, the reads.

A webhook is standing, or the callback of one job (`job`). The outbox reads the events behind `seen` and hands in what is to be told (`Enqueue`):
the deliveries and its own place are one transaction, so a crash neither loses nor doubles any. Of one webhook, the deliveries of one job are
a line: only the first that is pending is ever due, and when it ends the next one is.

Addresses and secrets are in no `repr`: they must not get into a log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

NO_JOB = -1
"""In place of a job where a delivery is about none."""


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """Of which jobs: those that pass every condition given, each by any of its values. The default passes all."""

    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    """None: with any value."""


EVERY_JOB = WebhookFilter()
BY_REQUEST = "Disabled by request."


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told, of what. `on` and what it means are `matching`'s."""

    id: int
    url: str = field(repr=False)
    on: tuple[str, ...]
    filter: WebhookFilter
    secret: str | None = field(repr=False)
    """None: the key of the server signs."""
    job: int | None
    """Of a callback: the only job that it is about."""
    enabled: bool
    disabled_why: str | None
    since_seq: int
    """It sees events above this one."""
    created_at: int


class DeliveryStatus(StrEnum):
    """Where a delivery is: it waits for a try, it was taken, all tries were in vain, or nobody wants it any more."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one webhook."""

    id: int
    webhook: int
    job: int
    """NO_JOB: about none."""
    seq: int
    """Of the event that it tells of; 0: of none."""
    message: str
    type: str
    status: DeliveryStatus
    tries: int
    due_at: int | None
    """When it is tried next; None of a pending one: it waits for the one before it."""
    code: int | None
    error: str | None
    created_at: int
    ended_at: int | None
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """All that a try needs."""

    id: int
    webhook: int
    receiver: str
    message: str
    type: str
    tries: int
    """Before this one."""
    body: str = field(repr=False)
    url: str = field(repr=False)
    secret: str | None = field(repr=False)
    old_secret: str | None = field(repr=False)
    """Signs besides, until `old_until`."""
    old_until: int | None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries: those that pass every condition given."""

    webhook: int | None = None
    job: int | None = None
    status: DeliveryStatus | None = None


# --- changes


@dataclass(frozen=True, slots=True)
class CreateWebhook:
    """Insert a standing webhook, which sees what happens from now on. Outcome: its id, or None where there are `most` already."""

    url: str = field(repr=False)
    on: tuple[str, ...]
    filter: WebhookFilter
    secret: str = field(repr=False)
    enabled: bool
    at: int
    most: int


@dataclass(frozen=True, slots=True)
class ChangeWebhook:
    """Give a webhook other values; None leaves as it was.

    The secret before signs besides until `old_until`. Enabled again, it sees what happens from now on, and the reason why it was disabled goes;
    disabled, what is pending for it is dropped. With another address what is due is due now. Outcome: whether it is there.
    """

    webhook: int
    at: int
    url: str | None = field(default=None, repr=False)
    on: tuple[str, ...] | None = None
    filter: WebhookFilter | None = None
    secret: str | None = field(default=None, repr=False)
    old_until: int | None = None
    enabled: bool | None = None
    why: str = BY_REQUEST


@dataclass(frozen=True, slots=True)
class RemoveWebhook:
    """Remove a webhook; what is pending for it is dropped, what was told stays listed. Outcome: whether it was there."""

    webhook: int
    at: int


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """What is to be told to a webhook."""

    webhook: int
    job: int
    seq: int
    type: str
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enqueue:
    """What the outbox made of the events above `after`, up to `seen`. Expects that nobody made anything of them yet.

    A delivery to a webhook that is gone or disabled is left out. `outcomes`: how names ended last (True: well), kept only while a webhook asks for
    changes. `deleted`: jobs that are no more, whose callbacks go when nothing is pending for them. Outcome: bool.
    """

    after: int
    seen: int
    at: int
    deliveries: Sequence[NewDelivery] = ()
    outcomes: Mapping[str, bool] = field(default_factory=dict)
    deleted: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class SendTest:
    """Insert a delivery that is about no job. Outcome: its id, or None where the webhook is gone or disabled."""

    webhook: int
    type: str
    body: str
    at: int


@dataclass(frozen=True, slots=True)
class RecordTry:
    """A try is over: `status` is that of the delivery after it; still pending, it is due at `due_at`. Expects it to be pending.

    `gone`: the receiver wants nothing more: its webhook is disabled for this reason, and what else is pending for it dropped. Where the webhook has
    another address than `url`, which was tried, only a success counts; else the new address is tried at once. Outcome: bool.
    """

    delivery: int
    at: int
    status: DeliveryStatus
    code: int | None
    error: str | None
    due_at: int | None = None
    gone: str | None = None
    url: str | None = None
    """None: that of its webhook now."""


@dataclass(frozen=True, slots=True)
class Redeliver:
    """A delivery that has ended is pending again, from its first try on, as the same message. Outcome: Redelivery."""

    delivery: int
    at: int


class Redelivery(StrEnum):
    """What became of the wish to deliver once more."""

    DONE = "done"
    UNKNOWN = "unknown"
    PENDING = "pending"
    REMOVED = "removed"
    """Its webhook is no more."""
    DISABLED = "disabled"
    """Its webhook is."""


WebhookChange = CreateWebhook | ChangeWebhook | RemoveWebhook | Enqueue | SendTest | RecordTry | Redeliver


# --- reads


class WebhookReads(Protocol):
    """All that can be asked of the database about webhooks."""

    async def seen(self) -> int:
        """The number of the last event that the outbox has made deliveries of."""

    async def any(self) -> bool:
        """Whether there is a webhook at all, be it the callback of a job."""

    async def standing(self) -> list[Webhook]:
        """All but callbacks, oldest first."""

    async def webhook(self, webhook: int) -> Webhook | None:
        """One webhook, standing or a callback."""

    async def about(self, jobs: Collection[int]) -> list[Webhook]:
        """All that an event of these jobs may concern: the standing ones and the callbacks of these jobs, enabled or not, oldest first."""

    async def outcomes(self, names: Collection[str]) -> dict[str, bool]:
        """How these names ended last, as far as it was kept."""

    async def outcomes_before(self, ends: Mapping[str, int]) -> dict[str, bool]:
        """By name, how the newest job of it ended of which nothing was told since the event of this number; those that end well or badly count."""

    async def due(
        self, now: int, *, busy: Collection[str], under_way: Collection[int], limit: int, each: int
    ) -> list[DueDelivery]:
        """Deliveries that are due and not under way, to receivers that are not busy, at most `each` to one; the longest due first.

        None only where there is none, whatever else waits.
        """

    async def next_due(self, now: int) -> int | None:
        """The earliest instant after this one at which a delivery is due."""

    async def deliveries(self, found: DeliveryFilter, *, before: int | None = None, limit: int = 100) -> list[Delivery]:
        """Those that pass the filter, newest first, with ids below `before`."""

    async def delivery(self, delivery: int) -> Delivery | None:
        """One delivery."""
