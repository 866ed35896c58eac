"""A page of another origin in a real browser cannot watch: not over a WebSocket, and not as a stream of events."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)
if shutil.which("chromium") is None:
    pytest.skip("no chromium on PATH: the pages are not tried in a browser", allow_module_level=True)

from playwright.sync_api import Page, sync_playwright

from tests.faults.servers import Site

SOCKET = """address => new Promise(done => {
  const socket = new WebSocket(address);
  socket.onmessage = () => done("told");
  socket.onclose = () => done("refused");
})"""
STREAM = """address => new Promise(done => {
  const stream = new EventSource(address);
  stream.addEventListener("hello", () => { stream.close(); done("told"); });
  stream.onerror = () => { stream.close(); done("refused"); };
})"""


class Foreign(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def foreign() -> Iterator[str]:
    """The address of a page of somebody else, on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a server listens."""
    site = Site(tmp_path)
    try:
        address = site.start().address()
        assert address is not None
        yield address
        site.leave()
    finally:
        site.kill_everything()


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a browser with a profile of its own."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=shutil.which("chromium"),
            headless=True,
            args=["--disable-gpu", "--no-first-run", "--disable-background-networking", *sandbox],
        )
        yield context.pages[0]
        context.close()


@pytest.mark.parametrize("path", ["/", "/ws"])
def test_case_80_a_foreign_page_opens_no_socket(page: Page, foreign: str, address: str, path: str) -> None:
    """The page of the server does, at the same place."""
    socket = address.replace("http", "ws") + path
    page.goto(foreign)
    assert page.evaluate(SOCKET, socket) == "refused"
    page.goto(f"{address}/docs")
    assert page.evaluate(SOCKET, socket) == "told"


def test_case_80_a_foreign_page_reads_no_stream(page: Page, foreign: str, address: str) -> None:
    """The page of the server does."""
    page.goto(foreign)
    assert page.evaluate(STREAM, f"{address}/events") == "refused"
    page.goto(f"{address}/docs")
    assert page.evaluate(STREAM, f"{address}/events") == "told"
