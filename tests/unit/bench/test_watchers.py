"""The crowd that measures: it counts every event however the stream is cut, sees what is missing, and reckons latencies right."""

from __future__ import annotations

import json
import socket
from array import array
from collections.abc import Iterator

import pytest

from bench.watchers import CLOSED, PING, PONG, Crowd, Watcher, messages, request
from jobmgr.api.frames import framed, message

AT = "2026-11-22T08:00:00.250Z"
AT_S = 1_795_334_400.25


def event(seq: int, **data: object) -> bytes:
    """A frame as the server sends it."""
    content = {"event": "job-update", "seq": seq, "at": AT, "data": {"jobId": "job-0", **data}}
    return framed(json.dumps(content, separators=(",", ":")).encode())


class Line:
    """A watcher of a crowd, and the other end of its socket."""

    def __init__(self) -> None:
        self.server, mine = socket.socketpair()
        self.crowd, self.watcher = Crowd(0), Watcher(mine)
        self.crowd.watchers.append(self.watcher)
        self.crowd._selector.register(mine, 1, self.watcher)

    def send(self, data: bytes, size: int | None = None) -> None:
        """In pieces of this size, each of which is taken before the next."""
        size = size or len(data)
        for start in range(0, len(data), size):
            self.server.sendall(data[start : start + size])
            self.crowd._take(self.watcher)


@pytest.fixture
def line() -> Iterator[Line]:
    """A watcher that has had nothing yet."""
    found = Line()
    yield found
    found.server.close()
    found.crowd.leave()


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 50, 10_000])
@pytest.mark.parametrize("checked", [False, True])
def test_events_are_counted_however_the_stream_is_cut(line: Line, size: int, checked: bool) -> None:
    """Also in the middle of the mark or of a number, and when a message needs a longer head."""
    line.watcher.checked = checked
    line.send(b"".join(event(seq, error="x" * (seq * 20)) for seq in range(1, 13)), size)
    assert (line.watcher.seq, line.crowd.wrong) == (12, [])


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("numbers", [(1, 3), (1, 2, 2), (2,)])
def test_a_gap_or_an_event_twice_is_wrong(line: Line, checked: bool, numbers: tuple[int, ...]) -> None:
    """Whether the watcher takes messages apart or only counts them."""
    line.watcher.checked = checked
    line.send(b"".join(map(event, numbers)))
    assert len(line.crowd.wrong) == 1


def test_what_looks_like_the_mark_in_a_text_is_none(line: Line) -> None:
    """In JSON its quotes are escaped."""
    line.send(event(1, error='","seq":9,') + event(2))
    assert (line.watcher.seq, line.crowd.wrong) == (2, [])


def test_a_ping_is_answered(line: Line) -> None:
    """As the server wants it within its time, beside events too."""
    line.send(event(1) + PING + event(2))
    assert (line.server.recv(100), line.watcher.seq) == (PONG, 2)


def test_a_close_is_answered_and_told(line: Line) -> None:
    """Nobody should be closed while figures are taken."""
    line.send(b"\x88\x02\x03\xe9")
    assert (line.server.recv(100), line.watcher.closed, len(line.crowd.wrong)) == (CLOSED, True, 1)


def test_a_latency_is_from_the_commit_to_the_arrival_at_each_watcher(line: Line) -> None:
    """Three events at one watcher, the third in a later piece; those that are not asked for are left out."""
    line.watcher.checked = True
    line.send(event(1) + event(2) + event(3) + event(4))
    line.crowd._pieces = (array("d", [AT_S + 0.1, AT_S + 0.3]), array("q", [0, 3]), array("q", [3, 4]))
    assert [round(value) for value in line.crowd.latencies_ms(1, 4)] == [100, 100, 300]
    assert line.crowd.latencies_ms(0, 1).round().tolist() == [100.0]


def test_frames_that_are_not_whole_are_kept() -> None:
    """And those that are no text are passed over."""
    whole, half = message("hello", 7, {}), event(8, error="x" * 200)[:-1]
    texts, left = messages(whole + PING + half)
    assert ([json.loads(text)["seq"] for text in texts], left) == ([7], half)


def test_a_request_with_a_key_is_one_for_a_websocket() -> None:
    """Without it is a plain GET."""
    assert b"Upgrade: websocket" in request(3000, key="x")
    assert request(3000, path="/events") == b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n"
