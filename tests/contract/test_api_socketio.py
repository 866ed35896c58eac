"""The feed over Socket.IO: what a client is told, what it may say, and what it is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from structlog.testing import capture_logs

from jobmgr.api import socketio_engine, socketio_watcher
from jobmgr.api.socketio import SocketIo
from jobmgr.job import Change
from jobmgr.store.base import Restart, Store
from tests.contract.served import Served, serving
from tests.contract.socketio_client import Bare, listening
from tests.contract.stores import AT, claimed, ended, running
from tests.waiting import eventually

TRANSPORTS = [("websocket",), ("polling",), ("polling", "websocket")]
FOREIGN = "https://board.example.org"


@pytest.fixture
async def served(tmp_path: Path, store: Store) -> AsyncIterator[Served]:
    """A server over an empty store, one foreign origin allowed; nothing that a client does leaves an error in its log."""
    with capture_logs() as logs:
        async with serving(tmp_path, store=store, JOBMGR_ALLOWED_ORIGINS=FOREIGN) as served:
            yield served
    assert [line for line in logs if line["log_level"] in {"error", "critical", "warning"}] == []


def home(served: Served) -> SocketIo:
    """What serves Socket.IO."""
    return served.server._socketio


async def one_job(store: Store, **fields: Any) -> int:
    """A job that ran; its id."""
    run = await running(store, **fields)
    await ended(store, run)
    return run.job


async def settled(served: Served) -> None:
    """Until nothing of any client is left."""
    engine, protocol = home(served).engine, home(served)._protocol
    await eventually(lambda: not engine.sockets and not home(served)._connected and not protocol.environ)
    await eventually(lambda: not protocol.manager.rooms and not protocol.manager.pending_connect)
    assert not protocol.manager.callbacks


# --- what it is told


@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_a_client_gets_every_event_by_name_in_order(
    served: Served, store: Store, transports: tuple[str, ...]
) -> None:
    """First `hello`, then the events of the feed, each end also as a result, right behind the update of the same number."""
    async with listening(served.server.address, transports=transports) as ear:
        await ear.wait_for("hello")
        await one_job(store)
        await ear.wait_for("update-on-jobs")
        assert [(name, data["seq"]) for name, data in ear.heard] == [
            ("hello", 0),
            ("job-update", 1),
            ("task-update", 2),
            ("job-update", 3),
            ("task-update", 4),
            ("job-update", 5),
            ("update-on-jobs", 5),
        ]
    await settled(served)


async def test_a_result_is_what_known_clients_expect(served: Served, store: Store) -> None:
    """`isJobResolved` and `messageId`, besides what is new."""
    async with listening(served.server.address) as ear:
        await ear.wait_for("hello")
        await one_job(store)
        assert await ear.wait_for("update-on-jobs") == [
            {
                "isJobResolved": True,
                "messageId": "job-0",
                "status": "completed",
                "seq": 5,
                "at": "2025-11-22T08:00:00.005Z",
            }
        ]


async def test_after_begins_behind_that_number(served: Served, store: Store) -> None:
    """A client without a name that remembers what it had misses nothing."""
    await one_job(store)
    async with listening(served.server.address, {"after": 3}) as ear:
        await ear.wait_for("update-on-jobs")
        assert [(name, data["seq"]) for name, data in ear.heard] == [
            ("hello", 3),
            ("task-update", 4),
            ("job-update", 5),
            ("update-on-jobs", 5),
        ]


async def test_without_after_it_begins_with_what_comes(served: Served, store: Store) -> None:
    """What was before is not told."""
    await one_job(store)
    async with listening(served.server.address) as ear:
        assert await ear.wait_for("hello") == [{"seq": 5}]


async def test_a_number_that_never_was_is_a_reset(served: Served, store: Store) -> None:
    """Of another database, perhaps: the client is told to fetch all again, and goes on at the newest."""
    await one_job(store)
    async with listening(served.server.address, {"after": 1000}) as ear:
        await ear.wait_for("hello")
        assert ear.heard == [("reset", {"seq": 5}), ("hello", {"seq": 5})]


async def test_auth_chooses_events(served: Served, store: Store) -> None:
    """The words of `GET /events`."""
    auth = {"after": 0, "name": ["that"], "event": "update-on-jobs"}
    await one_job(store, name="this")
    await one_job(store, name="that")
    async with listening(served.server.address, auth) as ear:
        await ear.wait_for("update-on-jobs")
        assert [name for name, _ in ear.heard] == ["hello", "update-on-jobs"]
        assert ear.results == [("job-1", 10)]


async def test_subscribe_replaces_the_filter(served: Served, store: Store) -> None:
    """The answer and the event say from where on."""
    async with listening(served.server.address) as ear:
        await one_job(store)
        await ear.wait_for("update-on-jobs")
        answer = await ear.client.call("subscribe", {"status": "failed"})
        assert answer == {"seq": 5, "subscribe": {"status": "failed"}}
        run = await running(store)
        await ended(store, run, Change.CRASH)
        await ear.wait_for("update-on-jobs", 2)
        names = [name for name, _ in ear.heard]
        assert names[names.index("subscribed") :] == ["subscribed", "task-update", "job-update", "update-on-jobs"]
        assert ear.of("subscribed") == [answer]


# --- who it is


@pytest.mark.parametrize(
    ("auth", "about"),
    [
        ("me", "/auth: give an object"),
        ([1], "/auth: give an object"),
        ({"client": "me"}, "/auth/client: unknown parameter; did you mean clientId?"),
        ({"clientId": ""}, "/auth/clientId: give a name"),
        ({"clientId": "x" * 201}, "/auth/clientId: give a name"),
        ({"clientId": "a\nb"}, "/auth/clientId: give a name"),
        ({"clientId": 7}, "/auth/clientId: give a text"),
        ({"after": -1}, "/auth/after: give a whole number"),
        ({"after": "1"}, "/auth/after: give the number"),
        ({"after": 1.5}, "/auth/after: give the number"),
        ({"after": True}, "/auth/after: give the number"),
        ({"after": None}, "/auth/after: give the number"),
        ({"after": 2**60}, "/auth/after: give a whole number"),
        ({"event": "job-updates"}, "/auth/event: give one of"),
        ({"job": "7"}, "/auth/job: give the id of a job"),
        ({"status": 1}, "/auth/status: give a text"),
    ],
)
async def test_a_wrong_auth_is_refused_with_a_sentence(served: Served, auth: Any, about: str) -> None:
    """The client gets `connect_error`, naming the field and the remedy; nothing is kept of it."""
    client = socketio.AsyncClient(reconnection=False)
    said: list[Any] = []
    client.on("connect_error", said.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(served.server.address, auth=auth, transports=["websocket"])
    assert said[0]["message"].startswith(about)
    await settled(served)


async def test_a_named_client_gets_what_it_did_not_acknowledge(served: Served, store: Store) -> None:
    """It comes again and begins behind what it has for certain; a result that it had and acknowledged does not come again."""
    async with listening(served.server.address, {"clientId": "me"}) as ear:
        await ear.wait_for("hello")
        await one_job(store)
        await ear.wait_for("update-on-jobs")
        await eventually(lambda: place(served, "me") == 5)
    await one_job(store)
    async with listening(served.server.address, {"clientId": "me"}) as ear:
        await ear.wait_for("update-on-jobs")
        assert (ear.of("hello"), ear.results) == ([{"seq": 5}], [("job-1", 10)])


def place(served: Served, name: str) -> int:
    """What a client that is connected has acknowledged."""
    return served.server._parts.watchers._connected[name].seq


async def test_a_newer_connection_takes_the_name(served: Served, store: Store) -> None:
    """The older is told why, and does not come again by itself."""
    async with listening(served.server.address, {"clientId": "me"}) as older:
        await older.wait_for("hello")
        async with listening(served.server.address, {"clientId": "me"}) as newer:
            await eventually(lambda: older.gone)
            assert older.of("error") == [{"error": "a newer connection has this clientId"}]
            await one_job(store)
            await newer.wait_for("update-on-jobs")
            assert older.results == []
    await settled(served)


# --- acknowledgements


def hurry(served: Served) -> None:
    """Repeat at once."""
    home(served)._pause = lambda tries: 0.001


async def open_results(served: Served) -> int:
    """How many the only client has not acknowledged."""
    [watcher] = home(served)._connected.values()
    return watcher._results.waiting


async def test_what_is_never_acknowledged_comes_ten_times(served: Served, store: Store) -> None:
    """Then no more on this connection; the events besides come once."""
    hurry(served)
    async with listening(served.server.address, silent=True) as ear:
        await ear.wait_for("hello")
        await one_job(store)
        await ear.wait_for("update-on-jobs", 10)
        await one_job(store)
        await ear.wait_for("update-on-jobs", 20)
        assert sorted(ear.results) == [("job-0", 5)] * 10 + [("job-1", 10)] * 10
        assert len(ear.of("job-update")) == 6
        assert await ear.client.call("ack", 10) == {"seq": 10}
        assert await open_results(served) == 0


async def test_an_acknowledged_result_comes_once(served: Served, store: Store) -> None:
    """The callback of the message is the end of it."""
    async with listening(served.server.address) as ear:
        await ear.wait_for("hello")
        await one_job(store)
        await ear.wait_for("update-on-jobs")
        assert await eventually(lambda: nothing_open(served))
        assert ear.results == [("job-0", 5)]


async def nothing_open(served: Served) -> bool:
    """Whether the only client has acknowledged all."""
    return await open_results(served) == 0


async def test_the_known_answer_acknowledges(served: Served, store: Store) -> None:
    """A client that knows nothing of callbacks emits the name of the job."""
    hurry(served)
    async with listening(served.server.address, {"clientId": "old"}, silent=True) as ear:

        async def answer(data: dict[str, Any]) -> None:
            ear.heard.append(("update-on-jobs", data))
            await ear.client.emit(f"update-on-job-received:{data['messageId']}")

        ear.client.on("update-on-jobs", answer)
        await one_job(store)
        await ear.wait_for("update-on-jobs")
        await eventually(lambda: nothing_open(served))
        assert place(served, "old") == 5
        assert not ear.of("error")


async def test_a_job_that_ends_twice_is_told_twice(served: Served, store: Store) -> None:
    """A restart makes another end, with another number."""
    async with listening(served.server.address) as ear:
        job = await one_job(store)
        await store.apply([Restart(job, AT)])
        [run] = await claimed(store)
        await ended(store, run)
        await ear.wait_for("update-on-jobs", 2)
        assert len(set(ear.results)) == 2
        assert {name for name, _ in ear.results} == {"job-0"}


# --- what means nothing


@pytest.mark.parametrize(
    ("name", "given", "about"),
    [
        ("nonsense", {}, "not known here: 'nonsense'"),
        ("connection", None, "not known here"),
        ("subscribe", None, "/subscribe: give an object"),
        ("subscribe", "failed", "/subscribe: give an object"),
        ("subscribe", {"state": "failed"}, "/subscribe/state: unknown parameter"),
        ("subscribe", {"after": 1}, "/subscribe/after: give a text"),
        ("ack", "1", "/ack: give a number that was sent"),
        ("ack", True, "/ack: give a number that was sent"),
        ("ack", 1, "/ack: give a number that was sent: 0 to 0"),
        ("ack", -1, "/ack: give a number that was sent"),
        ("ack", None, "/ack: give a number that was sent"),
        ("update-on-job-received:7", None, "no id of a job"),
    ],
)
async def test_what_is_not_understood_gets_an_error(served: Served, name: str, given: Any, about: str) -> None:
    """A sentence that says what would be; the connection goes on."""
    async with listening(served.server.address) as ear:
        answer = await ear.client.call(name, given)
        assert answer["error"].startswith(about)
        assert ear.of("error") == [answer]
        assert await ear.client.call("ack", 0) == {"seq": 0}


async def test_too_many_errors_end_the_connection(served: Served) -> None:
    """Twenty; the client is not to come again by itself."""
    async with listening(served.server.address) as ear:
        for _ in range(socketio_watcher.MAX_COMPLAINTS):
            await ear.client.emit("nonsense")
        await eventually(lambda: ear.gone)
        assert len(ear.of("error")) == socketio_watcher.MAX_COMPLAINTS + 1
    await settled(served)


@pytest.mark.parametrize(
    "packet",
    [
        "42",
        "42{}",
        "42[]",
        "42[1]",
        '42[["connect"]]',
        '42["connect",{}]',
        '42["disconnect"]',
        '42["disconnect","x","y"]',
        "42nonsense",
        "42" + "[" * 30_000,
        "44{}",
        "46",
        '451-["x",{"_placeholder":true,"num":0}]',
        '459999999999999999-["x"]',
        "43",
        "4" + "3" + "9" * 200,
    ],
)
async def test_packets_that_mean_nothing_get_an_error(served: Served, packet: str) -> None:
    """Also those that the library would take for its own `connect`, or for a bug."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(packet) == 200
    assert "not understood" in await bare.hear('"error"') or packet.startswith('42["')
    assert await bare.post('42["ack",0]') == 200


@pytest.mark.parametrize("packet", ["430[]", "4399[]", "43999[1,2]", "42/other,[1]", "bAAAA", "3"])
async def test_what_comes_late_or_for_nobody_is_passed_over(served: Served, packet: str) -> None:
    """An answer to what is not waited for is no fault."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(packet) == 200
    assert await bare.post('420["ack",0]') == 200
    assert "error" not in await bare.hear('430[{"seq":0}]')


@pytest.mark.parametrize(
    "body", [b"", b"x", b"9", b"4", b"4x", b"2probe", b"5", b"6", b"0", b"\xff", b"42[]\x1ex", b"d=1"]
)
async def test_what_is_no_packet_is_refused(served: Served, body: bytes) -> None:
    """400; the session is as it was."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(body) == 400
    assert await bare.post("3") == 200


async def test_many_packets_may_come_at_once(served: Served) -> None:
    """A client that was away for a moment acknowledges everything in one request."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post("\x1e".join(["43[]"] * 5000)) == 200


async def test_a_body_has_a_limit(served: Served) -> None:
    """413, with and without a length."""
    bare = Bare(served.client)
    await bare.open()
    large = b"42" + b"x" * socketio_engine.MAX_MESSAGE_BYTES
    assert await bare.post(large) == 413

    async def pieces() -> AsyncIterator[bytes]:
        yield large

    async with served.client.post(bare._query(), data=pieces()) as answer:
        assert answer.status == 413


async def test_a_compressed_body_is_refused(served: Served) -> None:
    """415, as everywhere."""
    bare = Bare(served.client)
    await bare.open()
    assert await bare.post(b"3", **{"Content-Encoding": "gzip"}) == 415


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "", 400),
        ("GET", "EIO=3&transport=polling", 400),
        ("GET", "EIO=4&transport=smoke", 400),
        ("GET", "EIO=4&transport=websocket", 400),
        ("GET", "EIO=4&transport=polling&j=0", 400),
        ("GET", "EIO=4&transport=polling&sid=nobody", 400),
        ("POST", "EIO=4&transport=polling&sid=nobody", 400),
        ("POST", "EIO=4&transport=polling", 400),
        ("HEAD", "EIO=4&transport=polling", 405),
        ("PUT", "EIO=4&transport=polling", 405),
        ("DELETE", "EIO=4&transport=polling", 405),
    ],
)
async def test_what_is_no_engine_io_is_refused(served: Served, method: str, query: str, status: int) -> None:
    """With a problem, as every refusal; no session begins."""
    headers = {"Content-Type": "text/plain"} if method == "POST" else {}
    data = b"3" if method == "POST" else None
    if method in {"PUT", "DELETE"}:
        headers = {"Content-Type": "application/json"}
    async with served.client.request(method, f"/socket.io/?{query}", headers=headers, data=data) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        if method != "HEAD":
            assert json.loads(await answer.text())["error"]
    assert not home(served).engine.sockets


async def test_two_requests_of_a_session_at_once_are_refused(served: Served) -> None:
    """A second one that reads would take what is meant for the first."""
    bare = Bare(served.client)
    await bare.open()
    await bare.hear("hello")
    first = asyncio.create_task(bare.get())
    await eventually(lambda: home(served)._requests)
    async with served.client.get(bare._query()) as answer:
        assert answer.status == 400
    assert await bare.post("1") == 200
    await first


@pytest.mark.parametrize("said", ["x", "", "4x", "5", "2probe", "4" + "[" * 60_000])
async def test_a_websocket_that_does_not_speak_the_protocol_is_closed(served: Served, said: str) -> None:
    """Without a trace in the log; nothing of it is left."""
    async with served.client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive()
        await socket.send_str(said)
        while not (await socket.receive()).type.name.startswith("CLOS"):
            pass
    await settled(served)


async def test_a_session_that_nobody_connects_in_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold a place for nothing."""
    monkeypatch.setattr("jobmgr.api.socketio.CONNECT_TIMEOUT_S", 0.05)
    async with served.client.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.receive()
        while not (await socket.receive()).type.name.startswith("CLOS"):
            pass
    await settled(served)


async def test_there_is_no_room_for_more_than_may_watch(tmp_path: Path, store: Store) -> None:
    """503 before a session begins; the client tries again later."""
    async with serving(tmp_path, store=store, JOBMGR_MAX_WATCHERS=2) as served:
        both = listening(served.server.address), listening(served.server.address, transports=("polling",))
        async with both[0], both[1], served.client.get("/socket.io/?EIO=4&transport=polling") as answer:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        await eventually(lambda: not home(served).engine.sockets)
        async with listening(served.server.address) as ear:
            await ear.wait_for("hello")
