"""JobManager: the only writer of job state. Every change is decided (`job`, `runner`, `recovery`), committed (`store`), then acted on.

It holds the verbs that people use and takes up, at start, what the previous server left; the attempts that run here are in `attempts`.
A server that dies anywhere in here is taken up by `start` of the next one.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from jobmgr import runner
from jobmgr.attempts import Attempts
from jobmgr.clock import now_us
from jobmgr.config import Settings
from jobmgr.errors import DataDirError, DiskFull, IdempotencyMismatch, NotFound, Recovering, ShuttingDown, WrongStatus
from jobmgr.job import JobSpec, Status, Verb, job_id
from jobmgr.log import get_logger
from jobmgr.output import OutputFiles
from jobmgr.process.launcher import Ended, Found, Held, Launcher, OnReports, SpawnFailed
from jobmgr.recovery import Lost, decide
from jobmgr.runner import Words
from jobmgr.running import handle_of, log_end, names, read_words
from jobmgr.store.base import (
    Claimed,
    Delete,
    Owner,
    Refused,
    Restart,
    Stop,
    Store,
    StoreChange,
    Submit,
    TakeUp,
    WantStop,
)
from jobmgr.store.records import Job

PAGE = 500

log = get_logger()


@dataclass(frozen=True, slots=True)
class Submission:
    """The ids and statuses of submitted jobs, in order; None: deleted since.

    `replayed`: they exist since an earlier request with the same key.
    """

    jobs: tuple[tuple[int, Status | None], ...]
    replayed: bool = False


class JobManager:
    """Submits, stops, restarts and deletes jobs; starts and leaves."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        outputs: OutputFiles,
        make_launcher: Callable[[OnReports], Launcher],
        owner: Owner,
        *,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._outputs = outputs
        self._owner = owner
        self._attempts = Attempts(settings, store, outputs, make_launcher, owner, on_fatal=on_fatal)
        self.ready = False
        """What earlier servers left is taken up."""
        self.accepting = False
        """New work is taken: from `start` until `quiesce`."""

    # --- life --------------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what the previous server left, then begin to claim. Safe to be killed in, and to be run again."""
        launcher = self._attempts.launcher
        await launcher.open()
        found = await launcher.recover()
        await self._recover(found)
        # What is not open in the store was committed before: its keeper may forget it. What was open is committed just now.
        launcher.ack([run for run, what in found.items() if not isinstance(what, Held)])
        await self._attempts.start()
        self.accepting = self.ready = True

    def quiesce(self) -> None:
        """Accept and start nothing more; what runs goes on."""
        self.accepting = False
        self._attempts.quiesce()

    async def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing runs here; False when the time is up first."""
        return await self._attempts.wait_idle(timeout_s)

    async def stop_running(self) -> None:
        """Stop everything that runs here because the server leaves; it will be `stopped`, cause `shutdown`."""
        runs = [(claimed.task, claimed.run) for claimed in self._attempts.running]
        await self._store.apply([WantStop(runs, "shutdown")], first=True)
        for _, run in runs:
            self._attempts.stop(run, "shutdown")

    async def close(self) -> None:
        """Let go of what still runs (it goes on where the launcher survives us) and commit what is known. Safe to repeat."""
        self.quiesce()
        await self._attempts.close()

    @property
    def running_jobs(self) -> tuple[str, ...]:
        """Ids of the jobs with an attempt that runs here."""
        return tuple(dict.fromkeys(job_id(claimed.job) for claimed in self._attempts.running))

    @property
    def survives(self) -> bool:
        """Whether running jobs outlive this server."""
        return self._attempts.launcher.survives

    # --- verbs -------------------------------------------------------------------------------------------------------------------

    async def submit(
        self, specs: Sequence[JobSpec], *, key: str | None = None, body_hash: str | None = None
    ) -> Submission:
        """Commit these jobs, all or none, and start what the free slots allow.

        Raises ShuttingDown, DiskFull, Overloaded, IdempotencyMismatch.
        """
        if not self.accepting:
            raise ShuttingDown if self.ready else Recovering
        self._check_disk()
        wanted = sum(spec.num_tasks for spec in specs)
        submitted, claims = await self._attempts.commit_and_claim(
            Submit(specs, now_us(), key, body_hash), wanted=wanted
        )
        if submitted.mismatch:
            raise IdempotencyMismatch
        if submitted.replayed:
            return Submission(await self._statuses(submitted.jobs), replayed=True)
        begun = {claimed.job for claimed in claims}
        return Submission(tuple((job, Status.RUNNING if job in begun else Status.PENDING) for job in submitted.jobs))

    async def stop(self, job: int) -> Job:
        """Stop a job: what waits is stopped at once, what runs is asked to end. Raises NotFound, WrongStatus, ShuttingDown."""
        if not self.ready:
            # Recovery has read which runs are wanted to stop, and decides by that: a stop committed now would be overlooked.
            raise Recovering
        [stopping] = await self._store.apply([Stop(job, now_us())], first=True)
        _accepted(stopping, job, Verb.STOP)
        log.info("stop requested", job=job_id(job), running=len(stopping.runs), waiting=stopping.stopped)
        for _, run in stopping.runs:
            self._attempts.stop(run, "stop")
        return await self._job(job)

    async def restart(self, job: int) -> Job:
        """Begin a new round of a finished job. Raises NotFound, WrongStatus."""
        if not self.accepting:
            raise ShuttingDown if self.ready else Recovering
        self._check_disk()
        outcome, _ = await self._attempts.commit_and_claim(Restart(job, now_us()))
        _accepted(outcome, job, Verb.RESTART)
        log.info("job restarted", job=job_id(job))
        return await self._job(job)

    async def delete(self, job: int) -> None:
        """Forget a finished job, then remove its output. Raises NotFound, WrongStatus."""
        [outcome] = await self._store.apply([Delete(job, now_us())])
        _accepted(outcome, job, Verb.DELETE)
        log.info("job deleted", job=job_id(job))
        try:
            await asyncio.to_thread(self._outputs.delete_job, job)
        except OSError as error:
            # The job is gone, that is committed; upkeep removes what is left.
            log.warning("output could not be removed yet", job=job_id(job), reason=str(error))

    async def _statuses(self, jobs: Sequence[int]) -> tuple[tuple[int, Status | None], ...]:
        """As they are now; the ids of one submission follow each other."""
        found = await self._store.statuses(jobs[0], jobs[-1])
        return tuple((job, found.get(job)) for job in jobs)

    async def _job(self, job: int) -> Job:
        row = await self._store.job(job)
        if row is None:
            raise NotFound("job", job_id(job))
        return row

    def _check_disk(self) -> None:
        try:
            free = shutil.disk_usage(self._settings.data_dir).free
        except OSError as error:
            raise DataDirError(
                f"The data directory {self._settings.data_dir} cannot be used: {error.strerror}."
            ) from error
        if free < self._settings.disk_floor_bytes:
            raise DiskFull

    # --- recovery ----------------------------------------------------------------------------------------------------------------

    async def _recover(self, found: dict[str, Found]) -> None:
        after = -1
        known: set[str] = set()
        while page := await self._store.open_runs(after=after, limit=PAGE):
            after = page[-1].task
            known.update(claimed.run for claimed in page)
            await self._recover_page(page, found)
        unknown = [found[run] for run in found.keys() - known]
        for what in unknown:
            if isinstance(what, Held):
                log.warning("a process of an unknown run is alive", run=what.run)
        await self._attempts.settle_late([what for what in unknown if isinstance(what, Ended)])

    async def _recover_page(self, page: Sequence[Claimed], found: dict[str, Found]) -> None:
        changes: list[StoreChange] = []
        after_commit: list[Callable[[], object]] = []
        for claimed in page:
            step = decide(claimed, found.get(claimed.run), boot_id=self._owner.boot_id)
            match step:
                case Held():
                    changes.append(TakeUp([(claimed.task, claimed.run)], self._owner))
                    after_commit.append(partial(self._attempts.take_up, claimed, step))
                    after_commit.append(partial(log.info, "attempt taken up", **names(claimed), pid=step.pid))
                case Ended():
                    words = await asyncio.to_thread(self._words, claimed, step)
                    change = runner.finish(claimed, step, words)
                    changes.append(change)
                    after_commit.append(partial(log_end, claimed, change, words))
                case SpawnFailed() | Lost():
                    change = (
                        runner.refuse(claimed, step)
                        if isinstance(step, SpawnFailed)
                        else runner.lose(claimed, step.cause)
                    )
                    changes.append(change)
                    after_commit.append(partial(log_end, claimed, change, Words()))
                case _:
                    changes.append(runner.unbegin(claimed))
                    after_commit.append(partial(log.info, "attempt never began", **names(claimed)))
        await self._store.apply(changes, first=True)
        for act in after_commit:
            act()

    def _words(self, claimed: Claimed, ended: Ended) -> Words:
        paths = self._outputs.paths(claimed.job, claimed.number, claimed.attempt)
        handle = handle_of(claimed, paths)
        return read_words(self._outputs, [(handle, ended)])[claimed.run]


def _accepted(outcome: object, job: int, verb: Verb) -> None:
    if isinstance(outcome, Refused):
        if outcome.status is None:
            raise NotFound("job", job_id(job))
        raise WrongStatus(job_id(job), verb, outcome.status)
