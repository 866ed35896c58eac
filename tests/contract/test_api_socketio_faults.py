"""Socket.IO under stress: pages of others, a transport that changes in a burst, readers that do not read, a server that leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError

from jobmgr.api import socketio_engine, socketio_watcher
from jobmgr.store.base import Store
from tests.contract.served import Served, serving
from tests.contract.socketio_client import SEPARATOR, Bare, home, listening, quietly_serving, settled
from tests.contract.stores import a_spec, ended, running, submitted
from tests.waiting import eventually

ALLOWED = "https://board.example.org"
POLLING, WEBSOCKET = "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"


@pytest.fixture
async def served(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Served]:
    """A server over an empty store; one foreign origin is allowed."""
    async with quietly_serving(tmp_path, store, caplog, JOBMGR_ALLOWED_ORIGINS=ALLOWED) as served:
        yield served


async def opened(served: Served, path: str, headers: dict[str, str]) -> int:
    """Ask for a session; the status of the answer."""
    if path == POLLING:
        async with served.client.get(path, headers=headers) as answer:
            return answer.status
    try:
        async with served.client.ws_connect(path, headers=headers):
            return 101
    except WSServerHandshakeError as error:
        return error.status


# --- FAULT 80


@pytest.mark.parametrize("path", [POLLING, WEBSOCKET])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_fault_80_foreign_pages_get_no_session(served: Served, path: str, headers: dict[str, str]) -> None:
    """FAULT 80: foreign and null origins are refused with 403, on polling and WebSocket alike, before there is a session."""
    assert await opened(served, path, headers) == 403
    assert not home(served).engine.sockets


@pytest.mark.parametrize("path", [POLLING, WEBSOCKET])
async def test_fault_80_programs_and_own_pages_get_one(served: Served, path: str) -> None:
    """FAULT 80: a missing Origin is a program; our own one and the allowed ones may watch."""
    good = 200 if path == POLLING else 101
    own = served.server.address
    for headers in ({}, {"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Origin": ALLOWED}):
        assert await opened(served, path, headers) == good


async def test_fault_80_a_foreign_page_cannot_use_a_session_of_others(served: Served) -> None:
    """FAULT 80: nor read, nor send, nor move to a WebSocket, with an id that it should not know."""
    bare = Bare(served.client)
    await bare.open()
    evil = {"Origin": "https://evil.example"}
    async with served.client.get(bare._query(), headers=evil) as answer:
        assert answer.status == 403
    assert await bare.post('42["ack",0]', **evil) == 403
    assert await opened(served, f"{WEBSOCKET}&sid={bare.session}", evil) == 403


async def test_a_foreign_host_is_refused(served: Served) -> None:
    """A page that gave its own name the address of this machine."""
    async with served.client.get(POLLING, headers={"Host": "evil.example"}) as answer:
        assert answer.status == 421


@pytest.mark.parametrize(("origin", "named"), [(ALLOWED, True), (None, False)])
async def test_only_allowed_pages_may_read_the_answer(served: Served, origin: str | None, named: bool) -> None:
    """CORS headers name the origin that asked, and only where it may; there is no wildcard and there are no credentials."""
    headers = {"Origin": origin} if origin else {}
    async with served.client.get(POLLING, headers=headers) as answer:
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if named else None)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert (answer.headers.get("Vary") == "Origin") == named


async def test_an_allowed_page_may_ask_first(served: Served) -> None:
    """The question that a browser asks before it sends."""
    headers = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
    async with served.client.options(POLLING, headers=headers) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, ALLOWED)
    async with served.client.options(POLLING, headers={**headers, "Origin": "https://evil.example"}) as answer:
        assert answer.status == 403


# --- FAULT 63


async def test_fault_63_nothing_is_lost_when_a_polling_client_becomes_a_websocket_in_a_burst(
    served: Served, store: Store
) -> None:
    """FAULT 63: with a full queue at the moment of the change every event comes, in order, first by one way, then by the other."""
    await submitted(store, *[a_spec()] * 100)
    bare = Bare(served.client)
    await bare.open('{"after":0}')
    engine = home(served).engine
    is_full = engine.sockets[bare.session].queue.full
    await eventually(is_full)
    heard = await bare.hear("hello")
    await eventually(is_full)
    async with served.client.ws_connect(f"{WEBSOCKET}&sid={bare.session}") as socket:
        await socket.send_str("2probe")
        assert (await socket.receive()).data == "3probe"
        heard += await bare.get()  # Whatever comes: the last one before the change.
        await submitted(store, *[a_spec()] * 100)
        await socket.send_str("5")
        while '"seq":200' not in heard:
            heard += f"{SEPARATOR}{(await socket.receive()).data}"
    seqs = [json.loads(text[2:])[1]["seq"] for text in heard.split(SEPARATOR) if text.startswith('42["job-update"')]
    assert seqs == list(range(1, 201))


async def test_a_change_that_fails_leaves_the_client_polling(served: Served, store: Store) -> None:
    """A WebSocket that breaks before it is one: events go on by polling at once."""
    bare = Bare(served.client)
    await bare.open()
    await bare.hear("hello")
    async with served.client.ws_connect(f"{WEBSOCKET}&sid={bare.session}") as socket:
        await socket.send_str("2probe")
        assert (await socket.receive()).data == "3probe"
    await submitted(store, a_spec())
    await bare.hear('"seq":1')


# --- readers that do not read


async def test_a_client_that_takes_nothing_is_cut_and_resumes(
    served: Served, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it has a bound; when it comes again nothing is missing."""
    monkeypatch.setattr(socketio_engine, "SEND_TIMEOUT_S", 0.2)
    bare = Bare(served.client)
    await bare.open('{"clientId":"slow"}')
    await submitted(store, *[a_spec()] * 200)
    sizes: list[int] = []

    def gone() -> bool:
        sizes.extend(session.queue.qsize() for session in home(served).engine.sockets.values())
        return not home(served).engine.sockets

    await eventually(gone)
    assert max(sizes) <= socketio_engine.MAX_QUEUED + 2
    async with listening(served.server.address, {"clientId": "slow"}) as ear:
        await ear.wait_for("job-update", 200)
        assert [data["seq"] for data in ear.of("job-update")] == list(range(1, 201))


async def unread(served: Served, said: str) -> asyncio.StreamWriter:
    """A WebSocket whose client says this, and reads no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1024)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    head = f"GET {WEBSOCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said.encode())
    return writer


async def test_a_websocket_that_is_not_read_is_cut(
    served: Served, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its buffers fill, then it is gone; others got everything meanwhile."""
    monkeypatch.setattr(socketio_engine, "SEND_TIMEOUT_S", 0.5)
    writer = await unread(served, "40")
    engine = home(served).engine
    await eventually(lambda: home(served)._connected)
    [session] = engine.sockets
    async with listening(served.server.address) as ear:
        await ear.wait_for("hello")
        for number in range(60):
            await submitted(store, *[a_spec(name="x" * 60_000)] * 5)
            if session not in engine.sockets:
                break
            await ear.wait_for("job-update", 5 * (number + 1))
        await eventually(lambda: session not in engine.sockets)
        seqs = [data["seq"] for data in ear.of("job-update")]
        assert seqs == list(range(1, len(seqs) + 1))
        assert not ear.gone
    writer.close()


async def test_a_half_dead_client_whose_name_was_taken_is_cut(
    served: Served, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be told; its connection ends all the same, long before it would be missed."""
    monkeypatch.setattr(socketio_engine, "CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(socketio_watcher, "FAREWELL_S", 0.1)
    writer = await unread(served, '40{"clientId":"me"}')
    await eventually(lambda: home(served)._connected)
    [session] = home(served).engine.sockets.values()
    for _ in range(60):
        await submitted(store, *[a_spec(name="x" * 60_000)] * 5)
        if session.queue.full():
            break
        await asyncio.sleep(0)
    await eventually(session.queue.full)
    async with listening(served.server.address, {"clientId": "me"}) as newer:
        await newer.wait_for("hello")
        await eventually(lambda: len(home(served)._requests) == 1)
        assert not newer.gone
    writer.close()
    await settled(served)


async def test_a_client_that_asks_and_does_not_read_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers wait in the same short queue: whoever asks for them and does not take them is not read any more."""
    monkeypatch.setattr(socketio_engine, "SEND_TIMEOUT_S", 0.2)
    bare = Bare(served.client)
    await bare.open()
    many = "\x1e".join(f'42{number}["ack",0]' for number in range(1000))
    assert await bare.post(many) == 200
    await eventually(lambda: not home(served).engine.sockets)


# --- a server that leaves


@pytest.mark.parametrize("transports", [("websocket",), ("polling",), ("polling", "websocket")])
async def test_a_server_leaves_at_once_with_a_hundred_clients(
    tmp_path: Path, store: Store, transports: tuple[str, ...]
) -> None:
    """Each is told on the transport that the session has ended, which makes it come again; no task is left."""
    async with AsyncExitStack() as stack, serving(tmp_path, store=store) as served:
        ears = [
            await stack.enter_async_context(listening(served.server.address, transports=transports)) for _ in range(100)
        ]
        for ear in ears:
            await ear.wait_for("hello")
        async with asyncio.timeout(3):
            await served.server.stop()
        await eventually(lambda: all(ear.gone for ear in ears))
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not names & {"engine.io", "socket.io watcher"}


async def test_a_server_that_leaves_takes_no_new_clients(served: Served) -> None:
    """503: come again."""
    await home(served).close()
    async with served.client.get(POLLING) as answer:
        assert answer.status == 503


async def test_a_job_that_ends_while_a_client_is_away_is_told_on_its_return(served: Served, store: Store) -> None:
    """The connection breaks before the acknowledgement: the result comes again, with the same number."""
    async with listening(served.server.address, {"clientId": "me"}, silent=True) as ear:
        run = await running(store)
        await ended(store, run)
        await ear.wait_for("update-on-jobs")
    await eventually(lambda: not home(served).engine.sockets)
    async with listening(served.server.address, {"clientId": "me"}) as ear:
        await ear.wait_for("update-on-jobs")
        assert ear.results == [("job-0", 5)]


async def test_a_named_client_gets_what_it_missed_over_a_restart(tmp_path: Path, store: Store) -> None:
    """Its place is stored: the next server tells it what happened while there was none."""
    async with (
        serving(tmp_path, store=store) as served,
        listening(served.server.address, {"clientId": "me"}) as ear,
    ):
        await ended(store, await running(store))
        await ear.wait_for("update-on-jobs")
        [watcher] = home(served)._connected.values()
        await eventually(lambda: watcher._results.place == 5)
        await served.server.stop()
    await ended(store, await running(store))
    async with (
        serving(tmp_path, store=store) as served,
        listening(served.server.address, {"clientId": "me"}) as ear,
    ):
        await ear.wait_for("update-on-jobs")
        assert (ear.of("hello"), ear.results) == ([{"seq": 5}], [("job-1", 10)])
