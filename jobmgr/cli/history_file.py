"""Reads a history from a file or stdin, of any size and origin: packed by gzip or not, whole or cut off. Row by row, so memory does not grow.

Counts on the way what the rows alone do not tell: how many jobs there are, and which instant is the newest. Says on a terminal how far it is.
Whatever can be read is used; what cannot be is counted in `report`, and told by `complaints`. Raises JobmgrError where there is nothing at all.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from jobmgr.cli import terminal
from jobmgr.cli.bars import counted
from jobmgr.errors import JobmgrError
from jobmgr.history import HistoryRow, ReadReport, read

STDIN = "-"
MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is no line of a history."""
_LOOK_BYTES = 4096
_GZIP = b"\x1f\x8b"
_TOLD_EVERY_LINES = 5000
_TOLD_EVERY_S = 0.2
SHOWN_SKIPS = 3


@dataclass(slots=True)
class HistoryFile:
    """A history that is being read. `name` as the person wrote it."""

    name: str
    report: ReadReport = field(default_factory=ReadReport)
    newest: int = 0
    """The newest instant in it, microseconds since the epoch; 0: it has none."""
    cut_off: str | None = None
    """Why it ended before its end, where it did."""
    _jobs: set[str] = field(default_factory=set)

    @property
    def shown_name(self) -> str:
        """In sentences."""
        return "stdin" if self.name == STDIN else terminal.shown(self.name)

    @property
    def jobs(self) -> int:
        """How many distinct jobs were in it."""
        return len(self._jobs)

    def rows(self) -> Iterator[HistoryRow]:
        """All of them, once. Raises JobmgrError where the file cannot be read, is binary, or holds no row."""
        with _opened(self) as (file, total):
            for row in read(self._lines(file, total), self.report):
                self._jobs.add(row.job_id)
                for at in (row.created_at, row.started_at, row.finished_at):
                    if at is not None and at > self.newest:
                        self.newest = at
                yield row
        if not self.report.rows:
            raise JobmgrError(self._nothing())

    def _lines(self, file: BinaryIO, total: int) -> Iterator[bytes]:
        progress = _Progress(file, total)
        try:
            while line := file.readline(MAX_LINE_BYTES):
                yield line
                progress.tell(self.report.lines)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.cut_off = "it is cut off" if isinstance(error, EOFError) else "it is damaged"
        finally:
            progress.clear()

    def _nothing(self) -> str:
        if not self.report.lines:
            return f"{self.shown_name} is empty." if self.cut_off is None else f"{self.shown_name}: {self.cut_off}."
        first = f" Line {skip.line}: {skip.reason}." if (skip := next(iter(self.report.first_skips), None)) else ""
        lines = counted(self.report.lines, "line")
        return f"{self.shown_name} holds no history: nothing in its {lines} could be used.{first} See docs/history.md for the form."

    def complaints(self) -> Iterator[str]:
        """What could not be used, in sentences."""
        report = self.report
        if self.cut_off is not None:
            yield f"{self.shown_name}: {self.cut_off} after {counted(report.lines, 'line')}; this is about what came before"
        if report.skipped:
            yield f"{counted(report.skipped, 'line')} of {report.lines:,} could not be used and were left out:"
            for skip in report.first_skips[:SHOWN_SKIPS]:
                yield f"  line {skip.line}: {skip.reason}"
            if report.skipped > SHOWN_SKIPS:
                yield f"  … and {report.skipped - SHOWN_SKIPS:,} more"
        for name, count in report.unusable_fields.most_common():
            yield f"{name} could not be used in {counted(count, 'line')}; taken as unknown there"


@contextmanager
def _opened(history: HistoryFile) -> Iterator[tuple[BinaryIO, int]]:
    """The bytes of its text, and how many there are of the packed ones (0: unknown)."""
    name = history.shown_name
    try:
        raw = _stdin() if history.name == STDIN else Path(history.name).open("rb")  # noqa: SIM115 - closed below, but for stdin
    except OSError as error:
        raise JobmgrError(f"{name} cannot be read: {error.strerror or error}.") from error
    except ValueError:  # A NUL in its name.
        raise JobmgrError(f"{name} is no name of a file.") from None
    try:
        head = raw.peek(_LOOK_BYTES)
        total = os.fstat(raw.fileno()).st_size
        if head.startswith(_GZIP):
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)), total
        elif b"\0" in head:
            raise JobmgrError(f"{name} is a binary file, not a history: JSON lines in UTF-8, one attempt a line.")
        else:
            yield raw, total
    except OSError as error:
        raise JobmgrError(f"{name} cannot be read: {error.strerror or error}.") from error
    finally:
        if history.name != STDIN:
            raw.close()


def _stdin() -> io.BufferedReader:
    return open(sys.stdin.fileno(), "rb", closefd=False)


class _Progress:
    """A line on stderr that says how far it is, where a person looks at it."""

    def __init__(self, file: BinaryIO, total: int) -> None:
        self._raw = getattr(file, "fileobj", file)
        self._total = total
        self._on = terminal.is_terminal(sys.stderr)
        self._told_at = time.monotonic()
        self._said = False

    def tell(self, lines: int) -> None:
        """So many lines were read."""
        if not self._on or lines % _TOLD_EVERY_LINES or time.monotonic() - self._told_at < _TOLD_EVERY_S:
            return
        self._told_at, self._said = time.monotonic(), True
        print(f"\r  reading … {lines:,} lines{self._share()}", end="\x1b[K", file=sys.stderr, flush=True)

    def _share(self) -> str:
        try:
            return f" ({min(99, 100 * self._raw.tell() // self._total)} %)" if self._total else ""
        except OSError:  # A pipe has no place.
            return ""

    def clear(self) -> None:
        """Leave the line as it was."""
        if self._said:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
