"""`GET /stats/jobs/{name}` whole: what is known of a name, with the patterns among its own runs. Pure."""

from __future__ import annotations

from datetime import UTC, tzinfo

from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import NameReport, Pattern
from jobmgr.stats.names import describe
from jobmgr.stats.query import Question
from jobmgr.stats.summary import patterns_of


def report_of(columns: Columns, name: str, *, now: int, zone: tzinfo = UTC) -> NameReport | None:
    """All about the jobs of this name; None: no job of that name is known. `now`: microseconds since the epoch."""

    def discover(name: str) -> list[Pattern]:
        found = patterns_of(columns, Question(name=name), zone=zone)
        return [pattern for pattern in found if pattern["kind"] != "basic"]

    return describe(columns, name, now=now, zone=zone, discover=discover)
