"""`postman_collection.json`: every route of the OpenAPI document as a request of Postman (Collection v2.1), with tests and saved examples.

A folder for each tag. In it come first the steps of `story`, which are written by hand, then a plain request for every route that no step asks,
so none can be missing. The first request of a route carries its whole description, all its fields as tables, and an example of every answer that
is its own; later ones say only what they show. What holds for every answer (a documented status, a body that its schema allows) is tested by one
script of the collection. The same document gives the same bytes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from documents.fields import Schemas
from documents.saved import ANSWERS, USUAL
from documents.steps import ANY, Step
from documents.story import STORY, VARIABLES
from jobmgr.api.middleware import PROBLEM_TYPE
from jobmgr.api.openapi import document
from jobmgr.api.route import ALWAYS, ON_CHANGE
from jobmgr.api.routes import ROUTES

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
PATH_VALUES: Mapping[str, str] = {"id": "{{jobId}}", "webhook": "{{webhookId}}", "delivery": "{{deliveryId}}"}
"""What stands for parameters of paths; for others, their example."""

COMMON = {*ALWAYS, *ON_CHANGE}
"""Refusals that routes have in common: in the table of each, an example of none."""

JSON = "application/json"
Json = dict[str, Any]

WELCOME = """
Start a server (`./scripts/serve`), set the variable `baseUrl` to where it listens, and send the requests one by one or run the whole collection: it
tells a story from top to bottom, leaves nothing that hinders the next run, and every request tests its answer.
""".strip()

CHECK = """
// Holds every answer against the interface: is its status documented, and does its schema allow it?
const path = "/" + pm.request.url.path.join("/");
const fits = (route) => {
    const [method, ending] = route.split(" ");
    return method === pm.request.method && new RegExp(ending.replace(/:[a-z]+/gi, "[^/]+") + "$").test(path);
};
const answers = ANSWERS[Object.keys(ANSWERS).filter(fits).pop()] || {refused: []};  // Those of the longest one.
const refused = answers.refused.includes(pm.response.code);
pm.test("the answer is documented", () => pm.expect(refused || pm.response.code in answers).to.be.true);
const schema = refused ? {$ref: "#/definitions/Problem"} : answers[pm.response.code];
if (schema) {
    pm.test("its fields are documented", () => pm.response.to.have.jsonSchema({...schema, definitions: SCHEMAS}));
}
"""


def text() -> str:
    """The file."""
    return json.dumps(collection(document(ROUTES)), ensure_ascii=False, indent="\t") + "\n"


def collection(interface: Mapping[str, Any], story: Sequence[Step] = STORY) -> Json:
    """The collection of an interface. Raises ValueError for a step whose route or parameter is none."""
    operations = dict(_operations(interface))
    plain = [Step(route, one.value["summary"], status=ANY) for route, one in operations.items()]
    asked = {step.route for step in story}
    steps = [*story, *(step for step in plain if step.route not in asked)]
    folders: dict[str, list[Json]] = defaultdict(list)
    known: set[str] = set()
    for step in steps:
        operation = operations.get(step.route)
        if operation is None:
            raise ValueError(f"the step {step.name!r} asks {step.route}, which is no route")
        first = step.route not in known
        known.add(step.route)
        folders[step.folder or operation.value["tags"][0]].append(operation.request(step, first=first))
    return {
        "info": {
            "_postman_id": _id("collection"),
            "name": interface["info"]["title"],
            "description": _welcome(interface),
            "schema": FORMAT,
        },
        "item": [_folder(tag, folders[tag["name"]]) for tag in interface["tags"]],
        "event": [_script("test", _check(operations.values()))],
        "variable": [
            {"key": key, "value": value, "description": meaning} for key, (value, meaning) in VARIABLES.items()
        ],
    }


def _welcome(interface: Mapping[str, Any]) -> str:
    schemas = Schemas(interface)
    problem = schemas.table(interface["components"]["schemas"]["Problem"])
    return "\n\n".join([WELCOME, interface["info"]["description"], "#### A problem", problem])


def _operations(interface: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    for path, methods in interface["paths"].items():
        for method, value in methods.items():
            operation = Operation(interface, method.upper(), path, value)
            yield operation.route, operation


def _folder(tag: Mapping[str, str], items: list[Json]) -> Json:
    name = tag["name"]
    return {"name": name.capitalize(), "id": _id(name), "description": tag["description"], "item": items}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route as the OpenAPI document describes it."""

    interface: Mapping[str, Any]
    method: str
    path: str
    value: Mapping[str, Any]

    @property
    def route(self) -> str:
        """As a person writes it: `GET /jobs/{id}`."""
        return f"{self.method} {self.path}"

    @property
    def schemas(self) -> Schemas:
        """Those of the document."""
        return Schemas(self.interface)

    def answers(self) -> Iterator[tuple[str, Json]]:
        """Every answer by its status, with what the document keeps in one place for all routes."""
        for status, answer in self.value["responses"].items():
            name = answer.get("$ref", "").removeprefix("#/components/responses/")
            yield status, self.interface["components"]["responses"][name] if name else answer

    def body_schema(self) -> Json | None:
        """The schema of what is sent; None: nothing is."""
        content = self.value.get("requestBody", {}).get("content", {})
        return next((media["schema"] for media in content.values()), None)

    def request(self, step: Step, *, first: bool) -> Json:
        """The request of a step. `first`: with all that is to be said of the route."""
        item: Json = {"name": step.name, "id": _id(step.folder, step.route, step.name)}
        if step.before:
            item["event"] = [_script("prerequest", step.before.strip().splitlines())]
        item.setdefault("event", []).append(_script("test", step.test()))
        item["request"] = self._sent(step) | {"description": self._description(step) if first else step.text}
        item["response"] = list(self._examples(step, item["request"])) if first else []
        return item

    def _sent(self, step: Step) -> Json:
        unknown = {*step.query, *step.headers, *step.path} - {each["name"] for each in self.value.get("parameters", ())}
        if unknown:
            raise ValueError(f"the step {step.name!r} gives what {self.route} does not know: {sorted(unknown)}")
        sent: Json = {"method": self.method, "header": self._headers(step), "url": self._url(step)}
        if step.body is not None:
            sent["body"] = _body(step.body)
        return sent

    def _headers(self, step: Step) -> list[Json]:
        content = [{"key": "Content-Type", "value": JSON}] if step.body is not None else []
        return content + [_switched(parameter, step.headers) for parameter in self._parameters("header")]

    def _url(self, step: Step) -> Json:
        path = self.path.replace("{", ":").replace("}", "")
        query = [_switched(parameter, step.query) for parameter in self._parameters("query")]
        on = "&".join(f"{each['key']}={each['value']}" for each in query if "disabled" not in each)
        url: Json = {
            "raw": "{{baseUrl}}" + path + (f"?{on}" if on else ""),
            "host": ["{{baseUrl}}"],
            "path": path.removeprefix("/").split("/"),
        }
        examples = {each["name"]: each.get("example", "") for each in self._parameters("path")}
        values = {**examples, **PATH_VALUES, **step.path}
        variables = [
            {"key": each["name"], "value": values[each["name"]], "description": each["description"]}
            for each in self._parameters("path")
        ]
        return url | ({"query": query} if query else {}) | ({"variable": variables} if variables else {})

    def _parameters(self, place: str) -> Iterator[Json]:
        return (each for each in self.value.get("parameters", ()) if each["in"] == place)

    def _description(self, step: Step) -> str:
        schema = self.body_schema()
        answered = [self.schemas.table(schema) for schema in self._answered()]
        parts = [
            step.text,
            f"**{self.route}**: {self.value['summary']}.",
            self.value.get("description", ""),
            *(["#### What is sent", self.schemas.table(schema)] if schema else []),
            *(["#### What is answered", *dict.fromkeys(filter(None, answered))] if any(answered) else []),
            "#### Statuses",
            "| status | meaning |\n|---|---|",
        ]
        statuses = (f"| {status} | {answer['description']} |" for status, answer in self.answers())
        return "\n".join(["\n\n".join(filter(None, parts)), *statuses])

    def _answered(self) -> Iterator[Json]:
        """The schemas of answers that are no refusals."""
        for _, answer in self.answers():
            for media, content in answer.get("content", {}).items():
                if media != PROBLEM_TYPE:
                    yield content["schema"]

    def _examples(self, step: Step, request: Json) -> Iterator[Json]:
        """One for each body that may be sent, then one for each answer that only some routes give."""
        bodies = self.value.get("requestBody", {}).get("content", {}).get(JSON, {}).get("examples", {})
        plain = {key: value for key, value in request.items() if key != "description"}
        for status, answer in self.answers():
            if status[0] == "2" and bodies:
                for example in bodies.values():
                    sent = plain | {"body": _body(example["value"])}
                    many = len(example["value"]) if isinstance(example["value"], list) else 0
                    yield self._example(status, answer, sent, name=example["summary"], many=many)
            elif not _is_problem(answer) or int(status) not in COMMON or (status == "400" and bodies):
                yield self._example(status, answer, plain, name=f"{status} {HTTPStatus(int(status)).phrase}")

    def _example(self, status: str, answer: Json, sent: Json, *, name: str, many: int = 0) -> Json:
        media, content = _content(answer)
        return {
            "name": name,
            "id": _id(self.route, status, name),
            "originalRequest": sent,
            "status": HTTPStatus(int(status)).phrase,
            "code": int(status),
            "_postman_previewlanguage": "json" if media in (JSON, PROBLEM_TYPE) else "text",
            "header": [
                *([{"key": "Content-Type", "value": media}] if media else []),
                *_header_examples(answer, many),
            ],
            "body": self._example_body(media, content, status=status, many=many),
        }

    def _example_body(self, media: str, content: Json, *, status: str, many: int) -> str:
        if not content:
            return ""
        if (self.route, status) in ANSWERS:
            answer = ANSWERS[self.route, status]
            return answer if isinstance(answer, str) else _pretty(answer)
        if media not in (JSON, PROBLEM_TYPE):
            return str(content.get("example", ""))
        value = content.get("example", self.schemas.example(content["schema"]))
        return _pretty([{**value, "jobId": f"job-{number}"} for number in range(many)] if many else value)


def _header_examples(answer: Json, many: int) -> Iterator[Json]:
    """The headers whose value the document knows; a list of jobs has no single place."""
    for name, header in answer.get("headers", {}).items():
        schema = header["schema"]
        value = header.get("example", next(iter(schema.get("examples", [])), None))
        if value is not None and not many:
            yield {"key": name, "value": str(value), "description": header["description"]}


def _switched(parameter: Json, given: Mapping[str, str]) -> Json:
    """A parameter of the query or a header: off unless the step gives it a value."""
    name = parameter["name"]
    described = {"key": name, "value": given.get(name, _value(parameter)), "description": parameter["description"]}
    return described if name in given else described | {"disabled": True}


def _value(parameter: Json) -> str:
    """What it is likely to be given, for whoever switches it on."""
    schema = parameter["schema"]
    if parameter["name"] in USUAL:
        return USUAL[parameter["name"]]
    if schema.get("default") is False:
        return "true"
    default = schema.get("default", next(iter(schema.get("enum", [])), schema.get("minimum", "")))
    value = parameter.get("example", next(iter(schema.get("examples", [])), default))
    if isinstance(value, list):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def _body(value: Any) -> Json:
    return {"mode": "raw", "raw": _pretty(value), "options": {"raw": {"language": "json"}}}


def _script(listen: str, lines: Sequence[str]) -> Json:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": list(lines)}}


def _check(operations: Iterable[Operation]) -> list[str]:
    """The script that runs after every request."""
    schemas: dict[str, Json] = {}
    answers: dict[str, Json] = {}
    for operation in sorted(operations, key=lambda each: len(each.path)):
        route = f"{operation.method} {operation.path}".replace("{", ":").replace("}", "")
        refused = [int(status) for status, answer in operation.answers() if _is_problem(answer)]
        answers[route] = {"refused": refused}
        for status, answer in operation.answers():
            media, content = _content(answer)
            if media in (JSON, PROBLEM_TYPE):
                schemas |= operation.schemas.definitions(content["schema"])
            if not _is_problem(answer):
                answers[route][status] = operation.schemas.rules(content["schema"]) if media == JSON else None
    return [*_constant("ANSWERS", answers), *_constant("SCHEMAS", dict(sorted(schemas.items()))), *CHECK.splitlines()]


def _constant(name: str, values: Mapping[str, Json]) -> list[str]:
    """A constant of JavaScript with a line for each field."""
    lines = [f"const {name} = {{"]
    for key, value in values.items():
        fields = value.get("properties", value)
        rest = "".join(f"{json.dumps(k)}: {json.dumps(v)}, " for k, v in value.items() if k != "properties")
        inside = "properties" in value
        lines.append(f"    {json.dumps(key)}: {{" + (f'{rest}"properties": {{' if inside else ""))
        lines += [f"        {json.dumps(field)}: {json.dumps(rule)}," for field, rule in fields.items()]
        lines.append("    }}," if inside else "    },")
    return [*lines, "};"]


def _content(answer: Json) -> tuple[str, Json]:
    """The media type of an answer with what it holds; nothing where there is no body."""
    return next(iter(answer.get("content", {}).items()), ("", {}))


def _is_problem(answer: Json) -> bool:
    return PROBLEM_TYPE in answer.get("content", {})


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=4)


def _id(*names: str) -> str:
    """The same for the same names, always."""
    return str(uuid5(NAMESPACE_URL, "/".join(("jobmgr", "postman", *names))))
