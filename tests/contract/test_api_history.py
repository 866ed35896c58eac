"""GET /history: lines, page by page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest

from jobmgr.history import HistoryRow, ReadReport, read
from jobmgr.store.listing import EVERY_JOB, JobFilter
from tests.contract.served import BORN, Served, serving
from tests.waiting import eventually

UNKNOWN: dict[str, Any] = dict.fromkeys(
    each.name for each in fields(HistoryRow) if each.default is MISSING and "None" in each.type
)
WAITS = HistoryRow(
    **UNKNOWN
    | {
        "job_id": "job-0",
        "task": 0,
        "job_name": "encode",
        "args": ("ä", "b"),
        "created_at": BORN,
        "status": "pending",
        "round": 1,
        "attempt": 0,
    }
)


def a_history(count: int) -> list[HistoryRow]:
    """So many jobs that wait."""
    return [replace(WAITS, job_id=f"job-{number}", place=(number, 0)) for number in range(count)]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with nothing in it."""
    async with serving(tmp_path) as served:
        yield served


async def test_the_history_is_one_object_a_line(served: Served) -> None:
    """However many pages there are, and nothing but lines: it is read as it was."""
    served.rows.past = a_history(1234)
    async with served.client.get("/history") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/jsonl"
        text = await answer.read()
    report = ReadReport()
    rows = list(read(text.splitlines(keepends=True), report))
    assert [replace(row, place=(number, 0)) for number, row in enumerate(rows)] == served.rows.past
    assert (report.lines, report.skipped, report.unusable_fields) == (1234, 0, {})
    assert json.loads(text.splitlines()[0])["args"] == ["ä", "b"]


async def test_no_history_is_no_line(served: Served) -> None:
    """An empty answer, which is a history too."""
    async with served.client.get("/history") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_head_reads_nothing(served: Served) -> None:
    """The type, and no page."""
    async with served.client.head("/history") as answer:
        assert (answer.status, answer.content_type) == (200, "application/jsonl")
    assert served.rows.filters == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", EVERY_JOB),
        ("?name=a%20b", JobFilter(name="a b")),
        ("?since=2025-11-22T08:00:00.25Z", JobFilter(since=BORN)),
        ("?until=2025-11-22T09:00:00.25%2B01:00&name=x", JobFilter(name="x", until=BORN)),
    ],
)
async def test_the_query_says_which_jobs(served: Served, query: str, found: JobFilter) -> None:
    """By name and by the time of submission."""
    async with served.client.get(f"/history{query}") as answer:
        assert answer.status == 200
    assert served.rows.filters == [found]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("since=yesterday", "?since"),
        ("until=2025-11-22", "?until"),
        ("sinc=1", "?sinc"),
        ("name=a&name=b", "?name"),
        ("name=", "?name"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(served: Served, query: str, named: str) -> None:
    """400 with the remedy; nothing is read."""
    async with served.client.get(f"/history?{query}") as answer:
        assert answer.status == 400
        assert [problem["field"] for problem in (await answer.json())["errors"]] == [named]
    assert served.rows.filters == []


async def test_a_history_that_breaks_half_way_is_not_taken_for_whole(served: Served) -> None:
    """When the store fails after the first page, the connection is cut."""
    served.rows.past = a_history(2000)
    served.rows.broken_after = 499
    text = await served.raw(b"GET /history HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert text.startswith(b"HTTP/1.1 200")
    assert not text.endswith(b"0\r\n\r\n")
    assert b"secret" not in text


async def test_a_client_that_leaves_stops_the_reading(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history without end is read no further than the connection can hold."""
    page, looks = a_history(500), [0]

    async def endless(**_: object) -> list[HistoryRow]:
        looks.append(looks[-1] + 1)
        return page

    monkeypatch.setattr(served.rows, "history", endless)
    async with served.client.get("/history") as answer:
        await answer.content.read(1)
        answer.close()
    seen: list[int] = []

    def stands_still() -> bool:
        seen.append(looks[-1])
        return len(seen) > 10 and seen[-10] == seen[-1]

    await eventually(stands_still)
