"""The handlers of one job: submit, look, and the verbs. Each reads the request, asks the store or the manager, and shows the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from jobmgr.admission import Admitted
from jobmgr.api.body import fingerprint, read_json, read_nothing
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.present import attempt_json, job_json, submitted_json, task_json
from jobmgr.api.query import Query, Whole, asked, job_number
from jobmgr.api.send import array_answer, json_answer, send_array
from jobmgr.errors import FieldProblem, InvalidRequest, NotFound
from jobmgr.job import job_id
from jobmgr.store.records import Attempt, Job, Task

IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_KEY_CHARS = 255
EVENT_SEQ = "Event-Seq"


class AttemptsQuery(Query):
    """Which attempts."""

    task: Annotated[int, Whole()] | None = Field(None, description="Only those of this task.")


async def submit_jobs(request: web.Request) -> web.StreamResponse:
    """Submit one job, or a list of them, all or nothing.

    The answer comes when the jobs are stored: from then on they run, whatever happens to the server. `status` is often `running` already;
    `pending` waits for a slot. Without `script` the server's own program runs (`JOB_SCRIPT_PATH`; 409 where there is none).

    With a list, one wrong field anywhere refuses the whole list, and `errors` names its place, such as `/3/arguments/0`.
    Send an `Idempotency-Key` when you might have to repeat the request: it is then submitted once, however often it is sent.
    """
    parts = request.app[PARTS]
    key = _idempotency_key(request)

    def admit(payload: Any) -> tuple[Admitted, str | None]:
        return parts.admission.admit(payload), fingerprint(payload) if key else None

    admitted, body_hash = await read_json(request, parts.settings.max_body_bytes, admit)
    submission = await parts.manager.submit(admitted.specs, key=key, body_hash=body_hash)
    replies = (submitted_json(job, status) for job, status in submission.jobs)
    headers = {"Idempotency-Replayed": "true"} if submission.replayed else {}
    if admitted.many:
        # Not on the loop: they may be a hundred thousand.
        return await asyncio.to_thread(array_answer, replies, status=HTTPStatus.CREATED, headers=headers)
    reply = next(replies)
    if submission.jobs[0][1] is not None:  # A deleted one is nowhere.
        headers["Location"] = f"/jobs/{reply['jobId']}"
    return json_answer(reply, status=HTTPStatus.CREATED, headers=headers)


def _idempotency_key(request: web.Request) -> str | None:
    given = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not given:
        return None
    key = given[0]
    if len(given) > 1 or not (1 <= len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        problem = f"send it once, with 1 to {MAX_KEY_CHARS} printable ASCII characters"
        raise InvalidRequest([FieldProblem(IDEMPOTENCY_KEY, problem)])
    return key


async def show_job(request: web.Request) -> web.StreamResponse:
    """One job.

    `status`, and once it has ended `exitCode`, `signal`, `duration` and `result`; one that did not complete says why in `error`.
    Of a job with many tasks, `taskCounts` says how many are in which status.

    `eta` says when a running job will probably end, and a waiting one begin. It moves with the time, so the `ETag` does not stand for it and is
    weak (`W/"…"`): with `If-None-Match` the answer is 304 until anything else has changed.
    """
    parts = request.app[PARTS]
    seq = parts.feed.seq  # Before the job is read: what happens meanwhile is above it.
    job = await found_job(parts, job_number(request))
    shown = job_json(job, (await parts.analyzer.etas([job])).get(job.id))
    return json_answer(shown, headers={EVENT_SEQ: str(seq)}, kept_for=request, named_by={**shown, "eta": None})


async def list_tasks(request: web.Request) -> web.StreamResponse:
    """The tasks of a job, in order.

    Each with the facts of its newest attempt, which are null before the first. A job with many tasks has many; most have one.
    """
    store = request.app[PARTS].store
    job = await found_job(request.app[PARTS], job_number(request))

    async def read(after: int, limit: int) -> Sequence[Task]:
        return await store.tasks(job.id, after=after, limit=limit)

    return await send_array(
        request, job.num_tasks, read, first=-1, key=lambda task: task.number, show=task_json, most=job.num_tasks
    )


async def list_attempts(request: web.Request) -> web.StreamResponse:
    """The attempts of a job or of one of its tasks, by task and number.

    Every execution that there was, with its own exit code, signal, times, memory and output; those of earlier rounds too.
    """
    store = request.app[PARTS].store
    job = await found_job(request.app[PARTS], job_number(request))
    task = asked(request, AttemptsQuery).task
    if task is not None and task >= job.num_tasks:
        raise NotFound("task", f"{job_id(job.id)}.{task}")

    async def read(after: tuple[int, int], limit: int) -> Sequence[Attempt]:
        return await store.attempts(job.id, task=task, after=after, limit=limit)

    return await send_array(
        request, None, read, first=(-1, 0), key=lambda row: (row.task_number, row.number), show=attempt_json
    )


async def stop_job(request: web.Request) -> web.StreamResponse:
    """Stop a job; the answer shows its state after that, which may still be running for the length of its grace.

    Waiting tasks stop at once. Running ones get the `stopSignal` of the submission (TERM), and KILL after `stopTimeout` seconds; so does
    whatever they started. The stop is stored before the answer, and survives the server. A finished job gives 409.
    """
    parts = request.app[PARTS]
    await read_nothing(request, parts.settings.max_body_bytes)
    job = await parts.manager.stop(job_number(request))
    return json_answer(submitted_json(job.id, job.status))


async def restart_job(request: web.Request) -> web.StreamResponse:
    """Begin a new round of a finished job.

    The same job runs again with the same fields; its earlier attempts and their output stay. A job that has not finished gives 409.
    """
    parts = request.app[PARTS]
    await read_nothing(request, parts.settings.max_body_bytes)
    job = await parts.manager.restart(job_number(request))
    return json_answer(submitted_json(job.id, job.status))


async def delete_job(request: web.Request) -> web.StreamResponse:
    """Delete a finished job with its attempts and output.

    Its id is never used again, and the statistics count it no more. A job that has not finished gives 409: stop it first.
    """
    parts = request.app[PARTS]
    await read_nothing(request, parts.settings.max_body_bytes)
    job = job_number(request)
    await parts.manager.delete(job)
    return json_answer(submitted_json(job, None))


async def found_job(parts: Parts, job: int) -> Job:
    """The job, or NotFound."""
    found = await parts.store.job(job)
    if found is None:
        raise NotFound("job", job_id(job))
    return found
