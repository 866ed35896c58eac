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

from collections.abc import AsyncGenerator
from http import HTTPStatus

from aiohttp import hdrs, web

from jobmgr.api.following import OutputQuery, Wanted, beyond, data_start, followed, wanted_output
from jobmgr.api.output_live import stream_output, takes_stream, watch_output
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.query import asked, job_number
from jobmgr.api.send import send
from jobmgr.api.websocket import is_upgrade
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.job import task_id
from jobmgr.output.reader import Reader, open_output

OUTPUT_START = "Output-Start"


async def show_output(request: web.Request) -> web.StreamResponse:
    """Answer with what an attempt printed.

    Byte for byte, of the newest attempt unless `attempt` says another; empty before it printed anything. A job with many tasks needs `task`.

    * `tail=20` gives the last lines, `Range: bytes=1000-` what follows byte 1000.
    * `follow=true` goes on until the attempt is over. A connection that breaks before means that the server left: ask again, with `from` to go on
      where it broke. An answer with `from` may end earlier; one that begins there and is empty says that all was sent.
    * A WebSocket, and a request that accepts `text/event-stream` with `follow=true`, get it as messages: `output` with `from`, `to` and `text`, so
      whoever lost the connection goes on with `from` (a stream by itself, with `Last-Event-ID`); `gap` for a middle that was freed; `end`.
    * Output beyond the cap (64 MiB) loses its middle: one line says so, and in a `Range` it reads as zeros, so offsets stay true.
    """
    parts, query = request.app[PARTS], asked(request, OutputQuery)
    live = is_upgrade(request)
    if live:
        query = query.model_copy(update={"follow": True})
    wanted = await wanted_output(parts, query, job_number(request))
    tail = query.tail
    ranged = hdrs.RANGE in request.headers and hdrs.IF_RANGE not in request.headers
    start = query.start
    if query.follow and ranged:
        raise InvalidRequest([FieldProblem("?follow", "give follow or a Range, not both")])
    if start is not None and (tail is not None or not query.follow):
        raise InvalidRequest(
            [FieldProblem("?from", "give it with follow and without tail; without follow ask for a Range")]
        )
    if live:
        return await watch_output(request, parts, wanted, query)
    if query.follow:
        return await _followed_answer(request, parts, wanted, query)
    reader = open_output(wanted.path(parts), wanted.mask)
    if reader is None:
        return _response(request, wanted, length=0)
    with reader:
        if ranged and tail is None:
            return await _range(request, reader, wanted)
        start = 0 if tail is None else await reader.tail_start(tail)
        return await _whole(request, reader, wanted, start)


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
        raise beyond(size)
    response = _response(request, wanted, status=HTTPStatus.PARTIAL_CONTENT, length=stop - start)
    response.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{size}"
    return await _send(request, response, reader.read(start, stop, exact=True))


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


async def _followed_answer(
    request: web.Request, parts: Parts, wanted: Wanted, query: OutputQuery
) -> web.StreamResponse:
    if takes_stream(request):
        return await stream_output(request, parts, wanted, query)
    if query.start is not None:
        return await _follow_from(request, parts, wanted, query.start)
    return await _follow(request, parts, wanted, query.tail)


async def _follow(
    request: web.Request, parts: Parts, wanted: Wanted, tail: int | None, *, start: int | None = None
) -> web.StreamResponse:
    response = _response(request, wanted)
    response.headers["X-Accel-Buffering"] = "no"  # A proxy must not hold lines back until it has a page of them.
    if start is not None:
        response.headers[OUTPUT_START] = str(start)
    if request.method == hdrs.METH_HEAD:
        return response
    return await send(request, response, followed(request, parts, wanted, tail, start=start))


async def _follow_from(request: web.Request, parts: Parts, wanted: Wanted, first: int) -> web.StreamResponse:
    """Follow from this byte on, or from the end of the freed middle that it lies in."""
    return await _follow(request, parts, wanted, None, start=await data_start(parts, wanted, first))
