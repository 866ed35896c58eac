"""Follows the feed of a server, over lost connections and restarts: no event is lost, and after a quick death of the server one may come twice.

`GET /events` is a stream of server-sent events. Each has a number, and a new connection asks for what follows the last one (`after`). A server that
is there says something at least every 15 s; a connection that is silent for three times that is taken for dead, as is one whose first word does
not come. Who gave a first number misses nothing from there on; without one the feed begins when the server says `hello`.

`Parser` is server-sent events as the HTML standard has them, but for `retry`, which a server does not decide here: the pauses are those of
`connection`.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from jobmgr.client.connection import AWAY_PATIENCE_S, Connection, Query
from jobmgr.client.jobs import PIECE_BYTES
from jobmgr.errors import ClientError, ConnectionLost, Refusal

PATH = "/events"
JOB_UPDATE = "job-update"
TASK_UPDATE = "task-update"
RESET = "reset"
HELLO = "hello"

HELLO_S = 10.0
"""So long the first word of a stream is waited for."""
SILENCE_S = 45.0
"""So long a stream may be silent: three heartbeats."""
LASTED_S = 5.0
"""A stream that lasted so long was a good one: after it there is no pause."""
_PAUSES_S = (0.0, 0.2, 0.5, 1.0)
_STREAM_TYPE = "text/event-stream"
_BUSY = 503
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, or a sign of the feed (`hello`, `reset`)."""

    seq: int
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event as it came: its kind, its data as text."""

    kind: str
    data: str


class Parser:
    """Bytes in, messages out, wherever the pieces begin and end. Knows nothing of what they mean."""

    def __init__(self) -> None:
        self.last_id = ""
        """The newest id that was given, also by a message without data."""
        self._id, self._kind = "", ""
        self._data: list[str] = []
        self._begun: list[bytes] = []
        """Pieces of a line whose end has not come."""
        self._after_cr = False
        self._at_start = True

    def feed(self, piece: bytes) -> Iterator[Message]:
        """What is complete with this piece."""
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")  # The other half of an end that is over already.
            self._after_cr = False
        *lines, rest = _LINE_END.split(piece)
        self._after_cr = piece.endswith(b"\r")
        for line in lines:
            whole = b"".join([*self._begun, line])
            self._begun.clear()
            yield from self._line(whole.decode("utf-8", "replace"))
        if rest:
            self._begun.append(rest)

    def _line(self, line: str) -> Iterator[Message]:
        if self._at_start:
            line, self._at_start = line.removeprefix("\ufeff"), False
        if not line:
            yield from self._dispatch()
            return
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ") if colon else ""
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _dispatch(self) -> Iterator[Message]:
        self.last_id = self._id
        kind, data = self._kind or "message", "\n".join(self._data)
        nothing = not self._data
        self._kind = ""
        self._data.clear()
        if not nothing:
            yield Message(kind, data)


@dataclass(slots=True)
class Feed:
    """The events that pass `query`, above the number `after` (None: from now on). The connection is for nothing else, and is closed in the end."""

    connection: Connection
    query: Query = field(default_factory=dict)
    after: int | None = None
    """The number of the last event that was given, or passed over."""
    patience_s: float = AWAY_PATIENCE_S
    """So long a server that went away is waited for, once there was a first word; until then it is as `connection` has it."""
    spoken: bool = False
    """Whether there was a first word."""

    def events(self) -> Generator[Event, None, None]:
        """What happens, without end, and the signs of the feed.

        Raises NoServer and ConnectionLost when patience is used up, Refusal for what the server does not give, TimeoutError at the instant
        `connection.until`.
        """
        try:
            yield from self._streams()
        finally:
            self.connection.close()

    def _streams(self) -> Iterator[Event]:
        """One stream after another."""
        pauses, heard = 0, time.monotonic()
        while True:
            began, words = time.monotonic(), 0
            try:
                for event in self._stream():
                    words, heard = words + 1, time.monotonic()
                    pauses = pauses if event.kind == HELLO else 0
                    yield event
            except Refusal as refusal:
                # One that starts says so for a while; to a first question that is the answer.
                if refusal.status != _BUSY or not self.spoken or self._in_vain_since(heard):
                    raise
            if self.connection.left_s <= 0:
                raise TimeoutError
            if not words and self._in_vain_since(heard):
                raise ConnectionLost
            pauses = 0 if time.monotonic() - began >= LASTED_S else pauses
            time.sleep(max(0.0, min(_PAUSES_S[min(pauses, len(_PAUSES_S) - 1)], self.connection.left_s)))
            pauses += 1

    def _in_vain_since(self, heard: float) -> bool:
        return time.monotonic() - heard >= self.connection.patience_s

    def _stream(self) -> Iterator[Event]:
        """One stream, until it ends, breaks, or is silent for too long."""
        query = {**self.query, "after": self.after}
        headers = {"Accept": _STREAM_TYPE}
        with self.connection.stream("GET", PATH, query=query, headers=headers) as answer:
            if not answer.getheader("Content-Type", "").startswith(_STREAM_TYPE):
                raise ClientError(
                    "The answer is no stream of events: what answers there is not jobmgr. Check the address."
                )
            parser, patience_s = Parser(), HELLO_S
            while piece := self._piece(answer, patience_s):
                for message in parser.feed(piece):
                    yield self._told(message, parser.last_id)
                self._move(parser.last_id)
                patience_s = SILENCE_S

    def _piece(self, answer: http.client.HTTPResponse, patience_s: float) -> bytes:
        try:
            self.connection.allow(patience_s)
            return answer.read1(PIECE_BYTES)
        except (OSError, http.client.HTTPException):
            return b""

    def _told(self, message: Message, last_id: str) -> Event:
        try:
            data = json.loads(message.data)
            event = Event(int(last_id), message.kind, dict(data))
        except (ValueError, TypeError):
            raise ClientError("An event is not as jobmgr tells them. Check the address (JOBMGR_URL).") from None
        # Before it is given away: whoever asks for the next one has dealt with it.
        self.after = event.seq
        self._hear()
        return event

    def _hear(self) -> None:
        if not self.spoken:
            self.spoken, self.connection.patience_s = True, self.patience_s

    def _move(self, last_id: str) -> None:
        """Go on after what was passed over."""
        if last_id.isascii() and last_id.isdigit():
            self.after = int(last_id)
