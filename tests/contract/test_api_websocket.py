"""The feed over a plain WebSocket, at `/` and `/ws`: what is told, what may be said, and how it closes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from jobmgr.api.sockets import MAX_COMPLAINTS, MAX_MESSAGE_BYTES
from tests.contract.live import PATIENCE_S, Live, heard, live_server
from tests.waiting import eventually


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A server in which nothing has happened."""
    async with live_server(tmp_path) as live:
        yield live


async def closed(socket: ClientWebSocketResponse) -> int | None:
    """The code with which it is closed, whatever is told before."""
    while True:
        message = await socket.receive(timeout=PATIENCE_S)
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            return socket.close_code


async def numbers(socket: ClientWebSocketResponse, count: int) -> list[int]:
    """The numbers of so many messages."""
    return [(await heard(socket))["seq"] for _ in range(count)]


# --- where it is


@pytest.mark.parametrize("path", ["/", "/ws"])
async def test_a_socket_says_hello_and_then_what_happens(live: Live, path: str) -> None:
    """Each event one message with number, time and data."""
    async with await live.socket(path=path) as socket:
        assert await heard(socket) == {"event": "hello", "seq": 0, "data": {}}
        await live.happen(name="encode")
        event = await heard(socket)
    assert (event["event"], event["seq"], event["at"]) == ("job-update", 1, "2025-11-22T08:00:00.000Z")
    assert event["data"]["jobName"] == "encode"


async def test_the_page_still_comes_for_who_does_not_upgrade(live: Live) -> None:
    """At the root."""
    async with live.served.client.get("/") as answer:
        assert answer.status == 200
        assert await answer.text()


async def test_without_an_upgrade_there_is_nothing_to_get_at_ws(live: Live) -> None:
    """426, with what to upgrade to."""
    async with live.served.client.get("/ws") as answer:
        assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
        assert "/events" in (await answer.json(content_type=None))["error"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("after=-1", "?after: give a whole number"),
        ("after=NaN", "?after: give a whole number"),
        (f"after={2**53 + 1}", "?after: give a whole number"),
        ("after=1&after=1", "?after: give it once"),
        ("statsu=lost", "?statsu: unknown parameter; did you mean status?"),
        ("clientId=", "?clientId: give a name"),
        ("clientId=a%20b", "?clientId: give a name"),
        (f"clientId={'a' * 201}", "?clientId: give a name"),
    ],
)
async def test_a_wrong_parameter_is_refused_before_the_upgrade(live: Live, query: str, sentence: str) -> None:
    """400 that names it."""
    with pytest.raises(WSServerHandshakeError) as refused:
        await live.socket(f"?{query}")
    assert refused.value.status == 400
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    _, problem = await live.get(f"/ws?{query}", **upgrade, **{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert sentence in problem["error"]


# --- from where on


async def test_a_socket_goes_on_after_a_number(live: Live) -> None:
    """With what came since, and then with what comes."""
    await live.happen(300)
    async with await live.socket("?after=2") as socket:
        assert await heard(socket) == {"event": "hello", "seq": 2, "data": {}}
        await live.happen(300)
        assert await numbers(socket, 598) == list(range(3, 601))


@pytest.mark.parametrize("after", [0, 3, 99, 2**53])
async def test_case_64_a_socket_is_reset_where_it_cannot_go_on(live: Live, after: int) -> None:
    """Too old, or ahead of all there is: reset, then hello, then what comes."""
    await live.happen(10)
    await live.prune(5)
    async with await live.socket(f"?after={after}") as socket:
        assert [await heard(socket) for _ in range(2)] == [
            {"event": kind, "seq": 10, "data": {}} for kind in ("reset", "hello")
        ]
        await live.happen()
        assert await numbers(socket, 1) == [11]


async def test_large_events_come_whole(live: Live) -> None:
    """Many times what a socket's buffer takes."""
    label = "x" * 4000
    async with await live.socket() as socket:
        await heard(socket)
        await live.happen(400, labels={f"label-{n}": label for n in range(8)})
        for seq in range(1, 401):
            event = await heard(socket)
            assert (event["seq"], event["data"]["labels"]["label-7"]) == (seq, label)


# --- what may be said


async def test_another_filter_holds_from_its_answer_on(live: Live) -> None:
    """What was told before is not taken back."""
    async with await live.socket() as socket:
        await heard(socket)
        await live.happen()
        assert await numbers(socket, 1) == [1]
        await socket.send_json({"subscribe": {"name": ["encode"]}})
        assert await heard(socket) == {"event": "subscribed", "seq": 1, "data": {"subscribe": {"name": ["encode"]}}}
        await live.happen()
        await live.happen(name="encode")
        assert await numbers(socket, 1) == [3]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "JSON"),
        ("hello", "JSON"),
        ("[]", 'send {"subscribe": {…}} or {"ack": 17}'),
        ("null", 'send {"subscribe": {…}} or {"ack": 17}'),
        ('{"subscribe": {}, "ack": 1}', 'send {"subscribe": {…}} or {"ack": 17}'),
        ('{"unsubscribe": {}}', 'send {"subscribe": {…}} or {"ack": 17}'),
        ('{"subscribe": "all"}', "/subscribe: give an object"),
        ('{"subscribe": {"name": 5}}', "/subscribe/name: give a text"),
        ('{"subscribe": {"statu": "lost"}}', "/subscribe/statu: unknown parameter; did you mean status?"),
        ('{"subscribe": {"status": "runing"}}', "/subscribe/status: "),
        ('{"subscribe": {"after": "1"}}', "/subscribe/after: unknown"),
        ('{"subscribe": {}, "subscribe": {}}', "subscribe"),
        ('{"ack": 1}', "/ack: give a number that was sent: 0 to 0"),
        ('{"ack": -1}', "/ack: give a number that was sent"),
        ('{"ack": true}', 'send {"subscribe": {…}} or {"ack": 17}'),
        ('{"ack": 1.5}', 'send {"subscribe": {…}} or {"ack": 17}'),
        ('{"ack": "1"}', 'send {"subscribe": {…}} or {"ack": 17}'),
        ('{"ack": NaN}', "NaN"),
        ('{"ack": 1' + "0" * 900 + "}", "/ack: give a number that was sent"),
        ("[" * 5000, "deep"),
        ('{"subscribe": ' * 3000, ""),
    ],
)
async def test_what_is_not_understood_is_said(live: Live, text: str, sentence: str) -> None:
    """In one `error`, which names the place; the filter and the socket stay."""
    async with await live.socket("?name=my-task") as socket:
        await heard(socket)
        await socket.send_str(text)
        error = await heard(socket)
        assert error["event"] == "error" and sentence in error["data"]["error"], error
        await live.happen()
        assert await numbers(socket, 1) == [1]


async def test_bytes_are_not_understood(live: Live) -> None:
    """Though they would be JSON."""
    async with await live.socket() as socket:
        await heard(socket)
        await socket.send_bytes(b'{"subscribe": {}}')
        assert (await heard(socket))["data"] == {"error": "send text, not bytes"}


async def test_who_goes_on_saying_nothing_is_closed(live: Live) -> None:
    """1008, after so many errors."""
    async with await live.socket() as socket:
        await heard(socket)
        for _ in range(MAX_COMPLAINTS):
            await socket.send_str("?")
        assert {(await heard(socket))["event"] for _ in range(MAX_COMPLAINTS)} == {"error"}
        assert await closed(socket) == 1008


async def test_a_message_that_is_too_large_closes_the_socket(live: Live) -> None:
    """1009; one that is not, does not."""
    async with await live.socket() as socket:
        await heard(socket)
        await socket.send_str("x" * (MAX_MESSAGE_BYTES - 1))
        assert (await heard(socket))["event"] == "error"
        await socket.send_str("x" * (MAX_MESSAGE_BYTES + 1))
        assert await closed(socket) == 1009


# --- those with a name


async def test_a_name_goes_on_after_what_it_acknowledged(live: Live) -> None:
    """And not after what it was only told."""
    async with await live.socket("?clientId=board") as socket:
        await heard(socket)
        await live.happen(3)
        await numbers(socket, 3)
        await socket.send_json({"ack": 2})
        await socket.send_json({"subscribe": {}})
        await heard(socket)
    async with await live.socket("?clientId=board") as socket:
        assert await numbers(socket, 2) == [2, 3]


async def test_a_number_that_was_never_sent_cannot_be_acknowledged(live: Live) -> None:
    """It would lose what comes up to there."""
    async with await live.socket("?clientId=board") as socket:
        await heard(socket)
        await socket.send_json({"ack": 5})
        assert (await heard(socket))["event"] == "error"
    await live.happen(5)
    async with await live.socket("?clientId=board") as socket:
        assert await numbers(socket, 2) == [0, 1]


async def test_the_address_wins_over_what_was_acknowledged(live: Live) -> None:
    """And is the place of the name from then on."""
    await live.happen(5)
    for query in ("?clientId=board&after=3", "?clientId=board"):
        async with await live.socket(query) as socket:
            assert await numbers(socket, 2) == [3, 4]


async def test_a_newer_connection_of_the_name_closes_the_older(live: Live) -> None:
    """4002; the newer one is told."""
    async with await live.socket("?clientId=board") as older:
        await heard(older)
        async with await live.socket("?clientId=board") as newer:
            await heard(newer)
            assert await closed(older) == 4002
            await live.happen()
            assert await numbers(newer, 1) == [1]


async def test_of_many_connections_of_a_name_at_once_one_remains(live: Live) -> None:
    """Be they replaced before or after their handshake; none of them stays in the server."""
    asked = [live.socket("?clientId=board") for _ in range(20)]
    answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    sockets = [answer for answer in answers if isinstance(answer, ClientWebSocketResponse)]
    codes = [asyncio.create_task(closed(socket)) for socket in sockets]
    feed = live.served.server._parts.feed
    await eventually(lambda: sum(not code.done() for code in codes) == 1 and feed.watchers == 1)
    assert all(code.result() in (4002, 1006) for code in codes if code.done())
    for socket in sockets:
        await socket.close()
    await asyncio.gather(*codes, return_exceptions=True)
    await eventually(lambda: feed.watchers == 0)


async def test_a_name_that_was_pruned_past_is_reset_once(live: Live) -> None:
    """The next time it goes on from there."""
    async with await live.socket("?clientId=board") as socket:
        await heard(socket)
    await live.happen(10)
    await live.prune(5)
    async with await live.socket("?clientId=board") as socket:
        assert (await heard(socket))["event"] == "reset"
    async with await live.socket("?clientId=board") as socket:
        assert await heard(socket) == {"event": "hello", "seq": 10, "data": {}}


# --- the end


async def test_every_socket_is_told_that_the_server_leaves(live: Live) -> None:
    """1001."""
    sockets = [await live.socket() for _ in range(20)]
    codes = asyncio.gather(*(closed(socket) for socket in sockets))
    await live.served.server.stop()
    assert await codes == [1001] * 20


async def test_sockets_that_come_and_go_leave_nothing_behind(live: Live) -> None:
    """No watcher and no task, however they go: in order, or cut, having asked for much or for nothing."""
    feed, sockets = live.served.server._parts.feed, live.served.server._parts.sockets
    await live.happen(1000)
    before = len(asyncio.all_tasks())
    for turn in range(40):
        some = await asyncio.gather(*(live.socket("?after=0" if turn % 2 else "") for _ in range(10)))
        for socket in some[:5]:
            socket._response.close()  # Cut; the others close in order.
        await asyncio.gather(*(socket.close() for socket in some))
    await eventually(lambda: feed.watchers == 0 and not sockets._open)
    await eventually(lambda: len(asyncio.all_tasks()) <= before + 10)
