"""The words of other systems with what they are called here. Data, and `suggestion`. Our own words are explained in `meanings`.

Only what is known of a system is listed; a word whose meaning has no counterpart here is left out rather than bent. Where a word says more or less
than ours, its note says so. `docs/words.md` is made of this page; errors about an unknown status ask `suggestion`. Nothing here is
accepted as input: one thing has one name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jobmgr.job import Cause, Status, Verb

_PENDING, _RUNNING, _PAUSED, _RETRIED = Status.PENDING, Status.RUNNING, Status.PAUSED, Status.RETRIED
_COMPLETED, _CRASHED, _FAILED = Status.COMPLETED, Status.CRASHED, Status.FAILED
_STOPPED, _LOST = Status.STOPPED, Status.LOST

MANY = "many"
"""Stands for the system where a word is so common that it belongs to none."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of one system, and the nearest of ours. `cause`: what our `cause` says then; `note`: where it is not exactly the same."""

    system: str
    word: str
    ours: Status | Verb
    cause: Cause | None = None
    note: str = ""


def _of(system: str, *words: tuple[str, Status | Verb] | tuple[str, Status | Verb, Cause | str]) -> tuple[Word, ...]:
    """Words of a system; the third element is a cause or a note."""
    made = []
    for word, ours, *more in words:
        cause = more[0] if more and isinstance(more[0], Cause) else None
        made.append(Word(system, word, ours, cause, "" if cause or not more else str(more[0])))
    return tuple(made)


_EITHER = "says only that it ended: `crashed` where the exit code was bad"
_ON_ITS_WAY_OUT = "it has been asked to end and still runs"
_RAN_BADLY = "there for whatever went wrong; here `failed` means that it never ran"
_HOLD = "a job submitted with `hold` is `pending` until `start`"
_LATER = "it has a time to begin"
_NO_MORE = "no attempts are left"
_KEPT_APART = "here ending by force is part of `stop`"

WORDS: tuple[Word, ...] = (
    *_of(
        MANY,
        ("queued", _PENDING),
        ("waiting", _PENDING),
        ("scheduled", _PENDING, _LATER),
        ("delayed", _PENDING, f"{_LATER}; `retried` where it waits after a crash"),
        ("blocked", _PENDING, "it waits for another job or for room: `explain` says for what"),
        ("held", _PENDING, _HOLD),
        ("processing", _RUNNING),
        ("in progress", _RUNNING),
        ("active", _RUNNING, "as a filter, `status=active` finds all that have not finished"),
        ("started", _RUNNING),
        ("stopping", _RUNNING, _ON_ITS_WAY_OUT),
        ("suspended", _PAUSED),
        ("retrying", _RETRIED),
        ("success", _COMPLETED),
        ("succeeded", _COMPLETED),
        ("complete", _COMPLETED),
        ("done", _COMPLETED),
        ("finished", _COMPLETED, "as a filter, `status=finished` finds all that have ended, however"),
        ("error", _CRASHED, "`failed` where it never ran; as a filter, `status=failed` finds both"),
        ("errored", _CRASHED),
        ("failure", _CRASHED, "`failed` where it never ran; as a filter, `status=failed` finds both"),
        ("timeout", _CRASHED, Cause.TIMEOUT),
        ("timed out", _CRASHED, Cause.TIMEOUT),
        ("OOM", _CRASHED, Cause.OOM),
        ("dead", _CRASHED, _NO_MORE),
        ("canceled", _STOPPED),
        ("cancelled", _STOPPED),
        ("terminated", _STOPPED, "`crashed` with cause `signal` where jobmgr did not ask for it"),
        ("aborted", _STOPPED),
        ("killed", _STOPPED, "`crashed` with cause `signal` where jobmgr did not ask for it"),
        ("unknown", _LOST),
        ("cancel", Verb.STOP),
        ("terminate", Verb.STOP),
        ("abort", Verb.STOP),
        ("kill", Verb.STOP, _KEPT_APART),
        ("suspend", Verb.PAUSE),
        ("freeze", Verb.PAUSE),
        ("continue", Verb.RESUME),
        ("unpause", Verb.RESUME),
        ("rerun", Verb.RESTART),
        ("remove", Verb.DELETE),
        ("release", Verb.START),
    ),
    *_of(
        "Airflow",
        ("scheduled", _PENDING),
        ("queued", _PENDING),
        ("deferred", _PENDING, "it has begun and waits outside its slot; here nothing does"),
        ("up_for_reschedule", _PENDING),
        ("restarting", _RUNNING, _ON_ITS_WAY_OUT),
        ("up_for_retry", _RETRIED),
        ("success", _COMPLETED),
        ("failed", _CRASHED, _RAN_BADLY),
        ("upstream_failed", _FAILED, Cause.DEPENDENCY),
        ("zombie", _LOST, "there it is failed or run again; here never without leave"),
        ("clear", Verb.RESTART),
    ),
    *_of("at", ("atrm", Verb.STOP, "there the job is gone; here `delete` comes after")),
    *_of(
        "BullMQ",
        ("waiting", _PENDING),
        ("prioritized", _PENDING),
        ("delayed", _PENDING, f"{_LATER}; `retried` where it waits after a crash"),
        ("waiting-children", _PENDING),
        ("active", _RUNNING),
        ("completed", _COMPLETED),
        ("failed", _CRASHED, _RAN_BADLY),
        ("stalled", _LOST, "there it is run again; here only if the retry policy names `lost`"),
        ("promote", Verb.START),
        ("retry", Verb.RESTART, "of a job that has failed for good; here `retry` hastens a waiting attempt"),
        ("remove", Verb.DELETE),
    ),
    *_of(
        "Celery",
        ("PENDING", _PENDING, "there also what the server has never heard of; here that is a 404"),
        ("RECEIVED", _PENDING),
        ("STARTED", _RUNNING),
        ("RETRY", _RETRIED),
        ("SUCCESS", _COMPLETED),
        ("FAILURE", _CRASHED),
        ("REVOKED", _STOPPED),
        ("revoke", Verb.STOP, "there a running task goes on unless `terminate` is set"),
    ),
    *_of(
        "Cronicle",
        ("Success", _COMPLETED),
        ("Error", _CRASHED),
        ("Abort", Verb.STOP),
    ),
    *_of(
        "GNU parallel",
        ("--halt now", Verb.STOP, "of everything; here of one job, or `failFast`"),
        ("--retry-failed", Verb.RESTART),
    ),
    *_of(
        "HTCondor",
        ("Idle", _PENDING),
        ("Running", _RUNNING),
        ("Transferring Output", _RUNNING),
        ("Held", _PENDING, "also where HTCondor itself stopped it after a problem"),
        ("Suspended", _PAUSED),
        ("Completed", _COMPLETED, _EITHER),
        ("Removed", _STOPPED),
        ("condor_hold", Verb.PAUSE, "there a running job is ended and begins anew"),
        ("condor_release", Verb.RESUME),
        ("condor_suspend", Verb.PAUSE),
        ("condor_continue", Verb.RESUME),
        ("condor_rm", Verb.STOP),
    ),
    *_of(
        "HyperQueue",
        ("WAITING", _PENDING),
        ("RUNNING", _RUNNING),
        ("FINISHED", _COMPLETED),
        ("FAILED", _CRASHED, _RAN_BADLY),
        ("CANCELED", _STOPPED),
        ("forget", Verb.DELETE),
    ),
    *_of(
        "Kubernetes Jobs",
        ("Pending", _PENDING, "there also while images are fetched"),
        ("Waiting", _PENDING),
        ("Running", _RUNNING),
        ("Terminating", _RUNNING, _ON_ITS_WAY_OUT),
        ("Suspended", _PAUSED, "there its pods are ended: like a pause with a checkpoint"),
        ("CrashLoopBackOff", _RETRIED),
        ("Complete", _COMPLETED),
        ("Succeeded", _COMPLETED),
        ("Failed", _CRASHED, _RAN_BADLY),
        ("Error", _CRASHED, Cause.EXIT),
        ("OOMKilled", _CRASHED, Cause.OOM),
        ("BackoffLimitExceeded", _CRASHED, _NO_MORE),
        ("DeadlineExceeded", _CRASHED, Cause.DEADLINE),
        ("ImagePullBackOff", _FAILED, "there it is tried for ever; here what cannot be started fails at once"),
        ("CreateContainerError", _FAILED, Cause.SPAWN_ERROR),
        ("Terminated", _COMPLETED, "of a container: " + _EITHER),
        (
            "Unknown",
            _LOST,
            "there while the node does not answer; here the job stays `running`, flagged, until it is known",
        ),
    ),
    *_of(
        "Nomad",
        ("pending", _PENDING),
        ("running", _RUNNING),
        ("complete", _COMPLETED),
        ("failed", _CRASHED, _RAN_BADLY),
        ("lost", _LOST),
        ("dead", _COMPLETED, "of a job: " + _EITHER),
        ("alloc signal", Verb.SIGNAL),
        ("job stop", Verb.STOP),
    ),
    *_of(
        "pm2",
        ("online", _RUNNING),
        ("stopping", _RUNNING, _ON_ITS_WAY_OUT),
        ("waiting restart", _RETRIED),
        ("stopped", _STOPPED, "there also a program that ended by itself"),
        ("errored", _CRASHED, _NO_MORE),
        ("sendSignal", Verb.SIGNAL),
    ),
    *_of(
        "pueue",
        ("Stashed", _PENDING, _HOLD),
        ("Queued", _PENDING),
        ("Running", _RUNNING),
        ("Paused", _PAUSED),
        ("Success", _COMPLETED),
        ("Failed", _CRASHED, Cause.EXIT),
        ("FailedToSpawn", _FAILED, Cause.SPAWN_ERROR),
        ("DependencyFailed", _FAILED, Cause.DEPENDENCY),
        ("Killed", _STOPPED, "there also what ran when the daemon died; here that runs on"),
        ("enqueue", Verb.START),
        ("kill", Verb.STOP, _KEPT_APART),
    ),
    *_of(
        "River, Oban",
        ("available", _PENDING),
        ("scheduled", _PENDING, _LATER),
        ("executing", _RUNNING, "so in Oban; River says running"),
        ("retryable", _RETRIED),
        ("completed", _COMPLETED),
        ("discarded", _CRASHED, _NO_MORE),
        ("cancelled", _STOPPED),
    ),
    *_of(
        "RQ",
        ("queued", _PENDING),
        ("deferred", _PENDING, "it waits for another job"),
        ("scheduled", _PENDING, _LATER),
        ("started", _RUNNING),
        ("finished", _COMPLETED),
        ("failed", _CRASHED, _RAN_BADLY),
        ("stopped", _STOPPED),
        ("canceled", _STOPPED),
    ),
    *_of(
        "shell (jobs)",
        ("Running", _RUNNING),
        ("Stopped", _PAUSED, "to a shell, stopped means frozen; here it means ended on request"),
        ("Done", _COMPLETED),
        ("Exit 1", _CRASHED, Cause.EXIT),
        ("Terminated", _CRASHED, Cause.SIGNAL),
        ("Killed", _CRASHED, Cause.SIGNAL),
        ("bg", Verb.RESUME),
    ),
    *_of(
        "Sidekiq",
        ("Enqueued", _PENDING),
        ("Scheduled", _PENDING, _LATER),
        ("Busy", _RUNNING),
        ("Retries", _RETRIED),
        ("Dead", _CRASHED, _NO_MORE),
        ("Retry Now", Verb.RETRY, "of a dead job: `restart`"),
    ),
    *_of(
        "Slurm",
        ("PENDING", _PENDING),
        ("REQUEUED", _PENDING),
        ("CONFIGURING", _RUNNING, "it has its place and is being started"),
        ("RUNNING", _RUNNING),
        ("COMPLETING", _RUNNING, _ON_ITS_WAY_OUT),
        ("SUSPENDED", _PAUSED),
        ("STOPPED", _PAUSED, "frozen with its place kept: not what stopped means here"),
        ("COMPLETED", _COMPLETED),
        ("FAILED", _CRASHED, _RAN_BADLY),
        ("TIMEOUT", _CRASHED, Cause.TIMEOUT),
        ("DEADLINE", _CRASHED, Cause.DEADLINE),
        ("OUT_OF_MEMORY", _CRASHED, Cause.OOM),
        ("BOOT_FAIL", _FAILED, "the node did not come up; here a job waits for a node"),
        ("CANCELLED", _STOPPED),
        ("PREEMPTED", _STOPPED, "here nothing makes room by ending what runs"),
        ("NODE_FAIL", _LOST, "there often queued again; here only if the retry policy names `lost`"),
        ("scancel", Verb.STOP),
        ("scontrol hold", Verb.PAUSE),
        ("scontrol release", Verb.RESUME),
        ("scontrol suspend", Verb.PAUSE),
        ("scontrol resume", Verb.RESUME),
        ("scontrol requeue", Verb.RESTART),
        ("scancel --signal", Verb.SIGNAL),
    ),
    *_of(
        "supervisord",
        ("STARTING", _RUNNING, "there it must live for a while to count as running"),
        ("RUNNING", _RUNNING),
        ("STOPPING", _RUNNING, _ON_ITS_WAY_OUT),
        ("BACKOFF", _RETRIED),
        ("EXITED", _COMPLETED, _EITHER),
        ("FATAL", _CRASHED, f"{_NO_MORE}; `failed` where it could not be started"),
        ("STOPPED", _STOPPED, "there also what was never started"),
    ),
    *_of(
        "systemd",
        ("activating", _RUNNING, "it is being started"),
        ("active", _RUNNING),
        ("deactivating", _RUNNING, _ON_ITS_WAY_OUT),
        ("inactive", _COMPLETED, "also what was stopped, and what never ran"),
        ("failed", _CRASHED, _RAN_BADLY),
        ("exit-code", _CRASHED, Cause.EXIT),
        ("core-dump", _CRASHED, Cause.SIGNAL),
        ("oom-kill", _CRASHED, Cause.OOM),
        ("freeze", Verb.PAUSE),
        ("thaw", Verb.RESUME),
        ("kill", Verb.SIGNAL, "systemctl kill sends a signal and leaves it at that"),
    ),
    *_of(
        "Temporal",
        ("Running", _RUNNING, "there also while nothing of it is being done"),
        ("Completed", _COMPLETED),
        ("Failed", _CRASHED, _RAN_BADLY),
        ("TimedOut", _CRASHED, Cause.TIMEOUT),
        ("Canceled", _STOPPED),
        ("Terminated", _STOPPED),
        ("terminate", Verb.STOP, "there without giving it time to end"),
    ),
    *_of(
        "Windows Task Scheduler",
        ("Ready", _PENDING, "there it waits for its trigger"),
        ("Queued", _PENDING),
        ("Running", _RUNNING),
        ("Disabled", _PENDING, _HOLD),
        ("End", Verb.STOP),
    ),
)


def suggestion(word: str) -> Status | None:
    """Our status for a status word of any system, however it is written; None where there is none, or where it is a verb.

    Where systems disagree, what the word means commonly counts, then what most of them mean.
    """
    plain = _plain(word)
    if plain in set(Status):
        return Status(plain)
    meant = [entry for entry in WORDS if _plain(entry.word) == plain and isinstance(entry.ours, Status)]
    common = [entry for entry in meant if entry.system == MANY] or meant
    counted = Counter(entry.ours for entry in common if isinstance(entry.ours, Status))
    return counted.most_common(1)[0][0] if counted else None


def _plain(word: str) -> str:
    """Letters and digits alone: TIMED_OUT, timed-out and TimedOut are one word."""
    return "".join(filter(str.isalnum, word.casefold()))
