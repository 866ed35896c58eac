"""The results that one client over Socket.IO was told and has not acknowledged: which to send again and when, and what it has for certain.

Pure: it is told the time, and sends nothing. A result goes out again after 1, 2, 4 … seconds, at most 30, with jitter, TRIES times in all on one
connection; one that still is not acknowledged then is remembered, and a client with a name gets it on its next connection. At most
MAX_REMEMBERED are sent again. Of MAX_FORGOTTEN more a client with a name may still acknowledge each (it may be slow, with a long backlog); of what is
older than those only the lowest and the highest number are kept.

The transport is ordered. So who acknowledges a number has all before it, but for the results that it did not acknowledge: its **place** is below
the lowest of those. Clients acknowledge in three ways: by the callback of one message, by `ack` for everything up to a number, and, as clients
have always done, by the name of the job.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

TRIES = 10
MAX_REMEMBERED = 1000
MAX_FORGOTTEN = 10_000
MAX_ANSWERS = 100
"""Of so many jobs is it remembered that one result was sent several times, and so may be answered several times."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
JITTER = 0.2


def back_off(tries: int) -> float:
    """How long to wait for an answer, in seconds, when it was sent so many times."""
    pause = min(FIRST_PAUSE_S * 2.0 ** (tries - 1), LONGEST_PAUSE_S)
    return pause * random.uniform(1 - JITTER, 1)  # noqa: S311 - so that clients do not act in step, no secret.


@dataclass(slots=True)
class Result:
    """One that is not acknowledged yet."""

    seq: int
    job: int
    packet: bytes
    """What is sent, shared by all connections."""
    tries: int = 0


class Results:
    """Of one connection; `seq` is the number up to which its client has everything. `named`: its place is of use to it later."""

    def __init__(self, seq: int, pause: Callable[[int], float] = back_off, *, named: bool = True) -> None:
        self._named = named
        self._highest = seq
        """The highest number that was acknowledged."""
        self._pause = pause
        self._open: dict[int, Result] = {}
        """By number, in rising order."""
        self._forgotten: dict[int, int] = {}
        """The jobs of those that are not sent again, by number, in rising order."""
        self._lost: tuple[int, int] | None = None
        """The lowest and the highest number of those that cannot be acknowledged one by one any more."""
        self._due: list[tuple[float, int]] = []
        """A heap; those acknowledged meanwhile are passed over."""
        self._answers: dict[int, tuple[int, ...]] = {}
        """Of each job the results that were sent, once for each time, and not answered by its name."""
        self._repeated: dict[int, None] = {}
        """The jobs of which one was sent several times, that which was answered last at the end."""

    @property
    def place(self) -> int:
        """The client has everything up to here."""
        lowest = min(
            next(iter(numbers), self._highest + 1) for numbers in (self._open, self._forgotten, self._lost or ())
        )
        return min(lowest - 1, self._highest)

    @property
    def waiting(self) -> int:
        """How many are remembered."""
        return len(self._open)

    # --- what is sent

    def sent(self, result: Result, now: float) -> None:
        """It goes out now: for the first time, or again."""
        result.tries += 1
        self._open.setdefault(result.seq, result)
        if len(self._open) > MAX_REMEMBERED:
            self._forget(next(iter(self._open)))
        self._answers[result.job] = (*self._answers.get(result.job, ()), result.seq)
        if result.tries < TRIES:
            heapq.heappush(self._due, (now + self._pause(result.tries), result.seq))

    def due(self, now: float) -> Result | None:
        """One that is to be sent again now."""
        while self._due and self._due[0][0] <= now:
            result = self._open.get(heapq.heappop(self._due)[1])
            if result is not None:
                return result
        return None

    @property
    def next_at(self) -> float | None:
        """When `due` is to be asked again."""
        return self._due[0][0] if self._due else None

    # --- what is acknowledged

    def acknowledge(self, seq: int) -> None:
        """It has the result of this number. One that is not waited for: an answer that came twice."""
        job = self._take(seq)
        if job is not None:
            self._settle(job)

    def acknowledge_until(self, seq: int) -> None:
        """It has everything up to this number."""
        self._highest = max(self._highest, seq)
        for number in [number for number in (*self._forgotten, *self._open) if number <= seq]:
            self.acknowledge(number)
        if self._lost is not None:
            first, last = self._lost
            self._lost = (max(first, seq + 1), last) if last > seq else None

    def acknowledge_job(self, job: int) -> None:
        """It has a result of this job: the one that was sent first of those that it has not answered.

        A result that was sent twice is answered twice, and the second answer must not be taken for one to the next result of the job.
        """
        answers = self._answers.get(job)
        if not answers:
            return
        seq, *more = answers
        self._take(seq)
        if more:
            self._answers[job] = tuple(more)
            self._expect_more(job)
        else:
            del self._answers[job]

    def _take(self, seq: int) -> int | None:
        """It is acknowledged; its job. None: nobody waits for it."""
        result = self._open.pop(seq, None)
        job = self._forgotten.pop(seq, None) if result is None else result.job
        if job is not None:
            self._highest = max(self._highest, seq)
        return job

    def _settle(self, job: int) -> None:
        """Where all that was sent of a job is acknowledged, its answers mean nothing any more."""
        answers = self._answers.get(job)
        if answers is not None and not any(seq in self._open or seq in self._forgotten for seq in answers):
            del self._answers[job]

    def _expect_more(self, job: int) -> None:
        """It may answer again, and of a few jobs that is remembered."""
        self._repeated.pop(job, None)
        self._repeated[job] = None
        if len(self._repeated) > MAX_ANSWERS:
            oldest = next(iter(self._repeated))
            del self._repeated[oldest]
            self._settle(oldest)

    def _forget(self, seq: int) -> None:
        """Too many wait: this one is not sent again."""
        job = self._open.pop(seq).job
        if not self._named:
            self._settle(job)
            return
        self._forgotten[seq] = job
        if len(self._forgotten) > MAX_FORGOTTEN:
            oldest = next(iter(self._forgotten))
            job = self._forgotten.pop(oldest)
            self._lost = (oldest if self._lost is None else self._lost[0], oldest)
            self._settle(job)
