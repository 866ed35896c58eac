"""The manager against a real store and a launcher that does what the test says: every race that a real one would rarely show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobmgr.config import Settings, load
from jobmgr.errors import DiskFull, IdempotencyMismatch, NotFound, ShuttingDown, WrongStatus
from jobmgr.job import JobSpec, RetryPolicy, Status
from jobmgr.manager import JobManager
from jobmgr.output import OutputFiles
from jobmgr.process.launcher import (
    Because,
    Begun,
    Ended,
    Found,
    Held,
    Launch,
    OnReports,
    Report,
    SpawnFailed,
    Unbegun,
    Vanished,
)
from jobmgr.recovery import incarnation
from jobmgr.store.base import Owner
from jobmgr.store.records import Job
from jobmgr.store.sqlite import SqliteStore
from tests.waiting import eventually

AT_ONCE = RetryPolicy(delay=0.0, jitter=0.0)


class Script:
    """A launcher in the hands of the test. `answer` says what happens to a launch at once; without it nothing does."""

    survives = True

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.stops: list[str] = []
        self.acked: list[str] = []
        self.found: dict[str, Found] = {}
        self.answer: Callable[[Launch], Sequence[Report]] | None = None
        self.on_reports: OnReports = lambda _: None
        self.most = 0
        self.open_runs: set[str] = set()

    def __call__(self, on_reports: OnReports) -> Script:
        self.on_reports = on_reports
        return self

    async def open(self) -> None: ...

    async def recover(self) -> dict[str, Found]:
        return self.found

    def launch(self, launches: Sequence[Launch]) -> None:
        self.launches += launches
        self.open_runs |= {launch.run for launch in launches}
        self.most = max(self.most, len(self.open_runs))
        if self.answer is not None:
            for launch in launches:
                asyncio.get_running_loop().call_soon(self.report, *self.answer(launch))

    def stop(
        self, run: str, because: Because = "stop", *, grace_s: float | None = None, signal: int | None = None
    ) -> None:
        self.stops.append(run)

    def signal(self, run: str, number: int) -> None: ...

    def pause(self, run: str) -> None: ...

    def resume(self, run: str) -> None: ...

    def ack(self, runs: Sequence[str]) -> None:
        self.acked += runs

    async def close(self) -> None: ...

    def report(self, *reports: Report) -> None:
        """Let the manager know."""
        self.open_runs -= {report.run for report in reports if not isinstance(report, Begun)}
        self.on_reports(list(reports))


def begun(launch: Launch, pid: int = 41) -> Begun:
    """It runs."""
    return Begun(launch.run, pid, 99, 1_000_000)


def ended(launch: Launch, code: int | None = 0, **changes: Any) -> Ended:
    """It ended with this code; None: by SIGKILL."""
    fields: dict[str, Any] = {
        "signal": None if code is not None else 9,
        "because": "",
        "duration_us": 1000,
        "output_bytes": 0,
    }
    fields |= changes
    return Ended(launch.run, code, pid=41, started_at=1_000_000, ended_at=1_001_000, **fields)


class Node:
    """A manager on a store, with its scripted launcher."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.settings = settings
        self.script = Script()
        self.store = SqliteStore(directory)
        self.failures: list[BaseException] = []
        self.manager = JobManager(
            settings,
            self.store,
            OutputFiles(directory / "output"),
            self.script,
            Owner("node", incarnation("x", survives=True), "boot"),
            on_fatal=self.failures.append,
        )

    async def start(self) -> None:
        await self.store.open()
        await self.manager.start()

    async def close(self) -> None:
        await self.manager.close()
        await self.store.close()
        assert self.failures == []

    async def submit(self, *specs: JobSpec) -> int:
        """The id of the first job."""
        return (await self.manager.submit(specs)).jobs[0][0]

    async def job(self, job: int) -> Job:
        found = await self.store.job(job)
        assert found is not None
        return found

    async def pid(self, job: int) -> int | None:
        """The pid of its first attempt, as stored."""
        return (await self.store.attempts(job))[0].pid

    async def until(self, job: int, *statuses: Status) -> Job:
        """Wait until the job has one of these statuses."""

        async def there() -> Job | None:
            row = await self.job(job)
            return row if row.status in statuses else None

        found = await eventually(there)
        assert found is not None
        return found

    async def launched(self, count: int) -> list[Launch]:
        """Wait until so many launches were asked for in all."""
        await eventually(lambda: len(self.script.launches) >= count)
        return self.script.launches


@pytest.fixture
def make_node(tmp_path: Path) -> Callable[..., Node]:
    """Nodes on one data directory, one after the other."""

    def make(slots: int = 2, **settings: Any) -> Node:
        (tmp_path / ".env").touch()
        directory = tmp_path / "data"
        directory.mkdir(mode=0o700, exist_ok=True)
        loaded = load({"MAX_CONCURRENT_TASKS": str(slots)}, cwd=tmp_path).settings
        return Node(directory, loaded.model_copy(update={"disk_floor_bytes": 0, **settings}))

    return make


@pytest.fixture
async def node(make_node: Callable[..., Node]) -> AsyncIterator[Node]:
    """A started node with two slots."""
    node = make_node()
    await node.start()
    yield node
    await node.close()


def job(**changes: Any) -> JobSpec:
    """A job that is retried without a wait."""
    return JobSpec("encode", "/bin/true", **{"retry": AT_ONCE, **changes})


async def test_a_submission_with_a_free_slot_is_running_in_the_answer(node: Node) -> None:
    """Inserted and claimed in one transaction."""
    submission = await node.manager.submit([job()])
    assert submission.jobs == ((0, Status.RUNNING),)
    assert [launch.argv for launch in await node.launched(1)] == [("/bin/true",)]


async def test_no_more_run_than_there_are_slots(node: Node) -> None:
    """Two slots, 200 tasks of three jobs, two at a time."""
    node.script.answer = lambda launch: [begun(launch), ended(launch)]
    jobs = await node.manager.submit([job(num_tasks=100), job(num_tasks=50), job(num_tasks=50)])
    for number, _ in jobs.jobs:
        assert (await node.until(number, Status.COMPLETED)).counts[Status.COMPLETED] in (100, 50)
    assert node.script.most == 2
    assert len(node.script.launches) == 200


async def test_no_submission_is_forgotten_in_a_crowd(node: Node) -> None:
    """200 submissions at once on two slots: a claim that comes back short never hides a job that came meanwhile."""
    node.script.answer = lambda launch: [begun(launch), ended(launch)]
    submissions = await asyncio.gather(*(node.manager.submit([job()]) for _ in range(200)))
    for submission in submissions:
        await node.until(submission.jobs[0][0], Status.COMPLETED)


async def test_each_attempt_keeps_how_many_ran_with_it(make_node: Callable[..., Node]) -> None:
    """Itself included: the first is alone, those that come later count what runs already, and what ended counts no more."""
    node = make_node(slots=4)
    await node.start()
    await node.submit(job())
    await node.submit(job(), job())
    first, *_ = await node.launched(3)
    node.script.report(begun(first), ended(first))
    await node.until(0, Status.COMPLETED)
    await node.submit(job())
    await node.launched(4)
    assert [row.concurrency for row in await node.store.history()] == [1, 2, 3, 3]
    await node.close()


async def test_a_crash_is_retried_once_and_keeps_both_attempts(node: Node) -> None:
    """The second attempt has its own number, run and output."""
    number = await node.submit(job())
    [first] = await node.launched(1)
    node.script.report(begun(first), ended(first, 1))
    _, second = await node.launched(2)
    node.script.report(begun(second), ended(second))
    row = await node.until(number, Status.COMPLETED)
    attempts = await node.store.attempts(number)
    assert (row.retries, [(a.number, a.exit_code) for a in attempts]) == (1, [(1, 1), (2, 0)])
    assert first.output != second.output
    assert first.run != second.run


async def test_a_report_that_comes_twice_counts_once(node: Node) -> None:
    """After a reconnect the keeper may repeat itself."""
    number = await node.submit(job(retry=RetryPolicy(max_attempts=1)))
    [launch] = await node.launched(1)
    node.script.report(begun(launch), ended(launch, 1))
    row = await node.until(number, Status.CRASHED)
    node.script.report(begun(launch), ended(launch, 1))
    await eventually(lambda: node.script.acked.count(launch.run) == 2)
    assert await node.job(number) == row


async def test_a_stop_that_meets_a_crash_forbids_the_retry(node: Node) -> None:
    """FAULT 48: stop and crash come through at the same time: whichever is first, nothing is begun again."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    stopping = asyncio.create_task(node.manager.stop(number))
    node.script.report(begun(launch), ended(launch, 1))
    await stopping
    row = await node.until(number, Status.CRASHED, Status.STOPPED)
    assert row.retries == (1 if row.status is Status.STOPPED else 0)
    assert len(node.script.launches) == 1


async def test_a_crash_after_a_stop_was_asked_is_final(node: Node) -> None:
    """FAULT 48: it ended by itself before the stop reached it; the truth is kept, another attempt is not made."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    node.script.report(begun(launch))
    await node.manager.stop(number)
    node.script.report(ended(launch, 1))
    row = await node.until(number, Status.CRASHED)
    assert (row.retries, len(node.script.launches)) == (0, 1)


async def test_a_stop_that_meets_the_claim_reaches_the_run(make_node: Callable[..., Node]) -> None:
    """FAULT 48: a slot becomes free while somebody stops the next job: stopped, whichever is first."""
    node = make_node(slots=1)
    await node.start()
    for _ in range(20):
        running, waiting = await node.submit(job()), await node.submit(job())
        first = (await node.launched(len(node.script.launches) or 1))[-1]
        node.script.report(begun(first), ended(first))
        await node.manager.stop(waiting)
        await node.until(running, Status.COMPLETED)
        if (launch := node.script.launches[-1]) is not first:
            await eventually(partial(node.script.stops.__contains__, launch.run))
            node.script.report(begun(launch), ended(launch, None, because="stop"))
        assert (await node.until(waiting, Status.STOPPED)).cause == "stop"
    await node.close()


async def test_stopping_what_has_not_begun_holds_up_nobody_else(node: Node) -> None:
    """The keeper answers a stop of a queued launch with `unbegun`: that is no lack of the machine."""
    number = await node.submit(job(num_tasks=2))
    launches = list(await node.launched(2))
    await node.manager.stop(number)
    node.script.report(*[Unbegun(launch.run, "stopped before it began") for launch in launches])
    await node.until(number, Status.STOPPED)
    assert (await node.manager.submit([job()])).jobs[0][1] is Status.RUNNING


async def test_after_a_shortage_the_slots_open_by_themselves(node: Node) -> None:
    """Also when the job that met it is gone: what waits needs no further submission to be begun."""
    number = await node.submit(job(num_tasks=2))
    first, _ = await node.launched(2)
    waiting = await node.submit(job())
    node.script.report(Unbegun(first.run, "no process"))
    await node.manager.stop(number)
    again = (await node.launched(3))[2]
    node.script.report(begun(again), ended(again))
    await node.until(waiting, Status.COMPLETED)


async def test_an_end_that_comes_twice_is_not_acknowledged_before_its_commit(node: Node) -> None:
    """The keeper forgets what is acknowledged: the second report must not overtake the first one's commit."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    node.script.report(begun(launch), ended(launch))
    node.script.report(ended(launch))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert launch.run not in node.script.acked
    await node.until(number, Status.COMPLETED)
    await eventually(lambda: launch.run in node.script.acked)


async def test_a_late_true_end_replaces_lost(node: Node) -> None:
    """A run that was called lost and then seen to end is completed or crashed after all."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    node.script.report(begun(launch), Vanished(launch.run, 41))
    await node.until(number, Status.LOST)
    node.script.report(ended(launch, 7))
    row = await node.until(number, Status.CRASHED)
    assert row.exit_code == 7


async def test_what_is_claimed_while_the_server_leaves_does_not_begin(node: Node) -> None:
    """A submission that was under way at the signal: committed, answered, and waiting for the next server."""
    submitting = asyncio.create_task(node.manager.submit([job()]))
    await asyncio.sleep(0)
    node.manager.quiesce()
    [(number, status)] = (await submitting).jobs
    assert status is Status.PENDING
    assert (await node.job(number)).status is Status.PENDING
    assert node.script.launches == []
    assert await node.manager.wait_idle(10)


async def test_one_line_of_a_job_never_harms_the_server(node: Node) -> None:
    """A progress of 400 digits is rubbish, and rubbish is skipped."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    Path(launch.report).write_bytes(b"1" + b"0" * 400 + b"\n")
    node.script.report(begun(launch), ended(launch))
    await node.until(number, Status.COMPLETED)


async def test_what_a_job_says_on_its_own_stderr_explains_its_end(node: Node) -> None:
    """With `"stderr": "separate"` the reason is in the other file."""
    number = await node.submit(job(separate_stderr=True, retry=RetryPolicy(max_attempts=1)))
    [launch] = await node.launched(1)
    assert launch.errors is not None
    Path(launch.errors).write_text("no such codec\n")
    node.script.report(begun(launch), ended(launch, 3))
    assert (
        await node.until(number, Status.CRASHED)
    ).error == "Exited with code 3 after 0.0 s; its last line: no such codec"


async def test_stopping_a_waiting_job_starts_nothing(node: Node) -> None:
    """FAULT 48: stopped before it began, it never runs later."""
    await node.submit(job(num_tasks=2))
    waiting = await node.submit(job())
    row = await node.manager.stop(waiting)
    for launch in await node.launched(2):
        node.script.report(begun(launch), ended(launch))
    await node.until(0, Status.COMPLETED)
    assert row.status is Status.STOPPED
    assert len(node.script.launches) == 2


async def test_what_could_not_begin_is_tried_again_as_the_same_attempt(node: Node) -> None:
    """FAULT 75: no process to be had is not a crash; the attempt keeps its number, the run is new."""
    number = await node.submit(job())
    [first] = await node.launched(1)
    node.script.report(Unbegun(first.run, "no process"))
    _, second = await node.launched(2)
    node.script.report(begun(second), ended(second))
    row = await node.until(number, Status.COMPLETED)
    assert (row.retries, [a.number for a in await node.store.attempts(number)]) == (0, [1])
    assert first.run != second.run


async def test_a_shortage_holds_all_claims_for_a_while(make_node: Callable[..., Node]) -> None:
    """FAULT 75: a thousand waiting tasks are not tried one after the other against a machine without processes."""
    node = make_node(slots=1)
    await node.start()
    await node.submit(job(num_tasks=1000))
    [first] = await node.launched(1)
    node.script.report(Unbegun(first.run, "no process"))
    await node.launched(2)
    assert len(node.script.launches) == 2
    await node.close()


async def test_what_cannot_start_has_failed_and_is_not_retried(node: Node) -> None:
    """It never ran: `failed`, with the launcher's sentence."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    node.script.report(SpawnFailed(launch.run, 2, "There is no /bin/true."))
    row = await node.until(number, Status.FAILED)
    assert (row.cause, row.error, row.retries) == ("spawn_error", "There is no /bin/true.", 0)


async def test_what_vanished_is_lost(node: Node) -> None:
    """No code is made up for it."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    node.script.report(begun(launch), Vanished(launch.run, 41))
    row = await node.until(number, Status.LOST)
    assert (row.cause, row.exit_code, row.signal) == ("vanished", None, None)


async def test_a_lost_job_that_allows_it_runs_again(node: Node) -> None:
    """Only where the policy names `lost`."""
    number = await node.submit(job(retry=RetryPolicy(delay=0, on=("lost",))))
    [launch] = await node.launched(1)
    node.script.report(begun(launch), Vanished(launch.run, 41))
    _, second = await node.launched(2)
    node.script.report(begun(second), ended(second))
    assert (await node.until(number, Status.COMPLETED)).retries == 1


async def test_restart_begins_a_new_round(node: Node) -> None:
    """Attempt numbers go on, retries start from zero."""
    node.script.answer = lambda launch: [begun(launch), ended(launch, 1)]
    number = await node.submit(job())
    await node.until(number, Status.CRASHED)
    node.script.answer = lambda launch: [begun(launch), ended(launch)]
    await node.manager.restart(number)
    row = await node.until(number, Status.COMPLETED)
    attempts = await node.store.attempts(number)
    assert (row.retries, row.round, [a.number for a in attempts]) == (0, 2, [1, 2, 3])


async def test_verbs_are_refused_where_the_status_does_not_allow_them(node: Node) -> None:
    """With the status, and nothing changed."""
    number = await node.submit(job())
    for verb in (node.manager.restart, node.manager.delete):
        with pytest.raises(WrongStatus, match="is running"):
            await verb(number)
    with pytest.raises(NotFound, match="job-9"):
        await node.manager.stop(9)


async def test_a_deleted_job_is_gone_with_its_output(node: Node) -> None:
    """The row first, then the files."""
    node.script.answer = lambda launch: [begun(launch), ended(launch)]
    number = await node.submit(job())
    await node.until(number, Status.COMPLETED)
    directory = Path(node.script.launches[0].output).parent
    assert directory.is_dir()
    await node.manager.delete(number)
    assert await node.store.job(number) is None
    assert not directory.exists()


async def test_an_idempotency_key_gives_the_same_job(node: Node) -> None:
    """FAULT 2, 90: the same key and body never make a second job; another body is refused."""
    first = await node.manager.submit([job()], key="k", body_hash="a")
    again = await node.manager.submit([job()], key="k", body_hash="a")
    assert (again.jobs, again.replayed) == (first.jobs, True)
    with pytest.raises(IdempotencyMismatch):
        await node.manager.submit([job()], key="k", body_hash="b")
    assert await node.store.count_jobs() == 1


async def test_a_leaving_server_takes_nothing_more(node: Node) -> None:
    """Submissions get 503, the running attempt goes on and is committed."""
    number = await node.submit(job(num_tasks=5))
    node.manager.quiesce()
    with pytest.raises(ShuttingDown):
        await node.submit(job())
    for launch in await node.launched(2):
        node.script.report(begun(launch), ended(launch))
    assert await node.manager.wait_idle(10)
    assert (await node.job(number)).counts[Status.COMPLETED] == 2
    assert len(node.script.launches) == 2


async def test_a_server_that_stops_its_jobs_says_so_on_each(node: Node) -> None:
    """`stopped`, cause `shutdown`: not a failure, and not somebody's wish."""
    number = await node.submit(job())
    [launch] = await node.launched(1)
    node.manager.quiesce()
    await node.manager.stop_running()
    assert node.script.stops == [launch.run]
    node.script.report(begun(launch), ended(launch, None, because="stop"))
    assert await node.manager.wait_idle(10)
    row = await node.job(number)
    assert (row.status, row.cause) == (Status.STOPPED, "shutdown")


async def test_below_the_disk_floor_new_jobs_are_refused(make_node: Callable[..., Node]) -> None:
    """507, and nothing is inserted."""
    node = make_node(disk_floor_bytes=2**62)
    await node.start()
    with pytest.raises(DiskFull):
        await node.submit(job())
    assert await node.store.count_jobs() == 0
    await node.close()


async def test_the_next_server_takes_up_settles_and_requeues(make_node: Callable[..., Node]) -> None:
    """One run is held, one ended meanwhile, one never began: each gets what is true."""
    before = make_node(slots=3)
    await before.start()
    jobs = [await before.submit(job(retry=RetryPolicy(max_attempts=1))) for _ in range(3)]
    held, over, nothing = await before.launched(3)
    before.script.report(begun(held), begun(over, 42))
    for begun_job in jobs[:2]:
        await eventually(partial(before.pid, begun_job))
    await before.close()

    after = make_node(slots=3)
    after.script.found = {held.run: Held(held.run, 41, 99, 1), over.run: ended(over, 5)}
    await after.start()
    row = await after.until(jobs[1], Status.CRASHED)
    assert row.exit_code == 5
    [again] = await after.launched(1)
    assert (again.env["JOBMGR_ATTEMPT"], again.run != nothing.run) == ("1", True)
    assert over.run in after.script.acked
    assert held.run not in after.script.acked
    after.script.report(ended(held))
    assert (await after.until(jobs[0], Status.COMPLETED)).pid is None
    after.script.report(begun(again), ended(again))
    await after.until(jobs[2], Status.COMPLETED)
    await after.close()


async def test_a_stop_asked_before_the_crash_is_asked_again_after_it(make_node: Callable[..., Node]) -> None:
    """The want was committed before anything was sent."""
    before = make_node()
    await before.start()
    number = await before.submit(job())
    [launch] = await before.launched(1)
    before.script.report(begun(launch))
    await before.manager.stop(number)
    await before.close()

    after = make_node()
    after.script.found = {launch.run: Held(launch.run, 41, 99, 1)}
    await after.start()
    assert after.script.stops == [launch.run]
    after.script.report(ended(launch, None, because="stop"))
    await after.until(number, Status.STOPPED)
    await after.close()


async def test_a_stopped_run_that_never_began_is_stopped_by_recovery(make_node: Callable[..., Node]) -> None:
    """It was asked to stop, and no process ever was: stopped, not run."""
    before = make_node()
    await before.start()
    number = await before.submit(job())
    await before.launched(1)
    await before.manager.stop(number)
    await before.close()

    after = make_node()
    await after.start()
    assert (await after.job(number)).status is Status.STOPPED
    assert after.script.launches == []
    await after.close()
