"""Following an output as messages, over a WebSocket and as server-sent events, by byte offset.

`output` carries text and where it lies: `from` and `to` are bytes of the file, whatever the text looks like, so whoever lost the connection goes
on with the last `to` and misses and repeats nothing. A character is never cut in two: its first bytes wait for the rest. What is no UTF-8 shows as
U+FFFD. `gap` stands for a middle that was freed, `end` says that the attempt is over and all was sent.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientConnectionResetError, hdrs, web

from jobmgr.api.followers import is_gone
from jobmgr.api.following import AWAITED, OutputQuery, Wanted, begun, data_start, find_task, followed
from jobmgr.api.middleware import Refused, cut, mark_started
from jobmgr.api.parts import Parts
from jobmgr.api.query import MAX_NUMBER
from jobmgr.api.route import STREAM_TYPE
from jobmgr.api.send import send
from jobmgr.api.sockets import CLOSE_TIMEOUT_S, HEARTBEAT_S
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.feed import as_json
from jobmgr.output.reader import open_output

SEND_TIMEOUT_S = 30.0
"""A client that takes nothing for so long is cut."""

LAST_EVENT_ID = "Last-Event-ID"


@dataclass(frozen=True, slots=True)
class Message:
    """One message about an output; `to` is the byte to go on from."""

    event: str
    to: int
    data: dict[str, Any]


def takes_stream(request: web.Request) -> bool:
    """Whether the client asks for server-sent events by name."""
    return any(STREAM_TYPE in given for given in request.headers.getall(hdrs.ACCEPT, []))


async def stream_output(request: web.Request, parts: Parts, wanted: Wanted, query: OutputQuery) -> web.StreamResponse:
    """Follow an output as server-sent events."""
    at = await _first_byte(parts, wanted, query, _last_id(request))
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: f"{STREAM_TYPE}; charset=utf-8", "X-Accel-Buffering": "no"}
    )
    if request.method == hdrs.METH_HEAD:
        return response

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with aclosing(_messages(request, parts, wanted, at)) as messages:
            async for message in messages:
                yield b"" if message is None else _as_event(message)

    return await send(request, response, pieces(), patience_s=SEND_TIMEOUT_S)


async def watch_output(request: web.Request, parts: Parts, wanted: Wanted, query: OutputQuery) -> web.StreamResponse:
    """Follow an output over a WebSocket; it is closed after `end`."""
    at = await _first_byte(parts, wanted, query, None)
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, timeout=CLOSE_TIMEOUT_S, compress=False)
    await socket.prepare(request)
    mark_started(request, socket)
    listening = asyncio.create_task(_until_closed(socket), name="listen to a follower")
    try:
        async with aclosing(_messages(request, parts, wanted, at)) as messages:
            async for message in messages:
                if message is not None:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await socket.send_str(as_json({"event": message.event, "data": message.data}).decode())
        await socket.close()
    except TimeoutError:
        cut(request)
    except ClientConnectionResetError:
        pass  # It left.
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return socket


async def _until_closed(socket: web.WebSocketResponse) -> None:
    """What a follower says is not listened to; that it leaves is noticed by reading."""
    async for _ in socket:
        pass


def _last_id(request: web.Request) -> int | None:
    given = request.headers.get(LAST_EVENT_ID)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(MAX_NUMBER))):
        raise InvalidRequest([FieldProblem(LAST_EVENT_ID, "send the number of a byte: the id of the last event")])
    return int(given)


async def _first_byte(parts: Parts, wanted: Wanted, query: OutputQuery, last: int | None) -> int:
    first = query.start if last is None else last
    if first is not None or query.tail is None:
        await data_start(parts, wanted, first or 0)  # Refuses what lies beyond the end.
        return first or 0
    reader = None if wanted.attempt == AWAITED else open_output(wanted.path(parts), wanted.mask)
    if reader is None:
        return 0
    with reader:
        return await reader.tail_start(query.tail)


async def _messages(
    request: web.Request, parts: Parts, wanted: Wanted, at: int
) -> AsyncGenerator[Message | None, None]:
    """What follows byte `at`, to its end; None now and then, while there is nothing."""
    while wanted.attempt == AWAITED:
        yield None
        if is_gone(request):
            return
        with parts.followers.follow(request, wanted.job) as news:
            wanted = await begun(parts.store, wanted, news)
    text, sent, cut_off = _Text(at), True, False
    while sent:
        try:
            start = await data_start(parts, wanted, text.read) if wanted.attempt else text.read
        except Refused:  # The job cut its output off, below what was sent.
            cut_off = True
            break
        if start > text.read:
            yield Message("gap", start, {"from": text.read, "to": start})
            text = _Text(start)
        sent = False
        async with aclosing(followed(request, parts, wanted, None, start=start)) as pieces:
            async for piece in pieces:
                sent = sent or bool(piece)
                yield text.take(piece)
        if is_gone(request):
            return
    yield text.take(b"", final=True)
    task = await find_task(parts.store, wanted.job, wanted.task)
    status = None if task is None else task.status
    told = {"to": text.read, "attempt": wanted.attempt or None, "status": status, "cutOff": cut_off}
    yield Message("end", text.read, told)


class _Text:
    """Turns bytes into text with its place, and keeps the beginning of a character until the rest comes."""

    def __init__(self, at: int) -> None:
        self.read = self._told = at
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, piece: bytes, *, final: bool = False) -> Message | None:
        """The text of these bytes, and of what was kept; None where there is none yet."""
        text = self._decoder.decode(piece, final)
        self.read += len(piece)
        start, self._told = self._told, self.read - len(self._decoder.getstate()[0])
        return Message("output", self._told, {"from": start, "to": self._told, "text": text}) if text else None


def _as_event(message: Message) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (message.to, message.event.encode(), as_json(message.data))
