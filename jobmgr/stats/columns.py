"""The history as columns: a dictionary-coded copy of attempts, a few bytes for each fact, fed as they end and never the truth.

`put` takes the lines of a task (`history.HistoryRow`) whether they come from a store or from a file; `forget` takes a task out again (restart,
delete, a late true end). A text is held once and stands as a small number; unknown is -1 (but for exit codes and priorities). The last line of a
task says how it stands: that row is `standing`, the rows of its earlier attempts are kept beside it. What is put becomes visible with `settle`,
in one go.

Memory: about 150 bytes an attempt and 4 an argument. Above `most` attempts the oldest are dropped, so it is bounded whatever the history is.
Not for two threads at once. Times and durations are microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from jobmgr.history import HistoryRow
from jobmgr.job import Cause, Status, parse_job_id

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ATTEMPTS = 2_000_000
UNKNOWN = -1
LATEST = 2**63 - 1
NO_EXIT_CODE = -(2**40)
"""Unknown or none; -1 is an exit code elsewhere."""
NO_PRIORITY = -(2**63)
"""Unknown; -1 is a priority like any other."""

STATUS_CODES = {status.value: code for code, status in enumerate(Status)}
CAUSE_CODES = {cause.value: code for code, cause in enumerate(Cause)}
COMPLETED = STATUS_CODES[Status.COMPLETED]
CRASHED = STATUS_CODES[Status.CRASHED]

TYPES = {
    "key": "i8",  # which task: whatever number its source has for it
    "job": "i8",  # the number in its job's id, if it is one of ours
    "order": "i8",  # the order in which rows were put
    "name": "i4",
    "script": "i4",
    "node": "i4",
    "group": "i4",
    "args_count": "i4",
    "first_token": "i8",  # where its arguments begin in `tokens`
    "priority": "i8",
    "created": "i8",
    "started": "i8",
    "at": "i8",  # when it ended, as far as that is known; rows without any time have that of the row before
    "duration": "i8",
    "queue_wait": "i8",
    "peak_rss": "i8",
    "cpu": "i8",
    "read": "i8",
    "write": "i8",
    "output": "i8",
    "concurrency": "i4",
    "exit_code": "i8",
    "signal": "i2",
    "status": "i1",
    "cause": "i1",
    "attempt": "i4",
    "round": "i4",
    "retries": "i4",
    "standing": "?",
}
"""The columns and their types. `name`, `script`, `node`, `group` are codes of the dictionaries of the same names."""


class Texts:
    """A dictionary: each distinct text once, numbered in the order of coming."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.values)

    def code(self, text: str | None) -> int:
        """The number of this text, a new one if it is new; `UNKNOWN` for none."""
        if text is None:
            return UNKNOWN
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.values)
            self.values.append(text)
        return code

    def find(self, text: str) -> int | None:
        """The number of this text, if it ever came."""
        return self._codes.get(text)


FINE_TOKENS = 65_536
"""So many distinct arguments are kept as they are; after that numbers are coarsened to four digits…"""
MOST_TOKENS = 262_144
"""… and after so many, new ones that are no numbers are unknown: what comes that late is rare."""
MOST_ARGS = 100
"""So many arguments of a task are looked at, and counted all."""
MOST_TEXT = 300
"""Of a longer text that much is kept: nobody reads a pattern about more."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def number_of(text: str) -> float | None:
    """The number that an argument is, if it is a finite one written in ASCII digits."""
    if not _NUMBER.fullmatch(text) or len(text) > 40:
        return None
    value = float(text)
    return value if isfinite(value) else None


class Tokens(Texts):
    """The dictionary of arguments, which is bounded: a history may hold as many distinct ones as jobs."""

    def code(self, text: str | None) -> int:
        """As of any text; `UNKNOWN` for a new one when there are too many."""
        known = UNKNOWN if text is None else self._codes.get(text, UNKNOWN)
        if text is None or known != UNKNOWN:
            return known
        text = text[:MOST_TEXT]
        if len(self.values) >= FINE_TOKENS:
            number = number_of(text)
            if number is not None:
                text = f"{number:.4g}"
            elif len(self.values) >= MOST_TOKENS:
                return UNKNOWN
        return super().code(text)


class Columns:
    """All attempts that statistics know of. `columns["duration"]` is an array with one value a row, in the order of putting."""

    def __init__(self, most: int = MOST_ATTEMPTS) -> None:
        self.names = Texts()
        self.scripts = Texts()
        self.nodes = Texts()
        self.groups = Texts()
        self.tokens = Tokens()
        self.version = 0
        """Another whenever the rows are others."""
        self.moved = 0
        """How often rows have changed their places, or outcomes their standing: who keeps row numbers begins anew when it changes."""
        self.dropped = 0
        """How many attempts were dropped because there were too many."""
        self.active: dict[int, HistoryRow] = {}
        """The newest line of each task that runs or is paused, by its key."""
        self._most = most
        self._rows = 0
        self._put = 0
        self._token_count = 0
        self._arrays: dict[str, Array] = {}
        self._flat: Array | None = None
        self._pending: list[tuple[int, ...]] = []
        self._pending_tokens: list[tuple[int, ...]] = []
        self._pending_count = 0
        self._args: dict[tuple[str, ...], tuple[int, ...]] = {}

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> Array:
        return self._array(name)[: self._rows]

    @property
    def arguments(self) -> Array:
        """The arguments of all rows behind each other, as codes of `tokens`; row i's begin at `first_token[i]`, at most `MOST_ARGS`."""
        import numpy as np

        if self._flat is None:
            self._flat = np.empty(1024, "i4")
        return self._flat[: self._token_count]

    # --- taking in ---------------------------------------------------------------------------------------------------------------

    def put(self, key: int, rows: Iterable[HistoryRow]) -> None:
        """Take in lines of a task, in their order. More lines of the same task may follow: then its last one is that of the last call."""
        for row in rows:
            self.note(key, row)
            codes = self._codes_of(row.args)
            self._pending.append(self._values(key, row, len(codes)))
            self._pending_tokens.append(codes)
            self._pending_count += len(codes)

    def forget(self, keys: Collection[int]) -> None:
        """Take these tasks out, with all their attempts."""
        import numpy as np

        self.settle()
        for key in keys:
            self.active.pop(key, None)
        if keys:
            keep = ~np.isin(self["key"], np.fromiter(keys, "i8", len(keys)))
            if not keep.all():
                self._keep(np.flatnonzero(keep))

    def settle(self) -> None:
        """Make visible what was put."""
        if not self._pending:
            return
        import numpy as np

        first, size = self._rows, self._rows + len(self._pending)
        for (name, kind), values in zip(TYPES.items(), zip(*self._pending, strict=True), strict=True):
            self._grow(name, size)[first:size] = np.array(values, kind)
        tokens = np.fromiter(chain.from_iterable(self._pending_tokens), "i4", self._pending_count)
        self._add_tokens(tokens)
        self._rows = size
        self._pending, self._pending_tokens, self._pending_count = [], [], 0
        self._fill_times(first)
        self._let_stand(first)
        self.version += 1
        if size > self._most:
            self._drop_oldest()

    def _values(self, key: int, row: HistoryRow, tokens: int) -> tuple[int, ...]:
        """In the order of TYPES."""
        self._put += 1
        job = parse_job_id(row.job_id)
        name = None if row.job_name is None else row.job_name[:MOST_TEXT]
        first_token = self._token_count + self._pending_count
        return (
            key,
            UNKNOWN if job is None else job,
            self._put,
            self.names.code(name),
            self.scripts.code(row.script),
            self.nodes.code(row.node),
            self.groups.code(row.group),
            UNKNOWN if row.args is None else len(row.args),
            first_token,
            NO_PRIORITY if row.priority is None else row.priority,
            _known(row.created_at),
            _known(row.started_at),
            _ended(row),
            _known(row.duration_us),
            _known(row.queue_wait_us),
            _known(row.peak_rss_bytes),
            _known(row.cpu_us),
            _known(row.read_bytes),
            _known(row.write_bytes),
            _known(row.output_bytes),
            min(_known(row.concurrency), 2**31 - 1),
            NO_EXIT_CODE if row.exit_code is None else row.exit_code,
            _known(row.signal),
            STATUS_CODES[row.status],
            UNKNOWN if row.cause is None else CAUSE_CODES[row.cause],
            min(row.attempt, 2**31 - 1),
            min(row.round, 2**31 - 1),
            min(_known(row.retries), 2**31 - 1),
            True,
        )

    def _codes_of(self, args: tuple[str, ...] | None) -> tuple[int, ...]:
        if not args:
            return ()
        codes = self._args.get(args)
        if codes is None:
            codes = tuple(map(self.tokens.code, args[:MOST_ARGS]))
            if len(self._args) >= _KEPT_ARGS:
                self._args.clear()
            self._args[args] = codes
        return codes

    def note(self, key: int, row: HistoryRow) -> None:
        """Say how a task stands now, without taking the row in: `active` has it while it runs or is paused."""
        if row.status in _ALIVE:
            self.active[key] = row
        else:
            self.active.pop(key, None)

    # --- arrays ------------------------------------------------------------------------------------------------------------------

    def _array(self, name: str) -> Array:
        return self._grow(name, self._rows)

    def _grow(self, name: str, size: int) -> Array:
        """The whole array of a column, with room for so many rows."""
        import numpy as np

        array = self._arrays.get(name)
        if array is None or len(array) < size:
            larger = np.empty(max(1024, size + size // 4), TYPES[name])
            if array is not None:
                larger[: self._rows] = array[: self._rows]
            array = self._arrays[name] = larger
        return array

    def _add_tokens(self, tokens: Array) -> None:
        import numpy as np

        known, size = self.arguments, self._token_count + len(tokens)
        assert self._flat is not None
        if size > len(self._flat):
            self._flat = np.empty(size + size // 4, "i4")
            self._flat[: len(known)] = known
        self._flat[len(known) : size] = tokens
        self._token_count = size

    def _fill_times(self, first: int) -> None:
        """A row without any time has that of the one before it: histories are written in their order."""
        import numpy as np

        at = self["at"]
        start = max(first - 1, 0)
        unknown = at[start:] == UNKNOWN
        if unknown.any():
            last_known = np.maximum.accumulate(np.where(unknown, 0, np.arange(len(unknown))))
            at[start:] = at[start:][last_known]

    def _let_stand(self, first: int) -> None:
        """Of all rows of a task, the last one stands."""
        import numpy as np

        keys, standing = self["key"], self["standing"]
        new = keys[first:]
        _, last = np.unique(new[::-1], return_index=True)
        standing[first:] = False
        standing[first + len(new) - 1 - last] = True
        old = keys[:first]
        if first and int(old.max()) >= int(new.min()):
            superseded = standing[:first] & np.isin(old, new)
            standing[:first][superseded] = False
            status = self["status"][:first][superseded]
            self.moved += bool(((status == COMPLETED) | (status == CRASHED)).any())

    def _drop_oldest(self) -> None:
        """A tenth more than need be, so that this is rare."""
        import numpy as np

        surplus = self._rows - self._most * 9 // 10
        self.dropped += surplus
        by_age = np.argsort(self["at"], kind="stable")
        self._keep(np.sort(by_age[surplus:]))

    def _keep(self, rows: Array) -> None:
        """Keep these rows only, in their order."""
        import numpy as np

        count = np.minimum(np.maximum(self["args_count"], 0), MOST_ARGS).astype("i8")[rows]
        begin = self["first_token"][rows]
        ends = np.cumsum(count)
        where = np.repeat(begin - (ends - count), count) + np.arange(int(count.sum()))
        flat = self.arguments[where]
        kept = {name: self[name][rows] for name in TYPES}
        kept["first_token"] = ends - count
        self._arrays, self._flat = kept, flat
        self._rows, self._token_count = len(rows), len(flat)
        self.version += 1
        self.moved += 1

    # --- reading -----------------------------------------------------------------------------------------------------------------

    def where(self, keys: Collection[int]) -> Array:
        """The rows of these tasks. Keys that stand close together cost a few comparisons a row, and no more."""
        import numpy as np

        wanted, key = np.fromiter(keys, "i8", len(keys)), self["key"]
        if not len(wanted) or not len(key):
            return np.empty(0, "i8")
        near = np.flatnonzero((key >= wanted.min()) & (key <= wanted.max()))
        found: Array = near[np.isin(key[near], wanted)]
        return found

    def outcomes(self, first: int = 0) -> Array:
        """The rows that count in rates: tasks that stand as completed or crashed, in the order of their ends; those from `first` on."""
        import numpy as np

        status = self["status"][first:]
        rows = first + np.flatnonzero(self["standing"][first:] & ((status == COMPLETED) | (status == CRASHED)))
        return rows[np.argsort(self["at"][rows], kind="stable")]


_ALIVE = frozenset({Status.RUNNING.value, Status.PAUSED.value})
_KEPT_ARGS = 10_000


def _known(value: int | None) -> int:
    return UNKNOWN if value is None else value


def _ended(row: HistoryRow) -> int:
    """When it ended, or the latest instant known of it; of times that no column holds, the last one that fits."""
    if row.finished_at is not None:
        return row.finished_at
    duration = row.duration_us or 0
    if row.started_at is not None:
        return min(row.started_at + duration, LATEST)
    return UNKNOWN if row.created_at is None else min(row.created_at + (row.queue_wait_us or 0) + duration, LATEST)
