"""The feed from the side of a client: server-sent events in any pieces, and streams that break, stay silent or never begin."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.client import connection, events
from jobmgr.client.events import Event, Feed, Message, Parser
from jobmgr.errors import ClientError, ConnectionLost, NoServer, Refusal
from tests.unit.client.stub import Asked, Stub, in_turn, stub, told, update

# --- server-sent events

line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))
words = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1)
messages = st.tuples(words, st.lists(line, min_size=1), st.integers(0))
ends = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[tuple[Message, str]], list[bytes]]:
    """Messages with their ids, and pieces that are these messages."""
    every = draw(st.lists(messages, max_size=5))
    said = []
    for kind, data, number in every:
        lines = [f"event: {kind}", f"id: {number}", *(f"data: {text}" for text in data)]
        said += [*draw(st.lists(line.map(":{}".format), max_size=2)), *lines, "retry: 5", "unknown", ""]
    end = draw(ends)  # One: an empty line with \n after one with \r would be none.
    text = draw(st.sampled_from(["", "\ufeff"])) + "".join(text + end for text in said)
    whole = text.encode()
    cuts = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=20)))
    pieces = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return [(Message(kind, "\n".join(data)), str(number)) for kind, data, number in every], pieces


@given(streams())
def test_messages_come_out_as_they_went_in(made: tuple[list[tuple[Message, str]], list[bytes]]) -> None:
    """With any end of line, comments between, in pieces that begin and end anywhere, also within a character."""
    expected, pieces = made
    parser = Parser()
    assert [(message, parser.last_id) for piece in pieces for message in parser.feed(piece)] == expected


def parsed(*pieces: bytes) -> tuple[list[Message], str]:
    """The messages, and the last id."""
    parser = Parser()
    return [message for piece in pieces for message in parser.feed(piece)], parser.last_id


@pytest.mark.parametrize(
    ("text", "expected", "last_id"),
    [
        (b"data\n\ndata\ndata\n\ndata:", [Message("message", ""), Message("message", "\n")], ""),
        (b"data:test\n\ndata: test\n\n", [Message("message", "test")] * 2, ""),
        (b"data:  two\n\n", [Message("message", " two")], ""),
        (b"id: 7\ndata: a\n\nid\n\n", [Message("message", "a")], ""),
        (b"id: 7\n\n", [], "7"),
        (b"id: 7\n", [], ""),
        (b"id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n", [Message("message", "a"), Message("message", "b")], "7"),
        (b"event: one\n\ndata: a\n\n", [Message("message", "a")], ""),
        (b": ping\n\n", [], ""),
    ],
)
def test_the_cases_of_the_standard(text: bytes, expected: list[Message], last_id: str) -> None:
    """Those that are easily got wrong; what is not ended by an empty line is not told."""
    assert parsed(text) == (expected, last_id)


def test_a_long_line_in_small_pieces_is_read_in_linear_time() -> None:
    """Not copied with each piece."""
    parser, piece = Parser(), b"x" * 1000
    began = time.process_time()
    list(parser.feed(b"data: "))
    for _ in range(20_000):
        assert not list(parser.feed(piece))
    [message] = parser.feed(b"\n\n")
    assert len(message.data) == 20_000_000
    assert time.process_time() - began < 5


# --- the feed


def begin(server: Stub, **given: Any) -> Feed:
    """A feed of that server."""
    return Feed(server.client.connection.beside(), **given)


def first(feed: Feed, count: int) -> list[Event]:
    """So many events."""
    with closing(feed.events()) as arriving:
        return list(islice(arriving, count))


def stays(*pieces: bytes) -> Callable[[Asked], None]:
    """An answer that stays after these pieces."""
    return lambda asked: asked.stream(*pieces, stay=threading.Event())


def breaks(*pieces: bytes) -> Callable[[Asked], None]:
    """An answer that breaks off after these pieces."""
    return lambda asked: asked.stream(*pieces)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """With short times."""
    monkeypatch.setattr(events, "HELLO_S", 0.2)
    monkeypatch.setattr(events, "SILENCE_S", 0.2)
    monkeypatch.setattr(connection, "LEAST_S", 0.05)


HELLO = told(4, "hello")


def test_a_broken_stream_goes_on_after_the_last_event() -> None:
    """Nothing lost, nothing twice."""
    answer = in_turn(breaks(HELLO, update(5, "running")), stays(told(5, "hello"), update(6, "completed")))
    with stub({"/events": answer}) as server:
        found = first(begin(server), 4)
        assert [(event.seq, event.kind) for event in found] == [
            (4, "hello"),
            (5, "job-update"),
            (5, "hello"),
            (6, "job-update"),
        ]
        assert [query.get("after") for _, query in server.asked] == [None, ["5"]]


def test_a_stream_goes_on_after_what_was_passed_over_in_silence() -> None:
    """A heartbeat moves the number, else a quiet client would be sent far back."""
    answer = in_turn(breaks(HELLO, b"id: 900\n\n"), stays(told(900, "hello")))
    with stub({"/events": answer}) as server:
        first(begin(server), 2)
        assert server.asked[1][1]["after"] == ["900"]


def test_half_an_event_is_none() -> None:
    """It comes again, whole."""
    answer = in_turn(breaks(HELLO, update(5, "running")[:-1]), stays(told(4, "hello"), update(5, "running")))
    with stub({"/events": answer}) as server:
        assert [event.seq for event in first(begin(server), 3)] == [4, 4, 5]
        assert server.asked[1][1]["after"] == ["4"]


@pytest.mark.usefixtures("quick")
def test_a_silent_stream_is_left() -> None:
    """A connection may be dead and not know it."""
    answer = in_turn(stays(HELLO), stays(told(4, "hello"), update(5, "running")))
    with stub({"/events": answer}) as server:
        assert first(begin(server), 3)[-1].seq == 5


@pytest.mark.usefixtures("quick")
def test_a_stream_that_never_speaks_is_given_up() -> None:
    """As behind a proxy that lets no stream pass."""
    with stub({"/events": stays()}) as server, pytest.raises(ConnectionLost):
        first(begin(server), 1)


@pytest.mark.usefixtures("quick")
def test_silent_streams_are_endured_as_long_as_there_is_patience() -> None:
    """Once there was a first word."""
    answer = in_turn(breaks(HELLO), breaks(), breaks(), stays(told(4, "hello"), update(5, "running")))
    with stub({"/events": answer}) as server:
        assert first(begin(server), 3)[-1].seq == 5


@pytest.mark.parametrize("status", [400, 404, 503])
def test_what_the_server_does_not_give_is_refused_at_once(status: int) -> None:
    """Also where it has no room: that is the answer."""
    with stub({"/events": lambda asked: asked.refuse(status)}) as server, pytest.raises(Refusal) as refusal:
        first(begin(server), 1)
    assert refusal.value.status == status


def test_a_server_that_still_starts_is_waited_for() -> None:
    """It was there before."""
    answer = in_turn(breaks(HELLO), lambda asked: asked.refuse(503), stays(told(4, "hello"), update(5, "running")))
    with stub({"/events": answer}) as server:
        assert first(begin(server), 3)[-1].seq == 5


@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: asked.json([]),
        lambda asked: asked.stream(b"data: []\n\n"),
        lambda asked: asked.stream(b"id: 1\ndata: <html>\n\n"),
        lambda asked: asked.stream(b"id: 1\ndata: 7\n\n"),
    ],
)
def test_what_is_no_feed_of_jobmgr_is_said(answer: Callable[[Asked], None]) -> None:
    """Something else answers there."""
    with stub({"/events": answer}) as server, pytest.raises(ClientError, match="Check the address"):
        first(begin(server), 1)


def test_at_its_instant_the_feed_ends() -> None:
    """However quiet it is."""
    with stub({"/events": stays(HELLO)}) as server:
        feed = begin(server)
        feed.connection.until = time.monotonic() + 0.2
        with pytest.raises(TimeoutError):
            first(feed, 2)


def test_without_a_server_there_is_no_patience() -> None:
    """Until there was a first word."""
    with pytest.raises(NoServer):
        first(Feed(connection.Connection("http://127.0.0.1:1")), 1)


def test_a_server_that_closes_each_connection_is_not_waited_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for the next byte holds too when the answer is to be the last one of its connection."""
    monkeypatch.setattr(events, "HELLO_S", 0.2)
    monkeypatch.setattr(connection, "LEAST_S", 0.05)

    def last(asked: Asked) -> None:
        asked.handler.send_response(200)
        asked.handler.send_header("Content-Type", "text/event-stream")
        asked.handler.send_header("Connection", "close")
        asked.handler.end_headers()
        threading.Event().wait(30)

    began = time.monotonic()
    with stub({"/events": last}) as server, pytest.raises(ConnectionLost):
        first(begin(server), 1)
    assert time.monotonic() - began < 10
