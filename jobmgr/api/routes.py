"""Every route, as data: what the server registers, and what `openapi` describes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from jobmgr.api import (
    answers,
    events,
    following,
    health,
    history,
    jobs,
    listing,
    output,
    pages,
    stats,
    types,
    websocket,
)
from jobmgr.api.bodies import EXAMPLES, SUBMISSIONS
from jobmgr.api.middleware import expect
from jobmgr.api.route import HTML_TYPE, TEXT_TYPE, Answer, Body, Header, Route, Tag
from jobmgr.api.wanted import WatchQuery
from jobmgr.api.webhook_routes import WEBHOOK_ROUTES
from jobmgr.errors import IdempotencyMismatch, NoProgram, NotFound, TooManyWatchers, WrongStatus
from jobmgr.stats import findings

_PLACE = Header(
    "Where the job is; not with a list, nor when the job was deleted since.",
    {"type": "string", "format": "uri-reference"},
)
_REPLAYED = Header(
    "The key was used before: these are the jobs that it made then.", {"type": "string", "const": "true"}
)
_TOTAL = Header("How many elements the whole list has.", {"type": "integer", "minimum": 0})
_COUNTED = Header("How many jobs pass the filters; not with `q`.", {"type": "integer", "minimum": 0})
_NEXT = Header("With `limit`, while there is more: the next page (`rel=next`).", {"type": "string"})
_KEY = Header(
    "Makes a repeated submission harmless: the same key with the same body gives the same jobs, also after a crash. With another body: 422.",
    {"type": "string", "minLength": 1, "maxLength": jobs.MAX_KEY_CHARS, "pattern": "^[ -~]+$"},
)
_VERSION = Header("Names this version of the answer; `If-None-Match` asks for another one only.", {"type": "string"})
_KNOWN = Header("The `ETag` of what the client has: where it is still so, the answer is 304.", {"type": "string"})
_UNCHANGED = Answer("What the client has is still so.", media=None)
_RANGE = Header("One range of bytes, such as `bytes=0-999` or `bytes=-500`.", {"type": "string"})
_LENGTH = Header("Which bytes of how many these are.", {"type": "string"})
_ACCEPTS = Header("Ranges of bytes can be asked for.", {"type": "string", "const": "bytes"})
_START = Header(
    "The byte of the output at which this begins; sent with `from`, `tail`, and the whole.",
    {"type": "integer", "minimum": 0},
)
_DISPOSITION = Header("With `download`: the name to save it under.", {"type": "string"})

_LAST = Header(
    "The number of the last event that the client has; wins over `after`.", {"type": "integer", "minimum": 0}
)
_EVENT_SEQ = Header(
    "The number of an event: whatever this answer does not show yet comes after it. Go on with `GET /events?after=`.",
    {"type": "integer", "minimum": 0},
)

_SUBMITTED = answers.Submitted | list[answers.Submitted]

ROUTES = (
    Route(
        "POST",
        "/jobs",
        jobs.submit_jobs,
        "Submit one job, or a list of them, all or nothing",
        tag=Tag.JOBS,
        headers={jobs.IDEMPOTENCY_KEY: _KEY},
        body=Body("One submission, or a list of them.", SUBMISSIONS, EXAMPLES),
        answers={
            HTTPStatus.CREATED: Answer(
                "The job is stored, and will run whatever happens to the server. A list is answered with a list.",
                _SUBMITTED,
                headers={hdrs.LOCATION: _PLACE, "Idempotency-Replayed": _REPLAYED},
                links=("showJob", "listTasks", "listAttempts", "showOutput", "stopJob", "restartJob", "deleteJob"),
            )
        },
        problems=(NoProgram, IdempotencyMismatch),
    ),
    Route(
        "GET",
        "/jobs",
        listing.list_jobs,
        "All jobs, oldest first, or those that pass the filters",
        tag=Tag.JOBS,
        query=listing.JobsQuery,
        answers={
            HTTPStatus.OK: Answer(
                "The jobs.",
                list[answers.Job],
                headers={"X-Total-Count": _COUNTED, "Link": _NEXT, jobs.EVENT_SEQ: _EVENT_SEQ},
            )
        },
    ),
    Route(
        "GET",
        "/jobs/{id}",
        jobs.show_job,
        "One job",
        tag=Tag.JOBS,
        headers={hdrs.IF_NONE_MATCH: _KNOWN},
        answers={
            HTTPStatus.OK: Answer(
                "The job as it is now.", answers.Job, headers={"ETag": _VERSION, jobs.EVENT_SEQ: _EVENT_SEQ}
            ),
            HTTPStatus.NOT_MODIFIED: _UNCHANGED,
        },
        problems=(NotFound,),
    ),
    Route(
        "DELETE",
        "/jobs/{id}",
        jobs.delete_job,
        "Delete a finished job with its attempts and output",
        tag=Tag.JOBS,
        answers={HTTPStatus.OK: Answer("It is there no more.", answers.Submitted)},
        problems=(NotFound, WrongStatus),
    ),
    Route(
        "POST",
        "/jobs/{id}/stop",
        jobs.stop_job,
        "Stop a job",
        tag=Tag.VERBS,
        answers={HTTPStatus.OK: Answer("It stops, or has stopped.", answers.Submitted)},
        problems=(NotFound, WrongStatus),
    ),
    Route(
        "POST",
        "/jobs/{id}/restart",
        jobs.restart_job,
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
        output.show_output,
        "What an attempt printed",
        tag=Tag.OUTPUT,
        query=following.OutputQuery,
        headers={hdrs.RANGE: _RANGE},
        answers={
            HTTPStatus.OK: Answer(
                "What was printed, as it was printed.",
                media=TEXT_TYPE,
                stream=answers.StreamedEvent,
                headers={
                    hdrs.ACCEPT_RANGES: _ACCEPTS,
                    output.OUTPUT_START: _START,
                    hdrs.CONTENT_DISPOSITION: _DISPOSITION,
                },
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
        "/types",
        types.list_types,
        "The job types of this server",
        tag=Tag.TYPES,
        answers={HTTPStatus.OK: Answer("The types, in the order of the catalog.", list[answers.JobType])},
    ),
    Route(
        "GET",
        "/types/{name}",
        types.show_type,
        "One job type",
        tag=Tag.TYPES,
        answers={HTTPStatus.OK: Answer("The type with its parameters.", answers.JobType)},
        problems=(NotFound,),
    ),
    *WEBHOOK_ROUTES,
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
        stats.statistics,
        "What the finished jobs say",
        tag=Tag.STATISTICS,
        query=stats.StatsQuery,
        answers={HTTPStatus.OK: Answer("The statistics.", findings.Stats)},
    ),
    Route(
        "GET",
        "/stats/failures",
        stats.kinds_of_failure,
        "What failed attempts said last, grouped",
        tag=Tag.STATISTICS,
        query=stats.FailuresQuery,
        answers={HTTPStatus.OK: Answer("The kinds of failure.", findings.Failures)},
    ),
    Route(
        "GET",
        "/stats/jobs/{name}",
        stats.report_on_name,
        "What is known of the jobs of one name",
        tag=Tag.STATISTICS,
        answers={HTTPStatus.OK: Answer("The report.", findings.NameReport)},
        problems=(NotFound,),
        tail=True,
    ),
    Route(
        "GET",
        "/events",
        events.watch_events,
        "What happens, as it happens",
        tag=Tag.LIVE,
        query=events.EventsQuery,
        headers={events.LAST_EVENT_ID: _LAST},
        answers={
            HTTPStatus.OK: Answer(
                "A stream of server-sent events; with `wait` one JSON object.",
                answers.FeedPage,
                stream=answers.StreamedEvent,
            )
        },
        problems=(TooManyWatchers,),
        refused=(HTTPStatus.FORBIDDEN,),
    ),
    Route(
        "GET",
        "/ws",
        websocket.watch_socket,
        "What happens, over a WebSocket",
        tag=Tag.LIVE,
        query=WatchQuery,
        answers={HTTPStatus.SWITCHING_PROTOCOLS: Answer("A WebSocket: events as text messages.", media=None)},
        problems=(TooManyWatchers,),
        refused=(HTTPStatus.FORBIDDEN, HTTPStatus.UPGRADE_REQUIRED),
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
        "/openapi.json",
        pages.openapi_document,
        "This interface, for programs",
        tag=Tag.SERVER,
        headers={hdrs.IF_NONE_MATCH: _KNOWN},
        answers={
            HTTPStatus.OK: Answer("The OpenAPI 3.1 document.", dict[str, Any], headers={"ETag": _VERSION}),
            HTTPStatus.NOT_MODIFIED: _UNCHANGED,
        },
    ),
    Route(
        "GET",
        "/docs",
        pages.docs_page,
        "This interface, for people",
        tag=Tag.SERVER,
        headers={hdrs.IF_NONE_MATCH: _KNOWN},
        answers={
            HTTPStatus.OK: Answer("The page.", media=HTML_TYPE, headers={"ETag": _VERSION}),
            HTTPStatus.NOT_MODIFIED: _UNCHANGED,
        },
    ),
    Route(
        "GET",
        "/",
        websocket.watch_or_welcome,
        "What is here; what happens, for a WebSocket",
        tag=Tag.SERVER,
        query=WatchQuery,
        answers={HTTPStatus.OK: Answer("A few lines for a person.", media=TEXT_TYPE)},
    ),
)


def register(app: web.Application) -> None:
    """Add all routes; what can be read can be asked for with HEAD too."""
    for route in ROUTES:
        handler = route.checked()
        app.router.add_route(route.method, route.pattern, handler, expect_handler=expect)
        if route.method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, route.pattern, handler, expect_handler=expect)
    app.router.add_get("/docs/{file}", pages.docs_file, expect_handler=expect)
    app[pages.INTERFACE] = pages.Interface(ROUTES)
