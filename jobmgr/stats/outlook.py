"""When what runs will end and what waits will begin: `Eta` for many at once, from the forecasts of single runs. Pure.

A job with many tasks ends with the last of them: each is asked for a share that all of them together reach (tasks are taken as independent), and
what of it still waits follows in as many rounds as it takes.

When a waiting job begins is played through `DRAWS` times: each running attempt ends after a time drawn from its forecast, and whoever is first in
the queue takes the slot that is free first. What is submitted later with a higher priority is not foreseen, nor are retries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jobmgr.clock import MICROSECONDS
from jobmgr.job import Status
from jobmgr.stats.columns import Columns
from jobmgr.stats.eta import ROUGH_RUNS, Expectation, counted, running, waiting
from jobmgr.stats.findings import Eta
from jobmgr.stats.forecast import SHARES, Forecasts, Subject

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

DRAWS = 64


@dataclass(frozen=True, slots=True)
class Going:
    """A task that runs."""

    job: int
    subject: Subject
    started_at: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits for a slot."""

    job: int
    subject: Subject


def ends(
    forecasts: Forecasts, going: Iterable[Going], *, now: int, waiting: Mapping[int, int] | None = None
) -> dict[int, Eta]:
    """By job, when its running tasks will end. `waiting`: how many more tasks of a job wait for a slot."""
    by_job = sorted(going, key=lambda each: each.job)
    return {
        job: eta
        for job, tasks in groupby(by_job, key=lambda each: each.job)
        if (eta := _end(forecasts, list(tasks), now, (waiting or {}).get(job, 0))) is not None
    }


def _end(forecasts: Forecasts, tasks: Sequence[Going], now: int, more: int) -> Eta | None:
    if len(tasks) == 1 and not more:
        return forecasts.eta(tasks[0].subject, now - tasks[0].started_at, now=now)
    shares = tuple(share ** (1 / len(tasks)) for share in SHARES)
    asked = [(task, max(now - task.started_at, 0) / MICROSECONDS) for task in tasks]
    each = [forecasts.expect(task.subject, elapsed, shares=shares) for task, elapsed in asked]
    slowest = max(range(len(each)), key=lambda place: each[place].left[1])
    p10, p50, p90 = (max(left) for left in zip(*(one.left for one in each), strict=True))
    rounds = -(-more // len(tasks))
    next_ones = forecasts.expect(tasks[0].subject, 0.0).left[1] * rounds if rounds else 0.0
    unusual = max(each, key=lambda one: one.usual_s or 0.0).usual_s if all(one.usual_s for one in each) else None
    expected = Expectation(
        left=(p10 + next_ones, p50 + next_ones, p90 + next_ones),
        risk=_any_crash(each),
        usual_s=unusual,
        weight=each[slowest].weight,
        basis=f"{each[slowest].basis}, for {counted(len(tasks) + more, 'task')}",
        runs=each[slowest].runs,
    )
    return running(expected, asked[slowest][1], now / MICROSECONDS)


def _any_crash(each: Sequence[Expectation]) -> float | None:
    """The probability that at least one of them crashes."""
    none = 1.0
    for one in each:
        if one.risk is None:
            return None
        none *= 1 - one.risk
    return 1 - none


def begins(
    forecasts: Forecasts, going: Sequence[Going], queue: Sequence[Waiting], *, slots: int, now: int
) -> dict[int, Eta]:
    """By job, when the first of its tasks in the queue will begin; the queue in its order. Nothing is said where nothing has ever ended."""
    import numpy as np

    if not queue or slots < 1 or forecasts.nothing:
        return {}
    random = np.random.default_rng(0)  # The same question gives the same answer.
    free = np.zeros((max(slots, len(going)), DRAWS))
    for place, run in enumerate(going):
        free[place] = random.permutation(_draws(forecasts, run.subject, max(now - run.started_at, 0) / MICROSECONDS))
    known = all(forecasts.expect(run.subject, 0.0).runs >= ROUGH_RUNS for run in going)
    found: dict[int, Eta] = {}
    columns = np.arange(DRAWS)
    fresh: dict[Subject, Array] = {}
    for before, task in enumerate(queue):
        first = free.argmin(axis=0)
        start = free[first, columns]
        if task.job not in found:
            p10, p50, p90 = np.quantile(start, SHARES)
            basis = f"what runs in {counted(slots, 'slot')} and {counted(before, 'task')} before it"
            found[task.job] = waiting(
                (float(p10), float(p50), float(p90)), basis, "rough" if known else "guess", now / MICROSECONDS
            )
        if task.subject not in fresh:
            fresh[task.subject] = _draws(forecasts, task.subject, 0.0)
            known = known and forecasts.expect(task.subject, 0.0).runs >= ROUGH_RUNS
        free[first, columns] = start + random.permutation(fresh[task.subject])
    return found


def _draws(forecasts: Forecasts, subject: Subject, elapsed: float) -> Array:
    """Times left, one for each of so many equal parts of probability."""
    import numpy as np

    shares = tuple((place + 0.5) / DRAWS for place in range(DRAWS))
    return np.array(forecasts.quantiles(subject, elapsed, shares))


def etas_of(columns: Columns, now: int) -> dict[str, Eta]:
    """By the id of its job, when what runs in a history that was read from a file will end, as it stood at `now` (microseconds)."""
    alive = [row for row in columns.active.values() if row.status == Status.RUNNING and row.started_at is not None]
    numbers = {job: number for number, job in enumerate(dict.fromkeys(row.job_id for row in alive))}
    going = [
        Going(numbers[row.job_id], Subject(row.job_name, row.group, row.args), row.started_at or 0) for row in alive
    ]
    found = ends(Forecasts(columns), going, now=now)
    return {job: found[number] for job, number in numbers.items() if number in found}


def tasks_by_job(queue: Iterable[Waiting]) -> Counter[int]:
    """How many tasks of each job wait."""
    return Counter(task.job for task in queue)
