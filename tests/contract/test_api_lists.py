"""`GET /jobs` over a real store: filters, sorts, pages, and what is refused; `ETag` on one job."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientResponse
from yarl import URL

from jobmgr.job import Change
from jobmgr.store.base import Delete, Stop, Store
from jobmgr.store.sqlite import SqliteStore
from tests.contract.served import Served, serving
from tests.contract.stores import AT, a_spec, claimed, ended, submitted

HOUR = 3_600_000_000


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Store]:
    """A store with eight jobs that differ in all that can be asked for."""
    store = SqliteStore(tmp_path / "data")
    await store.open()
    await submitted(store, a_spec("crashed", args=("in.mp4",), labels={"team": "media"}), at=AT)
    await submitted(store, a_spec("failed", type="encode", labels={"team": "media", "disk": "a:b"}), at=AT + HOUR)
    await submitted(store, *(a_spec("done", tasks=((f"{n}.MP4",), ())) for n in range(2)), at=AT + 2 * HOUR)
    for change, run in zip((Change.CRASH, Change.REFUSE, *[Change.COMPLETE] * 4), await claimed(store, 6), strict=True):
        await ended(store, run, change, at=AT + 5 * HOUR - run.job * HOUR)
    await submitted(store, a_spec("running", labels={"team": "ops"}), at=AT + 3 * HOUR)
    await claimed(store, 1)
    await submitted(store, *(a_spec("Ünï & co") for _ in range(3)), at=AT + 4 * HOUR)
    yield store
    await store.close()


@pytest.fixture
async def served(kept: Store, tmp_path: Path) -> AsyncIterator[Served]:
    """A server over that store."""
    async with serving(tmp_path, store=kept) as one:
        yield one


async def ids_of(served: Served, **query: Any) -> list[int]:
    """The numbers of the jobs in an answer, whose count is told truly."""
    async with served.client.get("/jobs", params=query) as answer:
        jobs = await answer.json()
        assert answer.status == 200, jobs
        if "limit" not in query:
            assert answer.headers.get("X-Total-Count") == (None if "q" in query else str(len(jobs)))
    return [int(job["jobId"].removeprefix("job-")) for job in jobs]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"status": "failed"}, [0, 1]),
        ({"status": "crashed"}, [0]),
        ({"status": "running,pending"}, [4, 5, 6, 7]),
        ({"status": "active"}, [4, 5, 6, 7]),
        ({"status": "finished"}, [0, 1, 2, 3]),
        ({"status": "completed,active"}, [2, 3, 4, 5, 6, 7]),
        ({"name": "done"}, [2, 3]),
        ({"name": "Ünï & co"}, [5, 6, 7]),
        ({"name": "don"}, []),
        ({"type": "encode"}, [1]),
        ({"label": "team:media"}, [0, 1]),
        ({"label": "team"}, [0, 1, 4]),
        ({"label": "disk:a:b"}, [1]),
        ({"label": "team:"}, []),
        ({"q": ".mp4"}, [0, 2, 3]),
        ({"q": "1.mp4"}, [3]),
        ({"q": "CRASH"}, [0]),
        ({"q": "& c"}, [5, 6, 7]),
        ({"q": "%"}, []),
        ({"since": "2025-11-22T10:00:00Z"}, [2, 3, 4, 5, 6, 7]),
        ({"since": "2025-11-22T11:00:00+01:00", "until": "2025-11-22T11:00:00.000001Z"}, [2, 3, 4]),
        ({"until": "2025-11-22T08:00:00Z"}, []),
        ({"sort": "-createdAt"}, [7, 6, 5, 4, 3, 2, 1, 0]),
        ({"sort": "finishedAt"}, [3, 2, 1, 0, 4, 5, 6, 7]),
        ({"sort": "-finishedAt"}, [0, 1, 2, 3, 7, 6, 5, 4]),
        ({"sort": "jobName"}, [0, 2, 3, 1, 4, 5, 6, 7]),
        ({"sort": "-jobName", "status": "finished"}, [1, 3, 2, 0]),
        ({"status": "finished", "label": "team:media", "q": "a", "sort": "-finishedAt"}, [0, 1]),
    ],
    ids=str,
)
async def test_a_list_holds_what_was_asked_for(served: Served, query: dict[str, str], ids: list[int]) -> None:
    """In the order that was asked for; counted, but with `q`."""
    assert await ids_of(served, **query) == ids


async def test_several_labels_must_all_match(served: Served) -> None:
    """The parameter may be repeated."""
    async with served.client.get("/jobs?label=team:media&label=disk&status=failed&status=crashed") as answer:
        assert [job["jobId"] for job in await answer.json()] == ["job-1"]


def next_of(answer: ClientResponse) -> str | None:
    """Where the link to the next page leads, None where there is none."""
    link = answer.headers.get("Link")
    return None if link is None else link.removeprefix("<").removesuffix('>; rel="next"')


async def follow(served: Served, path: str | None) -> tuple[list[list[str]], list[dict[str, list[str]]]]:
    """The ids of each page, and the query of each link, from a first page to the last."""
    pages, links = [], []
    while path:
        async with served.client.get(URL(path, encoded=True)) as answer:
            assert answer.status == 200
            pages.append([job["jobId"] for job in await answer.json()])
            path = next_of(answer)
        if path:
            links.append(parse_qs(urlsplit(path).query, strict_parsing=True))
    return pages, links


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt", "finishedAt", "-finishedAt", "jobName", "-jobName"])
@pytest.mark.parametrize("limit", [1, 3, 4, 8, 1000])
async def test_links_lead_through_all_pages(served: Served, sort: str, limit: int) -> None:
    """All together are the whole list; the last page has no link."""
    whole = [f"job-{number}" for number in await ids_of(served, sort=sort)]
    pages, _ = await follow(served, f"/jobs?sort={sort}&limit={limit}")
    assert [job for page in pages for job in page] == whole
    assert all(len(page) == limit for page in pages[:-1])


async def test_a_link_carries_the_same_filters(served: Served) -> None:
    """With names in any script and repeated parameters."""
    query = "name=%C3%9Cn%C3%AF%20%26%20co&status=active&limit=2&sort=-createdAt"
    pages, links = await follow(served, f"/jobs?{query}")
    assert pages == [["job-7", "job-6"], ["job-5"]]
    assert [{name: values for name, values in link.items() if name != "cursor"} for link in links] == [
        {"name": ["Ünï & co"], "status": ["active"], "limit": ["2"], "sort": ["-createdAt"]}
    ]


async def test_each_page_tells_how_many_there_are_in_all(served: Served) -> None:
    """`X-Total-Count` is that of the filter, not of the page; with `q` there is none."""
    for path, told in (("/jobs?limit=2", "8"), ("/jobs?limit=1&status=failed", "2"), ("/jobs?limit=1&q=done", None)):
        async with served.client.get(URL(path, encoded=True)) as answer:
            assert answer.headers.get("X-Total-Count") == told


@pytest.mark.parametrize(
    "other", ["sort=-createdAt", "status=active", "q=a", "label=team", "since=2025-11-22T08:00:00Z"]
)
async def test_a_cursor_belongs_to_its_list(served: Served, other: str) -> None:
    """With other filters or another sort it would leave jobs out: refused, and said why."""
    _, [link, *_] = await follow(served, "/jobs?limit=3")
    async with served.client.get(f"/jobs?limit=3&{other}", params={"cursor": link["cursor"][0]}) as answer:
        problem = await answer.json()
        assert (answer.status, problem["errors"][0]["field"]) == (400, "?cursor")
    assert "other filters" in problem["error"]


def forged(value: Any) -> str:
    """What looks like a cursor."""
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ü",
        "====",
        forged([]),
        forged([None, 1]),
        forged([None, 1, "0"]),
        forged({}),
        forged("[" * 9),
        "A" * 4000,
    ],
)
async def test_a_forged_cursor_is_refused(served: Served, cursor: str) -> None:
    """Never an error of the server."""
    async with served.client.get("/jobs", params={"limit": 3, "cursor": cursor}) as answer:
        assert (answer.status, (await answer.json())["errors"][0]["field"]) == (400, "?cursor")


@pytest.mark.parametrize("key", [[None, 2**63], [None, -1], [None, True], [None, 1.5], ["x", 1], [2**70, 1], [[], 1]])
async def test_a_cursor_with_a_changed_key_is_refused(served: Served, key: list[Any]) -> None:
    """Also where its digest is right."""
    _, [link, *_] = await follow(served, "/jobs?limit=3")
    given = link["cursor"][0]
    digest = json.loads(urlsafe_b64decode(given + "=" * (-len(given) % 4)))[2]
    async with served.client.get("/jobs", params={"limit": 3, "cursor": forged([*key, digest])}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ("status=runing", "?status", "did you mean running?"),
        ("status=processing", "?status", "is no status"),
        ("status=", "?status", "known are"),
        ("status=failed,,lost", "?status", "known are"),
        ("name=", "?name", "leave it out"),
        ("q=", "?q", "leave it out"),
        ("label=", "?label", "key:value"),
        ("label=:x", "?label", "key:value"),
        ("label=a:1&label=a:2", "?label", "once"),
        ("since=yesterday", "?since", "2026-11-22T08:00:00Z"),
        ("since=2025-11-22T08:00:00+01:00", "?since", "%2B"),
        ("until=2025-02-30T00:00:00Z", "?until", "2026-11-22T08:00:00Z"),
        ("sort=duration", "?sort", "finishedAt"),
        ("limit=0", "?limit", "1 to 1,000"),
        ("limit=1001", "?limit", "1 to 1,000"),
        ("limit=-1", "?limit", "1 to 1,000"),
        ("nmae=x", "?nmae", "did you mean name?"),
        ("name=a&name=b", "?name", "give it once"),
    ],
)
async def test_a_bad_value_is_named_with_its_remedy(served: Served, query: str, field: str, remedy: str) -> None:
    """400, before anything is read."""
    async with served.client.get(f"/jobs?{query}") as answer:
        assert answer.status == 400
        [problem] = (await answer.json())["errors"][:1]
    assert problem["field"] == field
    assert remedy in problem["problem"]


async def test_all_bad_values_are_told_at_once(served: Served) -> None:
    """Not one after the other."""
    async with served.client.get("/jobs?status=x&since=y&limit=z&label=") as answer:
        fields = [problem["field"] for problem in (await answer.json())["errors"]]
    assert fields == ["?status", "?label", "?since", "?limit"]


@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "%FF", "'%20OR%201=1--", "%22", "%5C"])
async def test_any_text_may_be_searched(served: Served, text: str) -> None:
    """It is data, whatever is in it."""
    async with served.client.get(f"/jobs?q={text}") as answer:
        assert (answer.status, await answer.json()) == (200, [])


async def test_head_tells_count_and_link(served: Served) -> None:
    """As GET does, without the jobs."""
    async with served.client.head("/jobs?limit=3&status=active") as head:
        assert (head.headers["X-Total-Count"], await head.read()) == ("4", b"")
        assert 'rel="next"' in head.headers["Link"]


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt", "jobName", "-jobName"])
async def test_jobs_that_come_and_end_meanwhile_disturb_no_page(served: Served, kept: Store, sort: str) -> None:
    """Pages followed by their links show each job that was there, once."""
    seen: list[str] = []
    path: str | None = f"/jobs?limit=2&sort={sort}"
    while path:
        async with served.client.get(URL(path, encoded=True)) as answer:
            seen += [job["jobId"] for job in await answer.json()]
            path = next_of(answer)
        if len(seen) <= 6:
            await submitted(kept, a_spec("a-first"), a_spec("done"), a_spec("z-last"))
            for run in await claimed(kept, 2):
                await ended(kept, run)
    assert len(seen) == len(set(seen))
    assert {f"job-{number}" for number in range(8)} <= set(seen)


async def test_deleted_jobs_are_left_out_of_a_page(served: Served, kept: Store) -> None:
    """A page whose jobs are all gone leads on, and a whole list does not end there."""
    await submitted(kept, *(a_spec() for _ in range(120)))
    for job in range(10, 100):
        await kept.apply([Stop(job, AT), Delete(job, AT)])
    expected = [*range(10), *range(100, 128)]
    assert await ids_of(served) == expected
    pages, _ = await follow(served, "/jobs?limit=7")
    assert [job for page in pages for job in page] == [f"job-{number}" for number in expected]


async def test_a_whole_list_holds_what_was_there_when_it_began(kept: Store, tmp_path: Path) -> None:
    """What is submitted while it is sent, and would stand in the middle, takes nobody's place."""
    await submitted(kept, *(a_spec(f"m-{number}", args=("x" * 100_000,)) for number in range(100)))
    async with serving(tmp_path, store=kept) as served, served.client.get("/jobs?sort=jobName") as answer:
        text = await answer.content.read(1)
        await submitted(kept, *(a_spec("m-5") for _ in range(200)))
        jobs = json.loads(text + await answer.content.read())
        assert answer.headers["X-Total-Count"] == str(len(jobs)) == "108"
    assert {job["jobId"] for job in jobs} == {f"job-{number}" for number in range(108)}


# --- one job


async def test_a_job_that_did_not_change_is_not_sent_again(served: Served, kept: Store) -> None:
    """304 without a body while its tag is the same; HEAD too; another tag when it changed."""
    async with served.client.get("/jobs/job-4") as first:
        tag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "no-cache"
        assert await first.json()
    assert tag.startswith('W/"')  # Bodies that differ in `eta` have the same one.
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        async with served.client.get("/jobs/job-4", headers={"If-None-Match": known}) as again:
            assert (again.status, again.headers["ETag"], await again.read()) == (304, tag, b"")
    async with served.client.head("/jobs/job-4") as head:
        assert (head.status, head.headers["ETag"]) == (200, tag)
    await kept.apply([Stop(5, AT)])
    [run] = await kept.open_runs()
    await ended(kept, run)
    async with served.client.get("/jobs/job-4", headers={"If-None-Match": tag}) as changed:
        assert (changed.status, (await changed.json())["status"]) == (200, "completed")
        assert changed.headers["ETag"] != tag


async def test_many_lists_at_once_are_all_whole(served: Served) -> None:
    """Two reading threads serve them in turn."""
    lists = await asyncio.gather(*(ids_of(served, q="a", sort="-jobName") for _ in range(20)))
    assert all(one == lists[0] for one in lists)
