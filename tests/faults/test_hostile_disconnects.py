"""FAULTS 91: clients that leave in the middle of a submission. All of it was taken or nothing, the same key tells which, and nothing is left open."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers and keepers", allow_module_level=True)

from tests.faults.hostile import Target
from tests.waiting import eventually_blocking

MANY = 1000
CUTS = 80


def request(body: Any, key: str) -> bytes:
    """A submission with this key, as bytes."""
    text = json.dumps(body).encode()
    head = "POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Idempotency-Key: {key}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def chunked(body: Any, key: str) -> bytes:
    """The same in chunks of seven bytes."""
    head, _, text = request(body, key).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunks + b"0\r\n\r\n"])


def named(target: Target, name: str) -> int:
    """How many jobs of this name there are, and that each has its task and its event."""
    of = f"FROM jobs WHERE name = '{name}'"
    [(jobs, tasks, told)] = target.site.rows(  # One statement: it sees one moment.
        f"SELECT (SELECT count(*) {of}), (SELECT count(*) FROM tasks WHERE job IN (SELECT id {of})),"
        f" (SELECT count(DISTINCT job) FROM events WHERE job IN (SELECT id {of}))"
    )
    assert jobs == tasks == told
    return int(jobs)


def all_closed(target: Target, before: int) -> bool:
    """Whether the server has no more descriptors than before."""
    return target.descriptors() <= before


@pytest.mark.parametrize("form", [request, chunked])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_fault_91_a_client_that_leaves_before_the_end_has_submitted_nothing(
    target: Target, form: Any, reset: bool
) -> None:
    """At every kind of place in headers and body, with a plain close and with a reset: no job, no event, no key, nothing open."""
    chance = random.Random(f"{form.__name__} {reset}")
    whole = form({"script": "act", "jobName": "cut", "arguments": ["0", "0"]}, "cut")
    # The last chunk may be taken for the end as soon as its digit has come; what follows is not the body's.
    end = len(whole) - (len(b"0\r\n\r\n") if form is chunked else 0)
    before = target.descriptors()
    with target.unharmed():
        for cut in [0, 1, end - 1, *(chance.randrange(end) for _ in range(CUTS))]:
            target.leave_after(whole[:cut], reset=reset)
        eventually_blocking(lambda: all_closed(target, before + 1))  # The one is of who asks meanwhile.
    eventually_blocking(lambda: all_closed(target, before))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_fault_91_a_client_that_leaves_before_the_answer_learns_it_by_the_same_key(target: Target, reset: bool) -> None:
    """The whole submission was sent, nobody waited: asked again, the same key gives the one job, made then or now."""
    before = target.descriptors()
    for number in range(40):
        key = name = f"unheard-{reset}-{number}"
        body = {"script": "act", "jobName": name}
        target.leave_after(request(body, key), reset=reset)
        answer = target.server.ask("POST", "/jobs", body, key=key)
        assert answer.status == 201
        again = target.server.ask("POST", "/jobs", body, key=key)
        assert (again.body["jobId"], again.headers["Idempotency-Replayed"]) == (answer.body["jobId"], "true")
        assert named(target, name) == 1
        assert target.server.job(answer.body["jobId"])["jobName"] == name
    target.check_log()
    eventually_blocking(lambda: all_closed(target, before))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_fault_91_of_a_list_of_a_thousand_all_are_taken_or_none(target: Target, reset: bool) -> None:
    """Whether the client left within it, right after it, or in between: 0 or 1000 at every look, and with the same key 1000 for good."""
    chance = random.Random(reset)
    before = target.descriptors()
    for number in range(8):
        key = name = f"list-{reset}-{number}"
        body = [{"script": "act", "jobName": name, "arguments": [str(n), "0"]} for n in range(MANY)]
        whole = request(body, key)
        target.leave_after(whole if number % 2 else whole[: chance.randrange(len(whole))], reset=reset)
        assert named(target, name) in ((0, MANY) if number % 2 else (0,))
        answer = target.server.ask("POST", "/jobs", body, key=key)
        assert answer.status == 201
        assert len({job["jobId"] for job in answer.body}) == named(target, name) == MANY
    target.check_log()
    eventually_blocking(lambda: all_closed(target, before))


@pytest.mark.parametrize("verb", ["stop", "restart", "DELETE"])
def test_fault_91_a_verb_that_was_not_sent_whole_was_not_asked(target: Target, verb: str) -> None:
    """Half a request stops, restarts and deletes nothing."""
    method, path = ("DELETE", "/jobs/job-0") if verb == "DELETE" else ("POST", f"/jobs/job-1/{verb}")
    whole = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    before = target.descriptors()
    with target.unharmed():
        for cut in range(len(whole)):
            target.leave_after(whole[:cut], reset=bool(cut % 2))
        eventually_blocking(lambda: all_closed(target, before + 1))


def test_fault_91_clients_that_leave_amid_an_answer_leave_nothing_open(target: Target) -> None:
    """Lists and outputs that are followed, dropped at their first byte; the log does not mention them."""
    before = target.descriptors()
    with target.unharmed():
        for number in range(60):
            path = (b"/jobs", b"/jobs/job-1/output?follow=true", b"/jobs/job-1/output")[number % 3]
            with target.connect() as connection:
                connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(1 + number) != b""
        eventually_blocking(lambda: all_closed(target, before + 1))
