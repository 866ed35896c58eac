"""The pure heart: every cell of both tables, judgement, derived status, ids."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobmgr.job import (
    ACTIVE,
    FINISHED,
    NO_RETRY,
    TRANSITIONS,
    VERBS,
    Cause,
    Change,
    Ending,
    IllegalTransition,
    JobSpec,
    RetryPolicy,
    Status,
    Verb,
    advance,
    allows,
    derive,
    job_id,
    judge,
    judge_lost,
    parse_job_id,
    signal_name,
    sources,
)

# One row a status, one column a change, in the order of the enums; a dot: not possible. Written out by hand from DESIGN §2.
CHANGES = "claim unbegin refuse fail pause checkpoint resume requeue complete crash retry stop lose restart"
TABLE = """
pending    running . . failed . . . . . . . stopped . .
running    . pending failed . paused paused . . completed crashed retried stopped lost .
paused     . pending failed . . . running pending completed crashed retried stopped lost .
retried    running . . failed . . . . . . . stopped . .
completed  . . . . . . . . . . . . . pending
crashed    . . . . . . . . . . . . . pending
failed     . . . . . . . . . . . . . pending
stopped    . . . . . . . . . . . . . pending
lost       . . . . . . . . completed crashed . . . pending
"""
CELLS = [
    (Status(row.split()[0]), Change(change), None if cell == "." else Status(cell))
    for row in TABLE.strip().splitlines()
    for change, cell in zip(CHANGES.split(), row.split()[1:], strict=True)
]

VERB_TABLE = {
    "start": "pending",
    "stop": "pending running paused retried",
    "pause": "pending running retried",
    "resume": "paused",
    "restart": "completed crashed failed stopped lost",
    "retry": "retried",
    "signal": "running paused",
    "delete": "completed crashed failed stopped lost",
}

SPEC = JobSpec("encode", "/bin/true")


def test_the_table_is_total() -> None:
    """Every status × change is a cell, and the hand-written table has them all."""
    assert set(TRANSITIONS) == {(status, change) for status, change, _ in CELLS}
    assert len(TRANSITIONS) == len(Status) * len(Change)


@pytest.mark.parametrize(("status", "change", "after"), CELLS)
def test_each_cell_lands_or_refuses(status: Status, change: Change, after: Status | None) -> None:
    """A change leads where the design says, and nowhere else."""
    if after is None:
        with pytest.raises(IllegalTransition, match=f"{change} is not possible while {status}"):
            advance(status, change)
    else:
        assert advance(status, change) is after
    assert (status in sources(change)) == (after is not None)


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("status", list(Status))
def test_each_verb_is_allowed_just_where_it_makes_sense(verb: Verb, status: Status) -> None:
    """The table verb × status, cell by cell."""
    assert allows(status, verb) == (status in VERB_TABLE[verb].split())


def test_every_verb_has_a_row() -> None:
    """No verb is forgotten in the table."""
    assert set(VERBS) == set(Verb)


def test_statuses_are_finished_or_active() -> None:
    """The two filters part the statuses."""
    assert set(Status) == FINISHED | ACTIVE
    assert not FINISHED & ACTIVE


@pytest.mark.parametrize(
    ("ending", "change", "cause"),
    [
        (Ending(0, None), Change.COMPLETE, None),
        (Ending(3, None), Change.RETRY, Cause.EXIT),
        (Ending(137, None), Change.RETRY, Cause.EXIT),
        (Ending(None, 9), Change.RETRY, Cause.SIGNAL),
        (Ending(None, 15, "stop"), Change.STOP, Cause.STOP),
        (Ending(0, None, "stop"), Change.STOP, Cause.STOP),
        (Ending(0, None, "checkpoint"), Change.COMPLETE, None),
        (Ending(None, 15, "checkpoint"), Change.CHECKPOINT, Cause.CHECKPOINT),
        (Ending(None, 15, "timeout"), Change.RETRY, Cause.TIMEOUT),
        (Ending(0, None, "timeout"), Change.RETRY, Cause.TIMEOUT),
        (Ending(None, 15, "deadline"), Change.CRASH, Cause.DEADLINE),
        (Ending(None, 15, "lease"), Change.LOSE, Cause.LEASE),
        (Ending(None, 15, "shutdown"), Change.LOSE, Cause.SHUTDOWN),
    ],
)
def test_an_ending_is_judged_from_the_request_then_from_code_and_signal(
    ending: Ending, change: Change, cause: Cause | None
) -> None:
    """What ended it first decides; only then code and signal."""
    verdict = judge(ending, SPEC, failures=0)
    assert (verdict.change, verdict.cause) == (change, cause)


def test_a_crash_is_retried_once_by_default() -> None:
    """Two attempts: the second crash is final."""
    assert judge(Ending(1, None), SPEC, failures=0).change is Change.RETRY
    assert judge(Ending(1, None), SPEC, failures=1).change is Change.CRASH


def test_no_retry_means_one_attempt() -> None:
    """`"retry": false` makes the first crash final."""
    assert judge(Ending(1, None), JobSpec("x", "/x", retry=NO_RETRY), failures=0).change is Change.CRASH


def test_a_stop_asked_for_forbids_another_attempt() -> None:
    """It crashed by itself before the stop reached it: the truth stays, but nothing is begun again."""
    verdict = judge(Ending(1, None), SPEC, failures=0, stopping=True)
    assert (verdict.change, verdict.cause) == (Change.CRASH, Cause.EXIT)


def test_success_codes_are_the_submitters() -> None:
    """Only the named codes are success."""
    spec = JobSpec("x", "/x", success_codes=(3,), retry=NO_RETRY)
    assert judge(Ending(3, None), spec, failures=0).change is Change.COMPLETE
    assert judge(Ending(0, None), spec, failures=0).change is Change.CRASH


def test_only_named_exit_codes_are_retried() -> None:
    """`retry.exitCodes` narrows what `exit` covers, and nothing else."""
    spec = JobSpec("x", "/x", retry=RetryPolicy(exit_codes=(75,)))
    assert judge(Ending(75, None), spec, failures=0).change is Change.RETRY
    assert judge(Ending(1, None), spec, failures=0).change is Change.CRASH
    assert judge(Ending(None, 9), spec, failures=0).change is Change.RETRY


def test_lost_is_rerun_only_where_the_job_allows_it() -> None:
    """Never a silent rerun of what may have done its work."""
    willing = JobSpec("x", "/x", retry=RetryPolicy(on=("lost",)))
    assert judge_lost(Cause.VANISHED, SPEC, failures=0).change is Change.LOSE
    assert judge_lost(Cause.VANISHED, willing, failures=0).change is Change.RETRY
    assert judge_lost(Cause.VANISHED, willing, failures=1).change is Change.LOSE
    assert judge_lost(Cause.VANISHED, willing, failures=0, stopping=True).change is Change.LOSE


@given(st.integers(1, 5000), st.floats(0, 1000), st.floats(1, 100), st.floats(0, 100), st.floats(0, 1))
def test_the_wait_before_a_retry_stays_in_its_bounds(
    failures: int, delay: float, factor: float, max_delay: float, jitter: float
) -> None:
    """At most the longest delay and its jitter, never negative, whatever the numbers."""
    policy = RetryPolicy(delay=delay, factor=factor, max_delay=max_delay, jitter=jitter)
    wait = policy.wait_us(failures, chance=random.Random(1))
    assert 0 <= wait <= max_delay * (1 + jitter) * 1_000_000 + 1


COUNTS = st.dictionaries(st.sampled_from(list(Status)), st.integers(0, 3)).filter(lambda counts: any(counts.values()))


@given(COUNTS, st.booleans(), st.booleans())
def test_a_jobs_status_follows_from_its_tasks(counts: dict[Status, int], begun: bool, held: bool) -> None:
    """The rule of DESIGN §2, written as a chain of questions."""
    status = derive(counts, begun=begun, held=held)
    present = {s for s, n in counts.items() if n}
    waiting = present & {Status.PENDING, Status.RETRIED}
    if Status.RUNNING in present:
        assert status is Status.RUNNING
    elif Status.PAUSED in present or (held and waiting):
        assert status is Status.PAUSED
    elif Status.RETRIED in present:
        assert status is Status.RETRIED
    elif Status.PENDING in present:
        assert status is (Status.RUNNING if begun else Status.PENDING)
    else:
        order = [Status.STOPPED, Status.LOST, Status.FAILED, Status.CRASHED, Status.COMPLETED]
        assert status is next(s for s in order if s in present)


@given(COUNTS, st.booleans())
def test_a_job_is_finished_just_when_all_its_tasks_are(counts: dict[Status, int], begun: bool) -> None:
    """Nobody who waits for a job's end goes home too early or too late."""
    done = all(s in FINISHED for s, n in counts.items() if n)
    assert (derive(counts, begun=begun) in FINISHED) == done


class LifeOfATask(RuleBasedStateMachine):
    """Any sequence of endings, verbs and recoveries keeps a task within its attempts and its truths."""

    def __init__(self) -> None:
        super().__init__()
        self.status = Status.PENDING
        self.failures = 0
        self.spec = JobSpec("x", "/x", retry=RetryPolicy(max_attempts=3))

    def take(self, change: Change) -> None:
        """Make a change through the table."""
        self.status = advance(self.status, change)
        self.failures += change in (Change.RETRY, Change.CRASH)

    @precondition(lambda self: self.status in (Status.PENDING, Status.RETRIED))
    @rule()
    def claim(self) -> None:
        """A slot is free."""
        self.take(Change.CLAIM)

    @precondition(lambda self: self.status is Status.RUNNING)
    @rule(change=st.sampled_from([Change.UNBEGIN, Change.REFUSE, Change.PAUSE]))
    def interrupt(self, change: Change) -> None:
        """It never began, could not begin, or is paused."""
        self.take(change)

    @precondition(lambda self: self.status is Status.PAUSED)
    @rule()
    def resume(self) -> None:
        """A frozen task goes on."""
        self.take(Change.RESUME)

    @precondition(lambda self: self.status in (Status.RUNNING, Status.PAUSED))
    @rule(
        code=st.one_of(st.none(), st.integers(0, 255)),
        because=st.sampled_from(["", "stop", "timeout", "deadline", "lease", "shutdown"]),
    )
    def end(self, code: int | None, because: str) -> None:
        """Its program ends."""
        verdict = judge(Ending(code, None if code is not None else 9, because), self.spec, failures=self.failures)
        self.take(verdict.change)

    @precondition(lambda self: self.status in ACTIVE)
    @rule()
    def stop(self) -> None:
        """A person stops it."""
        self.take(Change.STOP)

    @precondition(lambda self: self.status in FINISHED)
    @rule()
    def restart(self) -> None:
        """A new round begins."""
        self.take(Change.RESTART)
        self.failures = 0

    @invariant()
    def never_more_failures_than_attempts(self) -> None:
        """`maxAttempts` holds whatever happens."""
        assert self.failures <= self.spec.retry.max_attempts

    @invariant()
    def retried_only_with_attempts_left(self) -> None:
        """`retried` promises another attempt."""
        assert self.status is not Status.RETRIED or self.failures < self.spec.retry.max_attempts


TestLifeOfATask = LifeOfATask.TestCase


@given(st.integers(0, 2**63 - 1))
def test_a_job_id_comes_back(number: int) -> None:
    """What is printed can be read."""
    assert parse_job_id(job_id(number)) == number


@pytest.mark.parametrize(
    "text",
    ["", "job", "job-", "7", "job-07", "job--1", "job-1.0", "JOB-1", "job-1 ", " job-1", "job-1\n", "job-١", "job-²",
     "job-9223372036854775808", "job-" + "9" * 5000, "job-0x1", "job-1_0", "../job-1", "job-%31"],
)  # fmt: skip
def test_what_is_no_job_id_is_none(text: str) -> None:
    """One spelling only: nothing else finds a job."""
    assert parse_job_id(text) is None


def test_task_arguments_may_name_their_index() -> None:
    """`{index}` stands for the task's number when the job has numbered tasks, and for itself otherwise."""
    assert JobSpec("x", "/x", args=("out-{index}.mp4",), indexed=True).arguments(3, None) == ("out-3.mp4",)
    assert JobSpec("x", "/x", args=("{index}",)).arguments(3, None) == ("{index}",)
    assert JobSpec("x", "/x", args=("a",)).arguments(1, ("own",)) == ("own",)


@pytest.mark.parametrize(
    ("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (34, "SIGRTMIN"), (36, "SIGRTMIN+2"), (99, "SIG99")]
)
def test_signals_have_names(number: int, name: str) -> None:
    """People read SIGKILL, not 9."""
    assert signal_name(number) == name


@given(COUNTS)
def test_counts_of_zero_do_not_matter(counts: dict[Status, int]) -> None:
    """A counter at zero is as good as none."""
    full = Counter(dict.fromkeys(Status, 0)) | Counter(counts)
    assert derive({s: full[s] for s in Status}, begun=False) is derive(counts, begun=False)
