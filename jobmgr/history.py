"""The history as it leaves and enters: JSON lines, one attempt a line. `jobmgr export` writes it, `jobmgr analyze` reads it (from anywhere).

Field names and units are those of DESIGN §8 and the conditions of statistics: times RFC 3339 UTC, `duration` and `queueWait` in milliseconds,
sizes in bytes. In memory times and durations are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One attempt of one task, with what is known of its job. `attempt` 0: the task never began."""

    job_id: str
    task: int
    job_name: str
    script: str | None
    args: tuple[str, ...]
    priority: int
    group: str | None
    node: str | None
    created_at: int | None
    started_at: int | None
    finished_at: int | None
    status: str
    cause: str | None
    exit_code: int | None
    signal: str | None
    round: int
    attempt: int
    retries: int
    """Counted failures of the task in its round so far."""
    duration_us: int | None
    queue_wait_us: int | None
    peak_rss_bytes: int | None
    cpu_us: int | None
    read_bytes: int | None
    write_bytes: int | None
    output_bytes: int | None
    concurrency: int | None
    """Attempts that ran on its node when it was claimed, itself included."""
    place: tuple[int, int] = (-1, -1)
    """Where it stands in a store: (task row id, attempt number). Not part of a line."""
