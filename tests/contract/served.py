"""A real ApiServer on a free port, with rows and a manager that the test holds in its hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from aiohttp import ClientSession

from jobmgr.admission import Admission
from jobmgr.api.server import ApiServer
from jobmgr.catalog import load_catalog
from jobmgr.config import Settings
from jobmgr.errors import IdempotencyMismatch, NotFound
from jobmgr.events import Event
from jobmgr.history import HistoryRow
from jobmgr.job import JobSpec, Status, job_id, parse_job_id
from jobmgr.manager import JobManager, Submission
from jobmgr.output import OutputFiles
from jobmgr.store.base import Claimed, Store
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST, JobFilter, JobKey, JobOrder
from jobmgr.store.records import Attempt, Job, Queued, Task
from tests.contract.list_model import listed, value_of

BORN = 1_763_798_400_250_000  # 2025-11-22T08:00:00.250Z


def a_job(number: int, **fields: Any) -> Job:
    """A job that runs, but for these fields."""
    job = Job(
        id=number,
        name=f"my-task-{number}",
        script="/srv/jobs/sample.sh",
        args=("arg1", "arg2"),
        type=None,
        params={},
        labels={},
        status=Status.RUNNING,
        cause=None,
        error=None,
        retries=0,
        exit_code=None,
        signal=None,
        progress=None,
        message=None,
        result=None,
        priority=0,
        round=1,
        num_tasks=1,
        counts={Status.RUNNING: 1},
        node="here-3000",
        pid=4711,
        created_at=BORN,
        started_at=BORN + 1000,
        finished_at=None,
        duration_us=None,
        output_bytes=None,
    )
    return replace(job, **fields)


def an_attempt(job: int, task: int = 0, number: int = 1, **fields: Any) -> Attempt:
    """An attempt that runs, but for these fields."""
    attempt = Attempt(
        job=job,
        task=job * 1000 + task,
        task_number=task,
        number=number,
        round=1,
        run="0123abcd",
        node="here-3000",
        pid=4711,
        status=Status.RUNNING,
        cause=None,
        error=None,
        exit_code=None,
        signal=None,
        core_dumped=False,
        progress=None,
        message=None,
        claimed_at=BORN + 500,
        started_at=BORN + 1000,
        ended_at=None,
        duration_us=None,
        queue_wait_us=2500,
        cpu_us=None,
        peak_rss_bytes=None,
        read_bytes=None,
        write_bytes=None,
        output_bytes=None,
        leftovers=0,
        result=None,
    )
    return replace(attempt, **fields)


def a_task(job: int, number: int = 0, **fields: Any) -> Task:
    """A task that runs its first attempt, but for these fields."""
    task = Task(job * 1000 + number, job, number, Status.RUNNING, 1, 0, None, None, an_attempt(job, number))
    return replace(task, **fields)


def a_row(task: int = 0, **fields: Any) -> HistoryRow:
    """The line of the only attempt of a task that completed, but for these fields; what is not given of its job is unknown."""
    row = HistoryRow(
        job_id=job_id(task),
        task=0,
        job_name=f"my-task-{task}",
        script=None,
        args=None,
        priority=None,
        group=None,
        node=None,
        created_at=BORN,
        started_at=BORN + 1000,
        finished_at=BORN + 2000,
        status=Status.COMPLETED.value,
        cause=None,
        exit_code=0,
        signal=None,
        round=1,
        attempt=1,
        retries=0,
        duration_us=1000,
        queue_wait_us=None,
        peak_rss_bytes=None,
        cpu_us=None,
        read_bytes=None,
        write_bytes=None,
        output_bytes=None,
        concurrency=None,
        place=(task, 1),
    )
    return replace(row, **fields)


@dataclass
class Rows:
    """What the store would say: the read verbs over lists that the test fills."""

    rows: dict[int, Job] = field(default_factory=dict)
    of_tasks: dict[int, list[Task]] = field(default_factory=dict)
    of_attempts: dict[int, list[Attempt]] = field(default_factory=dict)
    specs: dict[int, JobSpec] = field(default_factory=dict)
    past: list[HistoryRow] = field(default_factory=list)
    filters: list[JobFilter] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    broken_after: int | None = None
    told: list[Callable[[Sequence[Event]], None]] = field(default_factory=list)

    def add(self, job: Job, *, attempts: int = 1) -> Job:
        """Add a job whose tasks all had so many attempts, the newest in the status of the job."""
        self.rows[job.id] = job
        each = [an_attempt(job.id, t, n) for t in range(job.num_tasks) for n in range(1, attempts + 1)]
        newest = {a.task_number: replace(a, status=job.status) for a in each}
        self.of_attempts[job.id] = each
        self.of_tasks[job.id] = [
            a_task(job.id, t, status=job.status, attempt=attempts, newest=newest.get(t)) for t in range(job.num_tasks)
        ]
        self.specs[job.id] = JobSpec(job.name, job.script, job.args)
        return job

    def change(self, job: int, status: Status, *, attempt: int = 1) -> None:
        """Change the status of a job and its task, and tell whoever subscribed."""
        self.rows[job] = replace(self.rows[job], status=status)
        self.of_tasks[job] = [replace(task, status=status, attempt=attempt) for task in self.of_tasks[job]]
        for told in self.told:
            told([Event(1, BORN, "job-update", job, {})])

    async def job(self, job: int) -> Job | None:
        return self.rows.get(job)

    async def spec(self, job: int) -> JobSpec | None:
        return self.specs.get(job)

    async def find_jobs(
        self, found: JobFilter, order: JobOrder, *, after: JobKey | None = None, limit: int = 500
    ) -> list[JobKey]:
        places = {number: JobKey(value_of(self.rows[number], order), number) for number in self._listed(found, order)}
        if not order.descending:  # The newest is asked for before the list begins.
            self.pages.append(limit)
        if self.broken_after is not None and after is not None and after.id >= self.broken_after:
            raise OSError(5, "the disk is gone", "/secret/place")
        ids = list(places)
        return [places[number] for number in ids[0 if after is None else ids.index(after.id) + 1 :][:limit]]

    def _listed(self, found: JobFilter, order: JobOrder) -> list[int]:
        return listed(list(self.rows.values()), found, order)

    async def jobs(self, ids: Sequence[int]) -> list[Job]:
        return [self.rows[number] for number in ids if number in self.rows]

    async def count_jobs(self, found: JobFilter = EVERY_JOB) -> int:
        return len(self._listed(found, OLDEST_FIRST))

    async def tasks(self, job: int, *, after: int = -1, limit: int = 500) -> list[Task]:
        return [task for task in self.of_tasks.get(job, []) if task.number > after][:limit]

    async def attempts(
        self, job: int, *, task: int | None = None, after: tuple[int, int] = (-1, 0), limit: int = 500
    ) -> list[Attempt]:
        found = [a for a in self.of_attempts[job] if task in (None, a.task_number)]
        return [a for a in found if (a.task_number, a.number) > after][:limit]

    async def history(
        self, *, found: JobFilter = EVERY_JOB, after: tuple[int, int] = (-1, -1), limit: int = 500
    ) -> list[HistoryRow]:
        self.filters.append(found)
        if self.broken_after is not None and after[0] >= self.broken_after:
            raise OSError(5, "the disk is gone", "/secret/place")
        return [row for row in self.past if row.place > after][:limit]

    async def history_of(self, tasks: Sequence[tuple[int, int]]) -> list[HistoryRow]:
        return [row for row in self.past if (parse_job_id(row.job_id), row.task) in tasks]

    async def open_runs(self, *, after: int = -1, limit: int = 500) -> list[Claimed]:
        return []

    async def queue(self, limit: int) -> list[Queued]:
        return []

    async def outcomes_version(self) -> int:
        return 0

    async def last_seq(self) -> int:
        return 0

    def subscribe(self, callback: Callable[[Sequence[Event]], None]) -> None:
        self.told.append(callback)


@dataclass
class Recorder:
    """Takes what the handlers ask of the manager, and answers or raises as the test wants."""

    rows: Rows
    ready: bool = True
    accepting: bool = True
    fails: BaseException | None = None
    submitted: list[JobSpec] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    keys: dict[str, tuple[str | None, Submission]] = field(default_factory=dict)

    async def submit(
        self, specs: Sequence[JobSpec], *, key: str | None = None, body_hash: str | None = None
    ) -> Submission:
        self._fail()
        if key in self.keys:
            known, first = self.keys[key]
            if known != body_hash:
                raise IdempotencyMismatch
            return replace(first, replayed=True)
        first_id = len(self.submitted)
        self.submitted.extend(specs)
        submission = Submission(tuple((first_id + i, Status.RUNNING) for i in range(len(specs))))
        if key is not None:
            self.keys[key] = (body_hash, submission)
        return submission

    def delete_submitted(self) -> None:
        """Let all jobs that were submitted with a key be deleted."""
        for key, (body_hash, submission) in self.keys.items():
            self.keys[key] = (body_hash, replace(submission, jobs=tuple((job, None) for job, _ in submission.jobs)))

    async def stop(self, job: int) -> Job:
        return self._verb("stop", job)

    async def restart(self, job: int) -> Job:
        return self._verb("restart", job)

    async def delete(self, job: int) -> None:
        self._verb("delete", job)

    def _verb(self, verb: str, job: int) -> Job:
        self.asked.append((verb, job))
        self._fail()
        if job not in self.rows.rows:
            raise NotFound("job", job_id(job))
        return self.rows.rows[job]

    def _fail(self) -> None:
        if self.fails is not None:
            raise self.fails


@dataclass
class Served:
    """The server, what lies behind it, and a client."""

    server: ApiServer
    rows: Rows
    manager: Recorder
    outputs: OutputFiles
    client: ClientSession

    @property
    def untouched(self) -> bool:
        """Whether nothing was created, and no verb reached the manager."""
        return not self.manager.submitted and not self.manager.asked

    def print(self, job: int, content: bytes, *, task: int = 0, attempt: int = 1) -> Path:
        """Let an attempt have printed this."""
        path = Path(self.outputs.prepare(job, task, attempt).output)
        path.write_bytes(content)
        return path

    async def raw(self, request: bytes, *, more: AsyncIterator[bytes] | None = None) -> bytes:
        """Send bytes, perhaps more of them, and return everything that comes until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(request)
            if more is not None:
                async for piece in more:
                    writer.write(piece)
                    await writer.drain()
        except ConnectionError:
            pass  # It need not listen to the end; what it answered before is what counts.
        try:
            async with asyncio.timeout(30):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def serving(directory: Path, *, store: Store | None = None, **settings: Any) -> AsyncIterator[Served]:
    """Serve from a directory with a program to run, on a free port; with a store of its own in place of held rows."""
    program = directory / "program.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    chosen = Settings.model_validate({"PORT": 0, "JOB_SCRIPT_PATH": program} | settings)
    rows = Rows()
    manager = Recorder(rows)
    outputs = OutputFiles(directory / "output")
    catalog = load_catalog(directory / "jobs.toml")
    admission = Admission(default_script=program, scripts_dir=directory, catalog=catalog)
    # The fakes have the part of each interface that handlers use; the suite of the whole server covers the rest.
    server = ApiServer(chosen, cast(JobManager, manager), admission, store or cast(Store, rows), outputs)
    await server.start()
    try:
        async with ClientSession(server.address) as client:
            yield Served(server, rows, manager, outputs, client)
    finally:
        await server.stop()
