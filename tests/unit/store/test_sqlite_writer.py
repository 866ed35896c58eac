"""The writing thread: back-pressure, and what happens when it can write no more."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from jobmgr.errors import JobmgrError, Overloaded
from jobmgr.job import Change, Status
from jobmgr.store.base import Submit
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, a_spec, claimed, ended, submitted, the_job


async def test_too_much_waiting_is_refused_but_never_an_end(tmp_path: Path) -> None:
    """What is beyond the limit hears Overloaded at once; ends pass; when the queue is empty again, so do others."""
    store = SqliteStore(tmp_path / "data", waiting_limit=20)
    await store.open()
    await submitted(store)
    [run] = await claimed(store)
    *others, end = await asyncio.gather(
        *(submitted(store) for _ in range(60)), ended(store, run), return_exceptions=True
    )
    assert end is True
    assert [isinstance(answer, Overloaded) for answer in others] == [False] * 20 + [True] * 40
    assert await store.count_jobs() == 21
    assert await submitted(store) == (21,)
    await store.close()


async def test_one_submission_larger_than_the_limit_is_taken_when_nothing_waits(tmp_path: Path) -> None:
    """A limit on what waits is none on the size of a submission; its jobs count while it waits."""
    store = SqliteStore(tmp_path / "data", waiting_limit=5)
    await store.open()
    large, small = await asyncio.gather(
        submitted(store, *(a_spec() for _ in range(50))), submitted(store), return_exceptions=True
    )
    assert large == tuple(range(50))
    assert isinstance(small, Overloaded)
    await store.close()


async def test_a_writer_that_fails_answers_everybody_and_says_so_once(tmp_path: Path) -> None:
    """Nobody waits for ever: those in the batch and those after it get an error, and `on_fatal` is told."""
    told: list[BaseException] = []
    store = SqliteStore(tmp_path / "data", on_fatal=told.append)
    await store.open()
    assert store._connection is not None
    store._connection.close()
    answers = await asyncio.gather(*(store.apply([Submit([a_spec()], AT)]) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(answer, JobmgrError) and "no longer be written" in str(answer) for answer in answers)
    with pytest.raises(JobmgrError, match="no longer be written"):
        await submitted(store)
    assert len(told) == 1
    await store.close()


async def test_a_database_locked_by_another_program_refuses_work_but_keeps_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person with a database shell does not end the server: submissions are refused for now, ends wait until it is free."""
    monkeypatch.setattr("jobmgr.store.sqlite_file.BUSY_TIMEOUT_S", 0.05)
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await submitted(store)
    [run] = await claimed(store)
    other = sqlite3.connect(tmp_path / "data" / "jobmgr.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Overloaded, match="locked"):
        await submitted(store)
    end = asyncio.create_task(ended(store, run, Change.CRASH))
    with pytest.raises(Overloaded, match="locked"):
        await submitted(store)
    assert not end.done()
    other.execute("ROLLBACK")
    other.close()
    assert await end is True
    assert (await the_job(store)).status is Status.CRASHED
    await store.close()


async def test_ids_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    """Jobs, events and the turn of the oldest are counted in the file, not in memory."""
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await submitted(store, a_spec(), *(a_spec(priority=5) for _ in range(10)))
    await claimed(store, 5)
    seq = await store.last_seq()
    await store.close()
    again = SqliteStore(tmp_path / "data")
    await again.open()
    assert await submitted(again) == (11,)
    assert (await again.events())[-1].seq == seq + 1
    assert [run.job for run in await claimed(again, 3)] == [6, 7, 0]
    await again.close()
