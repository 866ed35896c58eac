"""`eta` over HTTP: in lists and single jobs, of what runs and what waits, and what it does to the `ETag`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.store.base import Store
from jobmgr.store.sqlite import SqliteStore
from tests.contract.served import Served, serving
from tests.contract.stores import a_spec, claimed, ended, submitted
from tests.waiting import eventually


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Store]:
    """job-0 … job-9 took a minute each, job-10 has run for 20 s, job-11 waits, of job-12 one task runs and one waits."""
    store = SqliteStore(tmp_path / "kept")
    await store.open()
    for _ in range(10):
        await submitted(store)
        [run] = await claimed(store)
        await ended(store, run, duration_us=60 * MICROSECONDS)
    await submitted(store, a_spec(priority=3), a_spec(), a_spec(priority=2, num_tasks=2))
    await claimed(store, 2, at=now_us() - 20 * MICROSECONDS)
    yield store
    await store.close()


@pytest.fixture
async def served(tmp_path: Path, kept: Store) -> AsyncIterator[Served]:
    """A server over it."""
    async with serving(tmp_path, store=kept) as served:
        yield served


async def got(served: Served, path: str) -> Any:
    """The answer."""
    async with served.client.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_a_job_tells_when_it_will_end(served: Served) -> None:
    """In 40 seconds, by the ten runs before it."""

    async def eta() -> Any:
        return (await got(served, "/jobs/job-10"))["eta"]

    found = await eventually(eta)
    assert 20 < found["p50"] < 45  # Less where the machine is slow: time goes by.
    assert set(found) == {
        "p10", "p50", "p90", "at", "basis", "quality", "failureRisk", "longerThanUsual", "sentence",
    }  # fmt: skip
    assert found["sentence"].endswith("judging by 10 runs of this name.")


async def test_a_list_tells_it_of_all_that_runs_or_waits(served: Served) -> None:
    """Of what has ended, null."""

    async def etas() -> Any:
        found = {job["jobId"]: job["eta"] for job in await got(served, "/jobs")}
        return found if found["job-10"] else None

    found = await eventually(etas)
    assert {job for job, eta in found.items() if eta} == {"job-10", "job-11", "job-12"}
    assert "begin" in found["job-11"]["sentence"]
    assert found["job-12"]["p50"] > 65  # The other task follows when the first has ended.


async def test_the_tag_of_a_job_does_not_move_with_its_eta(served: Served) -> None:
    """Whoever has the job is not sent it again because time went by."""

    async def known() -> Any:
        async with served.client.get("/jobs/job-10") as answer:
            return answer.headers["ETag"] if (await answer.json())["eta"] else None

    async with served.client.get("/jobs/job-10") as first:
        tag = first.headers["ETag"]
    assert await eventually(known) == tag
    async with served.client.get("/jobs/job-10", headers={"If-None-Match": tag}) as again:
        assert again.status == 304
