"""Events: one committed change each, with a sequence number in commit order; what every live interface sends.

An event row is written in the transaction of its change. `data` is what watchers get, so it holds the words of the API. A watcher chooses among
them with an `EventFilter`, which looks at nothing but the event: what names a job stands in each of its events, so one of a job that was
deleted since is found too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobmgr.job import FINISHED

JOB_UPDATE = "job-update"
TASK_UPDATE = "task-update"
JOB_RESULT = "update-on-jobs"

KINDS: Mapping[str, str] = {
    JOB_UPDATE: "A job is another than before: `jobId`, `jobName`, `type` and `labels` where it has them, `status` (`deleted` when it is gone), "
    "`previousStatus` where that changed, `progress`, `retries`; after an end `cause`, `exitCode`, `signal`, `duration`, `error`; `tasks` "
    "(how many are in which status) where it has many.",
    TASK_UPDATE: "A task is another than before: what names its job, `taskId`, `status`, `attempt`; after an end `cause`, `exitCode`, `signal`, "
    "`error`; `progress` and `message` when it reports them; "
    "`longerThanUsual` with `usual` (milliseconds), once, when an attempt has run unusually long.",
    JOB_RESULT: "A job has ended: `isJobResolved` (true), `messageId` (the job), `status`. It has the number of the `job-update` that says so. Sent "
    "over Socket.IO, elsewhere to those who ask for it.",
}
"""Every kind, and what it tells."""

STORED = frozenset({JOB_UPDATE, TASK_UPDATE})
"""The kinds that are rows; a result is told in other words by the `job-update` of the end."""

SIGNS: Mapping[str, str] = {
    "hello": "The first message: what follows comes after its `seq`.",
    "reset": "Some events that were asked for are no longer kept, or never were: fetch `GET /jobs`. The feed goes on after its `seq`.",
    "subscribed": "The filter that now holds, from its `seq` on.",
    "error": "A message was not understood, in a sentence; nothing was changed by it.",
}
"""What the feed says besides events."""


@dataclass(frozen=True, slots=True)
class Event:
    """One committed change. `at` is wall time in microseconds; `data` is ready to be sent as JSON."""

    seq: int
    at: int
    kind: str
    job: int
    data: Mapping[str, Any]

    @property
    def is_end(self) -> bool:
        """Whether it says that a job has ended, and not that something else of a job that has ended changed."""
        return self.kind == JOB_UPDATE and self.data["status"] in FINISHED and "previousStatus" in self.data

    def result(self) -> Event:
        """The end of a job in the words of JOB_RESULT."""
        data = {"isJobResolved": True, "messageId": self.data["jobId"], "status": self.data["status"]}
        return Event(self.seq, self.at, JOB_RESULT, self.job, data)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: those that pass every condition given, each with any of its values. The default passes all that are stored."""

    kinds: frozenset[str] = STORED
    jobs: frozenset[int] | None = None
    statuses: frozenset[str] | None = None
    names: frozenset[str] | None = None
    types: frozenset[str] | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    """With all of these labels; None: with any value."""

    def passes(self, event: Event) -> bool:
        """Whether the event is wanted, whatever its kind."""
        data = event.data
        return (
            (self.jobs is None or event.job in self.jobs)
            and (self.statuses is None or data.get("status") in self.statuses)
            and (self.names is None or data.get("jobName") in self.names)
            and (self.types is None or data.get("type") in self.types)
            and (not self.labels or self._has_labels(data.get("labels") or {}))
        )

    def _has_labels(self, labels: Mapping[str, str]) -> bool:
        return all(key in labels if value is None else labels.get(key) == value for key, value in self.labels)


EVERY_EVENT = EventFilter()
