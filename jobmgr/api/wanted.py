"""What watchers ask for: from where on, and which events; the same words in an address, in a message of a WebSocket, and over Socket.IO."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from jobmgr.api.choosing import Labels, Statuses
from jobmgr.api.query import Query, Text, Whole, read
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.events import EVERY_EVENT, STORED, EventFilter
from jobmgr.job import parse_job_id
from jobmgr.watchers import MAX_NAME_CHARS

NAME = f"[!-~]{{1,{MAX_NAME_CHARS}}}"
"""What a watcher may be called: it stands in addresses and logs."""


def _job(text: Any) -> int:
    number = parse_job_id(str(text))
    if number is None:
        raise PydanticCustomError("job", "give the id of a job, such as job-7")
    return number


def _client(text: Any) -> str:
    name = str(text)
    if re.fullmatch(NAME, name) is None:
        most = {"most": MAX_NAME_CHARS}
        raise PydanticCustomError("client", "give a name of 1 to {most} ASCII characters, without spaces", most)
    return name


_JobId = Annotated[
    int, BeforeValidator(_job), WithJsonSchema({"type": "string", "pattern": "^job-(0|[1-9][0-9]{0,17})$"})
]
ClientId = Annotated[str, BeforeValidator(_client), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"})]
Seq = Annotated[int, Whole()]


class FilterQuery(Query):
    """Which events."""

    event: list[Literal["job-update", "task-update", "update-on-jobs"]] = Field(
        [], description="Only events of this kind; by default `job-update` and `task-update`."
    )
    job: list[_JobId] = Field([], description="Only events of this job; of several any.")
    status: list[Statuses] = Field(
        [],
        description="Only events that tell of this status, as in `GET /jobs`: `failed` finds `crashed` too, `finished` and `active` are accepted.",
    )
    name: list[Text] = Field([], description="Only events of jobs of exactly this name.")
    type: list[Text] = Field([], description="Only events of jobs of this job type.")
    label: Labels = Field(
        [],
        description="Only events of jobs with this label, as `key:value`, or `key` for any value; of several all must match.",
    )

    def wanted(self, kinds: frozenset[str] = STORED) -> EventFilter:
        """The filter; `kinds` where it names none."""
        found = EventFilter(
            kinds=frozenset(self.event) or kinds,
            jobs=frozenset(self.job) or None,
            statuses=frozenset().union(*self.status) or None,
            names=frozenset(self.name) or None,
            types=frozenset(self.type) or None,
            labels=tuple(sorted(self.label, key=str)),
        )
        return EVERY_EVENT if found == EVERY_EVENT else found


class WatchQuery(FilterQuery):
    """Which events, from where on, and for whom."""

    after: Seq | None = Field(
        None,
        description="Begin after the event of this number, with what came since; by default with what comes from now on.",
    )
    clientId: ClientId | None = Field(
        None,
        description="A name for this watcher: it then begins after what it acknowledged last (`ack`), also over restarts of the server.",
    )


def filter_of(given: object, *, at: str, kinds: frozenset[str] = STORED) -> EventFilter:
    """A filter that comes as JSON: an object of the same words, each with a text or a list of them. Raises InvalidRequest; `at` is its place."""
    return read(_texts(given, at), FilterQuery, at=f"{at}/").wanted(kinds)


def watch_of(given: object, *, at: str) -> WatchQuery:
    """A filter that comes as JSON, with who watches and from where on: `after` is a number. Raises InvalidRequest."""
    if isinstance(given, Mapping) and "after" in given:
        after = given["after"]
        if not isinstance(after, int) or isinstance(after, bool):
            raise InvalidRequest([FieldProblem(f"{at}/after", "give the number of an event")])
        given = {**given, "after": str(after)}
    return read(_texts(given, at), WatchQuery, at=f"{at}/")


def _texts(given: object, at: str) -> dict[str, list[str]]:
    if not isinstance(given, Mapping):
        raise InvalidRequest([FieldProblem(at, 'give an object, such as {"status": "failed"}; {} for everything')])
    texts: dict[str, list[str]] = {}
    problems = []
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if all(isinstance(item, str) for item in values):
            texts[name] = values
        else:
            problems.append(FieldProblem(f"{at}/{name}", "give a text, or a list of texts"))
    if problems:
        raise InvalidRequest(problems)
    return texts
