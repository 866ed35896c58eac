"""Admission: from what a client sent to complete, checked job specs. Changes nothing; every wrong field is reported at once.

`submission` checks the schema; here is what this server adds to it (its scripts, its job types), and what types cannot say. What the system could
never execute (arguments beyond the kernel's limit) is refused here, before a job exists; what may still change until the job runs (is the
file executable, has it an interpreter) ends as `failed`.

A secret is let in only through `secretEnv` and secret parameters: its value anywhere else is refused, and no refusal quotes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobmgr.addresses import NOTHING, Allowed, url_trouble
from jobmgr.catalog import Catalog, Filled
from jobmgr.errors import FieldProblem, InvalidRequest, NoProgram
from jobmgr.job import HIGH_PRIORITY, NO_RETRY, REGULAR_PRIORITY, JobSpec, RetryPolicy
from jobmgr.pointers import pointer
from jobmgr.programs import command_of, is_script, script_below
from jobmgr.secrets import Mask, secret_troubles, too_many_secrets
from jobmgr.submission import (
    MAX_ARGUMENT_BYTES,
    MAX_LABELS,
    MAX_PROBLEMS,
    TOO_LONG,
    JobDefaults,
    Retry,
    Submission,
    nearest,
    policy_troubles,
    signal_number,
    validated,
    variable_troubles,
)

MAX_JOBS = 100_000
MAX_ARGUMENTS_BYTES = 1024 * 1024
"""Of all arguments and variables of one task together; the kernel allows a quarter of the stack limit, usually 2 MiB."""

NO_TYPES = Catalog()


@dataclass(frozen=True, slots=True)
class Admitted:
    """The jobs to submit; `many`: they came as a list, and are answered as one."""

    specs: tuple[JobSpec, ...]
    many: bool


@dataclass(slots=True)
class _Runs:
    """What a submission runs. `program`: its path, or what is wrong with it; None: none is named, and the server has none.

    `place`: the field that names it.
    """

    place: str
    program: Path | str | None
    arguments: Sequence[str]
    filled: Filled = field(default_factory=Filled)


class Admission:
    """Turns payloads into specs, by this server's settings."""

    def __init__(
        self,
        *,
        default_script: Path | None,
        scripts_dir: Path,
        retries: int = 1,
        catalog: Catalog = NO_TYPES,
        search_path: str | None = None,
        callable_hosts: Allowed = NOTHING,
    ) -> None:
        """`search_path`: where commands are looked up, as in PATH; None: commands are not allowed.

        `callable_hosts`: what callbacks may call although it is private.
        """
        self._default_script = default_script
        self._scripts_dir = scripts_dir
        self._default_retry = RetryPolicy(max_attempts=1 + retries)
        self._search_path = search_path
        self._callable_hosts = callable_hosts
        self.catalog = catalog

    def is_available(self, job_type: str) -> bool:
        """Whether the script of a type is there just now."""
        return is_script(self._scripts_dir, self.catalog.types[job_type].script)

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
        try:
            return self._admitted(validated(payload, at), at)
        except InvalidRequest as error:
            secrets = list(self._secrets_in(payload))
            if problem := too_many_secrets(
                secrets
            ):  # To hide them would take long, and there is no telling what quotes them.
                problems = [FieldProblem(f"{at}/secretEnv", problem)]
                raise InvalidRequest(problems) from None
            mask = Mask([*secrets, *(pointer(secret)[1:] for secret in secrets)])  # A field may be called like one.
            problems = [FieldProblem(mask.text(p.field), mask.text(p.problem)) for p in error.problems]
        raise InvalidRequest(problems)

    def _secrets_in(self, payload: object) -> Iterator[str]:
        """What a payload, right or wrong, gives as secret."""
        given = payload if isinstance(payload, dict) else {}
        variables, job_type = given.get("secretEnv"), given.get("type")
        if isinstance(variables, dict):
            yield from (value for value in variables.values() if isinstance(value, str))
        if isinstance(job_type, str) and job_type in self.catalog.types:
            yield from self.catalog.types[job_type].secrets_in(given.get("params"))

    def _admitted(self, submission: Submission, at: str) -> JobSpec:
        problems = [*_contradictions(submission)]
        if (kind := self.catalog.types.get(submission.type or "")) is not None:
            submission = _with_defaults(submission, kind.job)
        runs = self._runs(submission, problems)
        if isinstance(runs.program, str):
            problems.append((runs.place, runs.program))
        problems += _troubles(submission, runs)
        if submission.callbackUrl is not None and (
            trouble := url_trouble(submission.callbackUrl, self._callable_hosts)
        ):
            problems.append(("/callbackUrl", trouble))
        if problems:
            raise InvalidRequest([FieldProblem(at + place, problem) for place, problem in problems])
        if not isinstance(runs.program, Path):
            raise NoProgram
        spec = self._complete(submission, runs, runs.program)
        if spec.secret_env and (leaks := [*_leaks(spec, runs.place)]):
            problem = "the value of a secret is in it; leave it out: the program finds it in its environment"
            raise InvalidRequest([FieldProblem(at + place, problem) for place in dict.fromkeys(leaks)])
        return spec

    def _complete(self, submission: Submission, runs: _Runs, program: Path) -> JobSpec:
        stop_signal = signal_number(submission.stopSignal)
        assert stop_signal is not None  # _troubles has seen to it.
        return JobSpec(
            name=submission.jobName or submission.type or program.name,
            script=str(program),
            args=tuple(runs.arguments),
            num_tasks=len(submission.tasks) if submission.tasks else submission.numTask or 1,
            indexed=submission.numTask is not None,
            tasks=tuple(tuple(args) for args in submission.tasks) if submission.tasks else None,
            priority=_PRIORITIES[submission.priority] if isinstance(submission.priority, str) else submission.priority,
            retry=self._retry(submission.retry),
            env={**submission.env, **runs.filled.env},
            cwd=submission.cwd,
            timeout=submission.timeout,
            deadline=submission.deadline,
            stop_timeout=submission.stopTimeout,
            stop_signal=stop_signal,
            leftovers=submission.leftovers,
            success_codes=tuple(submission.successCodes),
            separate_stderr=submission.stderr == "separate",
            type=submission.type,
            params=runs.filled.shown,
            labels=submission.labels,
            secret_env={**submission.secretEnv, **runs.filled.secret_env},
            callback_url=submission.callbackUrl,
        )

    def _retry(self, given: Retry | bool | None) -> RetryPolicy:
        if isinstance(given, Retry):
            return given.policy()
        if given is None:
            return self._default_retry
        return RetryPolicy() if given else NO_RETRY

    def _runs(self, submission: Submission, problems: list[tuple[str, str]]) -> _Runs:
        """What it runs; trouble with parameters is added to `problems`."""
        if submission.type is not None:
            return self._of_type(submission.type, submission, problems)
        if submission.command is not None:
            program, *arguments = submission.command
            return _Runs("/command", self._command(program), arguments)
        if submission.script is not None:
            return _Runs("/script", script_below(self._scripts_dir, submission.script), submission.arguments)
        return _Runs("/script", self._default_script, submission.arguments)

    def _of_type(self, name: str, submission: Submission, problems: list[tuple[str, str]]) -> _Runs:
        kind = self.catalog.types.get(name)
        if kind is None:
            return _Runs("/type", f"there is no job type {name}; {nearest(name, self.catalog.types)}", [])
        try:
            filled = kind.fill(submission.params)
        except InvalidRequest as error:
            problems += [(f"/params{p.field}", p.problem) for p in error.problems]
            filled = Filled()
        return _Runs("/type", script_below(self._scripts_dir, kind.script), filled.arguments, filled)

    def _command(self, program: str) -> Path | str:
        if self._search_path is None:
            return "this server runs no commands; set JOBMGR_ALLOW_COMMANDS=true to allow them, or use script or type"
        return command_of(program, self._search_path)


_PRIORITIES = {"Regular": REGULAR_PRIORITY, "High": HIGH_PRIORITY}


def _with_defaults(submission: Submission, defaults: JobDefaults) -> Submission:
    """The submission with the defaults of its type: what it says itself wins, in `env` and `labels` name by name."""
    given = submission.model_fields_set
    update = {name: getattr(defaults, name) for name in defaults.model_fields_set - given}
    update |= {name: {**getattr(defaults, name), **getattr(submission, name)} for name in ("env", "labels")}
    return submission.model_copy(update=update)


def _contradictions(submission: Submission) -> Iterator[tuple[str, str]]:
    """Fields that exclude each other."""
    says = [name for name in ("script", "type", "command") if getattr(submission, name) is not None]
    for name in says[1:]:
        yield f"/{name}", f"give {says[0]} or {name}, not both: each says what runs"
    if submission.params and submission.type is None:
        yield "/params", "params belong to a job type; name it in type"
    if submission.numTask is not None and submission.tasks is not None:
        yield "/numTask", "give numTask or tasks, not both"
    if submission.tasks is not None and submission.arguments:
        yield "/arguments", "give arguments or tasks, not both: tasks is one list of arguments a task"
    own = next((name for name in says if name in _REMEDIES), None)
    for name in ("arguments", "tasks"):
        if own is not None and getattr(submission, name):
            yield f"/{name}", f"give {own} or {name}, not both: {_REMEDIES[own]}"


_REMEDIES = {
    "type": "a type takes params, and each job of a list its own",
    "command": "the arguments stand in the command, after the program; for other ones submit a list of jobs",
}


def _troubles(submission: Submission, runs: _Runs) -> Iterator[tuple[str, str]]:
    """What the types cannot say."""
    yield from policy_troubles(submission)
    if submission.secretEnv or runs.filled.places:
        yield from variable_troubles("/secretEnv", submission.secretEnv)
        yield from _twice(submission, runs.filled)
        for name, problem in secret_troubles(submission.secretEnv | runs.filled.secret_env):
            yield runs.filled.places.get(name, "/secretEnv" + (pointer(name) if name else "")), problem
    if len(submission.labels) > MAX_LABELS:
        yield "/labels", f"with those of the type there are more than {MAX_LABELS}"
    variables = [submission.env, submission.secretEnv, runs.filled.env, runs.filled.secret_env]
    room = MAX_ARGUMENTS_BYTES - sum(
        len(name.encode()) + len(value.encode()) + 2 for each in variables for name, value in each.items()
    )
    place = {"/type": "/params", "/command": "/command"}.get(runs.place, "/arguments")
    # The place of an argument in its field: not known where the type made it, one on where the command begins with the program.
    first = {"/params": None, "/command": 1}.get(place, 0)
    yield from _argument_troubles(place, runs.arguments, room, first=first)
    for index, args in enumerate(submission.tasks or ()):
        yield from _argument_troubles(f"/tasks/{index}", args, room, first=0)


def _twice(submission: Submission, filled: Filled) -> Iterator[tuple[str, str]]:
    """Variables that are set in two ways."""
    for name in submission.secretEnv.keys() & submission.env.keys():
        yield "/secretEnv" + pointer(name), "in env too: give it once"
    for name in filled.places:
        for place, variables in (("/env", submission.env), ("/secretEnv", submission.secretEnv)):
            if name in variables:
                yield place + pointer(name), "set by a parameter of the type: leave it out here"


def _argument_troubles(at: str, args: Sequence[str], room: int, *, first: int | None) -> Iterator[tuple[str, str]]:
    total = 0
    for index, arg in enumerate(args):
        size = len(arg.encode())
        total += size + 9  # its NUL and its pointer count too
        if size > MAX_ARGUMENT_BYTES:
            yield at if first is None else f"{at}/{first + index}", TOO_LONG
            return
    if total > room:
        yield at, f"arguments and env together exceed {MAX_ARGUMENTS_BYTES:,} bytes; pass the name of a file"


def _leaks(spec: JobSpec, runs: str) -> Iterator[str]:
    """The fields of the submission that hold the value of a secret; `runs`: the one that says what runs."""
    mask = Mask.of(spec)
    if mask is None:
        return
    # What is looked for has no line end, so nothing is found that begins in one text and ends in the next.
    shown = [(place, "\n".join(texts)) for place, texts in _shown(spec, runs)]
    if mask.hides("\n".join(text for _, text in shown)):  # At once: a job may have a million lists of arguments.
        yield from (place for place, text in shown if mask.hides(text))


def _shown(spec: JobSpec, runs: str) -> Iterator[tuple[str, Iterable[str]]]:
    """All texts of a job that are shown somewhere, and the field each came from."""
    yield "/jobName", [spec.name]
    yield runs, [spec.script, spec.type or ""]
    for name, value in spec.params.items():
        yield "/params" + pointer(name), [str(value)]
    yield {"/type": "/params", "/command": "/command"}.get(runs, "/arguments"), spec.args
    for index, args in enumerate(spec.tasks or ()):
        yield f"/tasks/{index}", args
    for place, texts in (("/labels", spec.labels), ("/env", spec.env)):
        yield place, _both(texts)
    yield "/cwd", [spec.cwd or ""]


def _both(texts: Mapping[str, str]) -> Iterator[str]:
    return (text for pair in texts.items() for text in pair)
