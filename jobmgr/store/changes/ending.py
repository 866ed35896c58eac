"""The end of a run: Finish, and Unbegin for one that never began."""

from __future__ import annotations

from jobmgr.job import FINISHED, TRANSITIONS, Cause, Change, Status
from jobmgr.store import statements as sql
from jobmgr.store.base import Finish, Unbegin
from jobmgr.store.ledger import JobRow, Ledger, Telling
from jobmgr.store.specs import dumps
from jobmgr.store.sqlite_text import Text, storable

_TASK_OF_RUN = Text(sql.TASK_OF_RUN)
_END_TASK = Text(sql.END_TASK)
_END_ATTEMPT = Text(sql.END_ATTEMPT)
_UNBEGIN_TASK = Text(sql.UNBEGIN_TASK)
_DELETE_ATTEMPT = Text(sql.DELETE_ATTEMPT)

ENDINGS = frozenset(
    {Change.COMPLETE, Change.CRASH, Change.RETRY, Change.STOP, Change.LOSE, Change.REFUSE, Change.CHECKPOINT}
)
"""The changes that end an attempt."""

_COUNTED = frozenset({Change.CRASH, Change.RETRY})

NEVER_BEGAN = "Stopped before it began."
BETWEEN_ATTEMPTS = "Stopped while it waited for its next attempt."


def finish(ledger: Ledger, change: Finish) -> bool:
    """End the attempt of a run, if it is the task's newest and its status allows the change."""
    if change.change not in ENDINGS:
        raise ValueError(f"{change.change} does not end an attempt")
    found = ledger.execute(_TASK_OF_RUN, change.task, change.run).fetchone()
    if found is None:
        return False
    job, number, status, attempt, failures, want = found
    if change.change is Change.RETRY and want == "stop":
        return False  # Decided before the stop was known: the caller decides again.
    before = Status(status)
    after = TRANSITIONS[before, change.change]
    if after is None:
        return False
    told = Telling(change.cause, storable(change.error), change.exit_code, change.signal)
    ledger.execute(_END_TASK, *_task_columns(change, after, failures + (change.change in _COUNTED)), change.task)
    ledger.execute(_END_ATTEMPT, *_attempt_columns(change, after, told), change.task, attempt)
    row = ledger.known(job, change.at)
    row.move(before, after)
    row.retries += after is Status.RETRIED
    ledger.counters["outcomes"] += after in FINISHED
    row.ended(change.at if change.ended_at is None else change.ended_at)
    if row.single:
        row.duration_us = change.duration_us
        row.progress = row.progress if change.progress is None else change.progress
    row.tell(number, after, told)
    ledger.emit_task(row, number, after, attempt, told)
    return True


def _task_columns(change: Finish, after: Status, failures: int) -> tuple[object, ...]:
    """status, ready, failures, run, ready_at, due_at. A task that waits has no run, so nothing that comes late can find it."""
    if after is Status.RETRIED:
        return after, change.due_at is None, failures, None, change.at, change.due_at
    return after, 0, failures, change.run, None, None


def _attempt_columns(change: Finish, after: Status, told: Telling) -> tuple[object, ...]:
    return (
        after,
        told.cause,
        told.error,
        told.exit_code,
        told.signal,
        change.core_dumped,
        change.pid,
        change.started_at,
        change.at if change.ended_at is None else change.ended_at,
        change.duration_us,
        change.cpu_us,
        change.peak_rss_bytes,
        change.read_bytes,
        change.write_bytes,
        change.output_bytes,
        change.leftovers,
        None if change.result is None else dumps(change.result),
        change.progress,
        storable(change.last_lines),
    )


def unbegin(ledger: Ledger, change: Unbegin) -> bool:
    """Take a run back: its attempt goes, and the task waits again, or is stopped where a stop was asked."""
    found = ledger.execute(_TASK_OF_RUN, change.task, change.run).fetchone()
    if found is None:
        return False
    job, number, status, attempt, failures, want = found
    before = Status(status)
    if TRANSITIONS[before, Change.UNBEGIN] is None:
        return False
    stopped = want == "stop"
    after = Status.STOPPED if stopped else Status.PENDING
    due_at = None if stopped else change.due_at
    waits_since = None if due_at is None else change.at
    ledger.execute(_UNBEGIN_TASK, after, not stopped and due_at is None, due_at, waits_since, change.task)
    ledger.execute(_DELETE_ATTEMPT, change.task, attempt)
    row = ledger.known(job, change.at)
    row.move(before, after)
    _uncount(row)
    told = Telling(Cause.STOP, BETWEEN_ATTEMPTS if failures else NEVER_BEGAN) if stopped else None
    if told is not None:
        ledger.counters["outcomes"] += 1
        row.ended(change.at)
        row.tell(number, after, told)
    ledger.emit_task(row, number, after, attempt - 1, told)
    return True


def _uncount(row: JobRow) -> None:
    row.attempts -= 1
    if row.attempts == 0:
        row.started_at = None
