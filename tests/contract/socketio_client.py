"""Clients of Socket.IO that write down what they hear: python-socketio's own, one that acknowledges nothing, and the bare protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio

from tests.waiting import eventually

Message = tuple[str, dict[str, Any]]


class Silent(socketio.AsyncClient):  # type: ignore[misc]  # the library has no types
    """Acknowledges nothing, where the library acknowledges all."""

    async def _handle_event(self, namespace: str | None, id: int | None, data: list[Any]) -> None:  # noqa: A002
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
        await ear.client.connect(address, headers=headers or {}, auth=auth, transports=list(transports))
        yield ear
    finally:
        await ear.client.disconnect()
