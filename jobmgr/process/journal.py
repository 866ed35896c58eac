"""What a keeper must not forget: an append-only journal of checksummed lines in preallocated segments.

Each line is a CRC-32, a space and one JSON object; it adds fields to what is known of its run, so reading is merging:

    {"run", "at", "boot", "launch"}      begun: wall and boot time in microseconds, the clocks and files of the launch; before anything starts
    {"run", "pid", "ticks"}              the program runs: its identity
    {"run", "because"}                   a stop was asked or came due; before its first signal
    {"run", "end": {...}}                how it ended: code, signal, core, because, at, duration, output; before it is reaped
    {"run", "usage": {...}, "leftovers"} what it cost
    {"run", "failed": {...}}             it could not be started: errno and a sentence
    {"run", "unbegun": {...}}            no process was to be had; nothing ran

All lines of a run go to the segment in which it began, where room for them is reserved, so that an `end` finds room on a full disk. A line
that cannot be written all the same is held and tried again. A segment is deleted when all its runs are forgotten (their ends are committed
elsewhere). The page cache outlives kill -9; `sync` is for power loss. Readers skip torn lines and zeros. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from binascii import crc32
from collections.abc import Mapping
from typing import Any, NamedTuple

assert sys.platform != "win32"

VERSION = 1
SEGMENT_BYTES = 256 * 1024
RESERVED_BYTES = 1536
"""Room kept for the lines of one run after its first: pid, request, end (twice), usage, or a failure with its sentence."""

Record = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Header(NamedTuple):
    """Whose journal this is."""

    keeper: str
    boot: str
    pid: int
    ticks: int


class _Segment:
    def __init__(self, path: str, fd: int, size: int, tail: int) -> None:
        self.path, self.fd, self.size, self.tail = path, fd, size, tail
        self.live: set[str] = set()
        """Runs not yet forgotten."""
        self.unfinished: set[str] = set()
        """Runs for whose lines room is still reserved."""
        self.held: list[bytes] = []
        """Lines that could not be written yet, in order."""
        self.dirty: set[str] = set()
        """Live runs with lines written since the last look of `sync_old`."""
        self.aging: set[str] = set()
        """Live runs with lines that an earlier look found not on disk yet."""

    def has_room(self, size: int) -> bool:
        return self.tail + size + RESERVED_BYTES * (len(self.unfinished) + 1) <= self.size

    def write(self, line: bytes) -> None:
        """Never raises: what cannot be written is kept in order for the next time."""
        self.held.append(line)
        self.retry()

    def retry(self) -> None:
        while self.held:
            try:
                self.tail += os.pwrite(self.fd, self.held[0], self.tail)
            except OSError:
                return
            del self.held[0]


class Journal:
    """The writing side: one process only, under the keeper's lock."""

    def __init__(self, directory: str, header: Header) -> None:
        self._directory = directory
        self._header = header
        self._number = 0
        self._segments: list[_Segment] = []
        self._of: dict[str, _Segment] = {}
        self._new_names = False

    @classmethod
    def reopen(cls, directory: str) -> Journal:
        """Take a dead keeper's journal over, to write the ends that only its heir sees. The caller holds the lock."""
        contents = read(directory)
        journal = cls(directory, contents.header or Header("", "", 0, 0))
        for path, tail in contents.tails.items():
            segment = _Segment(path, os.open(path, os.O_RDWR | os.O_CLOEXEC), os.path.getsize(path), tail)
            journal._segments.append(segment)
            for run in contents.homes[path]:
                segment.live.add(run)
                journal._of[run] = segment
        return journal

    def begin(self, run: str, fields: Mapping[str, Any]) -> None:
        """The first line of a run. Raises OSError when there is no room for it and all that must follow it."""
        line = _line({"run": run, **fields})
        if not self._segments or not self._segments[-1].has_room(len(line)):
            self._add_segment(len(line))
        segment = self._segments[-1]
        if segment.held:
            segment.retry()
        if segment.held:
            raise OSError(5, "the journal cannot be written")
        segment.tail += os.pwrite(segment.fd, line, segment.tail)
        segment.live.add(run)
        segment.unfinished.add(run)
        segment.dirty.add(run)
        self._of[run] = segment

    def append(self, run: str, fields: Mapping[str, Any], *, last: bool = False) -> None:
        """A further line of a run that began; never raises. `last`: no more lines are to come, its reserve is free."""
        segment = self._of.get(run)
        if segment is None:
            return
        segment.write(_line({"run": run, **fields}))
        segment.dirty.add(run)
        if last:
            segment.unfinished.discard(run)

    def forget(self, run: str) -> None:
        """Its end is committed elsewhere; a segment goes with the last of its runs."""
        segment = self._of.pop(run, None)
        if segment is None:
            return
        segment.live.discard(run)
        segment.unfinished.discard(run)
        segment.dirty.discard(run)
        segment.aging.discard(run)
        if not segment.live and segment is not self._segments[-1]:
            self._drop(segment)

    def sync_old(self) -> None:
        """Bring to disk what was already waiting at the last call, and retry what could not be written. Free when all is forgotten in time."""
        for segment in self._segments:
            segment.retry()
            if not segment.aging:
                segment.aging, segment.dirty = segment.dirty, segment.aging
            else:
                self._sync(segment)
        if self._new_names and any(segment.live for segment in self._segments):
            self._sync_names()

    def sync(self) -> None:
        """Bring everything to disk."""
        for segment in self._segments:
            segment.retry()
            self._sync(segment)
        self._sync_names()

    def needs_sync(self) -> bool:
        """Whether `sync_old` has anything to do, now or at its next call."""
        return any(segment.dirty or segment.aging or segment.held for segment in self._segments)

    def close(self) -> None:
        """Let go of the files; they stay."""
        for segment in self._segments:
            os.close(segment.fd)
        self._segments.clear()
        self._of.clear()

    def _add_segment(self, need: int) -> None:
        self._number += 1
        head = _line({"version": VERSION, **self._header._asdict()})
        size = max(SEGMENT_BYTES, len(head) + need + RESERVED_BYTES)
        path = f"{self._directory}/journal.{self._number:08d}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
            tail = os.pwrite(fd, head, 0)
        except OSError:
            os.close(fd)
            os.unlink(path)
            raise
        self._segments.append(_Segment(path, fd, size, tail))
        self._new_names = True
        if len(self._segments) > 1 and not self._segments[-2].live:
            self._drop(self._segments[-2])

    def _drop(self, segment: _Segment) -> None:
        self._segments.remove(segment)
        os.close(segment.fd)
        try:
            os.unlink(segment.path)
        except FileNotFoundError:
            pass

    def _sync(self, segment: _Segment) -> None:
        try:
            os.fdatasync(segment.fd)
        except OSError:
            return  # Not known to be on disk: tried again.
        segment.dirty.clear()
        segment.aging.clear()

    def _sync_names(self) -> None:
        try:
            fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError:
            return
        self._new_names = False


class Contents:
    """A journal as read: runs in the order they began, each with all its fields merged."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.runs: dict[str, Record] = {}
        self.tails: dict[str, int] = {}
        """Where the last good line of each segment file ends."""
        self.homes: dict[str, list[str]] = {}
        """The runs that began in each segment file."""


def read(directory: str) -> Contents:
    """All that a journal says; files that vanish meanwhile and damaged lines are passed over."""
    contents = Contents()
    for name in sorted(os.listdir(directory)):
        if name.startswith("journal."):
            path = f"{directory}/{name}"
            try:
                with open(path, "rb") as file:
                    _merge(contents, path, file.read())
            except FileNotFoundError:
                continue
    return contents


def _merge(contents: Contents, path: str, data: bytes) -> None:
    position = contents.tails[path] = 0
    homes = contents.homes[path] = []
    for line in data.split(b"\n"):
        position += len(line) + 1
        fields = _parse(line)
        if fields is None:
            continue
        contents.tails[path] = position
        if "keeper" in fields:
            contents.header = Header(**{name: fields[name] for name in Header._fields})
            continue
        run = fields["run"]
        if run not in contents.runs:
            contents.runs[run] = {}
            homes.append(run)
        contents.runs[run].update(fields)


def _line(fields: Mapping[str, Any]) -> bytes:
    body = _encode(fields).encode()
    return b"%08x %s\n" % (crc32(body), body)


def _parse(line: bytes) -> Record | None:
    line = line.lstrip(b"\0")
    body = line[9:]
    if len(line) < 11 or line[8:9] != b" ":
        return None
    try:
        good = int(line[:8], 16) == crc32(body)
        fields = json.loads(body) if good else None
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and ("run" in fields or "keeper" in fields) else None
