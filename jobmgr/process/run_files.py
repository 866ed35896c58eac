"""Opens the files of a run for writing, and nothing that a job put in their place.

Jobs run beside each other's files and can guess their names: a link at the place of the next output would make us write where it leads, a FIFO
would make the opener wait for ever. Shared by the keeper and the direct launcher; standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

CREATE = os.O_WRONLY | os.O_CREAT | os.O_APPEND
EXISTING = os.O_WRONLY | os.O_APPEND
_CAREFUL = 0
for _name in ("O_CLOEXEC", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    _CAREFUL |= getattr(os, _name, 0)


def open_regular(path: str, flags: int) -> int:
    """A descriptor for a regular file at this very place. Raises OSError for anything else, also for what would have to be waited for."""
    fd = os.open(path, flags | _CAREFUL, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    if sys.platform != "win32":
        os.set_blocking(fd, True)  # The job inherits it and may look.
    return fd
