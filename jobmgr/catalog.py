"""The catalog: job types that are set up in a file, `jobs.toml`. Each names a script, its parameters, and defaults for its jobs.

Read once, at start, by `load_catalog`; every wrong entry is reported at once, with its place and the remedy. `JobType.fill` turns what
a client gave for the parameters into arguments and variables, or into one problem a parameter. Whether the script is there is
`admission`'s to see, at each submission: it may be put there later.

Patterns are run by pydantic's engine, which takes time linear in the text: no pattern can be made to stand still by a value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from jobmgr.errors import FieldProblem, InvalidRequest, SettingsError
from jobmgr.job import MASKED
from jobmgr.submission import JobDefaults, Retry, nearest, policy_troubles, variable_trouble, wrong_fields

RESERVED = frozenset(
    {
        "jobs", "stats", "nodes", "groups", "webhooks", "deliveries", "schedules", "types", "tokens", "audit",
        "docs", "openapi.json", "healthz", "readyz", "metrics", "events", "ws", "socket.io", "history",
    }
)  # fmt: skip
"""Types have routes of their own name later (`/upload/start`); these are taken."""

_CLOSED = ConfigDict(strict=True, extra="forbid", frozen=True)
_HOLE = "{}"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
Value = bool | int | float | str


class Parameter(BaseModel):
    """One parameter of a job type: what it may be, and how it reaches the program."""

    model_config = _CLOSED

    type: Literal["string", "integer", "number", "boolean"] = "string"
    description: str = ""
    required: bool | None = None
    default: Value | None = None
    choices: list[Value] | None = Field(None, min_length=1)
    minimum: int | float | None = None
    maximum: int | float | None = None
    pattern: str | None = None
    maxLength: int | None = Field(None, ge=1)
    argument: str | list[str] | None = None
    variable: str | None = None
    secret: bool = False
    allowDash: bool = False

    @property
    def is_required(self) -> bool:
        """Whether a job must give it: unless the entry says otherwise, one without default; a boolean is just false then."""
        if self.required is not None:
            return self.required
        return self.default is None and self.type != "boolean"

    @property
    def templates(self) -> list[str]:
        """The arguments it becomes, `{}` standing for the value."""
        return [self.argument] if isinstance(self.argument, str) else self.argument or []

    def problem_of(self, value: object) -> str | None:
        """What is wrong with a value, without quoting it; None where it is good."""
        try:
            self._checker.validate_python(value)
        except ValidationError as error:
            return "; ".join(self._say(detail["type"], detail["msg"]) for detail in error.errors(include_input=False))
        if self.choices is not None and not any(_same(value, choice) for choice in self.choices):
            names = [_text(choice) for choice in self.choices]
            near = nearest(value, names) if isinstance(value, str) else f"known are {', '.join(names)}"
            return f"not among its choices; {near}"
        if not self.allowDash and _text(value).startswith("-") and any(t.startswith(_HOLE) for t in self.templates):
            # Else a file called --delete would be an option of the program.
            return "may not begin with -, as the program could take it for an option; write a file as ./-name"
        return None

    def _say(self, kind: str, message: str) -> str:
        return f"must match {self.pattern} as a whole" if kind == "string_pattern_mismatch" else message

    @cached_property
    def _checker(self) -> TypeAdapter[Any]:
        """Raises SchemaError where the pattern is none."""
        strict = Field(strict=True)
        limits = Field(ge=self.minimum, le=self.maximum)
        match self.type:
            case "string":
                whole = None if self.pattern is None else rf"^(?:{self.pattern})$"
                return TypeAdapter(Annotated[str, strict, StringConstraints(pattern=whole, max_length=self.maxLength)])
            case "integer":
                return TypeAdapter(Annotated[int, strict, limits])
            case "number":
                return TypeAdapter(Annotated[float, strict, limits, Field(allow_inf_nan=False)])
            case "boolean":
                return TypeAdapter(Annotated[bool, strict])


@dataclass(slots=True)
class Filled:
    """What the parameters of one job became."""

    arguments: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    secret_env: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    """What was given; secret ones as MASKED."""
    places: dict[str, str] = field(default_factory=dict)
    """The field of the submission that each variable came from, as a JSON pointer."""

    def add(self, name: str, parameter: Parameter, value: object) -> None:
        """Pass this value on as the parameter says."""
        if parameter.variable is not None:
            self.places[parameter.variable] = f"/params/{name}"
            (self.secret_env if parameter.secret else self.env)[parameter.variable] = _text(value)
        elif value is not False:
            self.arguments += [template.replace(_HOLE, _text(value)) for template in parameter.templates]


class JobType(BaseModel):
    """One entry of the catalog."""

    model_config = _CLOSED

    script: str = Field(min_length=1, max_length=4096)
    description: str = ""
    job: JobDefaults = JobDefaults()
    params: dict[ParameterName, Parameter] = Field(default_factory=dict, max_length=256)

    def fill(self, given: Mapping[str, Any]) -> Filled:
        """Turn the parameters of a submission into what the program gets. Raises InvalidRequest with every wrong one, by its name."""
        problems = [
            FieldProblem(f"/{name}", f"unknown parameter; {nearest(name, self.params)}")
            for name in given
            if name not in self.params
        ]
        filled = Filled()
        for name, parameter in self.params.items():
            value = given.get(name, parameter.default)
            if name not in given and value is None:
                if parameter.is_required:
                    problems.append(FieldProblem(f"/{name}", f"required: {parameter.description or parameter.type}"))
            elif problem := parameter.problem_of(value):
                problems.append(FieldProblem(f"/{name}", problem))
            else:
                filled.add(name, parameter, value)
                if name in given:
                    filled.shown[name] = MASKED if parameter.secret else value
        if problems:
            raise InvalidRequest(problems)
        return filled

    def secrets_in(self, given: object) -> list[str]:
        """What was given for secret parameters, as far as it is text."""
        values = given if isinstance(given, dict) else {}
        return [v for name, p in self.params.items() if p.secret and isinstance(v := values.get(name), str)]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The job types of this server, by name, in the order of the file."""

    types: Mapping[str, JobType] = field(default_factory=dict)


def load_catalog(path: Path) -> Catalog:
    """Read the catalog; a file that is not there has no types. Raises SettingsError with every wrong entry."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except FileNotFoundError:
        return Catalog()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError([f"JOBMGR_CATALOG: {path}: {error}"]) from error
    types: dict[str, JobType] = {}
    problems = [
        FieldProblem(f"/{key}", "unknown; job types are tables called [types.NAME]")
        for key in sorted(content.keys() - {"types"})
    ]
    entries = content.get("types", {})
    if not isinstance(entries, dict):
        raise SettingsError([f"{path}: types: write each job type as a table: [types.NAME]"])
    for name, entry in entries.items():
        try:
            types[name] = _job_type(name, entry)
        except InvalidRequest as error:
            problems += [FieldProblem(f"/types/{name}{p.field}", p.problem) for p in error.problems]
    if problems:
        raise SettingsError([f"{path}: {_place(p.field)}: {p.problem}" for p in problems])
    return Catalog(types)


def _place(pointer: str) -> str:
    """A pointer as a person writes it in TOML: types.upload.params.file."""
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _job_type(name: str, entry: object) -> JobType:
    if name in RESERVED:
        raise InvalidRequest([FieldProblem("", "this name is taken by a part of the API; choose another")])
    if not _NAME.fullmatch(name):
        raise InvalidRequest([FieldProblem("", "a name has letters, digits, - and _ (at most 63, not - or _ first)")])
    try:
        kind = JobType.model_validate(entry)
    except ValidationError as error:
        raise InvalidRequest(wrong_fields(error, "", _known)) from None
    problems = [FieldProblem(at, problem) for at, problem in _troubles(kind)]
    if problems:
        raise InvalidRequest(problems)
    return kind


def _known(place: tuple[str, ...]) -> Iterable[str]:
    """The fields of an entry at this place in it."""
    if place[:1] == ("params",):
        return Parameter.model_fields
    if place[:1] == ("job",):
        return (JobDefaults if len(place) == 1 else Retry).model_fields
    return JobType.model_fields


def _troubles(kind: JobType) -> Iterator[tuple[str, str]]:
    """What the models cannot say of an entry."""
    parts = {*PurePosixPath(kind.script).parts, *PureWindowsPath(kind.script).parts}
    if ".." in parts or PurePosixPath(kind.script).is_absolute() or PureWindowsPath(kind.script).is_absolute():
        yield "/script", "name a file below the scripts directory (JOBMGR_SCRIPTS_DIR), without .. and leading /"
    for at, problem in policy_troubles(kind.job):
        yield f"/job{at}", problem
    taken = dict.fromkeys(kind.job.env, "job.env")
    for name, parameter in kind.params.items():
        for at, problem in _parameter_troubles(parameter):
            yield f"/params/{name}{at}", problem
        if parameter.variable is not None:
            if parameter.variable in taken:
                yield f"/params/{name}/variable", f"this variable is set by {taken[parameter.variable]} already"
            taken[parameter.variable] = f"params.{name}"


def _parameter_troubles(parameter: Parameter) -> Iterator[tuple[str, str]]:
    yield from _passing_troubles(parameter)
    if parameter.required and parameter.default is not None:
        yield "/required", "a parameter with a default is never missing; leave one of the two out"
    for name, fitting in _FITTING.items():
        if name in parameter.model_fields_set and parameter.type not in fitting:
            yield f"/{name}", f"means nothing for a {parameter.type}; leave it out"
    if parameter.minimum is not None and parameter.maximum is not None and parameter.minimum > parameter.maximum:
        yield "/minimum", "greater than maximum: no value would do"
    if parameter.secret:
        yield from _secret_troubles(parameter)
    if parameter.type == "integer" and (wrong := [n for n in _BOUNDS if (getattr(parameter, n) or 0) % 1]):
        yield from ((f"/{name}", "write a whole number: the parameter is an integer") for name in wrong)
        return
    try:
        yield from _value_troubles(parameter)
    except SchemaError as error:
        yield "/pattern", f"no regular expression: {str(error).splitlines()[-1].strip()}"


_BOUNDS = ("minimum", "maximum")
_FITTING = {
    "minimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "pattern": ("string",),
    "maxLength": ("string",),
    "choices": ("string", "integer", "number"),
    "allowDash": ("string", "integer", "number"),
}


def _passing_troubles(parameter: Parameter) -> Iterator[tuple[str, str]]:
    if (parameter.argument is None) == (parameter.variable is None):
        yield "", 'say how it reaches the program: either argument = "--name={}" or variable = "NAME"'
    elif parameter.variable is not None:
        if problem := variable_trouble(parameter.variable):
            yield "/variable", problem
    elif not parameter.templates:
        yield "/argument", "give at least one argument"
    elif parameter.type == "boolean" and any(_HOLE in template for template in parameter.templates):
        yield "/argument", "a boolean has no {}: write the argument that is given when it is true"
    elif parameter.type != "boolean" and not any(_HOLE in template for template in parameter.templates):
        yield "/argument", "write {} where the value goes"


def _secret_troubles(parameter: Parameter) -> Iterator[tuple[str, str]]:
    if parameter.variable is None:
        yield "/secret", "a secret goes to a variable: arguments are seen by everybody on the machine"
    if parameter.default is not None:
        yield "/default", "a secret does not belong into this file; let the submission give it"
    if parameter.type != "string" or parameter.choices is not None:
        yield "/secret", "a secret is a string, without choices, which are shown"


def _value_troubles(parameter: Parameter) -> Iterator[tuple[str, str]]:
    free = parameter.model_copy(update={"choices": None})
    for index, choice in enumerate(parameter.choices or ()):
        if problem := free.problem_of(choice):
            yield f"/choices/{index}", problem
    if parameter.default is not None and (problem := parameter.problem_of(parameter.default)):
        yield "/default", problem
    free.problem_of("")  # Builds the checker, which fails where the pattern is none.


def _same(value: object, choice: Value) -> bool:
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _text(value: object) -> str:
    """A value as the program gets it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
