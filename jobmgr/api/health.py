"""The handlers for machines that watch the server, and the first page until there is one."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from jobmgr.api import answers
from jobmgr.api.middleware import RETRY_AFTER_S
from jobmgr.api.parts import PARTS
from jobmgr.api.send import json_answer

_WELCOME = """jobmgr is running.

POST /jobs         submit a job: {"jobName": "hello", "arguments": ["a", "b"]}
GET  /jobs         all jobs
GET  /jobs/job-0   one job; below it /tasks, /attempts and /output
GET  /events       what happens, as it happens: curl -N
GET  /stats        what goes with failure; below it /failures and /jobs/NAME
GET  /docs         all of it, to read and to try out; /openapi.json for programs
"""


_READY: answers.Ready = {"ready": True}


async def welcome(_request: web.Request) -> web.StreamResponse:
    """Say what is here.

    A few lines of text for whoever opens the address.
    """
    return web.Response(text=_WELCOME)


async def healthz(_request: web.Request) -> web.StreamResponse:
    """The server answers: all that this says.

    For whoever restarts servers that hang. It is 200 while the server recovers and while it shuts down too.
    """
    answer: answers.Health = {"status": "ok"}
    return json_answer(answer)


async def readyz(request: web.Request) -> web.StreamResponse:
    """Whether new jobs would be taken now: not while recovering, not while shutting down.

    For whoever sends requests to servers that are ready. 503 says in `reason` why it is not.
    """
    manager = request.app[PARTS].manager
    if manager.ready and manager.accepting:
        return json_answer(_READY)
    answer: answers.Ready = {"ready": False, "reason": "shutting down" if manager.ready else "recovering"}
    return json_answer(
        answer,
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
