"""The screen of `jobmgr top`: counts, what runs, what waits, what has just ended, as much of it as there is room for. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from jobmgr.cli import terminal
from jobmgr.cli.job_bars import bar
from jobmgr.cli.top_state import ENDED, LISTS, RUNNING, WAITING, State
from jobmgr.client.jobs import Row

LEAST_ROWS = 3
"""So many rows of what waits and of what has ended are kept room for."""
HEAD_LINES = 2
SECTION_LINES = 2
"""An empty line and a title."""
WIDE, MIDDLE = 90, 70
"""Narrower than these a terminal is shown fewer columns."""
BAR_CELLS, SHORT_BAR_CELLS = 20, 10
MOST_WAITING = 8


def rows_for(height: int) -> int:
    """How many rows of each list a screen of so many lines may need."""
    return max(10, height)


def screen(state: State, url: str, *, width: int, height: int | None, trouble: str = "") -> RenderableType:
    """All of it, in so many cells and lines (None: as many lines as it takes)."""
    lists = state.lists
    totals = {name: sum(state.counts[status] for status in statuses) for name, (statuses, _) in LISTS.items()}
    room = shares({name: len(rows) for name, rows in lists.items()}, height)
    parts: list[RenderableType] = [_head(url, trouble), _counts(state.counts)]
    tables = {RUNNING: _running, WAITING: _waiting, ENDED: _ended}
    for name, make in tables.items():
        shown = lists[name][: room[name]]
        if not shown:
            continue
        parts += [Text(), _title(name, len(shown), totals[name]), make(shown, width)]
    if len(parts) == HEAD_LINES:
        parts += [Text(), Text("no jobs; submit one: jobmgr submit SCRIPT", "dim")]
    return Group(*parts)


def shares(rows: Mapping[str, int], height: int | None) -> dict[str, int]:
    """How many rows of each list are shown: what runs first, but some of the others always."""
    if height is None:
        return {
            RUNNING: rows[RUNNING],
            WAITING: min(rows[WAITING], MOST_WAITING),
            ENDED: min(rows[ENDED], MOST_WAITING),
        }
    left = max(0, height - HEAD_LINES - SECTION_LINES * sum(count > 0 for count in rows.values()))
    kept = {name: min(rows[name], LEAST_ROWS) for name in (WAITING, ENDED)}
    running = min(rows[RUNNING], max(LEAST_ROWS, left - sum(kept.values())))
    left = max(0, left - running)
    waiting = min(rows[WAITING], max(0, left - kept[ENDED]), MOST_WAITING)
    return {RUNNING: running, WAITING: waiting, ENDED: min(rows[ENDED], max(0, left - waiting))}


def _head(url: str, trouble: str) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(no_wrap=True, justify="right")
    where = Text.assemble(("jobmgr", "bold"), "  ", (trouble, "yellow") if trouble else (terminal.shown(url), "dim"))
    line.add_row(where, Text(time.strftime("%H:%M:%S"), "dim"))
    return line


def _counts(counts: Mapping[str, int]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for status, count in counts.items():
        if count or status in {"running", "pending"}:
            line.append(f"{count:,}", "bold")
            line.append(f" {status}   ", terminal.STATUS_STYLES.get(status, ""))
    line.rstrip()
    return line


def _title(name: str, shown: int, total: int) -> RenderableType:
    more = f"  the first {shown:,} of {total:,}" if total > shown and name != ENDED else ""
    title = Text.assemble((name.capitalize(), "bold"), (more, "dim"))
    return Rule(title, align="left", style="grey23")


def _grid(*columns: tuple[str, dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, terminal.GAP, 0, 0), pad_edge=False, expand=True)
    for _name, how in columns:
        table.add_column(no_wrap=True, overflow="ellipsis", **how)
    return table


_LEFT: dict[str, Any] = {}
_RIGHT: dict[str, Any] = {"justify": "right"}
_REST: dict[str, Any] = {"ratio": 1}


def _whole(rows: Sequence[Row], field: str) -> dict[str, Any]:
    """A column that is never cut, however narrow the terminal is."""
    return {"min_width": max(len(row[field]) for row in rows)}


def _running(rows: Sequence[Row], width: int) -> Table:
    cells = BAR_CELLS if width >= WIDE else SHORT_BAR_CELLS
    columns = [
        ("job", _whole(rows, "jobId")),
        ("bar", _LEFT),
        ("percent", _RIGHT),
        ("elapsed", _RIGHT),
        ("eta", _LEFT),
        ("name", _REST),
    ]
    if width >= WIDE:
        columns += [("node", _LEFT), ("pid", _RIGHT)]
    if width < MIDDLE:
        columns = [column for column in columns if column[0] != "eta"]
    table = _grid(*columns)
    for row in rows:
        made = _running_cells(row, cells)
        table.add_row(*(made[name] for name, _ in columns))
    return table


def _running_cells(row: Row, cells: int) -> dict[str, RenderableType]:
    progress = row.get("progress")
    name = Text(terminal.shown(row["jobName"]))
    if row["numTask"] > 1:
        name.append(f"  {row['taskCounts'].get('completed', 0):,} of {row['numTask']:,} tasks", "dim")
    if row.get("message"):
        name.append(f"  {terminal.shown(row['message'])}", "dim")
    percent = "" if progress is None else f"{int(progress)} %"
    return {
        "job": Text(row["jobId"]),
        "bar": bar(progress, row["status"], cells=cells),
        "percent": Text("paused" if row["status"] == "paused" else percent.rjust(5)),
        "elapsed": Text(terminal.so_far(row).rjust(8)),
        "eta": _eta(row),
        "name": name,
        "node": Text(terminal.shown(row.get("node") or ""), "dim"),
        "pid": Text("" if row.get("pid") is None else str(row["pid"]), "dim"),
    }


def _eta(row: Row) -> Text:
    eta = row.get("eta")
    if not eta:
        return Text()
    if eta.get("longerThanUsual"):
        return Text("longer than usual", "yellow")
    left_s = eta["at"] - time.time()
    if left_s < 1:
        return Text("any moment", "dim")
    about = "" if eta.get("quality") == "good" else "about "
    return Text(
        f"{about}{terminal.duration(round(left_s) * 1000) if left_s >= 60 else f'{round(left_s)} s'} left", "dim"
    )


def _waiting(rows: Sequence[Row], _width: int) -> Table:
    table = _grid(
        ("job", _whole(rows, "jobId")), ("status", _whole(rows, "status")), ("since", _RIGHT), ("name", _REST)
    )
    for row in rows:
        status = row["status"]
        since = Text(terminal.ago(row["createdAt"]).rjust(11), "dim")
        table.add_row(
            Text(row["jobId"]),
            Text(status, terminal.STATUS_STYLES.get(status, "")),
            since,
            Text(terminal.shown(row["jobName"])),
        )
    return table


def _ended(rows: Sequence[Row], _width: int) -> Table:
    columns = [
        ("job", _whole(rows, "jobId")),
        ("status", _whole(rows, "status")),
        ("code", _LEFT),
        ("duration", _RIGHT),
        ("when", _RIGHT),
        ("name", _REST),
    ]
    table = _grid(*columns)
    for row in rows:
        status = row["status"]
        name = Text(terminal.shown(row["jobName"]))
        if row.get("error"):
            name.append(f"  {terminal.shown(row['error'])}", "dim")
        table.add_row(
            Text(row["jobId"]),
            Text(status, terminal.STATUS_STYLES.get(status, "")),
            Text("" if status == "completed" else terminal.ending(row)),
            Text(terminal.duration(terminal.since_start(row))),
            Text(terminal.ago(row.get("finishedAt")).rjust(11), "dim"),
            name,
        )
    return table
