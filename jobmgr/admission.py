"""Admission: from what a client sent to complete, checked job specs. Changes nothing; every wrong field is reported at once.

`submission` checks the schema; here is what this server adds to it, and what types cannot say. What the system could never execute (arguments
beyond the kernel's limit) is refused here, before a job exists; what may still change until the job runs (is the file executable, has it
an interpreter) ends as `failed`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jobmgr.errors import FieldProblem, InvalidRequest, NoProgram
from jobmgr.job import HIGH_PRIORITY, NO_RETRY, REGULAR_PRIORITY, JobSpec, RetryPolicy
from jobmgr.submission import MAX_PROBLEMS, Retry, Submission, validated

MAX_JOBS = 100_000
MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux's MAX_ARG_STRLEN less the final NUL: no single argument or variable may be longer."""
MAX_ARGUMENTS_BYTES = 1024 * 1024
"""Of all arguments and variables of one task together; the kernel allows a quarter of the stack limit, usually 2 MiB."""


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
            if len(problems) >= MAX_PROBLEMS:
                break
        if problems:
            raise InvalidRequest(problems[:MAX_PROBLEMS])
        return Admitted(tuple(specs), many=True)

    def _spec(self, payload: object, at: str) -> JobSpec:
        submission = validated(payload, at)
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
            labels=submission.labels,
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
        elif name in LOADER or name.startswith(LOADER_PREFIXES):
            yield f"/env/{name}", "this variable changes what program runs; write it into the script instead"
        elif len(name.encode()) + len(value.encode()) + 1 > MAX_ARGUMENT_BYTES:
            yield (
                f"/env/{name}",
                f"longer than {MAX_ARGUMENT_BYTES:,} bytes, which no program can receive; pass the name of a file",
            )


# FAULTS 87: what makes another program run than the one named.
LOADER = frozenset({"BASH_ENV", "ENV", "IFS", "SHELLOPTS", "BASHOPTS", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS"})
LOADER_PREFIXES = ("LD_", "DYLD_", "PYTHON", "GCONV_")


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
    try:
        return path.resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError):  # Links in a circle, a name too long: Python has both errors for it.
        return False


def _names_below(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(directory)][:1000]
    except OSError:
        return []
