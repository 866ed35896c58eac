"""Small bars and wrapped sentences: what the reports of statistics are drawn with, on terminals and in pipes alike. Pure but for asking stdout.

Bars are letters, so they need no colour, and `#` where stdout cannot write blocks. All foreign text goes through `terminal.shown`.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from math import floor

from jobmgr.cli import terminal

USUAL_WIDTH = 80
MOST_WIDTH = 100
"""Longer lines are hard to read."""
LEAST_WIDTH = 40
BAR_CELLS = 20
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_REST = "░"
_HEIGHTS = "▁▂▃▄▅▆▇█"
_KEPT = "\N{NO-BREAK SPACE}"


def width() -> int:
    """How wide a report is: the terminal, within reason; 80 for a pipe."""
    if not terminal.is_terminal():
        return USUAL_WIDTH
    return max(LEAST_WIDTH, min(MOST_WIDTH, shutil.get_terminal_size().columns))


def has_blocks() -> bool:
    """Whether stdout can write them."""
    try:
        (_EIGHTHS + _REST + _HEIGHTS).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """A share of 1 as a bar of so many cells. What is not 0 is never empty, what is not 1 is never full."""
    share = min(max(share, 0.0), 1.0)
    if not has_blocks():
        full = round(share * cells)
        full = min(max(full, 1), cells - 1) if 0 < share < 1 else full
        return "#" * full + "." * (cells - full)
    eighths = floor(share * cells * 8 + 0.5)
    eighths = min(max(eighths, 1), cells * 8 - 1) if 0 < share < 1 else eighths
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[part] if part else "")).ljust(cells, _REST)


def column(share: float | None) -> str:
    """A share of 1 as one letter of a profile, the higher the fuller; none is a space."""
    if share is None:
        return " "
    level = min(max(share, 0.0), 1.0)
    if not has_blocks():
        return str(min(9, floor(level * 10)))
    return _HEIGHTS[min(len(_HEIGHTS) - 1, floor(level * len(_HEIGHTS)))]


def percent(rate: float) -> str:
    """As `84 %`; rates of answers have two decimals."""
    return f"{rate * 100:.0f} %"


def span(interval: Sequence[float]) -> str:
    """An interval of rates: `77 to 89 %`."""
    low, high = (f"{value * 100:.0f}" for value in interval)
    return f"{low} to {high} %"


def wrapped(text: str, room: int, *, indent: str = "  ", first: str | None = None) -> Iterator[str]:
    """Foreign text as lines that fit; `first` is the indent of the first one. A number stays with its `%`."""
    kept = terminal.shown(text).replace(" %", f"{_KEPT}%")
    for line in textwrap.wrap(
        kept, room, initial_indent=indent if first is None else first, subsequent_indent=indent, break_on_hyphens=False
    ):
        yield line.replace(_KEPT, " ")


def listed(texts: Iterable[object], most: int) -> str:
    """So many of them with commas between, and how many more there are."""
    every = [terminal.shown(text) for text in texts]
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def counted(number: int, what: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
