"""What a schema of the OpenAPI document says to a person: its fields by their paths, as a table and as an example. Changes nothing.

A path is written as one would in a program: `links.output`, `patterns[].matchCount`; the elements of a list that is the whole answer have no
prefix. Names that a client chooses itself (the keys of `labels`) are no fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from documents.api import KINDS

REFERENCE = "#/components/schemas/"

Schema = Mapping[str, Any]

_WORDLESS = {"description", "examples", "default", "title"}
_MAPS = {"properties", "patternProperties"}
_PLAIN: Mapping[str, Any] = {"string": "…", "boolean": True, "null": None, "object": {}}


class Schemas:
    """The schemas of one document, by name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._named: Mapping[str, Schema] = document["components"]["schemas"]

    def fields(self, schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
        """Every field with its path, in the order of the document."""
        for branch in self._branches(schema):
            if "items" in branch:
                yield from self.fields(branch["items"], f"{prefix}[]" if prefix else "")
            for name, field in branch.get("properties", {}).items():
                path = f"{prefix}.{name}" if prefix else name
                yield path, field
                yield from self.fields(field, path)

    def table(self, schema: Schema) -> str:
        """The fields as a table in markdown; empty where there are none."""
        rows = dict(self.fields(schema))
        if not rows:
            return ""
        lines = [f"| `{path}` | {self._type(field)} | {self._meaning(field)} |" for path, field in rows.items()]
        return "\n".join(["| field | type | meaning |", "|---|---|---|", *lines])

    def example(self, schema: Schema) -> Any:
        """A value that it allows, with every field: the first of its examples where it has some."""
        examples = schema.get("examples")
        if examples and examples[0] != []:  # An empty list shows no fields.
            return examples[0]
        branch = next(self._branches(schema))
        if "properties" in branch:
            return {name: self.example(field) for name, field in branch["properties"].items()}
        if "items" in branch:
            return [self.example(branch["items"])]
        if "const" in branch or "enum" in branch:
            return branch.get("const", (branch.get("enum") or [None])[0])
        return _PLAIN.get(branch.get("type", "null"), branch.get("minimum", 0))

    def rules(self, schema: Schema) -> dict[str, Any]:
        """The same schema without its words, its references made to `definitions`."""
        kept = {key: value for key, value in schema.items() if key not in _WORDLESS}
        return {
            key: {name: self.rules(field) for name, field in value.items()} if key in _MAPS else self._rule(value)
            for key, value in kept.items()
        }

    def definitions(self, schema: Schema) -> dict[str, dict[str, Any]]:
        """What the rules of a schema refer to, by name, with what that refers to in turn."""
        found: dict[str, dict[str, Any]] = {}
        waiting = list(_references(schema))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.rules(self._named[name])
                waiting += _references(self._named[name])
        return dict(sorted(found.items()))

    def _rule(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.rules(value)
        if isinstance(value, list):
            return [self._rule(item) for item in value]
        return value.replace(REFERENCE, "#/definitions/") if isinstance(value, str) else value

    def _branches(self, schema: Schema) -> Iterator[Schema]:
        """The schema itself, or what it refers to or leaves the choice of; null is no choice unless alone."""
        if "$ref" in schema:
            yield from self._branches(self._named[schema["$ref"].removeprefix(REFERENCE)])
        elif "anyOf" in schema:
            choices = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
            for choice in choices or schema["anyOf"]:
                yield from self._branches(choice)
        else:
            yield schema

    def _type(self, field: Schema) -> str:
        types = dict.fromkeys(self._words(field))
        return " or ".join(types) or "any JSON"

    def _words(self, field: Schema) -> Iterator[str]:
        if {"type": "null"} in field.get("anyOf", ()):
            yield from self._words({**field, "anyOf": [each for each in field["anyOf"] if each != {"type": "null"}]})
            yield "null"
            return
        for branch in self._branches(field):
            if "enum" in branch:
                yield ", ".join(f"`{value}`" for value in branch["enum"])
            elif "const" in branch:
                yield f"`{json.dumps(branch['const'])}`"
            elif "type" in branch:
                yield KINDS.get(branch.get("format", ""), KINDS[branch["type"]])

    def _meaning(self, field: Schema) -> str:
        own = str(field.get("description") or next(self._branches(field)).get("description", ""))
        return own.partition("\n\n")[0].replace("|", "\\|").replace("\n", " ")


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all that is in a value, as `Schemas.fields` writes them."""
    if isinstance(value, list):
        for item in value:
            yield from paths(item, f"{prefix}[]" if prefix else "")
    if isinstance(value, Mapping):
        for name, field in value.items():
            path = f"{prefix}.{name}" if prefix else name
            yield path
            yield from paths(field, path)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(REFERENCE)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)
