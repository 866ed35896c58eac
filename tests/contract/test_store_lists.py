"""The contract of every store, V: lists by filter and order, page by page, equal what a model in Python says."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobmgr.job import FINISHED, Change, JobSpec, Status
from jobmgr.store import sqlite_listing
from jobmgr.store.base import Delete, Restart, Stop, Store, StoreChange
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST, JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.sqlite import SqliteStore
from tests.contract.list_model import listed
from tests.contract.stores import AT, a_spec, all_jobs, an_end, claimed, ended, submitted
from tests.contract.test_store_reads import LARGE, peak_of

TEXTS = st.sampled_from(["a", "A", "b", "é", 'q"', "\\", "\n", "ab", "test-1", "🎉", "É"])
NAMES = st.sampled_from(["a", "b", "same", "Ab", "é", "test-1"])
LABELS = st.dictionaries(st.sampled_from(["team", "disk"]), st.sampled_from(["x", "y"]), max_size=2)
ARGS = st.lists(TEXTS, max_size=2).map(tuple)
ORDERS = st.builds(JobOrder, st.sampled_from(SortBy), st.booleans())
SPECS = st.builds(
    lambda name, args, tasks, type_, labels, env: a_spec(
        name, args=args, tasks=tasks, type=type_, labels=labels, env={"E": env}
    ),
    NAMES,
    ARGS,
    st.none() | st.lists(ARGS, min_size=1, max_size=3).map(tuple),
    st.sampled_from([None, "encode", "copy"]),
    LABELS,
    TEXTS,
)
FILTERS = st.builds(
    JobFilter,
    statuses=st.none() | st.frozensets(st.sampled_from(Status), max_size=4),
    name=st.none() | NAMES,
    type=st.none() | st.sampled_from(["encode", "none"]),
    labels=st.dictionaries(st.sampled_from(["team", "disk"]), st.sampled_from(["x", None]), max_size=2),
    since=st.none() | st.integers(AT - 1, AT + 12),
    until=st.none() | st.integers(AT, AT + 13),
    q=st.none() | TEXTS,
    before=st.none() | st.integers(0, 12),
)
LIVES = st.lists(
    st.tuples(SPECS, st.integers(0, 12), st.sampled_from(["wait", "run", "stop", "restart", "delete", *Change])),
    min_size=1,
    max_size=12,
)
ENDS = {Change.COMPLETE, Change.CRASH, Change.LOSE, Change.REFUSE}


async def live(store: Store, spec: JobSpec, at: int, fate: str) -> None:
    """Submit a job at some instant (clocks may be set back), and let something become of it."""
    [job] = await submitted(store, spec, at=AT + at)
    if fate == "wait":
        return
    runs = await claimed(store, 100)
    own = [run for run in runs if run.job == job]
    if fate in ENDS:
        await store.apply([an_end(run, Change(fate), at=AT + 5 + at % 3) for run in own])
    changes: dict[str, list[StoreChange]] = {
        "stop": [Stop(job, AT + 9)],
        "restart": [*(an_end(run, at=AT + 9) for run in own), Restart(job, AT + 10)],
        "delete": [*(an_end(run, at=AT + 9) for run in own), Delete(job, AT + 10)],
    }
    await store.apply(changes.get(fate, []))


async def in_pages(store: Store, found: JobFilter, order: JobOrder, limit: int) -> list[int]:
    """All ids of a list, followed key by key."""
    ids: list[int] = []
    after: JobKey | None = None
    while page := await store.find_jobs(found, order, after=after, limit=limit):
        assert len(page) <= limit
        ids += [key.id for key in page]
        after = page[-1]
        if len(page) < limit:
            assert await store.find_jobs(found, order, after=after, limit=limit) == []
    return ids


@contextmanager
def windows_of(size: int) -> Iterator[None]:
    """Let each read look at no more jobs than this."""
    kept = sqlite_listing.FIRST_WINDOW, sqlite_listing.MAX_WINDOW
    sqlite_listing.FIRST_WINDOW = sqlite_listing.MAX_WINDOW = size
    try:
        yield
    finally:
        sqlite_listing.FIRST_WINDOW, sqlite_listing.MAX_WINDOW = kept


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lives=LIVES, asked=st.lists(st.tuples(FILTERS, ORDERS), min_size=4, max_size=4), limit=st.integers(1, 5),
    window=st.integers(1, 4),
)  # fmt: skip
@example(lives=[(a_spec("same"), 0, "wait")] * 5, asked=[(EVERY_JOB, JobOrder(SortBy.NAME))], limit=2, window=1)
def test_lists_are_what_the_model_says(
    lives: list[Any], asked: list[tuple[JobFilter, JobOrder]], limit: int, window: int
) -> None:
    """Any filter, any order, any page: the jobs that pass, in order, none twice, none left out; and so many are counted."""

    async def compare() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = SqliteStore(Path(folder) / "data")
            await store.open()
            try:
                for spec, at, fate in lives:
                    await live(store, spec, at, fate)
                jobs, specs = await all_jobs(store), {number: life[0] for number, life in enumerate(lives)}
                for found, order in asked:
                    expected = listed(jobs, found, order, specs)
                    assert await in_pages(store, found, order, limit) == expected
                    assert await store.count_jobs(found) == len(expected)
            finally:
                await store.close()

    with windows_of(window):
        asyncio.run(compare())


async def test_a_job_that_stays_is_found_once_while_others_come_and_end(store: Store) -> None:
    """Page after page in every order of a value that does not change: no job is left out, none comes twice."""
    await submitted(store, *(a_spec(f"job-{number % 7}") for number in range(30)))
    for order in (OLDEST_FIRST, JobOrder(descending=True), JobOrder(SortBy.NAME), JobOrder(SortBy.NAME, True)):
        seen, after = [], None
        there = {job.id for job in await all_jobs(store)}
        while page := await store.find_jobs(EVERY_JOB, order, after=after, limit=4):
            seen += [key.id for key in page]
            after = page[-1]
            if len(seen) < len(there):
                await submitted(store, a_spec("job-3"))
            for run in await claimed(store, 2):
                await ended(store, run)
        assert len(seen) == len(set(seen))
        assert there <= set(seen)


async def test_what_was_finished_before_is_found_once_while_others_finish(store: Store) -> None:
    """Also in the order in which jobs finish, newest first: those that finish meanwhile stand before the place that was reached."""
    await submitted(store, *(a_spec() for _ in range(30)))
    for number, run in enumerate(await claimed(store, 20)):
        await ended(store, run, at=AT + number // 3)
    finished = JobFilter(statuses=FINISHED)
    there = {job.id for job in await all_jobs(store) if job.status in FINISHED}
    seen, after = [], None
    while page := await store.find_jobs(finished, JobOrder(SortBy.FINISHED_AT, True), after=after, limit=3):
        seen += [key.id for key in page]
        after = page[-1]
        for run in await claimed(store, 1):
            await ended(store, run, at=AT + 1000)
    assert seen == sorted(there, reverse=True)


async def test_only_what_was_there_is_found_below_an_id(store: Store) -> None:
    """`before` keeps out what was submitted since, from lists and counts."""
    await submitted(store, *(a_spec("b") for _ in range(5)))
    old = JobFilter(before=5)
    await submitted(store, a_spec("a"), a_spec("c"))
    assert {key.id for key in await store.find_jobs(old, JobOrder(SortBy.NAME))} == set(range(5))
    assert (await store.count_jobs(old), await store.count_jobs()) == (5, 7)


async def test_a_secret_in_the_environment_is_not_found_by_its_text(store: Store) -> None:
    """Only names and arguments are searched."""
    await submitted(store, a_spec(args=("visible",), env={"E": "needle"}, secret_env={"S": "needle"}))
    assert await store.find_jobs(JobFilter(q="needle"), OLDEST_FIRST) == []
    assert len(await store.find_jobs(JobFilter(q="VISIBLE"), OLDEST_FIRST)) == 1


async def test_labels_go_with_their_job(store: Store) -> None:
    """A deleted job leaves none behind that a later one could be found by."""
    await submitted(store, a_spec(labels={"team": "x"}), a_spec(labels={"team": "x"}))
    await store.apply([Stop(0, AT), Delete(0, AT)])
    found = JobFilter(labels={"team": "x"})
    assert [key.id for key in await store.find_jobs(found, OLDEST_FIRST)] == [1]
    assert await store.count_jobs(found) == 1


async def test_a_page_of_large_jobs_is_cut_by_its_bytes(store: Store) -> None:
    """About a megabyte and one job more, whatever was asked for; what was cut off comes next. Environments are not even fetched."""
    await submitted(store, *(a_spec(args=(LARGE,)) for _ in range(12)))
    await submitted(store, *(a_spec(env={"E": LARGE * 4}) for _ in range(12)))
    jobs, peak = await peak_of(store.jobs(range(24)))
    assert [job.id for job in jobs] == [0, 1, 2, 3]
    assert peak < 3 * 5 * len(LARGE)
    rest, peak = await peak_of(store.jobs(range(12, 24)))
    assert [job.id for job in rest] == list(range(12, 24))
    assert peak < len(LARGE)


async def test_a_search_that_finds_nothing_is_many_short_reads(tmp_path: Path) -> None:
    """Each looks at a bounded number of jobs, so that none holds the log of the database for long; between two others are served."""
    store = SqliteStore(tmp_path / "data")
    await store.open()
    try:
        await submitted(store, *(a_spec() for _ in range(50)))
        with windows_of(10):
            search = asyncio.create_task(store.find_jobs(JobFilter(q="nothing"), OLDEST_FIRST))
            between = 0
            while not search.done():
                await store.job(3)
                between += 1
        assert await search == []
        assert between >= 3
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("window", "seconds", "following"),
    [(256, 0.0, 512), (256, 0.02, 256), (1000, 0.2, 100), (1, 10.0, 1), (20_000, 0.001, 20_000)],
)
def test_windows_follow_the_time_that_a_look_takes(window: int, seconds: float, following: int) -> None:
    """Larger after a quick one, smaller after a slow one, never none and never all."""
    assert sqlite_listing.next_window(window, seconds) == following
