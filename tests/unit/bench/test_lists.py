"""The measurement of lists: its history is one that the store reads, and its bounds are held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import lists
from jobmgr.job import Status
from jobmgr.store.listing import OLDEST_FIRST, JobFilter
from jobmgr.store.sqlite import SqliteStore

RUN = {"name": "all", "rows": 1000, "firstByteMs": 5.0, "seconds": 0.5, "jobsPerSecond": 400.0}


def results(**other: Any) -> dict[str, Any]:
    """Figures within the bounds, but for these."""
    figures = {"count": 1000, "runs": [RUN], "pageMs": 3.0, "jobsPerSecondAlone": 800.0, "growthMiB": 10.0}
    return figures | {"memoryMiB": 70.0, "logMiB": 8.0} | other


async def test_the_history_is_one_that_the_store_reads(tmp_path: Path) -> None:
    """Each list that is measured finds what the name of its row says."""
    await lists.seeded(tmp_path / "data", 400)
    store = SqliteStore(tmp_path / "data")
    await store.open()
    try:
        assert await store.count_jobs() == 400
        crashed = JobFilter(statuses=frozenset({Status.CRASHED}))
        assert [key.id for key in await store.find_jobs(crashed, OLDEST_FIRST)] == [0, 100, 200, 300]
        assert len(await store.find_jobs(JobFilter(labels={"team": "team-6"}), OLDEST_FIRST)) == 14
        [needle] = await store.find_jobs(JobFilter(q="needle-in-the-hay"), OLDEST_FIRST)
        [job] = await store.jobs([needle.id])
        assert (job.id, job.status, job.node) == (200, Status.CRASHED, "here-3000")
    finally:
        await store.close()


def test_memory_that_grows_misses_its_bound() -> None:
    """As does a log of the database above its limit; within both nothing is said."""
    assert lists.missed(results()) == []
    assert "memory" in lists.missed(results(growthMiB=65.0))[0]
    assert "WAL" in lists.missed(results(logMiB=65.0))[0]


def test_the_table_has_a_row_a_list() -> None:
    """And a sentence about what it cost."""
    text = lists.table(results())
    assert "| all | 1,000 | 5 ms | 2,000 | 0.5 s | 400 |" in text
    assert "10.0 MiB" in text
