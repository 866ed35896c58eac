"""Databases of earlier versions are opened by this one, and say what they always said."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobmgr.job import MASKED, NO_RETRY, Cause, Change, Status
from jobmgr.store.base import Store, Submit
from jobmgr.store.listing import OLDEST_FIRST, JobFilter, JobOrder, SortBy
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import all_jobs, claimed, ended, recounted, seqs, the_job
from tests.data.write_database import AT, SPECS

DATA = Path(__file__).parents[1] / "data"


VERSIONS = ("0.1", "0.2", "0.3")


@asynccontextmanager
async def opened(version: str, folder: Path) -> AsyncIterator[Store]:
    """A copy of a kept database, open."""
    (folder / "data").mkdir(mode=0o700)
    shutil.copyfile(DATA / f"jobmgr-{version}.db", folder / "data" / "jobmgr.db")
    store = SqliteStore(folder / "data")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_database_of_an_earlier_version_is_opened(version: str, tmp_path: Path) -> None:
    """Jobs, attempts, keys, counters and what was running are all there, and work goes on."""
    async with opened(version, tmp_path) as store:
        assert [(job.id, job.name, job.status) for job in await all_jobs(store)][:4] == [
            (0, "plain", Status.COMPLETED),
            (1, "crash-then-pass", Status.COMPLETED),
            (2, "many", Status.RUNNING),
            (4, "waiting", Status.PENDING if version == "0.1" else Status.RUNNING),
        ]
        plain, many = await the_job(store, 0), await the_job(store, 2)
        assert (plain.result, plain.message, plain.duration_us, plain.exit_code, plain.created_at) == (
            {"lines": 12},
            "half",
            1000,
            0,
            AT,
        )
        assert (many.cause, many.signal, many.error, many.progress) == (Cause.SIGNAL, 9, "It was killed.", 66)
        assert [(a.number, a.exit_code) for a in await store.attempts(1)] == [(1, 3), (2, 0)]
        history = await store.history()
        assert [(row.job_id, row.task, row.attempt, row.status) for row in history][:4] == [
            ("job-0", 0, 1, "completed"),
            ("job-1", 0, 1, "retried"),
            ("job-1", 0, 2, "completed"),
            ("job-2", 0, 1, "completed"),
        ]
        assert ({row.concurrency for row in history} == {None}) is (version == "0.1")
        spec = await store.spec(2)
        assert spec is not None
        assert (spec.retry, spec.success_codes, spec.num_tasks) == (NO_RETRY, (0, 3), 3)
        first = (await store.open_runs())[0]
        assert (first.job, first.number, first.args, first.pid) == (2, 2, ("c.mp4",), 4004)
        for job in (0, 1, 2, 4):
            row = await the_job(store, job)
            assert await recounted(store, job) == (row.counts, row.status)
        [again] = await store.apply([Submit(SPECS, AT, key="key-1", body_hash="hash-1")])
        assert (again.jobs, again.replayed) == ((0, 1, 2, 3), True)
        assert seqs(await store.events()) == list(range(1, await store.last_seq() + 1))
        assert [run.spec.name for run in await claimed(store)] == ["waiting" if version == "0.1" else "typed"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_failures_of_an_earlier_version_kept_no_words(version: str, tmp_path: Path) -> None:
    """They are not among the failed attempts; what fails from now on is."""
    async with opened(version, tmp_path) as store:
        assert await store.failed_attempts() == []
        [run] = await claimed(store)
        await ended(store, run, Change.CRASH, last_lines="bad")
        assert [(row.job_name, row.last_lines) for row in await store.failed_attempts()] == [(run.spec.name, "bad")]


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_jobs_of_an_earlier_version_are_found(version: str, tmp_path: Path) -> None:
    """By status, name, argument and in every order, through indexes that were made later."""

    async def ids(found: JobFilter, order: JobOrder = OLDEST_FIRST) -> list[int]:
        return [key.id for key in await store.find_jobs(found, order) if key.id < 5]

    async with opened(version, tmp_path) as store:
        assert await ids(JobFilter(statuses=frozenset({Status.COMPLETED}))) == [0, 1]
        assert await ids(JobFilter(name="many")) == await ids(JobFilter(q="B.MP4")) == [2]
        assert await ids(JobFilter(), JobOrder(SortBy.FINISHED_AT, descending=True)) == [1, 0, 4, 2]
        assert await ids(JobFilter(), JobOrder(SortBy.NAME)) == [1, 2, 0, 4]


async def test_types_and_labels_of_version_0_2_are_there(tmp_path: Path) -> None:
    """What was submitted with them says so and is found by them; those of a deleted job are gone."""
    async with opened("0.2", tmp_path) as store:
        typed = await the_job(store, 5)
        assert (typed.type, typed.labels) == ("encode", {"team": "media", "disk": "a"})
        assert typed.params == {"input": "in.mp4", "key": MASKED, "quality": 3}
        spec = await store.spec(5)
        assert spec is not None
        assert spec.secret_env == {"KEY": "s3cret"}
        for found, expected in (
            (JobFilter(labels={"team": "media"}), [5, 6]),
            (JobFilter(labels={"disk": None}), [5]),
            (JobFilter(labels={"team": "gone"}), []),
            (JobFilter(type="encode"), [5]),
        ):
            assert [key.id for key in await store.find_jobs(found, OLDEST_FIRST)] == expected
