"""What a route is: one method on one path, with everything that a reader of the interface needs to know of it.

The server registers routes, `openapi` describes them. A route says what is its own; what every route can answer (`ALWAYS`, `ON_CHANGE`) is added
here, so that it is written once.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from jobmgr.api.middleware import JSON_TYPE, STATUSES
from jobmgr.api.query import Query, check
from jobmgr.errors import JobmgrError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TEXT_TYPE = "text/plain"
HTML_TYPE = "text/html"
STREAM_TYPE = "text/event-stream"

ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR)
"""What any request may be refused with: wrong parameters or Host, another server's name, a bug."""

ON_CHANGE = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.INSUFFICIENT_STORAGE,
)
"""What a request that changes something may be refused with besides."""


class Tag(StrEnum):
    """The chapters of the interface, in their order."""

    JOBS = "jobs"
    VERBS = "verbs"
    OUTPUT = "output"
    TYPES = "types"
    LIVE = "live"
    WEBHOOKS = "webhooks"
    STATISTICS = "statistics"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a request or an answer. `schema` is its JSON schema."""

    meaning: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a route. `body` is the type of its JSON; where it is none, `media` says what comes instead (None: nothing)."""

    meaning: str
    body: Any = None
    _: KW_ONLY
    media: str | None = JSON_TYPE
    stream: Any = None
    """The type of one event, where server-sent events may come in its place."""
    headers: Mapping[str, Header] = field(default_factory=dict)
    links: Sequence[str] = ()
    """The operations that the `jobId` of this answer leads to."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a request must send: the type of its JSON, with examples by their title."""

    meaning: str
    type: Any
    examples: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path. `problems` and `refused`: what it may be refused with of its own, as errors and as statuses that HTTP itself has.

    The docstring of its handler is its description, but for the first line.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    _: KW_ONLY
    tag: Tag
    answers: Mapping[HTTPStatus, Answer]
    problems: tuple[type[JobmgrError], ...] = ()
    refused: tuple[HTTPStatus, ...] = ()
    query: type[Query] = Query
    headers: Mapping[str, Header] = field(default_factory=dict)
    body: Body | None = None
    tail: bool = False
    """Whether the last parameter of the path takes all that follows, slashes too."""

    @property
    def pattern(self) -> str:
        """The path as the router reads it."""
        return f"{self.path[:-1]}:(?s:.+)}}" if self.tail else self.path

    @property
    def operation(self) -> str:
        """Its name in generated clients: that of its handler."""
        first, *more = self.handler.__name__.split("_")
        return first + "".join(word.capitalize() for word in more)

    @property
    def description(self) -> str:
        """What its handler's docstring says after the first line."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[2].strip()

    @property
    def refusals(self) -> list[HTTPStatus]:
        """Every status of problem+json that it can answer with."""
        own = {STATUSES[problem] for problem in self.problems}.union(self.refused)
        common = ALWAYS if self.method == hdrs.METH_GET else (*ALWAYS, *ON_CHANGE)
        return sorted(own.union(common) - set(self.answers))

    def checked(self) -> Handler:
        """The handler behind the check of its query."""

        async def handle(request: web.Request) -> web.StreamResponse:
            check(request, self.query)
            return await self.handler(request)

        return handle
