"""Additive tables: for each level of each attribute and each block of time, how many tasks there were and how many had the target.

Built in one pass over tasks in the order of their ends, then kept: new tasks go into the last block. The levels of every task are kept as bytes, so
that a pattern's tasks are found without judging them again. Levels and blocks are chosen at building; when the history has grown by a tenth, or
tasks were taken out, they are chosen anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobmgr.stats import attributes, blocks
from jobmgr.stats.attributes import Attribute, Source, View
from jobmgr.stats.predicates import Predicate
from jobmgr.stats.source_nodes import PREVIOUS, TAIL, rivals

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

GROWTH = 0.1
"""With so many more tasks, levels and blocks are chosen anew."""


class Tables:
    """The tables of some tasks. `flags`: which of them have the target."""

    def __init__(self, view: View, flags: Array, *, least: int) -> None:
        import numpy as np

        self.built = len(view.rows)
        """How many tasks there were when levels and blocks were chosen."""
        at = view["at"]
        self.days = float(at[-1] - at[0]) / blocks.DAY_US if self.built else 0.0
        """How much time there was between the first end and the last."""
        self.blocks = blocks.how_many(self.built, int(at[-1] - at[0]) if self.built else 0)
        self.sources: list[Source] = attributes.of_history(view, least) if self.blocks else []
        self.attributes: list[Attribute] = [one for source in self.sources for one in source.attributes]
        self.offsets = np.concatenate([[0], np.cumsum([one.levels for one in self.attributes], dtype="i8")]).astype(
            "i8"
        )
        self._levels = np.empty((len(self.attributes), 0), "u1")
        self._flags = np.empty(0, "?")
        self._block = np.empty(0, "u1")
        self.counts = np.zeros((int(self.offsets[-1]), max(self.blocks, 1), 2), "i8")
        """Level (of all attributes behind each other) × block × (without, with the target)."""
        self.totals = np.zeros((max(self.blocks, 1), 2), "i8")
        self._rivals = np.empty(0, "u1")
        self._add(view, flags, np.arange(self.built) * self.blocks // max(self.built, 1))

    # --- filling -----------------------------------------------------------------------------------------------------------------

    def grow(self, view: View, flags: Array) -> None:
        """Take in the tasks of a view that are beyond those that are in, which it begins with; so they ended later."""
        import numpy as np

        new = len(view.rows) - len(self)
        # What a task has to do with those before it is read from the newest of them.
        recent = View(view.columns, view.rows[-(new + TAIL) :], view.zone)
        self._add(recent, flags[-new:], np.full(new, max(self.blocks - 1, 0)))

    @property
    def outgrown(self) -> bool:
        """Whether levels and blocks should be chosen anew."""
        return len(self.flags) > self.built * (1 + GROWTH) or self.blocks == 0

    def _add(self, view: View, flags: Array, block: Array) -> None:
        """The last tasks of the view, as many as there are flags."""
        import numpy as np

        first = len(view.rows) - len(flags)
        parts = [source.encode(view)[:, first:] for source in self.sources]
        new = np.concatenate(parts) if parts else np.empty((0, len(flags)), "u1")
        if any(one.name == PREVIOUS for one in self.attributes):
            self._rivals = np.concatenate([self._rivals, rivals(view)[first:]])
        self._levels = new if self._levels.shape[1] == 0 else np.concatenate([self._levels, new], axis=1)
        self._flags = np.concatenate([self._flags, flags])
        self._block = np.concatenate([self._block, block.astype("u1")])
        cell = (block * 2 + flags).astype("i4")
        cells = self.counts.shape[1] * 2
        self.totals += np.bincount(cell, minlength=cells).reshape(-1, 2)
        for place, attribute in enumerate(self.attributes):
            found = np.bincount(cell * attribute.levels + new[place], minlength=cells * attribute.levels)
            table = found.reshape(-1, 2, attribute.levels).transpose(2, 0, 1)
            self.counts[self.offsets[place] : self.offsets[place + 1]] += table

    # --- reading -----------------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._flags)

    @property
    def flags(self) -> Array:
        """Which tasks have the target."""
        return self._flags

    @property
    def rivals(self) -> Array:
        """How the rivals of each task's predecessor on its node went (`source_nodes`); empty where nodes are not told apart."""
        return self._rivals

    @property
    def block(self) -> Array:
        """In which block each task is."""
        return self._block

    def levels(self, place: int) -> Array:
        """The level of one attribute for each task."""
        row: Array = self._levels[place]
        return row

    def matching(self, predicates: Sequence[Predicate], step: int = 1) -> Array:
        """Which tasks (every `step`-th) all of these predicates hold for."""
        import numpy as np

        result = np.ones(len(self._flags[::step]), "?")
        for predicate in predicates:
            holds = np.zeros(256, "?")
            holds[list(predicate.members)] = True
            result &= holds[self._levels[predicate.place, ::step]]
        return result
