"""Histories for the tests of statistics: rows with everything unknown but what a test is about, and columns of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from jobmgr.history import HistoryRow
from jobmgr.stats.columns import Columns

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_772_546_400_000_000
"""2026-03-03T14:00:00Z."""

_UNKNOWN: dict[str, Any] = dict.fromkeys(
    (
        "job_name", "script", "args", "priority", "group", "node", "created_at", "started_at", "finished_at", "cause",
        "exit_code", "signal", "retries", "duration_us", "queue_wait_us", "peak_rss_bytes", "cpu_us", "read_bytes",
        "write_bytes", "output_bytes", "concurrency",
    )
)  # fmt: skip


def attempt(**known: Any) -> HistoryRow:
    """One attempt, completed if nothing else is said; all that is not given is unknown."""
    fixed = {"job_id": "job-0", "task": 0, "status": "completed", "round": 1, "attempt": 1}
    return HistoryRow(**{**_UNKNOWN, **fixed, **known})


def columns_of(rows: Iterable[HistoryRow]) -> Columns:
    """Each row as the only one of a task of its own."""
    columns = Columns()
    for key, row in enumerate(rows):
        columns.put(key, [row])
    columns.settle()
    return columns


def series(failed: Iterable[Any], every: int = MINUTE, **known: Any) -> list[HistoryRow]:
    """A task a minute, which crashed where `failed` says so."""
    return [
        attempt(status="crashed" if bad else "completed", finished_at=START + place * every, **known)
        for place, bad in enumerate(failed)
    ]


def spoilt(columns: Columns) -> Columns:
    """The same columns with every field of every third row unknown, as far as a field can be."""
    rows = np.arange(0, len(columns), 3)
    for name in (
        "name",
        "script",
        "node",
        "group",
        "created",
        "started",
        "at",
        "duration",
        "peak_rss",
        "signal",
        "cause",
    ):
        columns[name][rows] = -1
    return columns
