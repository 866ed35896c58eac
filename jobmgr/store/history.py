"""What statistics read of the history: small values, whatever the jobs were made of. Read through the store's own verbs, never by SQL."""

from __future__ import annotations

from dataclasses import dataclass

from jobmgr.job import Cause


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


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What is known of an attempt that crashed, also one that was retried, or that could not be started."""

    task: int
    attempt: int
    job: int
    job_name: str
    ended_at: int
    cause: Cause | None
    exit_code: int | None
    signal: int | None
    last_lines: str | None
    """What it said last; empty: nothing; None: not known."""

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands among all of them, to go on behind it."""
        return self.ended_at, self.task, self.attempt
