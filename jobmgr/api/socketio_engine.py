"""Engine.IO, the transport below Socket.IO, held to the rules of this server: python-engineio with its queue, its WebSocket and its reading replaced.

What the library leaves open is closed here. What waits to be sent to a client has a bound (`Outbox`): whoever adds to it waits, and when nothing was
taken for SEND_TIMEOUT_S, that is an error. What a client sends is read within limits, and only what is a packet reaches the library, which would
take some of the rest for a bug of its own. A session that was closed ends its WebSocket too. WebSockets are not compressed: that costs
hundreds of kilobytes each. Refusals are problem+json. Lives on one event loop.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import engineio
from aiohttp import WSMsgType, hdrs, web
from engineio.async_socket import AsyncSocket
from engineio.exceptions import SocketIsClosedError
from engineio.packet import CLOSE, MESSAGE, NOOP, OPEN, PING, Packet
from engineio.payload import Payload

from jobmgr.api.body import read_small
from jobmgr.api.middleware import Refused, cut, mark_started, problem

MAX_MESSAGE_BYTES = 64 * 1024
MAX_QUEUED = 12
"""So many packets wait for a client at most. Polling clients in Python refuse an answer of more than sixteen."""

SEND_TIMEOUT_S = 30.0
HANDSHAKE_S = 20.0
CLOSE_TIMEOUT_S = 1.0
RECORD_SEPARATOR = "\x1e"
Payload.max_decode_packets = MAX_MESSAGE_BYTES
"""The library drops a request of more than sixteen, and with it what a client acknowledges; the bytes have their limit."""

LINK = "link"
"""In `AsyncSocket.session`: the WebSocket of a session."""

_is_packet = re.compile(r"1|3(?:probe)?|4[0-6].*", re.DOTALL).fullmatch
_is_upgrade_packet = re.compile(r"2probe|5").fullmatch
_URGENT = frozenset({OPEN, CLOSE, PING, NOOP})
"""What begins, ends and keeps a session, and moves it to a WebSocket, always finds room."""


def _is_bug(record: logging.LogRecord) -> bool:
    """Whether a line of the library's is worth a place in the log: what clients do wrong is not."""
    return bool(record.exc_info)


engine_log = logging.getLogger("jobmgr.socketio")
engine_log.addFilter(_is_bug)
engine_log.setLevel(logging.ERROR)


class NotRead(SocketIsClosedError):  # type: ignore[misc]  # the library has no types
    """The client has taken nothing for a while."""


class Outbox(asyncio.Queue["Packet | None"]):
    """What waits to be sent to one client, at most MAX_QUEUED packets. `None` ends the session."""

    _urgent = False

    def full(self) -> bool:
        """Whether one has to wait."""
        return not self._urgent and super().full()

    def put_nowait(self, item: Packet | None) -> None:
        """Add it; what is urgent also where there is no room."""
        self._urgent = item is None or item.packet_type in _URGENT
        try:
            super().put_nowait(item)
        finally:
            self._urgent = False

    async def put(self, item: Packet | None) -> None:
        """Add it when there is room. Raises NotRead where there was none for SEND_TIMEOUT_S."""
        if item is None or item.packet_type in _URGENT or not self.full():
            self.put_nowait(item)
            return
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await super().put(item)
        except TimeoutError:
            raise NotRead from None

    async def join(self) -> None:
        """Nobody waits until a client has taken its last word."""


class Link:
    """The WebSocket of a session, in the shape that the library wants."""

    def __init__(self, handler: Callable[[Link], Awaitable[None]], server: Engine) -> None:
        self._handler = handler
        self._session: AsyncSocket = handler.__self__  # type: ignore[attr-defined]  # it is a method of the session
        self._socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, timeout=CLOSE_TIMEOUT_S, compress=False)
        self._request: web.Request | None = None

    async def __call__(self, environ: Mapping[str, Any]) -> web.StreamResponse:
        """Serve it to its end."""
        request: web.Request = environ["aiohttp.request"]
        self._request, self._session.session[LINK] = request, self
        await self._socket.prepare(request)
        mark_started(request, self._socket)
        try:
            await self._handler(self)
        finally:
            self._session.session.pop(LINK, None)
            if not self._session.upgraded:
                self._session.upgrading = False  # It goes on by polling; the library forgets to say so.
            await self.close()
        return self._socket

    async def wait(self) -> str | bytes:
        """The next packet. Raises OSError at the end, or where it is none."""
        async with asyncio.timeout(None if self._session.upgraded else HANDSHAKE_S):
            said = await self._socket.receive()
        if said.type is WSMsgType.BINARY:
            return bytes(said.data)
        is_packet = _is_packet if self._session.upgraded else _is_upgrade_packet
        if said.type is WSMsgType.TEXT and is_packet(said.data):
            return str(said.data)
        raise OSError("no packet")

    async def send(self, packet: str | bytes) -> None:
        """Send one packet; waits while the connection is full."""
        await (self._socket.send_bytes(packet) if isinstance(packet, bytes) else self._socket.send_str(packet))

    async def close(self) -> None:
        """Close, and wait for it a moment; what is not sent by then is dropped."""
        with suppress(TimeoutError, ConnectionError, RuntimeError):
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._socket.close()
        request = self._request
        if request is not None and request.transport is not None and request.transport.get_write_buffer_size():
            cut(request)  # Nobody takes it any more, and it would be kept until somebody did.

    def cut(self) -> None:
        """End it at once."""
        if self._request is not None:
            cut(self._request)


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """python-engineio's server for aiohttp, with the changes that are described above."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            async_mode="aiohttp",
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            http_compression=False,
            cors_allowed_origins=_is_allowed,
            cors_credentials=False,
            **{**options, "logger": engine_log},
        )
        drivers = {"translate_request": _environ, "make_response": _response, "websocket": Link}
        self._async: dict[str, object] = vars(self)["_async"] | drivers
        self._tasks: set[asyncio.Task[Any]] = set()

    def create_queue(self, *_: object, **__: object) -> Outbox:
        """What waits for a client."""
        return Outbox(maxsize=MAX_QUEUED)

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """As the library does it; but the task is known, and ends with the server."""
        task = asyncio.get_running_loop().create_task(target(*args, **kwargs), name="engine.io")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def living(self, session: str) -> AsyncSocket | None:
        """The session of this id, unless it has ended."""
        found: AsyncSocket | None = self.sockets.get(session)
        return None if found is None or found.closed else found

    def finish(self, session: AsyncSocket) -> None:
        """It is being closed: what is said last is still sent, then its connection ends."""

        def end() -> None:
            session.queue.put_nowait(None)
            self.sockets.pop(session.sid, None)

        def cut_link() -> None:
            if LINK in session.session:
                session.session[LINK].cut()

        loop = asyncio.get_running_loop()
        loop.call_soon(end)  # Behind the packet that the library closes it with.
        if LINK in session.session:
            loop.call_later(2 * CLOSE_TIMEOUT_S, cut_link)

    async def end(self, session: AsyncSocket) -> None:
        """Tell the client that its session has ended. It may come again."""
        await session.close(wait=False)

    async def abort(self, session: AsyncSocket) -> None:
        """End a session whose client does not listen."""
        link = session.session.get(LINK)
        if link is not None:
            link.cut()
        await session.close(wait=False, abort=True)

    async def leave(self) -> None:
        """End what runs beside the sessions."""
        await self.shutdown()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def send(session: AsyncSocket, text: str) -> None:
    """Send a message when there is room. Raises SocketIsClosedError, or NotRead when there was none for a while."""
    await session.send(Packet(MESSAGE, text))


def _is_allowed(_origin: str, _environ: object) -> bool:
    """The guard has let the request in: an origin that it has is our own, or in JOBMGR_ALLOWED_ORIGINS."""
    return True


async def _environ(request: web.Request) -> dict[str, Any]:
    """A request in the words of the library."""
    content = await _packets(request) if request.method == hdrs.METH_POST else b""
    given = (hdrs.HOST, hdrs.ORIGIN, hdrs.UPGRADE, hdrs.CONNECTION, hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": request.headers[name] for name in given if name in request.headers
    }
    return {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string,
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": _Content(content),
        "wsgi.url_scheme": request.scheme,
        "aiohttp.request": request,
        **headers,
    }


async def _packets(request: web.Request) -> bytes:
    """What a polling client sends: packets, each of which the library understands."""
    body = await read_small(request, MAX_MESSAGE_BYTES)
    try:
        packets = body.decode().split(RECORD_SEPARATOR)
    except UnicodeDecodeError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"Not UTF-8: byte {error.start:,} is wrong.") from None
    kept = [packet for packet in packets if not packet.startswith("b")]  # Attachments: nothing here takes any.
    if not all(map(_is_packet, kept)):
        raise Refused(HTTPStatus.BAD_REQUEST, "These are no packets of Engine.IO (protocol 4).")
    return RECORD_SEPARATOR.join(kept).encode()


class _Content(io.BytesIO):
    """A body that was read."""

    async def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]  # the library awaits it
        return super().read(size)


def _response(status: str, headers: list[tuple[str, str]], payload: bytes, environ: Mapping[str, Any]) -> Any:
    """An answer of the library; a refusal as every other one."""
    code = HTTPStatus(int(status.split(maxsplit=1)[0]))
    if hdrs.ORIGIN in environ["aiohttp.request"].headers:
        headers = [*headers, (hdrs.VARY, hdrs.ORIGIN)]
    if code < HTTPStatus.BAD_REQUEST:
        return web.Response(status=code, headers=headers, body=payload)
    try:
        said = json.loads(payload)
    except ValueError:
        said = payload.decode(errors="replace")
    allowed = {name: value for name, value in headers if name != hdrs.CONTENT_TYPE}
    return problem(code, f"{str(said)[:500]}.", headers=allowed)
