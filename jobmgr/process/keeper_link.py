"""The server's side of the socket of one keeper: JSON lines out and in, on the event loop.

A link connects, says hello as the controller (or as a mere client), and hands every line that comes to its owner. What is sent in one turn of
the event loop leaves in one write. It does not reconnect by itself: its owner hears of the loss and decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobmgr.process import keeper_start

assert sys.platform != "win32"

_encode = json.JSONEncoder(separators=(",", ":")).encode

CLOSE_S = 1.0
"""A keeper that reads nothing is not waited for longer."""

Record = dict[str, Any]


class KeeperLink(asyncio.Protocol):
    """A connection to the keeper of one directory."""

    def __init__(
        self, directory: Path, *, on_reports: Callable[[list[Record]], None], on_lost: Callable[[], None]
    ) -> None:
        self.directory = directory
        self._on_reports = on_reports
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._incoming = bytearray()
        self._answers: dict[str, asyncio.Future[Record]] = {}

    async def connect(self, *, controller: bool, timeout_s: float) -> bool:
        """Connect and say hello. False: nobody listens; raises TimeoutError when nobody answers in time (the link stays connected)."""
        loop = asyncio.get_running_loop()
        try:
            with keeper_start.socket_path(self.directory) as path:
                await loop.create_unix_connection(lambda: self, path)
        except OSError:
            return False
        try:
            await self.ask("hello", timeout_s=timeout_s, version=1, controller=controller)
        except ConnectionError:
            return False
        return True

    async def list_runs(self, *, timeout_s: float) -> list[Record]:
        """All records of the keeper. Raises TimeoutError or ConnectionError."""
        answer = await self.ask("list", timeout_s=timeout_s)
        runs: list[Record] = answer["runs"]
        return runs

    async def ask(self, op: str, *, timeout_s: float, **fields: Any) -> Record:
        """Send a command that is answered with a line of the same `op`, and wait for that."""
        answer = self._answers.get(op)
        if answer is None:
            answer = self._answers[op] = asyncio.get_running_loop().create_future()
        self.send({"op": op, **fields})
        return await asyncio.wait_for(asyncio.shield(answer), timeout_s)

    def send(self, *commands: Record) -> None:
        """Write a line each, in one go; without a connection they are lost (the owner lists after a reconnect)."""
        if self._transport is not None:
            self._transport.write("".join(f"{_encode(command)}\n" for command in commands).encode())

    async def close(self) -> None:
        """Hang up when what was sent has been written, or after a while; `on_lost` is not called."""
        self._on_lost = _ignore
        if self._transport is not None:
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), CLOSE_S)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._incoming += data
        if b"\n" not in data:
            return
        whole, _, rest = bytes(self._incoming).rpartition(b"\n")
        self._incoming = bytearray(rest)
        for line in whole.split(b"\n"):
            self._take(json.loads(line))

    def connection_lost(self, _: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        self._gone.set()
        for answer in self._answers.values():
            answer.set_exception(ConnectionResetError("the keeper hung up"))
            answer.exception()  # Looked at here: nobody may be waiting any more.
        self._answers.clear()
        self._on_lost()

    def _take(self, message: Record) -> None:
        if message["op"] == "reports":
            self._on_reports(message["runs"])
        elif (answer := self._answers.pop(message["op"], None)) is not None:
            answer.set_result(message)


def _ignore() -> None:
    """Nobody is interested any more."""
