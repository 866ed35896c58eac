"""Refuses what comes from a browser page that has no business here, before anything is read or done.

Loopback is no protection by itself: any web page can make a browser send requests to 127.0.0.1. Three checks, each enough against one trick:

- `Host` must name this server (loopback names, loopback addresses, `JOBMGR_ALLOWED_HOSTS`): a page that rebinds its own name to 127.0.0.1
  sends that name. Every request is checked, reading ones too.
- What may change something, and what may be watched over a WebSocket, Socket.IO or the stream of events (there a browser does not ask whether
  the answer may be read), must not come from a foreign page: a given `Origin` is this server itself or in `JOBMGR_ALLOWED_ORIGINS` (`null`
  never), a given `Sec-Fetch-Site` is `same-origin` or `none`. Programs send neither, which is fine.
- A body is `application/json` and not compressed: the types that forms can send are refused, with or without an `Origin`.

Says nothing about who may do what: tokens come later, and until then the server listens on loopback only.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from jobmgr.api.middleware import JSON_TYPE, Refused

_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_OWN_SITES = frozenset({"same-origin", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
SOCKET_IO = "/socket.io/"
_FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})


class Guard:
    """The rules for one server's settings."""

    def __init__(self, *, host: str, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]) -> None:
        # To listen on all addresses is no reason to answer to 0.0.0.0: browsers let foreign pages reach it.
        names = ("localhost", *allowed_hosts) if _is_unspecified(host) else ("localhost", host, *allowed_hosts)
        self._hosts = frozenset(_name(name) for name in names)
        self._origins = frozenset(map(_origin, allowed_origins)) - {None}

    def check(self, request: web.BaseRequest) -> None:
        """Raise Refused for a request that must not be served."""
        host = self._check_host(request)
        changes = request.method not in _READING
        if changes or _is_live(request):
            self._check_origin(request, host)
        if changes:
            _check_content(request)

    def _check_host(self, request: web.BaseRequest) -> SplitResult:
        given = request.headers.getall(hdrs.HOST, [])
        if len(given) != 1 or not given[0]:
            raise Refused(HTTPStatus.BAD_REQUEST, "Send exactly one Host header.")
        host = _parsed(f"//{given[0]}")
        if host is None or host.username is not None or host.path or host.query or host.fragment:
            raise Refused(HTTPStatus.BAD_REQUEST, "The Host header is not valid.")
        name, port = _name(host.hostname or ""), host.port
        if name in self._hosts or f"{name}:{port}" in self._hosts or _is_loopback(name):
            return host
        raise Refused(
            HTTPStatus.MISDIRECTED_REQUEST,
            "This server does not answer to that Host; JOBMGR_ALLOWED_HOSTS lists further ones.",
        )

    def _check_origin(self, request: web.BaseRequest, host: SplitResult) -> None:
        origins = request.headers.getall(hdrs.ORIGIN, [])
        allowed = [_origin(origin) for origin in origins]
        if allowed and all(origin in self._origins for origin in allowed):
            return
        own = {_origin(f"{scheme}://{host.netloc}") for scheme in _DEFAULT_PORTS}
        sites = set(request.headers.getall("Sec-Fetch-Site", []))
        if not sites <= _OWN_SITES or not own.issuperset(allowed):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "Pages of other origins may not change or watch anything here; JOBMGR_ALLOWED_ORIGINS lists those that may.",
            )


def guard(rules: Guard) -> Middleware:
    """The middleware that asks the rules first."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        rules.check(request)
        return await handler(request)

    return check


def _is_live(request: web.BaseRequest) -> bool:
    """Whether it opens what a browser lets any page open and read: a WebSocket, Socket.IO. The stream of events is treated alike."""
    return hdrs.UPGRADE in request.headers or request.path == "/events" or request.path.startswith(SOCKET_IO)


def _check_content(request: web.BaseRequest) -> None:
    """A body is JSON and plain; without one the type only must not be one that forms send."""
    if request.headers.getall(hdrs.CONTENT_ENCODING, ["identity"]) != ["identity"]:
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body uncompressed: Content-Encoding is not supported."
        )
    if any(coding.strip().lower() != "chunked" for coding in request.headers.getall(hdrs.TRANSFER_ENCODING, [])):
        # `gzip, chunked` would be unpacked in chunks and then be taken for the body itself.
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body uncompressed: no Transfer-Encoding but chunked."
        )
    if request.path.startswith(SOCKET_IO):
        return  # Its protocol sends plain text; where it comes from was checked.
    given = request.headers.getall(hdrs.CONTENT_TYPE, [])
    if not request.can_read_body and request.content_type not in _FORM_TYPES:
        return
    charset = (request.charset or "utf-8").lower()
    if len(given) != 1 or request.content_type != JSON_TYPE or charset not in {"utf-8", "utf8"}:
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Send the body as {JSON_TYPE} in UTF-8; with curl: -H 'Content-Type: {JSON_TYPE}'.",
            headers={"Accept": JSON_TYPE},
        )


def _parsed(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a wrong port raises only when it is asked for.
    except ValueError:
        return None
    return parts


def _name(host: str) -> str:
    """A host name as names are compared: without case, brackets and the dot that may end it."""
    return host.lower().strip("[]").removesuffix(".")


def _origin(origin: str) -> tuple[str, str, int | None] | None:
    """Scheme, name and port; None for `null` and whatever else is no origin."""
    parts = _parsed(origin)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, _name(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme]


def _is_unspecified(name: str) -> bool:
    try:
        return ip_address(name).is_unspecified
    except ValueError:
        return False


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
