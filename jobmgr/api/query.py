"""Reads path and query strictly: an unknown, doubled or malformed parameter is a 400 that names it; a malformed id is simply not found.

What a route can be asked is a model: `Query` knows nothing, its subclasses one field for each parameter. `check` reads a request before its
handler runs, `asked` gives the handler what was read. The same models describe the parameters in the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError, WithJsonSchema
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from jobmgr.clock import parse_rfc3339
from jobmgr.errors import FieldProblem, InvalidRequest, NotFound
from jobmgr.job import parse_job_id
from jobmgr.submission import MAX_PROBLEMS

MAX_NUMBER = 2**53
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}


class Query(BaseModel):
    """No parameters at all; those of a route are the fields of a subclass. A field that is a list may be given several times."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Whole:
    """Marks a parameter as a whole number within these bounds, written in ASCII digits."""

    least: int = 0
    most: int = MAX_NUMBER

    def read(self, text: Any) -> int:
        """The number in the text."""
        digits = str(text)
        if digits.isascii() and digits.isdigit() and len(digits) <= len(str(self.most)):
            value = int(digits)
            if self.least <= value <= self.most:
                return value
        raise PydanticCustomError("number", f"give a whole number from {self.least:,} to {self.most:,}")

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            self.read, core_schema.int_schema(ge=self.least, le=self.most)
        )


def _flag(text: Any) -> bool:
    if text not in _FLAGS:
        raise PydanticCustomError("flag", "give true or false")
    return _FLAGS[text]


Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
"""True when given without a value too."""


def _some(text: Any) -> str:
    if not text:
        raise PydanticCustomError("text", "give a text, or leave it out")
    return str(text)


Text = Annotated[str, BeforeValidator(_some), WithJsonSchema({"type": "string", "minLength": 1})]


def _instant(text: Any) -> int:
    us = parse_rfc3339(str(text))
    if us is None:
        plus = "; in an address + is written %2B" if " " in str(text) else ""
        raise PydanticCustomError("instant", "give a time like 2026-11-22T08:00:00Z{plus}", {"plus": plus})
    return us


Instant = Annotated[int, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An RFC 3339 time, as microseconds since the epoch."""

_ASKED = web.RequestKey("asked", Query)
Model = TypeVar("Model", bound=Query)


def check(request: web.Request, model: type[Query]) -> None:
    """Read the query for the handler. Raises InvalidRequest with every wrong parameter."""
    given: dict[str, list[str]] = {}
    for name, value in request.query.items():
        given.setdefault(name, []).append(value)
    request[_ASKED] = read(given, model)


def read(given: Mapping[str, Sequence[str]], model: type[Model], *, at: str = "?") -> Model:
    """What parameters, each with its values, mean. Raises InvalidRequest with every wrong one; `at` stands before its name."""
    # An address has room for thousands, and to find out what each could mean takes its time.
    problems = list(islice(_troubles(given, model, at), MAX_PROBLEMS))
    known = {name: given[name] for name in names(model) if name in given}
    query = None
    try:
        query = model.model_validate(
            {name: values if _is_list(model, name) else values[0] for name, values in known.items()}
        )
    except ValidationError as error:
        problems += (_problem(detail, at) for detail in error.errors(include_url=False))
    if problems or query is None:
        raise InvalidRequest(problems)
    return query


def asked(request: web.Request, model: type[Model]) -> Model:
    """What the query of this request asks for; the model is that of its route."""
    query = request[_ASKED]
    assert isinstance(query, model)
    return query


def names(model: type[Query]) -> list[str]:
    """The parameters that it knows, as clients write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_list(model: type[Query], name: str) -> bool:
    return any(
        get_origin(field.annotation) is list
        for key, field in model.model_fields.items()
        if name == (field.alias or key)
    )


def _troubles(given: Mapping[str, Sequence[str]], model: type[Query], at: str) -> Iterator[FieldProblem]:
    known = names(model)
    for name, values in given.items():
        if name not in known:
            yield FieldProblem(f"{at}{name}", _unknown(name, known))
        elif len(values) > 1 and not _is_list(model, name):
            yield FieldProblem(f"{at}{name}", "give it once")


def _unknown(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"unknown parameter; did you mean {near[0]}?"
    return f"unknown parameter; known here are {', '.join(known)}" if known else "unknown parameter; none is known here"


def _problem(detail: ErrorDetails, at: str) -> FieldProblem:
    name = detail["loc"][0] if detail["loc"] else ""
    if detail["type"] in {"literal_error", "enum"}:
        choices = str(detail["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        return FieldProblem(f"{at}{name}", f"give one of {choices}")
    return FieldProblem(f"{at}{name}", detail["msg"].removeprefix("Value error, "))


def job_number(request: web.Request) -> int:
    """The job of the path. Raises NotFound for what is no id, as for one that is not there."""
    text = request.match_info["id"]
    number = parse_job_id(text)
    if number is None:
        raise NotFound("job", text)
    return number
