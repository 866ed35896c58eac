"""Socket.IO, and what means nothing: events that nobody knows, packets that are none, requests that are no Engine.IO. Never an error in the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobmgr.api import socketio_engine, socketio_watcher
from jobmgr.store.base import Store
from tests.contract.served import Served, serving
from tests.contract.socketio_client import Bare, home, listening, quietly_serving, settled
from tests.waiting import eventually

TRANSPORTS = [("websocket",), ("polling",), ("polling", "websocket")]
FOREIGN = "https://board.example.org"


@pytest.fixture
async def served(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Served]:
    """A server over an empty store; one foreign origin is allowed."""
    async with quietly_serving(tmp_path, store, caplog, JOBMGR_ALLOWED_ORIGINS=FOREIGN) as served:
        yield served


# --- what means nothing


@pytest.mark.parametrize(
    ("name", "given", "about"),
    [
        ("nonsense", {}, "not known here: 'nonsense'"),
        ("connection", None, "not known here"),
        ("subscribe", None, "/subscribe: give an object"),
        ("subscribe", "failed", "/subscribe: give an object"),
        ("subscribe", {"state": "failed"}, "/subscribe/state: unknown parameter"),
        ("subscribe", {"after": 1}, "/subscribe/after: give a text"),
        ("ack", "1", "/ack: give a number that was sent"),
        ("ack", True, "/ack: give a number that was sent"),
        ("ack", 1, "/ack: give a number that was sent: 0 to 0"),
        ("ack", -1, "/ack: give a number that was sent"),
        ("ack", None, "/ack: give a number that was sent"),
        ("update-on-job-received:7", None, "no id of a job"),
    ],
)
async def test_what_is_not_understood_gets_an_error(served: Served, name: str, given: Any, about: str) -> None:
    """A sentence that says what would be; the connection goes on."""
    async with listening(served.server.address) as ear:
        answer = await ear.client.call(name, given)
        assert answer["error"].startswith(about)
        assert ear.of("error") == [answer]
        assert await ear.client.call("ack", 0) == {"seq": 0}


async def test_too_many_errors_end_the_connection(served: Served) -> None:
    """Twenty; the client is not to come again by itself."""
    async with listening(served.server.address) as ear:
        for _ in range(socketio_watcher.MAX_COMPLAINTS):
            await ear.client.emit("nonsense")
        await eventually(lambda: ear.gone)
        assert len(ear.of("error")) == socketio_watcher.MAX_COMPLAINTS + 1
    await settled(served)


@pytest.mark.parametrize(
    "packet",
    [
        "42",
        "42{}",
        "42[]",
        "42[1]",
        '42[["connect"]]',
        '42["connect",{}]',
        '42["disconnect"]',
        '42["disconnect","x","y"]',
        "42nonsense",
        "42" + "[" * 30_000,
        "44{}",
        "46",
        '451-["x",{"_placeholder":true,"num":0}]',
        '459999999999999999-["x"]',
        "43",
        "4" + "3" + "9" * 200,
    ],
)
async def test_packets_that_mean_nothing_get_an_error(served: Served, packet: str) -> None:
    """Also those that the library would take for its own `connect`, or for a bug."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(packet) == 200
    assert "not understood" in await bare.hear('"error"') or packet.startswith('42["')
    assert await bare.post('42["ack",0]') == 200


@pytest.mark.parametrize("packet", ["430[]", "4399[]", "43999[1,2]", "42/other,[1]", "bAAAA", "3"])
async def test_what_comes_late_or_for_nobody_is_passed_over(served: Served, packet: str) -> None:
    """An answer to what is not waited for is no fault."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(packet) == 200
    assert await bare.post('420["ack",0]') == 200
    assert "error" not in await bare.hear('430[{"seq":0}]')


@pytest.mark.parametrize(
    "body", [b"", b"x", b"9", b"4", b"4x", b"2probe", b"5", b"6", b"0", b"\xff", b"42[]\x1ex", b"d=1"]
)
async def test_what_is_no_packet_is_refused(served: Served, body: bytes) -> None:
    """400; the session is as it was."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(body) == 400
    assert await bare.post("3") == 200


async def test_many_packets_may_come_at_once(served: Served) -> None:
    """A client that was away for a moment acknowledges everything in one request."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post("\x1e".join(["43[]"] * 5000)) == 200


async def test_a_body_has_a_limit(served: Served) -> None:
    """413, with and without a length."""
    bare = Bare(served.client)
    await bare.open()
    large = b"42" + b"x" * socketio_engine.MAX_MESSAGE_BYTES
    assert await bare.post(large) == 413

    async def pieces() -> AsyncIterator[bytes]:
        yield large

    async with served.client.post(bare._query(), data=pieces()) as answer:
        assert answer.status == 413


async def test_a_compressed_body_is_refused(served: Served) -> None:
    """415, as everywhere."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(b"3", **{"Content-Encoding": "gzip"}) == 415


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "", 400),
        ("GET", "EIO=3&transport=polling", 400),
        ("GET", "EIO=4&transport=smoke", 400),
        ("GET", "EIO=4&transport=websocket", 400),
        ("GET", "EIO=4&transport=polling&j=0", 400),
        ("GET", "EIO=4&transport=polling&sid=nobody", 400),
        ("POST", "EIO=4&transport=polling&sid=nobody", 400),
        ("POST", "EIO=4&transport=polling", 400),
        ("HEAD", "EIO=4&transport=polling", 405),
        ("PUT", "EIO=4&transport=polling", 405),
        ("DELETE", "EIO=4&transport=polling", 405),
    ],
)
async def test_what_is_no_engine_io_is_refused(served: Served, method: str, query: str, status: int) -> None:
    """With a problem, as every refusal; no session begins."""
    headers = {"Content-Type": "text/plain"} if method == "POST" else {}
    data = b"3" if method == "POST" else None
    if method in {"PUT", "DELETE"}:
        headers = {"Content-Type": "application/json"}
    async with served.client.request(method, f"/socket.io/?{query}", headers=headers, data=data) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        if method != "HEAD":
            assert json.loads(await answer.text())["error"]
    assert not home(served).engine.sockets


async def test_two_requests_of_a_session_at_once_are_refused(served: Served) -> None:
    """A second one that reads would take what is meant for the first."""
    bare = Bare(served.client)
    await bare.open()
    await bare.hear("hello")
    first = asyncio.create_task(bare.get())
    await eventually(lambda: home(served)._requests)
    async with served.client.get(bare._query()) as answer:
        assert answer.status == 400
    assert await bare.post("1") == 200
    await first


@pytest.mark.parametrize("said", ["x", "", "4x", "5", "2probe", "4" + "[" * 60_000])
async def test_a_websocket_that_does_not_speak_the_protocol_is_closed(served: Served, said: str) -> None:
    """Without a trace in the log; nothing of it is left."""
    async with served.client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive()
        await socket.send_str(said)
        while not (await socket.receive()).type.name.startswith("CLOS"):
            pass
    await settled(served)


async def test_a_session_that_nobody_connects_in_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold a place for nothing."""
    monkeypatch.setattr("jobmgr.api.socketio.CONNECT_TIMEOUT_S", 0.05)
    async with served.client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive()
        while not (await socket.receive()).type.name.startswith("CLOS"):
            pass
    await settled(served)


async def test_there_is_no_room_for_more_than_may_watch(tmp_path: Path, store: Store) -> None:
    """503 before a session begins; the client tries again later."""
    async with serving(tmp_path, store=store, JOBMGR_MAX_WATCHERS=2) as served:
        both = listening(served.server.address), listening(served.server.address, transports=("polling",))
        async with both[0], both[1], served.client.get("/socket.io/?EIO=4&transport=polling") as answer:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        await eventually(lambda: not home(served).engine.sockets)
        async with listening(served.server.address) as ear:
            await ear.wait_for("hello")
