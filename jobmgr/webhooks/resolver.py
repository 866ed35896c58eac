"""Names of receivers as addresses, of which only those come back that may be called: what is connected to is what was judged here.

The system is asked in threads of our own, a few at a time: a name server that does not answer holds up webhooks only, and not the end of the server.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from ipaddress import ip_address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from jobmgr.addresses import Allowed, address_trouble

AT_ONCE = 16


class AddressRefused(OSError):
    """A name means no address that may be called. The sentence says which one it means."""


class JudgingResolver(AbstractResolver):
    """Resolves for aiohttp. Use on one event loop."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._room = asyncio.Semaphore(AT_ONCE)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name that may be called. Raises AddressRefused where none may, OSError where there is none."""
        infos = await self._ask(host, port, family)
        found = {(int(kind), str(address[0])) for kind, _, _, _, address in infos}
        troubles: list[str] = []
        results: list[ResolveResult] = []
        for kind, text in sorted(found):
            trouble = None
            if not self._allowed.has_name(host):
                trouble = address_trouble(ip_address(text), self._allowed)
            if trouble:
                troubles.append(trouble)
            else:
                results.append(_result(host, text, port, kind))
        if not results:
            raise AddressRefused(f"{host}: {'; '.join(troubles) or 'it has no address'}")
        return results

    async def close(self) -> None:
        """Nothing is held."""

    async def _ask(self, host: str, port: int, family: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()
        await self._room.acquire()

        def tell(found: list[Any], error: OSError | None) -> None:
            self._room.release()
            if answer.done():
                return  # Nobody waits any more.
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def ask() -> None:
            found: list[Any] = []
            failed: OSError | None = None
            try:
                found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            except OSError as error:
                failed = error
            except UnicodeError:  # A label that is too long, and the like.
                failed = OSError("it is no name")
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, found, failed)

        # A daemon: the process need not wait for a name server when it ends.
        try:
            threading.Thread(target=ask, name="webhooks-resolve", daemon=True).start()
        except RuntimeError as error:  # No thread is to be had just now.
            self._room.release()
            raise OSError(f"its name cannot be looked up just now: {error}") from error
        return await answer


def _result(host: str, address: str, port: int, family: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
