"""Failed attempts are grouped by what they said last, counted, and their trend is told with care."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from jobmgr.job import Cause, Change
from jobmgr.stats import failures
from jobmgr.stats.failures import FailureKinds, Told, group, said_last, trend
from jobmgr.store.base import Delete
from jobmgr.store.records import FailedAttempt
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import AT, a_spec, claimed, ended, submitted

DAY = 86_400_000_000
END = 16 * DAY


def told(at: int, text: str = "bad row <n>", **fields: Any) -> Told:
    """A failed attempt."""
    return replace(Told(f"job-{at}", "import", at, "3", text, "bad row 7"), **fields)


class Counted(SqliteStore):
    """Counts the pages of failed attempts that are read."""

    pages = 0

    async def failed_attempts(self, **question: Any) -> list[FailedAttempt]:
        """One more page."""
        self.pages += 1
        return await super().failed_attempts(**question)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counted]:
    """Open and empty."""
    opened = Counted(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()


async def fail(store: SqliteStore, said: str, *, name: str = "import", at: int = AT + 5000, **fields: Any) -> None:
    """A job that crashed."""
    await submitted(store, a_spec(name))
    [run] = await claimed(store)
    await ended(store, run, Change.CRASH, at=at, last_lines=said, **fields)


# --- groups


def test_a_kind_says_what_its_attempts_have_in_common() -> None:
    """How often, of which jobs, when, how they ended, and the newest one as it was."""
    attempts = [told(at) for at in range(1_000_000, 13_000_000, 1_000_000)]
    attempts[-1] = replace(attempts[-1], name="load", ending="SIGKILL", lines="bad row 99")
    found = group(random.Random(1).sample(attempts, 12), start=0, end=13_000_000)
    [kind] = found["kinds"]
    assert found["failedAttempts"] == kind["count"] == 12
    assert kind["fingerprint"] == "bad row <n>"
    assert kind["jobs"] == [f"job-{attempt.at}" for attempt in reversed(attempts)]
    assert list(kind["names"].items()) == [("import", 11), ("load", 1)]
    assert (kind["firstSeen"], kind["lastSeen"]) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:12.000Z")
    assert (kind["trend"], kind["example"], kind["exitCodes"]) == ("steady", "bad row 99", {"3": 11, "SIGKILL": 1})
    assert (
        kind["sentence"] == "12 failed attempts of import (11) and load (1), mostly with exit code 3 (11 of 12, 92 %)."
    )


def test_the_most_frequent_kinds_come_first() -> None:
    """Of equal ones the newest; only as many as were asked for; all attempts are counted."""
    attempts = [told(1, "a"), told(2, "b"), told(3, "b"), told(4, "c")]
    found = group(attempts, start=0, end=9, limit=2)
    assert [kind["fingerprint"] for kind in found["kinds"]] == ["b", "c"]
    assert found["failedAttempts"] == 4
    assert group(attempts, start=0, end=9, limit=0)["kinds"] == []


def test_a_kind_has_the_same_id_for_ever() -> None:
    """It follows from the fingerprint alone."""
    [kind] = group([told(1)], start=0, end=9)["kinds"]
    assert kind["id"] == "2eb84219b6b5"


def test_a_kind_names_a_bounded_number() -> None:
    """Of jobs and of names, however many there are."""
    [kind] = group([told(at, name=f"n{at}") for at in range(5000)], start=0, end=5000)["kinds"]
    assert kind["jobs"] == [f"job-{at}" for at in range(4999, 4979, -1)]
    assert len(kind["names"]) == 20
    assert "of n4999 (1), n4998 (1), 4998 more names, with" in kind["sentence"]


def test_without_failures_there_are_no_kinds() -> None:
    """Which is an answer."""
    assert group([], start=0, end=0) == {"failedAttempts": 0, "kinds": []}


@pytest.mark.parametrize(
    ("said", "cause", "code", "signal", "expected"),
    [
        ("bad row 7", Cause.EXIT, 3, None, "bad row <n>"),
        ("", Cause.EXIT, 3, None, "no output; exit code 3"),
        ("", Cause.SIGNAL, None, 9, "no output; SIGKILL"),
        ("row 7", Cause.SIGNAL, None, 9, "SIGKILL: row <n>"),
        ("row 7", Cause.TIMEOUT, 0, None, "timeout: row <n>"),
        ("There is no program x.", Cause.SPAWN_ERROR, None, None, "There is no program x."),
        (None, Cause.EXIT, 3, None, "exit code 3"),
        (None, Cause.TIMEOUT, None, 15, "timeout"),
        (None, None, None, None, "unknown"),
    ],
)
def test_what_was_said_with_how_it_ended(
    said: str | None, cause: Cause | None, code: int | None, signal: int | None, expected: str
) -> None:
    """A line before a signal or a timeout tells where it was, so the ending stands in front; silent ones are known by it alone."""
    assert said_last(said, cause, code, signal) == expected


# --- trends


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], "steady"),
        ([15.9], "new"),
        ([12], "steady"),
        ([9, 11, 12, 13, 15], "new"),
        ([0.1], "gone"),
        ([1, 2, 4, 6, 7], "gone"),
        ([1, 9], "steady"),
        ([d / 2 for d in range(32)], "steady"),
        ([2] + [8 + d / 4 for d in range(32)], "rising"),
        ([14] + [d / 4 for d in range(32)], "falling"),
        ([3] + [12.5 + d / 10_000 for d in range(1000)], "steady"),
    ],
)
def test_a_trend_is_told_where_there_is_one(days: list[float], expected: str) -> None:
    """One burst is no rise, however many failed in it; a single one is new only where it came just now."""
    assert trend([int(day * DAY) for day in days], start=0, end=END) == expected


@pytest.mark.parametrize("bursts", [False, True])
def test_where_nothing_changes_no_trend_is_told(bursts: bool) -> None:
    """Also where failures come in bursts: of 400 series with the same rate all the time at most 5 % rise or fall."""
    chance = random.Random(5)

    def series() -> list[int]:
        times = []
        for _ in range(chance.randint(1, 60)):
            at = chance.uniform(0, END)
            times += [
                min(END - 1, int(at + chance.uniform(0, DAY / 8)))
                for _ in range(chance.choice((1, 5, 60)) if bursts else 1)
            ]
        return times

    found = [trend(series(), start=0, end=END) for _ in range(400)]
    assert found.count("rising") + found.count("falling") <= 20
    assert found.count("new") + found.count("gone") <= 40


@pytest.mark.parametrize(("start", "end"), [(5, 5), (9, 1), (0, 1), (2**61, 2**62)])
def test_times_out_of_order_do_no_harm(start: int, end: int) -> None:
    """A clock that was set back makes no exception."""
    assert trend([3, 3, 3, -7, 2**60], start=start, end=end) in get_args(failures.Trend)


# --- from a store


async def test_failures_of_a_store_are_grouped(store: Counted) -> None:
    """By what is told, over all pages."""
    for number in range(3):
        await fail(store, f"reading\nError: row {number} is bad", at=AT + number)
    await fail(store, "", name="other", at=AT + 9)
    kinds = FailureKinds(store, now=lambda: AT + 10)
    found = await kinds.read()
    assert [(kind["fingerprint"], kind["count"]) for kind in found["kinds"]] == [
        ("Error: row <n> is bad", 3),
        ("no output; exit code 3", 1),
    ]
    assert found["kinds"][0]["example"] == "reading\nError: row 2 is bad"
    assert [kind["fingerprint"] for kind in (await kinds.read(name="other"))["kinds"]] == ["no output; exit code 3"]
    assert (await kinds.read(since=AT + 1, until=AT + 9))["failedAttempts"] == 2
    assert (await kinds.read(since=AT + 1))["failedAttempts"] == 3
    assert (await kinds.read(name="nobody")) == {"failedAttempts": 0, "kinds": []}


async def test_a_store_without_failures_says_so(store: Counted) -> None:
    """With and without a range."""
    kinds = FailureKinds(store)
    for found in (await kinds.read(), await kinds.read(since=1, until=2, name="x", limit=1)):
        assert found == {"failedAttempts": 0, "kinds": []}


async def test_what_was_read_stands_until_the_store_changes(store: Counted) -> None:
    """A retried crash is a change too, and a deleted job is gone at the next reading."""
    clock = iter(range(0, 10**9, 100))
    kinds = FailureKinds(store, clock=lambda: next(clock))
    await fail(store, "bad")
    await kinds.read()
    pages = store.pages
    await kinds.read()
    assert store.pages == pages
    await submitted(store, a_spec("again"))
    [run] = await claimed(store)
    await ended(store, run, Change.RETRY, due_at=AT, last_lines="bad")
    assert (await kinds.read())["failedAttempts"] == 2
    await store.apply([Delete(0, AT)])
    assert (await kinds.read())["failedAttempts"] == 1


async def test_on_a_busy_server_what_was_read_stands_for_a_while(store: Counted) -> None:
    """At most two seconds, and the question is answered from memory."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.05
        return now[0]

    kinds = FailureKinds(store, clock=clock)
    await fail(store, "bad")
    await kinds.read()
    await fail(store, "bad")
    assert (await kinds.read())["failedAttempts"] == 1
    now[0] += failures.MAX_AGE_S
    assert (await kinds.read())["failedAttempts"] == 2


async def test_only_the_newest_are_looked_at(store: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many, or so much text; `failedAttempts` says how many."""
    monkeypatch.setattr(failures, "PAGE", 2)
    for number in range(7):
        await fail(store, f"{number}" * 10, at=AT + number)
    monkeypatch.setattr(failures, "MOST_ATTEMPTS", 5)
    found = await FailureKinds(store).read()
    assert (found["failedAttempts"], found["kinds"][0]["example"]) == (5, "6" * 10)
    monkeypatch.setattr(failures, "MOST_CHARS", 30)
    assert (await FailureKinds(store).read())["failedAttempts"] == 4


async def test_all_counting_is_done_where_it_was_asked_to_be(store: Counted) -> None:
    """The event loop only waits; several questions at once never overlap there."""
    inside, overlaps, runs = 0, 0, 0

    async def run(work: Callable[..., object], *arguments: object) -> object:
        nonlocal inside, overlaps, runs
        inside, runs = inside + 1, runs + 1
        overlaps += inside > 1
        try:
            return await asyncio.to_thread(work, *arguments)
        finally:
            inside -= 1

    await fail(store, "bad")
    kinds = FailureKinds(store, run=run)
    await asyncio.gather(*(kinds.read(name=name) for name in ("import", "x", None)))
    assert (runs, overlaps) == (4, 0)  # One page, three answers.
