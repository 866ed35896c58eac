"""Admission: what is let in, and what is refused with the field and the remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.admission import Admission
from jobmgr.errors import InvalidRequest, NoProgram
from jobmgr.job import JobSpec, RetryPolicy
from jobmgr.submission import MAX_ARGUMENT_BYTES


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A scripts directory with one script in it."""
    directory = tmp_path / "scripts"
    directory.mkdir()
    (directory / "encode.sh").write_text("#!/bin/sh\n")
    return directory


@pytest.fixture
def admission(scripts: Path) -> Admission:
    """A server with a default program."""
    return Admission(default_script=Path("/bin/true"), scripts_dir=scripts)


def one(admission: Admission, payload: object) -> JobSpec:
    """The spec of a single submission."""
    [spec] = admission.admit(payload).specs
    return spec


def test_the_known_submission_is_admitted(admission: Admission) -> None:
    """Name and arguments are enough; the configured program runs."""
    spec = one(admission, {"jobName": "my-task-42", "arguments": ["arg1", "arg2"]})
    assert (spec.name, spec.script, spec.args, spec.num_tasks) == ("my-task-42", "/bin/true", ("arg1", "arg2"), 1)


def test_aliases_mean_the_same(admission: Admission) -> None:
    """`name` and `args` are accepted."""
    spec = one(admission, {"name": "x", "args": ["a"]})
    assert (spec.name, spec.args) == ("x", ("a",))


def test_a_number_of_tasks_alone_is_enough(admission: Admission) -> None:
    """`{"numTask": 20}` runs the configured program 20 times; the name is the program's."""
    spec = one(admission, {"numTask": 20})
    assert (spec.num_tasks, spec.indexed, spec.name) == (20, True, "true")


def test_tasks_bring_their_own_arguments(admission: Admission) -> None:
    """One list of arguments a task."""
    spec = one(admission, {"tasks": [["a.mp4"], ["b.mp4", "x"]]})
    assert (spec.num_tasks, spec.tasks) == (2, (("a.mp4",), ("b.mp4", "x")))


def test_a_script_is_found_below_the_scripts_directory(admission: Admission, scripts: Path) -> None:
    """By its name; the job keeps the absolute path."""
    spec = one(admission, {"script": "encode.sh"})
    assert (spec.script, spec.name) == (str(scripts / "encode.sh"), "encode.sh")


@pytest.mark.parametrize(
    ("given_", "policy"),
    [
        (None, RetryPolicy(max_attempts=2)),
        (True, RetryPolicy(max_attempts=2)),
        (False, RetryPolicy(max_attempts=1)),
        ({"maxAttempts": 5, "on": ["lost"]}, RetryPolicy(max_attempts=5, on=("lost",))),
    ],
)
def test_retry_is_a_policy_or_yes_or_no(admission: Admission, given_: object, policy: RetryPolicy) -> None:
    """Two attempts by default; false means one."""
    assert one(admission, {} if given_ is None else {"retry": given_}).retry == policy


def test_the_servers_retry_setting_is_the_default(scripts: Path) -> None:
    """`JOBMGR_RETRY=0` means one attempt where the submission says nothing."""
    assert one(Admission(default_script=Path("/x"), scripts_dir=scripts, retries=0), {}).retry.max_attempts == 1


@pytest.mark.parametrize(("word", "number"), [("Regular", 0), ("High", 10), (7, 7), (-3, -3)])
def test_priority_is_a_word_or_a_number(admission: Admission, word: object, number: int) -> None:
    """Higher first; the two known words have numbers."""
    assert one(admission, {"priority": word}).priority == number


@pytest.mark.parametrize(("given_", "number"), [("TERM", 15), ("SIGINT", 2), (10, 10)])
def test_a_stop_signal_has_three_spellings(admission: Admission, given_: object, number: int) -> None:
    """TERM, SIGTERM and 15."""
    assert one(admission, {"stopSignal": given_}).stop_signal == number


def test_a_list_is_admitted_whole_or_not_at_all(admission: Admission) -> None:
    """Every wrong item is named by its index."""
    assert len(admission.admit([{}, {"numTask": 2}]).specs) == 2
    with pytest.raises(InvalidRequest) as refused:
        admission.admit([{"timeout": "x"}, {}, {"jobNam": "y"}])
    assert [p.field for p in refused.value.problems] == ["/0/timeout", "/2/jobNam"]


def test_without_a_program_the_remedy_is_named(scripts: Path) -> None:
    """No script in the request, none configured: 409 and what to do."""
    with pytest.raises(NoProgram, match="JOB_SCRIPT_PATH"):
        Admission(default_script=None, scripts_dir=scripts).admit({"jobName": "x"})


WRONG: list[tuple[Any, str, str]] = [
    ("x", "", "a submission is a JSON object"),
    (None, "", "a submission is a JSON object"),
    (7, "", "a submission is a JSON object"),
    ([], "", "1 to 100,000"),
    ({"jobNam": "x"}, "/jobNam", "did you mean jobName"),
    ({"retry": {"maxAttemps": 2}}, "/retry/maxAttemps", "did you mean maxAttempts"),
    ({"jobName": ""}, "/jobName", "at least 1 character"),
    ({"jobName": "x" * 256}, "/jobName", "at most 255"),
    ({"jobName": 7}, "/jobName", "string"),
    ({"arguments": "a b"}, "/arguments", "list"),
    ({"arguments": ["a", 1]}, "/arguments/1", "string"),
    ({"arguments": ["a\0b"]}, "/arguments/0", "NUL"),
    ({"arguments": ["\ud800"]}, "/arguments/0", "surrogates"),
    ({"jobName": "\udfff"}, "/jobName", "surrogates"),
    ({"env": {"A": "\0"}}, "/env/A", "NUL"),
    ({"cwd": "/a\0"}, "/cwd", "NUL"),
    ({"arguments": ["x" * (MAX_ARGUMENT_BYTES + 1)]}, "/arguments/0", "131,071 bytes"),
    ({"arguments": ["é" * (MAX_ARGUMENT_BYTES // 2 + 1)]}, "/arguments/0", "131,071 bytes"),
    ({"arguments": ["x" * 1000] * 1100}, "/arguments", "together exceed"),
    ({"arguments": [""] * 200_000}, "/arguments", "together exceed"),
    ({"tasks": [["a"], ["x" * 200_000]]}, "/tasks/1/0", "131,071 bytes"),
    ({"env": {"A": "x" * 200_000}}, "/env/A", "131,071 bytes"),
    ({"numTask": 0}, "/numTask", "greater than or equal to 1"),
    ({"numTask": 2_000_000}, "/numTask", "1000000"),
    ({"numTask": True}, "/numTask", "integer"),
    ({"numTask": 1.5}, "/numTask", "integer"),
    ({"tasks": []}, "/tasks", "at least 1"),
    ({"tasks": [["a"]], "numTask": 1}, "/numTask", "not both"),
    ({"tasks": [["a"]], "arguments": ["b"]}, "/arguments", "not both"),
    ({"name": "x", "jobName": "x"}, "/name", "mean the same"),
    ({"timeout": 0}, "/timeout", "greater than 0"),
    ({"timeout": float("inf")}, "/timeout", "finite"),
    ({"timeout": float("nan")}, "/timeout", "finite"),
    ({"timeout": "5"}, "/timeout", "number"),
    ({"retry": "no"}, "/retry", "boolean"),
    ({"retry": {"on": ["rain"]}}, "/retry/on/0", "'exit'"),
    ({"priority": "Urgent"}, "/priority", "'High'"),
    ({"stopSignal": "FOO"}, "/stopSignal", "no signal"),
    ({"stopSignal": "_IGN"}, "/stopSignal", "no signal"),
    ({"stopSignal": 999}, "/stopSignal", "no signal"),
    ({"successCodes": []}, "/successCodes", "at least 1"),
    ({"successCodes": [256]}, "/successCodes/0", "255"),
    ({"cwd": "relative"}, "/cwd", "absolute"),
    ({"env": {"A=B": "x"}}, "/env/A=B", "without ="),
    ({"env": {"": "x"}}, "/env/", "without ="),
    ({"env": {"JOBMGR_RUN": "x"}}, "/env/JOBMGR_RUN", "set by the server"),
    ({"env": {"LD_PRELOAD": "x"}}, "/env/LD_PRELOAD", "what program runs"),
    ({"env": {"BASH_ENV": "x"}}, "/env/BASH_ENV", "what program runs"),
    ({"script": "encod.sh"}, "/script", "did you mean encode.sh"),
    ({"script": "/bin/sh"}, "/script", "below the scripts directory"),
    ({"script": "../encode.sh"}, "/script", "below the scripts directory"),
    ({"script": "a/../../encode.sh"}, "/script", "below the scripts directory"),
    ({"__proto__": {}}, "/__proto__", "unknown field"),
]


@pytest.mark.parametrize(("payload", "field", "remedy"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named_with_its_remedy(admission: Admission, payload: object, field: str, remedy: str) -> None:
    """Every refusal points at the field and says what to do."""
    with pytest.raises(InvalidRequest) as refused:
        admission.admit(payload)
    assert any(p.field == field and remedy in p.problem for p in refused.value.problems), refused.value.problems


def test_all_wrong_fields_are_reported_at_once(admission: Admission) -> None:
    """Nobody should need three tries to find three mistakes."""
    with pytest.raises(InvalidRequest) as refused:
        admission.admit({"timeout": "x", "priority": [], "jobNam": "y"})
    assert {p.field for p in refused.value.problems} == {"/timeout", "/priority", "/jobNam"}


def test_a_link_out_of_the_scripts_directory_is_not_followed(admission: Admission, scripts: Path) -> None:
    """What lies outside is not offered, by whatever name."""
    (scripts / "shell").symlink_to("/bin/sh")
    with pytest.raises(InvalidRequest, match="below the scripts directory"):
        admission.admit({"script": "shell"})


def test_the_list_of_problems_is_bounded(admission: Admission) -> None:
    """The answer never grows with the request."""
    with pytest.raises(InvalidRequest) as refused:
        admission.admit([{"x": 1}] * 5000)
    assert len(refused.value.problems) == 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELD = st.sampled_from(
    [
        "jobName",
        "arguments",
        "numTask",
        "tasks",
        "retry",
        "env",
        "cwd",
        "timeout",
        "priority",
        "stopSignal",
        "successCodes",
        "script",
    ]
)


@given(st.dictionaries(FIELD, JSON, max_size=5) | JSON)
def test_any_json_is_admitted_or_refused_in_words(payload: object) -> None:
    """No input makes admission fail in any other way."""
    admission = Admission(default_script=Path("/bin/true"), scripts_dir=Path("/nonexistent"))
    try:
        assert all(isinstance(spec, JobSpec) for spec in admission.admit(payload).specs)
    except InvalidRequest as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(re.match(r"(/|$)", problem.field) and problem.problem for problem in problems)
