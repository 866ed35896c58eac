"""What one `apply` does to its jobs, kept in memory until its savepoint closes, then written once.

A change of a task moves the counters of its job and says how it ended; the ledger writes each job's row once, with the status derived from
the counters, and one event where what watchers see has changed. Sequence numbers are given here, in the order of the transaction.
It decides nothing: `job.derive` does. It lives as long as one savepoint.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobmgr.events import JOB_UPDATE, TASK_UPDATE, Event
from jobmgr.job import FINISHED, Cause, JobSpec, Status, derive, job_id, signal_name, task_id
from jobmgr.store import statements as sql
from jobmgr.store.specs import SpecCache, decode_spec, dumps
from jobmgr.store.sqlite_text import Text

_LOAD = Text(sql.LOAD_JOB)
_SAVE = Text(sql.SAVE_JOB)
_LOAD_LABELS = Text(sql.LOAD_LABELS)
_LOAD_SPEC = Text(sql.LOAD_SPEC)
_INSERT_EVENT = Text(sql.INSERT_EVENT)

_STATUSES = tuple(Status)
# LOAD_JOB behind the name and the type: three columns that never change, those of LEDGER in the order of JobRow's fields, and last the counters.
_OWN = 3 + len(sql.LEDGER) - len(sql.COUNTERS)
US_PER_MS = 1000


@dataclass(slots=True)
class Telling:
    """What a task's end says, in the job's words too."""

    cause: Cause | None = None
    error: str | None = None
    exit_code: int | None = None
    signal: int | None = None


@dataclass(slots=True)
class JobRow:
    """The columns of a job that its tasks move. `status` is as last written; ask `now` for the present one."""

    id: int
    named: dict[str, Any]
    """What names it in its events: `named_as`."""
    first_task: int
    num_tasks: int
    created_at: int
    status: Status
    round: int
    retries: int
    attempts: int
    progress: float | None
    cause: str | None
    error: str | None
    exit_code: int | None
    signal: int | None
    told_by: int | None
    round_at: int
    started_at: int | None
    ended_at: int | None
    finished_at: int | None
    duration_us: int | None
    counts: dict[Status, int]
    at: int = 0
    """When its newest change happened."""
    message: str | None = None
    """Reported in this savepoint; shown, not kept here."""

    @property
    def single(self) -> bool:
        """Whether it has one task, which then speaks for it."""
        return self.num_tasks == 1

    @property
    def last_task(self) -> int:
        """The id of its last task."""
        return self.first_task + self.num_tasks - 1

    @property
    def now(self) -> Status:
        """The status that follows from the counters."""
        counts = self.counts
        begun = not self.single and (self.attempts > 0 or any(counts[status] for status in FINISHED))
        return derive(counts, begun=begun)

    def move(self, before: Status, after: Status, *, tasks: int = 1) -> None:
        """Count tasks from one status to another."""
        self.counts[before] -= tasks
        self.counts[after] += tasks

    def tell(self, number: int, status: Status, told: Telling) -> None:
        """Keep what a task's end says: of its only task, or of the first of many that failed, until then of one that ended without a result."""
        if self.single:
            self._say(told)
        elif status in (Status.CRASHED, Status.FAILED):
            if self.told_by is None:
                self.told_by = number
                self._say(told)
        elif status in (Status.STOPPED, Status.LOST) and self.cause is None:
            self._say(told)
        elif self.told_by is None and not (self.counts[Status.STOPPED] or self.counts[Status.LOST]):
            self._say(Telling())  # What was lost turned out well.

    def _say(self, told: Telling) -> None:
        self.cause, self.error, self.exit_code, self.signal = told.cause, told.error, told.exit_code, told.signal

    def ended(self, at: int) -> None:
        """Keep the newest end. A single task's late true end replaces the guess."""
        self.ended_at = at if self.single or self.ended_at is None else max(self.ended_at, at)

    def settle(self) -> None:
        """Bring status, progress and times in line with the counters."""
        self.status = self.now
        if not self.single:
            self.progress = sum(self.counts[status] for status in FINISHED) * 100 // self.num_tasks
        elif self.status is Status.COMPLETED:
            self.progress = 100
        self.finished_at = self.ended_at if self.status in FINISHED else None
        if not self.single:
            self.duration_us = self._span()

    def _span(self) -> int | None:
        if self.finished_at is None or self.started_at is None:
            return None
        return max(0, self.finished_at - self.started_at)

    def columns(self) -> tuple[Any, ...]:
        """The values of LEDGER, in its order."""
        return (
            self.status,
            self.round,
            self.retries,
            self.attempts,
            self.progress,
            self.cause,
            self.error,
            self.exit_code,
            self.signal,
            self.told_by,
            self.round_at,
            self.started_at,
            self.ended_at,
            self.finished_at,
            self.duration_us,
            *self.counts.values(),
        )

    def shown(self) -> dict[str, Any]:
        """The data of its event; what is not there is left out."""
        duration = None if self.duration_us is None else round(self.duration_us / US_PER_MS)
        facts = {
            "cause": self.cause,
            "exitCode": self.exit_code,
            "signal": None if self.signal is None else signal_name(self.signal),
            "duration": duration,
            "error": self.error,
        }
        return {
            "jobId": job_id(self.id),
            **self.named,
            "status": self.status,
            "progress": self.progress,
            "retries": self.retries,
            **{name: value for name, value in facts.items() if value is not None},
        }

    def task_shown(self, number: int, status: Status, attempt: int) -> dict[str, Any]:
        """What every event of one of its tasks says."""
        return {
            "jobId": job_id(self.id),
            **self.named,
            "taskId": task_id(self.id, number),
            "status": status,
            "attempt": attempt,
        }


def named_as(name: str, type_: str | None, labels: Mapping[str, str]) -> dict[str, Any]:
    """What names a job in each of its events, so that who listens can choose by it, also when the job is no more."""
    return {"jobName": name, **({"type": type_} if type_ else {}), **({"labels": dict(labels)} if labels else {})}


@dataclass(frozen=True, slots=True)
class Span:
    """Events that were written without passing through memory: their sequence numbers above `after`, up to `last`."""

    after: int
    last: int


@dataclass(slots=True)
class Known:
    """A job's row beside what the database has of it, and what its watchers saw last (None: it is new)."""

    row: JobRow
    columns: tuple[Any, ...]
    shown: dict[str, Any] | None


class Memory:
    """What the writer remembers of the jobs it changed last. As nobody else writes, it is the truth, until something is undone."""

    def __init__(self, limit: int = 1000) -> None:
        self.specs = SpecCache()
        self._limit = limit
        self._jobs: OrderedDict[int, Known] = OrderedDict()

    def take(self, job: int) -> Known | None:
        """What is known of a job, which must be put back by whoever changes it."""
        return self._jobs.pop(job, None)

    def put(self, known: Known) -> None:
        """Remember a job as it was just written."""
        self._jobs[known.row.id] = known
        if len(self._jobs) > self._limit:
            self._jobs.popitem(last=False)

    def clear(self) -> None:
        """Forget all: what was remembered may have been undone."""
        self._jobs.clear()
        self.specs.clear()


class Ledger:
    """The work of one savepoint: statements, the rows of its jobs, its events."""

    def __init__(self, connection: sqlite3.Connection, counters: dict[str, int], memory: Memory) -> None:
        self.counters = counters
        self.events: list[Event | Span] = []
        self._connection = connection
        self._memory = memory
        self._jobs: dict[int, Known] = {}

    # --- statements

    def execute(self, text: Text, *values: Any) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(text, values)

    def execute_many(self, text: Text, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        self._connection.executemany(text, rows)

    # --- jobs

    def job(self, job: int, at: int) -> JobRow | None:
        """The row of a job, to be changed in place at this instant. None: there is none."""
        known = self._jobs.get(job) or self._memory.take(job) or self._load(job)
        if known is None:
            return None
        self._jobs[job] = known
        known.row.at = at
        return known.row

    def _load(self, job: int) -> Known | None:
        columns = self._connection.execute(_LOAD, (job,)).fetchone()
        if columns is None:
            return None
        name, type_, *columns = columns
        named = named_as(name, type_, dict(self._connection.execute(_LOAD_LABELS, (job,))))
        values: list[Any] = [job, named, *columns[:_OWN], dict(zip(_STATUSES, columns[_OWN:], strict=True))]
        row = JobRow(*values)
        row.status = Status(row.status)
        return Known(row, row.columns(), row.shown())

    def known(self, job: int, at: int) -> JobRow:
        """The row of a job that one of its tasks has proved to be there."""
        row = self.job(job, at)
        if row is None:
            raise LookupError(f"A task of {job_id(job)} is in the database, the job is not.")
        return row

    def add(self, row: JobRow) -> None:
        """Take in a job that was just inserted with these values."""
        self._jobs[row.id] = Known(row, row.columns(), None)

    def drop(self, row: JobRow) -> None:
        """Let go of a job that was deleted; the last event of it says so."""
        del self._jobs[row.id]
        data = {"jobId": job_id(row.id), **row.named, "status": "deleted", "previousStatus": row.status}
        self.emit(JOB_UPDATE, row.id, data, at=row.at)

    def remember_spec(self, job: int, spec: JobSpec, size: int) -> None:
        """Keep a spec for the claim that will soon ask for it."""
        self._memory.specs.put(job, spec, size)

    def spec_of(self, job: int) -> JobSpec:
        """The spec of a job, without the arguments of each task."""
        spec = self._memory.specs.get(job)
        if spec is None:
            text, num_tasks = self._connection.execute(_LOAD_SPEC, (job,)).fetchone()
            spec = decode_spec(text, num_tasks)
            self._memory.specs.put(job, spec, len(text))
        return spec

    # --- events

    def emit(self, kind: str, job: int, data: dict[str, Any], *, at: int) -> None:
        """Give an event the next sequence number."""
        self.counters["last_seq"] = seq = self.counters["last_seq"] + 1
        self.events.append(Event(seq, at, kind, job, data))

    def emit_task(self, row: JobRow, number: int, status: Status, attempt: int, told: Telling | None = None) -> None:
        """The event of one task."""
        data = row.task_shown(number, status, attempt)
        if told is not None:
            facts = (
                ("cause", told.cause),
                ("exitCode", told.exit_code),
                ("signal", None if told.signal is None else signal_name(told.signal)),
                ("error", told.error),
            )
            data.update((name, value) for name, value in facts if value is not None)
        self.emit(TASK_UPDATE, row.id, data, at=row.at)

    def emit_all(self, text: Text, row: JobRow, *, tasks: int) -> None:
        """The events of many tasks of a job by one INSERT … SELECT, numbered by the database."""
        after = self.counters["last_seq"]
        named = dumps(row.named)[1:-1]
        written = self.execute(text, after, row.at, named, row.first_task, row.last_task).rowcount
        if written != tasks:
            raise LookupError(f"The counters of {job_id(row.id)} say {tasks} tasks, the database has {written}.")
        self.counters["last_seq"] = after + tasks
        self.events.append(Span(after, after + tasks))

    # --- the end of the savepoint

    def close(self) -> None:
        """Write the rows that changed, and their events."""
        rows = []
        for known in self._jobs.values():
            row = known.row
            row.settle()
            columns = row.columns()
            if columns != known.columns:
                rows.append((*columns, row.id))
                known.columns = columns
                self._emit_job(known)
            elif known.shown is None or row.message is not None:
                self._emit_job(known)
            self._memory.put(known)
        if rows:
            self._connection.executemany(_SAVE, rows)
        if self.events:
            self._connection.executemany(_INSERT_EVENT, _event_rows(self.events))

    def _emit_job(self, known: Known) -> None:
        row, data = known.row, known.row.shown()
        if data == known.shown and row.message is None:
            return
        before, known.shown = known.shown, data
        if before is not None and before["status"] != data["status"]:
            data = data | {"previousStatus": before["status"]}
        if row.message is not None:
            data, row.message = data | {"message": row.message}, None
        if not row.single:
            data = data | {"tasks": {status: count for status, count in row.counts.items() if count}}
        self.emit(JOB_UPDATE, row.id, data, at=row.at)


def _event_rows(events: Iterable[Event | Span]) -> Iterable[tuple[int, int, str, int, str]]:
    for event in events:
        if isinstance(event, Event):
            yield event.seq, event.at, event.kind, event.job, dumps(event.data)
