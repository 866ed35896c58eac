"""Which events a webhook is told of, and in what words. Pure: an event, a webhook, and how the name ended the last time.

An end is the event after which a job stands in a finished status that is another than before. `broken` and `mended` are about the name of a job: the
last one of it that counts ended well and this one badly, or the other way round. What was stopped or lost says nothing of that and counts for
neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobmgr.clock import rfc3339
from jobmgr.events import Event
from jobmgr.job import Status
from jobmgr.store.specs import dumps
from jobmgr.store.webhooks import Webhook, WebhookFilter

BROKEN, MENDED = "broken", "mended"
CHANGES = (BROKEN, MENDED)

ON: Mapping[str, str] = {
    "finished": "each end of a job, whatever it is",
    "failed": "it crashed, or could not be started",
    "completed": "it completed",
    "crashed": "it crashed",
    "stopped": "it was stopped",
    "lost": "nobody can know how it ended",
    BROKEN: "it went wrong, and the job of this name before it did not",
    MENDED: "it completed, and the job of this name before it went wrong",
}
"""What a webhook can be told of."""

TEST = "webhook.test"

_GOOD = frozenset({Status.COMPLETED})
_BAD = frozenset({Status.CRASHED, Status.FAILED})
_ENDS: Mapping[str, frozenset[str]] = {
    "finished": frozenset({Status.COMPLETED, Status.CRASHED, Status.FAILED, Status.STOPPED, Status.LOST}),
    "failed": _BAD,
    **{status: frozenset({status}) for status in (Status.COMPLETED, Status.CRASHED, Status.STOPPED, Status.LOST)},
}
_OUTCOMES = {True: "good", False: "bad"}


def outcome_of(end: Event) -> bool | None:
    """Whether it ended well (True) or badly (False); None: it does not count."""
    status = end.data["status"]
    return True if status in _GOOD else False if status in _BAD else None


def asks_for_changes(webhook: Webhook) -> bool:
    """Whether it must be known how the job before ended."""
    return webhook.enabled and any(change in webhook.on for change in CHANGES)


def types_for(webhook: Webhook, end: Event, before: bool | None) -> list[str]:
    """The types of the messages that this end is to it, in their order. `before`: how the name ended the last time, if that is known."""
    if not webhook.enabled or end.seq <= webhook.since_seq or webhook.job not in (None, end.job):
        return []
    if not passes(webhook.filter, end.data):
        return []
    types = (
        [f"job.{end.data['status']}"] if any(end.data["status"] in _ENDS.get(word, ()) for word in webhook.on) else []
    )
    changed = change_of(end, before)
    return [*types, f"job.{changed}"] if changed in webhook.on else types


def change_of(end: Event, before: bool | None) -> str | None:
    """What this end is to its name."""
    now = outcome_of(end)
    if now is None or before is None or now == before:
        return None
    return MENDED if now else BROKEN


def passes(wanted: WebhookFilter, data: Mapping[str, Any]) -> bool:
    """Whether a job, as its event names it, passes."""
    labels = data.get("labels") or {}
    return (
        (not wanted.names or data.get("jobName") in wanted.names)
        and (not wanted.types or data.get("type") in wanted.types)
        and (not wanted.labels or any(key in labels and value in (None, labels[key]) for key, value in wanted.labels))
    )


def body_of(type_: str, end: Event, before: bool | None) -> str:
    """The message as it is sent, at each try."""
    data = {**end.data, "seq": end.seq}
    if before is not None and type_.removeprefix("job.") in CHANGES:
        data["previousOutcome"] = _OUTCOMES[before]
    return dumps({"type": type_, "timestamp": rfc3339(end.at), "data": data})


def trial_body(webhook: str, at: int) -> str:
    """A message that tells of nothing."""
    return dumps({"type": TEST, "timestamp": rfc3339(at), "data": {"webhookId": webhook}})
