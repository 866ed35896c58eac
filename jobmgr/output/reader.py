"""Reads the output of an attempt while it may still be written: by range, from the last lines on, and following it.

Two views of the same bytes. The raw view (`exact`) gives what lies at each offset; where the middle was freed because the output grew past its
cap, that is zeros, and offsets stay true. The text view gives one line in place of the freed middle: `[… 123 MiB left out …]`. Bytes are never
decoded here: invalid UTF-8 and NUL pass as they are. The secrets of a job that has some are hidden in both views, with as many `*`;
the file stays as it was written.

Reads happen in threads, in bounded pieces, so memory stays flat for any output and any client. A file that the job deleted or cut off while it
was followed ends with a line that says so; nothing waits for bytes that cannot come. Only regular files are opened, and no symbolic
link at the end of a path: a job may put anything in the place of its output.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from io import FileIO
from pathlib import Path
from typing import Self

from jobmgr.output.files import open_regular
from jobmgr.output.watch import POLL_S, FileWatcher
from jobmgr.secrets import Mask

PIECE_BYTES = 256 * 1024
_BLOCK_BYTES = 64 * 1024
_KIB = 1024
_SEEK_DATA, _SEEK_HOLE = getattr(os, "SEEK_DATA", None), getattr(os, "SEEK_HOLE", None)

GONE = b"\n[the output file was deleted: what follows is not kept]\n"
CUT_OFF = b"\n[the output was cut off at its start: follow it anew]\n"


class Reader:
    """An open output file. Used by one reader at a time, as a context manager."""

    def __init__(self, file: FileIO, path: Path, mask: Mask | None = None) -> None:
        self._file = file
        self._path = path
        self._mask = mask

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._file.fileno()).st_size

    def has_gap(self) -> bool:
        """Whether a part of the file was freed."""
        return self._next_hole(0) < self.size

    async def tail_start(self, lines: int) -> int:
        """The offset at which the last `lines` lines begin; a last line without its end counts. Skips a freed middle."""
        return await asyncio.to_thread(self._tail_start, lines)

    async def data_start(self, at: int) -> int:
        """`at`, or the end of the freed middle that it lies in."""
        return await asyncio.to_thread(self._next_data, at)

    async def read(self, start: int, stop: int, *, exact: bool = False) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `stop` in pieces; fewer where the file ends before. `exact`: the raw view."""
        at = start
        while at < stop:
            piece, after = await asyncio.to_thread(self._piece, at, stop, exact)
            if after == at:
                return
            at = after
            yield piece

    async def follow(
        self, start: int, watcher: FileWatcher, *, wake: asyncio.Event, ended: asyncio.Event, exact: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """The text view from `start` on, and what is written, as it comes, until `ended` is set and everything was given.

        `exact`: only bytes of the file; it ends where a freed middle begins, and where no more can come, without a line about it.
        Setting `ended` should set `wake` after it. Gives empty bytes about once a second when nothing comes, so that the caller can look
        around (for a client that left).
        """
        at = start
        with watcher.watch(self._path, wake) as patience_s:
            while True:
                wake.clear()
                # Asked before reading: what was written before the end is read after it.
                over = ended.is_set()
                size = self.size if over else self._settled()
                stop = min(size, max(at, self._next_hole(at))) if exact else size
                async for piece in self.read(at, stop, exact=exact):
                    yield piece
                if over or stop < size:
                    return
                at = max(at, size)
                loss = self._loss(at)
                if loss:
                    yield b"" if exact else loss
                    return
                if not await _wait(wake, patience_s):
                    yield b""

    def _loss(self, at: int) -> bytes:
        """What became of a file that will not grow past `at` any more, as a line; empty while all is well."""
        status = os.fstat(self._file.fileno())
        if status.st_size < at:
            return CUT_OFF
        try:
            same = os.path.samestat(status, self._path.lstat())
        except FileNotFoundError:
            same = False
        return b"" if same else GONE

    def _piece(self, at: int, stop: int, exact: bool) -> tuple[bytes, int]:
        """The next piece and the offset after it; the same offset at the end of the file."""
        if not exact:
            stop = min(stop, self.size)
            data = min(self._next_data(at), stop)
            if data > at:
                return f"\n[… {_amount(data - at)} left out …]\n".encode(), data
            stop = min(stop, max(self._next_hole(at), at + 1))
        count = max(0, min(PIECE_BYTES, stop - at))
        piece = self._at(at, count) if self._mask is None else self._masked(at, count, self._mask)
        return piece, at + len(piece)

    def _masked(self, start: int, count: int, mask: Mask) -> bytes:
        """The bytes with secrets hidden: read with what is around them, in which one may begin or end."""
        first, last = max(0, start - mask.reach), min(start + count + mask.reach, self.size)
        shown = bytearray(max(0, last - first))
        for begin, end in self._extents(first, last):
            data = self._at(begin, end - begin)
            # Beside a freed middle, and where the file ends so far, one may be cut.
            cut = end < last or end >= self.size
            place = begin - first
            shown[place : place + len(data)] = mask.hide(data, begins=begin > first, ends=cut)
            if len(data) < end - begin:
                del shown[place + len(data) :]  # The file was cut off meanwhile.
                break
        return bytes(shown[start - first : start - first + count])

    def _settled(self) -> int:
        """The size up to which nothing that will still be written can turn what is there into a secret."""
        size = self.size
        if self._mask is None:
            return size
        reach = min(size, self._mask.reach)
        return size - self._mask.begun(self._at(size - reach, reach))

    def _next_data(self, at: int) -> int:
        """Where data begins, at `at` or after; the size where only a hole is left."""
        if _SEEK_DATA is None:
            return at
        try:
            return os.lseek(self._file.fileno(), at, _SEEK_DATA)
        except OSError as error:
            # Past the end, or nothing but a hole up to it; any other error: the file system keeps no holes.
            return max(at, self.size) if error.errno == errno.ENXIO else at

    def _next_hole(self, at: int) -> int:
        """Where a hole begins, at `at` or after; the size where there is none."""
        if _SEEK_HOLE is None:
            return self.size
        try:
            return os.lseek(self._file.fileno(), at, _SEEK_HOLE)
        except OSError:
            return self.size

    def _extents(self, at: int, stop: int) -> list[tuple[int, int]]:
        """The parts of the file from `at` up to `stop` that hold data, in order."""
        extents = []
        while at < stop:
            start = self._next_data(at)
            at = min(stop, max(self._next_hole(start), start + 1))
            if start < stop:
                extents.append((start, at))
        return extents

    def _tail_start(self, lines: int) -> int:
        size = self.size
        if not lines:
            return size
        # The end of the last line begins no further one.
        missing = lines + (size > 0 and self._at(size - 1, 1) == b"\n")
        for first, last in reversed(self._extents(0, size)):
            stop = last
            while stop > first:
                begin = max(first, stop - _BLOCK_BYTES)
                block = self._at(begin, stop - begin)
                found = block.count(b"\n")
                if found >= missing:
                    return begin + _after_newline(block, missing)
                missing, stop = missing - found, begin
        return 0

    def _at(self, start: int, count: int) -> bytes:
        self._file.seek(start)
        return self._file.read(count) or b""


def _after_newline(block: bytes, count: int) -> int:
    """The place behind the `count`-th line end from the back."""
    at = len(block)
    for _ in range(count):
        at = block.rindex(b"\n", 0, at)
    return at + 1


def open_output(path: Path, mask: Mask | None = None) -> Reader | None:
    """Open an output file; None where there is none (not begun, never printed, removed). `mask`: of a job with secrets."""
    file = open_regular(path)
    return None if file is None else Reader(file, path, mask)


async def follow_output(
    path: Path,
    watcher: FileWatcher,
    *,
    tail: int | None,
    start: int | None = None,
    wake: asyncio.Event,
    ended: asyncio.Event,
    mask: Mask | None = None,
) -> AsyncGenerator[bytes, None]:
    """Follow a file as `Reader.follow` does, from its last `tail` lines on (None: from its start); it may not be there yet.

    `start`: from this byte on, in the exact view, in place of `tail`.
    """
    while True:
        wake.clear()
        over = ended.is_set()
        reader = open_output(path, mask)
        if reader is not None:
            break
        if over:
            return
        if not await _wait(wake, POLL_S):
            yield b""
    with reader:
        exact = start is not None
        if start is None:
            start = 0 if tail is None else await reader.tail_start(tail)
        async for piece in reader.follow(start, watcher, wake=wake, ended=ended, exact=exact):
            yield piece


async def _wait(wake: asyncio.Event, seconds: float) -> bool:
    """Whether it was woken within these seconds."""
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return False
    return True


def _amount(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < _KIB:
            return f"{count} {unit}"
        count = (count + _KIB // 2) // _KIB
    return f"{count} GiB"
