"""The Postman collection: whole, true to the interface, the same each time, and run by newman against a real server as a person would run it."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from documents.collection import collection
from documents.made import ROOT
from documents.story import STORY
from jobmgr import history
from jobmgr.api.openapi import document
from jobmgr.api.routes import ROUTES
from tests.acceptance.collection_gaps import fields, gaps, requests, route_of

INTERFACE = document(ROUTES)
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in INTERFACE["paths"].items()
    for method, operation in methods.items()
]
FIELDS = [
    (schema, field)
    for schema, it in INTERFACE["components"]["schemas"].items()
    for field in it.get("properties", ())
    if schema
    != "StreamedEvent"  # The form of all streams, which is no JSON; the collection asks for none, because it would not end.
]
COLLECTION: dict[str, Any] = json.loads((ROOT / "postman_collection.json").read_text())


def without(place: str, name: str) -> dict[str, Any]:
    """The interface without a field of a schema, or without a parameter of a route."""
    interface = copy.deepcopy(INTERFACE)
    if place in interface["components"]["schemas"]:
        del interface["components"]["schemas"][place]["properties"][name]
    else:
        method, path = place.split(" ")
        operation = interface["paths"][path][method.lower()]
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != name]
    return interface


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    """What a schema of the interface finds wrong with a value."""
    whole = {**schema, "components": INTERFACE["components"]}
    return [error.message for error in OAS31Validator(whole).iter_errors(value)]


def test_every_route_and_every_field_is_in_it() -> None:
    """The file in the checkout has all that the interface has: routes, parameters, fields, statuses, examples."""
    assert gaps(COLLECTION, INTERFACE) == []


@pytest.mark.parametrize("route", [route for route, _ in OPERATIONS])
def test_a_route_that_is_missing_is_noticed(route: str) -> None:
    """Without the requests of one route the collection is seen to lack it."""
    whole = copy.deepcopy(COLLECTION)
    for folder in whole["item"]:
        folder["item"] = [item for item in folder["item"] if route_of(item) != route]
    assert gaps(whole, INTERFACE) == [f"{route}: no request"]


@pytest.mark.parametrize(("schema", "field"), FIELDS)
def test_a_field_that_is_missing_is_noticed(schema: str, field: str) -> None:
    """Drawn from an interface without one field, the collection is seen to lack it."""
    found = gaps(collection(without(schema, field)), INTERFACE)
    assert field in {word.rpartition(".")[2] for gap in found for word in gap.split()}


@pytest.mark.parametrize(
    ("route", "name"), [(route, each["name"]) for route, it in OPERATIONS for each in it.get("parameters", ())]
)
def test_a_parameter_that_is_missing_is_noticed(route: str, name: str) -> None:
    """Drawn from an interface without one parameter, and without the steps that give it, the collection is seen to lack it."""
    story = [step for step in STORY if step.route != route or name not in {*step.query, *step.headers, *step.path}]
    found = gaps(collection(without(route, name), story), INTERFACE)
    assert [gap for gap in found if gap.startswith(f"{route}: no parameter {name} ")]


def test_a_route_without_a_step_is_in_it_all_the_same() -> None:
    """Nobody has to think of the collection when a route is added."""
    assert gaps(collection(INTERFACE, story=()), INTERFACE) == []


def test_a_step_for_a_route_that_is_gone_is_refused() -> None:
    """A story about what is there no more is an error, not a request that fails for whoever imports it."""
    with pytest.raises(ValueError, match="GET /stats, which is no route"):
        collection(document([route for route in ROUTES if route.path != "/stats"]))


def test_saved_answers_are_what_the_schemas_allow() -> None:
    """Each saved JSON answer is valid against the schema of its route and status."""
    operations = dict(OPERATIONS)
    wrong = []
    for item in requests(COLLECTION):
        for saved in item["response"]:
            answer = operations[route_of(item)]["responses"][str(saved["code"])]
            name = answer.get("$ref", "").rpartition("/")[2]
            content = (INTERFACE["components"]["responses"][name] if name else answer).get("content", {})
            for media, it in content.items():
                if media in ("application/json", "application/problem+json"):
                    found = problems(it["schema"], json.loads(saved["body"]))
                    wrong += [f"{item['name']}, {saved['name']}: {problem}" for problem in found]
    assert wrong == []


def test_every_field_of_the_history_is_in_it() -> None:
    """The fields of a line, which no schema tells, are in a table and in the saved answer."""
    [item] = [item for item in requests(COLLECTION) if route_of(item) == "GET /history"]
    names = [field.name for field in history.FIELDS]
    assert list(json.loads(item["response"][0]["body"])) == names
    assert set(names) <= fields(item["request"]["description"])


def test_names_are_short_and_no_two_are_alike() -> None:
    """A request is found by its name in the narrow list at Postman's side, and each is another one."""
    items = list(requests(COLLECTION))
    assert [step.name for step in STORY if len(step.name) > 25] == []
    for key in ("name", "id"):
        assert len({item[key] for item in items}) == len(items)


if sys.platform == "linux":
    from tests.acceptance.newman import install, newman_complaints
    from tests.faults.servers import Site

    newman = pytest.fixture(scope="session")(install)

    @pytest.fixture
    def address(tmp_path: Path) -> Iterator[str]:
        """A fresh server as `./scripts/serve` starts it: with the sample scripts, their default, and the sample types."""
        jobs, types = ROOT / "scripts" / "jobs", str(ROOT / "jobs.toml")
        samples = {"JOBMGR_SCRIPTS_DIR": str(jobs), "JOB_SCRIPT_PATH": str(jobs / "sample.sh"), "JOBMGR_CATALOG": types}
        site = Site(tmp_path, **samples)
        try:
            yield str(site.start().address())
            site.leave()
        finally:
            site.kill_everything()

    @pytest.mark.timeout(400)
    def test_newman_finds_nothing_wrong_also_the_second_time(newman: Path, address: str) -> None:
        """Every request is sent and every test holds, on a fresh server and then again on the same."""
        for _ in ("fresh", "again"):
            assert newman_complaints(newman, COLLECTION, address) == []

    @pytest.mark.timeout(400)
    def test_newman_notices_an_answer_that_lacks_a_field(newman: Path, address: str) -> None:
        """Each answer is held against its schema: a field that the server does not send is complained of."""
        interface = copy.deepcopy(INTERFACE)
        health = interface["components"]["schemas"]["Health"]
        health["properties"]["mood"] = {"type": "string", "description": "How it feels."}
        health["required"].append("mood")
        complaints = newman_complaints(newman, collection(interface), address)
        assert [complaint.partition(":")[0] for complaint in complaints] == ["Health, its fields are documented"]
