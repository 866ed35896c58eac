"""A full disk: new work is refused in a sentence, ends wait and are kept, and when there is room all goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmgr.errors import DatabaseDamaged, DataDirError, DiskFull
from jobmgr.job import JobSpec, Status
from jobmgr.store.base import Submit
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, a_spec, all_jobs, claimed, ended, recounted, submitted, the_job
from tests.waiting import eventually

SIZE_BYTES = 8 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(disk)], capture_output=True, check=False
        )
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if mounted.returncode != 0:
        pytest.skip("only root can make a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all room that is left."""
    ballast = disk / "ballast"
    file = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    block = bytes(4096)
    try:
        while True:
            os.write(file, block)
    except OSError:
        return ballast
    finally:
        os.close(file)


async def fits(store: SqliteStore, spec: JobSpec) -> bool:
    """Whether a submission was taken."""
    try:
        await submitted(store, spec)
    except DiskFull:
        return False
    return True


async def opened(directory: Path) -> DataDirError | None:
    """Open and close; what was said against it."""
    store = SqliteStore(directory)
    try:
        await store.open()
    except DataDirError as error:
        return error
    await store.close()
    return None


async def test_a_submission_without_room_is_refused_and_leaves_nothing(small_disk: Path) -> None:
    """DiskFull to that caller, nothing of it there; a small one beside it still fits."""
    store = SqliteStore(small_disk / "data")
    await store.open()
    big, small = await asyncio.gather(
        store.apply([Submit([a_spec(num_tasks=1_000_000)], AT)]), submitted(store), return_exceptions=True
    )
    assert isinstance(big, DiskFull)
    assert not isinstance(small, BaseException)
    assert [job.num_tasks for job in await all_jobs(store)] == [1]
    assert await store.last_seq() == 1
    await store.close()


async def test_an_end_waits_for_room_and_is_kept(small_disk: Path) -> None:
    """While the disk is full submissions are refused; the end is not answered, and committed as soon as there is room."""
    store = SqliteStore(small_disk / "data")
    await store.open()
    await submitted(store, *(a_spec() for _ in range(8)))
    runs = await claimed(store, 8)
    ballast = fill(small_disk)
    with pytest.raises(DiskFull):
        await submitted(store, *(a_spec(env={"FILL": "x" * 20_000}) for _ in range(200)))
    while await fits(store, a_spec(env={"FILL": "x" * 20_000})):
        pass
    ends = [asyncio.create_task(ended(store, run, error="x" * 30_000)) for run in runs]
    with pytest.raises(DiskFull):
        await submitted(store, a_spec(env={"FILL": "x" * 200_000}))
    assert not all(end.done() for end in ends)
    ballast.unlink()
    assert await asyncio.gather(*ends) == [True] * 8
    assert await eventually(lambda: submitted(store))
    assert [(await the_job(store, run.job)).status for run in runs] == [Status.COMPLETED] * 8
    assert await recounted(store, 7) == ({Status.COMPLETED: 1}, Status.COMPLETED)
    await store.close()


async def test_a_disk_that_is_full_at_the_start_is_not_taken_for_damage(small_disk: Path) -> None:
    """Before the first start and before a later one: it opens, or refuses without a word of damage; with room it opens, and all is there."""
    directory = small_disk / "data"
    for jobs in (0, 1):
        ballast = fill(small_disk)
        told = await opened(directory)
        assert told is None or (str(directory) in str(told) and not isinstance(told, DatabaseDamaged))
        ballast.unlink()
        store = SqliteStore(directory)
        await store.open()
        assert await store.count_jobs() == jobs
        await submitted(store)
        await store.close()
