"""Recovery decides by evidence, in the order of the design; and runner turns endings into sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobmgr.job import Cause, Change, JobSpec
from jobmgr.process.launcher import Ended, Found, Held, SpawnFailed, Unbegun, Vanished
from jobmgr.recovery import Lost, NeverBegun, decide, incarnation
from jobmgr.reports import Reported
from jobmgr.runner import Words, finish, finish_late, lose, refuse
from jobmgr.store.base import Claimed, Owner

THIS_BOOT = "boot-1"
CLAIMED = Claimed(
    job=7,
    task=70,
    number=0,
    attempt=1,
    run="r",
    spec=JobSpec("encode", "/bin/true"),
    args=None,
    failures=0,
    claimed_at=0,
    submitted_at=0,
    owner=Owner("node", incarnation("a", survives=True), THIS_BOOT),
)
ENDED = Ended("r", 3, None, "", 41, 0, 1_200_000, 1_200_000, 5)
HELD = Held("r", 41, 99, 0)
VANISHED = Vanished("r", 41)
REFUSED = SpawnFailed("r", 2, "no such file")
UNBEGUN = Unbegun("r", "no process")


def with_owner(claimed: Claimed, **changes: str) -> Claimed:
    """The same run of another server, life or boot."""
    return replace(claimed, owner=replace(claimed.owner, **changes))


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (ENDED, ENDED),
        (REFUSED, REFUSED),
        (HELD, HELD),
        (VANISHED, Lost(Cause.VANISHED)),
        (UNBEGUN, NeverBegun()),
        (None, NeverBegun()),
    ],
)
def test_on_the_same_boot_the_evidence_decides(found: Found | None, step: object) -> None:
    """An end is applied, a living run taken up, a begun one lost; only without any trace it never began."""
    assert decide(CLAIMED, found, boot_id=THIS_BOOT) == step


@pytest.mark.parametrize("found", [HELD, VANISHED, UNBEGUN, None])
def test_another_boot_means_lost(found: Found | None) -> None:
    """FAULT 16, 18: nothing of another boot is taken up or run again, whatever bears its pid now."""
    assert decide(with_owner(CLAIMED, boot_id="boot-0"), found, boot_id=THIS_BOOT) == Lost(Cause.REBOOT)


def test_an_end_in_a_journal_counts_whatever_the_boot() -> None:
    """It was true when it was written."""
    assert decide(with_owner(CLAIMED, boot_id="boot-0"), ENDED, boot_id=THIS_BOOT) is ENDED


def test_a_run_with_a_known_process_began_even_without_a_journal() -> None:
    """Somebody removed the keepers' directory: that is no proof that it never ran."""
    assert decide(replace(CLAIMED, pid=41), None, boot_id=THIS_BOOT) == Lost(Cause.VANISHED)


def test_a_server_without_a_keeper_leaves_no_proof() -> None:
    """Jobs of a direct launcher end with their server; whether one began is not known, so it never runs again by itself."""
    direct = with_owner(CLAIMED, incarnation=incarnation("b", survives=False))
    assert decide(direct, None, boot_id=THIS_BOOT) == Lost(Cause.VANISHED)


def test_an_error_says_code_time_and_last_line() -> None:
    """The sentence that people read first."""
    change = finish(CLAIMED, ENDED, Words("disk full"))
    assert change.error == "Exited with code 3 after 1.2 s; its last line: disk full"


def test_an_error_of_a_silent_job_says_so() -> None:
    """No last line to quote."""
    change = finish(CLAIMED, replace(ENDED, code=None, signal=9), Words())
    assert change.error == "Killed by SIGKILL after 1.2 s; it printed nothing."


@pytest.mark.parametrize("code", [0, 3])
def test_what_a_failed_attempt_said_is_kept_with_its_end(code: int) -> None:
    """Of one that completed nothing; one that said nothing says so."""
    words = Words("b", last_lines=("a", "b"))
    change = finish(CLAIMED, replace(ENDED, code=code), words)
    assert change.last_lines == (None if code == 0 else "a\nb")
    assert finish(CLAIMED, replace(ENDED, code=code), Words()).last_lines == (None if code == 0 else "")
    assert finish_late(CLAIMED, replace(ENDED, code=code), words).last_lines == (None if code == 0 else "a\nb")


def test_what_was_stopped_or_lost_keeps_no_words() -> None:
    """It did not fail."""
    words = Words("b", last_lines=("a", "b"))
    assert finish(CLAIMED, replace(ENDED, because="stop"), words).last_lines is None
    assert lose(CLAIMED, Cause.VANISHED).last_lines is None


def test_an_error_that_a_job_reported_is_its_last_word() -> None:
    """Made harmless, and with the lines before it never more than five."""
    words = Words("5", Reported(error="no\x1b GPU\nat all"), tuple("12345"))
    assert finish(CLAIMED, ENDED, words).last_lines == "3\n4\n5\nreported error: no\\x1b GPU\nat all"


def test_what_could_not_be_started_says_why() -> None:
    """Its error is its last word; secrets that it quotes are hidden."""
    spec = JobSpec("x", "/bin/true", secret_env={"PATH": "/very/secret"})
    change = refuse(replace(CLAIMED, spec=spec), SpawnFailed("r", 2, "There is no program x in PATH (/very/secret)."))
    assert change.last_lines == change.error == "There is no program x in PATH (***)."


def test_a_jobs_own_word_goes_before_its_last_line() -> None:
    """`{"error": …}` on fd 3 is the better explanation."""
    change = finish(CLAIMED, ENDED, Words("x", Reported(error="no GPU")))
    assert change.error == "Exited with code 3 after 1.2 s; it reported: no GPU"


def test_a_stopped_job_says_who_wanted_it() -> None:
    """A request comes first, the way it ended in brackets."""
    change = finish(CLAIMED, replace(ENDED, because="timeout"), Words("tick"))
    assert change.error == "Stopped at its timeout (exited with code 3) after 1.2 s; its last line: tick"


def test_a_completed_job_has_no_error() -> None:
    """And is at 100 %."""
    change = finish(CLAIMED, replace(ENDED, code=0), Words("done", Reported(result={"n": 1})))
    assert (change.change, change.error, change.progress, change.result) == (Change.COMPLETE, None, 100.0, {"n": 1})


def test_a_stop_for_a_leaving_server_has_its_own_cause() -> None:
    """Nobody asked for this job to be stopped: the server went away."""
    change = finish(replace(CLAIMED, want="shutdown"), replace(ENDED, because="stop"), Words())
    assert (change.change, change.cause) == (Change.STOP, Cause.SHUTDOWN)


def test_a_retry_waits_and_a_lost_one_does_not_come_back() -> None:
    """The default policy names crashes, not losses."""
    assert finish(CLAIMED, ENDED, Words()).due_at is not None
    assert (lose(CLAIMED, Cause.VANISHED).change, lose(CLAIMED, Cause.VANISHED).due_at) == (Change.LOSE, None)


def test_a_late_true_end_is_completed_or_crashed() -> None:
    """It was called lost: whatever ended it, there is no other attempt, and no word but the true one."""
    assert finish_late(CLAIMED, replace(ENDED, code=0), Words()).change is Change.COMPLETE
    for ended in (ENDED, replace(ENDED, code=None, signal=9, because="stop"), replace(ENDED, because="lease")):
        late = finish_late(CLAIMED, ended, Words())
        assert (late.change, late.due_at) == (Change.CRASH, None)


def test_a_crash_while_the_server_stops_its_jobs_keeps_its_other_attempt() -> None:
    """Nobody asked for this job to be stopped."""
    assert finish(replace(CLAIMED, want="shutdown"), ENDED, Words()).change is Change.RETRY
    assert finish(replace(CLAIMED, want="stop"), ENDED, Words()).change is Change.CRASH
