"""Numbers of a job: what is known before it starts, and what is seen while it runs. In the units of the history: milliseconds, seconds, bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import NO_PRIORITY, UNKNOWN
from jobmgr.stats.discovery.attributes import Attribute, Phase, Scale, View
from jobmgr.stats.discovery.levels import cuts, exact

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MIB = 2**20
US_PER_MS = 1000
US_PER_S = 1_000_000
SAMPLE = 100_000
"""So many rows suggest where to cut."""


@dataclass(frozen=True, slots=True)
class Number:
    """An attribute that is a column, divided by `unit`. `unknown` is the value of what is not known."""

    column: str
    unit: int = 1
    phase: Phase = Phase.BEFORE
    floor: float = 0.0
    """Below this no cut is tried: how a run ends costs something, too."""
    unknown: int = UNKNOWN


NUMBERS = {
    "priority": Number("priority", unknown=NO_PRIORITY),
    "args.count": Number("args_count"),
    "queueWait": Number("queue_wait", US_PER_MS),
    "concurrency": Number("concurrency"),
    "duration": Number("duration", US_PER_MS, Phase.RUNTIME, floor=1000),
    "peakRssBytes": Number("peak_rss", phase=Phase.RUNTIME, floor=64 * MIB),
    "cpuSeconds": Number("cpu", US_PER_S, Phase.RUNTIME, floor=0.5),
    "readBytes": Number("read", phase=Phase.RUNTIME, floor=MIB),
    "writeBytes": Number("write", phase=Phase.RUNTIME, floor=MIB),
}
"""Not what a job printed: those that fail say so."""


@dataclass(slots=True)
class NumberSource:
    """One attribute a number."""

    attributes: list[Attribute] = field(default_factory=list)

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        levels = np.empty((len(self.attributes), len(view.rows)), "u1")
        for place, attribute in enumerate(self.attributes):
            number = NUMBERS[attribute.name]
            values = view[number.column]
            limits = np.array(attribute.values, "f8") * number.unit
            levels[place] = np.searchsorted(limits, values, side="left")
            levels[place][values == number.unknown] = attribute.unknown
        return levels


def of_history(view: View, least: int) -> NumberSource:
    """Those that differ between jobs."""
    step = max(1, len(view.rows) // SAMPLE)
    sample = View(view.columns, view.rows[::step])
    source = NumberSource()
    for name, number in NUMBERS.items():
        values = sample[number.column]
        known = values[values != number.unknown]
        if len(known) * step >= least:
            limits = [cut for cut in cuts(known / number.unit) if cut >= number.floor or number.phase is Phase.BEFORE]
            if limits:
                few = number.phase is Phase.BEFORE and exact(known)
                source.attributes.append(
                    Attribute(name, Scale.ORDERED, tuple(map(plain, limits)), number.phase, exact=few)
                )
    return source


def plain(value: float) -> float | int:
    """A whole number without its point."""
    return int(value) if value == int(value) else value
