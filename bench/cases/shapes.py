"""Histories by what is true of them: patterns planted, nothing at all, or a single fact in an odd shape.

Each function draws a `Case` from a number (`seed`): the rows, the true probability of failure of each, and the patterns that are really there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from bench.cases.table import DAY, HOUR, SECOND, Array, Planted, Table, draw_outcome, draw_table, rows_of
from jobmgr.history import HistoryRow
from jobmgr.job import Cause, Status

MINUTE = 60 * SECOND


@dataclass(slots=True)
class Case:
    """A history and its truth. `failure` and the tasks of `planted` stand in the order of `rows`, one row a task unless said otherwise."""

    rows: list[HistoryRow]
    failure: Array
    planted: list[Planted] = field(default_factory=list)
    window: tuple[int, int] | None = None
    """When there was an outage: from and to, microseconds since the epoch."""


def case_of(table: Table, rng: np.random.Generator) -> Case:
    """Let the tasks of a table end by their probabilities."""
    return Case(rows_of(table, draw_outcome(table, rng)), table.failure, table.planted)


def plant_six(table: Table) -> Table:
    """The six patterns of the comparison: a node, a number, a switch, a token of the name, a pair, and concurrency."""
    table.plant("node == node-3", table.node == 2, 0.20)
    table.plant("--batch > 64", table.batch > 64, 0.12)
    table.plant("--force", table.force, 0.15)
    table.plant("name has nightly", table.has_token(), 0.15)
    table.plant("node == node-5 and --mode full", (table.node == 4) & (table.mode == 2), 0.35)
    table.plant("concurrency > 12", table.concurrency > 12, 0.12)
    return table


def planted(count: int, seed: int) -> Case:
    """Six true patterns over a base of 10 %, over four weeks."""
    rng = np.random.default_rng(seed)
    return case_of(plant_six(draw_table(count, rng)), rng)


def noise(count: int, seed: int, *, base: float = 0.2) -> Case:
    """All that is in `planted` but for the patterns: every task fails with the same probability."""
    rng = np.random.default_rng(seed)
    return case_of(draw_table(count, rng, base=base), rng)


def confounded(count: int, seed: int) -> Case:
    """One name fails in half of its runs and runs between 2 and 3 at night; the night itself harms nothing else."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng)
    bad = 7
    at_night = table.name == bad
    day = table.created // DAY * DAY
    table.created = np.where(at_night, day + 2 * HOUR + (rng.random(count) * HOUR).astype("i8"), table.created)
    table.plant(f"name == {table.names[bad]}", at_night, 0.4)
    return case_of(table, rng)


def one_minute(count: int, seed: int) -> Case:
    """All submitted within a minute; with one value of an argument three times as many crash."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, names=5, nodes=("here-3000",), span=MINUTE, base=0.15)
    table.duration = (rng.uniform(0.02, 0.3, count) * SECOND).astype("i8")
    table.queue_wait = np.arange(count) * 40_000
    table.concurrency = np.minimum(np.arange(count) + 1, 4)
    table.args = [("--mode", str(mode), *(["--fast"] if fast else [])) for mode, fast in _short_arguments(count, rng)]
    table.plant("--mode == turbo", np.array([args[1] == "turbo" for args in table.args], bool), 0.30)
    return case_of(table, rng)


def _short_arguments(count: int, rng: np.random.Generator) -> list[tuple[str, bool]]:
    modes = rng.choice(["slow", "normal", "turbo", "eco"], count)
    return list(zip(modes.tolist(), (rng.random(count) < 0.3).tolist(), strict=True))


def few_names(count: int, seed: int) -> Case:
    """Three names on one node, and one of them fails more often."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, names=3, nodes=("only",))
    table.plant(f"name == {table.names[1]}", table.name == 1, 0.15)
    return case_of(table, rng)


def rare(count: int, seed: int) -> Case:
    """One in a hundred fails, but one in ten on one node."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, base=0.01)
    table.plant("node == node-3", table.node == 2, 0.09)
    return case_of(table, rng)


def common(count: int, seed: int) -> Case:
    """Most fail; with --force still more, and fewer with --mode safe."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, base=0.6)
    table.plant("--force", table.force, 0.2)
    table.plant("--mode safe", table.mode == 1, -0.25)
    return case_of(table, rng)


def threshold(count: int, seed: int) -> Case:
    """A numeric flag with as many values as jobs; above 60 000 more fail."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng)
    size = rng.integers(1, 100_000, count)
    table.args = [("--size", str(value), *args) for value, args in zip(size.tolist(), table.args, strict=True)]
    table.plant("--size > 60000", size > 60_000, 0.2)
    return case_of(table, rng)


def night(count: int, seed: int) -> Case:
    """Between one and four in the morning more fail, whatever they are."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng)
    table.plant("submitted from 01:00 to 04:00", (table.hour() >= 1) & (table.hour() < 4), 0.3)
    return case_of(table, rng)


def retried(count: int, seed: int) -> Case:
    """A crash is tried once more: two lines then, the first with the status `retried`. The truth is that of the last line of a task."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, base=0.15)
    table.plant("node == node-3", table.node == 2, 0.3)
    again = draw_outcome(table, rng)
    rows: list[HistoryRow] = []
    for row, second in zip(rows_of(table, draw_outcome(table, rng)), again.tolist(), strict=True):
        rows += [row] if row.status == Status.COMPLETED else _tried_again(row, failed=second)
    table.failure = table.failure**2
    return Case(rows, table.failure, table.planted)


def _tried_again(row: HistoryRow, *, failed: bool) -> list[HistoryRow]:
    assert row.started_at is not None  # as drawn
    assert row.finished_at is not None
    later = row.finished_at - row.started_at + SECOND
    second = replace(row, attempt=2, retries=1, started_at=row.started_at + later, finished_at=row.finished_at + later)
    if not failed:
        second = replace(second, status=Status.COMPLETED.value, cause=None, exit_code=0)
    return [replace(row, status=Status.RETRIED.value, cause=Cause.EXIT.value), second]


OTHER_SHAPES: dict[str, tuple[Callable[[int, int], Case], int]] = {
    "one_minute": (one_minute, 600),
    "few_names": (few_names, 2000),
    "rare": (rare, 10_000),
    "common": (common, 2000),
    "threshold": (threshold, 3000),
    "night": (night, 3000),
    "retried": (retried, 3000),
    "confounded": (confounded, 5000),
}
"""Cases besides the ones of the comparison, each with the number of tasks at which its truth can be seen."""
