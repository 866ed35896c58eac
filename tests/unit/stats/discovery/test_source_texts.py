"""Script, group and node."""

from __future__ import annotations

from typing import Any

import pytest

from jobmgr.stats.columns import Columns
from jobmgr.stats.discovery.attributes import MOST_LEVELS
from jobmgr.stats.discovery.source_texts import of_history
from tests.unit.stats.discovery.views import OTHER, UNKNOWN, names_of, told, view_of
from tests.unit.stats.histories import START, attempt


def some(field: str, *values: str | None) -> list[Any]:
    """Tasks that differ in one field."""
    return [attempt(**{field: value}, finished_at=START + place) for place, value in enumerate(values)]


@pytest.mark.parametrize("field", ["script", "group", "node"])
def test_texts_stand_for_themselves(field: str) -> None:
    """The frequent ones; others are other, and unknown is a level of its own."""
    view = view_of(some(field, "a", "b", "a", "b", "rare", None))
    source = of_history(view, 2)
    assert names_of(source) == [field]
    assert told(source, view, field) == ["a", "b", "a", "b", OTHER, UNKNOWN]


def test_one_value_everywhere_is_no_attribute() -> None:
    """There is nothing to compare; with a single other or unknown one there is."""
    assert names_of(of_history(view_of(some("node", *"aaaa")), 2)) == []
    assert names_of(of_history(view_of(some("node", *"aaa", None)), 2)) == ["node"]
    assert names_of(of_history(view_of(some("node", *"aaab")), 2)) == ["node"]


def test_levels_are_bounded() -> None:
    """The most frequent ones of many."""
    view = view_of(some("node", *(f"n{number}" for number in range(300)), "n7", "n7"))
    source = of_history(view, 1)
    [attribute] = source.attributes
    assert (len(attribute.values), attribute.values[0]) == (MOST_LEVELS, "n7")
    assert told(source, view, "node").count(OTHER) == 300 - MOST_LEVELS


def test_a_text_that_is_new_is_other() -> None:
    """Levels stay as they were chosen."""
    columns = Columns()
    for key, row in enumerate(some("node", "a", "b", "a", "b")):
        columns.put(key, [row])
    columns.settle()
    source = of_history(view_of(columns), 2)
    columns.put(9, [attempt(node="new", finished_at=START + 9)])
    columns.settle()
    assert told(source, view_of(columns), "node") == ["a", "b", "a", "b", OTHER]
