"""Histories whose failures come in bursts: days, outages, slow waves. Nothing in them comes again, so nothing in them is a recurring pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.cases.shapes import Case, case_of
from bench.cases.table import DAY, START, draw_table
from jobmgr.history import HistoryRow
from jobmgr.job import Status


def bursty_names(count: int, seed: int, *, days: int = 14) -> Case:
    """Of all (name, day) 12 % are bad: 60 % of those runs fail, otherwise 8 %."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, span=days * DAY, base=0.08)
    bad = rng.random((len(table.names), days)) < 0.12
    day = np.minimum((table.created - START) // DAY, days - 1)
    table.failure = np.where(bad[table.name, day], 0.6, 0.08)
    return case_of(table, rng)


def outage(count: int, seed: int, *, only_its_node: bool = False) -> Case:
    """In 2 % of the time 85 % fail and 70 % of the jobs land on one node; `only_its_node`: the jobs of others are well meanwhile."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, base=0.08)
    ended = table.created + table.queue_wait + table.duration
    first = int(ended.min() + rng.uniform(0.1, 0.85) * (ended.max() - ended.min()))
    window = (first, first + int(0.02 * (ended.max() - ended.min())))
    inside = (ended >= window[0]) & (ended < window[1])
    node = int(rng.integers(len(table.nodes)))
    table.node = np.where(inside & (rng.random(count) < 0.7), node, table.node)
    table.failure = np.where(inside & ((table.node == node) | (not only_its_node)), 0.85, table.failure)
    case = case_of(table, rng)
    case.window = window
    return case


def ar_outcome(count: int, seed: int, *, spell: int = 60) -> Case:
    """Campaigns of like jobs, and a probability of failure that wanders with a memory of about `spell` tasks, whatever they are."""
    rng = np.random.default_rng(seed)
    table = draw_table(count, rng, campaigns=25)
    keep = np.exp(-1 / spell)
    steps = rng.normal(0, np.sqrt(1 - keep**2), count)
    level = np.empty(count)
    last = rng.normal()
    for index, step in enumerate(steps):
        last = level[index] = keep * last + step
    table.failure = 1 / (1 + np.exp(2.0 - 2.0 * level))
    return case_of(table, rng)


def circular_shift(rows: Sequence[HistoryRow], by: int) -> list[HistoryRow]:
    """The same history with its outcomes moved on by so many tasks, in the order of their ends, the last ones to the front.

    Only tasks that count in rates take part; their bursts stay, but every link to what the tasks are is broken. One row a task is assumed.
    """
    counted = [index for index, row in enumerate(rows) if row.status in _COUNTED]
    counted.sort(key=lambda index: _end(rows[index]))
    shifted = list(rows)
    for position, index in enumerate(counted):
        of = rows[counted[(position - by) % len(counted)]]
        shifted[index] = replace(
            rows[index], status=of.status, cause=of.cause, exit_code=of.exit_code, signal=of.signal
        )
    return shifted


_COUNTED = frozenset({Status.COMPLETED.value, Status.CRASHED.value})


def _end(row: HistoryRow) -> int:
    """As far as it is known: a log need not say when a job began."""
    if row.finished_at is not None:
        return row.finished_at
    return (row.created_at or 0) + (row.queue_wait_us or 0) + (row.duration_us or 0)
