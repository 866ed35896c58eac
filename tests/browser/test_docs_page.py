"""`/docs` in a browser: Chromium draws it, asks nobody but the server, and the button that tries a route out works."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)
if shutil.which("chromium") is None:
    pytest.skip("no chromium on PATH: the pages are not tried in a browser", allow_module_level=True)

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from jobmgr.api.routes import ROUTES
from tests.faults.servers import Site

QUIET = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a server listens."""
    site = Site(tmp_path)
    try:
        address = site.start(JOB_SCRIPT_PATH=str(site.directory / "scripts" / "act")).address()
        assert address is not None
        yield address
        site.leave()
    finally:
        site.kill_everything()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser with a profile of its own."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=shutil.which("chromium"),
            headless=True,
            args=[*QUIET, *sandbox],
        )
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext, address: str) -> Iterator[Page]:
    """The page, drawn; at the end it has asked only its server, and has complained of nothing."""
    page = browser.pages[0]
    asked: list[str] = []
    complaints: list[str] = []
    browser.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/docs")
    page.locator(".opblock").first.wait_for()
    yield page
    assert complaints == []
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(address).netloc}


def test_every_operation_is_drawn(page: Page) -> None:
    """Each route has its line."""
    drawn = {
        (block.locator(".opblock-summary-method").inner_text(), block.locator(".opblock-summary-path").inner_text())
        for block in page.locator(".opblock").all()
    }
    assert {(method, path.replace("\u200b", "")) for method, path in drawn} == {(r.method, r.path) for r in ROUTES}


def test_a_job_is_submitted_by_a_click(page: Page) -> None:
    """Try it out, Execute: 201."""
    block = page.locator("#operations-jobs-submitJobs")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute", exact=True).click()
    answer = block.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_have_text("201")
    expect(answer.locator(".response-col_description")).to_contain_text('"jobId": "job-0"')
