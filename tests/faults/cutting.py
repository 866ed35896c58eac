"""A link that breaks: a TCP relay to wherever the server is now, which cuts each connection after some random number of bytes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class Link:
    """The relay. `whole`: from now on it cuts nothing."""

    def __init__(self, target: Callable[[], int | None], seed: int) -> None:
        self._target = target
        self._chance = random.Random(seed)
        self.port = 0
        self.cuts = 0
        self.whole = False

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        port = self._target()
        far: asyncio.StreamWriter | None = None
        try:
            assert port is not None
            back, far = await asyncio.open_connection("127.0.0.1", port)
            ways = [asyncio.create_task(self._copy(reader, far)), asyncio.create_task(self._copy(back, writer))]
            _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in others:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, AssertionError):
            pass  # No server is there.
        except asyncio.CancelledError:
            pass  # The test is over; asyncio would complain of a connection whose task was cancelled.
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._chance.randrange(400, 12_000)
        with suppress(OSError):
            while piece := await reader.read(4096):
                writer.write(piece if self.whole else piece[:left])
                await writer.drain()
                left -= len(piece)
                if left <= 0 and not self.whole:
                    self.cuts += 1
                    return


@asynccontextmanager
async def cutting(target: Callable[[], int | None], seed: int) -> AsyncIterator[Link]:
    """A link to the port that `target` gives at the time."""
    link = Link(target, seed)
    server = await asyncio.start_server(link.relay, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        server.close()
        await server.wait_closed()
