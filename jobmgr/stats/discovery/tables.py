"""Additive tables: for each level of each attribute and each block of time, how many tasks there were and how many had the target.

Built in one pass over tasks in the order of their ends, then kept: new tasks go into the last block. The levels of every task are kept as bytes, so
that a pattern's tasks are found without judging them again. Levels and blocks are chosen at building; when the history has grown by a tenth, or
tasks were taken out, they are chosen anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery import blocks, source_nodes, sources
from jobmgr.stats.discovery.attributes import Attribute, Scale, Source, View
from jobmgr.stats.discovery.basic import BasicSource
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.source_nodes import TAIL, rivals

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

ALL = slice(None)
CHUNK = 32_768
"""So many tasks are read at once: what is in between stays small."""
GROWTH = 0.1
"""With so many more tasks, levels and blocks are chosen anew."""


class Tables:
    """The tables of some tasks. `flags`: which of them have the target; `least`: a level that fewer have is not worth one."""

    def __init__(self, view: View, flags: Array, *, least: int) -> None:
        import numpy as np

        self.built = len(view.rows)
        """How many tasks there were when levels and blocks were chosen."""
        at = view["at"]
        span = int(at[-1]) - int(at[0]) if self.built else 0
        self.days = span / blocks.DAY_US
        """How much time there was between the first end and the last."""
        self.blocks = blocks.how_many(self.built, span)
        """How many blocks; 0: too few tasks to look for anything."""
        self.sources: list[Source] = [BasicSource()] + (sources.of_history(view, least) if self.blocks else [])
        nodes = source_nodes.of_history(view, least)
        self._nodes = nodes if self.blocks and nodes.attributes else None
        """Looks at what was before a task, so it stands apart."""
        self.attributes: list[Attribute] = [one for source in self.sources for one in source.attributes]
        self.attributes += self._nodes.attributes if self._nodes is not None else []
        self.offsets = np.cumsum([0, *(one.levels for one in self.attributes)])
        """Where the levels of each attribute begin in `counts`, and where the last one's end."""
        self.counts = np.zeros((int(self.offsets[-1]), max(self.blocks, 1), 2), "i8")
        """Level (of all attributes behind each other) × block × (without, with the target)."""
        self.totals = np.zeros((max(self.blocks, 1), 2), "i8")
        self._size = 0
        room = int(self.built * (1 + GROWTH)) + 1
        self._levels = np.empty((len(self.attributes), room), "u1")
        self._flags, self._block, self._rivals = np.empty(room, "?"), np.empty(room, "u1"), np.empty(room, "u1")
        self._add(view, flags, np.arange(self.built) * self.blocks // max(self.built, 1))

    # --- filling -----------------------------------------------------------------------------------------------------------------

    def fits(self, count: int) -> bool:
        """Whether so many tasks in all are few enough for the levels and blocks that were chosen."""
        return bool(self.blocks) and count <= self._levels.shape[1]

    def grow(self, view: View, flags: Array) -> None:
        """Take in the tasks of a view that are beyond those that are in, with which it begins. `flags` are those of the new ones."""
        import numpy as np

        new = len(view.rows) - len(self)
        if new:
            # What a task has to do with those before it is read from the newest of them.
            recent = View(view.columns, view.rows[-(new + TAIL) :], view.zone)
            self._add(recent, flags, np.full(new, max(self.blocks - 1, 0)))

    def _add(self, view: View, flags: Array, block: Array) -> None:
        """The last tasks of the view, as many as there are flags."""
        first, old, size = len(view.rows) - len(flags), self._size, self._size + len(flags)
        for start in range(first, len(view.rows), CHUNK):
            part = View(view.columns, view.rows[start : start + CHUNK], view.zone)
            begin = old + start - first
            self._encode(part, slice(begin, begin + len(part.rows)))
        if self._nodes is not None:
            place = len(self.attributes) - len(self._nodes.attributes)
            self._levels[place:, old:size] = self._nodes.encode(view)[:, first:]
            self._rivals[old:size] = rivals(view)[first:]
        self._flags[old:size], self._block[old:size], self._size = flags, block, size
        self._count(old, block)

    def _encode(self, part: View, columns: slice) -> None:
        """Read the levels of a few tasks from all sources that look at each task alone."""
        place = 0
        for source in self.sources:
            levels = source.encode(part)
            self._levels[place : place + len(levels), columns] = levels
            place += len(levels)

    def _count(self, old: int, block: Array) -> None:
        """Add the tasks from `old` on to the tables. Flags are counted a block at a time, which is much quicker than by cells."""
        import numpy as np

        flags = self._flags[old : self._size]
        cell = (block * 2 + flags).astype("i4")
        cells = self.counts.shape[1] * 2
        totals = np.bincount(cell, minlength=cells).reshape(-1, 2)
        self.totals += totals
        ends = np.cumsum(totals.sum(1)).tolist()
        parts = [slice(start, end) for start, end in pairwise([0, *ends])]
        for place, attribute in enumerate(self.attributes):
            levels = self._levels[place, old : self._size]
            table = self.counts[self.offsets[place] : self.offsets[place + 1]]
            if attribute.scale is Scale.FLAG:
                holds = levels.view("?")
                bad = holds & flags
                count, of_these = (
                    np.array([np.count_nonzero(which[part]) for part in parts]) for which in (holds, bad)
                )
                table[1] += np.stack([count - of_these, of_these], axis=1)
                table[0] = self.totals - table[1]
            else:
                found = np.bincount(cell * attribute.levels + levels, minlength=cells * attribute.levels)
                table += found.reshape(-1, 2, attribute.levels).transpose(2, 0, 1)

    # --- reading -----------------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._size

    @property
    def flags(self) -> Array:
        """Which tasks have the target."""
        return self._flags[: self._size]

    @property
    def rivals(self) -> Array:
        """How the rivals of each task's predecessor on its node went (`source_nodes`); only where nodes are told apart."""
        return self._rivals[: self._size]

    @property
    def block(self) -> Array:
        """In which block each task is; ascending."""
        return self._block[: self._size]

    def levels(self, place: int) -> Array:
        """The level of one attribute for each task."""
        row: Array = self._levels[place, : self._size]
        return row

    def matching(self, predicates: Sequence[Predicate], part: slice = ALL) -> Array:
        """For which tasks (of a part of them) all of these predicates hold."""
        import numpy as np

        result = np.ones(len(self.flags[part]), "?")
        for predicate in predicates:
            holds = np.zeros(256, "?")
            holds[list(predicate.members)] = True
            result &= holds[self._levels[predicate.place, : self._size][part]]
        return result

    def by_block(self, predicates: Sequence[Predicate]) -> Array:
        """Tasks without and with the target for which these predicates hold, by block."""
        import numpy as np

        if len(predicates) == 1:
            [one] = predicates
            counts: Array = self.counts[int(self.offsets[one.place]) + np.array(one.members)].sum(0)
            return counts
        mask = self.matching(predicates)
        blocks = self.counts.shape[1]
        cell = self.block[mask].astype("i4") * 2 + self.flags[mask]
        return np.bincount(cell, minlength=2 * blocks).reshape(-1, 2)
