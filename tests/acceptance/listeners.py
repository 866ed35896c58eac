"""`socket.io-client` from npm, each a process that writes down what it hears; and a link between it and the server that can be cut."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.acceptance.npm import installed
from tests.waiting import eventually_blocking

VERSION = "4.8.4"
SCRIPT = Path(__file__).with_name("listen.js")


class Listener:
    """One client and what it heard, in order."""

    def __init__(self, process: subprocess.Popen[bytes], heard: Path) -> None:
        self.process = process
        self._heard = heard

    @property
    def heard(self) -> list[tuple[str, dict[str, Any]]]:
        """Everything so far."""
        lines = self._heard.read_bytes().split(b"\n")[:-1]  # The last may be half a line.
        return [(name, data) for name, data in map(json.loads, lines)]

    def of(self, name: str) -> list[dict[str, Any]]:
        """What came by this name."""
        return [data for heard, data in self.heard if heard == name]

    def wait_for(self, name: str, count: int = 1, deadline: float = 30.0) -> list[dict[str, Any]]:
        """Until so many came by this name."""
        eventually_blocking(lambda: len(self.of(name)) >= count, deadline)
        return self.of(name)


@contextmanager
def listener(directory: Path, address: str, *, known: bool = False, **options: Any) -> Iterator[Listener]:
    """A client with these options of its own; it has gone at the end."""
    modules = installed("socket.io-client", VERSION)
    heard = directory / f"heard-{len(list(directory.glob('heard-*')))}"
    with heard.open("wb") as out:
        process = subprocess.Popen(
            ["node", SCRIPT, address, json.dumps(options), "known" if known else "new"],
            env={**os.environ, "NODE_PATH": str(modules)},
            stdin=subprocess.DEVNULL,
            stdout=out,
        )
    try:
        yield Listener(process, heard)
        assert process.poll() in {None, 0}, (
            "the client has failed"
        )  # One that is not to come again has nothing left to do.
    finally:
        process.kill()
        process.wait()


class Link:
    """A port that leads to a server, whichever is there, until it is cut; then again."""

    def __init__(self) -> None:
        self.target = 0
        """The port of the server."""
        self.port = 0
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """For clients."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End everything that is open, without a word, and all that is opened until `mend`."""
        self._is_cut = True
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def mend(self) -> None:
        """It leads to the server again."""
        self._is_cut = False

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, there}
        if self._is_cut:
            for each in pair:
                each.transport.abort()
            return
        self._open |= pair
        try:
            await asyncio.gather(_copy(reader, there), _copy(there_reader, writer))
        finally:
            self._open -= pair
            for each in pair:
                each.transport.abort()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._stop = asyncio.Event()
        ready.set()
        await self._stop.wait()
        server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, ready: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    @classmethod
    @contextmanager
    def laid(cls) -> Iterator[Link]:
        """A link, in a thread of its own."""
        link, ready = cls(), threading.Event()
        thread = threading.Thread(target=link._run, args=(ready,))
        thread.start()
        try:
            assert ready.wait(10)
            yield link
        finally:
            link._loop.call_soon_threadsafe(link._stop.set)
            thread.join()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(64 * 1024):
            writer.write(piece)
            await writer.drain()
    writer.transport.abort() if writer.transport.is_closing() else writer.close()
