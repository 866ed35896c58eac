"""The sender over every store: what is tried when, how much at once, what of an answer counts, and what is never called."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from jobmgr.addresses import Allowed
from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.store.base import Store
from jobmgr.store.webhooks import Delivery, DeliveryStatus
from jobmgr.webhooks import posting, sender
from jobmgr.webhooks.retrying import Retrying
from jobmgr.webhooks.sender import AT_ONCE, PER_RECEIVER, Sender
from tests.contract.test_store_webhooks import SECRET, created, enqueued, the_delivery
from tests.faults.receiver import Got, Receiver, receiving
from tests.waiting import eventually

KEY = "whsec_S2V5S2V5S2V5S2V5S2V5S2V5S2V5S2V5"
HERE = Allowed.of(["127.0.0.1", "here.example"])


async def the_key() -> str:
    """That of the server."""
    return KEY


def a_sender(store: Store, allowed: Allowed = HERE, delay_s: float = 0.01) -> Sender:
    """One that tries again soon."""
    return Sender(store, the_key, allowed, Retrying(delay_s))


@pytest.fixture
async def at_work(store: Store) -> AsyncIterator[Sender]:
    """A sender at work."""
    at_work = a_sender(store)
    at_work.start()
    yield at_work
    await at_work.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that takes all."""
    with receiving() as receiver:
        yield receiver


async def ended(store: Store, delivery: int = 0) -> Delivery:
    """A delivery, once it has ended."""

    async def found() -> Delivery | None:
        row = await the_delivery(store, delivery)
        return row if row.status is not DeliveryStatus.PENDING else None

    row: Delivery = await eventually(found)
    return row


async def tried(store: Store, delivery: int = 0) -> Delivery:
    """A delivery, once it has been tried."""

    async def found() -> Delivery | None:
        row = await the_delivery(store, delivery)
        return row if row.tries else None

    row: Delivery = await eventually(found)
    return row


async def test_a_message_is_a_signed_post_and_nothing_more(store: Store, at_work: Sender, receiver: Receiver) -> None:
    """JSON, with who sends it; no cookies, no proxy's headers."""
    await enqueued(store, (await created(store, url=receiver.url("/a?b=c")), 0))
    at_work.wake()
    row = await ended(store)
    assert (row.status, row.code, row.tries, row.error) == (DeliveryStatus.DELIVERED, 204, 1, None)
    [got] = receiver.got
    got.verify(SECRET)
    assert (got.path, got.body.decode(), got.id) == ("/a?b=c", row.body, row.message)
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"].startswith("jobmgr/")
    assert not {"Cookie", "Authorization", "Via"} & got.headers.keys()


async def test_no_proxy_and_no_cookie_of_anyone_is_used(
    store: Store, at_work: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the server is not that of its webhooks."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with receiving(Set_Cookie="a=b") as receiver:
        await enqueued(store, *[(await created(store, url=receiver.url()), 0)] * 2)
        at_work.wake()
        await ended(store, 1)
        assert all("Cookie" not in got.headers for got in receiver.got) and len(receiver.taken) == 2


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (201, True), (204, True), (299, True), (400, False), (404, False), (500, False)]
)
async def test_any_2xx_is_taken_and_all_else_is_tried_again(
    store: Store, at_work: Sender, status: int, taken: bool
) -> None:
    """With the status in the list."""
    with receiving(lambda *_: status) as receiver:
        await enqueued(store, (await created(store, url=receiver.url()), 0))
        at_work.wake()
        row = await tried(store)
        assert (row.status is DeliveryStatus.DELIVERED) == taken
        assert row.code == status and bool(row.error) != taken


async def test_a_receiver_may_ask_for_time(store: Store, at_work: Sender) -> None:
    """By `Retry-After`."""
    with receiving(lambda *_: 429, Retry_After="600") as receiver:
        await enqueued(store, (await created(store, url=receiver.url()), 0))
        at_work.wake()
        row = await tried(store)
        assert row.due_at is not None and row.due_at > now_us() + 590 * MICROSECONDS


async def test_a_connection_that_is_refused_or_cut_is_a_try_that_failed(store: Store, at_work: Sender) -> None:
    """With a sentence that quotes nothing of the address."""
    with receiving(lambda *_: 0) as cutting:
        await enqueued(store, (await created(store, url=cutting.url("/secret")), 0))
        await enqueued(store, (await created(store, url="http://127.0.0.1:9/secret"), 0))
        at_work.wake()
        for delivery in (0, 1):
            row = await tried(store, delivery)
            assert row.code is None and row.error is not None
            assert row.error.startswith("No ") and "secret" not in row.error


async def test_a_receiver_that_says_nothing_is_given_up_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not waited for."""
    monkeypatch.setattr(posting, "WHOLE_S", 0.2)
    go = threading.Event()

    def hangs(_: Receiver, __: Got) -> int:
        go.wait(30)
        return 204

    with receiving(hangs) as receiver:
        at_work = a_sender(store)
        at_work.start()
        await enqueued(store, (await created(store, url=receiver.url()), 0))
        at_work.wake()
        row = await tried(store)
        go.set()
        await at_work.stop()
        assert "within 0.2 seconds" in str(row.error)


async def test_of_a_long_or_slow_answer_the_status_counts(
    store: Store, at_work: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its body is not read to an end that may never come."""
    monkeypatch.setattr(posting, "READ_S", 0.05)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await enqueued(store, (await created(store, url=f"http://127.0.0.1:{port}/"), 0))
        at_work.wake()
        assert (await ended(store)).status is DeliveryStatus.DELIVERED


async def test_at_most_four_at_once_go_to_one_receiver_and_so_many_in_all(store: Store) -> None:
    """However much is due."""
    go = threading.Event()

    def hangs(_: Receiver, __: Got) -> int:
        go.wait(30)
        return 204

    at_work = a_sender(store)
    with receiving(hangs) as one, receiving() as other:
        try:
            hanging, quick = await created(store, url=one.url()), await created(store, url=other.url())
            await enqueued(store, *((hanging, job) for job in range(200)), *((quick, job) for job in range(100)))
            at_work.start()
            await eventually(lambda: len(other.taken) == 100)
            await eventually(lambda: len(at_work._tries) == PER_RECEIVER <= AT_ONCE)
            assert len(one.got) == PER_RECEIVER
        finally:
            go.set()
        await eventually(lambda: len(one.taken) == 200)
    await at_work.stop()


async def test_what_waits_for_its_time_is_tried_then(store: Store, at_work: Sender) -> None:
    """Without anybody who wakes it."""
    with receiving(lambda receiver, got: 500 if receiver.times[got.id] < 3 else 204) as receiver:
        await enqueued(store, (await created(store, url=receiver.url()), 0))
        at_work.wake()
        assert (await ended(store)).tries == 3


async def test_a_stop_lets_go_and_the_next_start_tries_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may be repeated."""
    monkeypatch.setattr(sender, "GRACE_S", 0.05)
    go = threading.Event()

    def hangs_first(receiver: Receiver, _: Got) -> int:
        if len(receiver.got) == 1:
            go.wait(30)
        return 204

    with receiving(hangs_first) as receiver:
        at_work = a_sender(store)
        await at_work.stop()
        at_work.start()
        at_work.start()
        await enqueued(store, (await created(store, url=receiver.url()), 0))
        at_work.wake()
        await eventually(lambda: receiver.got)
        await at_work.stop()
        await at_work.stop()
        assert (await the_delivery(store, 0)).tries == 0
        at_work.start()
        assert (await ended(store)).status is DeliveryStatus.DELIVERED
        go.set()
        await at_work.stop()
        assert len({got.id for got in receiver.got}) == 1


# --- what is never called


def means(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name mean these."""

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port)) for kind, address in zip(kinds, addresses, strict=True)
        ]

    monkeypatch.setattr("jobmgr.webhooks.resolver.socket.getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "address", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "0.0.0.0", "fe80::1"]
)
async def test_a_name_that_means_a_private_address_is_not_called(
    store: Store, at_work: Sender, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Whatever it meant when it was given."""
    means(monkeypatch, address)
    await enqueued(store, (await created(store, url="http://rebound.example/secret"), 0))
    at_work.wake()
    row = await tried(store)
    assert row.code is None and "Not called" in str(row.error) and "JOBMGR_WEBHOOK_HOSTS" in str(row.error)


async def test_of_several_addresses_only_those_that_may_be_called_are(
    store: Store, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """What is connected to is what was judged."""
    means(monkeypatch, "127.0.0.2", "127.0.0.1")
    at_work = a_sender(store, Allowed.of(["127.0.0.1"]))
    at_work.start()
    await enqueued(store, (await created(store, url=f"http://two.example:{receiver.port}/"), 0))
    at_work.wake()
    assert (await ended(store)).status is DeliveryStatus.DELIVERED
    await at_work.stop()


async def test_a_name_that_is_allowed_is_called_whatever_it_means(
    store: Store, at_work: Sender, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """A person said so."""
    means(monkeypatch, "127.0.0.1")
    await enqueued(store, (await created(store, url=f"http://here.example:{receiver.port}/"), 0))
    at_work.wake()
    assert (await ended(store)).status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.2",
        "2130706434",
        "0x7f000002",
        "127.2",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "10.0.0.1",
        "localhost.",
    ],
)
async def test_what_was_allowed_once_is_not_called_when_it_is_no_more(store: Store, at_work: Sender, host: str) -> None:
    """Each try asks again; literal addresses in every spelling."""
    await enqueued(store, (await created(store, url=f"http://{host}:1/"), 0))
    at_work.wake()
    row = await tried(store)
    assert row.code is None and "Not called" in str(row.error)


async def test_a_name_without_an_address_is_a_try_that_failed(
    store: Store, at_work: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have one tomorrow."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("jobmgr.webhooks.resolver.socket.getaddrinfo", unknown)
    await enqueued(store, (await created(store, url="http://nobody.example/secret"), 0))
    at_work.wake()
    row = await tried(store)
    assert row.code is None and "No connection" in str(row.error) and "secret" not in str(row.error)


async def test_a_name_server_that_hangs_holds_up_nobody_else(
    store: Store, at_work: Sender, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """Nor the end of the sender."""
    go = threading.Event()

    def hangs(*_: Any, **__: Any) -> Any:
        go.wait(30)
        return []

    monkeypatch.setattr("jobmgr.webhooks.resolver.socket.getaddrinfo", hangs)
    await enqueued(store, (await created(store, url="http://slow.example/"), 0))
    at_work.wake()
    await enqueued(store, (await created(store, url=receiver.url()), 0))
    at_work.wake()
    assert (await ended(store, 1)).status is DeliveryStatus.DELIVERED
    go.set()
