"""One try: sends a message and says what came of it, in a sentence that quotes nothing of the address but its host.

Nothing is followed (a redirect is a refusal), no cookie kept, no proxy of the environment used, and of the answer only the status read, with a few
kilobytes so that the connection can be used again. Assumes that the session connects through `JudgingResolver`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import (
    ClientError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)

from jobmgr import __version__
from jobmgr.addresses import Allowed, host_trouble, url_trouble
from jobmgr.webhooks.resolver import AddressRefused, JudgingResolver
from jobmgr.webhooks.retrying import asked_wait

CONNECT_S = 5.0
WHOLE_S = 15.0
READ_BYTES = 4096
READ_S = 1.0

_RETRY_AFTER = frozenset({429, 503})
GONE = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try. `error`: why it failed, in a sentence; None: it was taken."""

    code: int | None
    error: str | None = None
    wait_s: float = 0.0
    """So long the receiver asked to wait."""


def open_session(allowed: Allowed) -> ClientSession:
    """A session that connects to nothing but what may be called."""
    connector = TCPConnector(resolver=JudgingResolver(allowed), limit=0, ttl_dns_cache=10)
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=WHOLE_S, connect=CONNECT_S),
        headers={"User-Agent": f"jobmgr/{__version__}", "Content-Type": "application/json"},
        auto_decompress=False,
        trust_env=False,
        middlewares=(_judging(allowed),),
    )


def _judging(allowed: Allowed) -> ClientMiddlewareType:
    """Asks once more, of the host as aiohttp has read it: a literal address never comes to the resolver."""

    async def judge(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if trouble := host_trouble(request.url.raw_host or "", allowed):
            raise AddressRefused(trouble)
        return await handler(request)

    return judge


async def post(session: ClientSession, url: str, body: bytes, headers: Mapping[str, str], allowed: Allowed) -> Answer:
    """Send it once. Raises nothing but the cancellation of its task."""
    if trouble := url_trouble(url, allowed):
        return Answer(None, f"Not called: {trouble}.")
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            answer = _read(response)
            await _drain(response)
            return answer
    except TimeoutError:
        return Answer(None, f"No answer within {WHOLE_S:g} seconds, or no connection within {CONNECT_S:g}.")
    except (ClientError, OSError, ValueError) as error:
        return Answer(None, _sentence(error))


def _read(response: ClientResponse) -> Answer:
    code = response.status
    if 200 <= code < 300:
        return Answer(code)
    if 300 <= code < 400:
        return Answer(code, f"It answered {code}: redirects are not followed; give the address that it leads to.")
    wait = asked_wait(response.headers.get("Retry-After")) if code in _RETRY_AFTER else 0.0
    return Answer(code, f"It answered {code}.", wait)


async def _drain(response: ClientResponse) -> None:
    """Read a little, so that the connection can be used again; what is longer or slower closes it."""
    with suppress(TimeoutError, ClientError, OSError):
        async with asyncio.timeout(READ_S):
            await response.content.read(READ_BYTES)
            if response.content.at_eof():
                return
    response.close()


def _sentence(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return f"Not called: {cause}."
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    told = getattr(error, "strerror", None)
    if isinstance(error, OSError):
        return f"No connection: {told or type(error).__name__}."
    return f"No answer: {type(error).__name__}."
