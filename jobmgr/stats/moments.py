"""Instants in answers: as RFC 3339 for programs, and in words, in the time zone of the statistics, for people.

A history may hold any time. What no calendar can show is shown as the first or last day that one can.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from jobmgr.clock import MICROSECONDS, rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_US = -62_135_510_400_000_000
LAST_US = 253_402_128_000_000_000
"""A day after the year 1 began, and two before the year 9999 ends: in any time zone there is a date for it."""


def shown(at: int) -> str:
    """Microseconds since the epoch as RFC 3339 UTC."""
    return rfc3339(min(max(at, FIRST_US), LAST_US))


def told(at: int, zone: tzinfo) -> str:
    """`14:05 on 3 March 2026`."""
    clock, day = _parts(at, zone)
    return f"{clock} on {day}"


def told_between(start: int, end: int, zone: tzinfo) -> str:
    """`Between 14:05 and 16:10 on 3 March 2026`; `At 14:05 on …` within one minute; both days where they differ."""
    (from_clock, from_day), (to_clock, to_day) = _parts(start, zone), _parts(end, zone)
    if from_day != to_day:
        return f"Between {from_clock} on {from_day} and {to_clock} on {to_day}"
    if from_clock != to_clock:
        return f"Between {from_clock} and {to_clock} on {to_day}"
    return f"At {from_clock} on {from_day}"


def ago(at: int, now: int) -> str:
    """`3 hours ago`; `just now` within a minute, and for what a clock says is still to come."""
    seconds = max(now - at, 0) // MICROSECONDS
    for unit, length in _UNITS:
        if seconds >= length:
            count = seconds // length
            return f"{count:,} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def _parts(at: int, zone: tzinfo) -> tuple[str, str]:
    """Clock and day."""
    moment = (EPOCH + timedelta(microseconds=min(max(at, FIRST_US), LAST_US))).astimezone(zone)
    return f"{moment:%H:%M}", f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""In English whatever the locale of the process is."""
