"""Which runs are like a given one: the newest of the same name, group and arguments, of the name, of its family, of the group, of all.

An index over `Columns`, made when first asked for and kept: rows that were put since are looked through one by one until they are many. It holds
row numbers only, 4 bytes a row and level. Where rows were taken out it is made again: about 0.3 s for a million rows.

Assumes that nobody changes the columns meanwhile.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.job import Cause, Status
from jobmgr.stats.columns import CAUSE_CODES, MOST_ARGS, MOST_TEXT, STATUS_CODES, UNKNOWN, Columns, Texts

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

NEWEST = 60
"""So many of each kind are looked at; older ones weigh nothing where newer ones weigh more, and say little where not."""
NEWEST_OF_ALL = 200
SEARCHED = 1000
"""Among so many of the newest runs of a name those with the same arguments are looked for."""
MOST_TAIL = 4096

_ENDS = frozenset({Status.COMPLETED, Status.CRASHED, Status.RETRIED})
_CUT_OFF = frozenset({Cause.TIMEOUT, Cause.DEADLINE, Cause.STOP, Cause.SHUTDOWN, Cause.CHECKPOINT, Cause.LEASE})
_DIGITS = re.compile("[0-9]+")


def family(name: str) -> str:
    """The name without what is only a number: `encode-17` and `encode-18` are of the family `encode-#`."""
    return _DIGITS.sub("#", name)


@dataclass(frozen=True, slots=True)
class Levels:
    """Row numbers of runs, the newest first, from the most to the least alike."""

    same: Array
    """Name, group and arguments."""
    name: Array
    family: Array
    group: Array
    all: Array


class Alike:
    """The index over these columns."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._families = Texts()
        self._family_of_name = self._no_rows()
        """By code of name; behind them that of no name."""
        self._rows = 0
        self._last_order = UNKNOWN
        self._by_time = self._no_rows()
        self._kinds: dict[str, _Kind] = {}
        self._tail = self._no_rows()
        self._seen = -1

    def levels(
        self, name: str | None, group: str | None, args: tuple[str, ...] | None, until: int | None = None
    ) -> Levels:
        """The runs like this one that ended before `until`."""
        self._refresh()
        columns = self._columns
        of_name = self._newest("name", None if name is None else columns.names.find(name[:MOST_TEXT]), SEARCHED, until)
        of_family = None if name is None else self._families.find(family(name[:MOST_TEXT]))
        of_group = None if group is None else columns.groups.find(group)
        return Levels(
            same=self._same(of_name, of_group if group is not None else UNKNOWN, args)[:NEWEST],
            name=of_name[:NEWEST],
            family=self._newest("family", of_family, NEWEST, until),
            group=self._newest("group", of_group, NEWEST, until),
            all=self._newest_of_all(until),
        )

    # --- looking up --------------------------------------------------------------------------------------------------------------

    def _newest(self, kind: str, code: int | None, most: int, until: int | None) -> Array:
        import numpy as np

        if code is None:
            return self._no_rows()
        kept = self._kinds[kind].rows(code) if kind in self._kinds else self._no_rows()
        kept = self._before(kept, until)[-most:]
        codes = self._codes(kind, self._tail)
        late = self._before(self._tail[codes == code], until)[-most:]
        return np.concatenate((kept, late))[-most:][::-1] if len(late) else kept[::-1]

    def _newest_of_all(self, until: int | None) -> Array:
        import numpy as np

        kept = self._before(self._by_time, until)[-NEWEST_OF_ALL:]
        late = self._before(self._tail, until)[-NEWEST_OF_ALL:]
        return np.concatenate((kept, late))[-NEWEST_OF_ALL:][::-1]

    def _before(self, rows: Array, until: int | None) -> Array:
        if until is None:
            return rows
        at = self._columns["at"]
        return rows[: bisect_left(rows, until, key=at.__getitem__)]

    def _same(self, rows: Array, group: int | None, args: tuple[str, ...] | None) -> Array:
        """Of these rows, those of the same group and arguments."""
        import numpy as np

        columns = self._columns
        if not len(rows) or group is None or args is None:
            return self._no_rows()
        codes = [columns.tokens.find(text[:MOST_TEXT]) for text in args[:MOST_ARGS]]
        if None in codes:
            return self._no_rows()
        rows = rows[(columns["group"][rows] == group) & (columns["args_count"][rows] == len(args))]
        if codes and len(rows):
            places = columns["first_token"][rows][:, None] + np.arange(len(codes))
            rows = rows[(columns.arguments[places] == np.array(codes)).all(axis=1)]
        return rows

    # --- keeping up --------------------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        import numpy as np

        columns = self._columns
        if columns.version == self._seen:
            return
        self._seen = columns.version
        self._note_families()
        # Rows are numbered in the order of putting: if the last one that is indexed is still in its place, all before it are.
        intact = len(columns) >= self._rows and (not self._rows or columns["order"][self._rows - 1] == self._last_order)
        if not intact or len(columns) - self._rows > max(MOST_TAIL, self._rows // 50):
            self._index()
        self._tail = self._in_time(_usable(columns, self._rows) + self._rows).astype(np.int32)

    def _index(self) -> None:
        import numpy as np

        columns = self._columns
        self._rows = len(columns)
        self._last_order = int(columns["order"][-1]) if self._rows else UNKNOWN
        self._by_time = self._in_time(_usable(columns, 0)).astype(np.int32)
        self._kinds = {
            kind: _Kind(self._codes(kind, self._by_time), self._by_time) for kind in ("name", "family", "group")
        }

    def _in_time(self, rows: Array) -> Array:
        import numpy as np

        return rows[np.argsort(self._columns["at"][rows], kind="stable")]

    def _codes(self, kind: str, rows: Array) -> Array:
        if kind != "family":
            return self._columns[kind][rows]
        return self._family_of_name[self._columns["name"][rows]]

    def _note_families(self) -> None:
        import numpy as np

        known = self._family_of_name[:-1]
        new = [self._families.code(family(name)) for name in self._columns.names.values[len(known) :]]
        if new or not len(self._family_of_name):
            self._family_of_name = np.concatenate((known, np.array([*new, UNKNOWN], np.int32)))

    @staticmethod
    def _no_rows() -> Array:
        import numpy as np

        return np.empty(0, np.int32)


class _Kind:
    """Rows by a code, those of each in the order in which they were given."""

    def __init__(self, codes: Array, rows: Array) -> None:
        import numpy as np

        order = np.argsort(codes, kind="stable")
        self._rows = rows[order]
        self._begins = np.searchsorted(codes[order], np.arange(int(codes.max(initial=UNKNOWN)) + 2))

    def rows(self, code: int) -> Array:
        if code + 1 >= len(self._begins):
            return self._rows[:0]
        return self._rows[self._begins[code] : self._begins[code + 1]]


def _usable(columns: Columns, first: int) -> Array:
    """Which rows from the first on tell how long a run lasts, as numbers from there."""
    import numpy as np

    useless = [STATUS_CODES[status] for status in (Status.FAILED, Status.PENDING)]
    known = (columns["duration"][first:] >= 0) & (columns["attempt"][first:] > 0)
    return np.flatnonzero(known & ~np.isin(columns["status"][first:], useless))


def ended(columns: Columns, rows: Array) -> Array:
    """Which of these runs ended by themselves."""
    import numpy as np

    ends = np.isin(columns["status"][rows], [STATUS_CODES[status] for status in _ENDS])
    return ends & ~np.isin(columns["cause"][rows], [CAUSE_CODES[cause] for cause in _CUT_OFF])


def crashed(columns: Columns, rows: Array) -> Array:
    """Which of these runs crashed, the ones among them whose time was up."""
    import numpy as np

    return np.isin(columns["status"][rows], [STATUS_CODES[Status.CRASHED], STATUS_CODES[Status.RETRIED]])
