"""What the tests of discovery look through: views of rows, and levels told by their values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Any

import numpy as np

from jobmgr.history import HistoryRow
from jobmgr.stats.columns import CRASHED, Columns
from jobmgr.stats.discovery.attributes import Attribute, Scale, Source, View
from jobmgr.stats.discovery.predicates import Predicate, of_attributes
from jobmgr.stats.discovery.tables import Tables
from tests.unit.stats.histories import columns_of

UNKNOWN, OTHER = "unknown", "other"


def view_of(rows: Iterable[HistoryRow] | Columns, zone: tzinfo = UTC) -> View:
    """All outcomes of these rows, in the order of their ends."""
    columns = rows if isinstance(rows, Columns) else columns_of(rows)
    return View(columns, columns.outcomes(), zone)


def tables_of(rows: Iterable[HistoryRow], least: int = 10) -> Tables:
    """Tables of these rows; the target is a crash."""
    view = view_of(rows)
    return Tables(view, view["status"] == CRASHED, least=least)


def predicate_of(tables: Tables, attribute: str, op: str, value: Any) -> Predicate:
    """The statement of these tables that says so."""
    [found] = [
        one
        for one in of_attributes(tables.attributes)
        if (one.attribute.name, one.op, one.value) == (attribute, op, value)
    ]
    return found


def names_of(source: Source) -> list[str]:
    """The names of its attributes, in their order."""
    return [attribute.name for attribute in source.attributes]


def told(source: Source, view: View, name: str, value: Any = None) -> list[Any]:
    """What an attribute says of each task of a view. `value`: of several flags of one name, that one."""
    places = [
        place
        for place, attribute in enumerate(source.attributes)
        if attribute.name == name and value in (None, *(attribute.values if attribute.scale is Scale.FLAG else ()))
    ]
    assert len(places) == 1, (name, value, source.attributes)
    levels = source.encode(view)
    assert levels.shape == (len(source.attributes), len(view.rows)) and levels.dtype == np.uint8
    return [_value(source.attributes[places[0]], int(level)) for level in levels[places[0]]]


def _value(attribute: Attribute, level: int) -> Any:
    if attribute.scale is Scale.FLAG:
        return bool(level)
    if level == attribute.unknown:
        return UNKNOWN
    if attribute.scale is Scale.ORDERED:
        low = attribute.values[level - 1] if level else None
        return low, attribute.values[level] if level < len(attribute.values) else None
    if attribute.scale is Scale.NOMINAL and level == attribute.other:
        return OTHER
    return attribute.values[level]
