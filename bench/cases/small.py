"""Small, empty and broken histories: what can be said of them is little, and it must be said without an exception."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.cases.shapes import noise
from bench.cases.table import HOUR, SECOND, START
from jobmgr.history import HistoryRow
from jobmgr.job import Cause, Status

HOSTILE = (
    "",
    " ",
    "\x00",
    "a\nb",
    "\ud800",
    "\u202egpj",
    "<b>&amp;</b>",
    "'; DROP TABLE jobs; --",
    "{{7*7}}",
    "%s%n",
    "é" * 5000,
    "\ufeff",
)
MOST = 2**63 - 1
YEAR_1 = -62_135_596_800 * SECOND
"""Where programs put a time that they do not know."""
NUMBERS = ("NaN", "inf", "-inf", "1e400", "-1", "0x10", "1_000", "٣", "9" * 400, "1e-320", "-0", "+5")


def plain_row(number: int, *, failed: bool = False, name: str | None = "job", seconds: float = 0.5) -> HistoryRow:
    """A task without arguments, one an hour."""
    began, duration = START + number * HOUR, round(seconds * SECOND)
    status, cause, code = (Status.CRASHED, Cause.EXIT.value, 1) if failed else (Status.COMPLETED, None, 0)
    return HistoryRow(
        f"job-{number}", 0, name, "/srv/jobs/run", (), 0, None, "here", began, began, began + duration, status.value, cause, code, None, 1, 1,
        0, duration, 0, 2**20, duration // 2, 0, 0, 0, 1,
    )  # fmt: skip


def known_25() -> list[HistoryRow]:
    """25 tasks, 18 completed. 12 have names longer than 10 characters, 10 of them completed; 8 ran longer than a second, 5 of them completed."""
    long_names = [(True, True)] * 2 + [(True, False)] * 8 + [(False, True)] + [(False, False)]
    short_names = [(True, True)] * 3 + [(True, False)] * 5 + [(False, True)] * 2 + [(False, False)] * 3
    tasks = [("a-rather-long-name", *task) for task in long_names] + [("short", *task) for task in short_names]
    order = np.random.default_rng(1).permutation(len(tasks)).tolist()
    return [
        plain_row(number, failed=not tasks[index][1], name=tasks[index][0], seconds=2.5 if tasks[index][2] else 0.4)
        for number, index in enumerate(order)
    ]


def bare_row(number: int, status: Status) -> HistoryRow:
    """A task of which nothing is known but how it stands."""
    return _forgetting(plain_row(number), _FORGETTABLE, status=status.value)


def degenerate(count: int = 300) -> dict[str, list[HistoryRow]]:
    """Histories that leave hardly anything to say, each by its name."""
    drawn = noise(count, 5).rows
    ends = [Status.COMPLETED, Status.CRASHED]
    rng = np.random.default_rng(7)
    return {
        "empty": [],
        "one": drawn[:1],
        "one crashed": [plain_row(0, failed=True)],
        "two": drawn[:2],
        "one name": [plain_row(number, failed=number % 5 == 0) for number in range(count)],
        "all failed": [replace(row, status=Status.CRASHED.value) for row in drawn],
        "none failed": [replace(row, status=Status.COMPLETED.value) for row in drawn],
        "none finished": [replace(row, status=Status.STOPPED.value) for row in drawn],
        "every status": [
            replace(row, status=list(Status)[index % len(Status)].value) for index, row in enumerate(drawn)
        ],
        "equal times": [replace(row, created_at=START, started_at=START, finished_at=START) for row in drawn],
        "out of order": [drawn[index] for index in rng.permutation(count).tolist()],
        "times at the edges": [_at_the_edge(row, index) for index, row in enumerate(drawn)],
        "nothing known": [bare_row(number, ends[number % 7 == 0]) for number in range(count)],
        "something known": [_forgotten(row, rng) for row in drawn],
        "distinct names": [replace(row, job_name=f"job-{index}-{index * 7919}") for index, row in enumerate(drawn)],
        "distinct everything": [_unlike(row, index) for index, row in enumerate(drawn)],
        "hostile text": [_hostile(row, index) for index, row in enumerate(drawn)],
        "same lines twice": drawn + drawn,
        "huge numbers": [_huge(row, index) for index, row in enumerate(drawn)],
        "huge durations": [_endless(row, index) for index, row in enumerate(drawn)],
        "from the year 1 to no calendar": [_beyond_calendars(row, index) for index, row in enumerate(drawn)],
        "priorities": [replace(row, priority=(-MOST, -1, None, 0, MOST)[index % 5]) for index, row in enumerate(drawn)],
        "hundreds of arguments": [_wordy(row, index) for index, row in enumerate(drawn)],
        "halves of characters": [_halves(row, index) for index, row in enumerate(drawn)],
        "counted to the end": [
            replace(row, task=MOST, round=MOST, attempt=MOST, retries=MOST, exit_code=MOST, signal=127) for row in drawn
        ],
    }


_FORGETTABLE = (
    "job_name", "script", "args", "priority", "group", "node", "created_at", "started_at", "finished_at", "cause", "exit_code", "retries",
    "duration_us", "queue_wait_us", "peak_rss_bytes", "cpu_us", "read_bytes", "write_bytes", "output_bytes", "concurrency",
)  # fmt: skip


def _forgetting(row: HistoryRow, names: Iterable[str], **known: Any) -> HistoryRow:
    return replace(row, **{**dict.fromkeys(names), **known})


def _forgotten(row: HistoryRow, rng: np.random.Generator) -> HistoryRow:
    return _forgetting(row, [name for name in _FORGETTABLE if rng.random() < 0.4])


def _at_the_edge(row: HistoryRow, index: int) -> HistoryRow:
    at = (0, 1, 2**62, 2**63 - 1, START)[index % 5]
    return replace(row, created_at=at, started_at=at, finished_at=at)


def _unlike(row: HistoryRow, index: int) -> HistoryRow:
    args = (f"--flag-{index}", str(index), f"/path/{index}/x", f"--seed={index}")
    texts: dict[str, Any] = {
        "job_name": f"n{index}",
        "script": f"/s/{index}",
        "node": f"node-{index}",
        "group": f"g{index}",
    }
    return replace(row, **texts, args=args, priority=index)


def _hostile(row: HistoryRow, index: int) -> HistoryRow:
    text, number = HOSTILE[index % len(HOSTILE)], NUMBERS[index % len(NUMBERS)]
    args = (
        text,
        f"--{text}",
        number,
        "--n",
        number,
        f"--m={number}",
        "--",
        "-",
        "=",
        "--=",
        *[number] * (index % 3 * 100),
    )
    return replace(row, job_name=text, script=text, node=text, group=text, args=args)


def _huge(row: HistoryRow, index: int) -> HistoryRow:
    most = (2**63 - 1, 0, 2**53 + 1)[index % 3]
    sizes: dict[str, Any] = dict.fromkeys(
        ("peak_rss_bytes", "cpu_us", "read_bytes", "write_bytes", "output_bytes", "queue_wait_us"), most
    )
    return replace(row, **sizes, priority=most, concurrency=most, exit_code=-(2**31))


def _endless(row: HistoryRow, index: int) -> HistoryRow:
    """Whose end follows from its duration, and fits into no number."""
    times: dict[str, Any] = (
        {},
        {"finished_at": None},
        {"finished_at": None, "started_at": None, "queue_wait_us": MOST},
        {"finished_at": None, "started_at": MOST, "created_at": MOST},
    )[index % 4]
    return replace(row, duration_us=(2**62, MOST, MOST - 3000)[index % 3], peak_rss_bytes=MOST - index % 2, **times)


def _beyond_calendars(row: HistoryRow, index: int) -> HistoryRow:
    at = (YEAR_1 - 18 * HOUR, YEAR_1 + index, -(2**62), MOST - index, 253_402_300_799 * SECOND)[index % 5]
    return replace(row, created_at=at, started_at=at, finished_at=at)


def _wordy(row: HistoryRow, index: int) -> HistoryRow:
    values = [str(index * place % 97) for place in range(300)]
    flags = [word for place, value in enumerate(values[:150]) for word in (f"--f{place}", value)]
    return replace(row, args=tuple((values, flags, [*values, *flags])[index % 3]))


def _halves(row: HistoryRow, index: int) -> HistoryRow:
    """Lone surrogates, which a JSON text may hold and UTF-8 may not."""
    half = f"\ud800{index % 3}"
    return replace(
        row, job_name=half, script=half, node=half, group=half, args=(f"--\udfff={half}", "--m", half, f"/{half}/x")
    )
