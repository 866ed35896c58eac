"""`GET /stats` from columns: what was discovered, the basic patterns, incidents, changepoints, flakiness, and how it was found.

Pure and synchronous: nothing here knows a store, a clock or an event loop. `jobmgr analyze` and the server say the same of the same history.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo

from jobmgr.history import HistoryRow
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import Stats
from jobmgr.stats.query import EVERYTHING, Question


def columns_of(rows: Iterable[HistoryRow]) -> Columns:
    """The columns of a history that is read from a file: lines of one task share `jobId` and `task`."""
    columns = Columns()
    keys: dict[tuple[str, int], int] = {}
    for row in rows:
        columns.put(keys.setdefault((row.job_id, row.task), len(keys)), (row,))
    columns.settle()
    return columns


def summarize(
    columns: Columns, question: Question = EVERYTHING, *, total_jobs: int, now: int, zone: tzinfo = UTC
) -> Stats:
    """The body of `GET /stats`. `total_jobs`: all jobs of any status; `now`: microseconds since the epoch."""
    raise NotImplementedError
