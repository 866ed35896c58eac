"""The pure heart: what a job is, what may happen to it, and what an ending means. No input or output, no clock.

A job is one or more tasks; a task is run by attempts. Status says where something is in its life, cause why an attempt ended: two fields.
`TRANSITIONS` is the total table status × change, `VERBS` the table verb × status; `judge` turns an ending into a change, `derive` the
counters of a job's tasks into the job's status. Whoever changes a task asks here first; the store commits, others publish.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from signal import Signals
from typing import Any

from jobmgr.clock import MICROSECONDS


class Status(StrEnum):
    """Where a job or task is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    RETRIED = "retried"
    COMPLETED = "completed"
    CRASHED = "crashed"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"


FINISHED = frozenset({Status.COMPLETED, Status.CRASHED, Status.FAILED, Status.STOPPED, Status.LOST})
ACTIVE = frozenset(Status) - FINISHED


class Cause(StrEnum):
    """Why an attempt ended. A completed one has none."""

    EXIT = "exit"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    OOM = "oom"
    SPAWN_ERROR = "spawn_error"
    DEPENDENCY = "dependency"
    EXPIRED = "expired"
    STOP = "stop"
    CHECKPOINT = "checkpoint"
    REBOOT = "reboot"
    SHUTDOWN = "shutdown"
    VANISHED = "vanished"
    LEASE = "lease"
    DECLARED = "declared"


class Change(StrEnum):
    """What can happen to a task."""

    CLAIM = "claim"
    UNBEGIN = "unbegin"
    REFUSE = "refuse"
    FAIL = "fail"
    PAUSE = "pause"
    CHECKPOINT = "checkpoint"
    RESUME = "resume"
    REQUEUE = "requeue"
    COMPLETE = "complete"
    CRASH = "crash"
    RETRY = "retry"
    STOP = "stop"
    LOSE = "lose"
    RESTART = "restart"


class IllegalTransition(ValueError):
    """A change that the status does not allow: a lost race, or a bug. Whoever gets it reloads and decides again."""

    def __init__(self, status: Status, change: Change) -> None:
        self.status, self.change = status, change
        super().__init__(f"{change} is not possible while {status}")


_BY_CHANGE: Mapping[Change, Mapping[Status, Status]] = {
    Change.CLAIM: {Status.PENDING: Status.RUNNING, Status.RETRIED: Status.RUNNING},
    # Never begun: recovery found no trace, or no process or file was to be had. The attempt keeps its number, its run is void.
    Change.UNBEGIN: {Status.RUNNING: Status.PENDING, Status.PAUSED: Status.PENDING},
    Change.REFUSE: {Status.RUNNING: Status.FAILED, Status.PAUSED: Status.FAILED},
    # It will never run: what it waited for failed, or its time passed.
    Change.FAIL: {Status.PENDING: Status.FAILED, Status.RETRIED: Status.FAILED},
    Change.PAUSE: {Status.RUNNING: Status.PAUSED},
    Change.CHECKPOINT: {Status.RUNNING: Status.PAUSED},
    Change.RESUME: {Status.PAUSED: Status.RUNNING},
    Change.REQUEUE: {Status.PAUSED: Status.PENDING},
    # From lost too: a late true result is worth more than not knowing.
    Change.COMPLETE: dict.fromkeys((Status.RUNNING, Status.PAUSED, Status.LOST), Status.COMPLETED),
    Change.CRASH: dict.fromkeys((Status.RUNNING, Status.PAUSED, Status.LOST), Status.CRASHED),
    Change.RETRY: {Status.RUNNING: Status.RETRIED, Status.PAUSED: Status.RETRIED},
    Change.STOP: dict.fromkeys((Status.PENDING, Status.RETRIED, Status.RUNNING, Status.PAUSED), Status.STOPPED),
    Change.LOSE: {Status.RUNNING: Status.LOST, Status.PAUSED: Status.LOST},
    Change.RESTART: dict.fromkeys(FINISHED, Status.PENDING),
}

TRANSITIONS: Mapping[tuple[Status, Change], Status | None] = {
    (status, change): _BY_CHANGE[change].get(status) for status in Status for change in Change
}
"""Total: every pair is in it; None means the change is not possible in that status."""


def advance(status: Status, change: Change) -> Status:
    """The status after a change. Raises IllegalTransition where the table has none."""
    after = TRANSITIONS[status, change]
    if after is None:
        raise IllegalTransition(status, change)
    return after


def sources(change: Change) -> frozenset[Status]:
    """The statuses in which a change is possible."""
    return frozenset(_BY_CHANGE[change])


class Verb(StrEnum):
    """What a person may ask of a job."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"
    RETRY = "retry"
    SIGNAL = "signal"
    DELETE = "delete"


VERBS: Mapping[Verb, frozenset[Status]] = {
    Verb.START: frozenset({Status.PENDING}),
    Verb.STOP: ACTIVE,
    Verb.PAUSE: frozenset({Status.PENDING, Status.RUNNING, Status.RETRIED}),
    Verb.RESUME: frozenset({Status.PAUSED}),
    Verb.RESTART: FINISHED,
    Verb.RETRY: frozenset({Status.RETRIED}),
    Verb.SIGNAL: frozenset({Status.RUNNING, Status.PAUSED}),
    Verb.DELETE: FINISHED,
}


def allows(status: Status, verb: Verb) -> bool:
    """Whether a job in this status takes the verb."""
    return status in VERBS[verb]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a bad end is tried again. `max_attempts` limits 1 + the counted failures of the round; times are in seconds."""

    max_attempts: int = 2
    delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    on: tuple[str, ...] = (Cause.EXIT, Cause.SIGNAL, Cause.OOM, Cause.TIMEOUT)
    exit_codes: tuple[int, ...] | None = None
    """Only these exit codes are retried; None: all."""

    def covers(self, cause: Cause, code: int | None) -> bool:
        """Whether an end of this cause is one that the policy retries, attempts aside."""
        if cause not in self.on:
            return False
        return cause is not Cause.EXIT or self.exit_codes is None or code in self.exit_codes

    def wait_us(self, failures: int, *, chance: random.Random | None = None) -> int:
        """Microseconds to wait before the attempt after the given number of failures (1 or more), jittered both ways."""
        wait = min(self.delay * self.factor ** min(failures - 1, 64), self.max_delay)
        spread = (chance or random).uniform(-self.jitter, self.jitter)
        return max(0, int(wait * (1 + spread) * MICROSECONDS))


MASKED = "***"
"""Stands in answers for what must not be seen."""

NO_RETRY = RetryPolicy(max_attempts=1)

REGULAR_PRIORITY = 0
HIGH_PRIORITY = 10


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a client submitted, checked and complete: the program, its arguments, the policy. Never changes within a round.

    `script` is an absolute path. `tasks` gives one list of arguments a task; without it there are `num_tasks` tasks with `args`,
    in which `{index}` stands for the task's number when `indexed`. Times are in seconds.
    """

    name: str
    script: str
    args: tuple[str, ...] = ()
    num_tasks: int = 1
    indexed: bool = False
    tasks: tuple[tuple[str, ...], ...] | None = field(default=None, repr=False)
    priority: int = REGULAR_PRIORITY
    retry: RetryPolicy = RetryPolicy()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    timeout: float | None = None
    deadline: float | None = None
    stop_timeout: float = 10.0
    stop_signal: int = 15
    leftovers: str = "stop"
    success_codes: tuple[int, ...] = (0,)
    separate_stderr: bool = False
    type: str | None = None
    """The job type that it was submitted as; `params` is what was given for the type's parameters, secret ones as MASKED."""
    params: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables whose values appear nowhere but in the environment of the program: `secrets.py` masks them in what it says."""
    callback_url: str | None = field(default=None, repr=False)
    """Whom to tell of each end of the job. It may hold a secret, so nothing shows it."""

    def arguments(self, number: int, own: tuple[str, ...] | None) -> tuple[str, ...]:
        """The arguments of task `number`: its `own`, else the job's with `{index}` filled in."""
        args = self.args if own is None else own
        return with_index(args, number) if self.indexed else args


def with_index(args: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The arguments with the number of a task in place of `{index}`."""
    return tuple(a.replace("{index}", str(number)) for a in args)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as the launcher saw it. Exactly one of code and signal is set."""

    code: int | None
    signal: int | None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an ending means: the change to make, and the cause to keep."""

    change: Change
    cause: Cause | None


_ENDED_BY: Mapping[str, Verdict] = {
    "stop": Verdict(Change.STOP, Cause.STOP),
    "lease": Verdict(Change.LOSE, Cause.LEASE),
    "shutdown": Verdict(Change.LOSE, Cause.SHUTDOWN),
}

_LIMITS: Mapping[str, Cause] = {"timeout": Cause.TIMEOUT, "deadline": Cause.DEADLINE}


def judge(ending: Ending, spec: JobSpec, *, failures: int, stopping: bool = False) -> Verdict:
    """What this ending means for a task that had `failures` counted failures in this round before it.

    Judged from the request that ended it first, then from code and signal. `stopping`: a stop was asked but did not end it
    (it ended by itself first); the truth is kept, but it is not tried again.
    """
    if ending.because in _ENDED_BY:
        return _ENDED_BY[ending.because]
    good = ending.code is not None and ending.code in spec.success_codes
    if ending.because == "checkpoint" and not good:
        return Verdict(Change.CHECKPOINT, Cause.CHECKPOINT)
    limit = _LIMITS.get(ending.because)
    if good and limit is None:
        return Verdict(Change.COMPLETE, None)
    cause = limit or (Cause.SIGNAL if ending.signal is not None else Cause.EXIT)
    again = not stopping and 1 + failures < spec.retry.max_attempts and spec.retry.covers(cause, ending.code)
    return Verdict(Change.RETRY if again else Change.CRASH, cause)


def judge_lost(cause: Cause, spec: JobSpec, *, failures: int, stopping: bool = False) -> Verdict:
    """What it means that nobody knows how a run ended: lost, or another attempt where the policy names `lost`."""
    again = not stopping and "lost" in spec.retry.on and 1 + failures < spec.retry.max_attempts
    return Verdict(Change.RETRY if again else Change.LOSE, cause)


_WORST_FIRST = (Status.STOPPED, Status.LOST, Status.FAILED, Status.CRASHED, Status.COMPLETED)


def derive(counts: Mapping[Status, int], *, begun: bool, held: bool = False) -> Status:
    """A job's status from the number of its tasks in each status (DESIGN §2).

    `begun`: some task of this round has begun or ended; `held`: its waiting tasks are held by a pause.
    """
    if counts.get(Status.RUNNING):
        return Status.RUNNING
    if counts.get(Status.PAUSED) or (held and (counts.get(Status.PENDING) or counts.get(Status.RETRIED))):
        return Status.PAUSED
    if counts.get(Status.RETRIED):
        return Status.RETRIED
    if counts.get(Status.PENDING):
        return Status.RUNNING if begun else Status.PENDING
    return next(status for status in _WORST_FIRST if counts.get(status))


def job_id(number: int) -> str:
    """The id clients see: job-7."""
    return f"job-{number}"


def task_id(job: int, number: int) -> str:
    """The id clients see: job-7.3."""
    return f"job-{job}.{number}"


MAX_ID = 2**63 - 1


def parse_job_id(text: str) -> int | None:
    """The number in job-7, or None where the text is no such id. Strict: ASCII digits, no leading zeros, at most 63 bits."""
    prefix, _, digits = text.partition("-")
    if prefix != "job" or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(MAX_ID)):
        return None
    number = int(digits)
    return number if str(number) == digits and number <= MAX_ID else None


def signal_name(number: int) -> str:
    """SIGKILL for 9; real-time signals as SIGRTMIN+n; else SIG and the number."""
    try:
        return Signals(number).name
    except ValueError:
        pass
    low = int(getattr(Signals, "SIGRTMIN", 0))
    high = int(getattr(Signals, "SIGRTMAX", 0))
    return f"SIGRTMIN+{number - low}" if low and low < number < high else f"SIG{number}"
