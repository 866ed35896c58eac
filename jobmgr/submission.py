"""A submission: what a client may send to have a job run. The schema, as pydantic models, and the check of a payload against it.

The models are public: OpenAPI and the documents are drawn from them, so every field says what it means. They are strict (no "1" for 1) and
closed: an unknown field is an error that names the nearest known one. Every wrong field is reported at once, and no report quotes a
value: it may be a secret. What a server adds to it (its scripts, its job types) and what types cannot say is `admission`'s.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from jobmgr.addresses import MAX_URL
from jobmgr.errors import FieldProblem, InvalidRequest
from jobmgr.job import RetryPolicy
from jobmgr.pointers import pointer, unspeakable
from jobmgr.remedies import remedy

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux's MAX_ARG_STRLEN less the final NUL: no single argument or variable may be longer."""
MAX_TASKS = 1_000_000
MAX_SECONDS = 10 * 366 * 86_400
MAX_NAME = 255
MAX_PATH = 4096
MAX_LABELS = 64
MAX_SECRETS = 64
MAX_PARAMS = 256
MAX_PROBLEMS = 100
"""More wrong fields than this are not listed: the answer would be as large as the request."""

Text = Annotated[str, StringConstraints(strict=True)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Duration = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
ExitCode = Annotated[int, Field(ge=0, le=255)]
# A list of a million wrong elements would make a million errors, each hundreds of bytes: the first one says it.
Arguments = Annotated[list[Text], Field(fail_fast=True)]
RetriedCause = Literal["exit", "signal", "oom", "timeout", "lost"]
LabelKey = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(strict=True, max_length=255)]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Retry(BaseModel):
    """When a crash is tried again; times in seconds."""

    model_config = _STRICT

    maxAttempts: int = Field(
        2, ge=1, le=1000, description="How many attempts at most, the first one included.", examples=[3]
    )
    delay: Seconds = Field(1.0, description="Seconds before the second attempt.", examples=[1])
    factor: float = Field(
        2.0,
        ge=1,
        le=100,
        allow_inf_nan=False,
        description="By how much each wait is longer than the one before.",
        examples=[2],
    )
    maxDelay: Seconds = Field(60.0, description="The longest wait, in seconds.", examples=[60])
    jitter: float = Field(
        0.1,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Part of the wait by which it varies at random, both ways.",
        examples=[0.1],
    )
    on: Annotated[list[RetriedCause], Field(fail_fast=True)] = Field(
        ["exit", "signal", "oom", "timeout"],
        description="Which causes are tried again. `lost` allows it where nobody knows how the attempt ended: it may have worked.",
        examples=[["exit", "timeout"]],
    )
    exitCodes: Annotated[list[ExitCode], Field(fail_fast=True)] | None = Field(
        None, description="Only these exit codes are tried again; null: every one that is no success.", examples=[[75]]
    )

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


class Program(BaseModel):
    """What runs, as what, how often: `script`, `type` or `command`; with none of them the server's own program."""

    model_config = _STRICT

    jobName: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        validation_alias=AliasChoices("jobName", "name"),
        description="A name for people; default: that of the type or the program. `name` means the same.",
        examples=["my-task-42"],
    )
    script: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_PATH,
        description="The program to run: a file below the server's scripts directory (`JOBMGR_SCRIPTS_DIR`).",
        examples=["checksum.sh"],
    )
    type: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        description="The job type to run, one of `GET /types`; its parameters go to `params`.",
        examples=["extract"],
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        max_length=MAX_PARAMS,
        description="Values for the parameters of the `type`.",
        examples=[{"archive": "/data/in.tar.gz"}],
    )
    command: Arguments | None = Field(
        None,
        min_length=1,
        description="A program and its arguments, run as they are and never by a shell. The program is a name found on the server's "
        "PATH or an absolute path. Only where the server is set to `JOBMGR_ALLOW_COMMANDS=true`.",
        examples=[["ffmpeg", "-i", "in.mp4", "out.webm"]],
    )
    arguments: Arguments = Field(
        default_factory=list,
        validation_alias=AliasChoices("arguments", "args"),
        description="Arguments of the program, passed as they are. With `numTask`, `{index}` stands for the number of the task. "
        "`args` means the same.",
        examples=[["arg1", "arg2"]],
    )
    numTask: int | None = Field(
        None, ge=1, le=MAX_TASKS, description="How many tasks the job has, numbered from 0; default: 1.", examples=[20]
    )
    tasks: Annotated[list[Arguments], Field(fail_fast=True)] | None = Field(
        None,
        min_length=1,
        max_length=MAX_TASKS,
        description="In place of `numTask` and `arguments`: one list of arguments a task.",
        examples=[[["a.mp4"], ["b.mp4"]]],
    )
    secretEnv: dict[str, Text] = Field(
        default_factory=dict,
        max_length=MAX_SECRETS,
        description="Variables like those of `env` whose values are shown nowhere: in answers, log, events and exports they are `***`, "
        "and in the output that is sent they are as many `*`. At least 4 characters each.",
        examples=[{"API_KEY": "correct-horse-battery"}],
    )

    callbackUrl: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_URL,
        description="Whom to tell of each end of the job: a signed POST, tried again until it is taken (docs/webhooks.md). It is shown nowhere. "
        "No private address, unless `JOBMGR_WEBHOOK_HOSTS` has it.",
        examples=["https://example.org/done"],
    )


class JobDefaults(BaseModel):
    """How a job runs, whatever it runs. A job type may set these for all its jobs; what the submission says wins."""

    model_config = _STRICT

    priority: Literal["Regular", "High"] | Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(
        "Regular", description="Higher first: `Regular` is 0, `High` is 10, or any integer.", examples=["High", 5]
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=MAX_LABELS,
        description="Short texts by which jobs are found again (`GET /jobs?label=team:media`). "
        "Keys: letters, digits, `.`, `_`, `-`, `/`, at most 63 characters; values: at most 255.",
        examples=[{"team": "media"}],
    )
    retry: Retry | bool | None = Field(
        None,
        description="When a crash is tried again: a policy, `false` for one attempt, `true` for two; null: what the server is set to.",
        examples=[{"maxAttempts": 3, "delay": 5}, False],
    )
    env: dict[str, Text] = Field(
        default_factory=dict,
        description="Variables added to the environment of the program. They are no secrets: those go to `secretEnv`.",
        examples=[{"LANG": "C"}],
    )
    cwd: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_PATH,
        description="Directory that the program starts in, an absolute path; null: the server's.",
        examples=["/data"],
    )
    timeout: Duration | None = Field(
        None, description="Seconds that one attempt may run; then it is stopped.", examples=[600]
    )
    deadline: Duration | None = Field(
        None, description="Seconds after the submission at which whatever still runs of it is stopped.", examples=[3600]
    )
    stopTimeout: Seconds = Field(10.0, description="Seconds between the stop signal and KILL.", examples=[10])
    stopSignal: str | int = Field(
        "TERM", description="The signal that asks the program to stop, by name or number.", examples=["INT"]
    )
    leftovers: Literal["stop", "keep"] = Field(
        "stop", description="What becomes of processes that the program leaves behind when it ends.", examples=["stop"]
    )
    successCodes: Annotated[list[ExitCode], Field(fail_fast=True)] = Field(
        default_factory=lambda: [0], min_length=1, description="Exit codes that mean success.", examples=[[0, 3]]
    )
    stderr: Literal["merged", "separate"] = Field(
        "merged",
        description="`merged`: in one file with stdout, in true order. `separate`: a file of its own.",
        examples=["separate"],
    )


class Submission(JobDefaults, Program):
    """One job as a client submits it; everything is optional.

    At most one of `script`, `type` and `command` says what runs; with none of them it is the program that the server is set to
    (`JOB_SCRIPT_PATH`).
    """


ALIASES = (("jobName", "name"), ("arguments", "args"))

KNOWN_FIELDS = (*Submission.model_fields, *(alias for _, alias in ALIASES))


def validated(payload: object, at: str) -> Submission:
    """The submission in a decoded JSON value; `at` is the pointer to it. Raises InvalidRequest with every wrong field."""
    if not isinstance(payload, dict):
        raise InvalidRequest(
            [FieldProblem(at, 'a submission is a JSON object, such as {"jobName": "x", "arguments": ["a"]}')]
        )
    problems = [
        FieldProblem(at + field, "use NUL and lone surrogates nowhere: no program can receive them")
        for field in islice(unspeakable(payload), MAX_PROBLEMS)
    ]
    problems += [
        FieldProblem(f"{at}/{b}", f"give it once: {a} and {b} mean the same")
        for a, b in ALIASES
        if a in payload and b in payload
    ]
    if problems:
        raise InvalidRequest(problems[:MAX_PROBLEMS])
    try:
        return Submission.model_validate(payload)
    except ValidationError as error:
        raise InvalidRequest(wrong_fields(error, at, _known)) from None


def _known(place: tuple[str, ...]) -> Iterable[str]:
    return Retry.model_fields if place else KNOWN_FIELDS


def wrong_fields(
    error: ValidationError, at: str, known: Callable[[tuple[str, ...]], Iterable[str]]
) -> list[FieldProblem]:
    """What pydantic found, by field. `known`: the fields that there are at a place, as one may have been mistyped."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return _deduplicated(_problem(detail, at, known) for detail in details[:MAX_PROBLEMS])


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not among the known ones: the nearest, else all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(names)}" if names else "there are none"


def _problem(detail: ErrorDetails, at: str, known: Callable[[tuple[str, ...]], Iterable[str]]) -> FieldProblem:
    loc = detail["loc"]
    parts = [str(part) for index, part in enumerate(loc) if not (_UNIONS & {*loc[:index]} and _is_branch(part))]
    field = at + "".join(pointer(part) for part in parts)
    if detail["type"] == "extra_forbidden":
        return FieldProblem(field, f"unknown field; {nearest(parts[-1], known(tuple(parts[:-1])))}")
    if parts[-1:] == ["[key]"]:
        return FieldProblem(
            at + "".join(pointer(part) for part in parts[:-1]),
            "a key has letters, digits, . _ - / (at most 63, a letter or digit first)",
        )
    return FieldProblem(field, remedy(detail))


_UNIONS = frozenset({"retry", "priority", "stopSignal", "default", "choices", "minimum", "maximum", "argument"})
"""Fields that may be of one type or another, here and in the catalog."""


def _is_branch(part: str | int) -> bool:
    """Whether a step of pydantic's path names the branch of a union, not a field of the request."""
    return isinstance(part, str) and bool(
        re.fullmatch(r"(Retry|bool|int|str|float|list\[str\]|constrained-int|literal\[.*\])", part)
    )


def _deduplicated(problems: Iterator[FieldProblem]) -> list[FieldProblem]:
    """One problem a field: a union reports each of its branches."""
    merged: dict[str, list[str]] = {}
    for problem in problems:
        merged.setdefault(problem.field, []).append(problem.problem)
    # Where something inside a field is wrong, that another type would do as well is no help.
    inner = [field for field in merged if not any(other.startswith(f"{field}/") for other in merged)]
    return [FieldProblem(field, ", or ".join(dict.fromkeys(merged[field]))) for field in inner]


def policy_troubles(policy: JobDefaults) -> Iterator[tuple[str, str]]:
    """What types cannot say of how a job runs: where it is wrong, and the remedy."""
    if signal_number(policy.stopSignal) is None:
        yield "/stopSignal", f"{policy.stopSignal} is no signal; use a name such as TERM, INT or USR1"
    if policy.cwd is not None and not Path(policy.cwd).is_absolute():
        yield "/cwd", "give an absolute path"
    yield from variable_troubles("/env", policy.env)


def variable_troubles(at: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with variables for the environment of a program."""
    for name, value in variables.items():
        if problem := variable_trouble(name):
            yield at + pointer(name), problem
        elif len(name.encode()) + len(value.encode()) + 1 > MAX_ARGUMENT_BYTES:
            yield at + pointer(name), TOO_LONG


TOO_LONG = f"longer than {MAX_ARGUMENT_BYTES:,} bytes, which no program can receive; pass the name of a file"


def variable_trouble(name: str) -> str | None:
    """What is wrong with the name of a variable; None where it may be set."""
    if not name or "=" in name:
        return "a variable needs a name without ="
    if name.startswith("JOBMGR_"):
        return "names that begin with JOBMGR_ are set by the server"
    if name in LOADER or name.startswith(LOADER_PREFIXES):
        return "this variable changes what program runs; write it into the script instead"
    return None


# FAULTS 87: what makes another program run than the one named.
LOADER = frozenset({"BASH_ENV", "ENV", "IFS", "SHELLOPTS", "BASHOPTS", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS"})
LOADER_PREFIXES = ("LD_", "DYLD_", "PYTHON", "GCONV_")


def signal_number(value: str | int) -> int | None:
    """The number of TERM, SIGTERM or 15; None where there is no such signal."""
    if isinstance(value, int):
        return value if value in {int(s) for s in signal.valid_signals()} else None
    named: Any = getattr(signal, value if value.startswith("SIG") else f"SIG{value}", None)
    return int(named) if isinstance(named, signal.Signals) else None
