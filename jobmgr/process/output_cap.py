"""Keeping an output file within its cap: the middle is freed, so byte offsets never change and the end is never lost.

What is freed is a hole from half the cap to half the cap before the end; it reads as zeros, and `SEEK_HOLE` finds it: that is how a
reader declares the gap. Where the file system cannot punch holes the file starts again at zero with a line that says so.
Standard library only: the keeper calls this about once a second for runs that are alive, so a file may pass its cap by what is written meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from jobmgr.process import kernel, run_files

assert sys.platform == "linux"

BLOCK = 4096
_STAT_BLOCK = 512


def open_files(*paths: str | None) -> tuple[int, ...]:
    """What a run writes to, for size and cap. A file that is gone, or one too many for our descriptors, is nobody's trouble."""
    fds: list[int] = []
    for path in paths:
        with contextlib.suppress(OSError):
            if path:
                fds.append(run_files.open_regular(path, run_files.EXISTING))
    if not kernel.can_open(kernel.SPARE):
        for fd in fds:
            os.close(fd)
        fds.clear()
    return tuple(fds)


def enforce(fd: int, cap_bytes: int) -> bool:
    """Free the middle of this file if it takes more than the cap on disk. True when something was freed."""
    status = os.fstat(fd)
    if status.st_blocks * _STAT_BLOCK <= cap_bytes + BLOCK or status.st_size <= cap_bytes:
        return False
    start = _down(cap_bytes // 2)
    end = _down(status.st_size - cap_bytes // 2)
    if end <= start:
        return False
    try:
        kernel.punch_hole(fd, start, end - start)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return False  # Tried again at the next look.
        os.ftruncate(fd, 0)
        os.write(
            fd,
            b"[jobmgr: %d bytes of output were dropped here, the file system cannot free the middle]\n"
            % status.st_size,
        )
    return True


def _down(size: int) -> int:
    return size // BLOCK * BLOCK
