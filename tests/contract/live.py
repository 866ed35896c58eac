"""A server over a real store for the tests of the live feed, and what watches it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientWebSocketResponse

from jobmgr.store.pruning import Prune
from jobmgr.store.sqlite import SqliteStore
from tests.contract.served import Served, serving
from tests.contract.stores import AT, a_spec, submitted

PATIENCE_S = 20.0


@dataclass
class Live:
    """The server, and its store, in which the test lets things happen."""

    served: Served
    store: SqliteStore

    async def happen(self, count: int = 1, name: str = "my-task", **fields: Any) -> int:
        """So many jobs are submitted, one event each; the number of the last, once the feed has told of it."""
        await submitted(self.store, *[a_spec(name, **fields)] * count)
        return await self.store.last_seq()

    async def prune(self, events: int) -> None:
        """The oldest events go."""
        await self.store.apply([Prune(events_before=AT + 1, keys_before=0, limit=events)])

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        async with self.served.client.get(path, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def socket(self, query: str = "", path: str = "/ws", **options: Any) -> ClientWebSocketResponse:
        """A WebSocket."""
        return await self.served.client.ws_connect(f"{path}{query}", **options)


@asynccontextmanager
async def live_server(directory: Path, **settings: Any) -> AsyncIterator[Live]:
    """A server of its own database."""
    store = SqliteStore(directory / "data")
    await store.open()
    try:
        async with serving(directory, store=store, **settings) as served:
            yield Live(served, store)
    finally:
        await store.close()


async def heard(socket: ClientWebSocketResponse) -> dict[str, Any]:
    """The next message."""
    message: dict[str, Any] = await socket.receive_json(timeout=PATIENCE_S)
    return message


async def told(answer: ClientResponse) -> dict[str, str]:
    """The fields of the next event of a stream, by their names."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE_S):
        while line := (await answer.content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
    return fields


def data_of(event: dict[str, str]) -> dict[str, Any]:
    """The data of an event of a stream."""
    found: dict[str, Any] = json.loads(event["data"])
    return found
