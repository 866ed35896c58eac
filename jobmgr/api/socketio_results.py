"""The results that one client over Socket.IO was told and has not acknowledged: which to send again and when, and what it has for certain.

Pure: it is told the time, and sends nothing. A result goes out again after 1, 2, 4 … seconds, at most 30, with jitter, TRIES times in all on one
connection; one that still is not acknowledged then is remembered, and a client with a name gets it on its next connection. At most
MAX_REMEMBERED are: of what is older only the lowest and the highest number.

The transport is ordered. So who acknowledges a number has all before it, but for the results that it did not acknowledge: its **place** is below
the lowest of those. Clients acknowledge in three ways: by the callback of one message, by `ack` for everything up to a number, and, as clients
have always done, by the name of the job.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

TRIES = 10
MAX_REMEMBERED = 1000
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
    text: str
    tries: int = 0


class Results:
    """Of one connection; `seq` is the number up to which its client has everything."""

    def __init__(self, seq: int, pause: Callable[[int], float] = back_off) -> None:
        self._highest = seq
        """The highest number that was acknowledged."""
        self._pause = pause
        self._open: dict[int, Result] = {}
        """By number, in rising order."""
        self._forgotten: tuple[int, int] | None = None
        self._due: list[tuple[float, int]] = []
        """A heap; those acknowledged meanwhile are passed over."""
        self._answers: dict[int, deque[int]] = {}
        """Of each job the results that were sent, once for each time, and not answered by its name."""
        self._repeated: dict[int, None] = {}
        """The jobs of which one was sent several times, that which was answered last at the end."""

    @property
    def place(self) -> int:
        """The client has everything up to here."""
        lowest = next(iter(self._open), self._highest + 1)
        if self._forgotten is not None:
            lowest = min(lowest, self._forgotten[0])
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
        self._answers.setdefault(result.job, deque()).append(result.seq)
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
        result = self._open.pop(seq, None)
        if result is not None:
            self._highest = max(self._highest, seq)
            self._settle(result.job)

    def acknowledge_until(self, seq: int) -> None:
        """It has everything up to this number."""
        self._highest = max(self._highest, seq)
        for number in [number for number in self._open if number <= seq]:
            self._settle(self._open.pop(number).job)
        if self._forgotten is not None:
            first, last = self._forgotten
            self._forgotten = (max(first, seq + 1), last) if last > seq else None

    def acknowledge_job(self, job: int) -> None:
        """It has a result of this job: the one that was sent first of those that it has not answered.

        A result that was sent twice is answered twice, and the second answer must not be taken for one to the next result of the job.
        """
        answers = self._answers.get(job)
        if not answers:
            return
        seq = answers.popleft()
        if not answers:
            del self._answers[job]
        result = self._open.pop(seq, None)
        if result is not None:
            self._highest = max(self._highest, seq)
        if answers:
            self._expect_more(job)

    def _settle(self, job: int) -> None:
        """Where all that was sent of a job is acknowledged, its answers mean nothing any more."""
        answers = self._answers.get(job)
        if answers is not None and not any(seq in self._open for seq in answers):
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
        result = self._open.pop(seq)
        first = seq if self._forgotten is None else self._forgotten[0]
        self._forgotten = first, seq
        self._settle(result.job)
