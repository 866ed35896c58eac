"""Every route, as data: what the server registers, and what later describes the interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from jobmgr.api import health, jobs, listing, output
from jobmgr.api.query import check_query

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path. `query` names the parameters it knows, each with its meaning; others are refused. `many` may be repeated."""

    method: str
    path: str
    handler: Handler
    summary: str
    query: Mapping[str, str] = field(default_factory=dict)
    many: Collection[str] = ()

    def checked(self) -> Handler:
        """The handler behind the check of its query."""

        async def handle(request: web.Request) -> web.StreamResponse:
            check_query(request, self.query, self.many)
            return await self.handler(request)

        return handle


ROUTES = (
    Route("POST", "/jobs", jobs.submit, "Submit one job, or a list of them, all or nothing"),
    Route("GET", "/jobs", listing.list_jobs, "All jobs, oldest first", listing.QUERY, listing.MANY),
    Route("GET", "/jobs/{id}", jobs.show_job, "One job"),
    Route("DELETE", "/jobs/{id}", jobs.delete, "Delete a finished job with its attempts and output"),
    Route("POST", "/jobs/{id}/stop", jobs.stop, "Stop a job"),
    Route("POST", "/jobs/{id}/restart", jobs.restart, "Begin a new round of a finished job"),
    Route("GET", "/jobs/{id}/tasks", jobs.list_tasks, "The tasks of a job"),
    Route(
        "GET", "/jobs/{id}/attempts", jobs.list_attempts, "The attempts of a job", {"task": "only those of this task"}
    ),
    Route("GET", "/jobs/{id}/output", output.output, "What an attempt printed", output.QUERY),
    Route("GET", "/stats", jobs.statistics, "What the finished jobs say"),
    Route("GET", "/healthz", health.healthz, "The server answers"),
    Route("GET", "/readyz", health.readyz, "New jobs would be taken now"),
    Route("GET", "/", health.welcome, "What is here"),
)


def register(app: web.Application) -> None:
    """Add all routes; what can be read can be asked for with HEAD too."""
    for route in ROUTES:
        handler = route.checked()
        app.router.add_route(route.method, route.path, handler)
        if route.method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, route.path, handler)
