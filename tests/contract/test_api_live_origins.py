"""Case 80: no page of others watches, over a WebSocket, as a stream or by a poll: it is refused before there is an upgrade."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.live import Live, live_server

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
PLACES = {
    "root": ("/", UPGRADE),
    "ws": ("/ws", UPGRADE),
    "stream": ("/events", ()),
    "poll": ("/events?wait=0", ()),
    "encoded": ("/%65vents?wait=0", ()),
}
places = pytest.mark.parametrize("place", PLACES)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A server that one foreign origin may use."""
    async with live_server(tmp_path, JOBMGR_ALLOWED_ORIGINS="https://board.example.org") as live:
        yield live


async def status(live: Live, place: str, *headers: str, host: str | None = None) -> int:
    """The status of the answer to exactly these headers. `{port}` in them is that of the server."""
    path, more = PLACES[place]
    port = str(live.served.server.port)
    lines = [f"HEAD {path} HTTP/1.1" if place == "stream" else f"GET {path} HTTP/1.1"]
    lines += [f"Host: {host or '127.0.0.1:{port}'}", *more, *headers]
    if not more:
        lines.append("Connection: close")
    request = "\r\n".join(line.replace("{port}", port) for line in lines) + "\r\n\r\n"
    # A client that says goodbye at once: an upgrade that is granted ends by itself.
    goodbye = b"\x88\x82\x00\x00\x00\x00\x03\xe8" if more else b""
    answer = await live.served.raw(request.encode() + goodbye)
    return int(answer.split(maxsplit=2)[1])


def passed(place: str) -> int:
    """What one who may watch gets."""
    return 101 if PLACES[place][1] else 200


@places
@pytest.mark.parametrize(
    "headers",
    [
        ["Origin: https://evil.example"],
        ["Origin: null"],
        ["Origin: "],
        ["Origin: http://127.0.0.1"],
        ["Origin: http://127.0.0.1:1"],
        ["Origin: http://localhost:{port}"],
        ["Origin: ftp://127.0.0.1:{port}"],
        ["Origin: file://"],
        ["Origin: chrome-extension://abcdef"],
        ["Origin: http://127.0.0.1:{port}.evil.example"],
        ["Origin: http://127.0.0.1:{port}@evil.example"],
        ["Origin: http://board.example.org"],
        ["Origin: https://board.example.org:444"],
        ["Origin: http://127.0.0.1:{port}", "Origin: https://evil.example"],
        ["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: cross-site"],
        ["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-site"],
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site"],
    ],
    ids=" ".join,
)
async def test_case_80_a_foreign_page_is_refused(live: Live, place: str, headers: list[str]) -> None:
    """403: another name, port or scheme, none at all, two, or a browser that says so."""
    assert await status(live, place, *headers) == 403
    assert live.served.server._parts.feed.watchers == 0


@places
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "0.0.0.0"])
async def test_case_80_a_name_that_was_bound_to_this_address_is_refused(live: Live, place: str, host: str) -> None:
    """421, with the Origin that such a page has: it is its own."""
    assert await status(live, place, f"Origin: http://{host}", host=host) == 421
    assert await status(live, place, host=host) == 421


@places
@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Origin: http://127.0.0.1:{port}"],
        ["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"],
        ["Sec-Fetch-Site: none"],
        ["Origin: https://board.example.org", "Sec-Fetch-Site: cross-site"],
    ],
    ids=" ".join,
)
async def test_a_program_the_own_page_and_an_allowed_one_may_watch(live: Live, place: str, headers: list[str]) -> None:
    """Without an Origin it is no page."""
    assert await status(live, place, *headers) == passed(place)
