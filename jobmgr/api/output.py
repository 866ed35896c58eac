"""The handler of output: what an attempt printed, whole, by range, from the last lines on, or followed while it runs.

Bytes are sent as they are, save for secrets: in place of one are as many `*`. A plain answer, `tail` and `follow` put one line in place of a
middle that was freed because the output grew past its cap; a `Range` gives what lies at these offsets, zeros in place of the freed
middle, so that offsets stay true.

`follow` ends cleanly only when the attempt is over and everything was sent. When the server leaves before, the connection is cut, so a client can
tell; a client that left is noticed within about a second.

`follow` with `from` is for clients that must lose and repeat nothing over a cut connection: only bytes of the file are sent, beginning at the offset
in the header `Output-Start` (the one asked for, or the end of the freed middle that it lies in), so who counts the bytes knows where to go
on. It ends at a freed middle too; an answer that begins where it was asked for and is empty means that all was sent. With `from`, `attempt`
may be the next one of a task that waits for it; if that never begins, the answer is empty.
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
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.query import Flag, Query, Whole, asked, job_number
from jobmgr.api.send import send
from jobmgr.errors import FieldProblem, InvalidRequest, NotFound
from jobmgr.job import FINISHED, Status, job_id, task_id
from jobmgr.output.reader import Reader, follow_output, open_output
from jobmgr.secrets import Mask
from jobmgr.store.base import Store
from jobmgr.store.records import Job, Task

OUTPUT_START = "Output-Start"
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


async def show_output(request: web.Request) -> web.StreamResponse:
    """Answer with what an attempt printed.

    Byte for byte, of the newest attempt unless `attempt` says another; empty before it printed anything. A job with many tasks needs `task`.

    * `tail=20` gives the last lines, `Range: bytes=1000-` what follows byte 1000.
    * `follow=true` goes on until the attempt is over. A connection that breaks before means that the server left: ask again, with `from` to go on
      where it broke. An answer with `from` may end earlier; one that begins there and is empty says that all was sent.
    * Output beyond the cap (64 MiB) loses its middle: one line says so, and in a `Range` it reads as zeros, so offsets stay true.
    """
    parts, query = request.app[PARTS], asked(request, OutputQuery)
    wanted = await _wanted(parts, query, job_number(request))
    tail = query.tail
    ranged = hdrs.RANGE in request.headers and hdrs.IF_RANGE not in request.headers
    start = query.start
    if query.follow and ranged:
        raise InvalidRequest([FieldProblem("?follow", "give follow or a Range, not both")])
    if start is not None and (tail is not None or not query.follow):
        raise InvalidRequest(
            [FieldProblem("?from", "give it with follow and without tail; without follow ask for a Range")]
        )
    if start is not None:
        return await _follow_from(request, parts, wanted, start)
    if query.follow:
        return await _follow(request, parts, wanted, tail)
    reader = open_output(wanted.path(parts), wanted.mask)
    if reader is None:
        return _response(request, wanted, length=0)
    with reader:
        if ranged and tail is None:
            return await _range(request, reader, wanted)
        start = 0 if tail is None else await reader.tail_start(tail)
        return await _whole(request, reader, wanted, start)


async def _wanted(parts: Parts, query: OutputQuery, number: int) -> Wanted:
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
    task = await _find_task(store, job.id, given or 0)
    if task is None:
        raise NotFound("task", task_id(job.id, given or 0))
    return task


async def _find_task(store: Store, job: int, number: int) -> Task | None:
    found = await store.tasks(job, after=number - 1, limit=1)
    return found[0] if found and found[0].number == number else None


def _response(
    request: web.Request, wanted: Wanted, *, status: HTTPStatus = HTTPStatus.OK, length: int | None = None
) -> web.StreamResponse:
    response = web.StreamResponse(status=int(status), headers={hdrs.CONTENT_TYPE: "text/plain; charset=utf-8"})
    response.headers[hdrs.ACCEPT_RANGES] = "bytes"
    if asked(request, OutputQuery).download:
        stream = "err" if wanted.errors else "out"
        name = f"{task_id(wanted.job, wanted.task)}.{wanted.attempt}.{stream}.txt"
        response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}"'
    response.content_length = length
    return response


async def _range(request: web.Request, reader: Reader, wanted: Wanted) -> web.StreamResponse:
    size = reader.size
    start, stop = _asked(request, size)
    if start >= stop:
        raise _beyond(size)
    response = _response(request, wanted, status=HTTPStatus.PARTIAL_CONTENT, length=stop - start)
    response.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{size}"
    return await _send(request, response, reader.read(start, stop, exact=True))


def _beyond(size: int) -> Refused:
    return Refused(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        f"Ask for one range within the {size:,} bytes there are.",
        headers={str(hdrs.CONTENT_RANGE): f"bytes */{size}"},
    )


def _asked(request: web.Request, size: int) -> tuple[int, int]:
    """The range of the request, empty where there is no such one."""
    try:
        asked = request.http_range
    except ValueError:
        return 0, 0
    if asked.start == 0 and asked.stop is None and request.headers[hdrs.RANGE].lower().startswith("bytes=-"):
        return 0, 0  # The last 0 bytes: RFC 9110 has no such range, and aiohttp reads it as "from byte 0 on".
    start, stop, _ = asked.indices(size)
    return start, stop


async def _whole(request: web.Request, reader: Reader, wanted: Wanted, start: int) -> web.StreamResponse:
    stop = reader.size
    # The length is known where nothing was left out.
    gap = reader.has_gap()
    response = _response(request, wanted, length=None if gap else stop - start)
    response.headers[OUTPUT_START] = str(start)
    return await _send(request, response, reader.read(start, stop, exact=not gap))


async def _send(
    request: web.Request, response: web.StreamResponse, pieces: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    return response if request.method == hdrs.METH_HEAD else await send(request, response, pieces)


async def _follow(
    request: web.Request, parts: Parts, wanted: Wanted, tail: int | None, *, start: int | None = None
) -> web.StreamResponse:
    response = _response(request, wanted)
    response.headers["X-Accel-Buffering"] = "no"  # A proxy must not hold lines back until it has a page of them.
    if start is not None:
        response.headers[OUTPUT_START] = str(start)
    if request.method == hdrs.METH_HEAD:
        return response
    return await send(request, response, _followed(request, parts, wanted, tail, start=start))


async def _follow_from(request: web.Request, parts: Parts, wanted: Wanted, first: int) -> web.StreamResponse:
    """Follow from this byte on, or from the end of the freed middle that it lies in."""
    # A file that was removed, by whom ever, is as one that was cut off: who had a part of it must learn that the rest will not come.
    reader = None if wanted.attempt == AWAITED else open_output(wanted.path(parts))
    start, size = first, 0
    if reader is not None:
        with reader:
            size, start = reader.size, await reader.data_start(first)
    if first > size:
        raise _beyond(size)
    return await _follow(request, parts, wanted, None, start=start)


async def _followed(
    request: web.Request, parts: Parts, wanted: Wanted, tail: int | None, *, start: int | None
) -> AsyncGenerator[bytes, None]:
    wake, ended = asyncio.Event(), asyncio.Event()
    with parts.followers.follow(request, wanted.job) as news:
        while wanted.attempt == AWAITED:
            yield b""
            if is_gone(request):
                return
            wanted = await _begun(parts.store, wanted, news)
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


async def _begun(store: Store, wanted: Wanted, news: asyncio.Event) -> Wanted:
    """The same with the attempt that runs or was the last; still awaited when none began for a while."""
    news.clear()
    task = await _find_task(store, wanted.job, wanted.task)
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
            if _is_over(await _find_task(store, wanted.job, wanted.task), wanted.attempt):
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
