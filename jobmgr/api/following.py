"""Whose output a request is about, and following it until its attempt is over: what plain answers, streams and WebSockets share.

A follower is woken by the file and by committed events, never by the clock alone. Where no attempt has begun it waits for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

from aiohttp import hdrs, web
from pydantic import Field

from jobmgr.api.followers import is_gone
from jobmgr.api.jobs import found_job
from jobmgr.api.middleware import Refused
from jobmgr.api.parts import Parts
from jobmgr.api.query import Flag, Query, Whole
from jobmgr.errors import FieldProblem, InvalidRequest, NotFound
from jobmgr.job import FINISHED, Status, job_id, task_id
from jobmgr.output.reader import follow_output, open_output
from jobmgr.secrets import Mask
from jobmgr.store.base import Store
from jobmgr.store.records import Job, Task

MAX_TAIL_LINES = 1_000_000
NEWS_TIMEOUT_S = 5.0
"""Ask the store for the state of a followed attempt at least so often; its news usually come at once."""

LOOK_S = 1.0
"""See at least so often whether the client is still there."""

AWAITED = -1

_RUNNING = frozenset({Status.RUNNING, Status.PAUSED})
_WAITING = frozenset({Status.PENDING, Status.RETRIED})


class OutputQuery(Query):
    """What of the output is wanted, and how."""

    task: Annotated[int, Whole()] | None = Field(None, description="Number of the task; required where a job has many.")
    attempt: Annotated[int, Whole(1)] | None = Field(None, description="Number of the attempt; by default the newest.")
    stream: Literal["stdout", "stderr"] | None = Field(
        None, description='Which of the two, of a job submitted with `"stderr": "separate"`; by default stdout.'
    )
    tail: Annotated[int, Whole(most=MAX_TAIL_LINES)] | None = Field(None, description="Only the last so many lines.")
    follow: Flag = Field(default=False, description="Go on with what is printed until the attempt is over.")
    start: Annotated[int, Whole()] | None = Field(
        None,
        alias="from",
        description="With `follow`: the byte to begin at. What is sent then are the bytes of the output and nothing else.",
    )
    download: Flag = Field(default=False, description="As a file to save.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose output it is about. `attempt` 0: none has begun; AWAITED: the next one, which is to be number `least` or later."""

    job: int
    task: int
    attempt: int
    errors: bool
    mask: Mask | None
    """Hides the secrets of the job."""
    least: int = 0

    def path(self, parts: Parts) -> Path:
        """The file."""
        paths = parts.outputs.paths(self.job, self.task, self.attempt)
        return Path(paths.errors if self.errors else paths.output)


async def wanted_output(parts: Parts, query: OutputQuery, number: int) -> Wanted:
    """Whose output the query means. Raises InvalidRequest, NotFound."""
    job = await found_job(parts, number)
    task = await _task(parts.store, job, query.task)
    attempt = query.attempt
    awaited = attempt == task.attempt + 1 and task.status in _WAITING and query.start is not None
    if attempt is not None and not awaited:
        await _check_attempt(parts.store, task, attempt)
    spec = await parts.store.spec(job.id)
    if spec is None:  # Deleted this moment: what it printed must not be read without its secrets.
        raise NotFound("job", job_id(job.id))
    errors = query.stream == "stderr"
    if errors and not spec.separate_stderr:
        raise InvalidRequest(
            [FieldProblem("?stream", 'stderr of this job is in its stdout; "stderr": "separate" keeps it apart')]
        )
    if awaited:
        return Wanted(job.id, task.number, AWAITED, errors, Mask.of(spec), least=attempt or 0)
    if attempt is None:
        # Who follows a task that waits for its next attempt wants that one.
        attempt = AWAITED if task.status in _WAITING and query.follow else task.attempt
    return Wanted(job.id, task.number, attempt, errors, Mask.of(spec))


async def _check_attempt(store: Store, task: Task, attempt: int) -> None:
    if not await store.attempts(task.job, task=task.number, after=(task.number, attempt - 1), limit=1):
        raise NotFound("attempt", f"{attempt} of {task_id(task.job, task.number)}")


async def _task(store: Store, job: Job, given: int | None) -> Task:
    if given is None and job.num_tasks > 1:
        raise InvalidRequest(
            [FieldProblem("?task", f"required: {job_id(job.id)} has {job.num_tasks:,} tasks, numbered from 0")]
        )
    task = await find_task(store, job.id, given or 0)
    if task is None:
        raise NotFound("task", task_id(job.id, given or 0))
    return task


async def find_task(store: Store, job: int, number: int) -> Task | None:
    """One task of a job; None: there is none."""
    found = await store.tasks(job, after=number - 1, limit=1)
    return found[0] if found and found[0].number == number else None


async def data_start(parts: Parts, wanted: Wanted, first: int) -> int:
    """This byte, or the end of the freed middle that it lies in. Refuses (416) one beyond the end."""
    # A file that was removed, by whom ever, is as one that was cut off: who had a part of it must learn that the rest will not come.
    reader = None if wanted.attempt == AWAITED else open_output(wanted.path(parts))
    start, size = first, 0
    if reader is not None:
        with reader:
            size, start = reader.size, await reader.data_start(first)
    if first > size:
        raise beyond(size)
    return start


def beyond(size: int) -> Refused:
    """The refusal of what lies beyond the end."""
    return Refused(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        f"Ask for one range within the {size:,} bytes there are.",
        headers={str(hdrs.CONTENT_RANGE): f"bytes */{size}"},
    )


async def followed(
    request: web.Request, parts: Parts, wanted: Wanted, tail: int | None, *, start: int | None
) -> AsyncGenerator[bytes, None]:
    """The bytes of an output as they come, until its attempt is over; empty ones now and then. `start`: as `Reader.follow` has it."""
    wake, ended = asyncio.Event(), asyncio.Event()
    with parts.followers.follow(request, wanted.job) as news:
        while wanted.attempt == AWAITED:
            yield b""
            if is_gone(request):
                return
            wanted = await begun(parts.store, wanted, news)
        if wanted.attempt == 0:
            return  # It ended without ever beginning.
        watching = asyncio.create_task(
            _watch(parts.store, wanted, news, wake=wake, ended=ended), name="watch a followed attempt"
        )
        try:
            path, watcher = wanted.path(parts), parts.followers.watcher
            followed = follow_output(path, watcher, tail=tail, start=start, wake=wake, ended=ended, mask=wanted.mask)
            async with aclosing(followed) as pieces:
                async for piece in pieces:
                    if is_gone(request):
                        return
                    yield piece
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if not watching.cancelled():
            watching.result()  # A failure of the store is this answer's failure.


async def begun(store: Store, wanted: Wanted, news: asyncio.Event) -> Wanted:
    """The same with the attempt that runs or was the last; still awaited when none began for a while."""
    news.clear()
    task = await find_task(store, wanted.job, wanted.task)
    if task is None:
        return replace(wanted, attempt=0)
    if task.status not in _WAITING:
        return replace(wanted, attempt=task.attempt if task.attempt >= wanted.least else 0)
    await _wait(news, LOOK_S)
    return wanted


async def _watch(
    store: Store, wanted: Wanted, news: asyncio.Event, *, wake: asyncio.Event, ended: asyncio.Event
) -> None:
    """Set `ended`, then `wake`, when the attempt is over."""
    try:
        while True:
            # Cleared before asking: news of a change that the answer does not show yet come after it.
            news.clear()
            if _is_over(await find_task(store, wanted.job, wanted.task), wanted.attempt):
                return
            await _wait(news, NEWS_TIMEOUT_S)
    finally:
        ended.set()
        wake.set()


def _is_over(task: Task | None, attempt: int) -> bool:
    if task is None or task.attempt > attempt:
        return True
    if task.attempt < attempt:
        return task.status in FINISHED  # It never began, and its number comes again only if the task goes on.
    return task.status not in _RUNNING


async def _wait(news: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
