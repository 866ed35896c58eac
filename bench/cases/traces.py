"""Real logs in the Standard Workload Format as a history, where this machine has them: they are third-party data and no part of jobmgr.

They are looked for in the folder of the variable JOBMGR_TRACES, otherwise in `shared/traces` beside the checkout. The conversion is that of
docs/history.md; besides, the user stands as the group, and requested processors and time as arguments.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from jobmgr.history import HistoryRow
from jobmgr.job import Status

SECOND = 1_000_000
FILES = {"kth": "kth-sp2-1996.swf.gz", "atlas": "llnl-atlas-2006-2.1-cln.swf.gz"}
STATUSES = {"0": Status.CRASHED, "1": Status.COMPLETED, "5": Status.STOPPED}


def trace_file(name: str) -> Path | None:
    """Where the log `kth` or `atlas` is, if it is on this machine."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "traces"
    path = Path(os.environ.get("JOBMGR_TRACES", beside)) / FILES[name]
    return path if path.is_file() else None


def read_trace(path: Path) -> list[HistoryRow]:
    """Its jobs, in the order of the log; jobs of an unknown status are left out."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        return list(_rows(lines))


def _rows(lines: Iterable[str]) -> Iterator[HistoryRow]:
    start = datetime.fromtimestamp(0, UTC)
    for text in lines:
        if text.startswith("; UnixStartTime:"):
            start = datetime.fromtimestamp(int(text.rsplit(maxsplit=1)[-1]), UTC)
        numbers = text.split()
        if not text.startswith(";") and len(numbers) == 18 and numbers[10] in STATUSES:
            yield _row(numbers, round(start.timestamp()))


def _row(numbers: list[str], start: int) -> HistoryRow:
    def us(index: int) -> int | None:
        return None if numbers[index] == "-1" else round(float(numbers[index]) * SECOND)

    status = STATUSES[numbers[10]]
    args = [(flag, numbers[index]) for flag, index in (("--procs", 7), ("--time", 8)) if numbers[index] != "-1"]
    return HistoryRow(
        job_id=numbers[0],
        task=0,
        job_name=None if numbers[13] == "-1" else f"executable-{numbers[13]}",
        script=None,
        args=tuple(part for pair in args for part in pair),
        priority=None,
        group=None if numbers[11] == "-1" else f"user-{numbers[11]}",
        node=None,
        created_at=round((start + float(numbers[1])) * SECOND),
        started_at=None,
        finished_at=None,
        status=status.value,
        cause=None,
        exit_code=None,
        signal=None,
        round=1,
        attempt=1,
        retries=None,
        duration_us=us(3),
        queue_wait_us=us(2),
        peak_rss_bytes=None,
        cpu_us=us(5),
        read_bytes=None,
        write_bytes=None,
        output_bytes=None,
        concurrency=None,
    )
