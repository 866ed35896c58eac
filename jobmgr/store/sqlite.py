"""The store on SQLite: one writing thread, a few readers, one file.

`sqlite_writer` commits, `changes` say what each change does, `sqlite_file` guards the file; here they become the contract's `Store`.
A read is one statement (or two that cannot disagree), fetched whole, so no cursor is held while anyone waits and none sees half a
transaction. Assumes a local disk and one server per directory.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from jobmgr.errors import DataDirError, Overloaded, ShuttingDown
from jobmgr.events import Event
from jobmgr.history import HistoryRow
from jobmgr.job import JobSpec, Status
from jobmgr.log import get_logger
from jobmgr.store import rows
from jobmgr.store import statements as sql
from jobmgr.store.base import Claimed, StoreChange, Submit
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST, JobFilter, JobKey, JobOrder
from jobmgr.store.records import Attempt, FailedAttempt, Job, Queued, Task
from jobmgr.store.specs import decode_args, decode_spec
from jobmgr.store.sqlite_file import DirectoryLock, Opening, identity, open_reader, open_writer, prepare_directory
from jobmgr.store.sqlite_history import read_all, read_history, read_tasks
from jobmgr.store.sqlite_listing import PAGE_BYTES, count_jobs, find_jobs, read_jobs, read_statuses
from jobmgr.store.sqlite_text import Text
from jobmgr.store.sqlite_webhooks import SqliteWebhooks
from jobmgr.store.sqlite_writer import Work, Writer

WAITING_LIMIT = 10_000
"""Changes (a submission counts its jobs) that may wait to be written before others are refused."""

READERS = 2
_EVER = 2**62
"""Later than any time."""

_T = TypeVar("_T")
_log = get_logger()
_Row = Sequence[Any]
Subscriber = Callable[[Sequence[Event]], None]


def end_process(error: BaseException) -> None:
    """Leave at once: what the disk holds is unknown, and only a new start reads it again."""
    os.write(2, f"jobmgr: the database can no longer be written, leaving at once; jobs go on: {error}\n".encode())
    os._exit(74)  # EX_IOERR


class SqliteStore:
    """The contract on a data directory. Open, use and close it on one event loop."""

    def __init__(
        self,
        directory: Path,
        *,
        waiting_limit: int = WAITING_LIMIT,
        on_fatal: Callable[[BaseException], None] = end_process,
    ) -> None:
        self.opening: Opening | None = None
        """What was seen at the opening; None before."""
        self.webhooks = SqliteWebhooks(self._read)
        """What is kept of webhooks, to read."""
        self._directory = directory
        self._waiting_limit = waiting_limit
        self._on_fatal = on_fatal
        self._lock = DirectoryLock(directory)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self._readers: _Readers | None = None
        self._file: tuple[int, int] | None = None
        """Device and number of the database file that is open."""
        self._waiting = 0
        self._subscribers: list[Subscriber] = []

    # --- life

    async def open(self) -> None:
        """Lock, check, migrate. Raises DataDirError or DatabaseDamaged with a sentence."""
        self._loop = asyncio.get_running_loop()
        connection, self.opening = await asyncio.to_thread(self._open_file)
        self._file = identity(self._directory)
        self._connection = connection
        self._readers = _Readers(self._directory)
        self._writer = Writer(
            connection, self._deliver, wants_events=lambda: bool(self._subscribers), on_fatal=self._on_fatal
        )
        self._writer.start()

    def _open_file(self) -> tuple[sqlite3.Connection, Opening]:
        prepare_directory(self._directory)
        self._lock.take()
        try:
            return open_writer(self._directory)
        except BaseException:
            self._lock.free()
            raise

    async def close(self) -> None:
        """Commit what is queued, then let go. Safe to repeat."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        await asyncio.to_thread(self._close_files, writer)

    def _close_files(self, writer: Writer) -> None:
        writer.close()
        if self._readers is not None:
            self._readers.close()
        if self._connection is not None:
            self._connection.close()  # The last one: this moves the log into the file.
        self._lock.free()

    # --- writing

    async def apply(self, changes: Sequence[StoreChange], *, first: bool = False) -> list[Any]:
        """Commit these changes together. If the caller is cancelled while it waits, they are committed nevertheless."""
        writer, loop = self._writer, self._loop
        if writer is None or loop is None:
            raise ShuttingDown("The database is closed.")
        weight = sum(len(change.specs) if isinstance(change, Submit) else 1 for change in changes)
        if not first and self._waiting and self._waiting + weight > self._waiting_limit:
            raise Overloaded
        if not first and identity(self._directory) != self._file:
            # A commit would go to a file that no later server finds. Ends and claims are of jobs that live in that one.
            raise DataDirError(
                f"The database in {self._directory} was removed or replaced while it is in use. Restart the server."
            )
        work = Work(changes, first, weight, loop.create_future())
        self._waiting += 0 if first else weight
        writer.put(work)
        return await work.waiter

    def _deliver(self, works: Sequence[Work], events: Sequence[Event]) -> None:
        """In the writer's thread. Pages of events without works wait until they were taken, so that they do not pile up."""
        if self._loop is None or self._loop.is_closed():
            return
        taken = threading.Event()
        self._loop.call_soon_threadsafe(self._receive, works, events, taken)
        while not works and not taken.wait(1.0) and not self._loop.is_closed():
            pass

    def _receive(self, works: Sequence[Work], events: Sequence[Event], taken: threading.Event) -> None:
        """On the loop: the answers, then the news."""
        for work in works:
            self._waiting -= 0 if work.first else work.weight
            if work.waiter.done():
                continue  # Cancelled.
            if work.error is not None:
                work.waiter.set_exception(work.error)
            else:
                work.waiter.set_result(work.outcomes)
        try:
            for subscriber in self._subscribers if events else ():
                _tell(subscriber, events)
        finally:
            taken.set()  # A subscriber that fails must not hold up the writer.

    def subscribe(self, callback: Subscriber) -> None:
        """Call `callback(events)` on the event loop after each commit, in commit order."""
        self._subscribers.append(callback)

    # --- reading

    async def job(self, job: int) -> Job | None:
        """One job."""
        found = await self.jobs([job])
        return found[0] if found else None

    async def spec(self, job: int) -> JobSpec | None:
        """What was submitted, without the arguments of each task."""
        found = await self._rows(_LOAD_SPEC, job)
        return decode_spec(*found[0]) if found else None

    async def find_jobs(
        self, found: JobFilter, order: JobOrder, *, after: JobKey | None = None, limit: int = 500
    ) -> list[JobKey]:
        """Where the jobs that pass the filter stand in this order, beyond `after`."""
        return await find_jobs(self._read, found, order, after, limit)

    async def jobs(self, ids: Sequence[int]) -> list[Job]:
        """These jobs, in this order, without those that are not there; as many from the front as fit into a page."""
        return await self._read(partial(read_jobs, ids))

    async def statuses(self, first: int, last: int) -> dict[int, Status]:
        """The statuses of the jobs with these ids, both ends included."""
        return await self._read(partial(read_statuses, first, last))

    async def job_ids(self, *, after: int, limit: int) -> list[int]:
        """Ids of jobs above `after`, oldest first."""
        return [row[0] for row in await self._rows(_READ_JOB_IDS, after, limit)]

    async def count_jobs(self, found: JobFilter = EVERY_JOB) -> int:
        """How many jobs there are that pass the filter."""
        return await count_jobs(self._read, found)

    async def tasks(self, job: int, *, after: int = -1, limit: int = 500) -> list[Task]:
        """Tasks of a job numbered above `after`, in order."""
        return await self._read(partial(_tasks, job, after, limit))

    async def attempts(
        self, job: int, *, task: int | None = None, after: tuple[int, int] = (-1, 0), limit: int = 500
    ) -> list[Attempt]:
        """Attempts of a job (of one task number), by (task number, attempt number) above `after`."""
        return await self._read(partial(_attempts, job, task, after, limit))

    async def open_runs(self, *, after: int = -1, limit: int = 500) -> list[Claimed]:
        """Tasks that are running or paused, by task row id above `after`."""
        return await self._read(partial(_runs, _OPEN_RUNS, (after, limit)))

    async def run(self, run: str) -> Claimed | None:
        """The task whose newest attempt has this run, if an end may still be told of it: running, paused or lost."""
        found = await self._read(partial(_runs, _FIND_RUN, (run, run)))
        return found[0] if found else None

    async def queue(self, limit: int) -> list[Queued]:
        """The first tasks that wait for a slot, as claims take them."""
        return await self._read(partial(_queue, limit))

    async def next_due(self) -> int | None:
        """The earliest `due_at` of a waiting task."""
        due: int | None = (await self._rows(_NEXT_DUE))[0][0]
        return due

    async def history(
        self, *, found: JobFilter = EVERY_JOB, after: tuple[int, int] = (-1, -1), limit: int = 500
    ) -> list[HistoryRow]:
        """Attempts of the jobs that pass the filter, by (task row id, attempt number) above `after`."""
        if found == EVERY_JOB:
            return await self._read(partial(read_all, after, limit))

        async def find(job: int, most: int) -> list[JobKey]:
            return await self.find_jobs(found, OLDEST_FIRST, after=JobKey(None, job), limit=most)

        return await read_history(self._read, find, after, limit)

    async def history_of(self, tasks: Sequence[tuple[int, int]]) -> list[HistoryRow]:
        """All rows of these tasks (job, number), in their order; as many whole tasks from the front as fit into a page."""
        return await self._read(partial(read_tasks, tasks))

    async def failed_attempts(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        before: tuple[int, int, int] | None = None,
        limit: int = 500,
    ) -> list[FailedAttempt]:
        """Attempts that crashed or could not be started, with what they said last, the newest end first."""
        end = _EVER if until is None else until
        place = before if before is not None and before[0] < end else (end, -1, -1)
        values = (-_EVER if since is None else since, place[0], *place, limit)
        return await self._read(partial(_listed, _FAILED_ATTEMPTS, rows.failed_attempt, values))

    async def outcomes_version(self) -> int:
        """A number that is another whenever a job came or went or the outcome of a task changed, and the same otherwise."""
        return await self._counter("outcomes")

    async def events(self, *, after: int = 0, limit: int = 500) -> list[Event]:
        """Events with a sequence number above `after`, in order."""
        return await self._read(partial(_listed, _EVENTS_AFTER, rows.event_of, (after, limit)))

    async def last_seq(self) -> int:
        """The sequence number of the newest event there ever was."""
        return await self._counter("last_seq")

    async def watcher(self, name: str) -> int | None:
        """The number of the last event that the watcher of this name acknowledged."""
        found = await self._rows(_READ_WATCHER, name)
        return int(found[0][0]) if found else None

    async def _counter(self, name: str) -> int:
        return int((await self._rows(_READ_COUNTER, name))[0][0])

    async def _rows(self, text: Text, *values: Any) -> list[_Row]:
        return await self._read(lambda connection: connection.execute(text, values).fetchall())

    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._writer is None or self._readers is None or self._loop is None:
            raise ShuttingDown("The database is closed.")
        return await self._loop.run_in_executor(self._readers.pool, self._readers.run, read)


def _tell(subscriber: Subscriber, events: Sequence[Event]) -> None:
    try:
        subscriber(events)
    except Exception:  # noqa: BLE001 - a bug of one must not keep the others from hearing of this commit
        _log.exception("a subscriber of the store failed")


class _Readers:
    """A few threads with a read-only connection each."""

    def __init__(self, directory: Path) -> None:
        self._idle: list[sqlite3.Connection] = [open_reader(directory) for _ in range(READERS)]
        self.pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    def run(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Read with a connection of one's own: there are as many as threads."""
        connection = self._idle.pop()
        try:
            return read(connection)
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Wait for those who read, then let go."""
        self.pool.shutdown()
        for connection in self._idle:
            connection.close()


_READ_JOB_IDS = Text(sql.READ_JOB_IDS)
_LOAD_SPEC = Text(sql.LOAD_SPEC)
_TASKS_OF_JOB = Text(sql.TASKS_OF_JOB)
_READ_TASKS = Text(sql.READ_TASKS)
_READ_ATTEMPTS = Text(sql.READ_ATTEMPTS)
_OPEN_RUNS = Text(sql.OPEN_RUNS)
_QUEUE = Text(sql.QUEUE)
_FIND_RUN = Text(sql.FIND_RUN)
_NEXT_DUE = Text(sql.NEXT_DUE)
_FAILED_ATTEMPTS = Text(sql.FAILED_ATTEMPTS)
_EVENTS_AFTER = Text(sql.EVENTS_AFTER)
_READ_COUNTER = Text(sql.READ_COUNTER)
_READ_WATCHER = Text(sql.READ_WATCHER)


def _listed(
    text: Text, make: Callable[[_Row], _T], values: tuple[Any, ...], connection: sqlite3.Connection
) -> list[_T]:
    return [make(row) for row in connection.execute(text, values).fetchall()]


def _runs(text: Text, values: tuple[Any, ...], connection: sqlite3.Connection) -> list[Claimed]:
    """Runs with their specs, each read and parsed once, however many tasks of its job are among them."""
    connection.execute("BEGIN")  # Both reads see one state: in between a run may end and its job be deleted.
    try:
        found = connection.execute(text, values).fetchall()
        specs = {
            job: decode_spec(*connection.execute(_LOAD_SPEC, (job,)).fetchone()) for job in {row[0] for row in found}
        }
    finally:
        connection.execute("COMMIT")
    return [rows.open_run(row, specs[row[0]]) for row in found]


def _queue(limit: int, connection: sqlite3.Connection) -> list[Queued]:
    """Tasks with their arguments, until a page is full. What was submitted is read and parsed once a job."""
    connection.execute("BEGIN")  # All reads see one state.
    try:
        queue: list[Queued] = []
        specs: dict[int, JobSpec] = {}
        size = 0
        for job, number, args, name in connection.execute(_QUEUE, (limit,)):
            spec = specs.get(job)
            if spec is None:
                text, num_tasks = connection.execute(_LOAD_SPEC, (job,)).fetchone()
                spec = specs[job] = decode_spec(text, num_tasks)
                size += len(text)
            size += len(args or "")
            queue.append(Queued(job, number, name, spec.arguments(number, decode_args(args)), spec.timeout))
            if size > PAGE_BYTES:
                break
        return queue
    finally:
        connection.execute("COMMIT")


def _tasks(job: int, after: int, limit: int, connection: sqlite3.Connection) -> list[Task]:
    found = connection.execute(_TASKS_OF_JOB, (job,)).fetchone()
    if found is None:
        return []
    first, count = found  # These never change, so the two statements cannot disagree.
    return _listed(_READ_TASKS, rows.task_of, (first + max(after, -1) + 1, first + count - 1, limit), connection)


def _attempts(
    job: int, task: int | None, after: tuple[int, int], limit: int, connection: sqlite3.Connection
) -> list[Attempt]:
    found = connection.execute(_TASKS_OF_JOB, (job,)).fetchone()
    if found is None or (task is not None and not 0 <= task < found[1]):
        return []
    first, last = found[0], found[0] + found[1] - 1
    above = max((first + after[0], after[1]), (first, 0))
    if task is not None:
        above, last = max(above, (first + task, 0)), first + task
    return _listed(_READ_ATTEMPTS, rows.attempt_row, (*above, last, limit), connection)
