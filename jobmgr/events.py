"""Events: one committed change each, with a sequence number in commit order; what every live interface sends.

An event row is written in the transaction of its change. `data` is what watchers get, so it holds the words of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JOB_UPDATE = "job-update"
TASK_UPDATE = "task-update"


@dataclass(frozen=True, slots=True)
class Event:
    """One committed change. `at` is wall time in microseconds; `data` is ready to be sent as JSON."""

    seq: int
    at: int
    kind: str
    job: int
    data: Mapping[str, Any]
