"""The handle of an attempt that holds a slot: what it leaves to read, and how it appears in the log. Lives in memory only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobmgr import runner
from jobmgr.clock import now_us
from jobmgr.job import Change, Status, advance, job_id, signal_name
from jobmgr.log import get_logger
from jobmgr.output import OutputFiles, OutputPaths
from jobmgr.process.launcher import Ended
from jobmgr.reports import ReportReader
from jobmgr.runner import Words
from jobmgr.secrets import Mask
from jobmgr.store.base import Claimed, Finish, Progress

log = get_logger()


@dataclass(slots=True)
class Running:
    """One running attempt: what was claimed, where its files are, what it has said so far."""

    claimed: Claimed
    paths: OutputPaths
    mask: Mask | None
    """Hides the job's secrets in all that is read of it."""
    reader: ReportReader

    def has_words(self, ended: Ended) -> bool:
        """Whether it left anything to read."""
        return bool(ended.output_bytes) or self.claimed.spec.separate_stderr or self.reader.exists()


def handle_of(claimed: Claimed, paths: OutputPaths) -> Running:
    """The handle of an attempt whose files are these."""
    mask = Mask.of(claimed.spec)
    return Running(claimed, paths, mask, ReportReader(paths.report, mask))


def read_words(outputs: OutputFiles, ended: Sequence[tuple[Running, Ended]]) -> dict[str, Words]:
    """What ended attempts left to read, by run. Reads files: not for the event loop."""
    return {end.run: _words(outputs, handle, end) for handle, end in ended}


def _words(outputs: OutputFiles, handle: Running, ended: Ended) -> Words:
    try:
        # More than one line only of what went badly: most runs go well, and nobody asks what those said.
        lines = () if runner.went_well(handle.claimed, ended) else outputs.last_lines(handle.paths, handle.mask)
        return Words(outputs.last_line(handle.paths, handle.mask), handle.reader.finish(), lines)
    except Exception:
        log.exception("the words of an attempt cannot be read", **names(handle.claimed))
        return Words()


def read_reports(handles: Sequence[Running]) -> list[Running]:
    """The attempts that have reported something new. Reads files: not for the event loop."""
    return [handle for handle in handles if _has_news(handle)]


def _has_news(handle: Running) -> bool:
    try:
        return handle.reader.read()
    except Exception:
        log.exception("the reports of an attempt cannot be read", **names(handle.claimed))
        return False


def progress_of(handle: Running) -> Progress:
    """What it reported last, as a change."""
    reported = handle.reader.reported
    return Progress(
        handle.claimed.task,
        handle.claimed.run,
        now_us(),
        progress=reported.progress,
        message=reported.message,
        checkpoint=reported.checkpoint,
    )


def names(claimed: Claimed) -> dict[str, object]:
    """The fields that name an attempt in the log."""
    return {
        "job": job_id(claimed.job),
        "name": claimed.spec.name,
        "task": claimed.number if claimed.num_tasks > 1 else None,
        "attempt": claimed.attempt,
    }


def log_end(claimed: Claimed, change: Finish, words: Words, *, done: bool = True) -> None:
    """One line for the end of an attempt; `done` is false when the store had moved on before."""
    log.info(
        "attempt ended" if done else "attempt ended but was superseded",
        **names(claimed),
        status=advance(Status.RUNNING, change.change),
        pid=change.pid,
        exitCode=change.exit_code,
        signal=signal_name(change.signal) if change.signal is not None else None,
        cause=change.cause,
        durationMs=round(change.duration_us / 1000) if change.duration_us is not None else None,
        output=words.last_line,
        error=change.error if change.change in (Change.REFUSE, Change.LOSE) else None,
    )
