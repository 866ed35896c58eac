"""Makes a submission, as the API takes it, of what was typed after `submit` or `run`. The server checks it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from jobmgr.cli.completion import complete_types
from jobmgr.cli.options import DURATION, PAIR, pairs

Function = TypeVar("Function", bound=Callable[..., Any])
Given = Mapping[str, Any]

_CODE = click.IntRange(0, 255)

_OPTIONS = (
    click.option("--name", help="Name of the job; default: that of the program."),
    click.option("--type", "-t", "type_name", metavar="TYPE", shell_complete=complete_types, help="Run this job type."),
    click.option("--param", "-p", "params", type=PAIR, multiple=True, help="A parameter of the type; NAME=@FILE takes its value from a file."),
    click.option("--command", is_flag=True, help="SCRIPT is any command of the server's machine."),
    click.option("--default", is_flag=True, help="Run the program set in JOB_SCRIPT_PATH; every word is an argument of it."),
    click.option("--env", "-e", type=PAIR, multiple=True, help="An environment variable of the job. May be repeated."),
    click.option("--secret-env", metavar="NAME", multiple=True, help="A secret variable: the value is taken from your environment, or asked for."),
    click.option("--label", "-l", "labels", type=PAIR, multiple=True, help="A label to find the job by. May be repeated."),
    click.option("--priority", metavar="N", help="Regular (0), High (10) or a number; the highest starts first."),
    click.option("--timeout", type=DURATION, help="End each attempt after this time (90 is seconds; 5m, 1h30m)."),
    click.option("--deadline", type=DURATION, help="End the job if it has not finished this long after its submission."),
    click.option("--retry", type=click.IntRange(0, 999), metavar="N", help="Try again up to N times after a crash."),
    click.option("--no-retry", is_flag=True, help="Do not try again; the same as --retry 0."),
    click.option("--tasks", type=click.IntRange(1), metavar="N", help="Run N tasks, each with its own JOBMGR_TASK_INDEX."),
    click.option("--tasks-from", type=click.File(), metavar="FILE", help="Run one task per line; its words (or JSON list) are the arguments."),
    click.option("--cwd", type=click.Path(), metavar="DIR", help="Working directory of the job; default: that of the server."),
    click.option("--stop-timeout", type=DURATION, help="How long a stopped job may take to end before it is killed."),
    click.option("--stop-signal", metavar="SIGNAL", help="The signal that asks the job to end; default: TERM."),
    click.option("--success-code", "success_codes", type=_CODE, metavar="CODE", multiple=True, help="An exit code that means success; default: 0."),
    click.option("--stderr-separate", is_flag=True, help="Keep stdout and stderr of the job apart."),
    click.option("--json-file", type=click.File(), metavar="FILE", help="The whole submission, or a list of them, as JSON; - is stdin."),
    click.option("--key", metavar="TEXT", help="An Idempotency-Key: the same key never submits twice."),
)  # fmt: skip


def submission_options(function: Function) -> Function:
    """The options and words that say what to run."""
    made = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT] [ARGS]...")(function)
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


def payload(given: Given, *, types: Callable[[], Any]) -> Any:
    """The body of POST /jobs. `types` asks the server for its job types. Raises UsageError."""
    if given["json_file"] is not None:
        return _from_file(given)
    made: dict[str, Any] = {**_program(given, types), **_plain_fields(given)}
    if given["no_retry"] or given["retry"] == 0:
        made["retry"] = False
    elif given["retry"] is not None:
        made["retry"] = {"maxAttempts": given["retry"] + 1}
    if given["tasks_from"] is not None:
        _refuse("arguments" in made, "--tasks-from gives the arguments of each task; leave the others out")
        _refuse(given["tasks"] is not None, "give --tasks or --tasks-from, not both")
        made["tasks"] = _tasks(given["tasks_from"])
    if given["secret_env"]:
        made["secretEnv"] = {name: _secret(name) for name in given["secret_env"]}
    return made


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise click.UsageError(why)


def _from_file(given: Given) -> Any:
    others = [name for name, value in given.items() if value and name not in {"json_file", "key"}]
    _refuse(bool(others), "--json-file is the whole submission; write into it what the other options would say")
    try:
        return json.load(given["json_file"])
    except ValueError as error:
        raise click.UsageError(f"--json-file: not JSON: {error}") from None


def _program(given: Given, types: Callable[[], Any]) -> dict[str, Any]:
    """What is to run."""
    words, kind = list(given["words"]), given["type_name"]
    chosen = [
        option
        for option, on in (("--type", kind), ("--command", given["command"]), ("--default", given["default"]))
        if on
    ]
    _refuse(len(chosen) > 1, f"give {' or '.join(chosen)}, not both")
    _refuse(bool(given["params"]) and not kind, "-p is a parameter of a job type: name it with --type")
    if kind:
        _refuse(bool(words), "a job type takes its parameters by name: -p NAME=VALUE")
        params = pairs(given["params"], "-p")
        return {"type": kind, "params": _typed(params, _declared(types, kind) if params else {})}
    if given["command"]:
        _refuse(not words, "--command needs the command: jobmgr submit --command -- ffmpeg -i in.mp4 out.mkv")
        return {"command": words}
    if given["default"]:
        return {"arguments": words} if words else {}
    _refuse(not words, "name a script of the server, or use --type, --command, --default or --json-file")
    return {"script": words[0], **({"arguments": words[1:]} if words[1:] else {})}


def _plain_fields(given: Given) -> dict[str, Any]:
    fields = {
        "jobName": given["name"],
        "env": pairs(given["env"], "--env") or None,
        "labels": pairs(given["labels"], "--label") or None,
        "priority": _priority(given["priority"]),
        "timeout": given["timeout"],
        "deadline": given["deadline"],
        "numTask": given["tasks"],
        # Meant is the directory as seen from here; the server stands elsewhere.
        "cwd": None if given["cwd"] is None else os.path.abspath(given["cwd"]),
        "stopTimeout": given["stop_timeout"],
        "stopSignal": given["stop_signal"],
        "successCodes": list(given["success_codes"]) or None,
        "stderr": "separate" if given["stderr_separate"] else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _priority(text: str | None) -> str | int | None:
    if text is None or text.capitalize() in {"Regular", "High"}:
        return text and text.capitalize()
    try:
        return int(text)
    except ValueError:
        raise click.UsageError(f"--priority {text}: write Regular, High or a whole number") from None


def _tasks(lines: Any) -> list[list[str]]:
    """One list of arguments a line; empty lines are none."""
    tasks = []
    for number, line in enumerate(_text_lines(lines), start=1):
        text = line.strip()
        try:
            if text:
                tasks.append([str(word) for word in json.loads(text)] if text.startswith("[") else shlex.split(text))
        except ValueError as error:
            raise click.UsageError(f"--tasks-from, line {number}: {error}") from None
    _refuse(not tasks, "--tasks-from: there is no line in it")
    return tasks


def _text_lines(lines: Iterable[str]) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--tasks-from: not UTF-8 text: {error}") from None


def _secret(name: str) -> str:
    """Its value, from where no list of processes and no history of a shell shows it."""
    from jobmgr.cli.address import own_variable

    _refuse("=" in name, "--secret-env takes only the name; its value comes from your environment")
    value = own_variable(name)
    if value is not None:
        return value
    _refuse(not sys.stdin.isatty(), f"--secret-env {name}: it is not set in your environment")
    return str(click.prompt(f"{name} (not shown)", hide_input=True, err=True))


def _declared(types: Callable[[], Any], kind: str) -> Mapping[str, Any]:
    """The parameters that this type declares, by name; empty where it is not known: the server says so better."""
    for row in types():
        if row.get("name") == kind:
            params = row.get("params") or []
            return params if isinstance(params, dict) else {p["name"]: p for p in params}
    return {}


def _typed(params: Mapping[str, str], declared: Mapping[str, Any]) -> dict[str, Any]:
    """Each value as its declared type writes it in JSON; what does not fit stays text, for the server to refuse by name."""
    return {name: _as(_text(name, value), (declared.get(name) or {}).get("type")) for name, value in params.items()}


def _text(name: str, value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"-p {name}={value}: {error}") from None


_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _as(text: str, kind: object) -> Any:
    if kind in {"boolean", "bool", "flag"}:
        return _TRUTHS.get(text.lower(), text)
    if kind in {"integer", "int", "number", "float"}:
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text
