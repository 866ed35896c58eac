"""What the client does when an answer fails: ask again what may be asked twice, and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from jobmgr.client import connection
from jobmgr.client.connection import Connection
from jobmgr.client.jobs import Client
from jobmgr.errors import ClientError, ConnectionLost, NoServer, Refusal

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = (
    b"HTTP/1.1 503 Busy\r\nContent-Type: application/problem+json\r\nRetry-After: 0\r\nContent-Length: 21\r\n\r\n"
    b'{"error": "too busy"}'
)
HANG_UP = b""


@dataclass
class Script:
    """A server that says these things, one a connection, and keeps what it was asked."""

    says: list[bytes]
    asked: list[bytes] = field(default_factory=list)
    client: Client = field(init=False)


@contextmanager
def server(*says: bytes) -> Iterator[Script]:
    """Serve these answers; each connection is closed after its answer."""
    script = Script(list(says))
    listening = socket.create_server(("127.0.0.1", 0))
    script.client = Client(Connection(f"http://127.0.0.1:{listening.getsockname()[1]}"))

    def serve() -> None:
        with listening:  # Who comes after the last answer finds nobody.
            for said in says:
                peer, _ = listening.accept()
                with peer:
                    asked = peer.recv(65536)
                    if not asked:
                        return
                    script.asked.append(asked)
                    peer.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield script
    finally:
        script.client.connection.close()
        with suppress(
            OSError
        ):  # It may wait for someone who does not come any more; somebody who says nothing ends that.
            socket.create_connection(listening.getsockname()).close()
        thread.join(10)


def key_of(request: bytes) -> bytes:
    """The Idempotency-Key that was sent."""
    [line] = [line for line in request.split(b"\r\n") if line.startswith(b"Idempotency-Key")]
    return line


def test_a_submission_is_sent_again_with_the_same_key_when_its_answer_is_lost() -> None:
    """So it cannot be submitted twice."""
    with server(HANG_UP, OK) as script:
        assert script.client.submit({"script": "x"}, "key-1").status == 200
        assert [key_of(asked) for asked in script.asked] == [b"Idempotency-Key: key-1"] * 2


def test_what_may_not_be_done_twice_is_not_sent_again() -> None:
    """A restart whose answer was lost may have been done."""
    with server(HANG_UP, OK) as script:
        with pytest.raises(ConnectionLost):
            script.client.restart("job-1")
        assert len(script.asked) == 1


def test_a_busy_server_is_asked_again() -> None:
    """As it asks to be."""
    with server(BUSY, BUSY, OK) as script:
        assert script.client.stats().status == 200


def test_a_server_that_stays_busy_is_believed() -> None:
    """Its own words are the error."""
    with server(*[BUSY] * connection.BUSY_TRIES) as script:
        with pytest.raises(Refusal, match="too busy") as refusal:
            script.client.stats()
        assert refusal.value.status == 503


def test_a_restart_is_not_tried_again_when_the_server_is_busy() -> None:
    """It was refused, and the person decides."""
    with server(BUSY, OK) as script:
        with pytest.raises(Refusal):
            script.client.restart("job-1")
        assert len(script.asked) == 1


def test_a_lost_server_is_not_mistaken_for_one_that_never_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent may have been done."""
    monkeypatch.setattr(connection, "LOST_PATIENCE_S", 0.2)
    with server(HANG_UP) as script, pytest.raises(ConnectionLost):
        script.client.submit({}, "key-1")


def test_where_nobody_listens_that_is_said_at_once() -> None:
    """With the address and the remedy."""
    with pytest.raises(NoServer, match=r"http://127\.0\.0\.1:1\. Start one"):
        Client(Connection("http://127.0.0.1:1")).stats()


def test_with_patience_a_server_that_comes_is_waited_for() -> None:
    """And that it is away is told once."""
    told: list[int] = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = probe.getsockname()
    asking = Connection(f"http://127.0.0.1:{place[1]}", on_away=lambda: told.append(1))
    asking.patience_s = 30

    def come() -> None:
        with socket.create_server(place) as listening:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(OK)

    timer = threading.Timer(1.0, come)
    timer.start()
    try:
        assert asking.ask("GET", "/stats").status == 200
    finally:
        timer.join()
        asking.close()
    assert told == [1]


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_not_jobmgr_is_said(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else listens at that address."""
    monkeypatch.setattr(connection, "LOST_PATIENCE_S", 0.0)
    with server(said) as script, pytest.raises(ClientError):
        script.client.stats().json()


def test_an_answer_that_is_cut_off_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it must not look like all of it."""
    monkeypatch.setattr(connection, "LOST_PATIENCE_S", 0.0)
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}") as script, pytest.raises(ConnectionLost):
        script.client.stats()


def test_beyond_its_instant_nothing_is_waited_for() -> None:
    """Neither for a busy server nor for one that went away."""
    patient = BUSY.replace(b"Retry-After: 0", b"Retry-After: 5")
    with server(patient, OK) as script:
        script.client.connection.until = time.monotonic() + 2
        with pytest.raises(Refusal):
            script.client.stats()
        assert len(script.asked) == 1
    asking = Connection("http://127.0.0.1:1")
    asking.patience_s, asking.until = 300, time.monotonic()
    with pytest.raises(NoServer):
        asking.ask("GET", "/stats")


def test_a_kept_connection_that_was_quiet_is_not_waited_on_for_ever() -> None:
    """Following an output sets no time for its next byte; what is asked after it has one again."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def answer_once() -> None:
        peer, _ = listening.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(OK)
            over.wait(30)

    thread = threading.Thread(target=answer_once)
    thread.start()
    asking = Connection(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_s=0.2)
    asking.lost_patience_s = 0
    try:
        with asking.stream("GET", "/output", quiet=True) as answer:
            answer.read()
        with pytest.raises(ConnectionLost):
            asking.ask("GET", "/stats")
        assert not over.is_set()
    finally:
        over.set()
        thread.join()
        asking.close()
        listening.close()
