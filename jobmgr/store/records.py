"""What the store gives to read: a job, a task, an attempt as they are now. Values, not handles: a change of the row does not change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobmgr.job import Cause, Status


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is now. The ending's fields are those of its task, or of the first task that failed where it has many."""

    id: int
    name: str
    script: str
    args: tuple[str, ...]
    type: str | None
    """The name of its job type, and what was given for the type's parameters; secret ones as `job.MASKED`."""
    params: Mapping[str, Any]
    labels: Mapping[str, str]
    status: Status
    cause: Cause | None
    error: str | None
    retries: int
    exit_code: int | None
    signal: int | None
    progress: float | None
    message: str | None
    result: Any
    priority: int
    round: int
    num_tasks: int
    counts: Mapping[Status, int]
    node: str | None
    pid: int | None
    """Of the running attempt of a job with one task."""
    created_at: int
    started_at: int | None
    """When the first attempt of the round began to run (claimed)."""
    finished_at: int | None
    duration_us: int | None
    """Of the last attempt; with many tasks the wall span of the round."""
    output_bytes: int | None
    """Of the newest attempt of a job with one task."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task with the facts of its newest attempt."""

    id: int
    job: int
    number: int
    status: Status
    attempt: int
    """Number of the newest attempt; 0 before the first."""
    failures: int
    args: tuple[str, ...] | None
    due_at: int | None
    newest: Attempt | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of one task. `status` is that of the task after it (`retried`: it crashed and another attempt follows)."""

    job: int
    task: int
    task_number: int
    number: int
    round: int
    run: str
    node: str
    pid: int | None
    status: Status
    cause: Cause | None
    error: str | None
    exit_code: int | None
    signal: int | None
    core_dumped: bool
    progress: float | None
    message: str | None
    claimed_at: int
    started_at: int | None
    ended_at: int | None
    duration_us: int | None
    queue_wait_us: int
    """From the instant the task was ready (submitted, retried-and-due, restarted) to the claim."""
    cpu_us: int | None
    peak_rss_bytes: int | None
    read_bytes: int | None
    write_bytes: int | None
    output_bytes: int | None
    leftovers: int
    result: Any


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


@dataclass(frozen=True, slots=True)
class Queued:
    """A task that waits for a slot and nothing else."""

    job: int
    number: int
    name: str
    args: tuple[str, ...]
    timeout: float | None
    """Seconds."""
