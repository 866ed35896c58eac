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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from jobmgr.api.parts import PARTS
from jobmgr.api.present import job_json
from jobmgr.api.query import choice, instant, number, text
from jobmgr.api.send import send_array
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.job import ACTIVE, FINISHED, Status
from jobmgr.store.base import Store
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST, JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.records import Job

MAX_LIMIT = 1000
MANY = frozenset({"label", "status"})
"""Parameters that may be given more than once."""
QUERY: Mapping[str, str] = {
    "status": "only jobs in these statuses, separated by commas; `failed` finds crashed ones too, `finished` and `active` are accepted",
    "name": "only jobs of exactly this name",
    "type": "only jobs of this job type",
    "label": "only jobs with this label, as `key:value`, or `key` for any value; may be repeated, then all must match",
    "q": "only jobs with this text in their name or an argument",
    "since": "only jobs submitted at this time (RFC 3339) or later",
    "until": "only jobs submitted before this time (RFC 3339)",
    "sort": "createdAt (default), finishedAt or jobName; with a leading `-` the other way round",
    "limit": f"at most so many jobs, 1 to {MAX_LIMIT:,}; the `Link` header leads to the next page",
    "cursor": "where the page begins; taken from the `Link` of the page before",
}

_WORDS: Mapping[str, frozenset[Status]] = {
    **{status: frozenset({status}) for status in Status},
    Status.FAILED: frozenset({Status.CRASHED, Status.FAILED}),
    "finished": FINISHED,
    "active": ACTIVE,
}
_SORTS = {f"{sign}{by}": JobOrder(by, sign == "-") for by in SortBy for sign in ("", "-")}
_ID_LIMIT = 2**63 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    found: JobFilter
    order: JobOrder
    limit: int | None
    after: JobKey | None


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """All jobs, or those that pass the filters, oldest first unless sorted."""
    asked, store = _read(request), request.app[PARTS].store
    if asked.limit is not None:
        return await _page(request, store, asked, asked.limit)
    found = replace(asked.found, before=await _next_id(store))
    total = None if found.q is not None else await store.count_jobs(found)

    async def read(after: JobKey | None, limit: int) -> Sequence[tuple[JobKey, Job]]:
        while keys := await store.find_jobs(found, asked.order, after=after, limit=limit):
            if pairs := await _jobs_at(store, keys):
                return pairs
            after = keys[-1]  # They were deleted in between.
        return []

    return await send_array(request, total, read, first=asked.after, key=_key_of, show=_shown, most=total)


async def _page(request: web.Request, store: Store, asked: Asked, limit: int) -> web.StreamResponse:
    total = None if asked.found.q is not None else await store.count_jobs(asked.found)
    keys = await store.find_jobs(asked.found, asked.order, after=asked.after, limit=limit + 1)
    headers = {"Link": _link(request, asked, keys[limit - 1])} if len(keys) > limit else {}
    places = {key: place for place, key in enumerate(keys[:limit])}

    async def read(after: JobKey | None, rows: int) -> Sequence[tuple[JobKey, Job]]:
        place = 0 if after is None else places[after] + 1
        while left := keys[place:limit][:rows]:
            if pairs := await _jobs_at(store, left):
                return pairs
            place += len(left)
        return []

    return await send_array(request, total, read, first=None, key=_key_of, show=_shown, headers=headers)


async def _next_id(store: Store) -> int:
    """The id that no job has yet that is there now."""
    newest = await store.find_jobs(EVERY_JOB, replace(OLDEST_FIRST, descending=True), limit=1)
    return newest[0].id + 1 if newest else 0


async def _jobs_at(store: Store, keys: Sequence[JobKey]) -> list[tuple[JobKey, Job]]:
    """The jobs at these keys, as many from the front as fit into a page of the store."""
    places = {key.id: key for key in keys}
    return [(places[job.id], job) for job in await store.jobs(list(places))]


def _key_of(pair: tuple[JobKey, Job]) -> JobKey | None:
    return pair[0]


def _shown(pair: tuple[JobKey, Job]) -> dict[str, Any]:
    return job_json(pair[1])


# --- what is asked for


def _read(request: web.Request) -> Asked:
    """Raises InvalidRequest with every parameter that is wrong, or a cursor that is not of this list."""
    wrong: list[FieldProblem] = []

    def take(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except InvalidRequest as error:
            wrong.extend(error.problems)
            return None

    found = JobFilter(
        statuses=take(lambda: _statuses(request)),
        name=take(lambda: text(request, "name")),
        type=take(lambda: text(request, "type")),
        labels=take(lambda: _labels(request)) or {},
        since=take(lambda: instant(request, "since")),
        until=take(lambda: instant(request, "until")),
        q=take(lambda: text(request, "q")),
    )
    sort = take(lambda: choice(request, "sort", _SORTS))
    limit = take(lambda: number(request, "limit", least=1, most=MAX_LIMIT))
    order = _SORTS[sort or SortBy.CREATED_AT]
    after = None if wrong else take(lambda: _cursor(request, found, order))
    if wrong:
        raise InvalidRequest(wrong)
    return Asked(found, order, limit, after)


def _statuses(request: web.Request) -> frozenset[Status] | None:
    words = [word for given in request.query.getall("status", []) for word in given.split(",")]
    unknown = [word for word in dict.fromkeys(words) if word not in _WORDS]
    if unknown:
        raise InvalidRequest([FieldProblem("?status", _no_status(word)) for word in unknown])
    return frozenset().union(*(_WORDS[word] for word in words)) if words else None


def _no_status(word: str) -> str:
    near = get_close_matches(word.strip().lower(), _WORDS, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(_WORDS)}"
    return f"{json.dumps(word, ensure_ascii=False)} is no status; {remedy}"


def _labels(request: web.Request) -> dict[str, str | None]:
    labels: dict[str, str | None] = {}
    for given in request.query.getall("label", []):
        key, colon, value = given.partition(":")
        if not key:
            raise InvalidRequest([FieldProblem("?label", "give key:value, or a key alone for any value")])
        if key in labels:
            raise InvalidRequest([FieldProblem("?label", f"give {key} once: a job has one value of it")])
        labels[key] = value if colon else None
    return labels


# --- cursors


def _cursor(request: web.Request, found: JobFilter, order: JobOrder) -> JobKey | None:
    given = request.query.get("cursor")
    if given is None:
        return None
    try:
        value, number, digest = json.loads(urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4)))
    except (ValueError, TypeError, RecursionError):  # Not ASCII, not base64, not JSON, not three.
        value, number, digest = None, None, None
    if type(digest) is not str:
        raise InvalidRequest(
            [FieldProblem("?cursor", "this is none of ours; take it from a Link, or begin without it")]
        )
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


def _link(request: web.Request, asked: Asked, last: JobKey) -> str:
    """The next page, as a Link header (RFC 8288) has it."""
    key = json.dumps([last.value, last.id, _digest(asked.found, asked.order)], separators=(",", ":"))
    cursor = urlsafe_b64encode(key.encode()).rstrip(b"=").decode()
    same = [(name, value) for name, value in request.query.items() if name != "cursor"]
    return f'</jobs?{urlencode([*same, ("cursor", cursor)])}>; rel="next"'
