"""The feed over Socket.IO: what a client is told, what it may say, and what it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from jobmgr.job import Change
from jobmgr.store.base import Restart, Store
from tests.contract.served import Served
from tests.contract.socketio_client import Bare, home, listening, one_job, quietly_serving, settled
from tests.contract.stores import AT, claimed, ended, running
from tests.waiting import eventually

TRANSPORTS = [("websocket",), ("polling",), ("polling", "websocket")]
FOREIGN = "https://board.example.org"


@pytest.fixture
async def served(tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Served]:
    """A server over an empty store; one foreign origin is allowed."""
    async with quietly_serving(tmp_path, store, caplog, JOBMGR_ALLOWED_ORIGINS=FOREIGN) as served:
        yield served


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


async def test_nothing_is_left_of_a_client_that_went(served: Served, store: Store) -> None:
    """Nor of one over a WebSocket, nor of one that polls."""
    async with listening(served.server.address, {"clientId": "me"}) as ear:
        await ear.wait_for("hello")
    bare = Bare(served.client)
    await bare.open('{"clientId":"me"}')
    await bare.hear("hello")
    assert await bare.post("41\x1e1") == 200
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
