"""The seven basic patterns, which are always shown, and the arithmetic of the known fields of `GET /stats`.

Rates are rounded half up to hundredths in integer arithmetic; the difference from the average comes from the two rounded rates, half away from
zero, so that what is shown adds up for who calculates with it. A basic pattern is a count, not a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.stats.attributes import Phase, View
from jobmgr.stats.columns import UNKNOWN
from jobmgr.stats.findings import Condition
from jobmgr.stats.labels import hours
from jobmgr.stats.source_calendar import local_hours

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_has_digit = re.compile("[0-9]").search

HOURS = 24
MAX_HOUR_SUPPORT = 50
"""An hour with this many outcomes may be the worst one however many there are in all; with few outcomes 1 % of all is enough."""
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Basic:
    """One of the seven, and which tasks of a view match it."""

    pattern: str
    condition: Condition
    phase: Phase
    mask: Array


def basics(view: View, flags: Array) -> list[Basic]:
    """Those that at least one task matches, in their order. `flags`: which tasks have the target."""
    named = _of_names(view)
    found = [
        named("Job name length > 10", ("name.length", ">", 10), lambda name: len(name) > 10),
        Basic("Argument count >= 2", _condition("args.count", ">", 1), Phase.BEFORE, view["args_count"] >= 2),
        named("Job name contains digits", ("name.hasDigits", "==", True), lambda name: _has_digit(name) is not None),
        Basic(
            "Job execution time > 1 second",
            _condition("duration", ">", 1000),
            Phase.RUNTIME,
            view["duration"] > SECOND_US,
        ),
        Basic("Jobs that were retried", _condition("retries", ">", 0), Phase.OUTCOME, view["retries"] > 0),
        named("Job name starts with test-", ("name.prefix", "==", "test-"), lambda name: name.startswith("test-")),
        *_worst_hour(view, flags),
    ]
    return [basic for basic in found if basic.mask.any()]


def _condition(attribute: str, op: Any, value: Any) -> Condition:
    return {"attribute": attribute, "op": op, "value": value}


def _of_names(view: View) -> Callable[[str, tuple[str, str, Any], Callable[[str], bool]], Basic]:
    """Makes patterns that are judged once a distinct name."""
    import numpy as np

    codes = view["name"]
    used = np.unique(codes[codes != UNKNOWN])
    names = view.columns.names.values

    def named(pattern: str, condition: tuple[str, str, Any], matches: Callable[[str], bool]) -> Basic:
        holds = np.zeros(len(names) + 1, "?")  # The last one is that of the unknown name.
        holds[used] = [matches(names[code]) for code in used]
        return Basic(pattern, _condition(*condition), Phase.BEFORE, holds[codes])

    return named


def _worst_hour(view: View, flags: Array) -> list[Basic]:
    """The hour of day with the highest rate of the target; of equal ones that with more tasks, then the earlier.

    An hour in which hardly anything was submitted does not qualify: one failed job at night would always be the worst.
    """
    import numpy as np

    created = view["created"]
    known = created != UNKNOWN
    if not known.any():
        return []
    hour = np.where(known, local_hours(np.where(known, created, 0), view.zone)[0], HOURS)
    count = np.bincount(hour, minlength=HOURS + 1)[:HOURS]
    bad = np.bincount(hour[flags], minlength=HOURS + 1)[:HOURS]
    enough = max(1, min(MAX_HOUR_SUPPORT, len(flags) // 100))
    rated = [each for each in range(HOURS) if count[each] >= enough]
    if not rated:
        return []
    worst = max(rated, key=lambda each: (bad[each] / count[each], count[each], -each))
    pattern = f"Submitted between {hours(worst)}"
    return [Basic(pattern, _condition("submit.hour", "==", worst), Phase.BEFORE, hour == worst)]


def hundredths(successes: int, count: int) -> int:
    """The success rate in hundredths, rounded half up; 0 when there is nothing to divide by."""
    return (200 * successes + count) // (2 * count) if count else 0


def difference(rate: int, average: int) -> str:
    """How far a rate is from the average, both in hundredths: in percent of the average, half away from zero, sign always.

    There is no percentage of an average of 0: then it is the difference in percentage points, which has at least the right sign.
    """
    apart = abs(rate - average)
    percent = (200 * apart + average) // (2 * average) if average else apart
    return f"{'-' if rate < average else '+'}{percent}%"
