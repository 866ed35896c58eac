"""The boot clock, and three requests to the Linux kernel that Python's standard library cannot make: subreaper, process name, punching holes.

Uses ctypes on the C library that is already loaded. Assumes Linux. Standard library only: the keeper imports it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

assert sys.platform == "linux"

_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01

SPARE = 2
"""Descriptors to be left for looking at processes: nothing else is worth the last ones."""

_libc = ctypes.CDLL(None, use_errno=True)


def boot_us() -> int:
    """Microseconds on the clock that never jumps and counts suspended time."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def become_subreaper() -> None:
    """From now on orphaned descendants become children of this process, not of init."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise _last_error()


def set_name(name: bytes) -> None:
    """Name this process (15 bytes are kept); a child carries the name until it has called exec."""
    _libc.prctl(_PR_SET_NAME, name, 0, 0, 0)


def can_open(number: int) -> bool:
    """Whether so many more descriptors are to be had. Who looks at processes without one sees none, and would take all for gone."""
    opened: list[int] = []
    try:
        for _ in range(number):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401  What was open before one fails must be closed.
    except OSError:
        return False
    finally:
        for fd in opened:
            os.close(fd)
    return True


def punch_hole(fd: int, start: int, length: int) -> None:
    """Free a range of a file; its size stays and the range reads as zeros. Raises OSError where the file system cannot."""
    allocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
    if allocate(fd, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(start), ctypes.c_int64(length)) != 0:
        raise _last_error()


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
