"""Sends answers: JSON at once, arrays of any length page by page, bytes as they come. A slow client slows only itself.

A long array is read from the store in pages and written before the next page is read, so no reading of the database waits for a client and memory
stays flat; the size of a page follows the size of its rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import hdrs, web

from jobmgr.api.middleware import JSON_TYPE, cut, mark_started

FIRST_PAGE_ROWS = 50
MAX_PAGE_ROWS = 500
PAGE_BYTES = 256 * 1024
"""A page is made larger or smaller to come near this."""

ROOM_BYTES = 16 * 1024
"""With more than this waiting here for one who watches nothing is added to it."""

KERNEL_BYTES = 128 * 1024
"""So much the kernel is to keep for one who watches (Linux takes twice that); by itself it comes to keep 4 MiB for each that does not read."""

Row = TypeVar("Row")
Key = TypeVar("Key")


def encode(value: Any) -> bytes:
    """JSON as it is sent. What cannot be encoded (a lone surrogate that a job reported) is replaced."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def json_answer(
    value: Any,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    kept_for: web.Request | None = None,
    named_by: Any = None,
) -> web.StreamResponse:
    """A whole JSON answer. `kept_for` a client that may keep it: it gets an `ETag`, and 304 where it has the same already.

    `named_by`: what the tag stands for, where some of the answer is no reason to send it again; the tag is weak then, because it stands for bodies
    that differ.
    """
    body = encode(value) + b"\n"
    if kept_for is not None:
        weak = "" if named_by is None else "W/"
        return _kept(kept_for, body, body if named_by is None else encode(named_by), dict(headers or {}), weak)
    return web.Response(status=int(status), body=body, content_type=JSON_TYPE, headers=dict(headers or {}))


def array_answer(values: Iterable[Any], *, status: HTTPStatus, headers: Mapping[str, str]) -> web.StreamResponse:
    """A whole JSON array. Each element is encoded by itself: one call for all would let no other thread run meanwhile."""
    body = b"[" + b",\n".join(map(encode, values)) + b"]\n"
    return web.Response(status=int(status), body=body, content_type=JSON_TYPE, headers=headers)


def _kept(request: web.Request, body: bytes, named_by: bytes, headers: dict[str, str], weak: str) -> web.StreamResponse:
    tag = hashlib.sha256(named_by).hexdigest()[:32]
    headers |= {
        "ETag": f'{weak}"{tag}"',
        "Cache-Control": "no-cache",
    }  # It may be kept, and is asked for again each time.
    # Compared weakly, as RFC 9110 has it for If-None-Match: `W/` makes no difference.
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        return web.Response(status=int(HTTPStatus.NOT_MODIFIED), headers=headers)
    return web.Response(body=body, content_type=JSON_TYPE, headers=headers)


async def send_array(
    request: web.Request,
    total: int | None,
    read: Callable[[Key, int], Awaitable[Sequence[Row]]],
    *,
    first: Key,
    key: Callable[[Row], Key],
    show: Callable[[Row], Any],
    most: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Stream the rows that `read(after, limit)` gives, from after `first` on, as one JSON array of at most `most` elements (None: all).

    `total` is told as `X-Total-Count`. Where `most` is the same, what is added meanwhile does not come in, and the length agrees with it unless
    something is deleted meanwhile.
    """
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: f"{JSON_TYPE}; charset=utf-8", **(headers or {})})
    if total is not None:
        response.headers["X-Total-Count"] = str(total)
    if request.method == hdrs.METH_HEAD:
        return response
    return await send(request, response, _array(most, read, first=first, key=key, show=show))


async def _array(
    most: int | None,
    read: Callable[[Key, int], Awaitable[Sequence[Row]]],
    *,
    first: Key,
    key: Callable[[Row], Key],
    show: Callable[[Row], Any],
) -> AsyncGenerator[bytes, None]:
    sent, after, rows = 0, first, FIRST_PAGE_ROWS
    while most is None or sent < most:
        page = await read(after, rows if most is None else min(rows, most - sent))
        if not page:
            break
        text = b",\n".join(encode(show(row)) for row in page)
        yield (b",\n" if sent else b"[") + text
        sent, after = sent + len(page), key(page[-1])
        rows = max(1, min(MAX_PAGE_ROWS, rows * PAGE_BYTES // max(1, len(text))))
    yield b"]\n" if sent else b"[]\n"


def keep_little(request: web.BaseRequest) -> None:
    """Let a client that is told of events for days cost little while it does not read, here and in the kernel: there may be thousands."""
    transport = request.transport
    if transport is not None:
        transport.set_write_buffer_limits(high=ROOM_BYTES)
        with suppress(OSError):  # It has left already.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)


async def send(
    request: web.Request,
    response: web.StreamResponse,
    pieces: AsyncGenerator[bytes, None],
    *,
    patience_s: float | None = None,
) -> web.StreamResponse:
    """Send the pieces as they come. Empty ones are not sent: they only let the maker of the pieces look around.

    A client that takes nothing for `patience_s` (None: as long as it likes) is cut.
    """
    async with aclosing(pieces):
        await response.prepare(request)
        mark_started(request, response)
        sent = 0
        async for piece in pieces:
            if piece:
                try:
                    async with asyncio.timeout(patience_s):
                        await response.write(piece)
                except TimeoutError:
                    cut(request)
                    return response
                sent += len(piece)
    if response.content_length is not None and sent != response.content_length:
        cut(request)  # A file was cut off while it was read: fewer bytes than promised must not look like all.
    else:
        await response.write_eof()
    return response
