"""FAULTS 82: requests that lie about their size, never end, or hold more than anyone needs, sent to a whole server over bare sockets."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers and keepers", allow_module_level=True)

from tests.faults.hostile import JSON_HEAD, JSON_ROOM, MIB, Target
from tests.faults.servers import Site

CHUNKED = JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = b'{"script": "act"}'
ENDLESS = 100_000 * MIB
"""More than loopback carries in the second for which a refused client is still listened to: a fast machine has carried 2,000 MiB in it."""


def times(count: int, item: str, around: str = "[%s]") -> bytes:
    """So many of these, with commas between them; `#` in one stands for its number."""
    return (around % ",".join(item.replace("#", str(n)) for n in range(count))).encode()


def test_fault_82_an_oversized_body_is_refused(target: Target) -> None:
    """413, by its announcement and by what comes; the setting is named."""
    with target.unharmed():
        for body in (b" " * (16 * MIB + 1), b'"' + b"x" * (40 * MIB)):
            answer = target.post(body)
            assert answer.status == 413
            assert "JOBMGR_MAX_BODY_BYTES" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("lengths", "body"),
    [
        (b"Content-Length: 1", HELLO),
        (b"Content-Length: -5", HELLO),
        (b"Content-Length: +17", HELLO),
        (b"Content-Length: 0x11", HELLO),
        (b"Content-Length: 17, 17", HELLO),
        (b"Content-Length: 17\r\nContent-Length: 3", HELLO),
        (b"Content-Length: 17\r\nContent-Length: 17", HELLO),
        (b"Content-Length: 17\r\nTransfer-Encoding: chunked", b"11\r\n" + HELLO + b"\r\n0\r\n\r\n"),
        (b"Content-Length: " + b"9" * 30, HELLO),
        (b"Content-Length: \xd9\xa1\xd9\xa7", HELLO),
        (b"Content-Length:", HELLO),
    ],
    ids=lambda value: ascii(value[-30:]),
)
def test_fault_82_a_length_that_lies_is_refused(target: Target, lengths: bytes, body: bytes) -> None:
    """400; nothing of the body is taken for a submission or for another request."""
    with target.unharmed():
        assert target.send(JSON_HEAD + lengths + b"\r\n\r\n" + body).status == 400


def test_fault_82_a_body_shorter_than_announced_creates_nothing(target: Target) -> None:
    """Also where what came is a valid submission."""
    with target.unharmed(), target.connect() as connection:
        connection.sendall(JSON_HEAD + b"Content-Length: 500\r\n\r\n" + HELLO)
        connection.shutdown(1)
        assert connection.recv(100)[9:10] in (b"4", b"")


def test_fault_82_a_chunked_flood_without_end_is_cut_off(target: Target) -> None:
    """413 when it passes the limit; the rest is not read for longer than it takes to say so."""
    taken = 0

    def flood() -> Iterator[bytes]:
        nonlocal taken
        yield CHUNKED
        while taken < ENDLESS:
            taken += MIB
            yield b"100000\r\n" + b" " * MIB + b"\r\n"

    with target.unharmed():
        assert target.send(flood()).status in (
            413,
            0,
        )  # Who goes on sending may find the connection reset before it can read.
        assert taken < ENDLESS


@pytest.mark.parametrize(
    "chunks",
    [
        b"-1\r\n{}\r\n0\r\n\r\n",
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}XX0\r\n\r\n",
        b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_fault_82_chunks_that_are_none_are_refused(target: Target, chunks: bytes) -> None:
    """400."""
    with target.unharmed():
        assert target.send(CHUNKED + chunks).status == 400


def test_fault_82_a_million_chunks_of_one_byte_are_one_body(target: Target) -> None:
    """They cost no more than their bytes; it is no JSON."""
    with target.unharmed():
        assert target.send([CHUNKED, b"1\r\n \r\n" * 1_000_000, b"0\r\n\r\n"]).status == 400


@pytest.mark.parametrize(
    "coding", [b"Content-Encoding: gzip", b"Content-Encoding: deflate, gzip", b"Content-Encoding: br"]
)
def test_fault_82_a_gzip_bomb_is_never_opened(target: Target, coding: bytes) -> None:
    """415: a gigabyte in one megabyte stays one megabyte."""
    bomb = gzip.compress(b" " * (1024 * MIB), compresslevel=1) if coding.endswith(b": gzip") else b"x" * MIB
    with target.unharmed():
        assert target.post(bomb, coding).status == 415


def test_fault_82_a_gzip_bomb_in_the_transfer_coding_is_never_opened(target: Target) -> None:
    """415 as well, and what is sent plain below such a name is not taken either."""
    for sent in (gzip.compress(HELLO), HELLO):
        with target.unharmed():
            head = JSON_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
            assert target.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent)).status == 415


@pytest.mark.parametrize(
    "body",
    [
        times(1_000_000, '"f#":1', "{%s}"),
        times(1_000_000, '"f#":"x"', '{"env":{%s}}'),
        times(1_000_000, '"f#":1', '{"retry":{%s}}'),
        times(1_000_000, "1"),
        times(1_000_000, "1", '{"arguments":[%s]}'),
        times(1_000_000, '"a"', '{"arguments":[%s]}'),
        times(1_000_000, "1", '{"successCodes":["x",%s]}'),
        times(1_000_000, "1", '{"retry":{"on":[%s]}}'),
        times(1_000_000, "[1]", '{"tasks":[%s]}'),
        times(1_000_000, "1", '{"tasks":[%s]}'),
        times(1_000_000, "{}"),
        times(1_500_000, '{"a":1}'),
        times(5_000_000, "[]"),
        times(100_000, '{"wrong#":1}'),
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_fault_82_a_million_of_anything_is_refused_in_bounded_memory(target: Target, body: bytes) -> None:
    """400 with a bounded answer: what is wrong a million times is not written down a million times."""
    with target.unharmed(JSON_ROOM):
        answer = target.post(body)
        assert answer.status == 400
        assert len(answer.body) < 200_000


def test_fault_82_many_large_bodies_at_once_take_no_more_memory_than_a_few(target: Target) -> None:
    """Each of them alone is legal to send; together they are refused with 503 before they fill the machine."""
    sockets = [target.connect() for _ in range(24)]
    part = JSON_HEAD + b"Content-Length: %d\r\n\r\n" % (16 * MIB) + b" " * (12 * MIB)
    refused = 0
    try:
        with target.unharmed(160 * MIB):
            for connection in sockets:
                connection.settimeout(30)
                try:
                    connection.sendall(part)
                except ConnectionError:
                    refused += 1
            for connection in sockets:
                connection.settimeout(0.2)
                try:
                    refused += b" 503 " in connection.recv(100)
                except (ConnectionError, TimeoutError):
                    continue
            assert refused >= 10
            assert target.post(b'{"script": "no such"}').status == 400  # A small one finds room.
    finally:
        for connection in sockets:
            connection.close()
    with target.unharmed():
        assert target.post(b" " * (12 * MIB)).status == 400


@pytest.mark.parametrize(
    "head",
    [
        [b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n", b"".join(b"X%d: y\r\n" % n for n in range(100_000)), b"\r\n"],
        [b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX: ", b"a" * 10 * MIB, b"\r\n\r\n"],
        [b"GET /jobs?", b"a" * 10 * MIB, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"GET /", b"a/" * 5 * MIB, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"A" * 10 * MIB],
        [b"\r\n" * 5 * MIB, b"x\r\n\r\n"],
    ],
    ids=["headers", "header", "query", "path", "method", "nothing"],
)
def test_fault_82_a_head_larger_than_any_is_refused(target: Target, head: Iterable[bytes]) -> None:
    """400, or the connection is reset while it still sends."""
    with target.unharmed():
        assert target.send(head).status in (400, 0)


@pytest.mark.parametrize(
    "query", [b"&".join(b"a%d" % n for n in range(1200)), b"%F0" * 2600, b"limit=" + b"9" * 8000, b"&" * 8000]
)
def test_fault_82_an_answer_does_not_grow_with_the_query(target: Target, query: bytes) -> None:
    """As long as a request line may be: refused, or nothing in it; the answer is short."""
    with target.unharmed():
        answer = target.get(b"/jobs/job-0?" + query)
        assert answer.status in (200, 400)
        assert len(answer.body) < 100_000


def test_fault_82_a_body_where_none_belongs_is_not_kept(target: Target) -> None:
    """Reading routes and unknown paths answer; nothing of half a gigabyte stays."""
    head = b"%b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 536870912\r\n\r\n"
    for line in (b"GET /jobs", b"POST /nowhere", b"POST /jobs/job-0/stop"):
        with target.unharmed():
            assert target.send([head % line, *[b" " * MIB] * 512]).status in (200, 404, 413, 0)


def test_fault_82_a_body_that_trickles_is_given_up(site: Site) -> None:
    """408 after the time that a body may take as a whole, however steadily it comes; also inside a chunk's head that never ends."""
    target = Target(site, dies_at="no patience with slow bodies")
    for head, drop in ((JSON_HEAD + b"Content-Length: 100000\r\n\r\n", b" "), (CHUNKED + b"1;", b"x")):
        with target.unharmed(), target.connect() as connection:
            connection.sendall(head)
            connection.settimeout(0.02)
            answer = b""
            while not answer:
                try:
                    answer = connection.recv(1000)
                except TimeoutError:
                    connection.sendall(drop)
            assert answer.startswith(b"HTTP/1.1 408 ")
