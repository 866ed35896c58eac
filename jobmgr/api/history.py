"""The history as JSON lines: what `jobmgr export` fetches, and `curl localhost:3000/history > jobs.jsonl`.

Read and sent page by page. What is added meanwhile may come or not, but a line is what one attempt was at one instant, and what breaks off is cut,
so that no client takes a part of it for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from aiohttp import hdrs, web
from pydantic import Field

from jobmgr.api.parts import PARTS
from jobmgr.api.query import Instant, Query, Text, asked
from jobmgr.api.send import send
from jobmgr.history import HistoryRow, to_line
from jobmgr.store.base import Store
from jobmgr.store.listing import JobFilter

LINES_TYPE = "application/jsonl"


class HistoryQuery(Query):
    """Which jobs."""

    since: Instant | None = Field(None, description="Only jobs submitted at this instant or later.")
    until: Instant | None = Field(None, description="Only jobs submitted before this instant.")
    name: Text | None = Field(None, description="Only jobs of exactly this name.")


async def history(request: web.Request) -> web.StreamResponse:
    """Send every attempt of every job there is, oldest job first, one JSON object a line.

    `docs/history.md` explains the fields. It is no array: a part of it is a history too, and lines can be read one by one.
    """
    query = asked(request, HistoryQuery)
    found = JobFilter(name=query.name, since=query.since, until=query.until)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: LINES_TYPE})
    if request.method == hdrs.METH_HEAD:
        return response
    return await send(request, response, _pages(request.app[PARTS].store, found))


async def _pages(store: Store, found: JobFilter) -> AsyncGenerator[bytes, None]:
    after = (-1, -1)
    while page := await store.history(found=found, after=after):
        after = page[-1].place
        yield await asyncio.to_thread(_lines, page)  # Not on the loop: a page may hold megabytes of arguments.


def _lines(page: Sequence[HistoryRow]) -> bytes:
    return b"".join(map(to_line, page))
