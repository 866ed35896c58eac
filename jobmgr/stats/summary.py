"""`GET /stats` from columns: what was discovered, the basic patterns, incidents, changepoints, flakiness, and how it was found.

Pure and synchronous: nothing here knows a store, a clock or an event loop. `jobmgr analyze` and the server say the same of the same history.
`Analyses` keeps the tables between questions, so that an answer after a few more tasks costs little.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from jobmgr.clock import rfc3339
from jobmgr.history import HistoryRow
from jobmgr.stats import patterns
from jobmgr.stats.attributes import View, support
from jobmgr.stats.basic import hundredths
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import Analysis, Stats
from jobmgr.stats.prune import prune
from jobmgr.stats.query import EVERYTHING, Question
from jobmgr.stats.search import FDR, Search, search
from jobmgr.stats.tables import Tables
from jobmgr.stats.targets import rows_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


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
    rows, flags = rows_of(columns, question)
    view = View(columns, rows, zone)
    least = question.min_support or support(len(rows))
    tables = Tables(view, flags, least=least)
    found = search(tables, least)
    kept = prune(tables, found.candidates, question.max_patterns)
    setting = patterns.Setting(view, tables, found, question.target)
    return {
        "totalJobs": total_jobs,
        "overallSuccessRate": hundredths(int((~flags).sum()), len(flags)) / 100,
        "patterns": patterns.told(setting, kept),
        "incidents": [],
        "changepoints": [],
        "flakiness": {},
        "analysis": _analysis(columns, question, tables, found, now),
    }


def _analysis(columns: Columns, question: Question, tables: Tables, found: Search, now: int) -> Analysis:
    return {
        "target": question.target.value,
        "finishedTasks": len(tables),
        "hypotheses": found.hypotheses,
        "method": "robust-BH",
        "fdr": FDR,
        "timeBlocks": found.blocks,
        "inflation": round(found.inflation, 2),
        "computedAt": rfc3339(now),
        "fresh": True,
        "notes": _notes(columns, tables),
    }


def _notes(columns: Columns, tables: Tables) -> list[str]:
    notes = []
    if columns.dropped:
        notes.append(
            f"Of a longer history the newest {len(columns):,} attempts are counted; {columns.dropped:,} older ones are not."
        )
    failed = int(tables.totals[:, 1].sum())
    if not tables.blocks:
        notes.append(
            f"{len(tables):,} finished tasks are too few to search for patterns; 40 are needed, and some hundred to find much."
        )
    elif not 0 < failed < len(tables):
        notes.append("All tasks went the same way: there is nothing to compare.")
    return notes
