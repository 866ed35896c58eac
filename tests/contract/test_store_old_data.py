"""Databases of earlier versions are opened by this one, and say what they always said."""

from __future__ import annotations

import shutil
from pathlib import Path

from jobmgr.job import NO_RETRY, Cause, Status
from jobmgr.store.base import Submit
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import all_jobs, claimed, recounted, seqs, the_job
from tests.data.write_database import AT, SPECS

DATA = Path(__file__).parents[1] / "data"


async def test_a_database_of_version_0_1_is_opened(tmp_path: Path) -> None:
    """Jobs, attempts, keys, counters and what was running are all there, and work goes on."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(DATA / "jobmgr-0.1.db", tmp_path / "data" / "jobmgr.db")
    store = SqliteStore(tmp_path / "data")
    await store.open()
    try:
        assert [(job.id, job.name, job.status) for job in await all_jobs(store)] == [
            (0, "plain", Status.COMPLETED),
            (1, "crash-then-pass", Status.COMPLETED),
            (2, "many", Status.RUNNING),
            (4, "waiting", Status.PENDING),
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
        assert {row.concurrency for row in history} == {None}
        spec = await store.spec(2)
        assert spec is not None
        assert (spec.retry, spec.success_codes, spec.num_tasks) == (NO_RETRY, (0, 3), 3)
        assert [(run.job, run.number, run.args, run.pid) for run in await store.open_runs()] == [
            (2, 2, ("c.mp4",), 4004)
        ]
        for job in (0, 1, 2, 4):
            row = await the_job(store, job)
            assert await recounted(store, job) == (row.counts, row.status)
        [again] = await store.apply([Submit(SPECS, AT, key="key-1", body_hash="hash-1")])
        assert (again.jobs, again.replayed) == ((0, 1, 2, 3), True)
        assert seqs(await store.events()) == list(range(1, await store.last_seq() + 1))
        assert [run.spec.name for run in await claimed(store)] == ["waiting"]
    finally:
        await store.close()
