"""docs/api.md: the interface as a page to read, drawn from the OpenAPI document."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from jobmgr.api.openapi import document
from jobmgr.api.route import ALWAYS, ON_CHANGE
from jobmgr.api.routes import ROUTES

HEAD = """\
# The interface

A running server shows all this at `/docs`, to read and to try out, and gives it to programs as OpenAPI 3.1 at `/openapi.json`.
Addresses in the examples are those of a server that runs with its defaults.
"""
KINDS = {
    "array": "list",
    "object": "object",
    "string": "text",
    "date-time": "time",
    "uri-reference": "address",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "null",
}
"""Formats and types of JSON schema in plain words."""
COMMON = {str(int(status)) for status in (*ALWAYS, *ON_CHANGE)}
SERVER = "localhost:3000"

Json = Mapping[str, Any]


def api_page() -> str:
    """The text of docs/api.md."""
    return "\n".join(_Page(document(ROUTES)).lines())


class _Page:
    """One page of one document."""

    def __init__(self, described: Json) -> None:
        self._document = described
        self._schemas: Json = described["components"]["schemas"]
        self._refusals: Json = described["components"]["responses"]

    def lines(self) -> Iterator[str]:
        yield HEAD
        yield self._document["info"]["description"].partition("\n\n")[2] + "\n"
        yield from self._overview()
        for tag in self._document["tags"]:
            yield f"## {tag['name'].capitalize()}\n"
            yield f"{tag['description']}\n"
            for method, path, operation in self._operations():
                if operation["tags"][0] == tag["name"]:
                    yield from self._operation(method, path, operation)
        yield from self._refused()
        yield from self._fields()

    def _operations(self) -> Iterator[tuple[str, str, Json]]:
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def _overview(self) -> Iterator[str]:
        yield "## All routes\n"
        yield "| route | what it does |"
        yield "|---|---|"
        for method, path, operation in self._operations():
            yield f"| [`{method} {path}`](#{_anchor(f'{method} {path}')}) | {operation['summary']} |"
        yield ""

    def _operation(self, method: str, path: str, operation: Json) -> Iterator[str]:
        yield f"### `{method} {path}`\n"
        yield f"**{operation['summary']}.** {operation.get('description', '')}".rstrip() + "\n"
        yield f"```sh\n{_curl(method, path, operation)}\n```\n"
        parameters = [each for each in operation.get("parameters", []) if each["in"] != "path"]
        if parameters:
            yield "| parameter | in | value | meaning |"
            yield "|---|---|---|---|"
            for each in parameters:
                value = _cell(self._type(each["schema"]))
                yield f"| `{each['name']}` | {each['in']} | {value} | {_cell(each['description'])} |"
            yield ""
        if "requestBody" in operation:
            yield from self._body(operation["requestBody"])
        yield from self._answers(operation["responses"])

    def _body(self, body: Json) -> Iterator[str]:
        [content] = body["content"].values()
        yield f"Body: {self._type(content['schema'])}. For example:\n"
        yield "```json"
        yield from (json.dumps(example["value"], ensure_ascii=False) for example in content["examples"].values())
        yield "```\n"

    def _answers(self, responses: Json) -> Iterator[str]:
        for status, answer in responses.items():
            if "$ref" not in answer:
                kinds = [self._content(media, content) for media, content in answer.get("content", {}).items()]
                yield f"* **{status}** {answer['description']}" + (f" {', '.join(kinds)}." if kinds else "")
                yield from (
                    f"  * `{name}`: {header['description']}" for name, header in answer.get("headers", {}).items()
                )
        own = [status for status, answer in responses.items() if "$ref" in answer and status not in COMMON]
        if own:
            yield f"* Refused with {', '.join(f'[{status}](#refusals)' for status in own)}."
        yield ""

    def _content(self, media: str, content: Json) -> str:
        words = self._type(content["schema"]) if media == "application/json" else f"`{media}`"
        return words[:1].upper() + words[1:]

    def _refused(self) -> Iterator[str]:
        yield "## Refusals\n"
        yield f"Every refusal is a [Problem](#problem). Any request may get {_statuses(ALWAYS)}; one that changes something also"
        yield f"{_statuses(ON_CHANGE)}. A wrong method on a right path is 405 with `Allow`.\n"
        yield "| status | when | for example |"
        yield "|---|---|---|"
        for refusal in self._refusals.values():
            [content] = refusal["content"].values()
            example = content["example"]
            yield f"| {example['status']} {example['title']} | {_cell(refusal['description'])} | {_cell(example['error'])} |"
        yield ""

    def _fields(self) -> Iterator[str]:
        yield "## Fields\n"
        for name in self._in_order():
            schema = self._schemas[name]
            yield f"### {name}\n"
            yield f"{schema.get('description', '')}\n"
            if "enum" in schema:
                yield f"{_words(schema['enum'])}.\n"
                continue
            is_input = schema.get("additionalProperties") is False
            yield "| field | value | default | meaning |" if is_input else "| field | value | meaning |"
            yield "|---|---|---|---|" if is_input else "|---|---|---|"
            for field, described in schema["properties"].items():
                yield self._field(field, described, is_input=is_input)
            yield ""

    def _in_order(self) -> list[str]:
        """The schemas as a reader meets them: those of a route, then those inside them, then those of the next route."""
        names: list[str] = []

        def meet(described: Any) -> None:
            for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)):
                if name not in names:
                    names.append(name)
                    meet(self._schemas[name])

        for _, _, operation in self._operations():
            meet([operation.get("requestBody"), operation["responses"]])
        meet(self._refusals)
        return names

    def _field(self, name: str, schema: Json, *, is_input: bool) -> str:
        meaning = schema.get("description") or self._schemas.get(_name(schema), {}).get("description", "")
        cells = [f"`{name}`", self._type(schema)]
        if is_input:
            cells.append(f"`{json.dumps(schema['default'])}`" if schema.get("default") is not None else "")
        return f"| {' | '.join(_cell(cell) for cell in (*cells, meaning))} |"

    def _type(self, schema: Json) -> str:
        """A schema in a few words."""
        if "$ref" in schema:
            return f"[{_name(schema)}](#{_anchor(_name(schema))})"
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._type(branch) for branch in schema["anyOf"]))
        if "enum" in schema:
            return _words(schema["enum"])
        if "const" in schema:
            return f"`{json.dumps(schema['const'])}`"
        kind = schema.get("type", "")
        inner = schema.get("items") or schema.get("additionalProperties")
        within = f" of {self._type(inner)}" if isinstance(inner, dict) and inner else ""
        return KINDS.get(schema.get("format", kind), "any JSON") + within + _bounds(schema)


def _bounds(schema: Json) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None and abs(most) < 2**53:
        return f" from {least:,} to {most:,}" if least is not None else f" up to {most:,}"
    return f" from {least:,}" if least else ""


def _curl(method: str, path: str, operation: Json) -> str:
    examples = {each["name"]: each["example"] for each in operation.get("parameters", []) if each["in"] == "path"}
    verb = "" if method == "GET" or "requestBody" in operation else f"-X {method} "
    line = f"curl {verb}{SERVER}{path.format(**examples)}"
    if "requestBody" in operation:
        [content] = operation["requestBody"]["content"].values()
        value = next(iter(content["examples"].values()))["value"]
        line += f" -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(value))}"
    return line


def _statuses(statuses: Iterable[HTTPStatus]) -> str:
    *others, last = sorted(int(status) for status in statuses)
    return f"{', '.join(map(str, others))} or {last}"


def _words(values: list[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _anchor(heading: str) -> str:
    """The anchor that is made of a heading where such pages are shown."""
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
