"""The bars of `run` and `wait`: how far jobs are, on a terminal, in a footer below what is printed meanwhile.

Where stderr is no terminal, or one that cannot move its cursor, there are none, and nothing is written. rich draws them, and is imported then only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobmgr.cli import terminal

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from jobmgr.client.jobs import Row

SHOWN_JOBS = 10
"""Of more jobs than these all together have one bar."""
BAR_CELLS = 28
_FINISHED = frozenset({"completed", "crashed", "failed", "stopped", "lost"})


class Bars:
    """Where nobody looks: takes rows and draws nothing."""

    seen = False
    """Whether somebody looks."""

    def look(self, row: Row) -> None:
        """Take in how far a job is."""

    def step_aside(self) -> str:
        """What a handler of signals writes before its own line."""
        return "\n"


class DrawnBars(Bars):
    """A bar each for `of` jobs, or one for all of them. `receipt`: one job, whose end is shown too, if there was anything to see of its way."""

    seen = True

    def __init__(self, console: Console, *, of: int, receipt: bool) -> None:
        from jobmgr.cli.footer import Footer

        self.footer = Footer(self.lines)
        self._console = console
        self._of, self._receipt = of, receipt
        self._rows: dict[str, Row] = {}
        self._told: set[str] = set()
        """Jobs that said how far they are while they were on their way."""

    def look(self, row: Row) -> None:
        """Take in how far a job is. The newest row holds; another thread draws."""
        job = row["jobId"]
        if row["status"] not in _FINISHED and (row.get("progress") is not None or row.get("message")):
            self._told.add(job)
        self._rows[job] = row
        self.footer.change()

    def step_aside(self) -> str:
        """The footer leaves."""
        return self.footer.step_aside()

    def lines(self) -> Sequence[str]:
        """What is to be seen now."""
        rows = list(self._rows.values())  # In one step: another thread may add to them.
        if self._receipt:
            rows = [row for row in rows if row["numTask"] > 1 or row["jobId"] in self._told]
        elif self._of > SHOWN_JOBS:
            return drawn(self._console, [_together(rows, self._of)]) if rows else []
        else:
            rows = [row for row in rows if row["status"] not in _FINISHED]
        return drawn(self._console, [_cells(row) for row in rows])


@contextmanager
def job_bars(*, of: int = 1, receipt: bool = False) -> Iterator[Bars]:
    """The bars of `of` jobs while inside; `receipt` as in DrawnBars."""
    if not terminal.is_terminal(sys.stderr):
        yield Bars()
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if console.is_dumb_terminal or console.legacy_windows:
        yield Bars()
        return
    bars = DrawnBars(console, of=of, receipt=receipt)
    with bars.footer as footer:
        yield bars
        footer.keep = receipt  # Not after an error: then nobody knows how far it is.


Cells = tuple[str, str, float | None, str, str]
"""Name, status, progress, time, and what there is to say."""


def _cells(row: Row) -> Cells:
    return row["jobId"], row["status"], row.get("progress"), terminal.so_far(row), _said(row)


def _said(row: Row) -> str:
    counts, tasks = row.get("taskCounts") or {}, row["numTask"]
    if tasks == 1:
        status = "" if row["status"] == "running" else row["status"]
        return terminal.shown(f"{status} {row.get('message') or ''}".strip())
    others = [f"{count:,} {status}" for status, count in counts.items() if status not in {"completed", "pending"}]
    return ", ".join([f"{counts.get('completed', 0):,} of {tasks:,} tasks", *others])


def _together(rows: Sequence[Row], of: int) -> Cells:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    ended = sum(counts.get(status, 0) for status in _FINISHED)
    others = [f"{count:,} {status}" for status, count in counts.items() if status not in _FINISHED]
    return f"{of:,} jobs", "running", 100 * ended / of, "", ", ".join([f"{ended:,} ended", *others])


def drawn(console: Console, every: Sequence[Cells]) -> list[str]:
    """Bars below each other, each a line that fits."""
    if not every:
        return []
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for justify in ("left", "left", "right", "right"):
        grid.add_column(no_wrap=True, justify=justify)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    # At least, so that they do not jump when a digit is added.
    for name, status, progress, spent, said in every:
        percent = "" if progress is None else f"{int(progress)} %"
        row = Text(name), bar(progress, status), Text(percent.rjust(5)), Text(spent.rjust(6), "dim"), Text(said)
        grid.add_row(*row)
    with console.capture() as captured:
        # Without the last cell: some terminals begin another line with it.
        console.print(grid, width=max(20, console.width - 1), crop=True)
    return captured.get().splitlines()


def bar(progress: float | None, status: str, *, cells: int = BAR_CELLS) -> RenderableType:
    """How far something is. Empty where nothing is known; it does not move by itself."""
    from rich.progress_bar import ProgressBar

    style = terminal.STATUS_STYLES.get(status, "cyan")
    return ProgressBar(
        total=100, completed=progress or 0, width=cells, complete_style=style, finished_style=style, style="grey23"
    )
