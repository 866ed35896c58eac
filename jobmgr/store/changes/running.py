"""What happens to a run between its claim and its end: its process began, it reports, another life of the server takes it up, it is overdue."""

from __future__ import annotations

from jobmgr.events import JOB_UPDATE, TASK_UPDATE
from jobmgr.job import Status
from jobmgr.store import statements as sql
from jobmgr.store.base import Begin, Overdue, Progress, TakeUp
from jobmgr.store.ledger import US_PER_MS, Ledger
from jobmgr.store.specs import dumps
from jobmgr.store.sqlite_text import Text, storable

_BEGIN_ATTEMPT = Text(sql.BEGIN_ATTEMPT)
_TAKE_UP_ATTEMPT = Text(sql.TAKE_UP_ATTEMPT)
_TASK_OF_RUN = Text(sql.TASK_OF_RUN)
_REPORT_PROGRESS = Text(sql.REPORT_PROGRESS)
_TELL_OVERDUE = Text(sql.TELL_OVERDUE)

_WITH_PROCESS = frozenset({Status.RUNNING, Status.PAUSED})


def begin(ledger: Ledger, change: Begin) -> bool:
    """Keep the process of a run."""
    run = (change.task, change.task, change.run)
    return ledger.execute(_BEGIN_ATTEMPT, change.pid, change.start_ticks, change.started_at, *run).rowcount == 1


def take_up(ledger: Ledger, change: TakeUp) -> tuple[bool, ...]:
    """Write the new owner on each run that still goes on."""
    owner = (change.owner.node, change.owner.incarnation, change.owner.boot_id)
    return tuple(ledger.execute(_TAKE_UP_ATTEMPT, *owner, task, task, run).rowcount == 1 for task, run in change.runs)


def report_progress(ledger: Ledger, change: Progress) -> bool:
    """Keep what a run reported. A job of one task shows it as its own; of many, the task's event does."""
    found = ledger.execute(_TASK_OF_RUN, change.task, change.run).fetchone()
    if found is None or (status := Status(found[2])) not in _WITH_PROCESS:
        return False
    job, number, _, attempt, *_ = found
    message = storable(change.message)
    checkpoint = None if change.checkpoint is None else dumps(change.checkpoint)
    ledger.execute(_REPORT_PROGRESS, change.progress, message, checkpoint, change.task, attempt)
    row = ledger.known(job, change.at)
    if row.single:
        row.progress = row.progress if change.progress is None else change.progress
        row.message = row.message if message is None else message
        return True
    facts = {name: value for name, value in (("progress", change.progress), ("message", message)) if value is not None}
    if facts:
        ledger.emit(TASK_UPDATE, job, row.task_shown(number, status, attempt) | facts, at=change.at)
    return True


def tell_overdue(ledger: Ledger, change: Overdue) -> bool:
    """Keep that a run is overdue, and say so once. A job of one task is overdue with it."""
    found = ledger.execute(_TASK_OF_RUN, change.task, change.run).fetchone()
    if found is None or found[2] != Status.RUNNING:
        return False
    job, number, status, attempt, *_ = found
    if ledger.execute(_TELL_OVERDUE, change.at, change.task, attempt).rowcount == 0:
        return False
    row = ledger.known(job, change.at)
    told = {"longerThanUsual": True, "usual": round(change.usual_us / US_PER_MS)}
    ledger.emit(TASK_UPDATE, job, row.task_shown(number, status, attempt) | told, at=change.at)
    if row.single:
        ledger.emit(JOB_UPDATE, job, row.shown() | told, at=change.at)
    return True
