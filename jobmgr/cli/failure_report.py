"""`GET /stats/failures` as a report for a person: what failed attempts said last, the most frequent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobmgr.cli import terminal
from jobmgr.cli.bars import bar, counted, listed, percent, width, wrapped

Answer = Mapping[str, Any]

SHOWN_LINES = 4
SHOWN_JOBS = 4
SHOWN_NAMES = 3
_TRENDS = {"new": "new", "rising": "rising ↗", "steady": "steady", "falling": "falling ↘", "gone": "gone"}


def failure_lines(failures: Answer, *, room: int | None = None) -> Iterator[str]:
    """The report on all kinds of failure."""
    room = width() if room is None else room
    kinds, every = failures["kinds"], failures["failedAttempts"]
    if not kinds:
        yield (
            "Nothing has failed here."
            if not every
            else f"{counted(every, 'failed attempt')}; none of them said anything."
        )
        return
    yield f"{counted(every, 'failed attempt')}, {counted(len(kinds), 'kind')} of failure"
    for number, kind in enumerate(kinds, 1):
        yield ""
        yield from _kind(kind, number, every, room)
    if kinds[0]["jobs"]:
        yield f"\nnext:          jobmgr show {terminal.cut(terminal.shown(kinds[0]['jobs'][0]))}"


def _kind(kind: Answer, number: int, every: int, room: int) -> Iterator[str]:
    indent = "    "
    share = kind["count"] / every if every else 0.0
    yield from wrapped(kind["sentence"], room, indent=indent, first=f"{number:2}. ")
    yield f"{indent}{bar(share, 10)} {counted(kind['count'], 'attempt')}, {percent(share)} of all · {_TRENDS.get(kind['trend'], '–')}"
    yield f"{indent}first {terminal.when(kind['firstSeen'])} · last {terminal.when(kind['lastSeen'])} ({terminal.ago(kind['lastSeen'])})"
    for line in _last_lines(kind["example"]):
        yield terminal.cut(f"{indent}  | {terminal.shown(line)}", room)
    yield from wrapped(_where(kind), room, indent=indent)


def _last_lines(example: str) -> Sequence[str]:
    return [line for line in example.splitlines() if line.strip()][-SHOWN_LINES:]


def _where(kind: Answer) -> str:
    """In which jobs, of which names, with which codes."""
    names = [f"{name} ({count:,})" for name, count in kind["names"].items()]
    parts = [f"names: {listed(names, SHOWN_NAMES)}"] if names else []
    if kind["exitCodes"]:
        parts.append(
            f"ended: {listed((f'{code} ({count:,})' for code, count in kind['exitCodes'].items()), SHOWN_NAMES)}"
        )
    if kind["jobs"]:
        parts.append(f"newest jobs: {listed(kind['jobs'][:SHOWN_JOBS], SHOWN_JOBS)}")
    return " · ".join(parts)
