"""The history as it leaves and enters: JSON lines, one attempt a line. `jobmgr export` writes it, `jobmgr analyze` reads it (from anywhere).

Field names and units are those of DESIGN §8 and the conditions of statistics: times RFC 3339 UTC, `duration` and `queueWait` in milliseconds,
sizes in bytes. In memory times and durations are microseconds. `FIELDS` says each once: what it means, how it is written, what is taken.
The lines of a task stand in the order in which they came about, so its last line says how it stands.

What is read may be anything: a line that cannot be used is skipped, a field that cannot be is unknown, both are counted (`ReadReport`). Lines
are read one by one, so memory does not grow; a single line is held as a whole. Nothing is guessed: neither words of other systems nor times
without an offset.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Any

from jobmgr.clock import MICROSECONDS, parse_rfc3339, rfc3339
from jobmgr.job import Cause, Status, signal_name

US_PER_MS = 1000
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One attempt of one task, with what is known of its job; a store knows all but what is still to come. None: unknown.

    `attempt` 0 is no attempt: it tells how a task stands where its newest attempt does not, because it has none in its round yet, or because
    it was stopped while it waited for another.
    """

    job_id: str
    task: int
    job_name: str | None
    script: str | None
    args: tuple[str, ...] | None
    priority: int | None
    group: str | None
    node: str | None
    created_at: int | None
    started_at: int | None
    finished_at: int | None
    status: str
    cause: str | None
    exit_code: int | None
    signal: int | None
    round: int
    attempt: int
    retries: int | None
    """Crashes of the task that were retried in its round before."""
    duration_us: int | None
    queue_wait_us: int | None
    peak_rss_bytes: int | None
    cpu_us: int | None
    read_bytes: int | None
    write_bytes: int | None
    output_bytes: int | None
    concurrency: int | None
    """Attempts that ran on its node when it was claimed, itself included."""
    place: tuple[int, int] = (-1, -1)
    """Where it stands in a store: (task row id, attempt number). Not part of a line."""


# --- writing and taking single values: what is taken raises ValueError or TypeError where it is not what the field says


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("no list of texts")
    return tuple(value)


def _id(value: Any) -> str:
    """An id of other systems may be a number."""
    if value == "":
        raise ValueError("no id")
    return value if isinstance(value, str) else str(_whole(-_MOST)(value))


def _whole(least: int, most: int = _MOST) -> Callable[[Any], int]:
    def take(value: Any) -> int:
        number = _number(value)
        if number != int(number) or not least <= number <= most:
            raise ValueError("no whole number in range")
        return int(value)

    return take


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("no number")
    return value


def _span(us_per_unit: int) -> Callable[[Any], int]:
    """A duration, as microseconds."""

    def take(value: Any) -> int:
        number = _number(value)
        if not 0 <= number <= _MOST // us_per_unit:
            raise ValueError("no duration")
        return round(number * us_per_unit)

    return take


def _time(value: Any) -> int:
    at = parse_rfc3339(_text(value))
    if at is None:
        raise ValueError("no time")
    return at


def _cause(value: Any) -> str:
    return Cause(_text(value)).value


@cache
def _signals() -> Mapping[str, int]:
    return {signal_name(number): number for number in range(1, 128)}


def _signal(value: Any) -> int:
    """By its name, or by its number on this system."""
    if not isinstance(value, str):
        return _whole(1, 127)(value)
    if value not in _signals():
        raise ValueError("no signal")
    return _signals()[value]


def _milliseconds(us: int) -> int:
    return round(us / US_PER_MS)


def _seconds(us: int) -> float:
    return us / MICROSECONDS


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a line: its attribute in a row, what it means, how a value that is known is written, and how it is taken."""

    name: str
    attribute: str
    kind: str
    """Type and unit, for people."""
    meaning: str
    take: Callable[[Any], Any]
    show: Callable[[Any], Any] = _as_is


_COUNT = _whole(0)

FIELDS = (
    Field("jobId", "job_id", "text", "the job; a line without one is a job of its own, `row-` and a number", _id),
    Field("task", "task", "number", "the number of the task in its job, from 0; 0 where it is not given", _COUNT),
    Field("jobName", "job_name", "text", "the name of the job", _text),
    Field("script", "script", "path", "the program", _text),
    Field("args", "args", "list of texts", "the arguments of this task, with `{index}` filled in", _texts),
    Field("priority", "priority", "number", "higher ones go first; 0 is `Regular`, 10 is `High`", _whole(-_MOST)),
    Field("group", "group", "text", "the group of the job; jobmgr has none yet, other histories may", _text),
    Field("node", "node", "text", "the server that ran it", _text),
    Field("createdAt", "created_at", "time", "when the job was submitted", _time, rfc3339),
    Field("startedAt", "started_at", "time", "when the attempt began", _time, rfc3339),
    Field("finishedAt", "finished_at", "time", "when the attempt ended", _time, rfc3339),
    Field("status", "status", "word", f"how the task stood after it: {', '.join(Status)}", _text),
    Field("cause", "cause", "word", "why it ended, unless it completed", _cause),
    Field("exitCode", "exit_code", "number", "the exit code", _whole(-(2**31), 2**32 - 1)),
    Field("signal", "signal", "text", "the signal that ended it, by name: `SIGKILL`", _signal, signal_name),
    Field("round", "round", "number", "1, and one more with every `restart`", _whole(1)),
    Field("attempt", "attempt", "number", "the number of the attempt, from 1; 0: see above", _COUNT),
    Field("retries", "retries", "number", "how many crashes of the task were retried in this round before", _COUNT),
    Field("duration", "duration_us", "milliseconds", "how long it ran", _span(US_PER_MS), _milliseconds),
    Field("queueWait", "queue_wait_us", "milliseconds", "how long it waited for a slot", _span(US_PER_MS), _milliseconds),
    Field("peakRssBytes", "peak_rss_bytes", "bytes", "peak memory of its largest process", _COUNT),
    Field("cpuSeconds", "cpu_us", "seconds", "CPU time, that of its children included", _span(MICROSECONDS), _seconds),
    Field("readBytes", "read_bytes", "bytes", "what it read from disks", _COUNT),
    Field("writeBytes", "write_bytes", "bytes", "what it wrote to disks", _COUNT),
    Field("outputBytes", "output_bytes", "bytes", "what it printed", _COUNT),
    Field("concurrency", "concurrency", "number", "attempts on its node when it was claimed, itself included", _whole(1)),
)  # fmt: skip
"""The fields of a line, in their order."""


# --- out


def to_line(row: HistoryRow) -> bytes:
    """The row as a line of JSON in UTF-8, with its newline. A lone surrogate (of a path that is no text) becomes `?`."""
    values = {}
    for each in FIELDS:
        value = getattr(row, each.attribute)
        values[each.name] = None if value is None else each.show(value)
    return _ENCODER.encode(values).encode("utf-8", "replace") + b"\n"


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


# --- in

SHOWN_SKIPS = 10
"""So many of the skipped lines are told with their reason; all are counted."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A line that could not be used. `line` counts from 1."""

    line: int
    reason: str


@dataclass(slots=True)
class ReadReport:
    """What a reading has met so far; complete when the rows have come to their end."""

    lines: int = 0
    """All of them, blank ones too."""
    rows: int = 0
    skipped: int = 0
    first_skips: list[Skip] = field(default_factory=list)
    unknown_statuses: int = 0
    """Of the skipped ones, those with a status that is not one of ours."""
    unusable_fields: Counter[str] = field(default_factory=Counter)
    """How often each field was of the wrong type or out of range, and so taken as unknown."""

    def skip(self, reason: str) -> None:
        """Count what was read last as skipped."""
        self.skipped += 1
        if len(self.first_skips) < SHOWN_SKIPS:
            self.first_skips.append(Skip(self.lines, reason))


def read(lines: Iterable[bytes | str], report: ReadReport | None = None) -> Iterator[HistoryRow]:
    """The rows of a history, one by one. Raises nothing for what a line holds: `report` says what could not be used.

    A line is a JSON object with at least a known `status`; what else it lacks is unknown, what else it has is ignored. An array of such
    objects is taken too where it is one line, or has one object a line, as `GET /jobs` gives it.
    """
    report = ReadReport() if report is None else report
    for line in lines:
        report.lines += 1
        for value in _values(line, report):
            row = _row(value, report)
            if row is not None:
                report.rows += 1
                yield row


def _values(line: bytes | str, report: ReadReport) -> list[Any]:
    """What stands in a line: one value mostly, none in a blank one."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.removeprefix("\ufeff").strip()
    if not text.strip("[],"):
        return []
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        report.skip("it is no JSON object")
        return []
    return value if isinstance(value, list) else [value]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        inner = text.strip("[], \t")  # A line of an array: what is left of an object begins and ends with braces.
        if inner == text or not inner.startswith("{"):
            raise
        return json.loads(inner)


def _row(values: Any, report: ReadReport) -> HistoryRow | None:
    if not isinstance(values, dict):
        report.skip("it is no JSON object")
        return None
    status = values.get("status")
    if status not in _STATUSES:
        report.unknown_statuses += isinstance(status, str)
        report.skip(
            f"its status {_shown(status)} is not one of ours" if isinstance(status, str) else "it has no status"
        )
        return None
    row = _taken(values, report)
    defaults = {"job_id": f"row-{report.rows + 1}", "task": 0, "round": 1, "attempt": int(status != Status.PENDING)}
    return HistoryRow(**row | {name: value for name, value in defaults.items() if row[name] is None})


_STATUSES = tuple(status.value for status in Status)  # Not a set: what is looked for may be anything, a list too.


def _taken(values: Mapping[str, Any], report: ReadReport) -> dict[str, Any]:
    """All fields by their attributes. One loop for all of them: a history has millions of lines."""
    row: dict[str, Any] = {}
    for name, attribute, take in _TAKEN:
        value = values.get(name)
        if value is not None:
            try:
                value = take(value)
            except (ValueError, TypeError, OverflowError):  # The last: a whole number too large for any float.
                report.unusable_fields[name] += 1
                value = None
        row[attribute] = value
    return row


_TAKEN = tuple((each.name, each.attribute, each.take) for each in FIELDS)


def _shown(text: str, limit: int = 40) -> str:
    """Foreign text in a sentence: in quotes, without control characters, and not too long."""
    return json.dumps(text if len(text) <= limit else text[:limit] + "…", ensure_ascii=True)
