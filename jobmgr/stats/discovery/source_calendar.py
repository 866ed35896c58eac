"""When a job was submitted: the hour of the day and the day of the week, in the time zone of the statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import UNKNOWN
from jobmgr.stats.discovery.attributes import Attribute, Scale, View

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WEEKS = 21
"""Days of the week are compared from so many days on."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER_US = HOUR_US // 4
"""Clocks of the world differ from UTC by whole quarters of an hour, and are changed at such."""
FIRST_US = -62_135_510_400_000_000
"""A day after the beginning of the year 1, and…"""
LAST_US = 253_402_128_000_000_000
"""… a day before the end of the year 9999: no calendar goes further."""


def local_hours(created: Array, zone: tzinfo) -> tuple[Array, Array]:
    """Hour of the day (0–23) and day of the week (0 = Monday) of these instants, all known."""
    import numpy as np

    local = np.clip(created, FIRST_US, LAST_US)
    if zone is not UTC:
        quarters, where = np.unique(local // QUARTER_US, return_inverse=True)
        local += np.array([_offset_us(int(quarter) * QUARTER_US, zone) for quarter in quarters], "i8")[where]
    return (local // HOUR_US) % 24, (local // DAY_US + 3) % 7  # The epoch began on a Thursday.


def submitted(view: View) -> tuple[Array, Array, Array]:
    """Of each task whether it is known when it was submitted, and the hour and the day of that."""
    import numpy as np

    created = view["created"]
    known = created != UNKNOWN
    return known, *local_hours(np.where(known, created, 0), view.zone)


def _offset_us(at: int, zone: tzinfo) -> int:
    offset = (EPOCH + timedelta(microseconds=at)).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)


@dataclass(slots=True)
class CalendarSource:
    """submit.hour, submit.weekday."""

    attributes: list[Attribute] = field(default_factory=list)

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        levels = np.empty((len(self.attributes), len(view.rows)), "u1")
        known, hours, days = view.once(submitted)
        for place, attribute in enumerate(self.attributes):
            levels[place] = np.where(known, days if attribute.name == "submit.weekday" else hours, attribute.unknown)
        return levels


def of_history(view: View, least: int) -> CalendarSource:
    """The hour if the history spans more than a few of them, the day of the week after three weeks."""
    created = view["created"]
    known = created[created != UNKNOWN]
    if len(known) < least:
        return CalendarSource()
    span = int(known.max()) - int(known.min())
    attributes = []
    if span >= DAY_US:
        attributes.append(Attribute("submit.hour", Scale.HOURS, tuple(range(24))))
    if span >= WEEKS * DAY_US:
        attributes.append(Attribute("submit.weekday", Scale.NOMINAL, tuple(range(7))))
    return CalendarSource(attributes)
