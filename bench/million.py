"""`python -m bench.million DIRECTORY`: the statistics of a large history in a process of its own, measured and printed as JSON.

The data directory holds planted tasks. The analyzer reads them through the store as the server does, on an event loop that beats meanwhile: the
longest pause between two beats is what a request would have waited. Later tasks are put straight into the columns, in their thread.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases.shapes import plant_six
from bench.cases.table import DAY, draw_outcome, draw_table, rows_of
from bench.judging import claimed
from jobmgr.clock import now_us
from jobmgr.history import HistoryRow
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.stats.columns import Columns
from jobmgr.stats.query import EVERYTHING
from jobmgr.store.sqlite import SqliteStore

PIECE = 20_000
MORE = 100
ROUNDS = 5
SPAN = 56 * DAY
BEAT_S = 0.002


class Beats:
    """The longest pause between two beats of this event loop, beyond the pause it asked for, in milliseconds."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def go_on(self) -> None:
        """Beat until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(BEAT_S)
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - began - BEAT_S) * 1000)


@asynccontextmanager
async def beating() -> AsyncIterator[Beats]:
    """Let the event loop beat for the time of the block."""
    beats = Beats()
    task = asyncio.create_task(beats.go_on())
    try:
        yield beats
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pieces(count: int, seed: int = 5) -> Iterator[list[HistoryRow]]:
    """So many planted tasks over eight weeks, a piece at a time."""
    rng = np.random.default_rng(seed)
    for first in range(0, count, PIECE):
        size = min(PIECE, count - first)
        table = plant_six(draw_table(size, rng, span=SPAN * size // count))
        table.created = table.created + SPAN * first // count
        yield rows_of(table, draw_outcome(table, rng), first=first)


def put_and_answer(analyzer: StatsAnalyzer, rows: Sequence[HistoryRow], columns: Columns) -> int:
    """Answer `GET /stats` as soon as these tasks have come, too; how many patterns it claims. For the thread of the columns."""
    first = len(columns)
    for number, row in enumerate(rows):
        columns.put(first + number, (row,))
    columns.settle()
    stats = analyzer._summarize(  # noqa: SLF001 - past its answers that may be old
        columns, EVERYTHING, total_jobs=len(columns), now=now_us(), zone=UTC
    )
    return len(claimed(stats))


async def measure(directory: Path) -> dict[str, Any]:
    """Load, answer for the first time, after 1 % more, and after each 100 more."""
    store = SqliteStore(directory)
    await store.open()
    analyzer = StatsAnalyzer(store)
    try:
        async with beating() as beats:
            load, count = await _timed(analyzer.run(len))
        loading = beats.longest_ms
        later = [next(pieces(max(count // 100, 1), 6)), *(next(pieces(MORE, 7 + seed)) for seed in range(ROUNDS))]
        async with beating() as beats:
            rebuild, found = await _timed(analyzer.run(partial(put_and_answer, analyzer, [])))
            kept, *more = [(await _timed(analyzer.run(partial(put_and_answer, analyzer, rows))))[0] for rows in later]
    finally:
        await analyzer.close()
        await store.close()
    return {
        "count": count,
        "found": found,
        "loadSeconds": round(load, 2),
        "rebuildSeconds": round(rebuild, 3),
        "keptSeconds": round(kept, 3),
        "moreSeconds": round(statistics.median(more), 3),
        "peakMiB": _peak_mib(),
        "longestPauseMs": round(max(loading, beats.longest_ms), 1),
    }


async def _timed(work: Coroutine[Any, Any, int]) -> tuple[float, int]:
    began = time.perf_counter()
    result = await work
    return time.perf_counter() - began, result


def _peak_mib() -> int:
    """The most memory this process ever had, as Linux counts it."""
    [kib] = re.findall(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return round(int(kib) / 1024)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1])))))
