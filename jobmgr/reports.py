"""What a job says about itself on fd 3. Data to show, never commands.

Each line is a number 0–100 or a JSON object with any of `progress`, `message`, `checkpoint`, `result`, `error`.

The job appends to its report file, so nothing it says is lost while the server is away; a reader goes on where it stopped. Rubbish is
skipped, a line longer than MAX_LINE_BYTES too. The last word of each kind counts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

MAX_LINE_BYTES = 256 * 1024
CHUNK_BYTES = 1024 * 1024
MAX_TEXT = 1000
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Reported:
    """The last word of each kind; None where the job has said nothing of it."""

    progress: float | None = None
    message: str | None = None
    error: str | None = None
    checkpoint: Any = None
    result: Any = None


NOTHING_REPORTED = Reported()


@dataclass(slots=True)
class ReportReader:
    """Follows one report file. Holds no descriptor between reads: there may be thousands."""

    path: Path
    reported: Reported = field(default_factory=Reported)
    _offset: int = 0
    _rest: bytes = b""
    _skipping: bool = False

    def read(self) -> bool:
        """Take in what is new, all of it in bounded chunks. True when `reported` changed. A missing file is an empty one."""
        before = self.reported
        try:
            if os.stat(self.path).st_size <= self._offset:
                return False
            with self.path.open("rb") as file:
                file.seek(self._offset)
                while chunk := file.read(CHUNK_BYTES):
                    self._offset += len(chunk)
                    self._take(chunk)
        except OSError:
            return False
        return self.reported != before

    def exists(self) -> bool:
        """Whether the job has said anything at all."""
        try:
            return os.stat(self.path).st_size > 0
        except OSError:
            return False

    def finish(self) -> Reported:
        """Read the rest, a last line without newline included: the job has ended."""
        self.read()
        if self._rest and not self._skipping:
            self.reported = merge(self.reported, parse_line(self._rest))
            self._rest = b""
        return self.reported

    def _take(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        for line in lines:
            self.reported = merge(self.reported, parse_line(line))
        self._skipping = self._skipping or len(rest) > MAX_LINE_BYTES
        self._rest = b"" if self._skipping else rest


def merge(old: Reported, new: Reported) -> Reported:
    """The newer word of each kind, the older where the newer has none."""
    changes = {name: value for name in Reported.__slots__ if (value := getattr(new, name)) is not None}
    return replace(old, **changes) if changes else old


def parse_line(line: bytes) -> Reported:
    """One line; empty where it says nothing that can be understood."""
    if len(line) > MAX_LINE_BYTES:
        return Reported()
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Reported()
    if isinstance(value, dict):
        return Reported(
            progress=_percent(value.get("progress")),
            message=_text(value.get("message")),
            error=_text(value.get("error")),
            checkpoint=_bounded(value.get("checkpoint")),
            result=_bounded(value.get("result")),
        )
    return Reported(progress=_percent(value))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _percent(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(100.0, max(0.0, float(value)))


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value[:MAX_TEXT].encode("utf-8", "replace").decode()


def _bounded(value: Any) -> Any:
    """The value, or None where it is nested so deeply that nobody downstream could write it."""
    return value if _depth(value, MAX_DEPTH) else None


def _depth(value: object, left: int) -> bool:
    if left == 0:
        return False
    inner: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_depth(item, left - 1) for item in inner)
