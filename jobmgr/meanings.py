"""Our own words in plain sentences: what each status, cause and verb means. `docs/words.md` is made of this."""

from __future__ import annotations

from collections.abc import Mapping

from jobmgr.job import Cause, Status, Verb

STATUSES: Mapping[Status, str] = {
    Status.PENDING: "waits for its turn: no attempt of it is running, and none of this round has ended",
    Status.RUNNING: "its program runs; a job of many tasks: at least one runs, or some have ended and others still wait",
    Status.PAUSED: "somebody paused it; it goes on when resumed",
    Status.RETRIED: "an attempt ended badly and another one comes, after the delay of its retry policy",
    Status.COMPLETED: "ended with a success code (0, unless `successCodes` names others)",
    Status.CRASHED: "its program ran and ended badly, and no attempt is left",
    Status.FAILED: "its program never ran: it could not be started, or what it waited for did not come",
    Status.STOPPED: "somebody, or a rule, stopped it; never counted as a failure",
    Status.LOST: "nobody can know how it ended; never given a made-up exit code, never counted as a failure",
}

CAUSES: Mapping[Cause, str] = {
    Cause.EXIT: "the program returned a code that is no success code; the code is in `exitCode`",
    Cause.SIGNAL: "a signal that jobmgr did not send ended it; the signal is in `signal`",
    Cause.TIMEOUT: "it ran longer than its `timeout`",
    Cause.DEADLINE: "it was not done when its `deadline` came",
    Cause.OOM: "the kernel proved that it was killed for want of memory",
    Cause.SPAWN_ERROR: "the program could not be started: `error` names the missing file, interpreter or right",
    Cause.DEPENDENCY: "a job that it waited for did not end as it had to",
    Cause.EXPIRED: "its time to begin passed before it began",
    Cause.STOP: "it was asked to stop",
    Cause.CHECKPOINT: "it was asked to save its state and end, to go on later; counts as nothing",
    Cause.REBOOT: "the machine was restarted while it ran",
    Cause.SHUTDOWN: "the machine was being shut down",
    Cause.VANISHED: "its process is gone and nobody was there to see how it ended",
    Cause.LEASE: "its node could not prove in time that it was still in charge of it",
    Cause.DECLARED: "a person declared it lost",
}

VERBS: Mapping[Verb, str] = {
    Verb.START: "release a job that was submitted with `hold`",
    Verb.STOP: "end it: a signal first, by force when the time for stopping is over, its whole process tree",
    Verb.PAUSE: "freeze its processes, or let it save a checkpoint and end; waiting tasks are held",
    Verb.RESUME: "let a paused job go on",
    Verb.RESTART: "begin a new round of a finished job; the attempts before it stay in its history",
    Verb.RETRY: "begin the waiting attempt now instead of after the delay",
    Verb.SIGNAL: "send its processes a signal",
    Verb.DELETE: "forget a finished job, with its attempts and its output",
}

LATER: frozenset[Status | Verb | Cause] = frozenset(
    (
        *(Status.PAUSED, Verb.START, Verb.PAUSE, Verb.RESUME, Verb.RETRY, Verb.SIGNAL),
        *(Cause.OOM, Cause.DEPENDENCY, Cause.EXPIRED, Cause.CHECKPOINT, Cause.LEASE, Cause.DECLARED),
    )
)
"""What no request can bring about in this version."""
