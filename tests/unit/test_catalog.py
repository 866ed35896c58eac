"""The catalog: what a file of job types may say, and what parameters become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobmgr.catalog import RESERVED, Catalog, JobType, Parameter, load_catalog
from jobmgr.errors import InvalidRequest, SettingsError
from jobmgr.job import MASKED

SAMPLE = Path(__file__).parents[2] / "jobs.toml"

RATE = """
[types.encode]
description = "Encodes a film"
script = "encode.sh"
job = { timeout = 600, labels = { team = "media" }, retry = { maxAttempts = 3 } }

[types.encode.params.verbose]
type = "boolean"
argument = "--verbose"

[types.encode.params.rate]
type = "integer"
minimum = 1
maximum = 100
default = 50
argument = ["--rate", "{}"]

[types.encode.params.format]
choices = ["webm", "mp4"]
required = false
argument = "--format={}"

[types.encode.params.file]
description = "the film"
argument = "{}"

[types.encode.params.key]
variable = "KEY"
secret = true
required = false
"""


def load(tmp_path: Path, text: str) -> Catalog:
    """The catalog of a file with this text."""
    (tmp_path / "jobs.toml").write_text(text)
    return load_catalog(tmp_path / "jobs.toml")


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    """What is wrong with a file with this text."""
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, text)
    return refused.value.problems


def wrong(kind: JobType, given: dict[str, Any]) -> dict[str, str]:
    """What is wrong with these parameters, by name."""
    with pytest.raises(InvalidRequest) as refused:
        kind.fill(given)
    return {p.field: p.problem for p in refused.value.problems}


@pytest.fixture
def encode(tmp_path: Path) -> JobType:
    """A type with a parameter of each kind."""
    return load(tmp_path, RATE).types["encode"]


def test_a_file_that_is_not_there_has_no_types(tmp_path: Path) -> None:
    """A server needs no catalog."""
    assert load_catalog(tmp_path / "jobs.toml").types == {}


def test_the_sample_catalog_is_good() -> None:
    """The three types that ship, and their scripts are there."""
    types = load_catalog(SAMPLE).types
    assert list(types) == ["upload", "extract", "team"]
    assert all((SAMPLE.parent / "scripts" / "jobs" / kind.script).is_file() for kind in types.values())


def test_parameters_become_arguments_in_the_order_of_the_file(encode: JobType) -> None:
    """Not in the order in which they were given; a default is passed, what is not given adds nothing."""
    assert encode.fill({"file": "a.mov", "verbose": True}).arguments == ["--verbose", "--rate", "50", "a.mov"]
    filled = encode.fill({"format": "mp4", "rate": 7, "file": "a b; c", "verbose": False})
    assert filled.arguments == ["--rate", "7", "--format=mp4", "a b; c"]


def test_a_secret_parameter_becomes_a_variable_and_is_shown_masked(encode: JobType) -> None:
    """It is never an argument: those are seen by everybody on the machine."""
    filled = encode.fill({"file": "a", "key": "correct horse"})
    assert filled.secret_env == {"KEY": "correct horse"}
    assert filled.shown == {"file": "a", "key": MASKED}
    assert "correct horse" not in repr((filled.arguments, filled.env, filled.shown))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [("string", "x y", "x y"), ("integer", -5, "-5"), ("number", 0.25, "0.25"), ("number", 3, "3"), ("boolean", True, "true"),
     ("boolean", False, "false"), ("string", "-rf", "-rf"), ("string", "", "")],
)  # fmt: skip
def test_a_value_may_become_a_variable(kind: Any, value: object, text: str) -> None:
    """As a person would write it."""
    typed = JobType(script="x", params={"p": Parameter(type=kind, variable="P")})
    assert typed.fill({"p": value}).env == {"P": text}


@pytest.mark.parametrize(
    ("given", "at", "remedy"),
    [
        ({"file": "a", "rat": 5}, "/rat", "did you mean rate"),
        ({}, "/file", "required: the film"),
        ({"file": "a", "rate": 0}, "/rate", "greater than or equal to 1"),
        ({"file": "a", "rate": 101}, "/rate", "less than or equal to 100"),
        ({"file": "a", "rate": "5"}, "/rate", "integer"),
        ({"file": "a", "rate": True}, "/rate", "integer"),
        ({"file": "a", "rate": 5.0}, "/rate", "integer"),
        ({"file": "a", "rate": None}, "/rate", "integer"),
        ({"file": "a", "verbose": 1}, "/verbose", "boolean"),
        ({"file": "a", "format": "mp3"}, "/format", "did you mean mp4"),
        ({"file": "a", "format": 5}, "/format", "string"),
        ({"file": ["a"]}, "/file", "string"),
        ({"file": "--delete"}, "/file", "./-name"),
        ({"file": "a", "key": 5}, "/key", "string"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(encode: JobType, given: dict[str, Any], at: str, remedy: str) -> None:
    """With what to do about it."""
    found = wrong(encode, given)
    assert list(found) == [at]
    assert remedy in found[at]


def test_all_bad_parameters_are_told_at_once(encode: JobType) -> None:
    """Nobody should need four tries."""
    assert set(wrong(encode, {"rate": 0, "colour": 1, "format": "x"})) == {"/rate", "/colour", "/format", "/file"}


def test_a_pattern_holds_for_the_whole_value() -> None:
    """What lies around a match would reach the program unseen; the value is not quoted."""
    kind = JobType(script="x", params={"p": Parameter(pattern="a|b+", argument="{}")})
    assert kind.fill({"p": "bbb"}).arguments == ["bbb"]
    for value in ("ab", "bbb\n", "xbbb", ""):
        assert wrong(kind, {"p": value}) == {"/p": "must match a|b+ as a whole"}


def test_a_pattern_cannot_be_made_to_stand_still() -> None:
    """The classic that takes other engines longer than the universe is old."""
    kind = JobType(script="x", params={"p": Parameter(pattern="(a+)+b", argument="{}")})
    assert "/p" in wrong(kind, {"p": "a" * 50_000})


def test_a_dash_is_let_in_where_it_is_meant() -> None:
    """`allowDash` says so; behind an option's name it does no harm."""
    kind = JobType(
        script="x", params={"p": Parameter(argument="{}", allowDash=True), "q": Parameter(argument="--q={}")}
    )
    assert kind.fill({"p": "-5", "q": "-6"}).arguments == ["-5", "--q=-6"]


WRONG: list[tuple[str, str, str]] = [
    ("types = 5", "types", "as a table"),
    ("[type.x]", "type", "[types.NAME]"),
    ("[types.x]", "types.x.script", "required"),
    ("[types.'a b']\nscript='x'", "types.a b", "letters, digits"),
    ("[types.x]\nscript='/bin/sh'", "types.x.script", "below the scripts directory"),
    ("[types.x]\nscript='a/../../b'", "types.x.script", "below the scripts directory"),
    ("[types.x]\nscript='x'\nscrip='y'", "types.x.scrip", "did you mean script"),
    ("[types.x]\nscript='x'\njob={timeot=5}", "types.x.job.timeot", "did you mean timeout"),
    ("[types.x]\nscript='x'\njob={timeout=-5}", "types.x.job.timeout", "greater than 0"),
    ("[types.x]\nscript='x'\njob={retry={maxAttemps=5}}", "types.x.job.retry.maxAttemps", "maxAttempts"),
    ("[types.x]\nscript='x'\njob={stopSignal='FOO'}", "types.x.job.stopSignal", "no signal"),
    ("[types.x]\nscript='x'\njob={env={LD_PRELOAD='y'}}", "types.x.job.env.LD_PRELOAD", "what program runs"),
    ("[types.x]\nscript='x'\njob={script='y'}", "types.x.job.script", "unknown"),
    ("[types.x]\nscript='x'\njob={labels={'a:b'='c'}}", "types.x.job.labels.a:b", "letters, digits"),
    ("[types.x]\nscript='x'\nparams={p={}}", "types.x.params.p", "either argument"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',variable='A'}}", "types.x.params.p", "either argument"),
    ("[types.x]\nscript='x'\nparams={p={argument='--p'}}", "types.x.params.p.argument", "write {}"),
    ("[types.x]\nscript='x'\nparams={p={argument=[]}}", "types.x.params.p.argument", "at least one"),
    ("[types.x]\nscript='x'\nparams={p={type='boolean',argument='{}'}}", "types.x.params.p.argument", "has no {}"),
    ("[types.x]\nscript='x'\nparams={p={variable='JOBMGR_RUN'}}", "types.x.params.p.variable", "set by the server"),
    ("[types.x]\nscript='x'\nparams={p={variable='LD_PRELOAD'}}", "types.x.params.p.variable", "what program runs"),
    ("[types.x]\nscript='x'\nparams={p={variable='A'},q={variable='A'}}", "types.x.params.q.variable", "params.p"),
    ("[types.x]\nscript='x'\njob={env={A='1'}}\nparams={p={variable='A'}}", "types.x.params.p.variable", "job.env"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',secret=true}}", "types.x.params.p.secret", "to a variable"),
    (
        "[types.x]\nscript='x'\nparams={p={variable='A',secret=true,default='hunter22'}}",
        "types.x.params.p.default",
        "not belong",
    ),
    (
        "[types.x]\nscript='x'\nparams={p={variable='A',secret=true,type='integer'}}",
        "types.x.params.p.secret",
        "a string",
    ),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',type='float'}}", "types.x.params.p.type", "'number'"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',typ='string'}}", "types.x.params.p.typ", "did you mean type"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',default=5}}", "types.x.params.p.default", "string"),
    (
        "[types.x]\nscript='x'\nparams={p={argument='{}',choices=['a'],default='b'}}",
        "types.x.params.p.default",
        "choices",
    ),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',choices=[1]}}", "types.x.params.p.choices.0", "string"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',choices=[]}}", "types.x.params.p.choices", "at least 1"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',minimum=1}}", "types.x.params.p.minimum", "nothing for a string"),
    (
        "[types.x]\nscript='x'\nparams={p={argument='{}',type='integer',minimum=0.5}}",
        "types.x.params.p.minimum",
        "whole number",
    ),
    (
        "[types.x]\nscript='x'\nparams={p={argument='{}',type='integer',minimum=2,maximum=1}}",
        "types.x.params.p.minimum",
        "no value",
    ),
    (
        "[types.x]\nscript='x'\nparams={p={argument='{}',type='integer',pattern='x'}}",
        "types.x.params.p.pattern",
        "nothing for",
    ),
    (
        "[types.x]\nscript='x'\nparams={p={argument='{}',pattern='('}}",
        "types.x.params.p.pattern",
        "no regular expression",
    ),
    (
        "[types.x]\nscript='x'\nparams={p={argument='{}',default='a',required=true}}",
        "types.x.params.p.required",
        "default",
    ),
    ("[types.x]\nscript='x'\nparams={'a b'={argument='{}'}}", "types.x.params.a b", "letters, digits"),
    ("[types.x]\nscript='x'\nparams={p={argument='{}',default=2026-11-22}}", "types.x.params.p.default", "string"),
]


@pytest.mark.parametrize(("text", "place", "remedy"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_entry_is_named_with_its_place_and_remedy(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    """One sentence, which begins with file and place."""
    [problem] = problems(tmp_path, text)
    assert problem.startswith(f"{tmp_path / 'jobs.toml'}: {place}: ")
    assert remedy in problem
    assert "hunter22" not in problem


def test_all_wrong_entries_are_reported_at_once(tmp_path: Path) -> None:
    """Of all types, and of all kinds of mistakes."""
    text = "[types.jobs]\nscript='x'\n[types.a]\n[types.b]\nscript='/x'\nparams={p={},q={argument='--q'}}\n[other]"
    places = {problem.split(": ")[1] for problem in problems(tmp_path, text)}
    assert places == {
        "types.jobs",
        "types.a.script",
        "types.b.script",
        "types.b.params.p",
        "types.b.params.q.argument",
        "other",
    }


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_the_names_of_routes_are_no_types(tmp_path: Path, name: str) -> None:
    """`/jobs/start` would have two meanings."""
    [problem] = problems(tmp_path, f"[types.'{name}']\nscript='x'")
    assert "taken" in problem


@pytest.mark.parametrize("content", [b"[types", b"\xff", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused_with_the_place(tmp_path: Path, content: bytes) -> None:
    """The setting and the file are named."""
    (tmp_path / "jobs.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"JOBMGR_CATALOG: .*jobs\.toml: "):
        load_catalog(tmp_path / "jobs.toml")
