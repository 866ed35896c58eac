"""Events as WebSocket frames, as aiohttp makes them: each once, and the frames of a batch joined once, however many sockets they go to.

Frames of a server are the same for every client (only those of clients are masked), so a thousand watchers cost a thousand writes and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from aiohttp import WSMsgType
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import WebSocketWriter

from jobmgr.clock import rfc3339
from jobmgr.events import EventFilter
from jobmgr.feed import Entry, as_json, chosen

KEPT = 16
"""So many joined batches are kept: those who stand at the same place with the same filter take the same."""


STEP_BYTES = 32 * 1024
"""Written at most at once, but for an event that is larger: what is written and not taken is kept, for each who does not read."""

Step = tuple[int, bytes]
"""The number of the last event of a piece of a batch, and its frames."""


class _Kept:
    """Stands for a connection: keeps what aiohttp would send."""

    _paused = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        return False


_kept = _Kept()
_writer = WebSocketWriter(cast(BaseProtocol, _kept), cast(asyncio.Transport, _kept))


def framed(text: bytes) -> bytes:
    """One text message."""
    _kept.sent.clear()
    sending = _writer.send_frame(text, WSMsgType.TEXT)
    try:
        sending.send(None)
    except StopIteration:
        return b"".join(_kept.sent)
    raise RuntimeError("A frame that is not compressed is written at once.")


def message(kind: str, seq: int, data: Mapping[str, Any]) -> bytes:
    """What is no event, in the shape of one."""
    return framed(as_json({"event": kind, "seq": seq, "data": data}))


def as_frame(entry: Entry) -> bytes:
    """An event."""
    event = entry.event
    head = b'{"event":"%s","seq":%d,"at":"%s","data":' % (event.kind.encode(), event.seq, rfc3339(event.at).encode())
    return framed(head + entry.data + b"}")


class Batches:
    """Joined frames, shared by the sockets of a server."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int, EventFilter], Sequence[Step]] = {}

    def steps(self, entries: Sequence[Entry], wanted: EventFilter) -> Sequence[Step]:
        """The frames of these entries, which follow each other in the feed, as far as they pass the filter; nearly always one step."""
        key = entries[0].seq, entries[-1].seq, wanted
        steps = self._made.get(key)
        if steps is None:
            steps = list(_steps(entries, wanted))
            while len(self._made) >= KEPT:
                del self._made[next(iter(self._made))]
            self._made[key] = steps
        return steps


def _steps(entries: Sequence[Entry], wanted: EventFilter) -> Iterator[Step]:
    frames, size = list[bytes](), 0
    for entry in entries:
        made = b"".join([each.form(as_frame) for each in chosen([entry], wanted)])
        if size and size + len(made) > STEP_BYTES:
            yield entry.seq - 1, b"".join(frames)
            frames, size = [], 0
        frames.append(made)
        size += len(made)
    yield entries[-1].seq, b"".join(frames)
