"""`GET /stats` from columns: what was discovered, the basic patterns, incidents, changepoints, flakiness, and how it was found.

Pure and synchronous: nothing here knows a store, a clock or an event loop. `jobmgr analyze` and the server say the same of the same history.
`Analyses` keeps the tables between questions, so that an answer after a few more tasks costs little.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from jobmgr.clock import rfc3339
from jobmgr.history import HistoryRow
from jobmgr.stats.changepoints import changepoints
from jobmgr.stats.columns import CRASHED, Columns
from jobmgr.stats.discovery import patterns
from jobmgr.stats.discovery.attributes import View, support
from jobmgr.stats.discovery.basic import hundredths
from jobmgr.stats.discovery.candidates import FDR
from jobmgr.stats.discovery.prune import prune
from jobmgr.stats.discovery.search import Finder, Search
from jobmgr.stats.discovery.tables import Tables
from jobmgr.stats.discovery.targets import rows_of
from jobmgr.stats.findings import Analysis, Changepoint, Flakiness, Incident, Pattern, Stats
from jobmgr.stats.flakiness import flakiness
from jobmgr.stats.incidents import incidents
from jobmgr.stats.query import EVERYTHING, Question, Target

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


AGE_S = 60.0
"""So long what was discovered may be told with new counts before the search is done again…"""
LITTLE = 0.01
"""… while no more than this share of the tasks is new…"""
DEAR_TASKS = 20_000
"""… and only from so many tasks on: below, searching is as quick as telling."""


@dataclass(slots=True)
class _Kept:
    """What is kept of the analysis of all tasks."""

    columns: Columns
    moved: int
    """How often rows of the columns had been moved: `columns.moved`."""
    zone: tzinfo
    rows: Array
    seen: int
    """So many rows of the columns were looked at."""
    finder: Finder
    most: int
    found: Search | None = None
    judged: list[patterns.Judged] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    changepoints: list[Changepoint] = field(default_factory=list)
    flakiness: dict[str, Flakiness] = field(default_factory=dict)
    searched: int = 0
    """How many tasks there were at the last search, and when that was (monotonic seconds)."""
    searched_at: float = 0.0

    @property
    def due(self) -> bool:
        """Whether to search again."""
        count = len(self.finder.tables)
        little = count - self.searched <= LITTLE * self.searched and time.monotonic() - self.searched_at < AGE_S
        return self.found is None or (count != self.searched and not (little and count >= DEAR_TASKS))


class Analyses:
    """Answers questions about columns that grow; call it like `summarize`.

    What is asked most, the failures of all tasks, is kept in tables to which new tasks are added. With few new ones what was discovered is told
    with new counts; with more the search is done again on the same tables; with a tenth more, or after tasks were taken out, all is built
    anew. A narrower question is computed from the columns each time.
    """

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def __call__(
        self, columns: Columns, question: Question = EVERYTHING, *, total_jobs: int, now: int, zone: tzinfo = UTC
    ) -> Stats:
        """The body of `GET /stats`. `total_jobs`: all jobs of any status; `now`: microseconds since the epoch."""
        if replace(question, max_patterns=EVERYTHING.max_patterns) == EVERYTHING:
            self._kept = kept = self._kept_for(columns, question, zone)
        else:
            kept = _afresh(columns, question, zone)
        if kept.due:
            _search(kept, question)
        assert kept.found is not None
        tables, found = kept.finder.tables, kept.found
        good = int(tables.totals[:, 0].sum())
        return {
            "totalJobs": total_jobs,
            "overallSuccessRate": hundredths(good, len(tables)) / 100,
            "patterns": _patterns(kept, question),
            "incidents": kept.incidents,
            "changepoints": kept.changepoints,
            "flakiness": kept.flakiness,
            "analysis": _analysis(columns, question, tables, found, now),
        }

    def forget(self) -> None:
        """Let go of the columns, when others take their place."""
        self._kept = None

    def _kept_for(self, columns: Columns, question: Question, zone: tzinfo) -> _Kept:
        """What is kept, with the new tasks in it, or all anew."""
        kept, self._kept = self._kept, None  # Tables that fail to grow half-way are not gone on with.
        if kept is None or (kept.columns, kept.moved, kept.zone) != (columns, columns.moved, zone):
            return _afresh(columns, question, zone)
        import numpy as np

        new = columns.outcomes(kept.seen)
        if not kept.finder.tables.fits(len(kept.rows) + len(new)):
            return _afresh(columns, question, zone)
        rows = np.concatenate([kept.rows, new])
        kept.finder.tables.grow(View(columns, rows, zone), columns["status"][new] == CRASHED)
        kept.rows, kept.seen = rows, len(columns)
        if kept.most != question.max_patterns:
            kept.most, kept.found = question.max_patterns, None
        return kept


def _afresh(columns: Columns, question: Question, zone: tzinfo) -> _Kept:
    rows, flags = rows_of(columns, question)
    least = question.min_support or support(len(rows))
    tables = Tables(View(columns, rows, zone), flags, least=least)
    finder = Finder(tables, least, runtime=question.target is Target.FAILURE)
    return _Kept(columns, columns.moved, zone, rows, len(columns), finder, question.max_patterns)


def _search(kept: _Kept, question: Question) -> None:
    """All that is found out, not only counted."""
    columns = kept.columns
    _search_patterns(kept, question)
    if question.target is Target.FAILURE:  # The others look at completed runs only.
        kept.incidents = incidents(columns, kept.rows, zone=kept.zone)
        kept.changepoints = changepoints(columns, kept.rows, zone=kept.zone)
        kept.flakiness = flakiness(columns, columns["key"][kept.rows] if question.narrow else None)
    kept.searched, kept.searched_at = len(kept.finder.tables), time.monotonic()


def _search_patterns(kept: _Kept, question: Question) -> None:
    tables = kept.finder.tables
    kept.found = kept.finder.search()
    setting = patterns.Setting(tables, kept.found, question.target)
    kept.judged = patterns.judged(setting, prune(tables, kept.found, kept.most), kept.columns["name"][kept.rows])


def _patterns(kept: _Kept, question: Question) -> list[Pattern]:
    assert kept.found is not None, "searched before"
    return patterns.told(patterns.Setting(kept.finder.tables, kept.found, question.target), kept.judged)


def patterns_of(columns: Columns, question: Question, *, zone: tzinfo = UTC) -> list[Pattern]:
    """The patterns that `summarize` tells, for who wants nothing else: incidents, changepoints and flakiness are not looked for."""
    kept = _afresh(columns, question, zone)
    _search_patterns(kept, question)
    return _patterns(kept, question)


def summarize(
    columns: Columns, question: Question = EVERYTHING, *, total_jobs: int, now: int, zone: tzinfo = UTC
) -> Stats:
    """The body of `GET /stats` from nothing but columns."""
    return Analyses()(columns, question, total_jobs=total_jobs, now=now, zone=zone)


def _analysis(columns: Columns, question: Question, tables: Tables, found: Search, now: int) -> Analysis:
    return {
        "target": question.target.value,
        "finishedTasks": len(tables),
        "hypotheses": sum(found.questions),
        "method": "robust-BH",
        "fdr": FDR,
        "timeBlocks": -(-tables.blocks >> found.halvings) if tables.blocks else 0,
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
    bad = int(tables.totals[:, 1].sum())
    if not tables.blocks:
        notes.append(
            f"{len(tables):,} finished tasks are too few to search for patterns; 40 are needed, and some hundred to find much."
        )
    elif not 0 < bad < len(tables):
        notes.append("All tasks went the same way: there is nothing to compare.")
    return notes
