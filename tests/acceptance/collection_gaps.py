"""What the Postman collection leaves out of the interface: reads the finished collection, and knows nothing of how it was made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from documents.fields import Schemas, paths

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """All requests of the collection that ask one route."""

    route: str
    items: list[Json]

    def offers(self, place: str) -> set[str]:
        """The names of parameters of that place (`query`, `header`, `path`) that some request has, on or off."""
        where = {"query": ("url", "query"), "path": ("url", "variable"), "header": ("header",)}[place]
        found: set[str] = set()
        for item in self.items:
            value: Any = item["request"]
            for key in where:
                value = value.get(key, {})
            found |= {each["key"] for each in value if each.get("description")}
        return found

    def fields(self, part: str) -> set[str]:
        """The fields that the descriptions tell of what is `sent` or `answered`: each has its own, some by the same name."""
        texts = (item["request"]["description"].partition(f"#### What is {part}")[2] for item in self.items)
        return {field for text in texts for field in fields(text.partition("####")[0])}

    def statuses(self) -> set[str]:
        """The statuses that tables of the descriptions tell."""
        texts = [item["request"]["description"] for item in self.items]
        return {status for text in texts for status in re.findall(r"^\| (\d{3}) \|", text, re.MULTILINE)}

    def saved(self, status: str) -> list[Json]:
        """The saved answers of this status."""
        return [answer for item in self.items for answer in item["response"] if str(answer["code"]) == status]


def fields(text: str) -> set[str]:
    """The fields that tables of a text tell."""
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def requests(collection: Json) -> Iterator[Json]:
    """The requests of all folders, in their order."""
    for folder in collection["item"]:
        yield from folder["item"]


def route_of(item: Json) -> str:
    """The route that a request asks, as the document writes it."""
    path = "/".join(re.sub("^:(.+)$", r"{\1}", part) for part in item["request"]["url"]["path"])
    return f"{item['request']['method']} /{path}"


def gaps(collection: Json, interface: Json) -> list[str]:
    """Everything of the interface that the collection lacks, and every request for what is no route; empty when it is whole."""
    found: list[str] = []
    asked: dict[str, Asked] = {}
    for item in requests(collection):
        asked.setdefault(route_of(item), Asked(route_of(item), [])).items.append(item)
    for path, methods in interface["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path}"
            known = asked.pop(route, None)
            found += [f"{route}: no request"] if known is None else _lacks(known, operation, interface)
    found += [f"{route}: no such route" for route in asked]
    problem = (name for name, _ in Schemas(interface).fields(interface["components"]["schemas"]["Problem"]))
    told = fields(collection["info"]["description"])
    return found + [f"problems: {name} is in no table" for name in problem if name not in told]


def _lacks(asked: Asked, operation: Json, interface: Json) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] not in asked.offers(parameter["in"]):
            yield f"{asked.route}: no parameter {parameter['name']} of the {parameter['in']}"
    yield from _lacks_body(asked, operation, interface)
    for status, answer in operation["responses"].items():
        if status not in asked.statuses():
            yield f"{asked.route}: status {status} is in no table"
        for media, content in answer.get("content", {}).items():
            if not asked.saved(status):
                yield f"{asked.route}: no saved answer {status}"
            if media == "application/json":
                yield from _lacks_fields(asked, status, content["schema"], interface)


def _lacks_body(asked: Asked, operation: Json, interface: Json) -> Iterator[str]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name, _ in Schemas(interface).fields(content["schema"]):
            if name not in asked.fields("sent"):
                yield f"{asked.route}: field {name} of the body is in no table"
        saved = [*asked.saved("200"), *asked.saved("201")]
        sent = [json.loads(answer["originalRequest"]["body"]["raw"]) for answer in saved]
        for example in content["examples"].values():
            if example["value"] not in sent:
                yield f"{asked.route}: no saved answer to {example['summary']!r}"


def _lacks_fields(asked: Asked, status: str, schema: Json, interface: Json) -> Iterator[str]:
    shown = {path for answer in asked.saved(status) for path in paths(json.loads(answer["body"]))}
    elsewhere = {path for item in asked.items for answer in item["response"] for path in _shown(answer)}
    for name, _ in Schemas(interface).fields(schema):
        if name not in asked.fields("answered"):
            yield f"{asked.route}: field {name} of {status} is in no table"
        if name not in shown | elsewhere:
            yield f"{asked.route}: field {name} of {status} is in no saved answer"


def _shown(answer: Json) -> Iterator[str]:
    return paths(json.loads(answer["body"])) if answer["_postman_previewlanguage"] == "json" else iter(())
