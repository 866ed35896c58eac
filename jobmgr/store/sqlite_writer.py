"""The one thread that writes: group commit without a timer.

It takes all that is queued, ends and claims first, gives each caller a savepoint in one transaction, commits, and hands outcomes and events
back in one call. What arrives during a commit forms the next one, so batches grow with the load and a lone caller waits for nobody.
One caller's failure undoes its savepoint only. A full disk refuses the caller (nothing was acknowledged) but never an end: that is tried
again until it fits. Any other failure to write is fatal, because nobody can say what reached the disk: `on_fatal` ends the process.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobmgr.errors import DiskFull, JobmgrError, Overloaded
from jobmgr.events import Event
from jobmgr.store import statements as sql
from jobmgr.store.base import StoreChange
from jobmgr.store.changes import HANDLERS
from jobmgr.store.ledger import Ledger, Memory, Span
from jobmgr.store.rows import event_of
from jobmgr.store.sqlite_text import Text

_LOAD_COUNTERS = Text(sql.LOAD_COUNTERS)
_SAVE_COUNTER = Text(sql.SAVE_COUNTER)
_EVENTS_BETWEEN = Text(sql.EVENTS_BETWEEN)

EVENTS_PAGE = 500
BATCH_CHANGES = 2000
"""How many changes of those that may wait go into one transaction, so that an end behind them waits shortly."""

_RETRY_S = 0.5
_SHM_SIZE = 4874  # SQLITE_IOERR_SHMSIZE: no room to grow the shared memory file.
_FULL, _BUSY, _LOCKED, _ERROR = 13, 5, 6, 1
_CALLERS = frozenset(
    {_ERROR, 18, 19, 20, 25}
)  # ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE: what one statement did wrong.


@dataclass(slots=True, eq=False)
class Work:
    """One `apply`: its changes, and who waits for them."""

    changes: Sequence[StoreChange]
    first: bool
    weight: int
    waiter: Future[list[Any]]
    outcomes: list[Any] = field(default_factory=list)
    error: BaseException | None = None


class _Refused(Exception):
    """The database took nothing of this transaction, for a reason that may pass."""

    def __init__(self, error: JobmgrError) -> None:
        self.error = error
        super().__init__(str(error))


class Writer:
    """Owns the writing connection and its thread.

    `deliver(works, events)` is called in the thread, once per transaction, after the commit; `works` carry outcomes or errors. Called again
    with no works for further pages of events, and then returns when the events were taken.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        deliver: Callable[[Sequence[Work], Sequence[Event]], None],
        *,
        wants_events: Callable[[], bool],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._deliver = deliver
        self._wants_events = wants_events
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._first: deque[Work] = deque()
        self._others: deque[Work] = deque()
        self._closing = False
        self._kept = False
        """Whether ends or claims found no room and are to be tried again."""
        self._counters: dict[str, int] = dict(connection.execute(_LOAD_COUNTERS).fetchall())
        self._memory = Memory()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, work: Work) -> None:
        """Queue one piece of work. Returns at once."""
        self._queue.put(work)

    def close(self) -> None:
        """Write what is queued, then end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    # --- the thread

    def _run(self) -> None:
        batch: list[Work] = []
        try:
            while batch := self._take():
                self._write(batch)
        except BaseException as error:  # noqa: BLE001 - whatever it was, a writer that is gone must not leave callers waiting
            self._fail([*batch, *self._first, *self._others], error)

    def _fail(self, works: Sequence[Work], error: BaseException) -> None:
        self._on_fatal(error)
        failure = JobmgrError(f"The database can no longer be written: {error}")
        for work in works:
            work.error = failure
        self._deliver(works, ())
        while (work_or_end := self._queue.get()) is not None:  # Only where on_fatal let us live.
            work_or_end.error = failure
            self._deliver([work_or_end], ())

    def _take(self) -> list[Work]:
        """All ends and claims that are queued, then of the rest as much as fits a transaction. Empty: closing."""
        if self._kept:
            self._pause()
        elif not (self._first or self._others or self._closing):
            self._sort_in(self._queue.get())
        try:
            while True:
                self._sort_in(self._queue.get_nowait())
        except queue.Empty:
            pass
        batch, room = list(self._first), BATCH_CHANGES
        self._first.clear()
        while self._others and room > 0:
            room -= self._others[0].weight
            batch.append(self._others.popleft())
        return batch

    def _sort_in(self, work: Work | None) -> None:
        if work is None:
            self._closing = True
        elif work.first:
            self._first.append(work)
        else:
            self._others.append(work)

    def _write(self, batch: list[Work]) -> None:
        """Commit a batch. Where the disk is full, one by one, so that the large ones do not spoil the small ones."""
        try:
            events = self._transact(batch)
        except _Refused as refused:
            if len(batch) > 1:
                for work in batch:
                    self._write([work])
            else:
                self._refuse(batch[0], refused.error)
            return
        self._hand_out(batch, events)

    def _refuse(self, work: Work, error: JobmgrError) -> None:
        """Ends and claims are kept and tried again; others hear of it."""
        if work.first and not self._closing:
            self._first.append(work)
            self._kept = True
        else:
            work.error = error
            self._deliver([work], ())

    def _pause(self) -> None:
        """Give the disk time, but answer those who come meanwhile."""
        self._kept = False
        try:
            self._sort_in(self._queue.get(timeout=_RETRY_S))
        except queue.Empty:
            self._shrink()

    def _shrink(self) -> None:
        """Give the room of the log back to the disk."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError as error:
            _raise_fatal(error)

    # --- one transaction

    def _transact(self, batch: list[Work]) -> list[Event | Span]:
        before = dict(self._counters)
        events: list[Event | Span] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work in batch:
                events += self._try(work)
            self._save_counters(before)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(before)
            _raise_fatal(error)
            raise _Refused(_passing(error)) from error
        return events

    def _undo(self, before: dict[str, int]) -> None:
        self._counters.clear()
        self._counters.update(before)
        self._memory.clear()
        if self._connection.in_transaction:  # SQLite undoes by itself where it cannot write.
            self._connection.execute("ROLLBACK")

    def _try(self, work: Work) -> list[Event | Span]:
        """The changes of one caller in a savepoint of their own. Its failure is kept for it."""
        before = dict(self._counters)
        ledger = Ledger(self._connection, self._counters, self._memory)
        self._connection.execute("SAVEPOINT caller")
        try:
            work.outcomes = [HANDLERS[type(change)](ledger, change) for change in work.changes]
            ledger.close()
        except Exception as error:  # It is the caller's, who gets it.
            if isinstance(error, sqlite3.Error) and not _is_callers(error):
                raise
            work.error, work.outcomes = error, []
            self._connection.execute("ROLLBACK TO caller")
            self._connection.execute("RELEASE caller")
            self._counters.clear()
            self._counters.update(before)
            self._memory.clear()
            return []
        self._connection.execute("RELEASE caller")
        return ledger.events

    def _save_counters(self, before: dict[str, int]) -> None:
        changed = [(value, name) for name, value in self._counters.items() if value != before[name]]
        if changed:
            self._connection.executemany(_SAVE_COUNTER, changed)

    # --- after the commit

    def _hand_out(self, batch: Sequence[Work], events: Sequence[Event | Span]) -> None:
        """Tell the callers, then the watchers; events that never were in memory come in pages, read back."""
        if not self._wants_events():
            self._deliver(batch, ())
        elif all(isinstance(event, Event) for event in events):
            self._deliver(batch, events)  # type: ignore[arg-type] # the line above is the proof, which mypy cannot follow
        else:
            self._deliver(batch, ())
            for page in self._pages(events):
                self._deliver((), page)

    def _pages(self, events: Sequence[Event | Span]) -> Iterator[list[Event]]:
        held: list[Event] = []
        for event in events:
            if isinstance(event, Event):
                held.append(event)
                continue
            if held:
                yield held
                held = []
            yield from self._read_back(event)
        if held:
            yield held

    def _read_back(self, span: Span) -> Iterator[list[Event]]:
        after = span.after
        while after < span.last:
            rows = self._connection.execute(_EVENTS_BETWEEN, (after, span.last, EVENTS_PAGE)).fetchall()
            yield [event_of(row) for row in rows]
            after = rows[-1][0]


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", _ERROR)


def _is_callers(error: sqlite3.Error) -> bool:
    return _code(error) & 0xFF in _CALLERS


def _raise_fatal(error: sqlite3.Error) -> None:
    """Raise what can only be answered by a new start. What may pass returns."""
    if not (_code(error) & 0xFF in (_FULL, _BUSY, _LOCKED) or _code(error) == _SHM_SIZE):
        raise error


def _passing(error: sqlite3.Error) -> JobmgrError:
    if _code(error) & 0xFF in (_BUSY, _LOCKED):
        return Overloaded("Another program holds the database locked; try again shortly.")
    return DiskFull("The disk of the data directory is full: nothing was changed. Make room and try again.")
