"""What is typed after `submit` and `run` becomes the body of POST /jobs."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from jobmgr.cli.submission import payload, submission_options

TYPES = [
    {
        "name": "extract",
        "params": {"archive": {"type": "string"}, "level": {"type": "integer"}, "test": {"type": "boolean"}},
    }
]


def typed(*words: str, stdin: str = "", env: dict[str, str] | None = None) -> Any:
    """The body that these words make; the message where they are refused."""

    @click.command(context_settings={"allow_interspersed_args": False})
    @submission_options
    def probe(**given: Any) -> None:
        print(json.dumps(payload(given, types=lambda: TYPES)))

    done = CliRunner().invoke(probe, list(words), input=stdin, env=env)
    return json.loads(done.stdout) if done.exit_code == 0 else done.stderr


def test_the_first_word_is_the_script_the_others_its_arguments() -> None:
    """Also those that look like options of jobmgr."""
    assert typed("a.sh", "--name", "x", "-f") == {"script": "a.sh", "arguments": ["--name", "x", "-f"]}


def test_options_stand_before_the_script() -> None:
    """Each becomes the field of its name."""
    words = ["--name", "n", "--priority", "high", "--timeout", "1m", "--deadline", "2h", "--cwd", "/tmp"]
    words += ["--stop-timeout", "3", "--stop-signal", "INT", "--success-code", "0", "--success-code", "4"]
    assert typed(*words, "--env", "A=1", "--label", "team=media", "--tasks", "3", "--stderr-separate", "a.sh") == {
        "script": "a.sh",
        "jobName": "n",
        "priority": "High",
        "timeout": 60,
        "deadline": 7200,
        "cwd": "/tmp",
        "stopTimeout": 3,
        "stopSignal": "INT",
        "successCodes": [0, 4],
        "env": {"A": "1"},
        "labels": {"team": "media"},
        "numTask": 3,
        "stderr": "separate",
    }


@pytest.mark.parametrize(
    ("words", "retry"), [(("--retry", "2"), {"maxAttempts": 3}), (("--retry", "0"), False), (("--no-retry",), False)]
)
def test_retry_counts_the_further_attempts(words: tuple[str, ...], retry: object) -> None:
    """As JOBMGR_RETRY does."""
    assert typed(*words, "a.sh")["retry"] == retry


def test_a_command_is_taken_as_it_is() -> None:
    """With or without -- before it."""
    expected = {"command": ["ffmpeg", "-i", "in.mp4"]}
    assert typed("--command", "--", "ffmpeg", "-i", "in.mp4") == expected
    assert typed("--command", "ffmpeg", "-i", "in.mp4") == expected


def test_the_servers_own_program_needs_no_script() -> None:
    """The words are its arguments then."""
    assert typed("--default", "a", "b") == {"arguments": ["a", "b"]}
    assert typed("--default") == {}


def test_parameters_take_the_type_that_is_declared() -> None:
    """Numbers and truths are no texts in JSON; what does not fit stays text, for the server to refuse."""
    assert typed("-t", "extract", "-p", "archive=7", "-p", "level=7", "-p", "test=yes") == {
        "type": "extract",
        "params": {"archive": "7", "level": 7, "test": True},
    }
    assert typed("-t", "extract", "-p", "level=x")["params"] == {"level": "x"}


def test_a_parameter_may_be_read_from_a_file(tmp_path: Path) -> None:
    """Long ones are in files."""
    (tmp_path / "long").write_text("much")
    assert typed("-t", "extract", "-p", f"archive=@{tmp_path}/long")["params"] == {"archive": "much"}


def test_tasks_come_one_a_line() -> None:
    """Words as a shell takes them, or a JSON list; empty lines are none."""
    assert typed("--tasks-from", "-", "a.sh", stdin="a.mp4 1\n'b c.mp4'\n\n[\"d\", 2]\n") == {
        "script": "a.sh",
        "tasks": [["a.mp4", "1"], ["b c.mp4"], ["d", "2"]],
    }


def test_a_secret_is_taken_from_the_environment() -> None:
    """It stands in no list of processes."""
    assert typed("--secret-env", "TOKEN", "a.sh", env={"TOKEN": "hush"})["secretEnv"] == {"TOKEN": "hush"}


def test_a_whole_submission_may_be_read() -> None:
    """One or a list."""
    assert typed("--json-file", "-", stdin='[{"script": "a.sh"}]') == [{"script": "a.sh"}]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name a script"),
        (("--command",), "--command needs the command"),
        (("--command", "--default", "x"), "not both"),
        (("-t", "extract", "word"), "by name"),
        (("-p", "a=b", "a.sh"), "name it with --type"),
        (("-t", "extract", "-p", "archive=@/nowhere/at/all"), "No such file"),
        (("--tasks-from", "-", "a.sh", "argument"), "leave the others out"),
        (("--tasks-from", "-", "a.sh"), "no line"),
        (("--priority", "urgent", "a.sh"), "Regular, High"),
        (("--secret-env", "TOKEN=hush", "a.sh"), "only the name"),
        (("--secret-env", "SURELY_NOT_SET", "a.sh"), "not set in your environment"),
        (("--json-file", "-", "--name", "x"), "whole submission"),
        (("--json-file", "-"), "not JSON"),
        (("--retry", "-1", "a.sh"), "--retry"),
        (("--success-code", "256", "a.sh"), "--success-code"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], why: str) -> None:
    """With the remedy, and before the server is asked."""
    assert why in " ".join(str(typed(*words)).split())


def test_a_list_of_tasks_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """By name, not with a traceback."""
    file = tmp_path / "tasks"
    file.write_bytes(b"a\n\xff\n")
    assert "--tasks-from: not UTF-8 text" in typed("--tasks-from", str(file), "a.sh")
