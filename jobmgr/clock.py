"""The three clocks: wall time to store, boot time to measure, and the kernel's name for this boot.

Wall time (`now_us`) is what people read and what rows keep; it may jump. Durations and deadlines use the boot clock (`boot_us`), which
never jumps and counts suspended time; it means nothing after a reboot, so whatever keeps one keeps the boot id beside it.
"""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path

MICROSECONDS = 1_000_000


def now_us() -> int:
    """Wall time in microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


def boot_us() -> int:
    """Microseconds since boot, suspended time included where the system has such a clock, else since some fixed instant."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return time.monotonic_ns() // 1000


@cache
def boot_id() -> str:
    """A name for this boot of the machine; another value means that every process of before is gone."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil  # Only where the kernel has no boot id: the import costs more than the call.

        return f"booted-{int(psutil.boot_time())}"


def rfc3339(us: int) -> str:
    """Microseconds since the epoch as RFC 3339 UTC with milliseconds, for example 2026-11-22T08:00:00.250Z."""
    return f"{_to_the_second(us // MICROSECONDS)}.{us // 1000 % 1000:03d}Z"


@lru_cache(
    maxsize=1024
)  # Lists show many times of the same few seconds, and writing one out costs more than the rest of its row.
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_rfc3339(text: str) -> int | None:
    """Microseconds since the epoch of a whole RFC 3339 time with its offset; None for anything else. A leap second is the second after it."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    if found[6] != "60" and (found[10] or "") < "60":  # The usual, in one call: histories have millions of times.
        try:
            return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MICROSECOND
        except ValueError:
            return None
    *numbers, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    if second > 60 or int(hours or 0) > 23 or int(minutes or 0) > 59:
        return None
    try:
        moment = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
    whole = moment - _EPOCH - away + timedelta(seconds=second)
    return whole // timedelta(microseconds=1) + int((fraction or "0").ljust(6, "0")[:6])
