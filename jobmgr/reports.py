"""What a job says about itself on fd 3. Data to show, never commands.

Each line is a number 0–100 or a JSON object with any of `progress`, `message`, `checkpoint`, `result`, `error`.

The job appends to its report file, so nothing it says is lost while the server is away; a reader goes on where it stopped. Rubbish is
skipped, a line longer than MAX_LINE_BYTES too. The last word of each kind counts. What the job puts in the place of the file is not read. Secrets
of the job are hidden in all but the checkpoint, which is given back to the job and shown to nobody.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from jobmgr.output.files import open_regular
from jobmgr.secrets import Mask

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
    """Follows one report file. Holds no descriptor between reads: there may be thousands. May be used by several threads.

    A read takes in at most CHUNK_BYTES, the newest: what a job reported further back than that has been overtaken.
    """

    path: str
    mask: Mask | None = None
    reported: Reported = NOTHING_REPORTED
    _offset: int = 0
    _rest: bytes = b""
    _skipping: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def exists(self) -> bool:
        """Whether the job has said anything at all."""
        try:
            return os.lstat(self.path).st_size > 0
        except OSError:
            return False

    def read(self) -> bool:
        """Take in what is new. True when `reported` changed. A missing file is an empty one."""
        with self._lock:
            before = self.reported
            self._take(self._newest())
            return self.reported != before

    def finish(self) -> Reported:
        """Read the rest, a last line without newline included: the job has ended."""
        with self._lock:
            self._take(self._newest() + b"\n")
            return self.reported

    def _newest(self) -> bytes:
        try:
            size = os.lstat(self.path).st_size
            file = open_regular(self.path) if size > self._offset else None
            if file is None:
                return b""
            with file:
                if size - self._offset > CHUNK_BYTES:
                    self._offset, self._rest, self._skipping = size - CHUNK_BYTES, b"", True
                file.seek(self._offset)
                chunk = file.read(CHUNK_BYTES) or b""
        except OSError:
            return b""
        self._offset += len(chunk)
        return chunk

    def _take(self, chunk: bytes) -> None:
        *lines, rest = (self._rest + chunk).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        self.reported = merge(self.reported, parse_lines(lines, self.mask))
        self._skipping = self._skipping or len(rest) > MAX_LINE_BYTES
        self._rest = b"" if self._skipping else rest


def merge(old: Reported, new: Reported) -> Reported:
    """The newer word of each kind, the older where the newer has none."""
    changes = {name: value for name in Reported.__slots__ if (value := getattr(new, name)) is not None}
    return replace(old, **changes) if changes else old


def parse_lines(lines: Sequence[bytes], mask: Mask | None = None) -> Reported:
    """The last word of each kind in these lines."""
    found = NOTHING_REPORTED
    for line in reversed(lines):
        # Of lines that are a bare number only the last one counts; a job may write millions of them.
        if found.progress is None or line.lstrip()[:1] == b"{":
            found = merge(parse_line(line, mask), found)
    return found


def parse_line(line: bytes, mask: Mask | None = None) -> Reported:
    """One line; empty where it says nothing that can be understood. `mask`: of a job with secrets."""
    if len(line) > MAX_LINE_BYTES:
        return Reported()
    try:
        value = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Reported()
    if isinstance(value, dict):
        result = _bounded(value.get("result"))
        return Reported(
            progress=_percent(value.get("progress")),
            message=_text(value.get("message"), mask),
            error=_text(value.get("error"), mask),
            checkpoint=_bounded(value.get("checkpoint")),
            result=mask.value(result) if mask else result,
        )
    return Reported(progress=_percent(value))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _percent(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # An integer of hundreds of digits.
        return None
    return min(100.0, max(0.0, number)) if math.isfinite(number) else None


def _text(value: object, mask: Mask | None) -> str | None:
    if not isinstance(value, str):
        return None
    if mask is not None:
        value = mask.text(value)  # Before it is cut: half a secret would not be found.
    return value[:MAX_TEXT].encode("utf-8", "replace").decode()


def _bounded(value: Any) -> Any:
    """The value, or None where it is nested so deeply that nobody downstream could write it."""
    return value if _depth(value, MAX_DEPTH) else None


def _depth(value: object, left: int) -> bool:
    if left == 0:
        return False
    inner: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_depth(item, left - 1) for item in inner)
