"""What failed attempts said last: kept with their end, read newest first, gone with their job."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from jobmgr.job import Cause, Change
from jobmgr.store import statements as sql
from jobmgr.store.base import Delete, Restart, Store
from jobmgr.store.records import FailedAttempt
from jobmgr.store.sqlite import SqliteStore
from jobmgr.store.sqlite_text import Text
from tests.contract.stores import AT, a_spec, claimed, ended, running, submitted


async def said(store: Store, limit: int = 500, **question: int) -> list[str | None]:
    """What all said, page by page."""
    found: list[FailedAttempt] = []
    while page := await store.failed_attempts(before=found[-1].place if found else None, limit=limit, **question):
        found += page
    return [row.last_lines for row in found]


async def test_a_failed_attempt_keeps_what_it_said(store: Store) -> None:
    """With all that tells how it ended."""
    run = await running(store, name="import")
    await ended(store, run, Change.CRASH, last_lines="a\nb", cause=Cause.SIGNAL, exit_code=None, signal=9)
    assert await store.failed_attempts() == [
        FailedAttempt(run.task, 1, 0, "import", AT + 5000, Cause.SIGNAL, None, 9, "a\nb")
    ]


@pytest.mark.parametrize("change", [Change.COMPLETE, Change.STOP, Change.LOSE, Change.CHECKPOINT])
async def test_what_did_not_fail_is_not_among_them(store: Store, change: Change) -> None:
    """Completed, stopped and lost ones."""
    await ended(store, await running(store), change)
    assert await store.failed_attempts() == []


async def test_each_failed_attempt_of_a_task_is_told(store: Store) -> None:
    """Those that were retried and those of earlier rounds; one that said nothing too."""
    run = await running(store)
    await ended(store, run, Change.RETRY, at=AT + 1, last_lines="first")
    [run] = await claimed(store)
    await ended(store, run, Change.CRASH, at=AT + 2, last_lines="")
    await store.apply([Restart(0, AT + 3)])
    [run] = await claimed(store)
    await ended(store, run, Change.REFUSE, at=AT + 4, last_lines="There is no program.", cause=Cause.SPAWN_ERROR)
    rows = await store.failed_attempts()
    assert [(row.attempt, row.last_lines) for row in rows] == [(3, "There is no program."), (2, ""), (1, "first")]


@pytest.mark.parametrize("change", [Change.CRASH, Change.COMPLETE])
async def test_a_late_true_end_brings_its_own_words(store: Store, change: Change) -> None:
    """Where it was lost before; a completed one has none."""
    run = await running(store)
    await ended(store, run, Change.LOSE)
    await ended(store, run, change, last_lines="bad" if change is Change.CRASH else None)
    assert await said(store) == (["bad"] if change is Change.CRASH else [])


async def test_they_go_with_their_job(store: Store) -> None:
    """Nothing of a deleted job is told."""
    for text in ("gone", "kept"):
        await ended(store, await running(store), Change.CRASH, last_lines=text)
    await store.apply([Delete(0, AT)])
    assert await said(store) == ["kept"]


@pytest.mark.parametrize("limit", [1, 2, 500])
async def test_pages_of_any_size_give_the_same_newest_first(store: Store, limit: int) -> None:
    """Each once, also where several ended in the same microsecond; a range means since ≤ end < until."""
    await submitted(store, *(a_spec(num_tasks=2) for _ in range(5)))
    for number, run in enumerate(await claimed(store, 10)):
        await ended(store, run, Change.CRASH, at=AT + number // 3, last_lines=str(number))
    assert await said(store, limit) == [str(number) for number in reversed(range(10))]
    assert await said(store, limit, since=AT + 1, until=AT + 3) == ["8", "7", "6", "5", "4", "3"]
    assert await said(store, limit, since=AT + 4) == await said(store, limit, until=AT) == []
    assert await said(store, limit, since=AT + 2, until=AT + 1) == []


async def test_words_that_are_not_unicode_are_kept(store: Store) -> None:
    """With the bad ones made visible."""
    await ended(store, await running(store), Change.CRASH, last_lines="x \udcff\x00")
    assert await said(store) == ["x ?\x00"]


async def test_they_are_found_by_their_index(tmp_path: Path) -> None:
    """Newest first without sorting, whatever else there is."""
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await store.close()
    connection = sqlite3.connect(tmp_path / "data" / "jobmgr.db")
    plan = connection.execute(f"EXPLAIN QUERY PLAN {Text(sql.FAILED_ATTEMPTS)}", (0, 9, 9, -1, -1, 5)).fetchall()
    connection.close()
    steps = [row[3] for row in plan]
    assert "attempts_told" in steps[0]
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in steps), steps
