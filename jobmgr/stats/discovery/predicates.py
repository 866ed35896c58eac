"""Predicates: the single statements about a task that attributes allow, each a set of levels of one attribute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.stats.discovery.attributes import Attribute, Phase, Scale

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

WEEKEND = (5, 6)
MOST_SINGLE = 11
"""A number with no more cuts than this may be a choice among a dozen: then each value is tried alone, too."""
WINDOWS = (1, 3, 6, 12)
"""Hours of the day that are looked at together, from every hour on."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """`attribute op value`: holds for a task whose level is one of `members`."""

    place: int
    """Which attribute, in the order of the tables."""
    attribute: Attribute
    op: str
    value: Any
    members: tuple[int, ...]
    tries: float = 1.0
    """Predicates of one scale are one question asked so many times over: its best p is multiplied by this."""
    question: int = -1
    """The same for all that are one question."""


def of_attributes(attributes: Sequence[Attribute]) -> list[Predicate]:
    """All predicates of these attributes."""
    predicates: list[Predicate] = []
    for place, attribute in enumerate(attributes):
        if not attribute.searched:
            continue
        for question, op, value, members, tries in _statements(attribute):
            number = len(predicates) if question is None else -2 - place
            predicates.append(Predicate(place, attribute, op, value, members, tries, number))
    return predicates


_Statement = tuple[str | None, str, Any, tuple[int, ...], float]


def _statements(attribute: Attribute) -> Iterator[_Statement]:
    match attribute.scale:
        case Scale.NOMINAL:
            for level, value in enumerate(attribute.values):
                yield None, "==", value, (level,), 1.0
            yield from _of_weekend(attribute)
        case Scale.FLAG:
            yield None, "==", attribute.values[0], (1,), 1.0
        case Scale.ORDERED:
            yield from _cuts(attribute)
        case Scale.HOURS:
            yield from _hours()
    if (
        attribute.scale is not Scale.FLAG
        and attribute.phase is Phase.BEFORE
        and (not attribute.name.startswith("args.") or attribute.name == "args.count")
    ):
        yield None, "==", None, (attribute.unknown,), 1.0


def _cuts(attribute: Attribute) -> Iterator[_Statement]:
    """Above each cut, and below it; while a job runs only above: failing early cuts short what is measured, which is no finding."""
    single = range(1, len(attribute.values)) if attribute.exact and len(attribute.values) <= MOST_SINGLE else ()
    tries = max(1.0, (len(attribute.values) + len(single)) / 2)
    top = len(attribute.values) + 1
    for level, cut in enumerate(attribute.values):
        yield "cut", ">", cut, tuple(range(level + 1, top)), tries
        if attribute.phase is Phase.BEFORE:
            yield "cut", "<=", cut, tuple(range(level + 1)), tries
    for level in single:
        yield "cut", "==", attribute.values[level], (level,), tries


def _of_weekend(attribute: Attribute) -> Iterator[_Statement]:
    if attribute.name == "submit.weekday":
        yield None, "in", WEEKEND, WEEKEND, 1.0


def _hours() -> Iterator[_Statement]:
    """A window of half a day is told by its first half only: the other one is the same question."""
    for width in WINDOWS:
        for start in range(24 if width < 12 else 12):
            hours = tuple((start + offset) % 24 for offset in range(width))
            value: Any = start if width == 1 else hours
            yield "window", "==" if width == 1 else "in", value, hours, 24 / 2


def membership(predicates: Sequence[Predicate], offsets: Array) -> Array:
    """Which levels (columns, of all attributes behind each other) each predicate (rows) holds for."""
    import numpy as np

    matrix = np.zeros((len(predicates), int(offsets[-1])), "f8")
    for row, predicate in enumerate(predicates):
        matrix[row, int(offsets[predicate.place]) + np.array(predicate.members, "i8")] = 1
    return matrix
