"""A watcher over a plain WebSocket, and all of a server.

A socket is a place in the feed and a small buffer of the kernel's, nothing else: no queue of its own. While it keeps up, the feed wakes it and
it writes what is new at once; when its client reads more slowly than events come, a task waits until there is room and reads on from its place,
and ends when it has caught up. A client that takes nothing for SEND_TIMEOUT_S is closed with RESUME and comes again with `after`.

What a client sends and cannot be understood is answered with an `error` in a sentence; after MAX_COMPLAINTS the socket is closed. Lives on one
event loop. Frames are not compressed: they are shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from jobmgr.api.body import decode
from jobmgr.api.frames import Batches, message
from jobmgr.api.send import ROOM_BYTES, keep_little
from jobmgr.api.wanted import filter_of
from jobmgr.errors import FieldProblem, InvalidRequest, JobmgrError, TooManyWatchers
from jobmgr.events import EventFilter
from jobmgr.feed import Batch, Entry, Feed
from jobmgr.log import get_logger

HEARTBEAT_S = 30.0
"""So often a ping is sent; without a pong within half of that the socket is closed."""

SEND_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 1.0
MAX_MESSAGE_BYTES = 64 * 1024
MAX_COMPLAINTS = 20
MAX_SAID = 1000
STEP_EVENTS = 250
"""Looked at together at most."""

RESUME = 4001
REPLACED = 4002
"""Close codes of our own: come again with `after`; another connection has taken the name."""

_log = get_logger()


class Sockets:
    """All sockets of a server: what they share, how many there may be, and their end."""

    def __init__(self, most: int) -> None:
        self.batches = Batches()
        self._most = most
        self._open: dict[SocketWatcher, None] = {}

    def check_room(self, feed: Feed, more: int = 0) -> None:
        """Raise TooManyWatchers where there is no room for one more, however it watches; `more`: those that are about to."""
        if feed.watchers + more >= self._most:
            raise TooManyWatchers

    async def serve(self, watcher: SocketWatcher, start: Batch) -> None:
        """Tell it what happens until its socket is closed."""
        self._open[watcher] = None
        try:
            await watcher.serve(start)
        finally:
            del self._open[watcher]

    async def close(self) -> None:
        """The server leaves: every client is told so."""
        closings = (watcher.close(WSCloseCode.GOING_AWAY, "the server leaves") for watcher in list(self._open))
        await asyncio.gather(*closings)


class SocketWatcher:
    """One client of a plain WebSocket. There may be ten thousand: what each keeps counts."""

    __slots__ = (
        "_batches",
        "_catching_up",
        "_closing",
        "_complaints",
        "_feed",
        "_request",
        "_seq",
        "_wanted",
        "acknowledge",
        "socket",
    )

    def __init__(self, feed: Feed, batches: Batches, request: web.Request, wanted: EventFilter) -> None:
        self.acknowledge: Callable[[int], None] | None = None
        """Told what the client says it has, where it has a name."""
        self.socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, timeout=CLOSE_TIMEOUT_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False
        )
        self._feed = feed
        self._batches = batches
        self._request = request
        self._wanted = wanted
        self._seq = 0
        self._complaints = 0
        self._catching_up: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def serve(self, start: Batch) -> None:
        """From the handshake, which is done, to the end."""
        self._seq = start.seq
        keep_little(self._request)
        if start.reset:
            self._say("reset")
        self._say("hello")
        try:
            with self._feed.watching(self._wake):
                self._wake()
                await self._listen()
        finally:
            if self._catching_up is not None:
                self._catching_up.cancel()
                await asyncio.gather(self._catching_up, return_exceptions=True)
            if self._closing is not None:
                await asyncio.gather(self._closing, return_exceptions=True)  # It has its time limit.
            if self._unsent():
                self._abort()  # Nobody takes it any more, and it would be kept until somebody did.

    def replace(self) -> None:
        """Another connection has taken its name."""
        self._close_soon(REPLACED, "a newer connection has this clientId")

    async def close(self, code: int, reason: str) -> None:
        """Close, and wait for it a moment. What is not sent by then is dropped."""
        try:
            with suppress(TimeoutError, ConnectionError, RuntimeError):
                async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                    await self.socket.close(code=code, message=reason.encode())
        finally:
            self._abort()

    # --- to the client

    def _wake(self) -> None:
        """There is something new, or may be."""
        if self._catching_up is not None or self._is_closed():
            return
        entries = self._feed.held(self._seq)
        if entries is None or len(entries) > STEP_EVENTS or not self._write(entries):
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up(), name="catch up")

    def _write(self, entries: Sequence[Entry]) -> bool:
        """Write these step by step, as long as there is room; whether there was for all of them."""
        for seq, frames in self._batches.steps(entries, self._wanted) if entries else ():
            if self._unsent() > ROOM_BYTES:
                return False
            self._seq = seq
            self._send(frames)
        return True

    async def _catch_up(self) -> None:
        """Read on as fast as the client takes it, until there is nothing newer."""
        try:
            while not self._is_closed():
                await self._drained()
                if not await self._read_on():
                    return
        except TimeoutError:
            self._close_soon(RESUME, f"it was not read; connect again with after={self._seq}")
        except ConnectionError:
            pass
        except JobmgrError as error:  # The store is closed or the disk is broken: it comes again when all is well.
            _log.warning("a watcher cannot be told what it missed", reason=str(error))
            self._close_soon(RESUME, f"connect again with after={self._seq}")
        finally:
            self._catching_up = None

    async def _read_on(self) -> bool:
        """Write what comes next; False: there is nothing newer. What was read is let go before the client is waited for: old ones are not shared."""
        batch = await self._feed.read(self._seq, limit=STEP_EVENTS)
        if batch.reset:
            self._seq = batch.seq
            self._say("reset")
        elif batch.entries:
            self._write(batch.entries)  # What does not go now is read again when there is room.
        return batch.reset or bool(batch.entries)

    async def _drained(self) -> None:
        """Until the buffer is nearly empty. Raises TimeoutError when the client takes nothing."""
        async with asyncio.timeout(SEND_TIMEOUT_S):
            # All who wait for room wait for one future of aiohttp's: cancelled, it would cancel the close that follows.
            await asyncio.shield(self._request.writer.drain())

    def _say(self, kind: str, **data: object) -> None:
        self._send(message(kind, self._seq, data))

    def _send(self, frames: bytes) -> None:
        transport = self._request.transport
        if frames and transport is not None and not transport.is_closing():
            transport.write(frames)

    def _unsent(self) -> int:
        transport = self._request.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    def _is_closed(self) -> bool:
        return self.socket.closed or self._closing is not None or self._request.transport is None

    def _close_soon(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self.close(code, reason), name="close a socket")

    def _abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    # --- from the client

    async def _listen(self) -> None:
        async for said in self.socket:
            try:
                if said.type is not WSMsgType.TEXT:
                    raise InvalidRequest([FieldProblem("", "send text, not bytes")])
                self._take(decode(said.data.encode()))
            except InvalidRequest as error:
                self._complain(error)
            if self._unsent() > ROOM_BYTES and not await self._is_read():
                return

    async def _is_read(self) -> bool:
        """Whether the client takes its answers: until then nothing more is read of it, or answers would pile up here."""
        try:
            await self._drained()
        except TimeoutError:
            self._close_soon(RESUME, f"it was not read; connect again with after={self._seq}")
            return False
        except ConnectionError:
            return False
        return True

    def _take(self, said: object) -> None:
        match said:
            case {"subscribe": given, **more} if not more:
                self._wanted = filter_of(given, at="/subscribe")
                self._say("subscribed", subscribe=given)
            case {"ack": int(seq), **more} if not more and not isinstance(seq, bool):
                if not 0 <= seq <= self._seq:
                    problem = f"give a number that was sent: 0 to {self._seq}"
                    raise InvalidRequest([FieldProblem("/ack", problem)])
                if self.acknowledge is not None:
                    self.acknowledge(seq)
            case _:
                known = 'send {"subscribe": {…}} or {"ack": 17}'
                raise InvalidRequest([FieldProblem("", known)])

    def _complain(self, error: InvalidRequest) -> None:
        self._complaints += 1
        self._say("error", error=str(error)[:MAX_SAID])
        if self._complaints >= MAX_COMPLAINTS:
            self._close_soon(WSCloseCode.POLICY_VIOLATION, "too many messages that mean nothing")
