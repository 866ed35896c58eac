"""`/docs` and the files that it is made of: from this machine alone, for every client, and as their makers published them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.contract.served import Served, serving

VENDORED = files("jobmgr").joinpath("web", "vendor", "swagger-ui")
BUNDLE = "/docs/swagger-ui-bundle.js"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The server."""
    async with serving(tmp_path) as served:
        yield served


def sums() -> list[tuple[str, str]]:
    """Name and sum of each file in SHA256SUMS."""
    lines = VENDORED.joinpath("SHA256SUMS").read_text().splitlines()
    return [(name, digest) for digest, name in (line.split() for line in lines)]


@pytest.mark.parametrize(("name", "digest"), sums())
def test_a_vendored_file_is_as_it_came(name: str, digest: str) -> None:
    """Its sum is the written one."""
    assert hashlib.sha256(VENDORED.joinpath(name).read_bytes()).hexdigest() == digest


def test_every_vendored_file_has_a_sum() -> None:
    """Nothing lies there besides, but for the sums and what we say of it; the licence is among it."""
    names = {name for name, _ in sums()}
    assert {file.name for file in VENDORED.iterdir()} - names == {"SHA256SUMS", "README.md"}
    assert {"LICENSE", "NOTICE"} <= names


async def test_the_page_names_its_files_and_no_other_machine(served: Served) -> None:
    """UTF-8, which the bundle needs; addresses are relative; each of them is there."""
    async with served.client.get("/docs") as response:
        text = await response.text()
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = response.headers["Content-Security-Policy"]
    assert '<meta charset="utf-8">' in text
    assert "//" not in text
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js"):
        assert f'"docs/{name}"' in text
        async with served.client.get(f"/docs/{name}") as response:
            assert response.status == 200


async def test_the_rest_keeps_its_strict_policy(served: Served) -> None:
    """Only the page may run scripts."""
    for path in ("/", "/openapi.json", BUNDLE, "/docs/nothing"):
        async with served.client.get(path) as response:
            assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.0", False),
        ("", False),
    ],
)
async def test_a_file_comes_as_the_client_can_take_it(served: Served, accepts: str, packed: bool) -> None:
    """Compressed where gzip is accepted, else not; caches are told, and each form has an ETag of its own."""
    whole = gzip.decompress(VENDORED.joinpath("swagger-ui-bundle.js.gz").read_bytes())
    async with (
        ClientSession(served.server.address, auto_decompress=False) as client,
        client.get(BUNDLE, headers={"Accept-Encoding": accepts}) as response,
    ):
        body = await response.read()
        assert response.headers.get("Content-Encoding") == ("gzip" if packed else None)
        assert (gzip.decompress(body) if packed else body) == whole
        assert response.headers["Vary"] == "Accept-Encoding"
        assert response.content_type == "text/javascript"
        tag = response.headers["ETag"]
    async with served.client.get(
        BUNDLE, headers={"If-None-Match": tag, "Accept-Encoding": "identity" if packed else "gzip"}
    ) as response:
        assert response.status == 200  # The other form.
    async with served.client.get(BUNDLE, headers={"If-None-Match": tag, "Accept-Encoding": accepts}) as response:
        assert response.status == 304


async def test_head_and_other_methods(served: Served) -> None:
    """HEAD says the length of what GET sends; nothing else is possible."""
    async with served.client.head(BUNDLE, headers={"Accept-Encoding": "gzip"}) as response:
        assert int(response.headers["Content-Length"]) == len(VENDORED.joinpath("swagger-ui-bundle.js.gz").read_bytes())
    async with served.client.post("/docs/docs.js") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/docs/SHA256SUMS", "/docs/..%2fdocs.html", "/docs/", "/docs/swagger-ui.css.gz"])
async def test_no_other_file_is_there(served: Served, path: str) -> None:
    """Only what the page needs."""
    async with served.client.get(path) as response:
        assert response.status == 404
