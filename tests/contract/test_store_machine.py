"""The contract of every store, III: whatever happens in whatever order, the counters equal a recount and the events tell the truth."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobmgr.events import Event
from jobmgr.job import ACTIVE, FINISHED, Change, Status, job_id
from jobmgr.store.base import Claim, Claimed, Delete, MakeDue, Restart, Stop, Store, StoreChange, Submit, Unbegin
from jobmgr.store.listing import OLDEST_FIRST, JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.sqlite import SqliteStore
from tests.contract.list_model import listed
from tests.contract.stores import AT, OWNER, a_spec, all_jobs, all_tasks, an_end, recounted, seqs
from tests.waiting import eventually

LISTS = (
    (JobFilter(statuses=FINISHED), JobOrder(SortBy.FINISHED_AT, descending=True)),
    (JobFilter(statuses=ACTIVE, name="name-1"), OLDEST_FIRST),
    (JobFilter(labels={"size": "2"}), JobOrder(SortBy.NAME)),
    (JobFilter(since=AT + 100), JobOrder(SortBy.FINISHED_AT)),
)
ENDS = (Change.COMPLETE, Change.CRASH, Change.RETRY, Change.STOP, Change.LOSE, Change.REFUSE)


class AnyOrder(RuleBasedStateMachine):
    """Random changes, several in one apply, some of which fail; after each, all is recounted from the tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.store: Store = SqliteStore(Path(self.folder.name) / "data")
        self.heard: list[Any] = []
        self.store.subscribe(self.heard.extend)
        self.loop.run_until_complete(self.store.open())
        self.runs: list[Claimed] = []
        self.jobs: set[int] = set()
        self.at = AT
        self.given = 0

    def apply(self, *changes: StoreChange) -> list[Any]:
        """Do them in one apply, a little later than the last."""
        self.at += 10
        return self.loop.run_until_complete(self.store.apply(changes))

    @rule(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3), priority=st.sampled_from([0, 10]))
    def submit(self, sizes: list[int], priority: int) -> None:
        """New jobs have ids that none had before."""
        specs = [
            a_spec(f"name-{size % 2}", num_tasks=size, priority=priority, labels={"size": str(size)}) for size in sizes
        ]
        [outcome] = self.apply(Submit(specs, self.at))
        assert outcome.jobs[0] >= self.given
        self.given = outcome.jobs[-1] + 1
        self.jobs |= set(outcome.jobs)

    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        """What is claimed is claimed once."""
        [runs] = self.apply(Claim(limit, OWNER, self.at))
        assert not {run.run for run in runs} & {run.run for run in self.runs}
        self.runs += runs

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), change=st.sampled_from(ENDS), due=st.booleans())
    def end(self, data: st.DataObject, change: Change, due: bool) -> None:
        """Old runs and new ones end, also twice."""
        run = data.draw(st.sampled_from(self.runs))
        self.apply(an_end(run, change, at=self.at, due_at=self.at + 50 if due else None))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def unbegin(self, data: st.DataObject) -> None:
        """Any run may turn out never to have begun."""
        self.apply(Unbegin(data.draw(st.sampled_from(self.runs)).task, self.runs[-1].run, self.at))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), verb=st.sampled_from([Stop, Restart]))
    def ask(self, data: st.DataObject, verb: type[Stop | Restart]) -> None:
        """Stop and restart at any time."""
        self.apply(verb(data.draw(st.sampled_from(sorted(self.jobs))), self.at))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A deleted job is gone."""
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.apply(Delete(job, self.at))
        if self.loop.run_until_complete(self.store.job(job)) is None:
            self.jobs.discard(job)

    @rule()
    def time_passes(self) -> None:
        """Waiting tasks become ready."""
        self.at += 50
        self.apply(MakeDue(self.at))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def several_at_once(self, data: st.DataObject) -> None:
        """Ends, claim, submission and stop in one apply."""
        ends = [an_end(run, at=self.at) for run in data.draw(st.lists(st.sampled_from(self.runs), max_size=3))]
        *_, submitted, runs, _ = self.apply(
            *ends, Submit([a_spec(num_tasks=2)], self.at), Claim(2, OWNER, self.at), Stop(0, self.at)
        )
        self.given = submitted.jobs[-1] + 1
        self.jobs |= set(submitted.jobs)
        self.runs += runs

    @rule()
    def one_fails(self) -> None:
        """A failing apply leaves nothing, not even its sequence numbers."""
        try:
            self.apply(Submit([a_spec()], self.at), Claim(3, OWNER, self.at), Submit([a_spec(num_tasks=0)], self.at))
        except ValueError:
            return
        raise AssertionError

    @invariant()
    def all_is_as_recounted(self) -> None:
        """Counters, status, progress, and who is open."""
        self.loop.run_until_complete(self._recount())

    async def _recount(self) -> None:
        jobs = await all_jobs(self.store)
        assert {job.id for job in jobs} == self.jobs
        assert await self.store.count_jobs() == len(jobs)
        open_runs = {run.task for run in await self.store.open_runs()}
        for job in jobs:
            counts, status = await recounted(self.store, job.id)
            assert (job.counts, job.status) == (counts, status)
            assert (job.finished_at is not None) == (status in FINISHED)
            tasks = await all_tasks(self.store, job.id)
            assert {t.id for t in tasks if t.status in (Status.RUNNING, Status.PAUSED)} == {
                t.id for t in tasks
            } & open_runs
            assert all(
                t.newest is None or t.newest.status == t.status or t.status in _AFTER[t.newest.status] for t in tasks
            )

    @invariant()
    def lists_are_what_the_model_says(self) -> None:
        """By status, name and label, in every order, page by page."""
        self.loop.run_until_complete(self._compare_lists())

    async def _compare_lists(self) -> None:
        jobs = await all_jobs(self.store)
        for found, order in LISTS:
            seen: list[JobKey] = []
            while page := await self.store.find_jobs(found, order, after=seen[-1] if seen else None, limit=3):
                seen += page
            assert [key.id for key in seen] == listed(jobs, found, order)
            assert await self.store.count_jobs(found) == len(seen)

    @invariant()
    def events_tell_the_truth(self) -> None:
        """Their numbers have no gap, watchers heard them all, and the last of each job says what it is."""
        self.loop.run_until_complete(self._compare_events())

    async def _compare_events(self) -> None:
        events: list[Event] = []
        after = 0
        while page := await self.store.events(after=after, limit=100):
            events, after = events + page, page[-1].seq
        assert seqs(events) == list(range(1, await self.store.last_seq() + 1))
        await eventually(lambda: len(self.heard) >= len(events))
        assert self.heard == events
        told = {event.data["jobId"]: event.data["status"] for event in events if event.kind == "job-update"}
        assert {job_id(job.id): job.status for job in await all_jobs(self.store)}.items() <= told.items()

    def teardown(self) -> None:
        """Close, and let the file go."""
        self.loop.run_until_complete(self.store.close())
        self.loop.close()
        self.folder.cleanup()


# A task may have gone on since its newest attempt ended: it waits again, or was stopped while it waited.
_AFTER = {
    Status.RUNNING: set(),
    Status.RETRIED: {Status.STOPPED, Status.PENDING},
} | {status: {Status.PENDING, Status.STOPPED} for status in FINISHED}

AnyOrder.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyOrder = AnyOrder.TestCase
