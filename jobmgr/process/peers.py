"""The keeper's side of its socket: whoever is connected, what they ask, what they have not read yet. Never blocks. Standard library only."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from collections.abc import Callable
from typing import Any

assert sys.platform != "win32"

UNREAD_BYTES = 1024 * 1024
_READ_BYTES = 256 * 1024
_LONGEST_LINE = 256 * 1024 * 1024

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Peer:
    """One connection. `unread` waits for the other side to read."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lost = False
        self.waits_to_write = False
        self._incoming = bytearray()
        self._unread = bytearray()
        self._allowed = UNREAD_BYTES

    def send(self, message: dict[str, Any], *, expected: bool = False) -> None:
        """Queue a line. `expected`: the other side asked for this much, so it does not count as being slow."""
        line = _encode(message).encode() + b"\n"
        if expected:
            self._allowed = UNREAD_BYTES + len(line)
        self._unread += line

    def flush(self) -> None:
        """Write what the socket takes; give the connection up when too much stays unread."""
        while self._unread:
            try:
                sent = self.connection.send(self._unread)
            except BlockingIOError:
                self.lost = self.lost or len(self._unread) > self._allowed
                return
            except OSError:
                self.lost = True
                return
            del self._unread[:sent]
        self._allowed = UNREAD_BYTES

    @property
    def behind(self) -> bool:
        """Whether it has not read all that was said."""
        return bool(self._unread)

    def receive(self) -> list[bytes]:
        """The whole lines that have come."""
        try:
            data = self.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.lost = True
            return []
        self._incoming += data
        if b"\n" not in data:
            self.lost = len(self._incoming) > _LONGEST_LINE
            return []
        whole, _, rest = bytes(self._incoming).rpartition(b"\n")
        self._incoming = bytearray(rest)
        return whole.split(b"\n")


class Peers:
    """All connections, and the one that is the controller. `poll` also serves the keeper's other descriptors."""

    def __init__(self, listening: int, on_command: Callable[[Peer, dict[str, Any]], None]) -> None:
        self.controller: Peer | None = None
        self.poll = select.epoll()
        self._listener = socket.socket(fileno=listening)
        self._listener.settimeout(0)
        self._on_command = on_command
        self._peers: dict[int, Peer] = {}
        self.poll.register(self._listener, select.EPOLLIN)

    def any(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._peers)

    def control(self, peer: Peer) -> None:
        """From now on this one is the controller; the former is dropped unread."""
        former, self.controller = self.controller, peer
        if former is not None and former is not peer:
            self._drop(former)

    def serve(self, fd: int) -> None:
        """Something happened on this descriptor."""
        if fd == self._listener.fileno():
            self._accept()
            return
        peer = self._peers.get(fd)
        if peer is None:
            return  # Dropped earlier in this turn.
        for line in peer.receive():
            self._obey(peer, line)
        if peer.lost:
            self._drop(peer)

    def flush(self) -> None:
        """Write everywhere, drop who is gone or too slow, watch for room where something stays unread."""
        for fd, peer in list(self._peers.items()):
            if peer.behind:
                peer.flush()
            if peer.lost:
                self._drop(peer)
            elif peer.behind != peer.waits_to_write:
                peer.waits_to_write = peer.behind
                self.poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if peer.behind else 0))

    def _obey(self, peer: Peer, line: bytes) -> None:
        if not line or peer.lost or peer.connection.fileno() < 0:
            return
        try:
            self._on_command(peer, json.loads(line))
        except Exception:  # noqa: BLE001  One bad command must not end the keeper, which holds everybody's jobs.
            peer.lost = True
            print_trouble()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # Gone again, or no descriptor: tried at the next turn.
        connection.settimeout(0)
        self._peers[connection.fileno()] = Peer(connection)
        self.poll.register(connection, select.EPOLLIN)

    def _drop(self, peer: Peer) -> None:
        if self._peers.pop(peer.connection.fileno(), None) is not None:
            self.poll.unregister(peer.connection)
            peer.connection.close()
        if peer is self.controller:
            self.controller = None


def print_trouble() -> None:
    """The present exception to stderr, a file that must not grow without end."""
    if os.fstat(2).st_size < UNREAD_BYTES:
        import traceback  # Big, and hardly ever needed: a keeper stays small.

        traceback.print_exc()
