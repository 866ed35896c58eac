"""Turns every error into one answer: problem+json with an `error` sentence. The only place that knows HTTP statuses of errors.

`problems` is the outermost middleware. What jobmgr raises on purpose has a row in `STATUSES`; what aiohttp raises (no such path, wrong method) keeps
its status; anything else is a bug: 500 with an id that is in the log beside the traceback, which no client sees. An answer that
already began cannot become an error any more: its connection is cut, so that no client takes half of it for the whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from secrets import token_hex
from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

from jobmgr import errors
from jobmgr.log import get_logger
from jobmgr.submission import MAX_PROBLEMS

RETRY_AFTER_S = 5
JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
SHOWN_PROBLEMS = 3
"""So many are in the sentence; up to MAX_PROBLEMS of them are in `errors`."""

MAX_QUOTED_CHARS = 500
"""Of a field's name and of what is wrong with it: an answer never grows with what was sent."""

STATUSES: Mapping[type[errors.JobmgrError], HTTPStatus] = {
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.NoProgram: HTTPStatus.CONFLICT,
    errors.WrongStatus: HTTPStatus.CONFLICT,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.IdempotencyMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Recovering: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ShuttingDown: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooManyWatchers: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DiskFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.DataDirError: HTTPStatus.INSUFFICIENT_STORAGE,
}

SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = get_logger()


class Refused(Exception):
    """A request that HTTP itself refuses, before it means anything: status and sentence, and headers if any."""

    def __init__(self, status: HTTPStatus, sentence: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})
        super().__init__(sentence)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with problem+json whatever went wrong inside."""
    try:
        return await handler(request)
    except Refused as refused:
        return problem(refused.status, refused.sentence, headers=refused.headers)
    except errors.JobmgrError as error:
        return _answer(request, error)
    except web.HTTPException as error:
        return _plain(request, error)
    except ConnectionError:
        raise  # The client left; aiohttp drops the connection.
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the traceback.
        return _bug(request, error)


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect` before the handler runs: aiohttp's own answer to what nobody knows would be plain text."""
    if request.version < HttpVersion11:
        return None
    if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        return problem(
            HTTPStatus.EXPECTATION_FAILED, "Nothing but Expect: 100-continue is understood; leave the header out."
        )
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # As if nothing had been sent: the answer is still to come.
    return None


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the headers that keep browsers careful (a signal, so that streams and errors get them too)."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "jobmgr"  # Not which library in which version.


def problem(
    status: HTTPStatus, sentence: str, *, headers: Mapping[str, str] | None = None, **fields: Any
) -> web.StreamResponse:
    """An RFC 9457 answer. Its `status` is the number of HTTP, so the status of a job goes by `jobStatus`."""
    content = {"success": False, "title": status.phrase, "status": int(status), "error": sentence, **fields}
    # A pointer may quote anything that a client sent, lone surrogates too.
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
    return web.Response(status=int(status), body=body, content_type=PROBLEM_TYPE, headers=dict(headers or {}))


def _answer(request: web.Request, error: errors.JobmgrError) -> web.StreamResponse:
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
    if status is None or _started(request):
        return _bug(request, error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    if isinstance(error, errors.InvalidRequest):
        listed = [{"field": _short(p.field), "problem": _short(p.problem)} for p in error.problems[:MAX_PROBLEMS]]
        return problem(status, _sentence(error), errors=listed)
    if isinstance(error, errors.WrongStatus):
        return problem(status, str(error), jobId=error.job, jobStatus=error.status)
    return problem(status, str(error), headers=headers)


def _sentence(error: errors.InvalidRequest) -> str:
    first = error.problems[:SHOWN_PROBLEMS]
    shown = str(errors.InvalidRequest([errors.FieldProblem(_short(p.field), _short(p.problem)) for p in first]))
    more = len(error.problems) - SHOWN_PROBLEMS
    return f"{shown}; and {more} more" if more > 0 else shown


def _short(text: str) -> str:
    return text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}…"


def _plain(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """What aiohttp itself answers: no such path, wrong method."""
    status = HTTPStatus(error.status)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        sentence = f"{request.method} is not possible on {_short(request.path)}; possible: {allowed}."
        return problem(status, sentence, headers={"Allow": allowed})
    if status is HTTPStatus.NOT_FOUND:
        return problem(status, f"There is nothing at {_short(request.path)}.")
    return problem(status, error.reason)


def _bug(request: web.Request, error: Exception) -> web.StreamResponse:
    reference = token_hex(6)
    _log.error("request failed", id=reference, method=request.method, path=request.path, exc_info=error)
    started = _started(request)
    if started is not None:
        cut(request)
        return started
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"Something went wrong in the server; its log has it as {reference}.",
        id=reference,
    )


_STARTED = web.RequestKey("started", web.StreamResponse)


def mark_started(request: web.Request, response: web.StreamResponse) -> None:
    """Remember that this answer began to be sent."""
    request[_STARTED] = response


def cut(request: web.BaseRequest) -> None:
    """Break the connection, so that the client sees that its answer is not whole."""
    if request.transport is not None:
        request.transport.abort()


def _started(request: web.Request) -> web.StreamResponse | None:
    return request.get(_STARTED)
