"""The measurement of discovery: its table says what was measured, and its bounds are held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import million, stats
from bench.binned import binned
from bench.cases.facts import Facts
from bench.cases.shapes import planted
from bench.discovering_peers import FIXED, JOBMGR
from bench.stored import write_history
from jobmgr.store.sqlite import SqliteStore

RUN = {
    "name": "jobmgr",
    "seconds": 0.2,
    "recall": 0.96,
    "false": 0.01,
    "redundant": 0.2,
    "shown": 6.0,
    "noiseAny": 0.0,
    "largeSeconds": 0.6,
}
MILLION = {
    "count": 1_000_000,
    "found": 6,
    "loadSeconds": 20.0,
    "rebuildSeconds": 1.5,
    "keptSeconds": 0.5,
    "moreSeconds": 0.05,
    "peakMiB": 600,
    "longestPauseMs": 20.0,
}


def results(run: dict[str, Any] | None = None, **million: Any) -> dict[str, Any]:
    """Figures within the bounds, but for these."""
    peer = {"name": "sliceline", "missing": "could not be installed"}
    return {"runs": [RUN | (run or {}), peer], "seeds": 4, "million": MILLION | million}


@pytest.mark.parametrize(
    "beyond",
    [{"recall": 0.89}, {"false": 0.06}, {"redundant": 1.1}, {"noiseAny": 0.2}, {"largeSeconds": 1.1}],
    ids=str,
)
def test_a_figure_of_quality_beyond_its_bound_is_missed(beyond: dict[str, Any]) -> None:
    """One sentence for it, and none while all are within."""
    assert stats.missed(results()) == []
    assert len(stats.missed(results(beyond))) == 1


@pytest.mark.parametrize("name", stats.MOST)
def test_a_figure_of_the_million_beyond_its_bound_is_missed(name: str) -> None:
    """Times, memory, and the pause of the event loop."""
    most, words = stats.MOST[name]
    [sentence] = stats.missed(results(None, **{name: most * 2}))
    assert words in sentence


def test_the_table_has_a_row_a_contestant() -> None:
    """What could not be measured says why; what took too long says that."""
    text = stats.table(results({"largeSeconds": None}))
    assert "| jobmgr | 96% | 1% | 0.2 | 6.0 | 0.20 s | 0% | > 120 s or 12 GiB |" in text
    assert "| sliceline | could not be installed | – |" in text
    assert "600 MiB" in text


def test_jobmgr_and_the_fixed_patterns_show_tasks() -> None:
    """Both are judged by the tasks that their patterns match; the fixed ones are always seven."""
    case = planted(2000, 1)
    shown = JOBMGR.show(case.rows)
    assert shown.tasks and all(len(mask) == 2000 for mask in shown.tasks)
    assert len(FIXED.show(case.rows).tasks) == 7


def test_others_get_the_planted_patterns_to_see() -> None:
    """In the table of codes each planted single pattern is a value or close to one, so that they could find it."""
    case = planted(2000, 1)
    table = binned(Facts(case.rows))
    assert len(set(table.columns)) == len(table.columns) == table.codes.shape[1]
    assert table.codes.min() >= 1
    sets = [
        table.codes[:, column] == code
        for column in range(len(table.columns))
        for code in np.unique(table.codes[:, column])
    ]
    exact = [any((mask == each.tasks).all() for mask in sets) for each in case.planted]
    assert exact == [True, False, True, True, False, False]  # numbers come in quantiles, and a pair is of two


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
async def test_the_million_is_measured(tmp_path: Path) -> None:
    """With few tasks here: they are read back from the database as they were drawn, and every figure that has a bound is there."""
    await write_history(tmp_path, million.pieces(3000))
    store = SqliteStore(tmp_path)
    await store.open()
    rows = await store.history(after=(-1, -1), limit=5000)
    await store.close()
    drawn = [replace(row, group=None) for piece in million.pieces(3000) for row in piece]
    assert [replace(row, place=(-1, -1)) for row in rows] == drawn
    figures = await million.measure(tmp_path)
    assert set(figures) == set(MILLION)
    assert figures["count"] == 3000 and figures["found"] >= 1


def test_pieces_are_one_history() -> None:
    """So many tasks, in the order of submission but for the edges of pieces, each job another."""
    rows = [row for piece in million.pieces(45_000) for row in piece]
    assert len({row.job_id for row in rows}) == 45_000
