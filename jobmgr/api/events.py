"""`GET /events`: the feed as server-sent events, and as a long poll with `wait`.

A stream tells after each event the number to go on from, and now and then when nothing passes the filter, so that a client that comes back
after days of silence is not sent to the beginning. It is cut when the server leaves; whoever comes again with the last number misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import Field

from jobmgr.api import answers
from jobmgr.api.followers import is_gone
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.query import MAX_NUMBER, Whole, asked
from jobmgr.api.route import STREAM_TYPE
from jobmgr.api.send import json_answer, keep_little, send
from jobmgr.api.wanted import FilterQuery, Seq
from jobmgr.clock import rfc3339
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.feed import PAGE, Batch, Entry, as_json

LAST_EVENT_ID = "Last-Event-ID"
HEARTBEAT_S = 15.0
"""So often a quiet stream says that it is still there, and looks whether its client is."""

LOOK_S = 1.0
SEND_TIMEOUT_S = 30.0
"""A client that takes nothing of what is sent for so long is cut."""

MAX_WAIT_S = 300
MAX_LIMIT = 1000


class EventsQuery(FilterQuery):
    """Which events, from where on, and whether as a stream."""

    after: Seq | None = Field(
        None,
        description="Begin after the event of this number; by default with what comes from now on. `Last-Event-ID` wins.",
    )
    wait: Annotated[int, Whole(0, MAX_WAIT_S)] | None = Field(
        None, description="Answer with JSON: at once where there is something, else after at most so many seconds."
    )
    limit: Annotated[int, Whole(1, MAX_LIMIT)] = Field(
        PAGE, description="With `wait`: look at no more events than this."
    )


async def watch_events(request: web.Request) -> web.StreamResponse:
    """What happens, as it happens.

    Without `wait` a stream of server-sent events: `id` is the number, `event` the kind, `data` what the event tells, with `seq` and `at`. The
    first is `hello`: what follows comes after its `seq`. When the connection breaks, come again with `Last-Event-ID` (browsers do by themselves)
    or `after`, and nothing is missed. `reset` says that what was asked for is no longer kept (`JOBMGR_EVENT_DAYS`): fetch `GET /jobs` again.

    With `wait=30` a long poll: `{"events": […], "seq": 17, "reset": false}` as soon as there is something, `seq` being the next `after`.
    To begin with what there is, read `GET /jobs` and go on after the number in its header `Event-Seq`.
    """
    parts, query = request.app[PARTS], asked(request, EventsQuery)
    parts.sockets.check_room(parts.feed)
    after = _last_event_id(request)
    start = await parts.feed.begin(query.after if after is None else after)
    if query.wait is not None:
        return await _poll(request, parts, query, start)
    headers = {hdrs.CONTENT_TYPE: f"{STREAM_TYPE}; charset=utf-8", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    if request.method == hdrs.METH_HEAD:
        return response
    return await send(request, response, _streamed(request, parts, query, start), patience_s=SEND_TIMEOUT_S)


def _last_event_id(request: web.Request) -> int | None:
    given = request.headers.getall(LAST_EVENT_ID, [])
    if not given:
        return None
    digits = given[0]
    if len(given) > 1 or not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_NUMBER))):
        raise InvalidRequest([FieldProblem(LAST_EVENT_ID, "send it once, with the number of an event")])
    return int(digits)


# --- the stream


def as_stream(entry: Entry) -> bytes:
    """An event as one of a stream."""
    return b"id: %d\n%s" % (entry.seq, entry.form(_without_id))


def _without_id(entry: Entry) -> bytes:
    event = entry.event
    at = rfc3339(event.at).encode()
    # The data is an object with something in it: what the feed knows besides is put before its end.
    more = b',"seq":%d,"at":"%s"}' % (event.seq, at)
    return b"event: %s\ndata: %s%s\n\n" % (event.kind.encode(), entry.data[:-1], more)


def _streamed_batch(entries: Sequence[Entry]) -> bytes:
    """Of two with one number, an end and its result, only the second has it as its id: who is cut off between them gets both again."""
    forms = [
        entry.form(_without_id if entry.seq == following.seq else as_stream) for entry, following in pairwise(entries)
    ]
    return b"".join([*forms, entries[-1].form(as_stream)])


def _sign(kind: str, seq: int) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, kind.encode(), as_json({"seq": seq}))


async def _streamed(
    request: web.Request, parts: Parts, query: EventsQuery, start: Batch
) -> AsyncGenerator[bytes, None]:
    wanted, seq = query.wanted(), start.seq
    keep_little(request)
    with parts.followers.attend(request):
        yield (_sign("reset", seq) if start.reset else b"") + _sign("hello", seq)
        clock = asyncio.get_running_loop().time
        said = clock()  # By the clock, and not by what came: of many events a second all may be ones that do not pass.
        async with aclosing(parts.feed.follow(seq, wanted, patience_s=LOOK_S)) as batches:
            async for batch in batches:
                if is_gone(request):
                    return
                if batch.reset:
                    yield _sign("reset", batch.seq)
                elif batch.entries:
                    yield _streamed_batch(batch.entries)
                elif clock() - said >= HEARTBEAT_S:
                    yield b"id: %d\n\n" % batch.seq  # Moves the number on; no event is made of it.
                else:
                    continue
                said = clock()


# --- the long poll


def as_message(entry: Entry) -> answers.FeedEvent:
    """An event as an object, in the shape that it has over a WebSocket."""
    event = entry.event
    return {"event": event.kind, "seq": event.seq, "at": rfc3339(event.at), "data": event.data}


async def _poll(request: web.Request, parts: Parts, query: EventsQuery, start: Batch) -> web.StreamResponse:
    batch, wait_s = start, float(query.wait or 0)
    clock = asyncio.get_running_loop().time
    until = clock() + wait_s
    if not start.reset:
        looks = parts.feed.follow(start.seq, query.wanted(), patience_s=min(LOOK_S, wait_s), limit=query.limit)
        with parts.followers.attend(request):
            async with aclosing(looks) as batches:
                async for batch in batches:
                    if batch.reset or batch.entries or clock() >= until or is_gone(request):
                        break
    answer: answers.FeedPage = {
        "events": [as_message(entry) for entry in batch.entries],
        "seq": batch.seq,
        "reset": batch.reset,
    }
    return json_answer(answer)
