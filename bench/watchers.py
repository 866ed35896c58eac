"""A crowd of watchers that costs little: raw WebSockets in one thread, woken by the kernel, their events counted and not parsed.

Every event begins with its kind and its number, so in a piece of a stream the events are counted by that mark and the number of the last one
must be the number before plus the count: a gap or an event sent twice shows at once. A few watchers are checked instead: they take each message
apart, and tell when each event was committed. For every piece the arrival is noted; latencies are reckoned afterwards, of each event at each watcher.

Assumes that the server sends text messages in single frames that are not compressed, and JSON without spaces, as jobmgr does.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from jobmgr.clock import parse_rfc3339

MARK = b'","seq":'
"""Stands before the number of an event and nowhere else: in a text its quotes would be escaped."""

PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
CLOSE, CLOSED = 0x88, b"\x88\x80\x00\x00\x00\x00"
"""Frames of a client are masked; nothing masked by anything is nothing."""

LONG, LONGER = 126, 127
ROOM_BYTES = 256 * 1024
AT_ONCE = 100
"""So many shake hands at the same time: a listening socket has room for little more."""

PATIENCE_S = 30.0


class Watcher:
    """One socket: where it stands, and what is left of the piece before."""

    __slots__ = ("checked", "closed", "left", "seq", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seq = 0
        self.left = b""
        self.checked = False
        self.closed = False


class Crowd:
    """Watchers of the server on a port of loopback."""

    def __init__(self, port: int) -> None:
        self.watchers: list[Watcher] = []
        self.wrong: list[str] = []
        """What must not be: a gap, an event twice, a socket that was closed."""
        self.at: dict[int, int] = {}
        """When each event was committed, as the checked watchers heard it; microseconds."""
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._buffer = bytearray(ROOM_BYTES)
        self._pieces = (array("d"), array("q"), array("q"))
        """Of each piece: when it arrived, the number before it, its last number."""

    # --- coming and going

    def join(self, count: int, *, checked: int = 0) -> list[Watcher]:
        """So many more, the first of them checked; all have had their `hello` then."""
        joined: list[Watcher] = []
        for first in range(0, count, AT_ONCE):
            coming = [self._connected() for _ in range(first, min(first + AT_ONCE, count))]
            joined += [self._greeted(sock) for sock in coming]
        for watcher in joined[:checked]:
            watcher.checked = True
        self.watchers += joined
        return joined

    def _connected(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)
        sock.sendall(request(self._port, key=base64.b64encode(os.urandom(16)).decode()))
        return sock

    def _greeted(self, sock: socket.socket) -> Watcher:
        got = b""
        while True:
            head, ended, rest = got.partition(b"\r\n\r\n")
            if ended and not head.startswith(b"HTTP/1.1 101 "):
                raise RuntimeError(f"a watcher was refused: {got[:500]!r}")
            texts, left = messages(rest)
            if texts:
                break
            got += _some(sock)
        watcher = Watcher(sock)
        watcher.seq = json.loads(texts[0])["seq"]
        watcher.left = left
        if len(texts) > 1:
            raise RuntimeError("Let watchers join while nothing happens.")
        sock.settimeout(0)  # It waits for nothing any more.
        self._selector.register(sock, selectors.EVENT_READ, watcher)
        return watcher

    def leave(self) -> None:
        """Close every socket."""
        for watcher in self.watchers:
            with suppress(KeyError):
                self._selector.unregister(watcher.sock)
            watcher.sock.close()
        self.watchers.clear()

    def stop_reading(self, watchers: list[Watcher]) -> None:
        """From now on these take nothing."""
        for watcher in watchers:
            self._selector.unregister(watcher.sock)
            self.watchers.remove(watcher)

    # --- listening

    def listen(self, enough: Callable[[], bool], *, within_s: float) -> bool:
        """Take what comes until it is `enough`, which is asked every now and then; False: it was not, in the time given."""
        until = time.monotonic() + within_s
        while not enough():
            if time.monotonic() > until:
                return False
            look = time.monotonic() + 0.05
            while (left := look - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    self._take(key.data)
        return True

    def are_at(self, seq: int) -> bool:
        """Whether every watcher has everything up to this number."""
        return all(watcher.seq >= seq for watcher in self.watchers)

    def _take(self, watcher: Watcher) -> None:
        kept = len(watcher.left)
        self._buffer[:kept] = watcher.left
        try:
            got = watcher.sock.recv_into(memoryview(self._buffer)[kept:])
        except BlockingIOError:
            return
        except ConnectionError:
            got = 0
        now, end = time.time(), kept + got
        if got == 0 or self._buffer[kept] == CLOSE:
            self._close(watcher)
            return
        before = watcher.seq
        if self._buffer.find(PING, 0, end) >= 0:
            self._answer(watcher)
        if watcher.checked:
            self._check(watcher, bytes(self._buffer[:end]))
        else:
            self._count(watcher, end)
        if watcher.seq > before:
            arrived, first, last = self._pieces
            arrived.append(now)
            first.append(before)
            last.append(watcher.seq)

    def _count(self, watcher: Watcher, end: int) -> None:
        """The events that begin in this piece."""
        buffer = self._buffer
        start = buffer.rfind(MARK, 0, end)
        stop = buffer.find(b",", start + len(MARK), end) if start >= 0 else -1
        if stop < 0 <= start:  # The number is cut: it counts when the rest of it is there.
            watcher.left = bytes(buffer[start:end])
            watcher.seq += buffer.count(MARK, 0, start)
            return
        watcher.left = bytes(buffer[max(0, end - len(MARK) + 1) : end])
        if start < 0:
            return
        watcher.seq += buffer.count(MARK, 0, end)
        last = int(buffer[start + len(MARK) : stop])
        if last != watcher.seq:
            self.wrong.append(f"a watcher got event {last} as number {watcher.seq}")
            watcher.seq = last

    def _check(self, watcher: Watcher, data: bytes) -> None:
        """Each event of this piece, message by message."""
        texts, watcher.left = messages(data)
        for text in texts:
            event = json.loads(text)
            if event["seq"] != watcher.seq + 1:
                self.wrong.append(f"a checked watcher got event {event['seq']} after {watcher.seq}")
            watcher.seq = event["seq"]
            self.at[watcher.seq] = parse_rfc3339(event["at"]) or 0

    def _answer(self, watcher: Watcher) -> None:
        with suppress(OSError):
            watcher.sock.send(PONG)

    def _close(self, watcher: Watcher) -> None:
        """The server ends it: it is answered as clients do, and gone."""
        with suppress(OSError):
            watcher.sock.send(CLOSED)
        self._selector.unregister(watcher.sock)
        watcher.closed = True
        self.wrong.append(f"a watcher was closed after event {watcher.seq}")

    # --- what was seen

    def latencies_ms(self, after: int, to: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Commit to arrival of each of these events at each watcher, sorted. Times of events have whole milliseconds, rounded down."""
        committed = np.array([self.at.get(seq, 0) for seq in range(after + 1, to + 1)]) / 1e6
        arrived, first, last = (np.array(column) for column in self._pieces)
        first, last = np.clip(first, after, to), np.clip(last, after, to)
        counts = last - first
        ends = np.cumsum(counts)
        events = np.arange(counts.sum()) - np.repeat(ends - counts, counts) + np.repeat(first - after, counts)
        return np.sort((np.repeat(arrived, counts) - committed[events]) * 1000)


def request(port: int, *, key: str | None = None, path: str = "/ws") -> bytes:
    """A GET; with a key one for a WebSocket."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    if key is not None:
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    return "\r\n".join([*lines, "", ""]).encode()


def messages(data: bytes) -> tuple[list[bytes], bytes]:
    """The texts of the whole frames in this piece of a stream, and the rest of it. Pings and the like are left out."""
    texts, place = [], 0
    for kind, start, end in _frames(data):
        if kind & 0x0F == 1:
            texts.append(data[start:end])
        place = end
    return texts, data[place:]


def _frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    place = 0
    while place + 2 <= len(data):
        length, start = data[place + 1], place + 2
        more = {LONG: 2, LONGER: 8}.get(length, 0)
        if more:
            length, start = int.from_bytes(data[start : start + more], "big"), start + more
        if start > len(data) or start + length > len(data):
            return
        yield data[place], start, start + length
        place = start + length


def _some(sock: socket.socket) -> bytes:
    got = sock.recv(ROOM_BYTES)  # It has its time limit from when it was connected.
    if not got:
        raise RuntimeError("a watcher was closed before it was greeted")
    return got
