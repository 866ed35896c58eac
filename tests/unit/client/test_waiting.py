"""Waiting for the end of jobs: one look, then what the server tells; and looking again wherever it tells nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobmgr.client import connection, events, waiting
from jobmgr.client.jobs import Row
from jobmgr.client.waiting import Watched, wait_finished
from jobmgr.errors import Refusal
from tests.unit.client.stub import Answer, Asked, Stub, in_turn, stub, told, update

HELLO = told(7, "hello")


def job(status: str, name: str = "job-0", seq: int | None = 7, **more: Any) -> Answer:
    """The job as it is."""
    headers: dict[str, Any] = {} if seq is None else {"Event_Seq": str(seq)}
    return lambda asked: asked.json({"jobId": name, "status": status, "numTask": 1, **more}, **headers)


def stays(*pieces: bytes) -> Answer:
    """A stream that stays after these pieces."""
    return lambda asked: asked.stream(*pieces, stay=threading.Event())


def wait(
    server: Stub, *jobs: str, looked: Callable[[Row], None] = lambda _: None, until: float | None = None
) -> Iterator[Row]:
    """What `jobmgr wait` waits for, for 20 s at most."""
    watched = [Watched(server.client, name) for name in jobs or ("job-0",)]
    return wait_finished(server.client, watched, looked=looked, until=until or time.monotonic() + 20)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """With short times."""
    for name in ("FIRST_PAUSE_S", "LAST_PAUSE_S", "MOMENT_S"):
        monkeypatch.setattr(waiting, name, 0.05)


def test_a_job_is_looked_at_once_before_and_once_after() -> None:
    """However long it takes and however much is told of it; the feed begins where the look was."""
    look = in_turn(job("running"), job("crashed", exitCode=3))
    feed = stays(HELLO, *(update(8 + n, "running", progress=n) for n in range(50)), update(99, "crashed"))
    seen: list[Row] = []
    with stub({"/jobs/job-0": look, "/events": feed}) as server:
        [row] = wait(server, looked=seen.append)
        assert row["exitCode"] == 3
        assert [path for path, _ in server.asked] == ["/jobs/job-0", "/events", "/jobs/job-0"]
        assert server.asked[1][1] == {"after": ["7"], "event": ["job-update"], "job": ["job-0"]}
    assert [row.get("progress") for row in seen[1:51]] == list(range(50))
    assert seen[5]["numTask"] == 1


def test_one_that_has_ended_needs_no_feed() -> None:
    """A look is enough."""
    with stub({"/jobs/job-0": job("completed")}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]
        assert len(server.asked) == 1


def test_each_is_given_when_it_ends() -> None:
    """In the order of their ends."""
    answers = {
        "/jobs/job-0": in_turn(job("running"), job("completed")),
        "/jobs/job-1": in_turn(job("running", "job-1", 5), job("completed", "job-1")),
        "/events": stays(HELLO, update(8, "completed", "job-1"), update(9, "completed", "job-0")),
    }
    with stub(answers) as server:
        assert [row["jobId"] for row in wait(server, "job-0", "job-1")] == ["job-1", "job-0"]
        assert server.asked[2][1]["after"] == [
            "5"
        ]  # The older one: of the other some are told again, which does no harm.


def test_what_is_told_late_changes_nothing() -> None:
    """An end of before the look, of a job that was begun again."""
    look = in_turn(job("running"), job("running"), job("completed"))
    feed = stays(HELLO, update(8, "crashed"), update(9, "running"), update(10, "completed"))
    with stub({"/jobs/job-0": look, "/events": feed}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]


def test_what_did_not_change_is_as_the_look_said_and_not_as_was_told() -> None:
    """The server says only that nothing has changed since."""

    def again(asked: Asked) -> None:
        assert asked.handler.headers["If-None-Match"] == '"1"'
        asked.handler.send_response(304)
        asked.handler.end_headers()

    begun: Answer = lambda asked: asked.json({"jobId": "job-0", "status": "running"}, Event_Seq="7", ETag='"1"')  # noqa: E731 - one answer
    feed = stays(HELLO, update(8, "crashed"), update(9, "running"), update(10, "completed"))
    with stub({"/jobs/job-0": in_turn(begun, again, job("completed")), "/events": feed}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]


def test_a_job_that_is_deleted_is_no_more() -> None:
    """In the words of the server."""
    look = in_turn(job("running"), lambda asked: asked.refuse(404, "There is no job job-0."))
    with (
        stub({"/jobs/job-0": look, "/events": stays(HELLO, update(8, "deleted"))}) as server,
        pytest.raises(Refusal, match="There is no job"),
    ):
        list(wait(server))


def test_all_are_looked_at_when_what_happened_is_no_longer_kept() -> None:
    """One may have ended in what is missing."""
    look = in_turn(job("running"), job("completed"))
    with stub({"/jobs/job-0": look, "/events": stays(told(900, "reset"), told(900, "hello"))}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]


def test_all_are_looked_at_when_the_feed_breaks() -> None:
    """And it is taken up again from there."""
    look = in_turn(job("running"), job("running", seq=20), job("completed"))
    feed = in_turn(
        lambda asked: asked.stream(HELLO),
        lambda asked: asked.refuse(503),
        stays(told(20, "hello"), update(21, "completed")),
    )
    with stub({"/jobs/job-0": look, "/events": feed}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]
        assert server.asked[-2][1]["after"] == ["20"]


def refuses(asked: Asked) -> None:
    """No room, or no such thing."""
    asked.refuse(404 if asked.query else 503)


def no_feed(asked: Asked) -> None:
    """Another program."""
    asked.json([])


def says_nothing(asked: Asked) -> None:
    """As a proxy that lets no stream pass."""
    asked.stream(stay=threading.Event())


@pytest.mark.parametrize("feed", [refuses, no_feed, says_nothing])
def test_without_a_feed_jobs_are_looked_at_again_and_again(feed: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as it takes; the feed is asked for a few times only."""
    monkeypatch.setattr(events, "HELLO_S", 0.1)
    monkeypatch.setattr(connection, "LEAST_S", 0.05)
    look = in_turn(*[job("running")] * 8, job("completed"))
    with stub({"/jobs/job-0": look, "/events": feed}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]
        assert server.count("/events") == waiting.TRIES


def test_a_server_that_numbers_nothing_is_looked_at() -> None:
    """An older one: it is not even asked for events."""
    look = in_turn(*[job("running", seq=None)] * 3, job("completed", seq=None))
    with stub({"/jobs/job-0": look}) as server:
        assert [row["status"] for row in wait(server)] == ["completed"]


def test_of_very_many_jobs_everything_is_heard() -> None:
    """An address may not be of any length."""
    names = [f"job-{n}" for n in range(waiting.NAMED_JOBS + 1)]
    answers = {f"/jobs/{name}": in_turn(job("running", name), job("completed", name)) for name in names}
    feed = stays(HELLO, *(update(8 + n, "completed", name) for n, name in enumerate(["job-9999", *names])))
    with stub({**answers, "/events": feed}) as server:
        assert len(list(wait(server, *names))) == len(names)
        assert "job" not in dict(server.asked)["/events"]


@pytest.mark.parametrize("feed", [stays(HELLO), refuses])
def test_the_time_to_wait_ends(feed: Answer) -> None:
    """While nothing is told as while looking."""
    with stub({"/jobs/job-0": job("running"), "/events": feed}) as server, pytest.raises(TimeoutError):
        list(wait(server, until=time.monotonic() + 0.3))
