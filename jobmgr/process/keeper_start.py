"""Making a keeper: its directory, lock and socket first, then the process that is given all three.

The server binds the socket and takes the lock itself, so that from the first moment a client can connect and nobody can take the keeper for dead.
The keeper gets descriptors 3 (lock), 4 (socket), 5 (leash: the end of file on it says that the server is gone or let go) and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobmgr.process import journal

assert sys.platform != "win32"

LOCK, SOCKET, STDERR = "lock", "socket", "stderr"
_BACKLOG = 64
_LOWEST_FD = 16
"""Above the numbers that the keeper finds its descriptors at, so that placing one never overwrites another."""
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from jobmgr.process.keeper_main import main; main(*sys.argv[2:])"
)


@dataclass(frozen=True, slots=True)
class Started:
    """A keeper that is our child."""

    directory: Path
    pid: int
    leash: int
    """Close it to let go of the keeper."""


def start(parent: Path, environment: Mapping[str, str], *, crash_at: str = "") -> Started:
    """Start a keeper in a new directory below `parent`. Raises OSError; leaves nothing behind then."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = parent / secrets.token_hex(8)
    directory.mkdir(mode=0o700)
    opened: list[int] = []
    try:
        for make in (_stderr, lock, _listen):
            opened.append(make(directory))  # noqa: PERF401  What was open before one fails must be closed.
        opened.extend(os.pipe2(os.O_CLOEXEC))
        pid = _spawn(directory, environment, opened[:-1], crash_at)
    except OSError:
        for fd in opened:
            os.close(fd)
        shutil.rmtree(directory, ignore_errors=True)
        raise
    for fd in opened[:-1]:
        os.close(fd)
    return Started(directory, pid, opened[-1])


def lock(directory: Path) -> int:
    """Take the lock of a keeper's directory; the descriptor holds it. Raises BlockingIOError while its keeper lives."""
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


@contextlib.contextmanager
def socket_path(directory: Path) -> Iterator[str]:
    """A path to its socket short enough for the system, however long the directory's own is."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)


def _stderr(directory: Path) -> int:
    return os.open(directory / STDERR, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _listen(directory: Path) -> int:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_path(directory) as path:
            listener.bind(path)
        os.chmod(directory / SOCKET, 0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener.detach()


def _spawn(directory: Path, environment: Mapping[str, str], fds: list[int], crash_at: str) -> int:
    """`fds`: stderr, lock, socket, leash; they become 2 to 5."""
    root = str(Path(journal.__file__).resolve().parents[2])
    arguments = [
        "-I",
        "-S",
        "-X",
        f"utf8={sys.flags.utf8_mode}",
        "-c",
        _PROGRAM,
        root,
        str(directory),
        directory.name,
        crash_at,
    ]
    with contextlib.ExitStack() as opened:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        opened.callback(os.close, null)
        actions = []
        for number, fd in enumerate((null, null, *fds)):
            high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD)
            opened.callback(os.close, high)
            actions.append((os.POSIX_SPAWN_DUP2, high, number))
        return os.posix_spawn(
            sys.executable, [sys.executable, *arguments], environment, file_actions=actions, setsid=True
        )
