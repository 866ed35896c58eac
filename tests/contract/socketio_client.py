"""Clients of Socket.IO that write down what they hear: python-socketio's own, one that acknowledges nothing, and the bare protocol."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import socketio
from aiohttp import ClientSession
from structlog.testing import capture_logs

from jobmgr.api.socketio import SocketIo
from jobmgr.store.base import Store
from tests.contract.served import Served, serving
from tests.contract.stores import ended, running
from tests.waiting import DEADLINE_S, eventually

PATIENCE_S = 2.0
SEPARATOR = "\x1e"
Message = tuple[str, dict[str, Any]]


class Silent(socketio.AsyncClient):  # type: ignore[misc]  # the library has no types
    """Acknowledges nothing, where the library acknowledges all."""

    async def _handle_event(self, namespace: str | None, id: int | None, data: list[Any]) -> None:  # noqa: A002 - the name that the library gives it
        await super()._handle_event(namespace, None, data)


class Ear:
    """One connection and what came over it, in order."""

    def __init__(self, client: socketio.AsyncClient) -> None:
        self.client = client
        self.heard: list[Message] = []
        self.gone: list[str] = []
        client.on("*", self._hear)
        client.on("disconnect", self.gone.append)

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        self.heard.append((name, data))

    def of(self, *names: str) -> list[dict[str, Any]]:
        """What came by these names."""
        return [data for name, data in self.heard if name in names]

    @property
    def results(self) -> list[tuple[str, int]]:
        """The ends that it was told: job and number."""
        return [(data["messageId"], data["seq"]) for data in self.of("update-on-jobs")]

    async def wait_for(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Until so many came by this name."""
        await eventually(lambda: len(self.of(name)) >= count)
        return self.of(name)


@asynccontextmanager
async def listening(
    address: str,
    auth: object = None,
    *,
    transports: tuple[str, ...] = ("websocket",),
    silent: bool = False,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Ear]:
    """A client that is connected, and does not come again by itself."""
    kind = Silent if silent else socketio.AsyncClient
    ear = Ear(kind(reconnection=False))
    try:
        await ear.client.connect(
            address, headers=headers or {}, auth=auth, transports=list(transports), wait_timeout=DEADLINE_S
        )
        yield ear
    finally:
        await _leave(ear)


async def _leave(ear: Ear) -> None:
    """Say that it goes. By polling the library forgets to when it is sending something else, and then waits for an answer; nobody else does."""
    client, was_left = ear.client, bool(ear.gone)
    tasks = [client.eio.read_loop_task, client.eio.write_loop_task]
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await client.disconnect()
            if not was_left and any(tasks):
                await asyncio.wait(filter(None, tasks))
    for task in filter(None, tasks):
        task.cancel()
    await asyncio.gather(*filter(None, tasks), return_exceptions=True)
    if client.eio.http is not None:
        await client.eio.http.close()


class Bare:
    """The protocol without a library, by polling: what a client sends that does not keep to it."""

    def __init__(self, http: ClientSession) -> None:
        self.http = http
        self.session = ""

    async def open(self, auth: str = "") -> None:
        """A session, connected."""
        opened = await self.get()
        self.session = json.loads(opened[1:])["sid"]
        assert await self.post(f"40{auth}") == 200

    def _query(self) -> str:
        return "/socket.io/?EIO=4&transport=polling" + (f"&sid={self.session}" if self.session else "")

    async def get(self) -> str:
        """What the server has to say."""
        async with self.http.get(self._query()) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return text

    async def post(self, body: str | bytes, **headers: str) -> int:
        """Send; the status of the answer, which is a problem where it is none."""
        options = {"Content-Type": "text/plain;charset=UTF-8", **headers}
        data = body.encode() if isinstance(body, str) else body
        async with self.http.post(self._query(), data=data, headers=options) as answer:
            assert (answer.content_type == "application/problem+json") == (answer.status >= 400)
            return answer.status

    async def hear(self, wanted: str) -> str:
        """Read until this was said."""
        heard = ""
        while wanted not in heard:
            heard += f"{await self.get()}{SEPARATOR}"
        return heard


# --- the server


@asynccontextmanager
async def quietly_serving(
    directory: Path, store: Store, caplog: pytest.LogCaptureFixture, **settings: Any
) -> AsyncIterator[Served]:
    """A server over this store; nothing that a client does leaves a trouble in its log."""
    with capture_logs() as logs:
        async with serving(directory, store=store, **settings) as served:
            yield served
    assert [line for line in logs if line["log_level"] in {"error", "critical", "warning"}] == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def home(served: Served) -> SocketIo:
    """What serves Socket.IO."""
    return served.server._socketio


async def settled(served: Served) -> None:
    """Until nothing of any client is left."""
    engine, protocol = home(served).engine, home(served)._protocol
    await eventually(lambda: not engine.sockets and not home(served)._connected and not protocol.environ)
    await eventually(lambda: not protocol.manager.rooms and not protocol.manager.pending_connect)
    assert not protocol.manager.callbacks
    assert not protocol._nobodys
    assert not served.server._parts.feed.watchers


async def one_job(store: Store, **fields: Any) -> int:
    """A job that ran; its id."""
    run = await running(store, **fields)
    await ended(store, run)
    return run.job
