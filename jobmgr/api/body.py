"""Reads a JSON body strictly and within limits: what is not plain, unambiguous JSON is refused with 400, naming the place.

Refused are: more bytes than allowed (413, whatever Content-Length says), bytes that do not come in time (408), invalid UTF-8, deep nesting, a key
that is given twice, objects and keys larger than any submission needs, NaN and Infinity, numbers too large to be read. The reader never recurses
into what a client sent. NUL and lone surrogates inside strings are `admission`'s to refuse: it knows the fields.

Memory has a bound for any number of clients: `Room` is what large bodies may take together, and one thread decodes them one after the other
(decoded they are some ten times as large, and two threads would not be faster). Small ones always find room; those that are no list are
decoded at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from math import isfinite
from typing import Any, NoReturn, TypeVar

from aiohttp import web

from jobmgr.api.middleware import Refused
from jobmgr.errors import FieldProblem, InvalidRequest

MAX_DEPTH = 64
MAX_DIGITS = 1000
MAX_KEY_CHARS = 1000
MAX_MEMBERS = 10_000
MAX_OBJECTS = 700_000
MAX_LISTS = 2_000_000
"""In one body: more than the largest submissions need; an object or list takes up to thirty times the memory of its text."""
MAX_EXACT = 2**53
"""Up to here every whole number is exact as a float."""
BODY_TIMEOUT_S = 60.0
IN_THREAD_BYTES = 64 * 1024
BODIES_AT_ONCE = 4
RETRY_AFTER_S = 1

T = TypeVar("T")

_decoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")


class Room:
    """For what is read of large bodies at the same time: as much as BODIES_AT_ONCE of the largest."""

    def __init__(self, max_bytes: int) -> None:
        self._left = BODIES_AT_ONCE * max_bytes

    @contextmanager
    def visit(self) -> Iterator[Callable[[int], None]]:
        """Room for one body: what it gives is told the size so far. Raises Refused (503) where the room is taken."""
        held = 0

        def hold(size: int) -> None:
            nonlocal held
            more = max(0, size - IN_THREAD_BYTES) - held
            if more > self._left:
                raise _no_room()
            held, self._left = held + more, self._left - more

        try:
            yield hold
        finally:
            self._left += held


ROOM = web.AppKey("room", Room)


async def read_json(request: web.Request, max_bytes: int, then: Callable[[Any], T]) -> T:
    """The decoded body, handed to `then` in the same thread; raises Refused or InvalidRequest."""
    return await _with_body(request, max_bytes, lambda body: then(decode(body)))


async def read_nothing(request: web.Request, max_bytes: int) -> None:
    """Accept no body, or the empty object; raises InvalidRequest for anything else."""

    def check(body: bytes) -> None:
        if body and decode(body) != {}:
            raise _invalid("this takes no body")

    await _with_body(request, max_bytes, check)


async def read_small(request: web.Request, max_bytes: int) -> bytes:
    """A body that is no JSON and small by nature; raises Refused."""
    return await _read(request, max_bytes, lambda _: None, setting="")


async def _with_body(request: web.Request, max_bytes: int, then: Callable[[bytes], T]) -> T:
    with request.app[ROOM].visit() as hold:
        body = await _read(request, max_bytes, hold)
        if (
            len(body) > IN_THREAD_BYTES or body.lstrip()[:1] == b"["
        ):  # A short list can be of many that take long to refuse.
            return await asyncio.get_running_loop().run_in_executor(_decoder, then, body)
        return then(body)


async def _read(
    request: web.Request, max_bytes: int, hold: Callable[[int], None], *, setting: str = " (JOBMGR_MAX_BODY_BYTES)"
) -> bytes:
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes, setting)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > max_bytes:
                    raise _too_large(max_bytes, setting)
                hold(len(body))
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come within {BODY_TIMEOUT_S:g} seconds.") from None
    except web.RequestPayloadError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "The body is not valid HTTP.") from error
    except ConnectionError as error:  # Nobody reads this; what was sent of it must not be taken for all.
        raise Refused(HTTPStatus.BAD_REQUEST, "The body did not come whole.") from error
    return bytes(body)


def _too_large(max_bytes: int, setting: str) -> Refused:
    # The rest is not read: the connection cannot be used again.
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body may have at most {max_bytes:,} bytes{setting}.",
        headers={"Connection": "close"},
    )


def _no_room() -> Refused:
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Other large bodies are being read; try again shortly.",
        headers={"Connection": "close", "Retry-After": str(RETRY_AFTER_S)},
    )


def decode(body: bytes) -> Any:
    """Decode strict JSON. Raises InvalidRequest."""
    # Counted before they are made; one inside a string counts too, but nobody has so many of those.
    if body.count(b"[") > MAX_LISTS:
        raise _invalid(f"a body may have at most {MAX_LISTS:,} lists")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"not UTF-8: byte {error.start:,} is wrong") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_Objects(), parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except json.JSONDecodeError as error:
        raise _invalid(_no_json(text, error)) from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value)
    return value


def _no_json(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "not JSON: the body is empty"
    comma = "; a comma stands before it" if text[: error.pos].rstrip().endswith(",") else ""
    return f"not JSON: {error.msg} at line {error.lineno:,}, column {error.colno:,}{comma}"


def fingerprint(value: Any) -> str:
    """SHA-256 of the value written in one way only: key order, spaces and escapes do not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class _Objects:
    """Makes the objects of one body, and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._count += 1
        if self._count > MAX_OBJECTS:
            raise _invalid(f"a body may have at most {MAX_OBJECTS:,} objects")
        if len(pairs) > MAX_MEMBERS:
            raise _invalid(f"an object may have at most {MAX_MEMBERS:,} members")
        members = dict(pairs)
        if len(members) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise _invalid(f'the key "{twice[:100]}" is given twice: which one holds?')
        if members and max(map(len, members)) > MAX_KEY_CHARS:
            raise _invalid(f"a key may have at most {MAX_KEY_CHARS:,} characters")
        return members


def _constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _invalid(f"a number may have at most {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > MAX_DIGITS or not isfinite(value := float(digits)):
        raise _invalid("a number is too large")
    # JSON knows no integers: 2.0 is the same number as 2, and there are programs that write it so.
    return int(value) if value.is_integer() and abs(value) <= MAX_EXACT else value


def _check_depth(value: Any) -> None:
    """By levels, not by recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH + 1:
            raise _too_deep()
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner


def _too_deep() -> InvalidRequest:
    return _invalid(f"nested deeper than {MAX_DEPTH} levels")


def _invalid(problem: str) -> InvalidRequest:
    return InvalidRequest([FieldProblem("", problem)])
