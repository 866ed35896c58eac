"""What is looked for in tasks, and which tasks can have it: failure, slowness, much memory. The same engine runs for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import COMPLETED, CRASHED, UNKNOWN, Columns
from jobmgr.stats.query import Question, Target

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

TIMES_MEDIAN = 2
LEAST_RUNS = 20
"""Of a name with fewer runs nobody can say what is usual."""
_MEASURES = {Target.SLOW: "duration", Target.MEMORY: "peak_rss"}


def rows_of(columns: Columns, question: Question) -> tuple[Array, Array]:
    """The tasks that a question is about, in the order of their ends, and which of them have its target."""
    rows = _asked(columns, question)
    if question.target is Target.FAILURE:
        return rows, columns["status"][rows] == CRASHED
    return _unusual(columns, rows, _MEASURES[question.target])


def _asked(columns: Columns, question: Question) -> Array:
    import numpy as np

    rows = columns.outcomes()
    at = columns["at"][rows]
    keep = np.ones(len(rows), "?")
    if question.since is not None:
        keep &= at >= question.since
    if question.until is not None:
        keep &= at < question.until
    for text, dictionary, column in (
        (question.name, columns.names, "name"),
        (question.group, columns.groups, "group"),
    ):
        if text is not None:
            code = dictionary.find(text)
            keep &= columns[column][rows] == code if code is not None else False
    return rows if keep.all() else rows[keep]


def _unusual(columns: Columns, rows: Array, measure: str) -> tuple[Array, Array]:
    """Completed tasks of names with enough of them, and which took more than twice the median of their name.

    A crash cuts a run short, so crashed ones are left out.
    """
    import numpy as np

    known = (
        (columns["status"][rows] == COMPLETED)
        & (columns[measure][rows] != UNKNOWN)
        & (columns["name"][rows] != UNKNOWN)
    )
    rows = rows[known]
    values, names = columns[measure][rows], columns["name"][rows]
    if len(rows) == 0:
        return rows, np.zeros(0, "?")
    order = np.lexsort((values, names))
    starts = np.flatnonzero(np.diff(names[order], prepend=-2))
    sizes = np.diff(starts, append=len(order))
    medians = values[order][starts + (sizes - 1) // 2] / 2 + values[order][starts + sizes // 2] / 2
    of_name = np.full(len(columns.names), np.inf)
    of_name[names[order][starts]] = np.where(sizes >= LEAST_RUNS, medians, np.inf)
    usual = of_name[names]
    enough = np.isfinite(usual)
    return rows[enough], values[enough] > TIMES_MEDIAN * usual[enough]
