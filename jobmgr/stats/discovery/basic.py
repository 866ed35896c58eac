"""The seven basic patterns, which are always shown, and the arithmetic of the known fields of `GET /stats`.

They are counted in the tables like all attributes, but nothing is looked for in them. Rates are rounded half up to hundredths in integer
arithmetic; the difference from the average comes from the two rounded rates, half away from zero, so that what is shown adds up for who calculates
with it. A basic pattern is a count, not a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.attributes import Attribute, Phase, Scale, View
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.source_calendar import submitted
from jobmgr.stats.findings import Condition
from jobmgr.stats.labels import hours

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

HOURS = 24
MAX_HOUR_SUPPORT = 50
"""An hour with this many outcomes may be the worst one however many there are in all; with few outcomes 1 % of all is enough."""
SECOND_US = 1_000_000

_has_digit = re.compile("[0-9]").search


@dataclass(frozen=True, slots=True)
class Basic:
    """One of the seven as a predicate of the tables."""

    pattern: str
    condition: Condition
    phase: Phase
    predicate: Predicate


_NAMES: dict[str, tuple[Condition, Callable[[str], bool]]] = {
    "Job name length > 10": ({"attribute": "name.length", "op": ">", "value": 10}, lambda name: len(name) > 10),
    "Job name contains digits": (
        {"attribute": "name.hasDigits", "op": "==", "value": True},
        lambda name: _has_digit(name) is not None,
    ),
    "Job name starts with test-": (
        {"attribute": "name.prefix", "op": "==", "value": "test-"},
        lambda name: name.startswith("test-"),
    ),
}
_NUMBERS: dict[str, tuple[Condition, Phase, str, int]] = {
    "Argument count >= 2": ({"attribute": "args.count", "op": ">", "value": 1}, Phase.BEFORE, "args_count", 1),
    "Job execution time > 1 second": (
        {"attribute": "duration", "op": ">", "value": 1000},
        Phase.RUNTIME,
        "duration",
        SECOND_US,
    ),
    "Jobs that were retried": ({"attribute": "retries", "op": ">", "value": 0}, Phase.OUTCOME, "retries", 0),
}
ORDER = (
    "Job name length > 10",
    "Argument count >= 2",
    "Job name contains digits",
    "Job execution time > 1 second",
    "Jobs that were retried",
    "Job name starts with test-",
)
"""All but the seventh, the worst hour of day, which depends on the counts of the others of its kind."""
HOUR = "hour of day"
_ATTRIBUTES = (
    *(Attribute(pattern, Scale.FLAG, (True,), searched=False) for pattern in ORDER),
    Attribute(HOUR, Scale.HOURS, tuple(range(HOURS)), searched=False),
)


@dataclass(slots=True)
class BasicSource:
    """One flag a pattern, and the hour of the day."""

    attributes: Sequence[Attribute] = _ATTRIBUTES
    judged: dict[str, list[bool]] = field(default_factory=lambda: {pattern: [] for pattern in _NAMES})
    """Of each distinct name whether it matches."""

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        levels = np.empty((len(self.attributes), len(view.rows)), "u1")
        names, texts = view["name"], view.columns.names.values
        for place, pattern in enumerate(ORDER):
            if pattern in _NAMES:
                judged, matches = self.judged[pattern], _NAMES[pattern][1]
                judged += map(matches, texts[len(judged) :])
                levels[place] = np.array([*judged, False])[names]  # The last one is that of the unknown name.
            else:
                _, _, column, most = _NUMBERS[pattern]
                levels[place] = view[column] > most
        known, hour, _ = view.once(submitted)
        levels[-1] = np.where(known, hour, HOURS)
        return levels


def basics(attributes: Sequence[Attribute], offsets: Array, counts: Array) -> list[Basic]:
    """Those that at least one task matches, in their order. `counts`: level × (without, with the target), of the tables' attributes."""
    found = []
    for place, attribute in enumerate(attributes):
        if attribute.name in _NAMES or attribute.name in _NUMBERS:
            named = attribute.name in _NAMES
            condition = _NAMES[attribute.name][0] if named else _NUMBERS[attribute.name][0]
            phase = Phase.BEFORE if named else _NUMBERS[attribute.name][1]
            predicate = Predicate(place, attribute, condition["op"], condition["value"], (1,))
            found.append(Basic(attribute.name, condition, phase, predicate))
        elif attribute.name == HOUR:
            hour = _worst_hour(counts[offsets[place] : offsets[place] + HOURS])
            if hour is not None:
                condition = {"attribute": "submit.hour", "op": "==", "value": hour}
                predicate = Predicate(place, attribute, "==", hour, (hour,))
                found.append(Basic(f"Submitted between {hours(hour)}", condition, Phase.BEFORE, predicate))
    return [one for one in found if counts[offsets[one.predicate.place] + one.predicate.members[0]].sum() > 0]


def _worst_hour(counts: Array) -> int | None:
    """The hour of day with the highest rate of the target; of equal ones that with more tasks, then the earlier. None: no hour is known.

    An hour in which hardly anything was submitted does not qualify: one failed job at night would always be the worst.
    """
    count, bad = counts.sum(1), counts[:, 1]
    enough = max(1, min(MAX_HOUR_SUPPORT, int(count.sum()) // 100))
    rated = [each for each in range(HOURS) if count[each] >= enough]
    return max(rated, key=lambda each: (bad[each] / count[each], count[each], -each), default=None)


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
