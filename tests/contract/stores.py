"""What the tests of every store share: a submission, a claim, an end, and the recount that the counters must equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from jobmgr.job import FINISHED, Cause, Change, JobSpec, Status, derive
from jobmgr.store.base import Claim, Claimed, Finish, Owner, Store, Submit
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST
from jobmgr.store.records import Job, Task

AT = 1_763_798_400_000_000  # 2025-11-22T08:00:00Z
OWNER = Owner("here-3000", "incarnation-1", "boot-1")


def a_spec(name: str = "my-task", **fields: Any) -> JobSpec:
    """A submission, complete."""
    return JobSpec(name=name, script="/srv/jobs/sample.sh", **fields)


async def submitted(store: Store, *specs: JobSpec, at: int = AT) -> tuple[int, ...]:
    """Submit jobs, one where none is given."""
    [outcome] = await store.apply([Submit(specs or (a_spec(),), at)])
    jobs: tuple[int, ...] = outcome.jobs
    return jobs


async def claimed(store: Store, limit: int = 1, *, at: int = AT) -> tuple[Claimed, ...]:
    """Claim ready tasks."""
    [tasks] = await store.apply([Claim(limit, OWNER, at)], first=True)
    found: tuple[Claimed, ...] = tasks
    return found


async def running(store: Store, **fields: Any) -> Claimed:
    """A job of one task that runs."""
    await submitted(store, a_spec(**fields))
    [run] = await claimed(store)
    return run


def an_end(run: Claimed, change: Change = Change.COMPLETE, *, at: int = AT + 5000, **fields: Any) -> Finish:
    """The end of a run."""
    facts: dict[str, Any] = {"exit_code": 0} if change is Change.COMPLETE else {}
    if change in (Change.CRASH, Change.RETRY):
        facts = {"cause": Cause.EXIT, "exit_code": 3, "error": "It ended with exit code 3."}
    return Finish(run.task, run.run, change, at, **(facts | fields))


async def ended(store: Store, run: Claimed, change: Change = Change.COMPLETE, **fields: Any) -> bool:
    """End a run."""
    [done] = await store.apply([an_end(run, change, **fields)], first=True)
    return bool(done)


async def the_job(store: Store, job: int = 0) -> Job:
    """A job that is there."""
    found = await store.job(job)
    assert found is not None
    return found


async def all_jobs(store: Store) -> list[Job]:
    """All jobs, oldest first."""
    keys = await store.find_jobs(EVERY_JOB, OLDEST_FIRST, limit=100_000)
    return await store.jobs([key.id for key in keys])


async def all_tasks(store: Store, job: int) -> list[Task]:
    """All tasks of a job, page by page."""
    tasks: list[Task] = []
    while page := await store.tasks(job, after=len(tasks) - 1, limit=100):
        tasks += page
    return tasks


async def recounted(store: Store, job: int) -> tuple[Counter[Status], Status]:
    """What counters and status of a job must be, from its tasks."""
    tasks = await all_tasks(store, job)
    counts = Counter(task.status for task in tasks)
    row = await the_job(store, job)
    begun = any(attempt.round == row.round for attempt in await store.attempts(job)) or any(
        task.status in FINISHED for task in tasks
    )
    return counts, derive(counts, begun=begun and len(tasks) > 1)


def seqs(events: Sequence[Any]) -> list[int]:
    """The sequence numbers of events."""
    return [event.seq for event in events]
