"""Wakes readers when a file that they follow changes: by inotify where there is one, else by the clock.

One inotify descriptor serves all followers of a server. After a wake it is left alone for a moment, so that a program that prints a
million short lines costs a few dozen wakes a second and not a million. A wake says only "look again"; a reader must also look
now and then by itself, at the latest after `patience_s`: no wake is promised (network file systems send none).

Assumes one event loop. Reads no file.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.25
WATCHED_POLL_S = 1.0
REST_S = 0.03
"""Between two wakes by inotify."""

_IN_MODIFY, _IN_ATTRIB, _IN_DELETE_SELF, _IN_MOVE_SELF, _IN_IGNORED = 0x2, 0x4, 0x400, 0x800, 0x8000
_EVENTS = _IN_MODIFY | _IN_ATTRIB | _IN_DELETE_SELF | _IN_MOVE_SELF
_HEADER = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows


class FileWatcher:
    """Wakes the followers of files. `close` it on the loop that used it."""

    def __init__(self, *, inotify: bool = True) -> None:
        self._wanted = inotify and sys.platform == "linux"
        self._inotify: _Inotify | None = None
        self._watching: dict[int, list[asyncio.Event]] = {}
        self._rest: asyncio.TimerHandle | None = None

    @contextmanager
    def watch(self, path: Path, wake: asyncio.Event) -> Iterator[float]:
        """Set `wake` whenever the file changes, is removed or renamed. Gives the seconds after which to look anyway."""
        watch = self._add(path)
        if watch is None:
            yield POLL_S
            return
        self._watching.setdefault(watch, []).append(wake)
        try:
            yield WATCHED_POLL_S
        finally:
            self._remove(watch, wake)

    def close(self) -> None:
        """Let the descriptor go. Safe to repeat."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None
        self._wanted = False

    def _add(self, path: Path) -> int | None:
        try:
            if self._wanted and self._inotify is None:
                self._inotify = _Inotify()
                asyncio.get_running_loop().add_reader(self._inotify.fd, self._look)
            return None if self._inotify is None else self._inotify.add(path)
        except OSError:  # The file is gone, or the user's inotify watches are used up: then the clock must do.
            return None

    def _remove(self, watch: int, wake: asyncio.Event) -> None:
        wakes = self._watching.get(watch, [])
        if wake in wakes:
            wakes.remove(wake)
        # Two followers of one file share the kernel's watch: it goes with the last.
        if not wakes and self._watching.pop(watch, None) is not None and self._inotify is not None:
            self._inotify.remove(watch)

    def _look(self) -> None:
        assert self._inotify is not None  # Registered after it was opened, removed before it is closed.
        for watch, mask in self._inotify.read():
            # A negative watch: the kernel's queue overflowed, so anything may have changed.
            for wake in (
                self._watching.get(watch, []) if watch >= 0 else [w for wakes in self._watching.values() for w in wakes]
            ):
                wake.set()
            if mask & _IN_IGNORED:
                # The kernel dropped it with the file; its number may come again for another.
                self._watching.pop(watch, None)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._inotify.fd)
        self._rest = loop.call_later(REST_S, self._listen)

    def _listen(self) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().add_reader(self._inotify.fd, self._look)


class _Inotify:
    """The kernel's interface, by ctypes: the standard library has none."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.inotify_init1(getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)))

    def add(self, path: Path) -> int:
        return self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(path), _EVENTS))

    def remove(self, watch: int) -> None:
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[tuple[int, int]]:
        try:
            data = os.read(self.fd, 64 * 1024)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            yield watch, mask

    def close(self) -> None:
        os.close(self.fd)

    @staticmethod
    def _checked(value: int) -> int:
        if value < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return value
