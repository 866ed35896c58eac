"""The feed over Socket.IO (python-socketio), at `/socket.io/`: the same events by name, over WebSocket and long polling, in the default namespace.

A client says in `auth` who it is (`clientId`), from where on (`after`) and what it wants; it gets `hello`, then what happens. At each end of a job it
gets `update-on-jobs`, again and again until it acknowledges it. Of its messages `subscribe` and `ack` are understood, and the answer that known
clients give to a result. What a client is told, and how, is in `socketio_watcher`; here sessions begin and end.

The library's own dispatch is passed over: it would take a client's message called `connect` or `disconnect` for the thing itself, and broken ones
for bugs. A client that the server leaves is told so on the transport, which makes it come again by itself; `disconnect` in words is said only to
one that is not to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import socketio
from aiohttp import hdrs, web
from engineio.async_socket import AsyncSocket
from engineio.exceptions import SocketIsClosedError
from socketio.exceptions import ConnectionRefusedError as ConnectError
from socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet

from jobmgr.api.middleware import Refused, cut
from jobmgr.api.socketio_engine import Engine, NotRead, engine_log
from jobmgr.api.socketio_results import back_off
from jobmgr.api.socketio_watcher import ALL_KINDS, SocketIoWatcher
from jobmgr.api.sockets import Sockets
from jobmgr.api.wanted import WatchQuery, watch_of
from jobmgr.api.websocket import is_upgrade
from jobmgr.errors import InvalidRequest, JobmgrError, ShuttingDown
from jobmgr.feed import Feed
from jobmgr.log import get_logger
from jobmgr.watchers import Watchers

PATH = "/socket.io/"
NAMESPACE = "/"
CONNECT_TIMEOUT_S = 20.0
"""A session that so long is nobody's (nobody has connected in it, or not again) is ended."""

LEAVE_S = 1.0

_log = get_logger()


class SocketIo:
    """All that is connected over Socket.IO, until `close`."""

    def __init__(
        self, feed: Feed, watchers: Watchers, sockets: Sockets, *, pause: Callable[[int], float] = back_off
    ) -> None:
        self._feed = feed
        self._watchers = watchers
        self._sockets = sockets
        self._pause = pause
        self._protocol = Protocol(self)
        self._connected: dict[str, SocketIoWatcher] = {}
        """By session of Engine.IO: there is one namespace."""
        self._requests: dict[tuple[str, str], web.Request] = {}
        self._none_left = asyncio.Event()
        self._leaving = False
        self._replacing: set[asyncio.Task[None]] = set()

    @property
    def engine(self) -> Engine:
        """The transport."""
        return self._protocol.engine

    def attach(self, app: web.Application) -> None:
        """Serve it at its path."""
        app.router.add_get(PATH, self._handle, allow_head=False)
        app.router.add_post(PATH, self._handle)
        app.router.add_options(PATH, self._handle)

    async def close(self) -> None:
        """The server leaves: every client is told so, and what does not end by itself is cut. Safe to repeat."""
        self._leaving = True
        for session in list(self.engine.sockets.values()):
            await self.engine.end(session)
        self._none_left.clear()
        if self._requests:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._none_left.wait()
        for request in list(self._requests.values()):
            cut(request)
        await self.engine.leave()
        await asyncio.gather(*self._replacing)

    # --- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._leaving:
            raise ShuttingDown
        if "j" in request.query:
            raise Refused(HTTPStatus.BAD_REQUEST, "There is no JSONP here.")
        transport, session = request.query.get("transport", ""), request.query.get("sid")
        if transport == "websocket" and not is_upgrade(request):
            raise Refused(HTTPStatus.BAD_REQUEST, "This is no handshake of a WebSocket.")
        if session is None:
            if request.method == hdrs.METH_GET:
                self._sockets.check_room(self._feed, more=len(self.engine.sockets) - len(self._connected))
            session = f"new {id(request)}"
        with self._one_at_a_time(request, (f"{request.method} {transport}", session)):
            response: web.StreamResponse = await self._protocol.handle_request(request)
            return response

    @contextmanager
    def _one_at_a_time(self, request: web.Request, key: tuple[str, str]) -> Iterator[None]:
        """A session has one request that reads, one that writes, and one that becomes a WebSocket: two would mix up the order."""
        if key in self._requests:
            raise Refused(HTTPStatus.BAD_REQUEST, "Another request of this session is still open.")
        self._requests[key] = request
        try:
            yield
        finally:
            del self._requests[key]
            if not self._requests:
                self._none_left.set()

    # --- sessions

    async def connect(self, session: AsyncSocket, auth: object) -> None:
        """A client asks for the namespace. Raises ConnectError with a sentence."""
        try:
            asked = watch_of({} if auth is None else auth, at="/auth")
        except InvalidRequest as error:
            raise ConnectError(str(error)) from None
        watcher = SocketIoWatcher(self.engine, session, self._feed, wanted=asked.wanted(ALL_KINDS), pause=self._pause)
        try:
            await self._begin(watcher, asked)
        except BaseException:
            watcher.stop()
            raise
        self._connected[session.sid] = watcher

    async def _begin(self, watcher: SocketIoWatcher, asked: WatchQuery) -> None:
        """Find out where it begins."""
        if asked.clientId is None:
            watcher.begin = await self._feed.begin(asked.after)
            return
        named = await self._watchers.connect(asked.clientId, self._feed.seq, partial(self._replace, watcher))
        watcher.acknowledge = partial(self._watchers.acknowledge, named)
        watcher.leave = partial(self._watchers.disconnect, named)
        if asked.after is not None:
            self._watchers.move(named, asked.after)
        watcher.begin = await self._feed.begin(named.seq)
        if watcher.begin.reset:
            self._watchers.move(named, watcher.begin.seq)

    def disconnect(self, session: str) -> None:
        """The client has gone, or was sent away. Safe to repeat."""
        watcher = self._connected.pop(session, None)
        if watcher is not None:
            watcher.stop()

    def watcher(self, session: str) -> SocketIoWatcher | None:
        """Who watches in this session."""
        return self._connected.get(session)

    def _replace(self, watcher: SocketIoWatcher) -> None:
        """Another connection has taken its name."""
        farewell = watcher.farewell("a newer connection has this clientId")
        task = asyncio.get_running_loop().create_task(farewell, name="replace a watcher")
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)


class Protocol(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """python-socketio's server; what comes from clients is looked at before it is believed."""

    def __init__(self, home: SocketIo) -> None:
        super().__init__(logger=engine_log, async_handlers=False, namespaces=[NAMESPACE])
        self._home = home
        self._nobodys: dict[str, asyncio.TimerHandle] = {}
        self.on("connect", self._on_connect)
        self.on("disconnect", self._on_disconnect)

    @property
    def engine(self) -> Engine:
        """The transport."""
        engine: Engine = self.eio
        return engine

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    # --- sessions of Engine.IO

    async def _handle_eio_connect(self, eio_sid: str, environ: Mapping[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self._watch_over(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        self._leave_alone(eio_sid)
        await super()._handle_eio_disconnect(eio_sid, reason)
        session = self.engine.sockets.get(eio_sid)
        if session is not None:
            self.engine.finish(session)

    def _watch_over(self, eio_sid: str) -> None:
        self._leave_alone(eio_sid)
        self._nobodys[eio_sid] = asyncio.get_running_loop().call_later(CONNECT_TIMEOUT_S, self._end_nobodys, eio_sid)

    def _leave_alone(self, eio_sid: str) -> None:
        timer = self._nobodys.pop(eio_sid, None)
        if timer is not None:
            timer.cancel()

    def _end_nobodys(self, eio_sid: str) -> None:
        del self._nobodys[eio_sid]
        session = self.engine.living(eio_sid)
        if session is not None and self._home.watcher(eio_sid) is None:
            _ = self.engine.start_background_task(self.engine.abort, session)

    # --- what comes from clients

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        session = self.engine.living(eio_sid)
        if session is None or isinstance(data, bytes):
            return  # Bytes follow a packet that announces them, which was complained of.
        try:
            await self._take(session, data)
        except NotRead:
            await self.engine.abort(session)
        except SocketIsClosedError:
            pass
        except JobmgrError as error:  # A busy store, a full disk: it comes again by itself when all is well.
            _log.warning("a watcher cannot be connected", reason=str(error))
            await self.engine.end(session)
        except Exception as error:  # noqa: BLE001 - a bug of ours; the library would go on as if nothing had been.
            _log.error("a message of a watcher could not be handled", exc_info=error)
            await self.engine.end(session)

    async def _take(self, session: AsyncSocket, data: str) -> None:
        watcher = self._home.watcher(session.sid)
        try:
            packet = Packet(encoded_packet=data)
        except (ValueError, TypeError, RecursionError):
            packet = Packet(packet_type=-1)
        match packet.packet_type, packet.data:
            case int(kind), given if kind == CONNECT:
                # The library takes whatever is false in itself for nothing.
                auth = given if given is None or isinstance(given, dict) else [given]
                await self._connect(session, packet.namespace, auth)
            case int(kind), _ if kind == DISCONNECT:
                await self._handle_disconnect(session.sid, packet.namespace, self.reason.CLIENT_DISCONNECT)
                self._watch_over(session.sid)
            case _ if watcher is None or packet.namespace not in {None, NAMESPACE}:
                pass  # Of a connection that was refused, or has ended.
            case int(kind), [str(name), *given] if kind == EVENT:
                await self._answer(session, packet.id, await watcher.take(name, given))
            case int(kind), _ if kind == ACK and packet.id is not None:
                watcher.take_answer(packet.id)
            case _:
                await watcher.complain("not understood: send events with JSON, such as subscribe or ack")

    async def _answer(self, session: AsyncSocket, number: int | None, answer: Mapping[str, object] | None) -> None:
        if number is not None:
            content: Sequence[object] = () if answer is None else (answer,)
            await self._send_packet(session.sid, Packet(packet_type=ACK, id=number, data=list(content)))

    # --- connections

    async def _connect(self, session: AsyncSocket, namespace: str | None, auth: object) -> None:
        try:
            await self._handle_connect(session.sid, namespace, auth)
        except BaseException:
            await self._forget(session.sid)
            raise
        if session.closed or session.closing:
            await self._forget(session.sid)
            return
        watcher = self._home.watcher(session.sid)
        if watcher is not None and not watcher.started:
            self._leave_alone(session.sid)
            watcher.start()

    async def _forget(self, eio_sid: str) -> None:
        """It went while it was let in, when the library does not look whether it goes."""
        self._home.disconnect(eio_sid)
        sid = self.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        if sid is not None:
            await self.manager.disconnect(sid, NAMESPACE)

    async def _on_connect(self, sid: str, _environ: object, auth: object) -> None:
        session = self.engine.living(self.manager.eio_sid_from_sid(sid, NAMESPACE))
        if session is not None:
            await self._home.connect(session, auth)

    def _on_disconnect(self, sid: str, _reason: str) -> None:
        self._home.disconnect(self.manager.eio_sid_from_sid(sid, NAMESPACE))
