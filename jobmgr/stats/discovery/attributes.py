"""What is known of a task beside its outcome, as attributes with a few levels each: the raw material of patterns.

A source reads some columns and yields attributes; its `encode` gives the level of each attribute for any rows. Levels are chosen once, from the
history there is (`sources.of_history`), and stay until the next choice: so tables over levels are additive, and a new text or number falls into
the levels there are (`OTHER` where none fits). Texts are judged once per distinct text. Unknown is a level of its own, never a number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from jobmgr.stats.columns import Columns

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class Phase(StrEnum):
    """When an attribute of a job is known."""

    BEFORE = "before"
    RUNTIME = "runtime"
    OUTCOME = "outcome"


class Scale(StrEnum):
    """How levels hang together, and so which predicates there are."""

    NOMINAL = "nominal"
    ORDERED = "ordered"
    HOURS = "hours"
    FLAG = "flag"
    """Holds or not: the value of its only predicate is that of `values[0]`."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: its levels are 0 … `levels` - 1."""

    name: str
    """As conditions name it."""
    scale: Scale
    values: tuple[Any, ...]
    """NOMINAL: the value of each named level. ORDERED: the cuts; level i holds what is > cut i-1 and <= cut i. FLAG: what level 1 has."""
    phase: Phase = Phase.BEFORE
    exact: bool = False
    """ORDERED: each cut is a value that there is, and nothing between."""
    searched: bool = True
    """Whether patterns are looked for in it; others are counted only."""

    @property
    def levels(self) -> int:
        """With one for what is unknown and, where nominal, one for other values, in this order behind the named ones."""
        return {Scale.ORDERED: len(self.values) + 2, Scale.HOURS: 25, Scale.FLAG: 2}.get(
            self.scale, len(self.values) + 2
        )

    @property
    def unknown(self) -> int:
        """The level of what is not known (flags: does not hold)."""
        return {Scale.ORDERED: len(self.values) + 1, Scale.HOURS: 24, Scale.FLAG: 0}.get(self.scale, len(self.values))

    @property
    def other(self) -> int:
        """Of a nominal one: the level of values that have none of their own."""
        return len(self.values) + 1


@dataclass(slots=True)
class View:
    """Some rows of the columns, in the order of their ends."""

    columns: Columns
    rows: Array
    zone: tzinfo = UTC
    cache: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name][self.rows]

    def once(self, what: Callable[[View], Any]) -> Any:
        """What a function says of this view, computed once."""
        if what.__name__ not in self.cache:
            self.cache[what.__name__] = what(self)
        return self.cache[what.__name__]


class Source(Protocol):
    """Some attributes, and how their levels are read."""

    @property
    def attributes(self) -> Sequence[Attribute]:
        """What it reads."""

    def encode(self, view: View) -> Array:
        """The level of each attribute (rows) for each task of the view (columns), as bytes."""


MOST_LEVELS = 240
"""Levels are bytes. Below this, how often a level comes decides alone whether it is looked at."""


def support(count: int) -> int:
    """So many tasks at least must match a pattern, of so many in all: 1 %, but 10 to 50."""
    return min(max(count // 100, 10), 50)
