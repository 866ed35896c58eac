"""The OpenAPI 3.1 document: the route table, the types of answers and the models of requests, put together. No I/O.

Each type has one place in `components/schemas`, each refusal one in `components/responses`; routes refer to them. Nothing is written here that
another module knows: meanings come from fields and docstrings, statuses of errors from `middleware`, limits from the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from jobmgr import __version__
from jobmgr.api import answers
from jobmgr.api.middleware import JSON_TYPE, PROBLEM_TYPE, RETRY_AFTER_S
from jobmgr.api.refusals import REFUSALS
from jobmgr.api.route import STREAM_TYPE, Answer, Body, Header, Route, Tag

DESCRIPTION = """
jobmgr runs your scripts and executables, loses none of them, and says what makes them fail.

| word | meaning |
|---|---|
| job | what a client submits: a name, a program with arguments, a policy; id `job-0`, never used again |
| task | a job is one task or many (`numTask`, or one for each item of `tasks`), numbered from 0; each is one run of the program |
| attempt | one execution of one task, numbered from 1, with its own exit code, signal, times and output |
| round | `restart` begins a new round of the same job; the numbers of attempts go on |
| status | where it is in its life: pending, running, paused, retried; completed, crashed, failed, stopped, lost |
| cause | why an attempt ended, apart from its status: exit, signal, timeout, spawn_error, reboot, … |

**Statuses.** `completed`: the exit code means success. `crashed`: it ran and ended badly. `failed`: it never ran. `stopped`: someone stopped it.
`lost`: nobody can know how it ended. `retried`: it crashed and waits for its next attempt.

**Durable.** A 201 means that the job is stored: it survives `kill -9` of the server, and its exit code stays true.

**Problems.** Whatever is refused is answered with `application/problem+json`: a sentence in `error`, every wrong field in `errors`, and nothing
was changed. An unknown field or parameter is refused with the nearest known name.

**Units.** Times are RFC 3339 in UTC, durations of answers are milliseconds, those of submissions seconds, sizes are bytes.

**HEAD** is possible wherever GET is.
""".strip()

TAGS: Mapping[Tag, str] = {
    Tag.JOBS: "Submit jobs and look at them.",
    Tag.VERBS: "What can be asked of a job.",
    Tag.TYPES: "What may be submitted by the name of a job type.",
    Tag.OUTPUT: "What jobs printed.",
    Tag.LIVE: "What happens, as it happens, over reconnects and restarts. Socket.IO has its own path, `/socket.io/`.",
    Tag.WEBHOOKS: "Whom the server tells what happened, and what became of each message.",
    Tag.STATISTICS: "What goes with success and failure.",
    Tag.SERVER: "The server itself, and these pages.",
}

_IN_PATH: Mapping[str, Mapping[str, Any]] = {
    "jobs/{id}": {
        "description": "Id of the job.",
        "schema": {"type": "string", "pattern": "^job-(0|[1-9][0-9]*)$"},
        "example": "job-0",
    },
    "webhooks/{webhook}": {
        "description": "Id of the webhook.",
        "schema": {"type": "string", "pattern": "^webhook-(0|[1-9][0-9]*)$"},
        "example": "webhook-0",
    },
    "deliveries/{delivery}": {
        "description": "Id of the delivery.",
        "schema": {"type": "string", "pattern": "^delivery-(0|[1-9][0-9]*)$"},
        "example": "delivery-0",
    },
    "types/{name}": {
        "description": "Name of the job type.",
        "schema": {"type": "string", "minLength": 1},
        "example": "extract",
    },
    "jobs/{name}": {
        "description": "Name of jobs, exactly.",
        "schema": {"type": "string", "minLength": 1},
        "example": "nightly-backup",
    },
}
"""By the last words of the path up to them."""


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document of these routes."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jobmgr",
            "version": __version__,
            "summary": "A supervisor of native jobs",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This server"}],
        "tags": [{"name": tag, "description": text} for tag, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {_name(status): _refusal(status, schemas) for status in REFUSALS},
        },
    }


class _Plain(GenerateJsonSchema):
    """Schemas without the titles that pydantic makes of field names: they say nothing that the names do not."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class _Schemas:
    """The schemas of all types that the routes name, each with its definition in one place."""

    def __init__(self, routes: Sequence[Route]) -> None:
        inputs: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = []
        self._kept = [answers.Problem]  # An id is a key only as long as its type lives.
        for type_, mode in _types(routes):
            inputs.append((id(type_), mode, TypeAdapter(type_)))
            self._kept.append(type_)
        self._schemas, definitions = TypeAdapter.json_schemas(
            inputs, ref_template="#/components/schemas/{model}", schema_generator=_Plain
        )
        self.definitions: dict[str, Any] = definitions["$defs"]

    def of(self, type_: Any, mode: JsonSchemaMode = "serialization") -> dict[str, Any]:
        """The schema of a type that a route names."""
        return self._schemas[id(type_), mode]


def _types(routes: Sequence[Route]) -> Iterator[tuple[Any, JsonSchemaMode]]:
    yield answers.Problem, "serialization"
    for route in routes:
        sent = (type_ for answer in route.answers.values() for type_ in (answer.body, answer.stream))
        yield from ((type_, "serialization") for type_ in sent if type_ is not None)
        if route.body is not None:
            yield route.body.type, "validation"


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    known = {str(int(status)): _answer(answer, schemas) for status, answer in route.answers.items()}
    refused = {str(int(status)): {"$ref": f"#/components/responses/{_name(status)}"} for status in route.refusals}
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary,
        "description": route.description,
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": known | refused,
    }
    if route.body is not None:
        operation["requestBody"] = _request_body(route.body, schemas)
    return {key: value for key, value in operation.items() if value}


def _request_body(body: Body, schemas: _Schemas) -> dict[str, Any]:
    examples = {_key(title): {"summary": title, "value": value} for title, value in body.examples.items()}
    content = {"schema": schemas.of(body.type, "validation"), "examples": examples}
    return {"required": True, "description": body.meaning, "content": {JSON_TYPE: content}}


def _answer(answer: Answer, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.meaning}
    if answer.headers:
        described["headers"] = {str(name): _header(header) for name, header in answer.headers.items()}
    if answer.links:
        parameters = {"id": "$response.body#/jobId"}
        described["links"] = {name: {"operationId": name, "parameters": parameters} for name in answer.links}
    if answer.media is not None:
        schema = {"type": "string"} if answer.body is None else schemas.of(answer.body)
        described["content"] = {answer.media: {"schema": schema}}
    if answer.stream is not None:
        described.setdefault("content", {})[STREAM_TYPE] = {"schema": schemas.of(answer.stream)}
    return described


def _header(header: Header) -> dict[str, Any]:
    return {"description": header.meaning, "schema": dict(header.schema)}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    places = re.findall(r"(\w+/\{(\w+)\})", route.path)
    return [{"name": name, "in": "path", "required": True, **_IN_PATH[place]} for place, name in places]


def _query_parameters(route: Route) -> Iterator[dict[str, Any]]:
    fields = route.query.model_json_schema(schema_generator=_Plain)
    assert "$defs" not in fields, f"a parameter of {route.path} is more than one value"
    for name, field in fields.get("properties", {}).items():
        meaning, examples = field.pop("description"), field.pop("examples", [])
        parameter = {"name": name, "in": "query", "description": meaning, "schema": _without_null(field)}
        yield parameter | ({"example": examples[0]} if examples else {})


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: what is not given is no null."""
    schema = {key: value for key, value in field.items() if (key, value) != ("default", None)}
    branches = [branch for branch in schema.pop("anyOf", []) if branch != {"type": "null"}]
    return schema | (branches[0] if len(branches) == 1 else {"anyOf": branches} if branches else {})


def _header_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name, header in route.headers.items():
        yield {"name": str(name), "in": "header", **_header(header)}


def _refusal(status: HTTPStatus, schemas: _Schemas) -> dict[str, Any]:
    meaning, sentence = REFUSALS[status]
    example = {"success": False, "title": status.phrase, "status": int(status), "error": sentence}
    described: dict[str, Any] = {
        "description": meaning,
        "content": {PROBLEM_TYPE: {"schema": schemas.of(answers.Problem), "example": example}},
    }
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        wait = Header("Seconds to wait before trying again.", {"type": "integer", "const": RETRY_AFTER_S})
        described["headers"] = {"Retry-After": _header(wait)}
    return described


def _name(status: HTTPStatus) -> str:
    return status.name.title().replace("_", "")


def _key(title: str) -> str:
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
