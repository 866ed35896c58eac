"""Following an output as messages, over a WebSocket and as server-sent events: by byte, over cuts, with true text."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from jobmgr.job import Status
from tests.contract.served import Served, a_job, serving
from tests.waiting import eventually

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with one running job, job-0."""
    async with serving(tmp_path) as it:
        it.rows.add(a_job(0))
        yield it


async def heard(socket: ClientWebSocketResponse) -> list[dict[str, Any]]:
    """Every message until the socket is closed."""
    return [json.loads(message.data) async for message in socket if message.type is WSMsgType.TEXT]


def events(text: str) -> list[tuple[int, str, Any]]:
    """The events of a stream: id, kind, data."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


async def test_a_socket_tells_what_is_printed_as_it_is_printed(served: Served) -> None:
    """Text with its place in bytes; then that the attempt is over, and it is closed."""
    path = served.print(0, b"one\n")
    async with served.client.ws_connect("/jobs/job-0/output") as socket:
        assert await socket.receive_json() == {"event": "output", "data": {"from": 0, "to": 4, "text": "one\n"}}
        with path.open("ab") as file:
            file.write(b"two\n")
        assert await socket.receive_json() == {"event": "output", "data": {"from": 4, "to": 8, "text": "two\n"}}
        served.rows.change(0, Status.COMPLETED)
        assert await heard(socket) == [
            {"event": "end", "data": {"to": 8, "attempt": 1, "status": "completed", "cutOff": False}}
        ]
        assert socket.close_code == 1000


async def test_whoever_lost_the_connection_goes_on_where_it_broke(served: Served) -> None:
    """`from` is the byte to begin at."""
    served.print(0, b"one\ntwo\n")
    served.rows.change(0, Status.COMPLETED)
    async with served.client.ws_connect("/jobs/job-0/output?from=4") as socket:
        first, end = await heard(socket)
    assert first["data"] == {"from": 4, "to": 8, "text": "two\n"}
    assert end["event"] == "end"


async def test_the_last_lines_can_be_asked_for(served: Served) -> None:
    """`tail` begins at their first byte."""
    served.print(0, b"one\ntwo\nthree\n")
    served.rows.change(0, Status.COMPLETED)
    async with served.client.ws_connect("/jobs/job-0/output?tail=1") as socket:
        assert (await heard(socket))[0]["data"] == {"from": 8, "to": 14, "text": "three\n"}


async def test_a_character_is_never_cut_in_two(served: Served) -> None:
    """Its first byte waits for the second; the place goes on from before it."""
    path = served.print(0, "é".encode()[:1])
    async with served.client.ws_connect("/jobs/job-0/output") as socket:
        with path.open("ab") as file:
            file.write("é".encode()[1:] + b"\xff")
        served.rows.change(0, Status.COMPLETED)
        *texts, end = await heard(socket)
    assert "".join(each["data"]["text"] for each in texts) == "é\ufffd"
    assert [each["data"]["from"] for each in texts] == [0, *(each["data"]["to"] for each in texts[:-1])]
    assert texts[-1]["data"]["to"] == end["data"]["to"] == 3


async def test_a_freed_middle_is_a_gap(served: Served) -> None:
    """Offsets stay those of the file."""
    path = served.print(0, b"")
    block = 1 << 20
    with path.open("wb") as file:
        file.write(b"head\n" + b"h" * (block - 5))
        file.seek(2 * block)
        file.write(b"tail\n")
    if sys.platform != "linux" or os.stat(path).st_blocks * 512 >= 2 * block:
        pytest.skip("this file system keeps no holes")
    served.rows.change(0, Status.COMPLETED)
    async with served.client.ws_connect("/jobs/job-0/output") as socket:
        *texts, gap, tail, end = await heard(socket)
    assert texts[-1]["data"]["to"] == block
    assert (gap["event"], gap["data"]) == ("gap", {"from": block, "to": 2 * block})
    assert tail["data"] == {"from": 2 * block, "to": 2 * block + 5, "text": "tail\n"}
    assert end["data"]["to"] == 2 * block + 5


async def test_an_output_that_the_job_cut_off_ends_and_says_so(served: Served) -> None:
    """What was below is gone; nobody waits for it."""
    path = served.print(0, b"one\ntwo\n")
    async with served.client.ws_connect("/jobs/job-0/output") as socket:
        assert (await socket.receive_json())["data"]["to"] == 8
        path.write_bytes(b"")
        [end] = await heard(socket)
    assert (end["event"], end["data"]["cutOff"]) == ("end", True)


async def test_a_stream_has_the_byte_to_go_on_from_as_its_id(served: Served) -> None:
    """A browser comes again with it by itself."""
    served.print(0, b"one\ntwo\n")
    served.rows.change(0, Status.COMPLETED)
    async with served.client.get("/jobs/job-0/output?follow=true", headers=STREAM) as answer:
        assert answer.content_type == "text/event-stream"
        first, end = events(await answer.text())
    assert first == (8, "output", {"from": 0, "to": 8, "text": "one\ntwo\n"})
    assert (end[0], end[1]) == (8, "end")


async def test_a_stream_goes_on_after_the_last_event(served: Served) -> None:
    """`Last-Event-ID` wins over `from`, which is that of the first request."""
    served.print(0, b"one\ntwo\n")
    served.rows.change(0, Status.COMPLETED)
    headers = {**STREAM, "Last-Event-ID": "4"}
    async with served.client.get("/jobs/job-0/output?follow=true&from=0", headers=headers) as answer:
        assert events(await answer.text())[0] == (8, "output", {"from": 4, "to": 8, "text": "two\n"})


async def test_without_asking_for_a_stream_the_bytes_come_as_ever(served: Served) -> None:
    """`Accept: */*` is what everybody sends."""
    served.print(0, b"one\n")
    served.rows.change(0, Status.COMPLETED)
    async with served.client.get("/jobs/job-0/output?follow=true") as answer:
        assert (answer.content_type, await answer.read()) == ("text/plain", b"one\n")


async def test_it_waits_for_an_attempt_that_is_to_come(served: Served) -> None:
    """A job that waits for its slot is followed from its first byte on."""
    served.rows.change(0, Status.PENDING, attempt=0)
    async with served.client.ws_connect("/jobs/job-0/output") as socket:
        served.print(0, b"at last\n")
        served.rows.change(0, Status.RUNNING)
        assert (await socket.receive_json())["data"]["text"] == "at last\n"


async def test_a_follower_that_leaves_is_let_go(served: Served) -> None:
    """Nothing of it stays in the server."""
    served.print(0, b"one\n")
    followers = served.server._followers
    async with served.client.ws_connect("/jobs/job-0/output") as socket:
        await socket.receive_json()
        assert followers.count == 1
    await eventually(lambda: followers.count == 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/job-0/output?from=5", 416),
        ("/jobs/job-7/output", 404),
        ("/jobs/job-0/output?from=x", 400),
        ("/jobs/job-0/output?from=0&tail=1", 400),
        ("/jobs/job-0/output?stream=stderr", 400),
    ],
)
async def test_what_cannot_be_followed_is_refused_before_the_upgrade(served: Served, path: str, status: int) -> None:
    """With the status that a plain request gets."""
    served.print(0, b"one\n")
    with pytest.raises(WSServerHandshakeError) as refused:
        await served.client.ws_connect(path)
    assert refused.value.status == status


@pytest.mark.parametrize("given", ["-1", "x", "9" * 30])
async def test_a_wrong_last_event_id_is_named(served: Served, given: str) -> None:
    """400 with the header and the remedy."""
    served.print(0, b"one\n")
    async with served.client.get(
        "/jobs/job-0/output?follow=true", headers={**STREAM, "Last-Event-ID": given}
    ) as answer:
        assert answer.status == 400
        assert "Last-Event-ID" in (await answer.json())["error"]


async def test_a_page_of_another_origin_cannot_open_it(served: Served) -> None:
    """Refused before the upgrade."""
    with pytest.raises(WSServerHandshakeError) as refused:
        await served.client.ws_connect("/jobs/job-0/output", headers={"Origin": "http://evil.example"})
    assert refused.value.status == 403
