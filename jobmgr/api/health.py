"""The handlers for machines that watch the server, and the first page until there is one."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from jobmgr.api.middleware import RETRY_AFTER_S
from jobmgr.api.parts import PARTS
from jobmgr.api.send import json_answer

_WELCOME = """jobmgr is running.

POST /jobs         submit a job: {"jobName": "hello", "arguments": ["a", "b"]}
GET  /jobs         all jobs
GET  /jobs/job-0   one job; below it /tasks, /attempts and /output
GET  /stats        what the finished jobs say
"""


async def welcome(_request: web.Request) -> web.StreamResponse:
    """Say what is here."""
    return web.Response(text=_WELCOME)


async def healthz(_request: web.Request) -> web.StreamResponse:
    """The server answers: all that this says."""
    return json_answer({"status": "ok"})


async def readyz(request: web.Request) -> web.StreamResponse:
    """Whether new jobs would be taken now: not while recovering, not while shutting down."""
    manager = request.app[PARTS].manager
    if manager.ready and manager.accepting:
        return json_answer({"ready": True})
    reason = "shutting down" if manager.ready else "recovering"
    return json_answer(
        {"ready": False, "reason": reason},
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
