"""The store's contract: verbs of the domain for reading, and one way to write: `apply(changes)`.

A change names its row, says what it expects to find, and brings the new fields; the store adds the counters of the job, the job's derived
status and the event rows in the same transaction. Where what it expects is not there (a lost race), a change does nothing and its outcome
says so; the caller reloads and decides again. Nothing here decides what a task becomes: that is `job.py`, asked by the caller.

The changes of one `apply` are one savepoint: an exception undoes all of them and nobody else's. When `apply` returns, they are durable.
Times are integer microseconds since the epoch, UTC. Ids are integers here; `job.job_id` makes what clients see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobmgr.events import Event
from jobmgr.history import HistoryRow
from jobmgr.job import Cause, Change, JobSpec, Status
from jobmgr.store.listing import EVERY_JOB, JobFilter, JobKey, JobOrder
from jobmgr.store.pruning import Prune
from jobmgr.store.records import Attempt, FailedAttempt, Job, Queued, Task
from jobmgr.store.watching import KeepWatchers
from jobmgr.store.webhooks import WebhookChange, WebhookReads


@dataclass(frozen=True, slots=True)
class Owner:
    """Which server, in which life, on which boot of the machine, holds an attempt."""

    node: str
    incarnation: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Insert jobs, all or nothing. With a `key`, the same key and body hash answer the first one's jobs instead. Outcome: Submitted."""

    specs: Sequence[JobSpec]
    at: int
    key: str | None = None
    body_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The ids of the jobs, in order. `mismatch`: the key is taken by another body, nothing was inserted and `jobs` is empty."""

    jobs: tuple[int, ...]
    replayed: bool = False
    mismatch: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Take up to `limit` ready tasks, highest priority first, oldest first, and begin an attempt for each with a new run id.

    After `PASSES` claims in a row that each passed over an older ready task, the next one takes the oldest. Outcome: tuple of Claimed.
    """

    limit: int
    owner: Owner
    at: int
    running: int = 0
    """How many attempts run on this node already: each one claimed keeps how many there are with it (`concurrency`)."""


PASSES = 7


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that is now running for its owner: all that is needed to launch it and to judge its end."""

    job: int
    task: int
    """The task's row id; `number` is its place in the job, from 0."""
    number: int
    attempt: int
    run: str
    spec: JobSpec
    args: tuple[str, ...] | None
    """The task's own arguments; None: the job's."""
    failures: int
    """Counted failures of this task in this round, so far."""
    claimed_at: int
    submitted_at: int
    owner: Owner
    status: Status = Status.RUNNING
    want: str | None = None
    """A verb asked for this run and not yet seen done: `stop`, `shutdown`."""
    pid: int | None = None
    start_ticks: int | None = None
    started_at: int | None = None
    num_tasks: int = 1
    """How many tasks the job has."""
    round: int = 1


@dataclass(frozen=True, slots=True)
class Begin:
    """The run of an attempt has a process. Expects task, run and an unfinished attempt. No event. Outcome: bool."""

    task: int
    run: str
    pid: int
    start_ticks: int | None
    started_at: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The attempt of this run ended (or never will have begun: REFUSE). The task takes `change`.

    Expects: the task's newest run is `run`, and `change` is possible in its status (`job.advance`); otherwise outcome False, nothing done.
    RETRY is refused (False) when want `stop` is kept for the run: the caller decided before it knew, and decides again. Any other want
    (`shutdown`) is nobody's wish that it should not run again: the retry stands.
    COMPLETE or CRASH of a task that is `lost` is the late true result: it replaces cause, error, code, signal and times of the attempt.
    For RETRY the task waits until `due_at` and its failures and the job's retries go up by one; CRASH counts a failure too.
    Outcome: bool.
    """

    task: int
    run: str
    change: Change
    at: int
    cause: Cause | None = None
    error: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    core_dumped: bool = False
    pid: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    duration_us: int | None = None
    cpu_us: int | None = None
    peak_rss_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    output_bytes: int | None = None
    leftovers: int = 0
    result: Any = None
    """What the job reported as its result (JSON), if it did."""
    progress: float | None = None
    due_at: int | None = None
    last_lines: str | None = None
    """Of an attempt that failed: what it said last, secrets masked, empty where it said nothing. None: it did not fail."""


@dataclass(frozen=True, slots=True)
class Unbegin:
    """The run never began: the task goes back to pending (ready, or waiting until `due_at`); the attempt row goes, its number comes again.

    A task with want `stop` becomes stopped instead. Expects the task's newest run to be `run`, running or paused. Outcome: bool.
    """

    task: int
    run: str
    at: int
    due_at: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a job: waiting tasks become stopped; for running and paused ones the want is kept. Outcome: Stopping, or Refused."""

    job: int
    at: int
    want: str = "stop"


@dataclass(frozen=True, slots=True)
class Stopping:
    """The runs to be stopped (task row id, run), and how many waiting tasks were stopped at once."""

    runs: tuple[tuple[int, str], ...]
    stopped: int


@dataclass(frozen=True, slots=True)
class WantStop:
    """Keep the want of a stop for these runs (shutdown that stops). Outcome: number of runs found."""

    runs: Sequence[tuple[int, str]]
    want: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Begin a new round of a finished job: every task pending again, failures and retries 0, attempts go on. Outcome: True, or Refused."""

    job: int
    at: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a finished job with its tasks and attempts (event with status `deleted`). Outcome: Deleted, or Refused."""

    job: int
    at: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """The job is gone; its output may be unlinked now."""

    job: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The job is not there (status None), or its status does not allow the verb. Nothing was changed."""

    status: Status | None


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Recovery: these runs (task row id, run) belong to the new owner now. Outcome: tuple of bool."""

    runs: Sequence[tuple[int, str]]
    owner: Owner


@dataclass(frozen=True, slots=True)
class MakeDue:
    """Ready the waiting tasks whose time has come, and those that began to wait after `at`: the clock was set back. Outcome: how many."""

    at: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Reported progress (0–100), message and checkpoint of a running attempt; None leaves as it was. Outcome: bool."""

    task: int
    run: str
    at: int
    progress: float | None = None
    message: str | None = None
    checkpoint: Any = None


@dataclass(frozen=True, slots=True)
class Overdue:
    """The running attempt of this run has run for longer than nearly all of its like took (`usual_us`). Told once an attempt. Outcome: bool.

    Expects: the task's newest run is `run`, it is running, and this was not told of it before. Its event says `longerThanUsual`; nothing else
    becomes of it.
    """

    task: int
    run: str
    at: int
    usual_us: int


StoreChange = (
    Submit
    | Claim
    | Begin
    | Finish
    | Unbegin
    | Stop
    | WantStop
    | Restart
    | Delete
    | TakeUp
    | MakeDue
    | Progress
    | Overdue
    | Prune
    | KeepWatchers
    | WebhookChange
)


class Store(Protocol):
    """All that can be asked of the database. Readers read in pages by key and never see half a transaction."""

    @property
    def webhooks(self) -> WebhookReads:
        """What is kept of webhooks and deliveries."""

    async def open(self) -> None:
        """Lock, check, migrate. Raises DataDirError or DatabaseDamaged with a sentence."""

    async def close(self) -> None:
        """Commit what is queued, then let go. Safe to repeat."""

    async def apply(self, changes: Sequence[StoreChange], *, first: bool = False) -> list[Any]:
        """Commit these changes together and return one outcome each, in order.

        `first`: ends and claims, which go before what else is waiting and are never refused. Others raise Overloaded when too much waits.
        """

    async def job(self, job: int) -> Job | None:
        """One job as it is now."""

    async def spec(self, job: int) -> JobSpec | None:
        """What was submitted (without the arguments of each task)."""

    async def find_jobs(
        self, found: JobFilter, order: JobOrder, *, after: JobKey | None = None, limit: int = 500
    ) -> list[JobKey]:
        """Where the jobs that pass the filter stand in this order, beyond `after`: at most `limit`, fewer only at the end.

        A job that meets the filter all the time and keeps its place is found once by whoever goes on from the last key. In the order of
        `finishedAt` a job that finishes meanwhile changes its place.
        """

    async def jobs(self, ids: Sequence[int]) -> list[Job]:
        """These jobs, in this order, without those that are not there.

        As many from the front as fit into a page by their size, at least one where any is there: whoever wants the others asks again for the
        ids behind the last one given. None at all means that none of them is there.
        """

    async def statuses(self, first: int, last: int) -> dict[int, Status]:
        """The statuses of the jobs with these ids, both ends included; those that are not there are left out."""

    async def job_ids(self, *, after: int, limit: int) -> list[int]:
        """Ids of jobs above `after`, oldest first: a page is small whatever the jobs are."""

    async def count_jobs(self, found: JobFilter = EVERY_JOB) -> int:
        """How many jobs there are that pass the filter. With `q` every job is read."""

    async def tasks(self, job: int, *, after: int = -1, limit: int = 500) -> list[Task]:
        """Tasks of a job numbered above `after`, in order."""

    async def attempts(
        self, job: int, *, task: int | None = None, after: tuple[int, int] = (-1, 0), limit: int = 500
    ) -> list[Attempt]:
        """Attempts of a job (of one task number), by (task number, attempt number) above `after`."""

    async def open_runs(self, *, after: int = -1, limit: int = 500) -> list[Claimed]:
        """Tasks that are running or paused with a run, by task row id above `after`. Those of one job share its spec in memory."""

    async def run(self, run: str) -> Claimed | None:
        """The task whose newest attempt has this run, while an end may be told of it: running, paused or lost. None: its end is no news."""

    async def queue(self, limit: int) -> list[Queued]:
        """The first tasks that wait for a slot, as claims take them: highest priority first, then oldest (but for `PASSES`).

        At most `limit`, or as many as fit into a page by their size.
        """

    async def next_due(self) -> int | None:
        """The earliest `due_at` of a waiting task."""

    async def history(
        self, *, found: JobFilter = EVERY_JOB, after: tuple[int, int] = (-1, -1), limit: int = 500
    ) -> list[HistoryRow]:
        """Attempts of the jobs that pass the filter, by (task row id, attempt number) above `after`, which is the last row's `place`.

        Where the newest attempt does not say how its task stands (it has none in its round, or the task was stopped while it waited for
        another), a row with `attempt` 0 follows it, in the same page. At most `limit` attempts, or as many as fit into a page by their
        size; none only at the end.
        """

    async def history_of(self, tasks: Sequence[tuple[int, int]]) -> list[HistoryRow]:
        """All rows of these tasks (job, number), which come in ascending order, as `history` would give them.

        As many whole tasks from the front as fit into a page, at least one where any is there: whoever wants the others asks again for those
        behind the last one given. None at all means that none of them is there.
        """

    async def failed_attempts(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        before: tuple[int, int, int] | None = None,
        limit: int = 500,
    ) -> list[FailedAttempt]:
        """Attempts that crashed or could not be started, with what they said last: since ≤ end < until, the newest end first.

        `before`: the last row's `place`, to go on behind it. Those that ended under a version that did not keep their words are not there.
        """

    async def outcomes_version(self) -> int:
        """A number that is another whenever a job came or went or the outcome of a task changed, and the same otherwise."""

    async def events(self, *, after: int = 0, limit: int = 500) -> list[Event]:
        """Events with a sequence number above `after`, in order."""

    async def last_seq(self) -> int:
        """The sequence number of the newest event there ever was; 0 before the first."""

    async def watcher(self, name: str) -> int | None:
        """The number of the last event that the watcher of this name acknowledged. None: nobody of this name is known."""

    def subscribe(self, callback: Any) -> None:
        """Call `callback(events: Sequence[Event])` on the event loop after each commit, in commit order."""
