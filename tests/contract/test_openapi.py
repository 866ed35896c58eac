"""The OpenAPI document: valid, complete, and drawn from what the server does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from jobmgr import __version__
from jobmgr.admission import Admission
from jobmgr.api.bodies import EXAMPLES
from jobmgr.api.middleware import STATUSES
from jobmgr.api.openapi import document
from jobmgr.api.refusals import REFUSALS
from jobmgr.api.route import Route
from jobmgr.api.routes import ROUTES
from jobmgr.catalog import load_catalog
from tests.contract.served import Served, serving

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = document(ROUTES)
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The server."""
    async with serving(tmp_path) as served:
        yield served


def undocumented(routes: Sequence[Route], described: dict[str, Any]) -> list[str]:
    """The routes that the document leaves out."""
    return [f"{r.method} {r.path}" for r in routes if r.method.lower() not in described["paths"].get(r.path, {})]


def test_it_is_valid() -> None:
    """OpenAPI 3.1 by the validator, examples and defaults included."""
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_every_route_is_in_it() -> None:
    """No route is left out."""
    assert undocumented(ROUTES, DOCUMENT) == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_a_route_that_is_missing_is_noticed(route: Route) -> None:
    """Drawn without one route, the document is seen to lack it."""
    others = [other for other in ROUTES if other is not route]
    assert undocumented(ROUTES, document(others)) == [f"{route.method} {route.path}"]


async def test_the_server_answers_nothing_that_is_not_in_it(served: Served) -> None:
    """What the router knows is in the document, but for the files that a page is made of, and Socket.IO, which is a protocol of its own."""
    known = {(r.method, r.path) for r in ROUTES} | {("HEAD", r.path) for r in ROUTES if r.method == "GET"}
    registered = {
        (route.method, route.resource.canonical)
        for route in served.server.application().router.routes()
        if isinstance(route.resource, web.Resource)
    }
    socketio = {(method, "/socket.io/") for method in ("GET", "POST", "OPTIONS")}
    assert registered - known == {("GET", "/docs/{file}"), ("HEAD", "/docs/{file}")} | socketio


async def test_it_is_served(served: Served) -> None:
    """`/openapi.json` is this document, named by an ETag."""
    async with served.client.get("/openapi.json") as response:
        assert response.content_type == "application/json"
        assert await response.json() == json.loads(json.dumps(DOCUMENT))
        tag = response.headers["ETag"]
    async with served.client.get("/openapi.json", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with served.client.get("/openapi.json", headers={"If-None-Match": '"another"'}) as response:
        assert response.status == 200


def test_it_says_what_it_describes() -> None:
    """The version is that of the program, the licence is named, the server is the one that was asked."""
    info = DOCUMENT["info"]
    assert (info["version"], info["license"]["identifier"]) == (__version__, "MIT")
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/"]


@pytest.mark.parametrize("operation", [pytest.param(operation, id=name) for name, operation in OPERATIONS])
def test_an_operation_is_told_well(operation: dict[str, Any]) -> None:
    """It has a chapter, a summary, a description, and a meaning for each parameter."""
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["summary"]
    assert operation["description"]
    assert all(parameter["description"] for parameter in operation.get("parameters", []))


def test_operations_have_names_of_their_own() -> None:
    """Generated clients make methods of them, and links lead to them."""
    names = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    answers = [answer for _, operation in OPERATIONS for answer in operation["responses"].values()]
    assert {link["operationId"] for answer in answers for link in answer.get("links", {}).values()} <= set(names)


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of every schema."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, description in schema.get("properties", {}).items():
            yield f"{name}.{field}", description


@pytest.mark.parametrize("field", [pytest.param(field, id=name) for name, field in fields()])
def test_a_field_says_what_it_means(field: dict[str, Any]) -> None:
    """A description, or a schema of its own that has one, or one word that it always is."""
    target = field.get("$ref", "").rpartition("/")[2]
    described = DOCUMENT["components"]["schemas"].get(target, field)
    assert described.get("description") or "const" in field


def test_every_refusal_of_an_error_is_described() -> None:
    """The statuses that errors have, and no text without one."""
    assert set(STATUSES.values()) <= set(REFUSALS)
    used = {status for _, operation in OPERATIONS for status in operation["responses"]}
    assert {str(int(status)) for status in STATUSES.values()} <= used


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_accepted(title: str, tmp_path: Path) -> None:
    """What the document suggests to submit can be submitted."""
    sample, tool = ROOT / "scripts" / "jobs" / "sample.sh", tmp_path / "ffmpeg"
    tool.touch(0o755)
    admission = Admission(
        default_script=sample,
        scripts_dir=sample.parent,
        catalog=load_catalog(ROOT / "jobs.toml"),
        search_path=str(tmp_path),
    )
    assert admission.admit(EXAMPLES[title]).specs
