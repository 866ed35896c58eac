"""Where the output of each attempt lies, and how it goes away.

Layout below one directory: `<job // 1000>/<job>/<task>.<attempt>.out`, `.err` (only with a separate stderr) and `.report`; tasks from 1000 on
lie one deeper, in a directory per thousand, so that no directory grows past a few thousand entries. Every name is made of integers: nothing a
client sends is ever part of a path. Directories are made 0700; the files themselves are made by whoever starts the program.

A deleted job's directory is first renamed into `.trash`, which is one step, then emptied file by file; what a crash left there goes
at the next sweep. The sweep also takes directories of jobs that no longer exist. Does not watch quotas and does not know the store.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from re import compile as regex
from uuid import uuid4

from jobmgr.secrets import Mask

PER_DIRECTORY = 1000
LAST_LINE_BYTES = 4096
LAST_LINE_CHARS = 200
TOLD_LINES = 5
TOLD_LINE_CHARS = 400
TOLD_BYTES = 2048
"""What is kept of the output of an attempt that failed: so many lines, each so long, all together at most so many bytes."""
_INDENT = 8
_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM, errno.EISDIR})
_TRASH = ".trash"

_TERMINAL_SEQUENCE = regex(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """The files of one attempt. Plain strings: thousands are made a second, and a `Path` costs as much as opening the file."""

    directory: str
    stem: str

    @property
    def output(self) -> str:
        """What it prints."""
        return f"{self.directory}/{self.stem}.out"

    @property
    def errors(self) -> str:
        """What it prints on stderr, where that is kept apart."""
        return f"{self.directory}/{self.stem}.err"

    @property
    def report(self) -> str:
        """What it says on fd 3."""
        return f"{self.directory}/{self.stem}.report"


class OutputFiles:
    """The output of all attempts of this node. Methods without `async` touch a few small things and return at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = str(directory)

    def paths(self, job: int, number: int, attempt: int) -> OutputPaths:
        """The files of an attempt of task `number`, whether they exist or not."""
        directory = f"{self._root}/{job // PER_DIRECTORY}/{job}"
        if number >= PER_DIRECTORY:
            directory = f"{directory}/{number // PER_DIRECTORY}"
        return OutputPaths(directory, f"{number:d}.{attempt:d}")

    def prepare(self, job: int, number: int, attempt: int) -> OutputPaths:
        """The files of an attempt that is to begin; makes their directory, usually with one system call. Raises OSError."""
        paths = self.paths(job, number, attempt)
        try:
            os.mkdir(paths.directory, 0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self._make(Path(paths.directory))
        return paths

    def last_line(self, paths: OutputPaths, mask: Mask | None = None) -> str | None:
        """The last line printed that is not blank, or None: harmless to print, cut at 200 characters, sought in the last 4 KiB.

        Of a separate stderr where that says anything, else of stdout. `mask`: of a job with secrets.
        """
        return last_line(_tail(paths.errors, mask), mask) or last_line(_tail(paths.output, mask), mask)

    def last_lines(self, paths: OutputPaths, mask: Mask | None = None) -> tuple[str, ...]:
        """The last TOLD_LINES lines that are not blank, harmless, cut, with their indentation; sought and masked where `last_line` is."""
        return last_lines(_tail(paths.errors, mask), mask) or last_lines(_tail(paths.output, mask), mask)

    def delete_job(self, job: int) -> None:
        """Remove all output of a job, file by file: not for the event loop. Safe to repeat; after a crash half-way, the next sweep ends it."""
        self._discard(self._job_directory(job))

    async def sweep(self, alive: Callable[[int], Awaitable[bool]]) -> int:
        """Remove what belongs to no job: `alive` is asked for each job that has a directory here. Returns how many went.

        Safe while jobs are submitted: a job's row is there before its directory is.
        """
        await asyncio.to_thread(self._empty_trash)
        gone = 0
        for shard in await asyncio.to_thread(_numbered, self._directory):
            for job in await asyncio.to_thread(_numbered, shard):
                if not await alive(int(job.name)):
                    await asyncio.to_thread(self._discard, job)
                    gone += 1
        return gone

    def _job_directory(self, job: int) -> Path:
        return self._directory / str(job // PER_DIRECTORY) / str(job)

    def _make(self, directory: Path) -> None:
        """Make a directory and what is missing above it; `mkdir(parents=True)` would give only the last one our mode.

        Never the data directory: where that was removed, nothing shall look as if it were there.
        """
        if directory != self._directory and not directory.parent.is_dir():
            self._make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)

    def _discard(self, directory: Path) -> None:
        trash = self._directory / _TRASH / f"{directory.name}-{uuid4().hex}"
        self._make(trash.parent)
        try:
            directory.rename(trash)
        except FileNotFoundError:
            return
        # What cannot be unlinked just now is out of the way and goes with a later sweep.
        shutil.rmtree(trash, ignore_errors=True)

    def _empty_trash(self) -> None:
        shutil.rmtree(self._directory / _TRASH, ignore_errors=True)


def _numbered(directory: Path) -> list[Path]:
    """The directories in it that are named by a number, as the ones made here are; others are none of our business."""

    def names() -> Iterator[Path]:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.isascii() and entry.name.isdigit() and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)

    try:
        return list(names())
    except FileNotFoundError:
        return []


def open_regular(path: str | Path) -> FileIO | None:
    """Open an output file to read; None where there is none, or where the job put something else in its place.

    It follows no link, waits for no other end of a pipe, and hands the descriptor to no child.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileIO(descriptor)
    os.close(descriptor)
    return None


def _tail(path: str, mask: Mask | None) -> bytes:
    around = mask.reach if mask else 0
    try:
        file = open_regular(path)
        if file is None:
            return b""
        with file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LAST_LINE_BYTES - around))
            tail = file.read(LAST_LINE_BYTES + around) or b""
            return mask.hide(tail, ends=True)[-LAST_LINE_BYTES:] if mask else tail
    except OSError:
        return b""  # The sentence about an end must not fail for want of a line to quote.


def last_line(tail: bytes, mask: Mask | None = None) -> str | None:
    """The last line of these bytes that is not blank, made harmless for logs, terminals and error sentences."""
    for line in reversed(_text(tail, mask).replace("\r", "\n").split("\n")):
        harmless = _harmless(line)
        if harmless:
            return _cut(harmless, LAST_LINE_CHARS)
    return None


def last_lines(tail: bytes, mask: Mask | None = None) -> tuple[str, ...]:
    """The last lines of these bytes that are not blank, as `bounded_lines` makes them."""
    return bounded_lines(_text(tail, mask))


def bounded_lines(text: str) -> tuple[str, ...]:
    """The last TOLD_LINES lines that are not blank, harmless, with TOLD_BYTES at most; of what a line overwrote itself, what stood last."""
    told: list[str] = []
    left = TOLD_BYTES
    for line in reversed(text.split("\n")):
        shown = next((part for part in reversed(line.split("\r")) if part.strip()), "")
        if harmless := _harmless(shown):
            indent = min(_INDENT, len(shown) - len(shown.lstrip()))
            told.append(_cut(" " * indent + harmless, TOLD_LINE_CHARS))
            left -= len(told[-1].encode("utf-8", "replace")) + 1
        if len(told) == TOLD_LINES or left < 0:
            break
    if left < 0 and len(told) > 1:
        told.pop()
    return tuple(reversed(told))


def _text(tail: bytes, mask: Mask | None) -> str:
    text = _TERMINAL_SEQUENCE.sub("", tail.decode("utf-8", "replace"))
    return text if mask is None else mask.text(text)  # Colours between the letters of a secret are gone now.


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else line[: most - 1] + "…"


def _harmless(line: str) -> str:
    """Without blanks around it, other spaces as spaces, and everything that does not print (controls, direction marks) escaped."""
    spaced = "".join(" " if c == "\t" or unicodedata.category(c) == "Zs" else c for c in line).strip()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in spaced)
