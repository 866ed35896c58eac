"""Webhooks and their deliveries: who is told, what is to be told, what became of each try."""

from __future__ import annotations

import secrets

from jobmgr.addresses import receiver_of
from jobmgr.store import webhook_statements as sql
from jobmgr.store.ledger import Ledger
from jobmgr.store.pruning import Prune
from jobmgr.store.specs import dumps
from jobmgr.store.sqlite_text import Text, storable
from jobmgr.store.webhooks import (
    BY_REQUEST,
    NO_JOB,
    ChangeWebhook,
    CreateWebhook,
    DeliveryStatus,
    Enqueue,
    NewDelivery,
    RecordTry,
    Redeliver,
    Redelivery,
    RemoveWebhook,
    SendTest,
    WebhookFilter,
)

INSERT_WEBHOOK = Text(sql.INSERT_WEBHOOK)
_COUNT_STANDING = Text(sql.COUNT_STANDING)
_READ_WEBHOOK = Text(sql.READ_WEBHOOK)
_SET_URL = Text(sql.SET_URL)
_SET_WANTED = Text(sql.SET_WANTED)
_SET_FILTER = Text(sql.SET_FILTER)
_ROTATE = Text(sql.ROTATE)
_ENABLE = Text(sql.ENABLE)
_DISABLE = Text(sql.DISABLE)
_DELETE_WEBHOOK = Text(sql.DELETE_WEBHOOK)
_CALLBACK_OF = Text(sql.CALLBACK_OF)
_CLOSE_CALLBACK = Text(sql.CLOSE_CALLBACK)
_DELETE_CLOSED = Text(sql.DELETE_CLOSED)
_TELLS_CHANGES = Text(sql.TELLS_CHANGES)
_RECEIVER_OF = Text(sql.RECEIVER_OF)
_IS_WAITED_FOR = Text(sql.IS_WAITED_FOR)
_INSERT_DELIVERY = Text(sql.INSERT_DELIVERY)
_PLACE_OF_DELIVERY = Text(sql.PLACE_OF_DELIVERY)
_RETRY_DELIVERY = Text(sql.RETRY_DELIVERY)
_URL_OF_WEBHOOK = Text(sql.URL_OF_WEBHOOK)
_END_DELIVERY = Text(sql.END_DELIVERY)
_NEXT_IN_LINE = Text(sql.NEXT_IN_LINE)
_DROP_PENDING = Text(sql.DROP_PENDING)
_MOVE_PENDING = Text(sql.MOVE_PENDING)
_REDELIVER = Text(sql.REDELIVER)
_KEEP_OUTCOME = Text(sql.KEEP_OUTCOME)
_FORGET_OUTCOMES = Text(sql.FORGET_OUTCOMES)
_PRUNE_DELIVERIES = Text(sql.PRUNE_DELIVERIES)
_PRUNE_OUTCOMES = Text(sql.PRUNE_OUTCOMES)
_PRUNE_CLOSED = Text(sql.PRUNE_CLOSED)
_PRUNE_ORPHANS = Text(sql.PRUNE_ORPHANS)

_MESSAGE_BYTES = 8
_REMOVED = "Its webhook was removed."


# --- webhooks


def filter_text(given: WebhookFilter) -> str:
    """A filter as kept."""
    return dumps({"names": given.names, "types": given.types, "labels": given.labels})


def create_webhook(ledger: Ledger, change: CreateWebhook) -> int | None:
    """Insert it, if there is room."""
    if ledger.execute(_COUNT_STANDING).fetchone()[0] >= change.most:
        return None
    webhook = next_webhook(ledger)
    own = (change.secret, None, change.enabled, None if change.enabled else BY_REQUEST)
    text = dumps(change.on), filter_text(change.filter)
    where = change.url, receiver_of(change.url)
    ledger.execute(INSERT_WEBHOOK, webhook, *where, *text, *own, ledger.counters["last_seq"], change.at)
    return webhook


def next_webhook(ledger: Ledger) -> int:
    """An id that no webhook had."""
    webhook = ledger.counters["next_webhook"]
    ledger.counters["next_webhook"] += 1
    return webhook


def change_webhook(ledger: Ledger, change: ChangeWebhook) -> bool:
    """Write what is given, and what follows from it for what is pending."""
    webhook = change.webhook
    if ledger.execute(_READ_WEBHOOK, webhook).fetchone() is None:
        return False
    if change.url is not None:
        receiver = receiver_of(change.url)
        ledger.execute(_SET_URL, change.url, receiver, webhook)
        ledger.execute(_MOVE_PENDING, receiver, change.at, webhook)
    if change.on is not None:
        ledger.execute(_SET_WANTED, dumps(change.on), webhook)
    if change.filter is not None:
        ledger.execute(_SET_FILTER, filter_text(change.filter), webhook)
    if change.secret is not None:
        ledger.execute(_ROTATE, change.secret, change.old_until, webhook)
    if change.enabled:
        ledger.execute(_ENABLE, ledger.counters["last_seq"], webhook)
    elif change.enabled is not None:
        _disable(ledger, webhook, change.why, change.at)
    _forget_outcomes(ledger)
    return True


def _disable(ledger: Ledger, webhook: int, why: str, at: int) -> None:
    ledger.execute(_DISABLE, why, webhook)
    ledger.execute(_DROP_PENDING, f"Its webhook was disabled: {why}", at, webhook)
    ledger.execute(_DELETE_CLOSED, webhook)


def remove_webhook(ledger: Ledger, change: RemoveWebhook) -> bool:
    """Delete its row; nothing is pending for it any more."""
    ledger.execute(_DROP_PENDING, _REMOVED, change.at, change.webhook)
    removed = ledger.execute(_DELETE_WEBHOOK, change.webhook).rowcount == 1
    _forget_outcomes(ledger)
    return removed


def _forget_outcomes(ledger: Ledger) -> None:
    """What is not kept up would be wrong one day: nothing is kept while nobody asks for changes."""
    if not ledger.execute(_TELLS_CHANGES).fetchone()[0]:
        ledger.execute(_FORGET_OUTCOMES)


# --- what is to be told


def enqueue(ledger: Ledger, change: Enqueue) -> bool:
    """Insert the deliveries and move on."""
    if ledger.counters["webhooks_seen"] != change.after:
        return False
    ledger.counters["webhooks_seen"] = change.seen
    receivers: dict[int, str | None] = {}
    for delivery in change.deliveries:
        if delivery.webhook not in receivers:
            receivers[delivery.webhook] = _receiver(ledger, delivery.webhook)
        if (receiver := receivers[delivery.webhook]) is not None:
            _insert(ledger, delivery, receiver, change.at)
    if change.outcomes and ledger.execute(_TELLS_CHANGES).fetchone()[0]:
        ledger.execute_many(_KEEP_OUTCOME, ((name, good, change.at) for name, good in change.outcomes.items()))
    for job in change.deleted:
        for (webhook,) in ledger.execute(_CALLBACK_OF, job).fetchall():
            ledger.execute(_CLOSE_CALLBACK, webhook)
            ledger.execute(_DELETE_CLOSED, webhook)
    return True


def _receiver(ledger: Ledger, webhook: int) -> str | None:
    """Where it is; None: it is gone or disabled."""
    found = ledger.execute(_RECEIVER_OF, webhook).fetchone()
    return None if found is None else str(found[0])


def _insert(ledger: Ledger, new: NewDelivery, receiver: str, at: int) -> int:
    delivery = ledger.counters["next_delivery"]
    ledger.counters["next_delivery"] += 1
    message = f"msg_{delivery}_{secrets.token_hex(_MESSAGE_BYTES)}"
    due_at = _due(ledger, new.webhook, new.job, at)
    told = (message, new.type, new.body, due_at, at)
    ledger.execute(_INSERT_DELIVERY, delivery, new.webhook, new.job, new.seq, receiver, *told)
    return delivery


def _due(ledger: Ledger, webhook: int, job: int, at: int) -> int | None:
    """When one that joins a line is due: at once where nothing stands before it. Tests are no line: whoever sends one waits for it."""
    if job == NO_JOB:
        return at
    return None if ledger.execute(_IS_WAITED_FOR, webhook, job).fetchone()[0] else at


def send_test(ledger: Ledger, change: SendTest) -> int | None:
    """Insert it like any other."""
    receiver = _receiver(ledger, change.webhook)
    if receiver is None:
        return None
    return _insert(ledger, NewDelivery(change.webhook, NO_JOB, 0, change.type, change.body), receiver, change.at)


# --- what became of it


def record_try(ledger: Ledger, change: RecordTry) -> bool:
    """Keep how a try ended; where it was the last, the next of the line is due."""
    found = ledger.execute(_PLACE_OF_DELIVERY, change.delivery).fetchone()
    if found is None or found[2] != DeliveryStatus.PENDING:
        return False  # Dropped meanwhile.
    webhook, job, _ = found
    error = storable(change.error)
    if change.status is not DeliveryStatus.DELIVERED and _has_moved(ledger, webhook, change.url):
        ledger.execute(_RETRY_DELIVERY, change.at, change.code, error, change.delivery)
        return True
    if change.status is DeliveryStatus.PENDING:
        ledger.execute(_RETRY_DELIVERY, change.due_at, change.code, error, change.delivery)
        return True
    ledger.execute(_END_DELIVERY, change.status, change.code, error, change.at, change.delivery)
    if change.gone is not None:
        _disable(ledger, webhook, change.gone, change.at)
        _forget_outcomes(ledger)
    ledger.execute(_NEXT_IN_LINE, change.at, webhook, job)
    ledger.execute(_DELETE_CLOSED, webhook)
    return True


def _has_moved(ledger: Ledger, webhook: int, url: str | None) -> bool:
    """Whether it has another address by now."""
    found = ledger.execute(_URL_OF_WEBHOOK, webhook).fetchone()
    return url is not None and found is not None and found[0] != url


def redeliver(ledger: Ledger, change: Redeliver) -> Redelivery:
    """Let it wait again, as the first of its line where nothing else waits there."""
    found = ledger.execute(_PLACE_OF_DELIVERY, change.delivery).fetchone()
    if found is None:
        return Redelivery.UNKNOWN
    webhook, job, status = found
    if status == DeliveryStatus.PENDING:
        return Redelivery.PENDING
    receiver = _receiver(ledger, webhook)
    if receiver is None:
        there = ledger.execute(_READ_WEBHOOK, webhook).fetchone() is not None
        return Redelivery.DISABLED if there else Redelivery.REMOVED
    ledger.execute(_REDELIVER, receiver, _due(ledger, webhook, job, change.at), change.delivery)
    return Redelivery.DONE


def prune_deliveries(ledger: Ledger, change: Prune) -> int:
    """Let the oldest go, at most `limit` of each. Of a job that is no more, nothing is told once its events are gone too."""
    deliveries = ledger.execute(_PRUNE_DELIVERIES, change.deliveries_before, change.limit).rowcount
    outcomes = ledger.execute(_PRUNE_OUTCOMES, change.deliveries_before, change.limit).rowcount
    closed = ledger.execute(_PRUNE_CLOSED).rowcount
    orphans = ledger.execute(_PRUNE_ORPHANS, change.events_before, change.limit).rowcount
    return deliveries + outcomes + closed + orphans
