"""Admission: what is let in, and what is refused with the field and the remedy."""

from __future__ import annotations

import os
import re
import traceback
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.admission import Admission
from jobmgr.catalog import load_catalog
from jobmgr.errors import InvalidRequest, NoProgram
from jobmgr.job import MASKED, JobSpec, RetryPolicy
from jobmgr.submission import MAX_ARGUMENT_BYTES, MAX_PROBLEMS


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


# --- what runs: a script, a type, a command


@pytest.fixture
def typed(scripts: Path) -> Admission:
    """A server with a type, commands and a default program."""
    (scripts.parent / "jobs.toml").write_text(CATALOG)
    (scripts.parent / "bin").mkdir()
    tool = scripts.parent / "bin" / "ffmpeg"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    return Admission(
        default_script=Path("/bin/true"),
        scripts_dir=scripts,
        catalog=load_catalog(scripts.parent / "jobs.toml"),
        search_path=f"relative{os.pathsep}{tool.parent}",
    )


CATALOG = """
[types.encode]
script = "encode.sh"
job = { timeout = 600, priority = "High", labels = { team = "media", kind = "film" }, env = { LANG = "C" } }
params.file = { argument = "{}" }
params.rate = { type = "integer", default = 5, argument = ["--rate", "{}"] }
params.key = { variable = "KEY", secret = true, required = false }
params.mode = { variable = "MODE", required = false }

[types.gone]
script = "gone.sh"
"""


def test_a_type_brings_script_arguments_and_defaults(typed: Admission, scripts: Path) -> None:
    """The name is the type's; what was given is kept to be shown."""
    spec = one(typed, {"type": "encode", "params": {"file": "a.mov", "mode": "fast"}})
    assert (spec.name, spec.type, spec.script) == ("encode", "encode", str(scripts / "encode.sh"))
    assert (spec.args, spec.params) == (("a.mov", "--rate", "5"), {"file": "a.mov", "mode": "fast"})
    assert (spec.timeout, spec.priority, spec.env) == (600, 10, {"LANG": "C", "MODE": "fast"})


def test_what_the_submission_says_wins_over_the_type(typed: Admission) -> None:
    """In `env` and `labels` name by name, elsewhere as a whole; null is something said."""
    given = {"timeout": None, "priority": 3, "labels": {"team": "sound"}, "env": {"TZ": "UTC"}, "jobName": "mine"}
    spec = one(typed, {"type": "encode", "params": {"file": "a"}, **given})
    assert (spec.name, spec.timeout, spec.priority) == ("mine", None, 3)
    assert (spec.labels, spec.env) == ({"team": "sound", "kind": "film"}, {"LANG": "C", "TZ": "UTC"})


def test_the_index_of_a_task_reaches_the_parameters_of_a_type(typed: Admission) -> None:
    """`numTask` works with types, commands and scripts alike."""
    spec = one(typed, {"type": "encode", "params": {"file": "{index}.mov"}, "numTask": 3})
    assert spec.arguments(2, None)[0] == "2.mov"
    assert one(typed, {"command": ["ffmpeg", "{index}"], "numTask": 3}).arguments(1, None) == ("1",)


def test_a_list_may_hold_types(typed: Admission) -> None:
    """Each with its own parameters; a wrong one is named with its place."""
    good = {"type": "encode", "params": {"file": "a"}}
    assert len(typed.admit([good, {}, good]).specs) == 3
    with pytest.raises(InvalidRequest) as refused:
        typed.admit([good, {"type": "encode", "params": {"fil": "a"}}])
    assert {p.field for p in refused.value.problems} == {"/1/params/fil", "/1/params/file"}


def test_a_command_is_found_on_the_path_of_the_server(typed: Admission, scripts: Path) -> None:
    """The job keeps the absolute path; its name is the program's."""
    spec = one(typed, {"command": ["ffmpeg", "-i", "a b", "$HOME"]})
    assert (spec.name, spec.script) == ("ffmpeg", str(scripts.parent / "bin" / "ffmpeg"))
    assert spec.args == ("-i", "a b", "$HOME")


def test_a_command_may_be_an_absolute_path(typed: Admission) -> None:
    """Whatever PATH says."""
    assert one(typed, {"command": ["/bin/true"]}).script == "/bin/true"


def test_commands_are_off_by_default(admission: Admission) -> None:
    """The refusal names the setting that allows them."""
    with pytest.raises(InvalidRequest, match=r"/command: .*JOBMGR_ALLOW_COMMANDS=true"):
        admission.admit({"command": ["/bin/true"]})


def test_whether_a_types_script_is_there_is_told(typed: Admission) -> None:
    """It may be put there while the server runs."""
    assert typed.is_available("encode")
    assert not typed.is_available("gone")


def test_secrets_reach_the_program_and_nothing_else(typed: Admission) -> None:
    """From `secretEnv` and from secret parameters."""
    spec = one(
        typed, {"type": "encode", "params": {"file": "a", "key": "hunter22"}, "secretEnv": {"TOKEN": "swordfish"}}
    )
    assert spec.secret_env == {"KEY": "hunter22", "TOKEN": "swordfish"}
    assert spec.params["key"] == MASKED
    assert "hunter22" not in repr(spec)
    assert "swordfish" not in repr(spec)


SECRET = "hunter22"
BOTH = {"secretEnv": {"S": SECRET}}
WRONG_RUNS: list[tuple[Any, str, str]] = [
    ({"script": "encode.sh", "type": "encode"}, "/type", "give script or type, not both"),
    ({"script": "encode.sh", "command": ["ffmpeg"]}, "/command", "give script or command, not both"),
    ({"type": "encode", "command": ["ffmpeg"]}, "/command", "give type or command, not both"),
    ({"type": "encode", "arguments": ["a"]}, "/arguments", "give type or arguments, not both"),
    ({"command": ["ffmpeg"], "arguments": ["a"]}, "/arguments", "give command or arguments, not both"),
    ({"command": ["ffmpeg"], "tasks": [["a"]]}, "/tasks", "give command or tasks, not both"),
    ({"type": "encode", "tasks": [["a"]]}, "/tasks", "give type or tasks, not both"),
    ({"params": {"file": "a"}}, "/params", "name it in type"),
    ({"type": "encod"}, "/type", "did you mean encode"),
    ({"type": "gone"}, "/type", "there is no gone.sh"),
    ({"type": "encode", "params": {"file": "-x"}}, "/params/file", "./-name"),
    ({"type": "encode", "params": {"file": "a", "rate": "5"}}, "/params/rate", "integer"),
    ({"type": "encode", "params": {"file": "x" * 200_000}}, "/params", "131,071 bytes"),
    ({"type": "encode", "params": {"file": "a", "mode": "b"}, "env": {"MODE": "c"}}, "/env/MODE", "by a parameter"),
    (
        {"type": "encode", "params": {"file": "a", "key": SECRET}, "secretEnv": {"KEY": "abcd"}},
        "/secretEnv/KEY",
        "by a parameter",
    ),
    ({"type": "encode", "params": {"file": "a", "key": "abc"}}, "/params/key", "at least 4 characters"),
    ({"command": []}, "/command", "at least 1"),
    ({"command": "ffmpeg -i"}, "/command", "list"),
    ({"command": ["ffmpge"]}, "/command", "did you mean ffmpeg"),
    ({"command": ["./ffmpeg"]}, "/command", "absolute path"),
    ({"command": ["bin/ffmpeg"]}, "/command", "absolute path"),
    ({"command": [""]}, "/command", "PATH"),
    ({"command": ["/bin/tru"]}, "/command", "there is no /bin/tru"),
    ({"command": ["ffmpeg", "x" * 200_000]}, "/command/1", "131,071 bytes"),
    ({"labels": {"a:b": "c"}}, "/labels/a:b", "letters, digits"),
    ({"labels": {"": "c"}}, "/labels/", "letters, digits"),
    ({"labels": {"x" * 64: "c"}}, "/labels/" + "x" * 64, "at most 63"),
    ({"labels": {"a": "x" * 256}}, "/labels/a", "at most 255"),
    ({"labels": {"a": 5}}, "/labels/a", "string"),
    ({"labels": {f"k{n}": "" for n in range(65)}}, "/labels", "at most 64"),
    (
        {"type": "encode", "params": {"file": "a"}, "labels": {f"k{n}": "" for n in range(63)}},
        "/labels",
        "more than 64",
    ),
    ({"secretEnv": {"S": "abc"}}, "/secretEnv/S", "at least 4 characters"),
    ({"secretEnv": {"LD_PRELOAD": SECRET}}, "/secretEnv/LD_PRELOAD", "what program runs"),
    ({"secretEnv": {"JOBMGR_RUN": SECRET}}, "/secretEnv/JOBMGR_RUN", "set by the server"),
    ({"secretEnv": {"S": SECRET}, "env": {"S": "x"}}, "/secretEnv/S", "in env too"),
    ({"secretEnv": {"S": "x" * 70_000}}, "/secretEnv", "64 KiB"),
    ({**BOTH, "jobName": f"do {SECRET}"}, "/jobName", "value of a secret"),
    ({**BOTH, "arguments": ["a", f"--key={SECRET}"]}, "/arguments", "value of a secret"),
    ({**BOTH, "command": ["ffmpeg", SECRET]}, "/command", "value of a secret"),
    ({**BOTH, "tasks": [["a"], [SECRET]]}, "/tasks/1", "value of a secret"),
    ({**BOTH, "labels": {"a": SECRET}}, "/labels", "value of a secret"),
    ({**BOTH, "labels": {SECRET: "a"}}, "/labels", "value of a secret"),
    ({**BOTH, "env": {"A": SECRET}}, "/env", "value of a secret"),
    ({**BOTH, "cwd": f"/{SECRET}"}, "/cwd", "value of a secret"),
    ({**BOTH, "type": "encode", "params": {"file": SECRET}}, "/params/file", "value of a secret"),
    ({"type": "encode", "params": {"file": SECRET, "key": SECRET}}, "/params/file", "value of a secret"),
    # What is wrong in any other way does not quote it either.
    ({**BOTH, "script": f"{SECRET}.sh"}, "/script", "there is no ***.sh"),
    ({**BOTH, "type": SECRET}, "/type", "no job type ***"),
    ({**BOTH, "stopSignal": SECRET}, "/stopSignal", "*** is no signal"),
    ({**BOTH, "command": [f"/{SECRET}"]}, "/command", "there is no /***"),
    ({**BOTH, SECRET: 1}, "/***", "unknown field"),
    ({"secretEnv": {"S": SECRET, "T": 5}, SECRET: 1}, "/***", "unknown field"),
    ({"type": "encode", "params": {"key": SECRET, SECRET: 1, "file": "a"}}, "/params/***", "unknown parameter"),
    ({"secretEnv": {"S": f"{SECRET}/~x"}, f"{SECRET}/~x": 1}, "/***", "unknown field"),
    ({"secretEnv": {"S": f"{SECRET}\ud800"}}, "/secretEnv/S", "surrogates"),
    ({"type": "encode", "params": {"key": f"{SECRET}\udfff"}}, "/params/key", "surrogates"),
    ({"secretEnv": {"S": "\n".join(f"{n:04}" for n in range(600))}, SECRET: 1}, "/secretEnv", "512 lines"),
]


@pytest.mark.parametrize(("payload", "field", "remedy"), WRONG_RUNS, ids=range(len(WRONG_RUNS)))
def test_what_is_wrong_in_what_runs_is_named_without_secrets(
    typed: Admission, payload: Any, field: str, remedy: str
) -> None:
    """The field and the remedy, and never the value of a secret, also not in the chain of exceptions that a log would show."""
    with pytest.raises(InvalidRequest) as refused:
        typed.admit(payload)
    assert any(p.field == field and remedy in p.problem for p in refused.value.problems), refused.value.problems
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_places_of_wrong_texts_take_no_memory(admission: Admission) -> None:
    """A pointer is written out for a wrong field that is listed, not for each text of a body, and of a deep one the beginning."""
    payload: Any = ["\0"] * 20_000
    for _ in range(50):
        payload = {"k" * 1000: payload}
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest) as refused:
            admission.admit({"params": payload})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20
    assert len(refused.value.problems) == MAX_PROBLEMS
    assert max(len(problem.field) for problem in refused.value.problems) < 10_000


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
    ({"script": "encode"}, "/script", "did you mean encode.sh"),
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
        "labels",
        "type",
        "params",
        "command",
        "secretEnv",
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
