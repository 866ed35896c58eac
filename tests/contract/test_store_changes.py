"""The contract of every store, I: each change of a task in each status, against the table of `job.py`, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from jobmgr.events import JOB_UPDATE, TASK_UPDATE
from jobmgr.job import TRANSITIONS, Cause, Change, Status
from jobmgr.store.base import (
    Begin,
    Claim,
    Delete,
    Deleted,
    Finish,
    MakeDue,
    Overdue,
    Owner,
    Progress,
    Refused,
    Restart,
    Stop,
    Stopping,
    Store,
    TakeUp,
    Unbegin,
    WantStop,
)
from tests.contract.stores import (
    AT,
    OWNER,
    a_spec,
    all_jobs,
    an_end,
    claimed,
    ended,
    recounted,
    running,
    submitted,
    the_job,
)

HOUR = 3_600_000_000

ENDS = {
    Status.PAUSED: Change.CHECKPOINT,
    Status.RETRIED: Change.RETRY,
    Status.COMPLETED: Change.COMPLETE,
    Status.CRASHED: Change.CRASH,
    Status.FAILED: Change.REFUSE,
    Status.STOPPED: Change.STOP,
    Status.LOST: Change.LOSE,
}


async def job_in(store: Store, status: Status) -> tuple[int, str]:
    """Bring job-0, of one task, into a status; the task's id and the run of its attempt (one that never was, if it has none)."""
    [job] = await submitted(store)
    [task] = await store.tasks(job)
    if status is Status.PENDING:
        return task.id, "never-was"
    [run] = await claimed(store)
    if status is not Status.RUNNING:
        assert await ended(store, run, ENDS[status])
    return run.task, run.run


async def _claim(store: Store, _task: int, _run: str) -> bool:
    return bool(await claimed(store))


async def _unbegin(store: Store, task: int, run: str) -> bool:
    [done] = await store.apply([Unbegin(task, run, AT)])
    return bool(done)


async def _restart(store: Store, _task: int, _run: str) -> bool:
    [done] = await store.apply([Restart(0, AT)])
    return done is True


def _finish(change: Change) -> Callable[[Store, int, str], Awaitable[bool]]:
    async def finish(store: Store, task: int, run: str) -> bool:
        [done] = await store.apply([Finish(task, run, change, AT + 9000, cause=Cause.EXIT)], first=True)
        return bool(done)

    return finish


DO: dict[Change, Callable[[Store, int, str], Awaitable[bool]]] = {
    Change.CLAIM: _claim,
    Change.UNBEGIN: _unbegin,
    Change.RESTART: _restart,
} | {change: _finish(change) for change in ENDS.values()}

# A task that waits has no run, so an end that comes late finds nothing there: a stop of what waits is asked of its job instead.
NEEDS_A_RUN = {Status.PENDING, Status.RETRIED}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("change", DO)
async def test_a_change_happens_where_the_table_allows_it(store: Store, status: Status, change: Change) -> None:
    """Each cell of status × change: done as the table says, and where it says no, nothing at all is different."""
    task, run = await job_in(store, status)
    before, seq = await the_job(store), await store.last_seq()
    allowed = TRANSITIONS[status, change]
    if change in ENDS.values() and status in NEEDS_A_RUN:
        allowed = None
    assert await DO[change](store, task, run) is (allowed is not None)
    [after] = await store.tasks(0)
    assert after.status == (allowed or status)
    assert (await the_job(store)).status == (allowed or status)
    if allowed is None:
        assert await the_job(store) == before
        assert await store.last_seq() == seq
    else:
        assert await store.last_seq() == seq + 2


@pytest.mark.parametrize("status", Status)
async def test_an_end_of_another_run_does_nothing(store: Store, status: Status) -> None:
    """An end names its run; where the newest is another, nothing happens."""
    task, _ = await job_in(store, status)
    seq = await store.last_seq()
    for change in ENDS.values():
        assert not await _finish(change)(store, task, "another")
    assert not await _unbegin(store, task, "another")
    assert await store.last_seq() == seq


@pytest.mark.parametrize("status", Status)
async def test_stop_is_for_what_is_not_finished(store: Store, status: Status) -> None:
    """What waits is stopped at once, what runs is named, what has finished refuses."""
    task, run = await job_in(store, status)
    [outcome] = await store.apply([Stop(0, AT + 1)])
    if status in (Status.RUNNING, Status.PAUSED):
        assert outcome == Stopping(((task, run),), 0)
        assert (await store.open_runs())[0].want == "stop"
        assert (await the_job(store)).status is status
    elif status in (Status.PENDING, Status.RETRIED):
        assert outcome == Stopping((), 1)
        job = await the_job(store)
        assert (job.status, job.cause, bool(job.error), job.finished_at) == (Status.STOPPED, Cause.STOP, True, AT + 1)
    else:
        assert outcome == Refused(status)


@pytest.mark.parametrize("status", Status)
async def test_delete_and_restart_are_for_what_has_finished(store: Store, status: Status) -> None:
    """Both refuse with the status where the job is not finished."""
    await job_in(store, status)
    finished = TRANSITIONS[status, Change.RESTART] is not None
    [outcome] = await store.apply([Delete(0, AT)])
    assert outcome == (Deleted(0) if finished else Refused(status))
    assert await store.count_jobs() == (0 if finished else 1)
    if not finished:
        assert await store.apply([Restart(0, AT)]) == [Refused(status)]


async def test_verbs_on_a_job_that_is_not_there_say_so(store: Store) -> None:
    """Refused without a status."""
    assert await store.apply([Stop(7, AT), Restart(7, AT), Delete(7, AT)]) == [Refused(None)] * 3


async def test_delete_takes_all_of_the_job_but_its_events(store: Store) -> None:
    """Job, tasks and attempts are gone; its last event says deleted; its id is not given again."""
    run = await running(store)
    await ended(store, run)
    await store.apply([Delete(0, AT)])
    assert (await store.job(0), await store.spec(0), await all_jobs(store)) == (None, None, [])
    assert (await store.tasks(0), await store.attempts(0), await store.history()) == ([], [], [])
    assert (await store.events())[-1].data == {
        "jobId": "job-0", "jobName": "my-task", "status": "deleted", "previousStatus": "completed",
    }  # fmt: skip
    assert await submitted(store) == (1,)


async def test_an_attempt_keeps_all_that_is_known_of_it(store: Store) -> None:
    """Claim, begin, progress and end each leave their facts."""
    run = await running(store)
    assert await store.apply([Begin(run.task, run.run, 4711, 99, AT + 10)]) == [True]
    assert await store.apply([Progress(run.task, run.run, AT + 20, 50, "half", {"at": 7})]) == [True]
    job = await the_job(store)
    assert (job.pid, job.node, job.progress, job.message, job.started_at) == (4711, "here-3000", 50, "half", AT)
    facts: dict[str, Any] = {
        "cause": Cause.SIGNAL, "error": "Killed.", "exit_code": None, "signal": 9, "core_dumped": True, "ended_at": AT + 90, "duration_us": 80,
        "cpu_us": 5, "peak_rss_bytes": 6, "read_bytes": 7, "write_bytes": 8, "output_bytes": 9, "leftovers": 1, "result": {"x": [1, None]},
    }  # fmt: skip
    assert await ended(store, run, Change.CRASH, **facts)
    [attempt] = await store.attempts(0)
    assert {name: getattr(attempt, name) for name in facts} == facts
    assert (attempt.number, attempt.round, attempt.run, attempt.node, attempt.pid) == (1, 1, run.run, "here-3000", 4711)
    assert (attempt.status, attempt.progress, attempt.message, attempt.started_at) == (
        Status.CRASHED,
        50,
        "half",
        AT + 10,
    )
    assert (await store.tasks(0))[0].newest == attempt
    job = await the_job(store)
    assert (job.cause, job.error, job.exit_code, job.signal, job.result) == (
        Cause.SIGNAL,
        "Killed.",
        None,
        9,
        {"x": [1, None]},
    )
    assert (job.finished_at, job.duration_us, job.output_bytes, job.pid) == (AT + 90, 80, 9, None)


async def test_begin_needs_an_unfinished_attempt_of_that_run(store: Store) -> None:
    """A begin that comes after the end, or for another run, does nothing."""
    run = await running(store)
    assert await store.apply([Begin(run.task, "another", 1, 1, AT)]) == [False]
    await ended(store, run)
    assert await store.apply([Begin(run.task, run.run, 1, 1, AT), Progress(run.task, run.run, AT, 5)]) == [False, False]
    assert (await store.attempts(0))[0].pid is None


async def test_a_retried_task_waits_until_it_is_due(store: Store) -> None:
    """Not claimed before MakeDue, then the next attempt begins with the failures counted; the wait counts from the due instant."""
    run = await running(store)
    await ended(store, run, Change.RETRY, due_at=AT + 7000)
    assert (await store.next_due(), await claimed(store)) == (AT + 7000, ())
    assert await store.apply([MakeDue(AT + 6999)]) == [0]
    assert await store.apply([MakeDue(AT + 7000)]) == [1]
    job = await the_job(store)
    assert (job.status, job.retries, job.exit_code) == (Status.RETRIED, 1, 3)
    [again] = await claimed(store, at=AT + 7500)
    assert (again.attempt, again.failures, again.run != run.run) == (2, 1, True)
    job = await the_job(store)
    assert (job.status, job.retries, job.exit_code, job.cause, job.error) == (Status.RUNNING, 1, None, None, None)
    attempts = await store.attempts(0)
    assert [(a.number, a.status, a.queue_wait_us) for a in attempts] == [
        (1, Status.RETRIED, 0),
        (2, Status.RUNNING, 500),
    ]
    assert await store.next_due() is None


@pytest.mark.parametrize("wait", ["retry", "unbegin"])
async def test_a_clock_that_was_set_back_holds_nothing_up(store: Store, wait: str) -> None:
    """What began to wait in what is now the future is ready at once, and its wait counts from then; what waits since the past goes on."""
    await submitted(store, a_spec("old"), a_spec("new"))
    old, new = await claimed(store, 2)
    later = AT + HOUR
    for run, since in ((old, AT), (new, later - 1000)):
        waits = an_end(run, Change.RETRY, at=since, due_at=later)
        await store.apply([waits if wait == "retry" else Unbegin(run.task, run.run, since, due_at=later)])
    assert await store.apply([MakeDue(AT + 5000)]) == [1]
    [again] = await claimed(store, 2, at=AT + 5007)
    assert (again.spec.name, await store.next_due()) == ("new", later)
    assert (await store.attempts(1))[-1].queue_wait_us == 7
    assert await store.apply([MakeDue(later)]) == [1]


async def test_a_late_true_result_replaces_the_lost_one(store: Store) -> None:
    """Lost becomes completed with the true facts, and counts so."""
    run = await running(store)
    await ended(store, run, Change.LOSE, cause=Cause.VANISHED, error="Nobody knows.")
    assert (await the_job(store)).cause is Cause.VANISHED
    assert await ended(store, run, Change.COMPLETE, at=AT + 9000, ended_at=AT + 3000, duration_us=2000)
    job = await the_job(store)
    assert (job.status, job.cause, job.error, job.exit_code) == (Status.COMPLETED, None, None, 0)
    assert (job.finished_at, job.duration_us, job.counts) == (AT + 3000, 2000, {Status.COMPLETED: 1})
    [attempt] = await store.attempts(0)
    assert (attempt.status, attempt.cause, attempt.ended_at) == (Status.COMPLETED, None, AT + 3000)


async def test_a_run_that_never_began_gives_its_number_back(store: Store) -> None:
    """The attempt goes, the next claim has the same number and another run; an end of the old run is void."""
    run = await running(store)
    assert await store.apply([Unbegin(run.task, run.run, AT + 1, due_at=AT + 50)]) == [True]
    job = await the_job(store)
    assert (job.status, job.started_at, await store.attempts(0), await store.next_due()) == (
        Status.PENDING,
        None,
        [],
        AT + 50,
    )
    await store.apply([MakeDue(AT + 50)])
    [again] = await claimed(store, at=AT + 60)
    assert (again.attempt, again.run != run.run) == (1, True)
    assert not await ended(store, run)


async def test_a_run_that_never_began_and_was_to_stop_is_stopped(store: Store) -> None:
    """The wish outlives the run: it does not begin again."""
    run = await running(store)
    await store.apply([Stop(0, AT)])
    assert await store.apply([Unbegin(run.task, run.run, AT + 1)]) == [True]
    job = await the_job(store)
    assert (job.status, job.cause, job.error) == (Status.STOPPED, Cause.STOP, "Stopped before it began.")
    assert await claimed(store) == ()


async def test_a_retry_is_refused_to_a_persons_stop_only(store: Store) -> None:
    """The server's own leaving is nobody's wish that the job should not be tried again: it waits for the next start."""
    run = await running(store)
    await store.apply([WantStop([(run.task, run.run)], "shutdown")])
    assert await ended(store, run, Change.RETRY)
    [again] = await claimed(store)
    assert (again.attempt, (await store.open_runs())[0].want) == (2, None)
    await store.apply([Stop(0, AT)])
    assert not await ended(store, again, Change.RETRY)
    assert await ended(store, again, Change.CRASH)


async def test_a_run_that_never_began_waits_again_when_only_the_server_leaves(store: Store) -> None:
    """A want of `shutdown` does not stop what has no process."""
    run = await running(store)
    await store.apply([WantStop([(run.task, run.run)], "shutdown"), Unbegin(run.task, run.run, AT + 1)])
    assert (await the_job(store)).status is Status.PENDING
    assert len(await claimed(store)) == 1
    assert (await store.open_runs())[0].want is None


async def test_what_was_stopped_while_it_waited_is_told_as_it_was(store: Store) -> None:
    """Before the first attempt, before the next one, or with so many of its tasks waiting; the second attempt may never have begun."""
    await submitted(store, a_spec(), a_spec(num_tasks=3), a_spec(num_tasks=2), a_spec(), a_spec())
    single, first, second, _ = await claimed(store, 4)
    for run in (single, first, second):
        await ended(store, run, Change.RETRY, due_at=AT + HOUR)
    await store.apply([Stop(job, AT) for job in range(3)])
    told = [(await the_job(store, job)).error for job in range(3)]
    assert told == [
        "Stopped while it waited for its next attempt.",
        "Stopped while 2 of its 3 tasks waited.",
        "Stopped before it began.",
    ]
    await ended(store, (await claimed(store))[0], Change.RETRY)
    [again] = await claimed(store)
    await store.apply([Unbegin(again.task, again.run, AT), Stop(again.job, AT)])
    assert (await the_job(store, again.job)).error == told[0]
    await ended(store, (await claimed(store))[0], Change.RETRY)
    [again] = await claimed(store)
    await store.apply([Stop(again.job, AT), Unbegin(again.task, again.run, AT)])
    assert (await the_job(store, again.job)).error == told[0]


async def test_the_servers_leaving_does_not_weaken_a_stop(store: Store) -> None:
    """A want of `shutdown` is kept for a run that has none; `stop` stays `stop`."""
    run = await running(store)
    assert await store.apply([WantStop([(run.task, run.run), (run.task, "another")], "shutdown")]) == [1]
    assert (await store.open_runs())[0].want == "shutdown"
    await store.apply([Stop(0, AT)])
    assert await store.apply([WantStop([(run.task, run.run)], "shutdown")]) == [1]
    assert (await store.open_runs())[0].want == "stop"


async def test_restart_begins_a_new_round(store: Store) -> None:
    """Counters, summary and failures begin anew, attempt numbers go on, and the deadline counts from the restart."""
    run = await running(store)
    await ended(store, run, Change.CRASH)
    await store.apply([Restart(0, AT + 10_000)])
    job = await the_job(store)
    assert (job.status, job.round, job.retries, job.cause, job.error, job.exit_code) == (
        Status.PENDING,
        2,
        0,
        None,
        None,
        None,
    )
    assert (job.started_at, job.finished_at, job.duration_us, job.node) == (None, None, None, None)
    [again] = await claimed(store, at=AT + 10_100)
    assert (again.attempt, again.failures, again.round, again.submitted_at) == (2, 0, 2, AT + 10_000)
    assert [(a.number, a.round, a.queue_wait_us) for a in await store.attempts(0)] == [(1, 1, 0), (2, 2, 100)]


async def test_recovery_finds_the_open_runs_and_takes_them_up(store: Store) -> None:
    """All that is needed to judge a run's end is there; the new owner is written for runs that go on only, and may store their process."""
    run = await running(store)
    await store.apply([Begin(run.task, run.run, 4711, 99, AT + 10)])
    [found] = await store.open_runs()
    assert (found.run, found.pid, found.start_ticks, found.started_at, found.owner) == (
        run.run,
        4711,
        99,
        AT + 10,
        OWNER,
    )
    assert (found.spec, found.args, found.num_tasks, found.claimed_at, found.submitted_at) == (
        run.spec,
        None,
        1,
        AT,
        AT,
    )
    other = Owner("here-3000", "incarnation-2", "boot-1")
    assert await store.apply([TakeUp([(run.task, run.run), (run.task, "another")], other)]) == [(True, False)]
    assert await store.apply([Begin(run.task, run.run, 4712, 100, AT + 20)]) == [True]
    [taken] = await store.open_runs()
    assert (taken.owner, taken.pid, taken.start_ticks, taken.started_at) == (other, 4712, 100, AT + 20)
    await ended(store, run)
    assert await store.apply([TakeUp([(run.task, run.run)], other)]) == [(False,)]
    assert await store.open_runs() == []


async def test_words_that_are_not_unicode_do_not_lose_an_end(store: Store) -> None:
    """An error that quotes any bytes is kept, with the bad ones made visible."""
    run = await running(store)
    assert await ended(store, run, Change.CRASH, error="last line: \udcff\x00", result={"x": "\udcff"})
    assert (await the_job(store)).error == "last line: ?\x00"


@pytest.mark.parametrize("status", Status)
async def test_a_run_is_found_while_an_end_may_be_told_of_it(store: Store, status: Status) -> None:
    """Running, paused or lost, with all that is needed to judge the end; nowhere else, so that an end told twice finds nothing."""
    task, run = await job_in(store, status)
    await submitted(store)
    await claimed(store)
    found = await store.run(run)
    assert await store.run("never-was") is None
    if TRANSITIONS[status, Change.COMPLETE] is None:
        assert found is None
    else:
        assert found is not None
        assert (found.task, found.run, found.status, found.attempt, found.owner) == (task, run, status, 1, OWNER)
        assert (found.spec, found.failures, found.claimed_at, found.round) == (a_spec(), 0, AT, 1)
        assert await ended(store, found)
        assert await store.run(run) is None


async def test_a_run_of_an_earlier_round_is_not_found(store: Store) -> None:
    """It was lost, then restarted: its end comes too late."""
    task, run = await job_in(store, Status.LOST)
    await store.apply([Restart(0, AT)])
    assert await store.run(run) is None
    [again] = await claimed(store)
    assert again.task == task
    assert await store.run(run) is None
    assert await store.run(again.run) == (await store.open_runs())[0]


async def test_of_many_tasks_the_first_that_failed_speaks(store: Store) -> None:
    """Not the first that ended, not a stopped one, not a later failure."""
    await submitted(store, a_spec(num_tasks=4))
    stopped, bad, worse, good = await claimed(store, 4)
    await ended(store, stopped, Change.STOP, cause=Cause.STOP, error="Stopped.", signal=15)
    assert (await the_job(store)).cause is Cause.STOP
    await ended(store, bad, Change.CRASH, exit_code=5, error="Five.", ended_at=AT + 800)
    await ended(store, worse, Change.REFUSE, cause=Cause.SPAWN_ERROR, error="No file.")
    await ended(store, good, Change.COMPLETE, at=AT + 600)
    job = await the_job(store)
    assert (job.status, job.cause, job.exit_code, job.signal, job.error) == (
        Status.STOPPED,
        Cause.EXIT,
        5,
        None,
        "Five.",
    )
    assert (job.progress, job.started_at, job.finished_at, job.duration_us) == (100, AT, AT + 5000, 5000)


async def test_of_many_tasks_one_lost_and_found_leaves_no_trace(store: Store) -> None:
    """When the only thing told was of a lost task that turned out well, nothing is told."""
    await submitted(store, a_spec(num_tasks=2))
    lost, good = await claimed(store, 2)
    await ended(store, lost, Change.LOSE, cause=Cause.VANISHED, error="Nobody knows.")
    await ended(store, good)
    assert (await the_job(store)).error == "Nobody knows."
    await ended(store, lost, at=AT + 9000)
    job = await the_job(store)
    assert (job.status, job.cause, job.error, job.counts) == (Status.COMPLETED, None, None, {Status.COMPLETED: 2})


async def test_a_job_between_two_of_its_tasks_is_running(store: Store) -> None:
    """Some ended, some wait: running. A single task that waits is never that."""
    await submitted(store, a_spec(num_tasks=2))
    [run] = await claimed(store)
    await ended(store, run)
    job = await the_job(store)
    assert (job.status, job.progress) == (Status.RUNNING, 50)
    assert await recounted(store, 0) == (job.counts, job.status)


async def test_an_end_and_the_next_claim_are_one(store: Store) -> None:
    """In one apply, what the end of one task changes is seen by the claim after it."""
    await submitted(store, a_spec(num_tasks=2))
    [run] = await claimed(store)
    done, again = await store.apply([an_end(run), Claim(1, OWNER, AT + 6000)], first=True)
    assert (done, again[0].number) == (True, 1)


async def test_a_change_that_ends_nothing_is_refused(store: Store) -> None:
    """Finish takes only changes that end an attempt: anything else is a bug of the caller, who hears it."""
    run = await running(store)
    with pytest.raises(ValueError, match="pause does not end"):
        await ended(store, run, Change.PAUSE)


async def test_an_attempt_is_called_overdue_once(store: Store) -> None:
    """The second time finds that it was told; a run that is not the newest, or has ended, is not told of."""
    run = await running(store)
    overdue = Overdue(run.task, run.run, AT + 20, 7_000_000)
    assert await store.apply([overdue, overdue, replace(overdue, run="another")]) == [True, False, False]
    assert await store.apply([overdue]) == [False]
    await ended(store, run, Change.RETRY)
    assert await store.apply([overdue]) == [False]


async def test_an_overdue_attempt_is_an_event_and_nothing_else(store: Store) -> None:
    """Task and job are told as they were, with `longerThanUsual`."""
    run = await running(store)
    job, last = await the_job(store), await store.last_seq()
    await store.apply([Overdue(run.task, run.run, AT + 20, 7_000_000)])
    task, told = await store.events(after=last)
    assert (task.kind, told.kind) == (TASK_UPDATE, JOB_UPDATE)
    assert task.data == {
        "jobId": "job-0", "jobName": "my-task", "taskId": "job-0.0", "status": "running", "attempt": 1, "longerThanUsual": True, "usual": 7000,
    }  # fmt: skip
    assert (told.data["status"], told.data["longerThanUsual"]) == ("running", True)
    assert await the_job(store) == job


async def test_each_attempt_may_be_overdue(store: Store) -> None:
    """What was told of the first is not told of the second."""
    first = await running(store)
    await store.apply([Overdue(first.task, first.run, AT + 20, 7_000_000)])
    await ended(store, first, Change.RETRY)
    [second] = await claimed(store)
    assert await store.apply([Overdue(second.task, second.run, AT + 50, 7_000_000)]) == [True]


async def test_every_event_names_its_job_by_name_type_and_labels(store: Store) -> None:
    """Also those that the database writes by itself, and the last one of a deleted job: who listens can choose by them."""
    labels = {"team": "media", "quote": '"'}
    await submitted(store, a_spec('say "hi"', type="upload", labels=labels, num_tasks=3))
    await store.apply([Stop(0, AT), Restart(0, AT), Stop(0, AT), Delete(0, AT)])
    events = await store.events()
    assert len(events) > 9
    for event in events:
        assert (event.data["jobName"], event.data["type"], event.data["labels"]) == ('say "hi"', "upload", labels), (
            event
        )


async def test_a_job_whose_row_is_read_back_is_named_the_same(store: Store) -> None:
    """What the writer no longer remembers comes from the database."""
    await submitted(store, a_spec(type="upload", labels={"team": "media"}))
    for number in range(1100):
        await submitted(store, a_spec(f"other-{number}"))
    await store.apply([Stop(0, AT)])
    last = (await store.events(after=await store.last_seq() - 1))[0]
    assert (last.job, last.data["jobName"], last.data["type"], last.data["labels"]) == (
        0,
        "my-task",
        "upload",
        {"team": "media"},
    )


async def test_the_event_of_another_status_says_which_it_was_before(store: Store) -> None:
    """And one that changes something else does not, so nobody takes it for an end."""
    run = await running(store)
    await store.apply([Progress(run.task, run.run, AT, progress=50)])
    await ended(store, run, duration_us=1_234_567)
    told = [event.data for event in await store.events() if event.kind == JOB_UPDATE]
    assert [(data["status"], data.get("previousStatus")) for data in told] == [
        ("pending", None), ("running", "pending"), ("running", None), ("completed", "running"),
    ]  # fmt: skip
    assert [data.get("duration") for data in told] == [None, None, None, 1235]
