"""GET /events: server-sent events, and the long poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError

from jobmgr.api import events
from jobmgr.job import job_id
from jobmgr.store.base import Stop
from tests.contract.live import Live, data_of, live_server, told
from tests.contract.stores import AT
from tests.waiting import eventually

HUGE = 2**53


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A server in which nothing has happened."""
    async with live_server(tmp_path) as live:
        yield live


# --- the stream


async def test_a_stream_begins_with_hello_and_its_number(live: Live) -> None:
    """Before anything happens."""
    seq = await live.happen()
    async with live.served.client.get("/events") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert await told(answer) == {"id": str(seq), "event": "hello", "data": f'{{"seq":{seq}}}'}


async def test_an_event_has_its_number_its_kind_and_what_it_tells(live: Live) -> None:
    """`data` has `seq` and `at` besides, for those who see only that."""
    async with live.served.client.get("/events") as answer:
        await told(answer)
        await live.happen(name="encode")
        event = await told(answer)
    data = data_of(event)
    assert (event["id"], event["event"], data["seq"], data["jobName"]) == ("1", "job-update", 1, "encode")
    assert data["at"] == "2025-11-22T08:00:00.000Z"


@pytest.mark.parametrize(("query", "header"), [("?after=2", None), ("", "2"), ("?after=0", "2")])
async def test_a_stream_goes_on_after_a_number(live: Live, query: str, header: str | None) -> None:
    """Of the address, or of `Last-Event-ID`, which wins: browsers come again with both."""
    await live.happen(4)
    async with live.served.client.get(f"/events{query}", headers={"Last-Event-ID": header} if header else {}) as answer:
        assert [(await told(answer))["id"] for _ in range(3)] == ["2", "3", "4"]


async def test_a_quiet_stream_moves_its_number_on(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id without an event: nothing passes the filter."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(events, "LOOK_S", 0.01)
    async with live.served.client.get("/events?status=lost") as answer:
        await told(answer)
        seq = await live.happen(3)
        while (event := await told(answer)) != {"id": str(seq)}:
            assert set(event) == {"id"}


async def test_many_events_that_do_not_pass_move_the_number_on_too(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the feed itself is never quiet."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.2)
    busy = asyncio.create_task(_for_ever(live))
    try:
        async with live.served.client.get("/events?status=lost") as answer:
            await told(answer)
            ids = [int((await told(answer))["id"]) for _ in range(3)]
    finally:
        busy.cancel()
        with suppress(asyncio.CancelledError):
            await busy
    assert ids == sorted(set(ids)) and ids[0] > 0


async def _for_ever(live: Live) -> None:
    while True:
        await live.happen()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("after", ["0", "3", "99", str(HUGE)])
async def test_case_64_a_stream_is_reset_where_it_cannot_go_on(live: Live, after: str) -> None:
    """Too old, or ahead of all there is: first the reset, then hello at the newest."""
    await live.happen(10)
    await live.prune(5)
    async with live.served.client.get("/events", headers={"Last-Event-ID": after}) as answer:
        assert [await told(answer) for _ in range(2)] == [
            {"id": "10", "event": kind, "data": '{"seq":10}'} for kind in ("reset", "hello")
        ]


async def test_head_tells_the_type_and_does_not_last(live: Live) -> None:
    """And nobody watches afterwards."""
    async with live.served.client.head("/events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")


async def test_a_client_that_leaves_watches_no_more(live: Live) -> None:
    """The server finds out by itself."""
    feed = live.served.server._parts.feed
    answer = await live.served.client.get("/events")
    await eventually(lambda: feed.watchers == 1)
    answer.close()
    await eventually(lambda: feed.watchers == 0)


async def test_a_stream_is_cut_when_the_server_leaves(live: Live) -> None:
    """It does not look like an end in order; whoever comes again misses nothing."""
    async with live.served.client.get("/events") as answer:
        await told(answer)
        await live.served.server.stop()
        with pytest.raises(ClientPayloadError):
            await answer.read()


# --- the long poll


async def test_a_poll_answers_at_once_with_what_there_is(live: Live) -> None:
    """`seq` is the next `after`."""
    await live.happen(3)
    status, page = await live.get("/events?after=1&wait=60")
    assert (status, [event["seq"] for event in page["events"]], page["seq"], page["reset"]) == (200, [2, 3], 3, False)
    assert page["events"][0] == {
        "event": "job-update",
        "seq": 2,
        "at": "2025-11-22T08:00:00.000Z",
        "data": page["events"][0]["data"],
    }


async def test_a_poll_waits_for_the_first_event(live: Live) -> None:
    """It answers when something happens."""
    feed = live.served.server._parts.feed
    poll = asyncio.create_task(live.get("/events?wait=60"))
    await eventually(lambda: feed.watchers == 1)
    await live.happen()
    _, page = await poll
    assert [event["seq"] for event in page["events"]] == [1]


async def test_a_poll_with_wait_0_answers_with_nothing(live: Live) -> None:
    """At once."""
    await live.happen(2)
    assert await live.get("/events?wait=0&after=2") == (200, {"events": [], "seq": 2, "reset": False})


async def test_a_poll_looks_at_no_more_events_than_its_limit(live: Live) -> None:
    """The next goes on from there."""
    await live.happen(5)
    _, page = await live.get("/events?wait=0&after=0&limit=2")
    assert ([event["seq"] for event in page["events"]], page["seq"]) == ([1, 2], 2)


@pytest.mark.parametrize("after", [0, 3, 99, HUGE])
async def test_case_64_a_poll_is_reset_where_it_cannot_go_on(live: Live, after: int) -> None:
    """At once, however long it would wait."""
    await live.happen(10)
    await live.prune(5)
    assert await live.get(f"/events?wait=60&after={after}") == (200, {"events": [], "seq": 10, "reset": True})


# --- which events


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2, 3]),
        ("event=job-update", [1, 2, 3]),
        ("event=task-update", []),
        ("job=job-1", [2]),
        ("job=job-1&job=job-2", [2, 3]),
        ("status=pending", [1, 2, 3]),
        ("status=active", [1, 2, 3]),
        ("status=finished", []),
        ("status=failed,pending", [1, 2, 3]),
        ("name=encode", [2]),
        ("name=encode&name=other", [2, 3]),
        ("type=video", [3]),
        ("label=team:media", [2]),
        ("label=team", [2, 3]),
        ("label=team:media&label=stage", []),
    ],
)
async def test_only_what_passes_the_filter_comes(live: Live, query: str, found: list[int]) -> None:
    """Every word, and several of them."""
    await live.happen()
    await live.happen(name="encode", labels={"team": "media"})
    await live.happen(name="other", type="video", labels={"team": "web"})
    _, page = await live.get(f"/events?wait=0&after=0&{query}")
    assert [event["seq"] for event in page["events"]] == found
    assert page["seq"] == 3


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("after=-1", "?after: give a whole number from 0"),
        ("after=NaN", "?after: give a whole number from 0"),
        ("after=last", "?after: give a whole number from 0"),
        ("after=", "?after: give a whole number from 0"),
        ("after=1.0", "?after: give a whole number from 0"),
        (f"after={HUGE + 1}", "?after: give a whole number from 0"),
        (f"after={'9' * 5000}", "?after: give a whole number from 0"),
        ("after=%D9%A3", "?after: give a whole number from 0"),
        ("after=1&after=2", "?after: give it once"),
        ("wait=301", "?wait: give a whole number from 0 to 300"),
        ("wait=-1", "?wait: give a whole number from 0 to 300"),
        ("wait=0&limit=0", "?limit: give a whole number from 1 to 1,000"),
        ("statu=lost", "?statu: unknown parameter; did you mean status?"),
        ("status=runing", "did you mean running?"),
        ("event=job-updates", "?event: give one of job-update, task-update, update-on-jobs"),
        ("job=7x", "?job: give the id of a job, such as job-7"),
        ("name=", "?name: give a text"),
        ("label=:x", "?label: give key:value"),
        ("label=a:1&label=a:2", "?label: give a once"),
        ("clientId=board", "?clientId: unknown parameter"),
    ],
)
async def test_a_wrong_parameter_is_named(live: Live, query: str, sentence: str) -> None:
    """400 with the remedy; a stream does not begin."""
    status, problem = await live.get(f"/events?{query}")
    assert status == 400 and sentence in problem["error"], problem


@pytest.mark.parametrize("given", ["-1", "x", "", "1.5", "9" * 30, "1, 2"])
async def test_case_64_a_wrong_last_event_id_is_refused(live: Live, given: str) -> None:
    """400 that names the header."""
    status, problem = await live.get("/events", **{"Last-Event-ID": given})
    assert status == 400 and "Last-Event-ID: send it once, with the number of an event" in problem["error"]


async def test_too_many_watchers_are_sent_away_for_a_while(tmp_path: Path) -> None:
    """503 with Retry-After, over each of the three; when one leaves there is room again."""
    async with live_server(tmp_path, JOBMGR_MAX_WATCHERS=1) as live:
        feed = live.served.server._parts.feed
        first = await live.served.client.get("/events")
        await eventually(lambda: feed.watchers == 1)
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        for path, headers in (
            ("/events", {}),
            ("/events?wait=0", {}),
            ("/ws", {**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ):
            async with live.served.client.get(path, headers=headers) as answer:
                assert answer.status == 503, path
                assert int(answer.headers["Retry-After"]) > 0
        first.close()
        await eventually(lambda: feed.watchers == 0)
        assert (await live.get("/events?wait=0"))[0] == 200


# --- from a list to the feed


@pytest.mark.parametrize("path", ["/jobs", "/jobs?limit=1", "/jobs/job-0"])
async def test_who_begins_at_the_number_of_an_answer_misses_nothing(live: Live, path: str) -> None:
    """While jobs are submitted all the time: what the answer does not have is above its `Event-Seq`."""
    await live.happen()
    busy = asyncio.create_task(_for_ever(live))
    try:
        for _ in range(20):
            async with live.served.client.get(path) as answer:
                seq, body = int(answer.headers["Event-Seq"]), await answer.json()
            _, page = await live.get(f"/events?wait=60&after={seq}")
            later = {event["data"]["jobId"] for event in page["events"]}
            first = page["events"][0]["seq"]
            assert first == seq + 1
            if path == "/jobs":  # Each job here has one event, whose number is that of the job, and one.
                known = {job["jobId"] for job in body} | later
                assert {job_id(number) for number in range(first)} <= known
    finally:
        busy.cancel()
        with suppress(asyncio.CancelledError):
            await busy


async def test_an_end_and_its_result_have_one_number_and_only_the_last_is_a_place(live: Live) -> None:
    """Who is cut off between the two and comes again with the last id gets both again, and misses neither."""
    await live.happen()
    await live.store.apply([Stop(0, AT)])
    query = "?after=1&event=job-update&event=update-on-jobs"
    async with live.served.client.get(f"/events{query}") as answer:
        await told(answer)
        update, result = await told(answer), await told(answer)
    assert (update["event"], result["event"]) == ("job-update", "update-on-jobs")
    assert "id" not in update
    assert result["id"] == str(data_of(update)["seq"]) == str(data_of(result)["seq"])
