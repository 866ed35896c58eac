"""The pages of the interface: `/openapi.json`, and Swagger UI at `/docs` with its files, which no other machine is asked for.

The files are small and never change while the server runs: each is read once, when it is first asked for, and kept. Those that are stored
compressed are sent so, or decompressed to a client that does not take gzip. Browsers ask again each time and get 304 (`ETag`), so that a
new version is seen at once.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from http import HTTPStatus
from importlib.resources import files

from aiohttp import hdrs, web

from jobmgr.api.middleware import JSON_TYPE
from jobmgr.api.openapi import document
from jobmgr.api.route import HTML_TYPE, Route
from jobmgr.api.send import encode

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of `/docs` only. Swagger UI sets styles on its elements and has its icons in its style sheet."""

CSS_TYPE = "text/css"
SCRIPT_TYPE = "text/javascript"

FILES: Mapping[str, tuple[str, str]] = {
    "docs.js": (SCRIPT_TYPE, "docs.js"),
    "swagger-ui-bundle.js": (SCRIPT_TYPE, "vendor/swagger-ui/swagger-ui-bundle.js.gz"),
    "swagger-ui.css": (CSS_TYPE, "vendor/swagger-ui/swagger-ui.css.gz"),
}
"""What `/docs` is made of, by the last part of the path: media type, and the file below `web/`. No part of the interface."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent; `packed` means compressed by gzip."""

    media: str
    body: bytes
    packed: bool = False

    @property
    def tag(self) -> str:
        """Its ETag: equal for equal bytes."""
        return hashlib.sha256(self.body).hexdigest()[:32]

    def unpacked(self) -> Content:
        """The same for a client that takes no gzip."""
        return Content(self.media, gzip.decompress(self.body)) if self.packed else self


class Interface:
    """The OpenAPI document of some routes, made when it is first asked for."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    @cached_property
    def content(self) -> Content:
        """The document as it is sent."""
        return Content(JSON_TYPE, encode(document(self._routes)) + b"\n")


INTERFACE = web.AppKey("interface", Interface)


async def openapi_document(request: web.Request) -> web.StreamResponse:
    """This interface, for programs.

    An OpenAPI 3.1 document: generate a client from it, or load it into Postman. `/docs` shows the same to people.
    """
    interface = request.app[INTERFACE]
    return _send(request, await asyncio.to_thread(lambda: interface.content))  # Made once, which takes a while.


async def docs_page(request: web.Request) -> web.StreamResponse:
    """This interface, for people.

    Swagger UI, served from this machine alone: every route with its fields, and a button that tries it out.
    """
    return _send(request, _content(HTML_TYPE, "docs.html"), {"Content-Security-Policy": CONTENT_SECURITY_POLICY})


async def docs_file(request: web.Request) -> web.StreamResponse:
    """A file that `/docs` is made of."""
    known = FILES.get(request.match_info["file"])
    if known is None:
        raise web.HTTPNotFound
    return _send(request, _content(*known))


@cache
def _content(media: str, path: str) -> Content:
    body = files("jobmgr").joinpath("web", path).read_bytes()
    return Content(media, body, packed=path.endswith(".gz"))


def _send(request: web.Request, content: Content, more: Mapping[str, str] | None = None) -> web.StreamResponse:
    sent = content if not content.packed or _takes_gzip(request) else content.unpacked()
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sent.tag}"', **(more or {})}
    if content.packed:
        headers["Vary"] = "Accept-Encoding"
    if any(tag.value in (sent.tag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    if sent.packed:
        headers["Content-Encoding"] = "gzip"
    charset = None if sent.media == JSON_TYPE else "utf-8"
    return web.Response(body=sent.body, content_type=sent.media, charset=charset, headers=headers)


def _takes_gzip(request: web.Request) -> bool:
    """Whether the client accepts it, by name or by `*`, and not with a weight of 0."""
    weights = {}
    for part in ",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, [])).split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";q=")
        weights[coding] = weight.strip("0.") != "" if weight else True
    return weights.get("gzip", weights.get("*", False))
