"""What a person sees: text that cannot harm a terminal, amounts and times in words, tables. Pure but for asking whether there is a terminal.

Names and messages come from whoever submitted a job: control characters, escape sequences and what reverses the direction of writing are shown
escaped. Colours and rich are for terminals only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

from jobmgr.stats.labels import printable

WIDTHS_FROM_ROWS = 1000
MAX_CELL = 60
GAP = 2
"""Cells between two columns."""
MIN_TEXT = 16
"""Cut shorter, a name says nothing: rather another column is left out."""
STATUS_STYLES = {
    "completed": "green", "crashed": "red", "failed": "red", "lost": "magenta", "stopped": "yellow",
    "running": "cyan", "retried": "yellow", "paused": "blue", "pending": "dim",
}  # fmt: skip
_MS = 1000
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_KIB = 1024


def is_terminal(stream: Any = None) -> bool:
    """Whether a person looks at stdout (or this stream)."""
    try:
        return bool((stream or sys.stdout).isatty())
    except (AttributeError, ValueError):
        return False


def shown(value: object) -> str:
    """Text in which nothing can move the cursor, hide or reverse what follows."""
    return printable(str(value))


def cut(text: str, width: int = MAX_CELL) -> str:
    """At most so many characters, an ellipsis where some are left out."""
    return text if len(text) <= width else text[: width - 1] + "…"


def duration(milliseconds: float | None) -> str:
    """As `120 ms`, `1.23 s`, `1 min 5 s`, `3 d 4 h`."""
    if milliseconds is None:
        return "–"
    if milliseconds < _MS - 0.5:  # What is nearer to a second is shown as one.
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / _MS
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    size, unit = next((size, unit) for size, unit in _UNITS if whole >= size)
    smaller, name = {"d": (3600, "h"), "h": (60, "min"), "min": (1, "s")}[unit]
    rest = whole % size // smaller
    return f"{whole // size} {unit}" + (f" {rest} {name}" if rest else "")


def size(count: int | None) -> str:
    """As `12 bytes`, `3.4 MiB`."""
    if count is None:
        return "–"
    if count < _KIB:
        return f"{count} bytes"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= _KIB
        if amount < _KIB or unit == "GiB":
            return f"{amount:.1f} {unit}"
    raise AssertionError  # The last unit returns.


def moment(text: str | None) -> datetime | None:
    """A time of the API."""
    return None if not text else datetime.fromisoformat(text)


def when(text: str | None) -> str:
    """A time of the API on the clock of this machine, to the second."""
    time = moment(text)
    return "–" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(text: str | None) -> str:
    """How long that is ago, roughly: `3 min ago`."""
    time = moment(text)
    if time is None:
        return "–"
    seconds = max(0.0, (datetime.now(UTC) - time).total_seconds())
    for unit_s, unit in _UNITS:
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {unit} ago"
    return f"{int(seconds)} s ago"


def since_start(row: dict[str, Any]) -> float | None:
    """The duration of a job or attempt in milliseconds; of one that runs, so far."""
    if row.get("duration") is not None:
        return float(row["duration"])
    begun = moment(row.get("startedAt"))
    if begun is None or row.get("finishedAt"):
        return None
    return (datetime.now(UTC) - begun).total_seconds() * _MS


def so_far(row: dict[str, Any]) -> str:
    """The duration for a place where it is shown again and again: of one that runs in whole seconds, without what would only flicker."""
    spent = since_start(row)
    if spent is None:
        return ""
    if row.get("duration") is not None or spent >= 60 * _MS:
        return duration(spent)
    return f"{max(0, int(spent // _MS))} s"


def ending(row: dict[str, Any]) -> str:
    """The code or signal that it ended with, in a word."""
    if row.get("signal"):
        return str(row["signal"])
    return "" if row.get("exitCode") is None else str(row["exitCode"])


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    status: int | None = None,
    spare: Sequence[str] = (),
    text: bool = True,
) -> int:
    """Print rows under their columns; how many there were.

    On a terminal too narrow for them the `spare` columns are left out, the first named first, and the last column is cut if it is `text`; nothing
    else ever is. `status`: the column with statuses, coloured there. To a pipe all of it is printed. A terminal gets no header without rows.
    """
    arriving = iter(rows)
    first = list(islice(arriving, WIDTHS_FROM_ROWS))
    following = next(arriving, None)
    if is_terminal() and following is None:
        if first:
            _rich_table(columns, first, status, spare, text=text)
        return len(first)
    more = arriving if following is None else chain([following], arriving)
    count = -1  # The header is no row.
    for line in _lines(columns, first, more):
        print(line)
        count += 1
    return count


def _lines(columns: Sequence[str], first: Sequence[Sequence[str]], more: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligned text, as wide as the first rows need; a longer cell of a later row moves its line."""
    all_first = [[column.upper() for column in columns], *first]
    widths = [max(len(row[n]) for row in all_first) for n in range(len(columns) - 1)]
    for row in chain(all_first, more):
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*padded, row[-1]]).rstrip()


def fitting(widths: Mapping[str, int], spare: Sequence[str], *, room: int, text: bool) -> dict[str, int]:
    """The columns that fit into so many cells, and their widths. Only the last one may be narrower than asked for, if it is `text`.

    They may still be too wide in the end: then the terminal breaks the lines, and nothing is lost.
    """
    kept, last = dict(widths), list(widths)[-1]
    least = {last: min(widths[last], MIN_TEXT)} if text else {}
    for name in spare:
        if _width({**kept, **least}) <= room:
            break
        del kept[name]
    if text:
        kept[last] = max(least[last], min(widths[last], room - _width({**kept, last: 0})))
    return kept


def _width(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _rich_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], status: int | None, spare: Sequence[str], *, text: bool
) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    widths = {name: max(cell_len(name), *(cell_len(row[n]) for row in rows)) for n, name in enumerate(columns)}
    kept = fitting(widths, spare, room=console.width, text=text)
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name, width in kept.items():
        made.add_column(name.upper(), no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        cells = [Text(cell) for cell in row]  # Text, because a name may look like markup.
        if status is not None:
            cells[status].stylize(STATUS_STYLES.get(row[status], ""))
        made.add_row(*(cell for name, cell in zip(columns, cells, strict=True) if name in kept))
    console.width = max(console.width, _width(kept))  # Where it is less, the terminal breaks the lines.
    console.print(made, crop=False)


def say(line: str) -> None:
    """A line for the person, on stderr."""
    print(f"jobmgr: {line}", file=sys.stderr, flush=True)
