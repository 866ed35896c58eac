"""What the Linux kernel can do that jobmgr builds on; each is tried, none leaves anything behind."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from jobmgr.doctor.finding import Finding, ok, problem, warning

assert sys.platform == "linux"

from jobmgr.process.kernel import punch_hole  # noqa: E402 - of Linux only, which mypy knows from the line above

_HOLE_BYTES = 64 * 1024


def abilities(launcher: str) -> Finding:
    """Whether a keeper can live here."""
    lacking = [name for name, works in _ABILITIES.items() if not _works(works)]
    found = f"{platform.system()} {platform.release()}"
    if lacking:
        means = (
            "jobs cannot be kept apart from the server safely"
            if launcher == "keeper"
            else "a keeper is not possible here"
        )
        level = problem if launcher == "keeper" else warning
        return level(
            "kernel", f"{found} lacks {', '.join(lacking)}", means, "use a newer kernel, or JOBMGR_LAUNCHER=direct"
        )
    return ok(
        "kernel", f"{found} has {', '.join(_ABILITIES)}", "jobs survive the server, and no wrong process is signalled"
    )


def _works(ability: Callable[[], object]) -> bool:
    try:
        ability()
    except (OSError, AttributeError):  # Python has no name for what its C library did not know when it was built.
        return False
    return True


_PR_GET_CHILD_SUBREAPER = 37


def _pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _peek() -> None:
    try:
        os.waitid(os.P_PID, os.getpid(), os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        pass  # It knows the request; we are no child of ours.


def _subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(ctypes.c_int()), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no subreaper")


def _sockets() -> None:
    for end in socket.socketpair(socket.AF_UNIX):
        end.close()


def _process_files() -> None:
    for name in ("stat", "environ", "cmdline"):
        Path(f"/proc/self/{name}").read_bytes()


_ABILITIES: dict[str, Callable[[], object]] = {
    "pidfd_open": _pidfd,
    "waitid with WNOWAIT": _peek,
    "child subreaper": _subreaper,
    "Unix sockets": _sockets,
    "boot id": lambda: Path("/proc/sys/kernel/random/boot_id").read_text(),
    "/proc": _process_files,
}


def holes(directory: Path) -> Finding:
    """Tried on a file without a name, which is gone when it is closed."""
    name, where = "output cap", f"the file system of {directory}"
    try:
        fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return ok(
            name,
            f"not tried on {where}: {error.strerror}",
            "whether the middle of a long output can be freed is not known",
        )
    try:
        os.write(fd, bytes(_HOLE_BYTES))
        punch_hole(fd, 0, _HOLE_BYTES)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return ok(name, f"not tried on {where}: it is full", "see the disk")
        means = "what is beyond the cap is cut off with a note, instead of freeing only the middle"
        return warning(name, f"{where} cannot punch holes: {error.strerror}", means, "use ext4, xfs, btrfs or tmpfs")
    finally:
        os.close(fd)
    return ok(name, f"{where} can punch holes", "of output beyond the cap the beginning and the end are kept")
