"""Every route, as data: what the server registers, and what `openapi` describes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import Field

from jobmgr.admission import MAX_JOBS
from jobmgr.api import answers, health, history, jobs, output
from jobmgr.api.route import TEXT_TYPE, Answer, Body, Header, Route, Tag
from jobmgr.errors import IdempotencyMismatch, NoProgram, NotFound, WrongStatus
from jobmgr.submission import Submission

_PLACE = Header("Where the job is; of a single one that is still there.", {"type": "string", "format": "uri-reference"})
_REPLAYED = Header("The key was used before: these are the jobs of then.", {"type": "string", "const": "true"})
_TOTAL = Header("How many elements the whole list has.", {"type": "integer", "minimum": 0})
_KEY = Header(
    "Makes a repeated submission harmless: the same key with the same body gives the same jobs, also after a crash. With another body: 422.",
    {"type": "string", "minLength": 1, "maxLength": jobs.MAX_KEY_CHARS, "pattern": "^[ -~]+$"},
)
_RANGE = Header("One range of bytes, such as `bytes=0-999` or `bytes=-500`.", {"type": "string"})
_LENGTH = Header("Which bytes of how many these are.", {"type": "string"})
_ACCEPTS = Header("Ranges of bytes can be asked for.", {"type": "string", "const": "bytes"})
_DISPOSITION = Header("With `download`: the name to save it under.", {"type": "string"})

_SUBMITTED = answers.Submitted | list[answers.Submitted]
_SUBMISSION = Submission | Annotated[list[Submission], Field(min_length=1, max_length=MAX_JOBS)]

_EXAMPLES = {
    "One job": {"jobName": "hello", "arguments": ["a", "b"]},
    "A script of the scripts directory": {"script": "sample.sh", "arguments": ["x"], "timeout": 60},
    "Twenty tasks": {"jobName": "frames", "arguments": ["frame-{index}.png"], "numTask": 20},
    "A list of arguments for each task": {"jobName": "encode", "tasks": [["a.mp4"], ["b.mp4"]]},
    "Tried up to five times": {"jobName": "fetch", "retry": {"maxAttempts": 5, "delay": 2, "on": ["exit", "timeout"]}},
    "With variables": {"jobName": "report", "env": {"LANG": "C"}, "priority": "High"},
    "Many jobs, all or nothing": [{"jobName": "first"}, {"jobName": "second", "retry": False}],
}

ROUTES = (
    Route(
        "POST",
        "/jobs",
        jobs.submit,
        "Submit one job, or a list of them, all or nothing",
        tag=Tag.JOBS,
        headers={jobs.IDEMPOTENCY_KEY: _KEY},
        body=Body("One submission, or a list of them.", _SUBMISSION, _EXAMPLES),
        answers={
            HTTPStatus.CREATED: Answer(
                "The job is stored, and will run whatever happens to the server. A list is answered with a list.",
                _SUBMITTED,
                headers={hdrs.LOCATION: _PLACE, "Idempotency-Replayed": _REPLAYED},
            )
        },
        problems=(NoProgram, IdempotencyMismatch),
    ),
    Route(
        "GET",
        "/jobs",
        jobs.list_jobs,
        "All jobs, oldest first",
        tag=Tag.JOBS,
        answers={HTTPStatus.OK: Answer("The jobs.", list[answers.Job], headers={"X-Total-Count": _TOTAL})},
    ),
    Route(
        "GET",
        "/jobs/{id}",
        jobs.show_job,
        "One job",
        tag=Tag.JOBS,
        answers={HTTPStatus.OK: Answer("The job as it is now.", answers.Job)},
        problems=(NotFound,),
    ),
    Route(
        "DELETE",
        "/jobs/{id}",
        jobs.delete,
        "Delete a finished job with its attempts and output",
        tag=Tag.JOBS,
        answers={HTTPStatus.OK: Answer("It is there no more.", answers.Submitted)},
        problems=(NotFound, WrongStatus),
    ),
    Route(
        "POST",
        "/jobs/{id}/stop",
        jobs.stop,
        "Stop a job",
        tag=Tag.VERBS,
        answers={HTTPStatus.OK: Answer("It stops, or has stopped.", answers.Submitted)},
        problems=(NotFound, WrongStatus),
    ),
    Route(
        "POST",
        "/jobs/{id}/restart",
        jobs.restart,
        "Begin a new round of a finished job",
        tag=Tag.VERBS,
        answers={HTTPStatus.OK: Answer("It waits or runs again.", answers.Submitted)},
        problems=(NotFound, WrongStatus),
    ),
    Route(
        "GET",
        "/jobs/{id}/tasks",
        jobs.list_tasks,
        "The tasks of a job",
        tag=Tag.JOBS,
        answers={HTTPStatus.OK: Answer("The tasks.", list[answers.Task], headers={"X-Total-Count": _TOTAL})},
        problems=(NotFound,),
    ),
    Route(
        "GET",
        "/jobs/{id}/attempts",
        jobs.list_attempts,
        "The attempts of a job",
        tag=Tag.JOBS,
        query=jobs.AttemptsQuery,
        answers={HTTPStatus.OK: Answer("The attempts, by task and number.", list[answers.Attempt])},
        problems=(NotFound,),
    ),
    Route(
        "GET",
        "/jobs/{id}/output",
        output.output,
        "What an attempt printed",
        tag=Tag.OUTPUT,
        query=output.OutputQuery,
        headers={hdrs.RANGE: _RANGE},
        answers={
            HTTPStatus.OK: Answer(
                "What was printed, as it was printed.",
                media=TEXT_TYPE,
                headers={hdrs.ACCEPT_RANGES: _ACCEPTS, hdrs.CONTENT_DISPOSITION: _DISPOSITION},
            ),
            HTTPStatus.PARTIAL_CONTENT: Answer(
                "The range that was asked for.", media=TEXT_TYPE, headers={hdrs.CONTENT_RANGE: _LENGTH}
            ),
        },
        problems=(NotFound,),
        refused=(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,),
    ),
    Route(
        "GET",
        "/history",
        history.history,
        "Every attempt of every job, as JSON lines",
        tag=Tag.STATISTICS,
        query=history.HistoryQuery,
        answers={HTTPStatus.OK: Answer("One JSON object a line, one line an attempt.", media=history.LINES_TYPE)},
    ),
    Route(
        "GET",
        "/stats",
        jobs.statistics,
        "What the finished jobs say",
        tag=Tag.STATISTICS,
        answers={HTTPStatus.OK: Answer("The statistics.", answers.Stats)},
    ),
    Route(
        "GET",
        "/healthz",
        health.healthz,
        "The server answers",
        tag=Tag.SERVER,
        answers={HTTPStatus.OK: Answer("It does.", answers.Health)},
    ),
    Route(
        "GET",
        "/readyz",
        health.readyz,
        "New jobs would be taken now",
        tag=Tag.SERVER,
        answers={
            HTTPStatus.OK: Answer("They would.", answers.Ready),
            HTTPStatus.SERVICE_UNAVAILABLE: Answer("Not now.", answers.Ready),
        },
    ),
    Route(
        "GET",
        "/",
        health.welcome,
        "What is here",
        tag=Tag.SERVER,
        answers={HTTPStatus.OK: Answer("A few lines for a person.", media=TEXT_TYPE)},
    ),
)


def register(app: web.Application) -> None:
    """Add all routes; what can be read can be asked for with HEAD too."""
    for route in ROUTES:
        handler = route.checked()
        app.router.add_route(route.method, route.path, handler)
        if route.method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, route.path, handler)
