"""The steps of one attempt: from a claimed task to a launch, and from what became of it to the change to commit. Decides, writes nothing.

`JobManager` claims, sends what `launch` returns, and applies what `finish`, `refuse`, `lose` and `unbegin` return.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from jobmgr.clock import MICROSECONDS, boot_us, now_us
from jobmgr.job import Cause, Change, Ending, job_id, judge, judge_lost, signal_name
from jobmgr.output import OutputPaths, bounded_lines
from jobmgr.process.launcher import Ended, Launch, SpawnFailed
from jobmgr.reports import NOTHING_REPORTED, Reported
from jobmgr.secrets import Mask
from jobmgr.store.base import Claimed, Finish, Unbegin


def launch(claimed: Claimed, paths: OutputPaths, *, output_cap_bytes: int, directory: str) -> Launch:
    """What the launcher needs to begin this attempt. `directory` is the server's, for jobs that name none."""
    spec = claimed.spec
    return Launch(
        run=claimed.run,
        argv=(spec.script, *spec.arguments(claimed.number, claimed.args)),
        cwd=spec.cwd or directory,
        output=paths.output,
        errors=paths.errors if spec.separate_stderr else None,
        report=paths.report,
        env={**spec.env, **spec.secret_env, **_variables(claimed, paths)},
        timeout_s=spec.timeout,
        deadline_us=_deadline(claimed),
        stop_signal=spec.stop_signal,
        stop_timeout_s=spec.stop_timeout,
        leftovers="keep" if spec.leftovers == "keep" else "stop",
        output_cap_bytes=output_cap_bytes,
    )


def _variables(claimed: Claimed, paths: OutputPaths) -> dict[str, str]:
    return {
        "JOBMGR_JOB_ID": job_id(claimed.job),
        "JOBMGR_JOB_NAME": claimed.spec.name,
        "JOBMGR_TASK_INDEX": str(claimed.number),
        "JOBMGR_ATTEMPT": str(claimed.attempt),
        "JOBMGR_REPORT": paths.report,
    }


def _deadline(claimed: Claimed) -> int | None:
    """The deadline as an instant of the boot clock, which the keeper can keep while wall time jumps."""
    if claimed.spec.deadline is None:
        return None
    left = claimed.submitted_at + int(claimed.spec.deadline * MICROSECONDS) - now_us()
    return boot_us() + left


@dataclass(frozen=True, slots=True)
class Words:
    """What the attempt left to read when it ended: the last line of its output, and its reports."""

    last_line: str | None = None
    reported: Reported = NOTHING_REPORTED
    last_lines: tuple[str, ...] = ()
    """Of one that went badly: the last lines of its output."""

    def said(self) -> str:
        """What a failed attempt said last, to be kept: lines of its output, then the error that it reported itself."""
        error = self.reported.error
        reported = bounded_lines(f"reported error: {error}") if error else ()
        return "\n".join(bounded_lines("\n".join((*self.last_lines, *reported))))


def went_well(claimed: Claimed, ended: Ended) -> bool:
    """Whether this ending completes the task."""
    verdict = judge(Ending(ended.code, ended.signal, ended.because), claimed.spec, failures=claimed.failures)
    return verdict.change is Change.COMPLETE


def finish(claimed: Claimed, ended: Ended, words: Words, *, chance: random.Random | None = None) -> Finish:
    """The change for a run that ended."""
    verdict = judge(
        Ending(ended.code, ended.signal, ended.because),
        claimed.spec,
        failures=claimed.failures,
        # A server that leaves wants its jobs stopped too, but that is nobody's wish: a crash keeps its other attempt.
        stopping=claimed.want == "stop",
    )
    cause = Cause.SHUTDOWN if verdict.change is Change.STOP and claimed.want == "shutdown" else verdict.cause
    usage = ended.usage
    return Finish(
        task=claimed.task,
        run=claimed.run,
        change=verdict.change,
        at=now_us(),
        cause=cause,
        error=None if verdict.change is Change.COMPLETE else describe(cause, ended, words),
        exit_code=ended.code,
        signal=ended.signal,
        core_dumped=ended.core_dumped,
        pid=ended.pid,
        started_at=ended.started_at,
        ended_at=ended.ended_at,
        duration_us=ended.duration_us,
        cpu_us=usage.cpu_us if usage else None,
        peak_rss_bytes=usage.peak_rss_bytes if usage else None,
        read_bytes=usage.read_bytes if usage else None,
        write_bytes=usage.write_bytes if usage else None,
        output_bytes=ended.output_bytes,
        leftovers=ended.leftovers,
        result=words.reported.result,
        progress=100.0 if verdict.change is Change.COMPLETE else words.reported.progress,
        due_at=_due(claimed, verdict.change, chance),
        last_lines=words.said() if verdict.change in _FAILURES else None,
    )


def finish_late(claimed: Claimed, ended: Ended, words: Words) -> Finish:
    """The change for the true end of a run that was called lost: completed or crashed, never another attempt."""
    change = finish(replace(claimed, want="stop"), ended, words)
    if change.change is Change.COMPLETE:
        return change
    return replace(change, change=Change.CRASH, due_at=None, last_lines=words.said())


def refuse(claimed: Claimed, failed: SpawnFailed) -> Finish:
    """The change for a run that could not be started, and never will be."""
    at, mask = now_us(), Mask.of(claimed.spec)
    # It may quote the environment: the PATH on which the interpreter was not found.
    error = mask.text(failed.error) if mask else failed.error
    return Finish(
        task=claimed.task,
        run=claimed.run,
        change=Change.REFUSE,
        at=at,
        cause=Cause.SPAWN_ERROR,
        error=error,
        ended_at=at,
        last_lines="\n".join(bounded_lines(error)),
    )


def lose(claimed: Claimed, cause: Cause, *, chance: random.Random | None = None) -> Finish:
    """The change for a run of which nobody knows how it ended."""
    verdict = judge_lost(cause, claimed.spec, failures=claimed.failures, stopping=claimed.want == "stop")
    at = now_us()
    return Finish(
        task=claimed.task,
        run=claimed.run,
        change=verdict.change,
        at=at,
        cause=cause,
        error=_LOST[cause],
        ended_at=at,
        due_at=_due(claimed, verdict.change, chance),
    )


def unbegin(claimed: Claimed) -> Unbegin:
    """The change for a run that never began: the task is ready again."""
    return Unbegin(task=claimed.task, run=claimed.run, at=now_us())


def _due(claimed: Claimed, change: Change, chance: random.Random | None) -> int | None:
    if change is not Change.RETRY:
        return None
    return now_us() + claimed.spec.retry.wait_us(claimed.failures + 1, chance=chance)


_FAILURES = frozenset({Change.CRASH, Change.RETRY})

_LOST = {
    Cause.REBOOT: "The machine was restarted while it ran; how it ended is not known.",
    Cause.VANISHED: "It ended while nobody was left to see how: the server and its keeper had died.",
    Cause.SHUTDOWN: "The machine was shutting down.",
    Cause.LEASE: "Its node lost contact and ended it.",
}

_ASKED = {
    Cause.STOP: "Stopped on request",
    Cause.SHUTDOWN: "Stopped because the server or the machine was shutting down",
    Cause.TIMEOUT: "Stopped at its timeout",
    Cause.DEADLINE: "Stopped at its deadline",
    Cause.LEASE: "Stopped because its node had lost contact",
    Cause.CHECKPOINT: "Stopped to keep a checkpoint",
}


def describe(cause: Cause | None, ended: Ended, words: Words) -> str:
    """One sentence: how it ended, after what time, and its own word or the last line it printed."""
    how = f"Exited with code {ended.code}" if ended.signal is None else f"Killed by {signal_name(ended.signal)}"
    if cause in _ASKED:
        how = f"{_ASKED[cause]} ({how[:1].lower()}{how[1:]})"
    sentence = f"{how} after {ended.duration_us / MICROSECONDS:.1f} s"
    if words.reported.error:
        return f"{sentence}; it reported: {words.reported.error}"
    return f"{sentence}; its last line: {words.last_line}" if words.last_line else f"{sentence}; it printed nothing."
