"""The contract of every store, II: submission, order, events, savepoints, back-pressure, and reads in pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from jobmgr.errors import ShuttingDown
from jobmgr.events import JOB_UPDATE, TASK_UPDATE, Event
from jobmgr.job import NO_RETRY, Change, JobSpec, RetryPolicy, Status
from jobmgr.store.base import PASSES, Claim, Delete, Finish, Progress, Stop, Store, Submit
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST, JobKey
from jobmgr.store.pruning import Prune
from tests.contract.stores import (
    AT,
    OWNER,
    a_spec,
    all_jobs,
    all_tasks,
    an_end,
    claimed,
    ended,
    recounted,
    running,
    seqs,
    submitted,
    the_job,
)
from tests.waiting import eventually

# --- submission


async def test_ids_begin_at_0_and_are_never_given_again(store: Store) -> None:
    """Also not after the newest was deleted."""
    assert await submitted(store, a_spec(), a_spec()) == (0, 1)
    await store.apply([Stop(1, AT), Delete(1, AT)])
    assert await submitted(store) == (2,)


async def test_what_was_submitted_comes_back_whole(store: Store) -> None:
    """Every field of a submission, but the arguments of each task, which are with the tasks."""
    spec = JobSpec(
        name="päck\u0000 'x' \"y\" 名",
        script="/srv/ä b.sh",
        args=("a", "", "{index}"),
        indexed=True,
        tasks=(("1", "é"), ()),
        priority=-7,
        retry=RetryPolicy(max_attempts=5, delay=0.5, on=("lost",), exit_codes=(1, 2)),
        env={"LANG": "C", "EMPTY": ""},
        cwd="/tmp",
        timeout=1.5,
        deadline=60.0,
        stop_timeout=0.0,
        stop_signal=2,
        leftovers="keep",
        success_codes=(0, 7),
        separate_stderr=True,
    )
    await submitted(store, spec)
    assert await store.spec(0) == replace(spec, tasks=None, num_tasks=2)
    assert [task.args for task in await store.tasks(0)] == [("1", "é"), ()]
    first, second = await claimed(store, 2)
    assert (first.spec, first.args, second.args) == (replace(spec, tasks=None, num_tasks=2), ("1", "é"), ())
    job = await the_job(store)
    assert (job.name, job.script, job.args, job.priority, job.num_tasks) == (spec.name, spec.script, spec.args, -7, 2)


async def test_a_submission_is_all_or_nothing(store: Store) -> None:
    """One job that cannot be kept undoes those before it, and its ids come again."""
    with pytest.raises(ValueError, match="at least one task"):
        await store.apply([Submit([a_spec(), a_spec(num_tasks=0)], AT)])
    assert (await store.count_jobs(), await store.last_seq()) == (0, 0)
    assert await submitted(store) == (0,)


async def test_the_same_key_answers_the_same_jobs(store: Store) -> None:
    """Once inserted, then replayed; another body is a mismatch; another key is another submission."""
    body = Submit([a_spec(), a_spec()], AT, key="k", body_hash="h")
    [first] = await store.apply([body])
    [again] = await store.apply([body])
    [other] = await store.apply([replace(body, body_hash="x")])
    assert (first.jobs, first.replayed, again.jobs, again.replayed) == ((0, 1), False, (0, 1), True)
    assert (other.jobs, other.mismatch) == ((), True)
    [new] = await store.apply([replace(body, key="k2")])
    assert (new.jobs, await store.count_jobs()) == ((2, 3), 4)


async def test_a_hundred_at_once_with_one_key_make_one_job(store: Store) -> None:
    """FAULT 2: the same key in parallel inserts once and answers all."""
    body = Submit([a_spec()], AT, key="k", body_hash="h")
    answers = await asyncio.gather(*(store.apply([body]) for _ in range(100)))
    assert {answer[0].jobs for answer in answers} == {(0,)}
    assert [answer[0].replayed for answer in answers].count(False) == 1
    assert await store.count_jobs() == 1


async def test_submit_and_claim_are_one_answer(store: Store) -> None:
    """A job that finds room is running in the same commit, and watchers see one change of the job."""
    outcome, tasks = await store.apply([Submit([a_spec()], AT), Claim(1, OWNER, AT)])
    assert tasks[0].job == outcome.jobs[0]
    assert [(e.kind, e.data["status"]) for e in await store.events()] == [
        (TASK_UPDATE, "running"),
        (JOB_UPDATE, "running"),
    ]


async def test_a_hundred_thousand_tasks_are_one_submission(store: Store) -> None:
    """Submitted, read in pages, stopped, restarted, each with one event a task where its status changed."""
    await submitted(store, a_spec(num_tasks=100_000))
    assert [task.number for task in await store.tasks(0, after=99_997)] == [99_998, 99_999]
    [stopping] = await store.apply([Stop(0, AT)])
    assert stopping.stopped == 100_000
    assert (await the_job(store)).counts == {Status.STOPPED: 100_000}
    assert await store.last_seq() == 100_002
    [last] = await store.events(after=100_000, limit=1)
    assert last.data == {
        "jobId": "job-0", "jobName": "my-task", "taskId": "job-0.99999", "status": "stopped", "attempt": 0, "cause": "stop",
    }  # fmt: skip


async def test_tasks_with_their_own_arguments_come_by_the_thousand(store: Store) -> None:
    """As many tasks as lists, in order."""
    await submitted(store, a_spec(tasks=tuple((f"file-{i}",) for i in range(5000))))
    assert [task.args for task in await all_tasks(store, 0)] == [(f"file-{i}",) for i in range(5000)]


# --- the order of claims


async def test_higher_priority_goes_first_then_the_oldest(store: Store) -> None:
    """Within one claim and across claims."""
    await submitted(store, a_spec("low", priority=-1), a_spec("a"), a_spec("high", priority=10), a_spec("b"))
    assert [run.spec.name for run in await claimed(store, 3)] == ["high", "a", "b"]
    assert [run.spec.name for run in await claimed(store, 3)] == ["low"]


@pytest.mark.parametrize("at_once", [1, 3, 8, 20])
async def test_nothing_starves(store: Store, at_once: int) -> None:
    """After PASSES tasks in a row that passed over an older one the oldest goes next, however many are claimed at once."""
    await submitted(store, a_spec("old-1"), a_spec("old-2"), *(a_spec("high", priority=10) for _ in range(18)))
    names: list[str] = []
    while found := await claimed(store, at_once):
        names += [run.spec.name for run in found]
    assert names == [*["high"] * PASSES, "old-1", *["high"] * PASSES, "old-2", *["high"] * 4]


async def test_a_claim_takes_no_more_than_asked_and_nothing_twice(store: Store) -> None:
    """Parallel claims share out the tasks; run ids are all different."""
    await submitted(store, a_spec(num_tasks=50))
    answers = await asyncio.gather(*(store.apply([Claim(3, OWNER, AT)], first=True) for _ in range(20)))
    runs = [run for answer in answers for run in answer[0]]
    assert all(len(answer[0]) <= 3 for answer in answers)
    assert sorted(run.number for run in runs) == list(range(50))
    assert len({run.run for run in runs}) == 50


async def test_a_claim_of_nothing_is_nothing(store: Store) -> None:
    """No room, or nothing ready."""
    assert await claimed(store) == ()
    await submitted(store)
    assert await claimed(store, 0) == ()


# --- events


async def test_each_change_of_status_is_one_event(store: Store) -> None:
    """The life of a job that crashes once, as watchers see it."""
    run = await running(store, retry=NO_RETRY)
    await store.apply([Progress(run.task, run.run, AT, 40, "on the way")])
    await ended(store, run, Change.RETRY)
    [again] = await claimed(store)
    await ended(store, again)
    told = [(e.kind, e.data["status"], e.data.get("progress"), e.data.get("exitCode")) for e in await store.events()]
    assert told == [
        (JOB_UPDATE, "pending", None, None),
        (TASK_UPDATE, "running", None, None),
        (JOB_UPDATE, "running", None, None),
        (JOB_UPDATE, "running", 40, None),
        (TASK_UPDATE, "retried", None, 3),
        (JOB_UPDATE, "retried", 40, 3),
        (TASK_UPDATE, "running", None, None),
        (JOB_UPDATE, "running", None, None),
        (TASK_UPDATE, "completed", None, 0),
        (JOB_UPDATE, "completed", 100, 0),
    ]
    assert (await store.events())[3].data["message"] == "on the way"


async def test_a_job_of_many_tasks_does_not_flood_its_watchers(store: Store) -> None:
    """One event a task and status, but of the job only where its status or its whole percent changes."""
    await submitted(store, a_spec(num_tasks=300))
    while runs := await claimed(store, 8):
        for run in runs:
            await ended(store, run)
    kinds = [event.kind for event in await store.events(limit=5000)]
    assert kinds.count(TASK_UPDATE) == 600
    assert kinds.count(JOB_UPDATE) <= 102
    last = (await store.events(after=await store.last_seq() - 1))[0]
    assert (last.data["status"], last.data["progress"], last.data["tasks"]) == ("completed", 100, {"completed": 300})


async def test_a_subscriber_that_fails_keeps_nobody_from_hearing(store: Store) -> None:
    """Nor the writer from going on."""
    heard: list[Event] = []

    def fail(_events: Sequence[Event]) -> None:
        raise ValueError("a bug")

    store.subscribe(fail)
    store.subscribe(heard.extend)
    await submitted(store)
    await submitted(store)
    assert seqs(heard) == [1, 2]


async def test_watchers_hear_what_was_committed_in_its_order(store: Store) -> None:
    """Each event once, in order, equal to what can be read, after it can be read; also those written in bulk."""
    heard: list[Event] = []
    store.subscribe(heard.extend)
    await submitted(store, a_spec(num_tasks=1200), a_spec())
    await asyncio.gather(claimed(store, 3), store.apply([Stop(0, AT)]), submitted(store))
    last = await store.last_seq()
    await eventually(lambda: len(heard) >= last)
    assert seqs(heard) == list(range(1, last + 1))
    assert heard == await store.events(limit=5000)


async def test_an_answer_comes_before_its_news(store: Store) -> None:
    """Who reads on hearing an event finds it."""
    found: list[int] = []
    read: list[asyncio.Task[None]] = []

    async def look(events: Sequence[Event]) -> None:
        found.append(await store.last_seq() - events[-1].seq)

    store.subscribe(lambda events: read.append(asyncio.create_task(look(events))))
    await submitted(store)
    await eventually(lambda: read)
    await read[0]
    assert found == [0]


async def test_old_events_and_keys_go_a_bounded_number_at_a_time(store: Store) -> None:
    """The newest sequence number stays known when all events have gone."""
    for number in range(6):
        await store.apply([Submit([a_spec()], AT + number, key=f"k{number}", body_hash="h")])
    assert await store.apply([Prune(AT + 4, AT + 3, limit=2)]) == [4]
    assert seqs(await store.events()) == [3, 4, 5, 6]
    assert await store.apply([Prune(AT + 4, AT + 3)]) == [3]
    assert seqs(await store.events()) == [5, 6]
    await store.apply([Prune(AT + 99, 0)])
    assert (await store.events(), await store.last_seq()) == ([], 6)
    [again] = await store.apply([Submit([a_spec()], AT, key="k3", body_hash="h")])
    assert again.replayed


# --- savepoints and the queue


async def test_one_failure_spoils_only_its_own_apply(store: Store) -> None:
    """Of many in one commit the bad one is undone whole, with its numbers; the others are there."""
    good = Submit([a_spec()], AT)
    bad = Submit([a_spec(), a_spec(num_tasks=0)], AT)
    answers = await asyncio.gather(
        *(store.apply([bad if i % 5 == 2 else good]) for i in range(50)), return_exceptions=True
    )
    assert [isinstance(answer, ValueError) for answer in answers] == [i % 5 == 2 for i in range(50)]
    assert await store.count_jobs() == 40
    assert [job.id for job in await all_jobs(store)] == list(range(40))
    assert seqs(await store.events()) == list(range(1, 41))


async def test_the_changes_of_one_apply_are_undone_together(store: Store) -> None:
    """A failure after a good change undoes the good one too."""
    run = await running(store)
    seq = await store.last_seq()
    with pytest.raises(ValueError, match="does not end"):
        await store.apply([Submit([a_spec()], AT), an_end(run), an_end(run, Change.PAUSE)])
    assert (await store.count_jobs(), (await the_job(store)).status, await store.last_seq()) == (1, Status.RUNNING, seq)
    assert await ended(store, run)


async def test_who_is_cancelled_while_waiting_does_not_disturb_others(store: Store) -> None:
    """The change of a cancelled caller may be there; the next caller is answered."""
    waiting = asyncio.create_task(store.apply([Submit([a_spec()], AT)]))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await submitted(store) == (1,)


async def test_a_closed_store_says_so(store: Store) -> None:
    """Close commits what is queued; what comes later is refused; closing twice is fine."""
    queued = [asyncio.create_task(store.apply([Submit([a_spec()], AT)])) for _ in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert sorted(answer[0].jobs[0] for answer in await asyncio.gather(*queued)) == list(range(20))
    with pytest.raises(ShuttingDown):
        await submitted(store)
    with pytest.raises(ShuttingDown):
        await store.job(0)


# --- reads


async def test_reads_come_in_pages_by_key(store: Store) -> None:
    """Jobs, tasks, attempts, open runs, finished tasks and events: what is above a key, in order, as many as asked."""
    await submitted(store, *(a_spec(num_tasks=3) for _ in range(3)))
    runs = await claimed(store, 9)
    assert await store.find_jobs(EVERY_JOB, OLDEST_FIRST, after=JobKey(None, 0), limit=1) == [JobKey(None, 1)]
    assert [task.number for task in await store.tasks(1, after=0, limit=1)] == [1]
    assert [run.task for run in await store.open_runs(after=runs[3].task, limit=2)] == [runs[4].task, runs[5].task]
    for run in runs[3:6]:
        await ended(store, run, Change.RETRY)
    assert len(await claimed(store, 9)) == 3
    keys = [(a.task_number, a.number) for a in await store.attempts(1)]
    assert keys == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert [(a.task_number, a.number) for a in await store.attempts(1, after=(0, 1), limit=2)] == keys[1:3]
    assert [(a.task_number, a.number) for a in await store.attempts(1, task=1, after=(1, 1))] == [(1, 2)]
    assert await store.attempts(1, task=3) == []
    assert (await store.tasks(9), await store.attempts(9), await store.spec(9), await store.job(9)) == (
        [],
        [],
        None,
        None,
    )


async def test_a_reader_sees_both_or_neither(store: Store) -> None:
    """Counters, status and the newest sequence move together, however often one looks."""
    await submitted(store, a_spec(num_tasks=60))
    stop = asyncio.Event()

    async def watch() -> int:
        looks = 0
        while not stop.is_set():
            job = await the_job(store)
            assert sum(job.counts.values()) == 60
            done = job.counts.get(Status.COMPLETED, 0)
            assert job.progress == done * 100 // 60
            assert (job.status is Status.COMPLETED) == (done == 60)
            looks += 1
        return looks

    watcher = asyncio.create_task(watch())
    while runs := await claimed(store, 3):
        await store.apply([an_end(run) for run in runs], first=True)
    stop.set()
    assert await watcher > 0
    job = await the_job(store)
    assert await recounted(store, 0) == (job.counts, job.status)


async def test_an_end_waits_for_nobody(store: Store) -> None:
    """Ends and claims go before what else is queued, however much that is."""
    run = await running(store)
    order: list[str] = []

    async def submit() -> None:
        await submitted(store)
        order.append("submitted")

    async def end() -> None:
        await store.apply([Finish(run.task, run.run, Change.COMPLETE, AT)], first=True)
        order.append("ended")

    await asyncio.gather(*(submit() for _ in range(4000)), end())
    assert order.index("ended") < 3999
