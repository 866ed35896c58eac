"""The store and sudden death: what was acknowledged is there, what was not is whole or absent, and a write that fails for good ends the process."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from jobmgr.job import Status
from jobmgr.store.base import Submit
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import a_spec, all_jobs, recounted, seqs

ROOT = Path(__file__).parents[2]


def writer(directory: Path, *more: str) -> subprocess.Popen[str]:
    """Start a process that writes."""
    command = [sys.executable, "-m", "tests.faults.writing_process", str(directory), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def facts_until(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Read so many facts, kill it with -9, and read what it had still said."""
    assert process.stdout is not None
    with process:
        facts = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        facts += process.stdout.readlines()
    return [fact.strip() for fact in facts if fact.endswith("\n")]


async def check(directory: Path, facts: list[str]) -> None:
    """All that was acknowledged is there, each key once, counters and events whole."""
    store = SqliteStore(directory)
    await store.open()
    try:
        jobs = {job.id: job for job in await all_jobs(store)}
        finished = {
            attempt.run for job in jobs for attempt in await store.attempts(job) if attempt.status is Status.COMPLETED
        }
        said = [fact.split() for fact in facts]
        assert {words[1] for words in said if words[0] == "finished"} <= finished
        submitted = {words[1]: int(words[2]) for words in said if words[0] == "submitted"}
        for key, job in random.sample(sorted(submitted.items()), min(50, len(submitted))):
            [again] = await store.apply([Submit([a_spec()], 9, key=key, body_hash="h")])
            assert (again.jobs, again.replayed) == ((job,), True)
        assert set(submitted.values()) <= jobs.keys()
        assert await store.count_jobs() == len(jobs)
        for job in random.sample(sorted(jobs), min(50, len(jobs))):
            assert await recounted(store, job) == (jobs[job].counts, jobs[job].status)
        events = await store.events(limit=1_000_000)
        assert seqs(events) == list(range(1, await store.last_seq() + 1))
    finally:
        await store.close()


async def test_fault_1_2_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """FAULTS 1 and 2: a process is killed in the middle of writing, again and again, and goes on with the same file."""
    facts: list[str] = []
    for life in range(5):
        facts += facts_until(writer(tmp_path / "data", f"life-{life}"), random.randint(1, 400))
        await check(tmp_path / "data", facts)


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files with setrlimit")
async def test_a_write_that_fails_ends_the_process_and_loses_nothing(tmp_path: Path) -> None:
    """EIO and its like: nobody is answered any more, the process leaves with 74 and says why; the next start finds all it acknowledged."""
    process = writer(tmp_path / "data", "life", str(256 * 1024))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 74
    assert "can no longer be written" in err
    await check(tmp_path / "data", out.splitlines())
