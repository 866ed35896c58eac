"""A WebSocket whose client does not read: it is cut when its time is up, and costs little until then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import cast

import pytest
from aiohttp import web

from bench.watchers import request
from jobmgr.api import sockets
from jobmgr.api.send import KERNEL_BYTES, ROOM_BYTES
from jobmgr.api.sockets import Sockets, SocketWatcher
from jobmgr.events import EVERY_EVENT, TASK_UPDATE, Event
from jobmgr.feed import Feed
from jobmgr.store.base import Store
from tests.waiting import eventually

PATIENCE_S = 15.0
MUCH = "x" * 100_000


class Committed:
    """Stands for the store: tells of events that the test commits."""

    def __init__(self) -> None:
        self.tell: Callable[[Sequence[Event]], None]
        self.seq = 0

    def subscribe(self, tell: Callable[[Sequence[Event]], None]) -> None:
        self.tell = tell

    async def last_seq(self) -> int:
        return self.seq

    async def events(self, *, after: int, limit: int) -> list[Event]:
        return []  # What is not held is gone.

    def commit(self) -> None:
        """One more event, a long one."""
        self.seq += 1
        self.tell([Event(self.seq, 0, TASK_UPDATE, 0, {"jobId": "job-0", "error": MUCH})])


class Place:
    """A server of WebSockets and nothing else."""

    def __init__(self) -> None:
        self.store = Committed()
        self.feed = Feed(cast(Store, self.store))
        self.sockets = Sockets(most=10)
        self.requests: list[web.Request] = []
        self.port = 0

    async def watch(self, asked: web.Request) -> web.StreamResponse:
        watcher = SocketWatcher(self.feed, self.sockets.batches, asked, EVERY_EVENT)
        start = await self.feed.begin(None)
        await watcher.socket.prepare(asked)
        self.requests.append(asked)
        await self.sockets.serve(watcher, start)
        return watcher.socket

    async def connect(self) -> socket.socket:
        """A client that has sent its handshake and read nothing; served by the time it is returned."""
        before = self.feed.watchers
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        client.sendall(request(self.port, key="dGhlIHNhbXBsZSBub25jZQ=="))
        await eventually(lambda: self.feed.watchers == before + 1)
        return client


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """One that loses patience soon."""
    monkeypatch.setattr(sockets, "SEND_TIMEOUT_S", 0.1)
    monkeypatch.setattr(sockets, "CLOSE_TIMEOUT_S", 0.1)
    found, app = Place(), web.Application()
    await found.feed.start()
    app.router.add_get("/ws", found.watch)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


def all_of(client: socket.socket) -> bytes:
    """Everything until the connection ends. Raises TimeoutError when it does not."""
    found = b""
    try:
        while piece := client.recv(1 << 20):
            found += piece
    except ConnectionResetError:
        pass
    return found


async def test_a_client_that_does_not_read_is_cut(place: Place) -> None:
    """Its connection is gone though it takes nothing, not even the close; what it had is a beginning of the stream."""
    with await place.connect() as client:

        def is_cut_or_told_more() -> bool:
            place.store.commit()
            return place.requests[0].transport is None

        await eventually(is_cut_or_told_more)
        await eventually(lambda: place.feed.watchers == 0)
        got = await asyncio.to_thread(all_of, client)
    assert MUCH.encode() in got and len(got) < place.store.seq * len(MUCH)


async def test_little_is_kept_for_a_client_that_does_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here less than two events where one is more than there is room for, and the kernel takes no more than it was told (Linux twice that)."""
    monkeypatch.setattr(sockets, "SEND_TIMEOUT_S", PATIENCE_S)
    with await place.connect():
        transport = place.requests[0].transport
        assert transport is not None

        def is_full_or_told_more() -> bool:
            place.store.commit()
            return transport.get_write_buffer_size() > ROOM_BYTES

        await eventually(is_full_or_told_more)
        told = place.store.seq + 20
        await eventually(lambda: is_full_or_told_more() and place.store.seq > told)
        assert transport.get_write_buffer_size() < 2 * len(MUCH)
        kept = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert kept <= 2 * KERNEL_BYTES


async def test_the_answers_of_a_client_that_does_not_read_do_not_pile_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not listened to until it has taken some, and cut when it takes none."""
    monkeypatch.setattr(sockets, "SEND_TIMEOUT_S", 1.0)
    name = "x" * 60_000
    said = f'{{"subscribe":{{"name":"{name}"}}}}'.encode()
    frame = b"\x81\xfe" + len(said).to_bytes(2) + bytes(4) + said  # Masked by nothing.
    most = 0
    with await place.connect() as client:
        client.setblocking(False)

        def goes_on() -> bool:
            nonlocal most
            with suppress(BlockingIOError, ConnectionError):
                client.send(frame)
            transport = place.requests[0].transport
            most = max(most, 0 if transport is None else transport.get_write_buffer_size())
            return transport is None

        await eventually(goes_on)
    assert 0 < most < ROOM_BYTES + 2 * len(said)
