"""`GET /jobs`: which jobs, in which order, all of them or page by page.

Without `limit` all that pass are streamed: those that were there when it began, so that the length agrees with `X-Total-Count` as long as none is
deleted or ceases to pass. With `limit` comes one page, and as long as there is more a `Link` to the next: it carries the same filters and a cursor,
the place of the last job of this page. Nothing is kept between two pages. A cursor belongs to its filters and sort: with others it is refused, for
the jobs in between would be left out. With `q` there is no count, because counting would read all jobs before the first is sent.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from jobmgr.api import answers
from jobmgr.api.choosing import Labels, Statuses
from jobmgr.api.jobs import EVENT_SEQ
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.present import job_json
from jobmgr.api.query import Instant, Query, Text, Whole, asked
from jobmgr.api.send import send_array
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.job import Status
from jobmgr.stats.findings import Eta
from jobmgr.store.base import Store
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST, JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.records import Job

MAX_LIMIT = 1000

_SORTS = {f"{sign}{by}": JobOrder(by, sign == "-") for by in SortBy for sign in ("", "-")}


def _sort(text: Any) -> str:
    if text not in _SORTS:
        raise PydanticCustomError("sort", "give one of {sorts}", {"sorts": ", ".join(_SORTS)})
    return str(text)


def _is_ours(text: Any) -> str:
    if not str(text).isascii():
        raise PydanticCustomError("cursor", _NOT_OURS)
    return str(text)


_NOT_OURS = "this is none of ours; take it from a Link, or begin without it"
_Sort = Annotated[str, BeforeValidator(_sort), WithJsonSchema({"type": "string", "enum": list(_SORTS)})]


class JobsQuery(Query):
    """Which jobs, in which order, and how many."""

    status: list[Statuses] = Field(
        [],
        description="Only jobs in these statuses, separated by commas; `failed` finds crashed ones too, `finished` and `active` are accepted.",
    )
    name: Text | None = Field(None, description="Only jobs of exactly this name.")
    type: Text | None = Field(None, description="Only jobs of this job type.")
    label: Labels = Field(
        [], description="Only jobs with this label, as `key:value`, or `key` for any value; of several all must match."
    )
    q: Text | None = Field(None, description="Only jobs with this text in their name or an argument.")
    since: Instant | None = Field(None, description="Only jobs submitted at this time or later.")
    until: Instant | None = Field(None, description="Only jobs submitted before this time.")
    sort: _Sort = Field(
        SortBy.CREATED_AT.value,
        description="What they are sorted by; with `-` the other way round. Unfinished jobs come last.",
    )
    limit: Annotated[int, Whole(1, MAX_LIMIT)] | None = Field(
        None, description="At most so many; the `Link` header leads to the next page."
    )
    cursor: Annotated[str, BeforeValidator(_is_ours)] | None = Field(
        None, description="Where the page begins; taken from the `Link` of the page before."
    )


_ID_LIMIT = 2**63 - 1

_Placed = tuple[JobKey, Job, Eta | None]
"""A job with its place in the list, and what is expected of it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    found: JobFilter
    order: JobOrder
    limit: int | None
    after: JobKey | None


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """All jobs, or those that pass the filters, oldest first unless sorted.

    However many there are: without `limit` the answer is sent as it is read, and holds what was there when it began. With `limit` one page comes,
    and `Link` leads to the next. `X-Total-Count` says how many pass the filters; not with `q`, which would have to read all jobs to know.
    An answer that breaks off means that the server could not read on: what came is not all.
    """
    wanted, parts = _read(request), request.app[PARTS]
    store, headers = (
        parts.store,
        {EVENT_SEQ: str(parts.feed.seq)},
    )  # Before anything is read: what happens meanwhile is above it.
    if wanted.limit is not None:
        return await _page(request, parts, wanted, wanted.limit, headers=headers)
    found = replace(wanted.found, before=await _next_id(store))
    total = None if found.q is not None else await store.count_jobs(found)

    async def read(after: JobKey | None, limit: int) -> Sequence[_Placed]:
        while keys := await store.find_jobs(found, wanted.order, after=after, limit=limit):
            if pairs := await _jobs_at(parts, keys):
                return pairs
            after = keys[-1]  # They were deleted in between.
        return []

    return await send_array(
        request, total, read, first=wanted.after, key=_key_of, show=_shown, most=total, headers=headers
    )


async def _page(
    request: web.Request, parts: Parts, wanted: Asked, limit: int, *, headers: dict[str, str]
) -> web.StreamResponse:
    store = parts.store
    total = None if wanted.found.q is not None else await store.count_jobs(wanted.found)
    keys = await store.find_jobs(wanted.found, wanted.order, after=wanted.after, limit=limit + 1)
    if len(keys) > limit:
        headers["Link"] = _link(request, wanted, keys[limit - 1])
    places = {key: place for place, key in enumerate(keys[:limit])}

    async def read(after: JobKey | None, rows: int) -> Sequence[_Placed]:
        place = 0 if after is None else places[after] + 1
        while left := keys[place:limit][:rows]:
            if pairs := await _jobs_at(parts, left):
                return pairs
            place += len(left)
        return []

    return await send_array(request, total, read, first=None, key=_key_of, show=_shown, headers=headers)


async def _next_id(store: Store) -> int:
    """The id that no job has yet that is there now."""
    newest = await store.find_jobs(EVERY_JOB, replace(OLDEST_FIRST, descending=True), limit=1)
    return newest[0].id + 1 if newest else 0


async def _jobs_at(parts: Parts, keys: Sequence[JobKey]) -> list[_Placed]:
    """The jobs at these keys, as many from the front as fit into a page of the store."""
    places = {key.id: key for key in keys}
    jobs = await parts.store.jobs(list(places))
    etas = await parts.analyzer.etas(jobs)
    return [(places[job.id], job, etas.get(job.id)) for job in jobs]


def _key_of(placed: _Placed) -> JobKey | None:
    return placed[0]


def _shown(placed: _Placed) -> answers.Job:
    return job_json(placed[1], placed[2])


# --- what is asked for


def _read(request: web.Request) -> Asked:
    """Raises InvalidRequest for a cursor that is not of this list."""
    query = asked(request, JobsQuery)
    labels = dict(query.label)
    statuses: frozenset[Status] | None = frozenset().union(*query.status) if query.status else None
    found = JobFilter(statuses, query.name, query.type, labels, query.since, query.until, query.q)
    order = _SORTS[query.sort]
    return Asked(found, order, query.limit, None if query.cursor is None else _key(query.cursor, found, order))


# --- cursors


def _key(given: str, found: JobFilter, order: JobOrder) -> JobKey:
    try:
        value, number, digest = json.loads(urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4)))
    except (ValueError, TypeError, RecursionError):  # Not ASCII, not base64, not JSON, not three.
        value, number, digest = None, None, None
    if type(digest) is not str:
        raise InvalidRequest([FieldProblem("?cursor", _NOT_OURS)])
    if digest != _digest(found, order) or not _fits(value, number, order):
        problem = "it belongs to a list with other filters or another sort; give those again, or begin without it"
        raise InvalidRequest([FieldProblem("?cursor", problem)])
    return JobKey(value, number)


def _fits(value: object, number: object, order: JobOrder) -> bool:
    """Whether these can be a key of this order."""
    if type(number) is not int or not 0 <= number < _ID_LIMIT:
        return False
    if order.by is SortBy.NAME:
        return isinstance(value, str) and _storable(value)
    if value is None:
        return True
    return order.by is SortBy.FINISHED_AT and type(value) is int and abs(value) < _ID_LIMIT


def _storable(text: str) -> bool:
    """Whether it is Unicode, without lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(found: JobFilter, order: JobOrder) -> str:
    """Eight characters that tell lists apart."""
    statuses = None if found.statuses is None else sorted(found.statuses)
    labels = sorted(found.labels.items(), key=str)
    told = (statuses, found.name, found.type, labels, found.since, found.until, found.q, order.by, order.descending)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]


def _link(request: web.Request, wanted: Asked, last: JobKey) -> str:
    """The next page, as a Link header (RFC 8288) has it."""
    key = json.dumps([last.value, last.id, _digest(wanted.found, wanted.order)], separators=(",", ":"))
    cursor = urlsafe_b64encode(key.encode()).rstrip(b"=").decode()
    same = [(name, value) for name, value in request.query.items() if name != "cursor"]
    return f'</jobs?{urlencode([*same, ("cursor", cursor)])}>; rel="next"'
