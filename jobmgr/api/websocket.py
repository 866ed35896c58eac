"""The feed over plain WebSockets, at `/` and `/ws`: every event is one text message `{"event", "seq", "at", "data"}`.

Clients may send `{"subscribe": {filter}}` and `{"ack": seq}`. What a socket is and how it is told is in `sockets`; here it begins.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from aiohttp import web

from jobmgr.api.health import welcome
from jobmgr.api.middleware import Refused, mark_started
from jobmgr.api.parts import PARTS
from jobmgr.api.query import asked
from jobmgr.api.sockets import SocketWatcher
from jobmgr.api.wanted import WatchQuery


async def watch_or_welcome(request: web.Request) -> web.StreamResponse:
    """What is here; for a WebSocket, what happens.

    A few lines of text for whoever opens the address. A WebSocket gets what it gets at `/ws`.
    """
    return await (_watch(request) if is_upgrade(request) else welcome(request))


async def watch_socket(request: web.Request) -> web.StreamResponse:
    """What happens, over a WebSocket.

    Each event is a message `{"event": "job-update", "seq": 17, "at": "…", "data": {…}}`. The first is `hello`: what follows comes after its `seq`.
    Send `{"subscribe": {"status": "failed"}}` for another filter (the words are those of the address), and `{"ack": 17}` when you named yourself
    with `clientId`: next time you begin there. A socket that is closed with 4001 was not read: connect again with `after`.
    """
    if not is_upgrade(request):
        sentence = "Connect with a WebSocket; GET /events gives the same events to any client of HTTP."
        raise Refused(HTTPStatus.UPGRADE_REQUIRED, sentence, headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    return await _watch(request)


def is_upgrade(request: web.Request) -> bool:
    """Whether it asks for a WebSocket."""
    return web.WebSocketResponse().can_prepare(request).ok


async def _watch(request: web.Request) -> web.StreamResponse:
    parts, query = request.app[PARTS], asked(request, WatchQuery)
    parts.sockets.check_room(parts.feed)
    watcher = SocketWatcher(parts.feed, parts.sockets.batches, request, query.wanted())
    connection, after = None, query.after
    if query.clientId is not None:
        connection = await parts.watchers.connect(query.clientId, parts.feed.seq, watcher.replace)
        watcher.acknowledge = partial(parts.watchers.acknowledge, connection)
        if after is None:
            after = connection.seq
        else:
            parts.watchers.move(connection, after)
    try:
        start = await parts.feed.begin(after)
        if connection is not None and start.reset:
            parts.watchers.move(connection, start.seq)
        await watcher.socket.prepare(request)
        mark_started(request, watcher.socket)
        watcher.socket.headers.clear()  # They are sent.
        await parts.sockets.serve(watcher, start)
    finally:
        if connection is not None:
            parts.watchers.disconnect(connection)
    return watcher.socket
