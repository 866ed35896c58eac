"""The routes of jobs: what they take, what they answer."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jobmgr.errors import DiskFull, NoProgram, Overloaded, Recovering, ShuttingDown, WrongStatus
from jobmgr.job import Cause, Status
from tests.contract.served import BORN, Served, a_job, a_row, a_task, an_attempt, serving

HELLO = {"jobName": "my-task-42", "arguments": ["arg1", "arg2"]}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with nothing in it."""
    async with serving(tmp_path) as served:
        yield served


async def get(served: Served, path: str, status: int = 200) -> Any:
    """The JSON of an answer with this status."""
    async with served.client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


# --- submit


async def test_a_submission_is_answered_with_its_id_and_status(served: Served) -> None:
    """201, the three known fields, and where the job is."""
    async with served.client.post("/jobs", json=HELLO) as answer:
        assert answer.status == 201
        assert await answer.json() == {"success": True, "jobId": "job-0", "status": "running"}
        assert answer.headers["Location"] == "/jobs/job-0"
    [spec] = served.manager.submitted
    assert (spec.name, spec.args) == ("my-task-42", ("arg1", "arg2"))


async def test_a_list_is_answered_with_a_list(served: Served) -> None:
    """One reply each, in order; also for a list of one."""
    for count in (1, 3):
        async with served.client.post("/jobs", json=[HELLO] * count) as answer:
            assert answer.status == 201
            assert [reply["success"] for reply in await answer.json()] == [True] * count
    assert len(served.manager.submitted) == 4


async def test_a_list_with_one_wrong_submission_creates_nothing(served: Served) -> None:
    """All or nothing, and the wrong field is named with its place in the list."""
    async with served.client.post("/jobs", json=[HELLO, {"jobNam": "x"}, {"numTask": "many"}]) as answer:
        assert answer.status == 400
        problem = await answer.json()
    assert {item["field"] for item in problem["errors"]} == {"/1/jobNam", "/2/numTask"}
    assert "jobName" in problem["error"]
    assert served.untouched


async def test_a_hundred_thousand_tasks_come_in_one_request(served: Served) -> None:
    """One list of arguments a task, decoded and checked off the event loop."""
    body = io.BytesIO(json.dumps({"tasks": [[str(number)] for number in range(100_000)]}).encode())
    async with served.client.post("/jobs", data=body, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 201
    assert served.manager.submitted[0].num_tasks == 100_000


async def test_case_90_the_same_key_and_body_give_the_same_reply(served: Served) -> None:
    """Key order and spaces of the body do not matter; the reply tells that it is one of before."""
    headers = {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
    replies, replayed = [], []
    for body in ('{"jobName": "x", "arguments": ["1"]}', '{ "arguments":["1"],"jobName":"\\u0078" }'):
        async with served.client.post("/jobs", data=body, headers=headers) as answer:
            assert answer.status == 201
            replies.append((await answer.json(), answer.headers["Location"]))
            replayed.append(answer.headers.get("Idempotency-Replayed"))
    assert replies[0] == replies[1]
    assert replayed == [None, "true"]
    assert len(served.manager.submitted) == 1


async def test_case_90_the_same_key_with_another_body_is_refused(served: Served) -> None:
    """422, and nothing is created."""
    headers = {"Idempotency-Key": "a-key"}
    async with served.client.post("/jobs", json=HELLO, headers=headers) as answer:
        assert answer.status == 201
    async with served.client.post("/jobs", json={"jobName": "other"}, headers=headers) as answer:
        assert answer.status == 422
    assert len(served.manager.submitted) == 1


async def test_a_key_whose_job_was_deleted_still_gives_the_same_job(served: Served) -> None:
    """With the status `deleted` and no Location; nothing is submitted again."""
    headers = {"Idempotency-Key": "a-key"}
    async with served.client.post("/jobs", json=HELLO, headers=headers):
        pass
    served.manager.delete_submitted()
    async with served.client.post("/jobs", json=HELLO, headers=headers) as answer:
        assert answer.status == 201
        assert await answer.json() == {"success": True, "jobId": "job-0", "status": "deleted"}
        assert "Location" not in answer.headers
        assert answer.headers["Idempotency-Replayed"] == "true"
    assert len(served.manager.submitted) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\tb"])
async def test_a_key_is_short_and_printable(served: Served, key: str) -> None:
    """Anything else is a 400 that names the header."""
    async with served.client.post("/jobs", json=HELLO, headers={"Idempotency-Key": key}) as answer:
        assert answer.status == 400
        assert (await answer.json())["errors"][0]["field"] == "Idempotency-Key"
    assert served.untouched


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (Recovering(), 503, True),
        (ShuttingDown(), 503, True),
        (Overloaded(), 503, True),
        (DiskFull(), 507, False),
        (NoProgram(), 409, False),
    ],
)
async def test_each_refusal_has_its_status(served: Served, error: Exception, status: int, retry: bool) -> None:
    """The sentence of the error is in the answer; 503 says when to come again."""
    served.manager.fails = error
    async with served.client.post("/jobs", json=HELLO) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        problem = await answer.json()
        assert ("Retry-After" in answer.headers) is retry
    assert problem["error"] == str(error)
    assert problem["status"] == status


# --- look


async def test_a_running_job_shows_what_is_known(served: Served) -> None:
    """Every documented field is there, null where it is not known yet."""
    served.rows.add(a_job(7))
    assert await get(served, "/jobs/job-7") == {
        "jobId": "job-7",
        "jobName": "my-task-7",
        "script": "/srv/jobs/sample.sh",
        "args": ["arg1", "arg2"],
        "type": None,
        "params": {},
        "labels": {},
        "status": "running",
        "cause": None,
        "error": None,
        "retries": 0,
        "exitCode": None,
        "signal": None,
        "duration": None,
        "progress": None,
        "message": None,
        "priority": 0,
        "node": "here-3000",
        "pid": 4711,
        "createdAt": "2025-11-22T08:00:00.250Z",
        "startedAt": "2025-11-22T08:00:00.251Z",
        "finishedAt": None,
        "result": None,
        "eta": None,
        "numTask": 1,
        "taskCounts": {"running": 1},
        "links": {
            "self": "/jobs/job-7",
            "tasks": "/jobs/job-7/tasks",
            "attempts": "/jobs/job-7/attempts",
            "output": "/jobs/job-7/output",
        },
    }


async def test_a_completed_job_that_reported_nothing_links_its_output(served: Served) -> None:
    """Its result is the exit code and where the output is; a reported result is shown as it is."""
    served.rows.add(a_job(0, status=Status.COMPLETED, exit_code=0, duration_us=1_234_567, finished_at=1))
    job = await get(served, "/jobs/job-0")
    assert job["result"] == {"exitCode": 0, "output": "/jobs/job-0/output"}
    assert job["duration"] == 1235
    served.rows.add(a_job(0, status=Status.COMPLETED, exit_code=0, result={"lines": 12}))
    assert (await get(served, "/jobs/job-0"))["result"] == {"lines": 12}


async def test_what_never_had_a_process_never_started(served: Served) -> None:
    """A program that could not be started: no start and no duration, of the attempt, of its task and of the job."""
    failed: dict[str, Any] = {"status": Status.FAILED, "cause": Cause.SPAWN_ERROR, "pid": None}
    served.rows.add(a_job(0, counts={Status.FAILED: 1}, finished_at=BORN, duration_us=0, **failed))
    attempt = an_attempt(0, started_at=None, ended_at=BORN, **failed)
    served.rows.of_attempts[0] = [attempt]
    served.rows.of_tasks[0] = [a_task(0, status=Status.FAILED, newest=attempt)]
    shown = [await get(served, "/jobs/job-0"), *await get(served, "/jobs/job-0/tasks")]
    shown += await get(served, "/jobs/job-0/attempts")
    assert [(row["startedAt"], row["duration"]) for row in shown] == [(None, None)] * 3


async def test_a_job_that_crashed_before_it_could_not_be_started_did_start(served: Served) -> None:
    """Its first attempt had a process."""
    served.rows.add(a_job(0, status=Status.FAILED, counts={Status.FAILED: 1}, retries=1))
    assert (await get(served, "/jobs/job-0"))["startedAt"] == "2025-11-22T08:00:00.251Z"


async def test_an_attempt_that_runs_has_started_before_its_process_is_stored(served: Served) -> None:
    """It shows when it was asked for, so that a running attempt never lacks a start."""
    served.rows.add(a_job(0))
    served.rows.of_attempts[0] = [an_attempt(0, started_at=None, pid=None)]
    [attempt] = await get(served, "/jobs/job-0/attempts")
    assert attempt["startedAt"] == "2025-11-22T08:00:00.250Z"


async def test_a_signal_goes_by_its_name(served: Served) -> None:
    """Exit code, signal and cause are three fields."""
    served.rows.add(a_job(0, status=Status.CRASHED, cause=Cause.SIGNAL, signal=9, error="killed"))
    job = await get(served, "/jobs/job-0")
    assert (job["exitCode"], job["signal"], job["cause"]) == (None, "SIGKILL", "signal")


async def test_what_a_job_reported_never_breaks_an_answer(served: Served) -> None:
    """NaN, infinity and lone surrogates in a result become what JSON can hold."""
    served.rows.add(a_job(0, result={"a": float("nan"), "b": [float("inf"), "\ud800"]}))
    assert (await get(served, "/jobs/job-0"))["result"] == {"a": None, "b": [None, "?"]}


async def test_all_jobs_come_oldest_first_with_their_count(served: Served) -> None:
    """The array is whole JSON, page after page, however many there are."""
    assert await get(served, "/jobs") == []
    for number in range(1234):
        served.rows.add(a_job(number))
    async with served.client.get("/jobs") as answer:
        assert answer.headers["X-Total-Count"] == "1234"
        jobs = await answer.json()
    assert [job["jobId"] for job in jobs] == [f"job-{number}" for number in range(1234)]


async def test_large_rows_are_read_in_small_pages(served: Served) -> None:
    """Jobs with a megabyte of arguments are not gathered in memory by the hundred."""
    for number in range(60):
        served.rows.add(a_job(number, args=("x" * 300_000,)))
    async with served.client.get("/jobs") as answer:
        assert len(await answer.json()) == 60
    assert served.rows.pages[1:] and max(served.rows.pages[1:]) == 1


async def test_a_list_that_breaks_half_way_is_not_taken_for_whole(served: Served) -> None:
    """When the store fails after the first page, the connection is cut: no client reads a valid end."""
    for number in range(200):
        served.rows.add(a_job(number))
    served.rows.broken_after = 49
    text = await served.raw(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert not text.endswith(b"0\r\n\r\n")
    assert b"secret" not in text


async def test_tasks_show_the_facts_of_their_newest_attempt(served: Served) -> None:
    """One element a task, in order, with links of its own."""
    served.rows.add(a_job(3, num_tasks=2))
    served.rows.of_tasks[3][1] = a_task(3, 1, status=Status.PENDING, attempt=0, newest=None, due_at=0)
    first, second = await get(served, "/jobs/job-3/tasks")
    assert (first["taskId"], first["pid"], first["attempt"]) == ("job-3.0", 4711, 1)
    assert first["links"]["output"] == "/jobs/job-3/output?task=0"
    assert (second["status"], second["pid"], second["dueAt"]) == ("pending", None, "1970-01-01T00:00:00.000Z")
    assert first.keys() == second.keys()


async def test_attempts_come_by_task_and_number(served: Served) -> None:
    """All of the job, or those of one task; times in milliseconds and seconds as documented."""
    served.rows.add(a_job(3, num_tasks=2), attempts=2)
    served.rows.of_attempts[3][3] = an_attempt(3, 1, 2, cpu_us=1_500_000, duration_us=2500)
    everything = await get(served, "/jobs/job-3/attempts")
    assert [(a["task"], a["attempt"]) for a in everything] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert (everything[3]["cpuSeconds"], everything[3]["queueWait"], everything[3]["duration"]) == (1.5, 2, 2)
    assert [a["taskId"] for a in await get(served, "/jobs/job-3/attempts?task=1")] == ["job-3.1"] * 2
    await get(served, "/jobs/job-3/attempts?task=2", 404)


# --- verbs


@pytest.mark.parametrize("verb", ["stop", "restart"])
async def test_a_verb_answers_with_the_state_after_it(served: Served, verb: str) -> None:
    """A POST without a body is enough; an empty object is fine too."""
    served.rows.add(a_job(4))
    for body, kind in ((b"", None), (b"", "application/json"), (b"{}", "application/json")):
        headers = {"Content-Type": kind} if kind else {}
        async with served.client.post(f"/jobs/job-4/{verb}", data=body, headers=headers) as answer:
            assert answer.status == 200
            assert await answer.json() == {"success": True, "jobId": "job-4", "status": "running"}
    assert served.manager.asked == [(verb, 4)] * 3


async def test_delete_says_deleted(served: Served) -> None:
    """The last thing that is said of a job."""
    served.rows.add(a_job(4))
    async with served.client.delete("/jobs/job-4") as answer:
        assert await answer.json() == {"success": True, "jobId": "job-4", "status": "deleted"}


async def test_a_verb_in_the_wrong_status_says_the_status(served: Served) -> None:
    """409, a sentence, and the status of the job beside the number of HTTP."""
    served.rows.add(a_job(4))
    served.manager.fails = WrongStatus("job-4", "restart", "running")
    async with served.client.post("/jobs/job-4/restart") as answer:
        assert answer.status == 409
        problem = await answer.json()
    assert problem["error"] == "job-4 is running: cannot restart it; stop it first."
    assert (problem["status"], problem["jobId"], problem["jobStatus"]) == (409, "job-4", "running")


async def test_a_verb_takes_no_fields_yet(served: Served) -> None:
    """What would be ignored is refused."""
    served.rows.add(a_job(4))
    async with served.client.post("/jobs/job-4/restart", json={"arguments": ["new"]}) as answer:
        assert answer.status == 400
    assert served.untouched


# --- the rest


async def test_statistics_have_the_known_fields(served: Served) -> None:
    """An empty history has them too."""
    stats = await get(served, "/stats")
    assert [stats[name] for name in ("totalJobs", "overallSuccessRate", "patterns")] == [0, 0, []]


async def test_statistics_count_hours_in_the_configured_time_zone(tmp_path: Path) -> None:
    """BORN is 8 o'clock in UTC and half past one in the afternoon in Kolkata."""
    async with serving(tmp_path, JOBMGR_TIMEZONE="Asia/Kolkata") as served:
        served.rows.past.append(a_row())
        patterns = [pattern["pattern"] for pattern in (await get(served, "/stats"))["patterns"]]
        assert "Submitted between 13:00 and 14:00" in patterns


async def test_readiness_follows_the_manager(served: Served) -> None:
    """Healthy at once; ready only when jobs would be taken."""
    assert await get(served, "/healthz") == {"status": "ok"}
    assert await get(served, "/readyz") == {"ready": True}
    served.manager.accepting = False
    assert (await get(served, "/readyz", 503))["ready"] is False
    served.manager.ready = False
    assert (await get(served, "/readyz", 503))["ready"] is False


async def test_the_first_page_says_what_is_here(served: Served) -> None:
    """A person who opens the address is not left alone."""
    async with served.client.get("/") as answer:
        assert answer.status == 200
        assert "/jobs" in await answer.text()


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/job-1", "/jobs/job-1/tasks", "/jobs/job-1/output", "/stats"])
async def test_head_works_where_get_does(served: Served, path: str) -> None:
    """The same status and headers without a body."""
    served.rows.add(a_job(1))
    served.print(1, b"hello")
    async with served.client.head(path) as head, served.client.get(path) as whole:
        assert head.status == whole.status == 200
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]
        assert head.headers.get("X-Total-Count") == whole.headers.get("X-Total-Count")
        assert await head.read() == b""


async def test_a_slow_client_holds_no_page_of_the_store(served: Served) -> None:
    """While a client does not read, no further page is read from the store."""
    for number in range(4000):
        served.rows.add(a_job(number, args=("x" * 10_000,)))
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1024)
    writer.write(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.read(1)
    for _ in range(50):
        await get(served, "/healthz")  # Gives the other handler every occasion to go on.
    assert len(served.rows.pages) < 4000 * 10_000 / 256_000 / 2
    writer.close()


async def test_unicode_is_sent_as_it_is(served: Served) -> None:
    """Names in any script are readable with curl."""
    served.rows.add(a_job(1, name="Ünïcode → 🎉"))
    async with served.client.get("/jobs/job-1") as answer:
        text = await answer.text()
    assert "Ünïcode → 🎉" in text and json.loads(text)["jobName"] == "Ünïcode → 🎉"
