"""Additive tables."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.shapes import planted
from jobmgr.stats.columns import CRASHED, Columns
from jobmgr.stats.discovery import blocks
from jobmgr.stats.discovery import tables as module
from jobmgr.stats.discovery.attributes import View
from jobmgr.stats.discovery.predicates import of_attributes
from jobmgr.stats.discovery.tables import Tables
from tests.unit.stats.discovery.views import predicate_of, tables_of, view_of
from tests.unit.stats.histories import START, columns_of, series

ROWS = planted(600, 1).rows
ROWS.sort(key=lambda row: row.finished_at or 0)


def grown(built: int, *pieces: int) -> tuple[Tables, View]:
    """Tables of the first tasks that grew by pieces, and the view of all that are in."""
    columns = Columns()
    tables: Tables | None = None
    place, view = 0, view_of(columns)
    for size in (built, *pieces):
        for key, row in enumerate(ROWS[place : place + size], place):
            columns.put(key, [row])
        columns.settle()
        place += size
        view = view_of(columns)
        flags = view["status"] == CRASHED
        if tables is None:
            tables = Tables(view, flags, least=10)
        else:
            assert tables.fits(place)
            tables.grow(view, flags[len(tables) :])
    assert tables is not None
    return tables, view


def counted_anew(tables: Tables, view: View) -> np.ndarray[Any, Any]:
    """What the counts must be: every task judged at once by the levels of these tables, and counted one by one."""
    assert tables._nodes is not None
    levels = np.concatenate([source.encode(view) for source in (*tables.sources, tables._nodes)])
    counts = np.zeros_like(tables.counts)
    for place, offset in enumerate(tables.offsets[:-1]):
        np.add.at(counts, (offset + levels[place].astype(int), tables.block, tables.flags.astype(int)), 1)
    return counts


@settings(deadline=None, max_examples=15)
@given(st.integers(400, 560), st.lists(st.integers(0, 12), max_size=3))
def test_growing_is_counting_at_once(built: int, pieces: list[int]) -> None:
    """Whatever the pieces, the counts are those of all tasks judged by the same levels; new ones are in the last block."""
    tables, view = grown(built, *pieces)
    assert len(tables) == len(view.rows) == built + sum(pieces)
    assert (tables.counts == counted_anew(tables, view)).all()
    assert (tables.totals == [[(tables.flags[tables.block == b] == bad).sum() for bad in (0, 1)] for b in range(tables.blocks)]).all()  # fmt: skip
    assert (tables.flags == (view["status"] == CRASHED)).all()
    assert (tables.block[built:] == tables.blocks - 1).all()


def test_tasks_are_read_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in between stays small, and nothing else is different."""
    whole, _ = grown(500, 40)
    monkeypatch.setattr(module, "CHUNK", 7)
    in_parts, _ = grown(500, 40)
    assert (in_parts.counts == whole.counts).all()
    assert all((in_parts.levels(place) == whole.levels(place)).all() for place in range(len(whole.attributes)))
    assert (in_parts.rivals == whole.rivals).all()


def test_each_attribute_counts_every_task_once() -> None:
    """Its levels, unknown and other ones included, add up to the totals."""
    tables, _ = grown(500, 10)
    for first, last in zip(tables.offsets, tables.offsets[1:], strict=False):
        assert (tables.counts[first:last].sum(0) == tables.totals).all()


def test_blocks_are_of_equal_count() -> None:
    """Within one task, in the order of the ends."""
    tables, _ = grown(555)
    sizes = tables.totals.sum(1)
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(tables.block.astype(int)) >= 0).all()


def test_counts_of_a_predicate_are_those_of_its_tasks() -> None:
    """By block, from the tables or from the tasks themselves."""
    tables, _ = grown(600)
    for predicate in of_attributes(tables.attributes)[::7]:
        mask = tables.matching([predicate])
        by_hand = [[(mask & (tables.block == b) & (tables.flags == bad)).sum() for bad in (0, 1)] for b in range(tables.blocks)]  # fmt: skip
        assert tables.by_block([predicate]).tolist() == np.array(by_hand).tolist()


def test_two_predicates_hold_where_both_do() -> None:
    """And a part of the tasks is judged as they are in the whole."""
    tables, _ = grown(600)
    pair = [predicate_of(tables, "node", "==", "node-3"), predicate_of(tables, "args.has", "==", "--force")]
    both = tables.matching(pair[:1]) & tables.matching(pair[1:])
    assert (tables.matching(pair) == both).all()
    assert (tables.matching(pair, slice(5, 300, 3)) == both[5:300:3]).all()
    assert tables.by_block(pair).sum(0).tolist() == [(both & ~tables.flags).sum(), (both & tables.flags).sum()]


def test_tables_hold_a_tenth_more_than_they_were_built_for() -> None:
    """Then levels and blocks are chosen anew."""
    tables, _ = grown(500)
    assert (tables.fits(500), tables.fits(550), tables.fits(560)) == (True, True, False)


@pytest.mark.parametrize("count", [0, 1, 39])
def test_of_too_few_tasks_only_the_basic_patterns_are_counted(count: int) -> None:
    """There are no blocks then, and no second growth."""
    tables = tables_of(series([False] * count))
    assert (tables.blocks, len(tables), len(tables.sources)) == (0, count, 1)
    assert not tables.fits(count)


def test_growing_by_nothing_changes_nothing() -> None:
    """Asking twice is no new task."""
    tables, view = grown(500)
    before = deepcopy(tables.counts)
    tables.grow(view, np.zeros(0, "?"))
    assert (tables.counts == before).all() and len(tables) == 500


# --- blocks


DAY = blocks.DAY_US


@pytest.mark.parametrize(
    ("count", "days", "expected"),
    [(39, 100, 0), (40, 100, 8), (200, 100, 10), (10_000, 100, 32), (10_000, 14, 14), (10_000, 2, 8), (10_000, 0, 8)],
)
def test_there_are_not_more_blocks_than_days(count: int, days: int, expected: int) -> None:
    """Eight at least, 32 at most, with twenty tasks each where there are more than eight; below forty tasks none."""
    assert blocks.how_many(count, days * DAY) == expected


def test_blocks_that_follow_each_other_are_alike_or_not() -> None:
    """The median correlation of neighbours: about 0 for noise, near 1 for a slow wave, negative for what alternates."""
    rng = np.random.default_rng(1)
    assert abs(blocks.alike(rng.normal(size=(200, 32)))) < 0.08
    assert blocks.alike(np.sin(np.arange(32) / 5)[None, :]) > 0.8
    assert blocks.alike(np.array([[1.0, -1.0] * 16])) < -0.9
    assert blocks.alike(np.ones((3, 8))) == 0


@pytest.mark.parametrize("size", [2, 7, 8])
def test_halving_puts_neighbours_together(size: int) -> None:
    """The last of an odd number stays alone; nothing is lost."""
    table = np.arange(2 * size).reshape(2, size)
    halved = blocks.halved(table)
    assert halved.shape == (2, (size + 1) // 2)
    assert halved.sum() == table.sum()
    assert halved[0, 0] == table[0, 0] + table[0, 1]
    if size % 2:
        assert halved[:, -1].tolist() == table[:, -1].tolist()


def test_tasks_without_times_are_one_instant() -> None:
    """Equal ends: there is an order still, and blocks."""
    tables = tables_of(series([place % 3 == 0 for place in range(200)], every=0))
    assert (tables.blocks, tables.days) == (8, 0)


def test_the_target_may_be_anything() -> None:
    """Flags are given, not read: tables are the same for slowness."""
    columns = columns_of(ROWS)
    view = view_of(columns)
    flags = view["duration"] > np.median(view["duration"])
    assert Tables(view, flags, least=10).totals[:, 1].sum() == flags.sum()
    assert int(view["at"][0]) > START - 10**14
