"""Events: one committed change each, with a sequence number in commit order; what every live interface sends.

An event row is written in the transaction of its change. `data` is what watchers get, so it holds the words of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JOB_UPDATE = "job-update"
TASK_UPDATE = "task-update"

KINDS: Mapping[str, str] = {
    JOB_UPDATE: "A job is another than before: `jobId`, `jobName`, `type` and `labels` where it has them, `status` (`deleted` when it is gone), "
    "`previousStatus` where that changed, `progress`, `retries`; after an end `cause`, `exitCode`, `signal`, `duration`, `error`; `tasks` "
    "(how many are in which status) where it has many.",
    TASK_UPDATE: "A task is another than before: what names its job, `taskId`, `status`, `attempt`; after an end `cause`, `exitCode`, `signal`, "
    "`error`; `progress` and `message` when it reports them; "
    "`longerThanUsual` with `usual` (milliseconds), once, when an attempt has run unusually long.",
}
"""Every kind, and what it tells."""


@dataclass(frozen=True, slots=True)
class Event:
    """One committed change. `at` is wall time in microseconds; `data` is ready to be sent as JSON."""

    seq: int
    at: int
    kind: str
    job: int
    data: Mapping[str, Any]
