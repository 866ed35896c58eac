"""The contract of every store, V: the history, page by page."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from jobmgr.history import HistoryRow, to_line
from jobmgr.job import Cause, Change, Status, parse_job_id
from jobmgr.store.base import Begin, Claim, Claimed, Delete, MakeDue, Restart, Stop, Store, Unbegin
from jobmgr.store.listing import EVERY_JOB, JobFilter, JobKey
from jobmgr.store.sqlite_history import read_history
from tests.contract.stores import AT, OWNER, a_spec, an_end, claimed, ended, submitted

T = TypeVar("T")
LARGE = "x" * 256 * 1024


async def all_history(store: Store, *, limit: int = 500, found: JobFilter = EVERY_JOB) -> list[HistoryRow]:
    """Everything, page by page."""
    rows: list[HistoryRow] = []
    while page := await store.history(found=found, after=rows[-1].place if rows else (-1, -1), limit=limit):
        rows += page
    return rows


def told(rows: Sequence[HistoryRow]) -> list[tuple[str, int, int, int, str]]:
    """What says which row it is, and the status."""
    return [(row.job_id, row.task, row.round, row.attempt, row.status) for row in rows]


async def retried(store: Store, run: Claimed) -> Claimed:
    """Let it crash and be tried again at once."""
    await ended(store, run, Change.RETRY, due_at=AT)
    await store.apply([MakeDue(AT)])
    [again] = await claimed(store)
    return again


async def test_a_row_has_all_that_is_known_of_an_attempt(store: Store) -> None:
    """Of the job, of the task and of the attempt."""
    await submitted(store, a_spec("encode", args=("a", "b"), priority=10))
    [run] = await claimed(store, at=AT + 2_000)
    await store.apply([Begin(run.task, run.run, 41, 99, AT + 3_000)])
    await ended(
        store,
        run,
        Change.CRASH,
        cause=Cause.SIGNAL,
        exit_code=None,
        signal=9,
        ended_at=AT + 5_000,
        duration_us=2_000,
        cpu_us=1_500,
        peak_rss_bytes=7,
        read_bytes=8,
        write_bytes=9,
        output_bytes=10,
    )
    assert await all_history(store) == [
        HistoryRow(
            job_id="job-0",
            task=0,
            job_name="encode",
            script="/srv/jobs/sample.sh",
            args=("a", "b"),
            priority=10,
            group=None,
            node=OWNER.node,
            created_at=AT,
            started_at=AT + 3_000,
            finished_at=AT + 5_000,
            status="crashed",
            cause="signal",
            exit_code=None,
            signal=9,
            round=1,
            attempt=1,
            retries=0,
            duration_us=2_000,
            queue_wait_us=2_000,
            peak_rss_bytes=7,
            cpu_us=1_500,
            read_bytes=8,
            write_bytes=9,
            output_bytes=10,
            concurrency=1,
            place=(run.task, 1),
        )
    ]


async def test_a_task_that_never_began_is_its_attempt_0(store: Store) -> None:
    """It waits, or was stopped while it waited; nothing of a process is known."""
    await submitted(store, a_spec("waits"), a_spec("stopped"))
    await store.apply([Stop(1, AT)])
    rows = await all_history(store)
    assert told(rows) == [("job-0", 0, 1, 0, "pending"), ("job-1", 0, 1, 0, "stopped")]
    assert {(row.started_at, row.finished_at, row.node, row.queue_wait_us, row.concurrency) for row in rows} == {
        (None,) * 5
    }


async def test_an_attempt_that_runs_has_started(store: Store) -> None:
    """Until its process is stored, when it was asked for."""
    await submitted(store)
    await claimed(store, at=AT + 7)
    [row] = await all_history(store)
    assert (row.status, row.started_at, row.finished_at, row.duration_us) == ("running", AT + 7, None, None)


async def test_every_attempt_of_a_retried_task_is_a_row(store: Store) -> None:
    """Each says how many crashes were retried before."""
    await submitted(store)
    [run] = await claimed(store)
    run = await retried(store, run)
    run = await retried(store, run)
    await ended(store, run)
    rows = await all_history(store)
    assert [(row.attempt, row.status, row.retries) for row in rows] == [
        (1, "retried", 0),
        (2, "retried", 1),
        (3, "completed", 2),
    ]


async def test_a_restart_goes_on_with_the_numbers_in_a_new_round(store: Store) -> None:
    """What was retried in the round before does not count; until it begins again, attempt 0 says that it waits."""
    await submitted(store)
    [run] = await claimed(store)
    await ended(store, await retried(store, run))
    await store.apply([Restart(0, AT)])
    before = told(await all_history(store))
    assert before[-1] == ("job-0", 0, 2, 0, "pending")
    [run] = await claimed(store)
    await ended(store, run, Change.CRASH)
    rows = await all_history(store)
    assert told(rows)[:2] == before[:2]
    assert told(rows)[2:] == [("job-0", 0, 2, 3, "crashed")]
    assert rows[-1].retries == 0


async def test_what_was_stopped_while_it_waited_for_another_attempt_is_told(store: Store) -> None:
    """The attempt itself crashed; that the task was stopped follows as attempt 0."""
    await submitted(store)
    [run] = await claimed(store)
    await ended(store, run, Change.RETRY, due_at=AT + 1)
    assert told(await all_history(store)) == [("job-0", 0, 1, 1, "retried")]
    await store.apply([Stop(0, AT)])
    rows = await all_history(store)
    assert told(rows) == [("job-0", 0, 1, 1, "retried"), ("job-0", 0, 1, 0, "stopped")]
    assert rows[-1].retries == 1


async def test_what_never_began_after_all_leaves_no_attempt(store: Store) -> None:
    """Its number comes again."""
    await submitted(store)
    [run] = await claimed(store)
    await store.apply([Unbegin(run.task, run.run, AT)])
    assert told(await all_history(store)) == [("job-0", 0, 1, 0, "pending")]


async def test_each_task_has_its_arguments(store: Store) -> None:
    """Its own, or those of the job with its number filled in."""
    await submitted(
        store,
        a_spec(num_tasks=3, indexed=True, args=("in-{index}", "x")),
        a_spec(num_tasks=2, tasks=(("a",), ("b", "{index}"))),
    )
    await claimed(store, 2)
    rows = await all_history(store)
    assert [row.args for row in rows] == [("in-0", "x"), ("in-1", "x"), ("in-2", "x"), ("a",), ("b", "{index}")]


async def test_a_deleted_job_leaves_nothing(store: Store) -> None:
    """Also when it goes between two pages."""
    await submitted(store, *(a_spec() for _ in range(4)))
    for run in await claimed(store, 4):
        await ended(store, run)
    [first] = await store.history(limit=1)
    await store.apply([Delete(0, AT), Delete(1, AT)])
    rest = await store.history(after=first.place)
    assert [row.job_id for row in rest] == ["job-2", "job-3"]


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_pages_of_any_size_give_the_same(store: Store, limit: int) -> None:
    """Every row once, in order, whatever the tasks have been through."""
    await submitted(store, a_spec(num_tasks=3), a_spec("waits", priority=-1), a_spec(), a_spec(num_tasks=2, priority=1))
    runs = await claimed(store, 5)
    for run in runs:
        await ended(store, await retried(store, run))
    await store.apply([Restart(0, AT), Restart(3, AT)])
    for run in await claimed(store, 1):
        await ended(store, run, Change.RETRY, due_at=AT + 1)
    rows = await all_history(store, limit=limit)
    assert rows == await all_history(store)
    attempts, waiting = 5 + 5 + 1, 4 + 2
    assert len({(row.job_id, row.task, row.attempt) for row in rows}) == len(rows) == attempts + waiting
    assert [row.place for row in rows] == sorted(row.place for row in rows)


async def test_a_filter_gives_the_rows_of_its_jobs(store: Store) -> None:
    """By name and by the time of submission, in pages like all of it."""
    for number in range(6):
        await submitted(store, a_spec("even" if number % 2 == 0 else "odd", num_tasks=2), at=AT + number)
    await claimed(store, 5)
    for limit in (1, 3, 500):
        rows = await all_history(store, limit=limit, found=JobFilter(name="odd"))
        assert [(row.job_id, row.task) for row in rows] == [
            (f"job-{job}", task) for job in (1, 3, 5) for task in (0, 1)
        ]
        rows = await all_history(store, limit=limit, found=JobFilter(since=AT + 2, until=AT + 4))
        assert [row.job_id for row in rows] == ["job-2"] * 2 + ["job-3"] * 2
    assert await all_history(store, found=JobFilter(name="neither")) == []


async def test_what_is_claimed_keeps_how_many_run_with_it(store: Store) -> None:
    """With r running already, the k tasks of a claim are number r + 1 to r + k."""
    await submitted(store, *(a_spec() for _ in range(5)))
    await store.apply([Claim(2, OWNER, AT, running=0)])
    await store.apply([Claim(3, OWNER, AT, running=7)])
    assert [row.concurrency for row in await all_history(store)] == [1, 2, 8, 9, 10]


async def test_a_page_is_cut_by_its_bytes(store: Store) -> None:
    """Large arguments, of jobs and of tasks, are not gathered by the hundred."""
    await submitted(store, *(a_spec(args=(LARGE,)) for _ in range(20)))
    await submitted(store, a_spec(num_tasks=20, tasks=tuple((LARGE,) for _ in range(20))))
    await submitted(store, a_spec(num_tasks=20, indexed=True, args=(LARGE + "{index}",)))
    pages, place = [], (-1, -1)
    tracemalloc.start()
    try:
        while page := await store.history(after=place):
            place = page[-1].place
            pages.append(len(page))
            del page  # What the test keeps is no matter of the store, whose thread may keep a page a moment longer.
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(pages) == 60
    assert max(pages) <= 5
    assert peak < 16 * len(LARGE)


async def test_the_tasks_of_one_job_share_what_was_submitted(store: Store) -> None:
    """It is read and parsed once a page, not once a task."""
    await submitted(store, a_spec(num_tasks=500, env={"E": LARGE}, args=("a", "b")))
    tracemalloc.start()
    try:
        rows = await store.history()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows) == 500
    assert len({id(row.args) for row in rows}) == 1
    assert peak < 8 * len(LARGE)


async def test_the_memory_of_a_long_history_is_flat(store: Store) -> None:
    """200,000 rows of jobs with many tasks cost, page by page, what the first page costs."""
    await submitted(store, *(a_spec(num_tasks=50_000, indexed=True, args=("in-{index}",)) for _ in range(4)))
    await store.apply([an_end(run) for run in await claimed(store, 1000)])
    count, place, peaks = 0, (-1, -1), []
    tracemalloc.start()
    try:
        while page := await store.history(after=place):
            count, place = count + len(page), page[-1].place
            assert all(to_line(row) for row in page[:1])
            peaks.append(tracemalloc.get_traced_memory()[1])
            page.clear()
    finally:
        tracemalloc.stop()
    assert count == 200_000
    assert peaks[-1] < 2 * peaks[2]


async def test_statuses_of_every_kind_are_told(store: Store) -> None:
    """As words; a lost one may still become what it truly was."""
    await submitted(store, *(a_spec() for _ in range(4)))
    changes = (Change.COMPLETE, Change.CRASH, Change.STOP, Change.LOSE)
    runs = await claimed(store, 4)
    for run, change in zip(runs, changes, strict=True):
        await ended(store, run, change)
    assert [row.status for row in await all_history(store)] == ["completed", "crashed", "stopped", "lost"]
    await ended(store, runs[3])
    last = (await all_history(store))[-1]
    assert (last.status, type(last.status)) == (Status.COMPLETED, str)


async def test_named_tasks_are_read_as_in_the_whole(store: Store) -> None:
    """All rows of each, those that are not there left out; also of numbers that a job does not have."""
    await submitted(store, a_spec(num_tasks=3), a_spec(), a_spec(num_tasks=2, tasks=(("a",), ("b",))))
    runs = await claimed(store, 5)
    await ended(store, await retried(store, runs[1]))
    for run in (runs[0], runs[2], runs[3]):
        await ended(store, run)
    await store.apply([Restart(0, AT), Delete(1, AT)])
    rows = await all_history(store)
    wanted = [(0, 1), (0, 2), (1, 0), (2, 1), (2, 2), (7, 0)]
    assert await store.history_of(wanted) == [row for row in rows if (parse_job_id(row.job_id), row.task) in wanted]
    assert await store.history_of([(1, 0), (2, 2)]) == await store.history_of([]) == []


async def test_named_tasks_come_in_pages_of_whole_tasks(store: Store) -> None:
    """Large arguments are not gathered by the hundred, and a task is never cut."""
    await submitted(store, a_spec(num_tasks=20, indexed=True, args=(LARGE + "{index}",)))
    await retried(store, (await claimed(store))[0])
    wanted, pages = [(0, number) for number in range(20)], []
    while page := await store.history_of(wanted):
        pages.append(page)
        wanted = wanted[wanted.index((0, page[-1].task)) + 1 :]
    assert [row for page in pages for row in page] == await all_history(store)
    assert max(map(len, pages)) <= 6
    assert [row.attempt for row in pages[0][:2]] == [1, 2]


async def test_the_first_page_begins_where_the_filter_does() -> None:
    """Not at the oldest job there is: with `since`, a million jobs before it would each be asked, once some first ones are deleted."""
    asked: list[int] = []

    async def read(_read: Callable[[sqlite3.Connection], T]) -> T:
        raise AssertionError("no job is looked up before the filter was asked")

    async def find(above: int, _limit: int) -> list[JobKey]:
        asked.append(above)
        return []

    assert await read_history(read, find, (-1, -1), 10) == []
    assert asked == [-1]
