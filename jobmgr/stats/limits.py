"""Limits that would have let pass what was good: a timeout and a memory limit for the jobs of a name, from its completed runs.

Half as much again as what 99 % of the newest runs needed; with fewer than `ENOUGH_FOR_QUANTILE` runs nobody knows that quantile, so it is the most
that any needed. Runs that were cut off by a limit are not among them, and the basis says how many there were.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from jobmgr.job import Cause
from jobmgr.stats.columns import CAUSE_CODES, COMPLETED, UNKNOWN, Columns
from jobmgr.stats.findings import Suggestion
from jobmgr.stats.labels import size, span

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FACTOR = 1.5
LEAST_RUNS = 20
"""From fewer completed runs nothing is suggested."""
ENOUGH_FOR_QUANTILE = 100
RECENT = 1000
"""So many of the newest completed runs are looked at: programs and data grow."""
SECOND_US = 1_000_000
MIB = 2**20


def timeout(columns: Columns, rows: Array) -> Suggestion | None:
    """In whole seconds. `rows`: the attempts of a name in the order of their ends."""
    cut = _ended_by(columns, rows, Cause.TIMEOUT, Cause.DEADLINE)
    return _suggestion(columns, rows, "duration", cut=f"{cut:,} ended by a time limit" if cut else "")


def memory(columns: Columns, rows: Array) -> Suggestion | None:
    """In bytes, a whole number of MiB. `rows`: as of a timeout."""
    cut = _ended_by(columns, rows, Cause.OOM)
    return _suggestion(columns, rows, "peak_rss", cut=f"{cut:,} that ran out of memory" if cut else "")


def _ended_by(columns: Columns, rows: Array, *causes: Cause) -> int:
    import numpy as np

    return int(np.isin(columns["cause"][rows], [CAUSE_CODES[cause.value] for cause in causes]).sum())


def _suggestion(columns: Columns, rows: Array, measure: str, *, cut: str) -> Suggestion | None:
    values = columns[measure][rows[columns["status"][rows] == COMPLETED]]
    values = values[values != UNKNOWN][-RECENT:]
    if len(values) < LEAST_RUNS:
        return None
    needed, of = _needed(values, "longest" if measure == "duration" else "largest")
    if measure == "duration":
        value, shown, unit = (
            max(1, ceil(FACTOR * needed / SECOND_US)),
            span(float(f"{needed / 1000:.4g}")),
            "whole seconds",
        )
    else:
        value, shown, unit = max(1, ceil(FACTOR * needed / MIB)) * MIB, size(needed), "whole MiB"
    newest = "the newest " if len(values) == RECENT else ""
    besides = f"; {cut} might have needed more" if cut else ""
    basis = f"1.5 × the {of} ({shown}) of {newest}{len(values):,} completed runs, rounded up to {unit}{besides}"
    return {"value": float(value), "basis": basis}


def _needed(values: Array, most: str) -> tuple[float, str]:
    """What nearly all runs needed, and what that is called."""
    import numpy as np

    if len(values) < ENOUGH_FOR_QUANTILE:
        return float(values.max()), most
    return float(np.quantile(values, 0.99)), "99 % quantile"
