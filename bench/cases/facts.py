"""What can be said of a task, read from its row: the attributes that conditions name, in their units, written down a second time.

It follows docs and contract, not the search: what a pattern claims is looked up here independently of who found it. None (NaN in numbers) is unknown.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench.cases.table import DAY, HOUR, Array
from jobmgr.history import HistoryRow
from jobmgr.job import Status

NUMBERS: dict[str, Callable[[HistoryRow], float | int | None]] = {
    "name.length": lambda row: None if row.job_name is None else len(row.job_name),
    "priority": lambda row: row.priority,
    "args.count": lambda row: None if row.args is None else len(row.args),
    "retries": lambda row: row.retries,
    "submit.hour": lambda row: None if row.created_at is None else row.created_at % DAY // HOUR,
    "submit.weekday": lambda row: None if row.created_at is None else (row.created_at // DAY + 3) % 7,
    "queueWait": lambda row: _over(row.queue_wait_us, 1000),
    "duration": lambda row: _over(row.duration_us, 1000),
    "cpuSeconds": lambda row: _over(row.cpu_us, 1_000_000),
    "peakRssBytes": lambda row: row.peak_rss_bytes,
    "readBytes": lambda row: row.read_bytes,
    "writeBytes": lambda row: row.write_bytes,
    "outputBytes": lambda row: row.output_bytes,
    "concurrency": lambda row: row.concurrency,
}
TEXTS: dict[str, Callable[[HistoryRow], Any]] = {
    "name": lambda row: row.job_name,
    "name.family": lambda row: None if row.job_name is None else re.sub(r"[0-9]+", "#", row.job_name),
    "name.hasDigits": lambda row: None if row.job_name is None else bool(re.search("[0-9]", row.job_name)),
    "script": lambda row: row.script,
    "group": lambda row: row.group,
    "node": lambda row: row.node,
}
SETS: dict[str, Callable[[HistoryRow], frozenset[str] | None]] = {
    "name.token": lambda row: None if row.job_name is None else _words(row.job_name),
    "args.has": lambda row: None if row.args is None else frozenset(row.args) | _flags(row.args).keys(),
    "args.pathPrefix": lambda row: None if row.args is None else _prefixes(row.args),
}
_FLAG = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.ASCII | re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def counted(rows: Sequence[HistoryRow]) -> list[HistoryRow]:
    """The rows that count in rates: the last one of each task, if it completed or crashed; in the order in which tasks first come."""
    last = {(row.job_id, row.task): row for row in rows}
    return [row for row in last.values() if row.status in (Status.COMPLETED, Status.CRASHED)]


def number(text: str | None) -> float:
    """The number that a text is, or NaN."""
    return float(text) if text is not None and len(text) <= 40 and _NUMBER.fullmatch(text) else float("nan")


class Facts:
    """The values of every attribute of these rows (one a task), each read once when it is asked for."""

    def __init__(self, rows: Sequence[HistoryRow]) -> None:
        self.rows = rows
        self._numbers: dict[str, Array] = {}
        self._texts: dict[str, list[Any]] = {}

    @cached_property
    def failed(self) -> Array:
        """Which tasks crashed."""
        return np.array([row.status == Status.CRASHED for row in self.rows], bool)

    @cached_property
    def flags(self) -> list[dict[str, str | None]]:
        """The flags of each task with their values."""
        return [_flags(row.args or ()) for row in self.rows]

    def numbers(self, attribute: str) -> Array:
        """The values of a numeric attribute, or of a flag, as numbers."""
        if attribute not in self._numbers:
            if attribute.startswith("args.-"):
                values = [number(value) for value in self.texts(attribute)]
            else:
                values = [_or_nan(NUMBERS[attribute](row)) for row in self.rows]
            self._numbers[attribute] = np.array(values, "f8")
        return self._numbers[attribute]

    def texts(self, attribute: str) -> list[Any]:
        """The values of any other attribute: a text, a set of texts, true or false."""
        if attribute not in self._texts:
            self._texts[attribute] = self._read(attribute)
        return self._texts[attribute]

    def _read(self, attribute: str) -> list[Any]:
        if attribute == "previousOnNode":
            return _previous(self.rows)
        if attribute.startswith("args.-"):
            return [flags.get(attribute[5:]) for flags in self.flags]
        read = TEXTS.get(attribute) or SETS[attribute]
        return [read(row) for row in self.rows]


def _over(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _words(name: str) -> frozenset[str]:
    return frozenset(word for word in re.findall(r"[^\W\d_]+", name.lower()) if len(word) > 1)


def _flags(args: Sequence[str]) -> dict[str, str | None]:
    """Each flag with the value behind its `=` or behind itself; None without one. The last one of a name counts."""
    found: dict[str, str | None] = {}
    last: str | None = None
    for arg in args:
        flag = _FLAG.fullmatch(arg)
        if flag is not None:
            last = flag[1] if flag[2] is None else None
            found[flag[1]] = flag[2]
        elif last is not None:
            found[last], last = arg, None
    return found


def _prefixes(args: Sequence[str]) -> frozenset[str]:
    """The first two directories of every path among the arguments, behind a `=` too."""
    paths = [arg.rpartition("=")[2] if arg.startswith("-") else arg for arg in args if "/" in arg and "://" not in arg]
    parts = [path.split("/")[:-1] for path in paths]
    return frozenset("/".join(part[: 3 if part[:1] == [""] else 2]) or "/" for part in parts if part)


def _previous(rows: Sequence[HistoryRow]) -> list[str | None]:
    """How the last task went that had ended on the same node when each began."""
    ends: dict[str, list[tuple[int, int]]] = {}
    for index, row in enumerate(rows):
        if row.node is not None and row.finished_at is not None:
            ends.setdefault(row.node, []).append((row.finished_at, index))
    for on_node in ends.values():
        on_node.sort()
    found: list[str | None] = []
    for row in rows:
        on_node = ends.get(row.node or "", [])
        place = bisect_right(on_node, (row.started_at or 0, len(rows)))
        found.append(rows[on_node[place - 1][1]].status if place else None)
    return found
