"""What statistics read of the history: small values, whatever the jobs were made of. Read through the store's own verbs, never by SQL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FinishedTask:
    """What the basic statistics need of a task that completed or crashed."""

    task: int
    job_name: str
    argument_count: int
    created_at: int
    duration_us: int | None
    failures: int
    retried: bool
    succeeded: bool
