"""`python -m bench.million COUNT`: the statistics of so many planted tasks in a process of its own, printed as JSON.

The tasks are put in as they would come, a piece at a time, so memory is that of the columns and of answering. An event loop beats meanwhile, and
the computation runs in a thread as in the server: the longest pause between two beats is what a request would have waited.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases.shapes import plant_six
from bench.cases.table import DAY, draw_outcome, draw_table, rows_of
from jobmgr.history import HistoryRow
from jobmgr.stats.columns import Columns
from jobmgr.stats.summary import Analyses

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


class History:
    """Columns that grow, and the answer about them."""

    def __init__(self) -> None:
        self.columns = Columns()
        self._analyses = Analyses()
        self._tasks = 0
        self._now = 0

    def put(self, rows: list[HistoryRow]) -> None:
        """Take in finished tasks."""
        for row in rows:
            self.columns.put(self._tasks, (row,))
            self._tasks += 1
            self._now = max(self._now, row.finished_at or 0)
        self.columns.settle()

    def answer(self) -> int:
        """Answer `GET /stats`; how many patterns it claims."""
        stats = self._analyses(self.columns, total_jobs=self._tasks, now=self._now)
        return sum(pattern["kind"] == "recurring" for pattern in stats["patterns"])

    def answer_with(self, rows: list[HistoryRow]) -> int:
        """Answer as soon as these have come, too."""
        self.put(rows)
        return self.answer()


async def measure(count: int) -> dict[str, Any]:
    """Take in, answer for the first time, after 1 % more, and after each 100 more."""
    history = History()
    later = [next(pieces(max(count // 100, 1), 6)), *(next(pieces(MORE, 7 + seed)) for seed in range(ROUNDS))]
    with ThreadPoolExecutor(1) as thread:
        load = 0.0
        for rows in pieces(count):
            load += (await _timed(thread, partial(history.put, rows)))[0]
        async with beating() as beats:
            rebuild, found = await _timed(thread, history.answer)
            kept, *more = [(await _timed(thread, partial(history.answer_with, rows)))[0] for rows in later]
    return {
        "count": count,
        "found": found,
        "loadSeconds": round(load, 2),
        "rebuildSeconds": round(rebuild, 3),
        "keptSeconds": round(kept, 3),
        "moreSeconds": round(statistics.median(more), 3),
        "peakMiB": _peak_mib(),
        "longestPauseMs": round(beats.longest_ms, 1),
    }


def _peak_mib() -> int:
    """The most memory this process ever had, as Linux counts it."""
    [kib] = re.findall(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return round(int(kib) / 1024)


async def _timed(thread: ThreadPoolExecutor, function: Callable[[], int | None]) -> tuple[float, int | None]:
    began = time.perf_counter()
    result = await asyncio.get_running_loop().run_in_executor(thread, function)
    return time.perf_counter() - began, result


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1])))))
