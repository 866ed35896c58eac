"""Admission: from what a client sent to complete, checked job specs. Changes nothing; every wrong field is reported at once.

The pydantic models here are the submission's schema. They are strict (no "1" for 1) and closed: an unknown field is an error that names
the nearest known one. What the system could never execute (NUL, lone surrogates, arguments beyond the kernel's limit) is refused here,
before a job exists; what may still change until the job runs (is the file there, executable, has it an interpreter) ends as `failed`.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from jobmgr.errors import FieldProblem, InvalidRequest, NoProgram
from jobmgr.job import HIGH_PRIORITY, NO_RETRY, REGULAR_PRIORITY, JobSpec, RetryPolicy

MAX_TASKS = 1_000_000
MAX_JOBS = 100_000
MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux's MAX_ARG_STRLEN less the final NUL: no single argument or variable may be longer."""
MAX_ARGUMENTS_BYTES = 1024 * 1024
"""Of all arguments and variables of one task together; the kernel allows a quarter of the stack limit, usually 2 MiB."""
MAX_SECONDS = 10 * 366 * 86_400
MAX_NAME = 255

Text = Annotated[str, StringConstraints(strict=True)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Duration = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
ExitCode = Annotated[int, Field(ge=0, le=255)]
Arguments = list[Text]
RetriedCause = Literal["exit", "signal", "oom", "timeout", "lost"]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)


class Retry(BaseModel):
    """The retry policy of a submission; times in seconds."""

    model_config = _STRICT

    maxAttempts: int = Field(2, ge=1, le=1000)
    delay: Seconds = 1.0
    factor: float = Field(2.0, ge=1, le=100, allow_inf_nan=False)
    maxDelay: Seconds = 60.0
    jitter: float = Field(0.1, ge=0, le=1, allow_inf_nan=False)
    on: list[RetriedCause] = ["exit", "signal", "oom", "timeout"]
    exitCodes: list[ExitCode] | None = None

    def policy(self) -> RetryPolicy:
        """The same in the words of the job."""
        return RetryPolicy(
            max_attempts=self.maxAttempts,
            delay=self.delay,
            factor=self.factor,
            max_delay=self.maxDelay,
            jitter=self.jitter,
            on=tuple(self.on),
            exit_codes=None if self.exitCodes is None else tuple(self.exitCodes),
        )


class Submission(BaseModel):
    """One job as a client submits it: all but what to run is optional."""

    model_config = _STRICT

    jobName: str | None = Field(
        None, min_length=1, max_length=MAX_NAME, validation_alias=AliasChoices("jobName", "name")
    )
    script: str | None = Field(None, min_length=1, max_length=4096)
    arguments: Arguments = Field(default_factory=list, validation_alias=AliasChoices("arguments", "args"))
    numTask: int | None = Field(None, ge=1, le=MAX_TASKS)
    tasks: list[Arguments] | None = Field(None, min_length=1, max_length=MAX_TASKS)
    priority: Literal["Regular", "High"] | Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = "Regular"
    retry: Retry | bool | None = None
    env: dict[str, Text] = Field(default_factory=dict)
    cwd: str | None = Field(None, min_length=1, max_length=4096)
    timeout: Duration | None = None
    deadline: Duration | None = None
    stopTimeout: Seconds = 10.0
    stopSignal: str | int = "TERM"
    leftovers: Literal["stop", "keep"] = "stop"
    successCodes: list[ExitCode] = Field(default_factory=lambda: [0], min_length=1)
    stderr: Literal["merged", "separate"] = "merged"


@dataclass(frozen=True, slots=True)
class Admitted:
    """The jobs to submit; `many`: they came as a list, and are answered as one."""

    specs: tuple[JobSpec, ...]
    many: bool


class Admission:
    """Turns payloads into specs, by this server's settings."""

    def __init__(self, *, default_script: Path | None, scripts_dir: Path, retries: int = 1) -> None:
        self._default_script = default_script
        self._scripts_dir = scripts_dir
        self._default_retry = RetryPolicy(max_attempts=1 + retries)

    def admit(self, payload: object) -> Admitted:
        """Check a decoded JSON body: one submission or a list. Raises InvalidRequest with every wrong field, or NoProgram."""
        if not isinstance(payload, list):
            return Admitted((self._spec(payload, ""),), many=False)
        if not 1 <= len(payload) <= MAX_JOBS:
            raise InvalidRequest(
                [FieldProblem("", f"a list of submissions has 1 to {MAX_JOBS:,} of them, not {len(payload):,}")]
            )
        specs: list[JobSpec] = []
        problems: list[FieldProblem] = []
        for index, item in enumerate(payload):
            try:
                specs.append(self._spec(item, f"/{index}"))
            except InvalidRequest as error:
                problems.extend(error.problems)
        if problems:
            raise InvalidRequest(problems[:MAX_PROBLEMS])
        return Admitted(tuple(specs), many=True)

    def _spec(self, payload: object, at: str) -> JobSpec:
        submission = _validated(payload, at)
        problems = [FieldProblem(at + field, problem) for field, problem in _troubles(submission)]
        script = self._script(submission.script, at, problems)
        stop_signal = _signal_number(submission.stopSignal)
        if problems or stop_signal is None:
            raise InvalidRequest(problems)
        return JobSpec(
            name=submission.jobName or script.name,
            script=str(script),
            args=tuple(submission.arguments),
            num_tasks=len(submission.tasks) if submission.tasks else submission.numTask or 1,
            indexed=submission.numTask is not None,
            tasks=tuple(tuple(args) for args in submission.tasks) if submission.tasks else None,
            priority=_PRIORITIES[submission.priority] if isinstance(submission.priority, str) else submission.priority,
            retry=self._retry(submission.retry),
            env=submission.env,
            cwd=submission.cwd,
            timeout=submission.timeout,
            deadline=submission.deadline,
            stop_timeout=submission.stopTimeout,
            stop_signal=stop_signal,
            leftovers=submission.leftovers,
            success_codes=tuple(submission.successCodes),
            separate_stderr=submission.stderr == "separate",
        )

    def _retry(self, given: Retry | bool | None) -> RetryPolicy:
        if isinstance(given, Retry):
            return given.policy()
        if given is None:
            return self._default_retry
        return RetryPolicy() if given else NO_RETRY

    def _script(self, name: str | None, at: str, problems: list[FieldProblem]) -> Path:
        """The absolute path of the program; trouble is added to `problems`."""
        if name is None:
            if self._default_script is None and not problems:
                raise NoProgram
            return self._default_script or self._scripts_dir
        path = self._scripts_dir / name
        if Path(name).is_absolute() or ".." in Path(name).parts or not _is_below(path, self._scripts_dir):
            problems.append(
                FieldProblem(f"{at}/script", "name a file below the scripts directory, without .. and leading /")
            )
        elif not os.path.lexists(path):
            near = get_close_matches(name, _names_below(self._scripts_dir), n=1)
            hint = f"; did you mean {near[0]}?" if near else "; put it there first"
            problems.append(FieldProblem(f"{at}/script", f"there is no {name} in the scripts directory{hint}"))
        return path


_PRIORITIES = {"Regular": REGULAR_PRIORITY, "High": HIGH_PRIORITY}

MAX_PROBLEMS = 100
"""More wrong fields than this are not listed: the answer would be as large as the request."""


def _validated(payload: object, at: str) -> Submission:
    if not isinstance(payload, dict):
        raise InvalidRequest(
            [FieldProblem(at, 'a submission is a JSON object, such as {"jobName": "x", "arguments": ["a"]}')]
        )
    problems = [
        FieldProblem(at + field, "use NUL and lone surrogates nowhere: no program can receive them")
        for field in _unspeakable(payload)
    ]
    problems += [
        FieldProblem(f"{at}/{b}", f"give it once: {a} and {b} mean the same")
        for a, b in _ALIASES
        if a in payload and b in payload
    ]
    if problems:
        raise InvalidRequest(problems[:MAX_PROBLEMS])
    try:
        return Submission.model_validate(payload)
    except ValidationError as error:
        raise InvalidRequest(
            _deduplicated(_problem(detail, at) for detail in error.errors(include_url=False)[:MAX_PROBLEMS])
        ) from None


_ALIASES = (("jobName", "name"), ("arguments", "args"))

KNOWN_FIELDS = (*Submission.model_fields, *(alias for _, alias in _ALIASES))


def _problem(detail: ErrorDetails, at: str) -> FieldProblem:
    parts = [str(part) for part in detail["loc"] if not _is_branch(part)]
    field = at + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    if detail["type"] == "extra_forbidden":
        known = KNOWN_FIELDS if len(parts) == 1 else tuple(Retry.model_fields)
        near = get_close_matches(parts[-1], known, n=1)
        return FieldProblem(
            field, "unknown field" + (f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}")
        )
    return FieldProblem(field, detail["msg"].removeprefix("Value error, "))


def _is_branch(part: str | int) -> bool:
    """Whether a step of pydantic's path names the branch of a union, not a field of the request."""
    return isinstance(part, str) and bool(re.fullmatch(r"(Retry|bool|int|str|constrained-int|literal\[.*\])", part))


def _deduplicated(problems: Iterator[FieldProblem]) -> list[FieldProblem]:
    """One problem a field: a union reports each of its branches."""
    merged: dict[str, list[str]] = {}
    for problem in problems:
        merged.setdefault(problem.field, []).append(problem.problem)
    # Where something inside a field is wrong, that another type would do as well is no help.
    inner = [field for field in merged if not any(other.startswith(f"{field}/") for other in merged)]
    return [FieldProblem(field, ", or ".join(dict.fromkeys(merged[field]))) for field in inner]


def _unspeakable(value: object, at: str = "") -> Iterator[str]:
    """Pointers to every string (or key) that holds a NUL or a lone surrogate."""
    if isinstance(value, str):
        if "\0" in value or not _encodable(value):
            yield at
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key or not _encodable(key):
                yield at
            else:
                yield from _unspeakable(item, f"{at}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unspeakable(item, f"{at}/{index}")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _troubles(submission: Submission) -> Iterator[tuple[str, str]]:
    """What the types cannot say."""
    if submission.numTask is not None and submission.tasks is not None:
        yield "/numTask", "give numTask or tasks, not both"
    if submission.tasks is not None and submission.arguments:
        yield "/arguments", "give arguments or tasks, not both: tasks is one list of arguments a task"
    if _signal_number(submission.stopSignal) is None:
        yield "/stopSignal", f"{submission.stopSignal} is no signal; use a name such as TERM, INT or USR1"
    if submission.cwd is not None and not Path(submission.cwd).is_absolute():
        yield "/cwd", "give an absolute path"
    yield from _variable_troubles(submission.env)
    room = MAX_ARGUMENTS_BYTES - sum(
        len(name.encode()) + len(value.encode()) + 2 for name, value in submission.env.items()
    )
    yield from _argument_troubles("/arguments", submission.arguments, room)
    for index, args in enumerate(submission.tasks or ()):
        yield from _argument_troubles(f"/tasks/{index}", args, room)


def _variable_troubles(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in env.items():
        if not name or "=" in name:
            yield f"/env/{name}", "a variable needs a name without ="
        elif name.startswith("JOBMGR_"):
            yield f"/env/{name}", "names that begin with JOBMGR_ are set by the server"
        elif name in _LOADER or name.startswith(_LOADER_PREFIXES):
            yield f"/env/{name}", "this variable changes what program runs; write it into the script instead"
        elif len(name.encode()) + len(value.encode()) + 1 > MAX_ARGUMENT_BYTES:
            yield (
                f"/env/{name}",
                f"longer than {MAX_ARGUMENT_BYTES:,} bytes, which no program can receive; pass the name of a file",
            )


# FAULTS 87: what makes another program run than the one named.
_LOADER = frozenset({"BASH_ENV", "ENV", "IFS", "SHELLOPTS", "BASHOPTS", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS"})
_LOADER_PREFIXES = ("LD_", "DYLD_", "PYTHON", "GCONV_")


def _argument_troubles(at: str, args: Sequence[str], room: int) -> Iterator[tuple[str, str]]:
    total = 0
    for index, arg in enumerate(args):
        size = len(arg.encode())
        total += size + 9  # its NUL and its pointer count too
        if size > MAX_ARGUMENT_BYTES:
            yield (
                f"{at}/{index}",
                f"longer than {MAX_ARGUMENT_BYTES:,} bytes, which no program can receive; pass the name of a file",
            )
            return
    if total > room:
        yield at, f"arguments and env together exceed {MAX_ARGUMENTS_BYTES:,} bytes; pass the name of a file"


def _signal_number(value: str | int) -> int | None:
    """The number of TERM, SIGTERM or 15; None where there is no such signal."""
    if isinstance(value, int):
        return value if value in {int(s) for s in signal.valid_signals()} else None
    named: Any = getattr(signal, value if value.startswith("SIG") else f"SIG{value}", None)
    return int(named) if isinstance(named, signal.Signals) else None


def _is_below(path: Path, directory: Path) -> bool:
    """Whether the real path stays in the directory: a link out of it is not followed."""
    return path.resolve().is_relative_to(directory.resolve())


def _names_below(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(directory)][:1000]
    except OSError:
        return []
