"""How good the forecasts of run time and of crashes are, on real logs: `python -m bench.forecasts` (`--jobs 3000` for more of them).

Honest landmarks: a job is asked about when it begins, and when it has run for 10 minutes (only those that still ran then; never at a fraction of
its true run time, which would give the answer away), and only what had ended by that instant is known. The first tenth of a log is history only.
Jobs that were cancelled are history, but not asked about: how long they would have run nobody knows.

Losses are pinball losses of the natural logarithm of the time left at 10, 50 and 90 %, and the logarithmic loss of the risk; lower is better.
Compared with the quantiles of what the same name took before, given that it took longer than now, and with the share of the name that crashed.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.cases.traces import FILES, SECOND, read_trace, trace_file
from jobmgr.history import HistoryRow
from jobmgr.job import Status
from jobmgr.stats.forecast import SHARES, Forecasts, Subject
from jobmgr.stats.summary import columns_of

LANDMARKS_S = (0, 600)
HISTORY_ONLY = 0.1
CLIP = 0.01
"""No rate is taken for more certain than this."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Mean losses over the jobs that were asked about, ours and others'."""

    jobs: int
    loss: float
    loss_of_same_name: float
    loss_with_limit: float
    """Ours, where the time that the user asked for is known as the limit that it is."""
    covered: float
    """The share of jobs whose time left was from p10 to p90."""
    risk_loss: float
    risk_loss_of_name: float
    risk_loss_of_all: float
    unusual: float
    """The share of jobs that ran unusually long at last."""
    crashed_unusual: float
    crashed_others: float

    @property
    def better_by(self) -> float:
        """How much lower our loss is than that of the same name's quantiles."""
        return 1 - self.loss / self.loss_of_same_name


def history(name: str) -> list[HistoryRow]:
    """The runs of a log that took any time at all. Where the programs are unknown (kth), the user stands for the name."""
    path = trace_file(name)
    assert path is not None, f"no {FILES[name]} here"
    return [replace(row, job_name=row.job_name or row.group) for row in read_trace(path) if row.duration_us]


def judge(rows: Sequence[HistoryRow], landmark_s: int, *, jobs: int, seed: int = 1) -> Judgement:
    """Ask about so many of the jobs that ran for so long."""
    forecasts, past = Forecasts(columns_of(rows)), _Past(rows)
    asked = list(_asked(rows, landmark_s, jobs, seed))
    expected = [forecasts.expect(_subject(row), landmark_s, until=_start(row) + landmark_s * SECOND) for row in asked]
    left = np.array([each.left for each in expected])
    limit = np.array([_limit(row) for row in asked]) - landmark_s
    capped = np.where((limit > 0)[:, None], np.minimum(left, limit[:, None]), left)
    actual = np.array([_seconds(row) for row in asked]) - landmark_s
    others = [past.ask(row, landmark_s) for row in asked]
    crashed = np.array([row.status == Status.CRASHED for row in asked])
    unusual = np.array(
        [each.usual_s is not None and _seconds(row) > each.usual_s for each, row in zip(expected, asked, strict=True)]
    )
    return Judgement(
        jobs=len(asked),
        loss=_pinball(left, actual),
        loss_of_same_name=_pinball(np.array([each.left for each in others]), actual),
        loss_with_limit=_pinball(capped, actual),
        covered=float(((left[:, 0] <= actual) & (actual <= left[:, 2])).mean()),
        risk_loss=_log_loss(np.array([each.risk for each in expected], float), crashed),
        risk_loss_of_name=_log_loss(np.array([each.risk_of_name for each in others]), crashed),
        risk_loss_of_all=_log_loss(np.array([each.risk_of_all for each in others]), crashed),
        unusual=float(unusual.mean()),
        crashed_unusual=float(crashed[unusual].mean()) if unusual.any() else 0.0,
        crashed_others=float(crashed[~unusual].mean()),
    )


def _asked(rows: Sequence[HistoryRow], landmark_s: int, jobs: int, seed: int) -> Iterator[HistoryRow]:
    begin = sorted(map(_start, rows))[int(len(rows) * HISTORY_ONLY)]
    fit = [row for row in rows if _start(row) > begin and _seconds(row) > landmark_s and row.status != Status.STOPPED]
    chosen = np.random.default_rng(seed).choice(len(fit), min(jobs, len(fit)), replace=False)
    return (fit[place] for place in sorted(chosen))


@dataclass(frozen=True, slots=True)
class _Answer:
    left: tuple[float, ...]
    risk_of_name: float
    risk_of_all: float


class _Past:
    """What those do who only look at the same name."""

    def __init__(self, rows: Sequence[HistoryRow]) -> None:
        by_end = sorted((row for row in rows if row.status != Status.STOPPED), key=_end)
        self._all = _Series(by_end)
        names: dict[str | None, list[HistoryRow]] = {}
        for row in by_end:
            names.setdefault(row.job_name, []).append(row)
        self._names = {name: _Series(runs) for name, runs in names.items()}

    def ask(self, row: HistoryRow, landmark_s: int) -> _Answer:
        at = _start(row) + landmark_s * SECOND
        (same, of_name), (every, of_all) = (
            each.before(at, landmark_s) for each in (self._names[row.job_name], self._all)
        )
        longer = same if len(same) else every
        risk_of_all = 0.5 if of_all is None else of_all
        left = tuple(np.quantile(longer, SHARES) - landmark_s) if len(longer) else (1.0, 1.0, 1.0)
        return _Answer(left, risk_of_all if of_name is None else of_name, risk_of_all)


class _Series:
    def __init__(self, rows: Sequence[HistoryRow]) -> None:
        self._ends = [_end(row) for row in rows]
        self._seconds = np.array([_seconds(row) for row in rows])
        self._crashes = np.cumsum([0, *(row.status == Status.CRASHED for row in rows)])

    def before(self, at: int, longer_than: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float | None]:
        """Of what ended before: how long those ran that ran longer, and which share of all crashed."""
        known = bisect_left(self._ends, at)
        seconds = self._seconds[:known]
        return seconds[seconds > longer_than], float(self._crashes[known] / known) if known else None


def _pinball(
    forecasts: np.ndarray[tuple[int, int], np.dtype[np.float64]], actual: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    misses = np.log(np.maximum(actual, 1.0))[:, None] - np.log(np.maximum(forecasts, 1.0))
    shares = np.array(SHARES)
    return float(np.maximum(shares * misses, (shares - 1) * misses).mean())


def _log_loss(
    risks: np.ndarray[tuple[int], np.dtype[np.float64]], crashed: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> float:
    risks = np.clip(risks, CLIP, 1 - CLIP)
    return float(-np.where(crashed, np.log(risks), np.log(1 - risks)).mean())


def _subject(row: HistoryRow) -> Subject:
    return Subject(row.job_name, row.group, row.args)


def _limit(row: HistoryRow) -> float:
    args = row.args or ()
    return float(args[args.index("--time") + 1]) if "--time" in args else float("inf")


def _start(row: HistoryRow) -> int:
    return _end(row) - (row.duration_us or 0)


def _end(row: HistoryRow) -> int:
    if row.finished_at is not None:
        return row.finished_at
    return (row.created_at or 0) + (row.queue_wait_us or 0) + (row.duration_us or 0)


def _seconds(row: HistoryRow) -> float:
    return (row.duration_us or 0) / SECOND


def main() -> None:
    """Print the losses on every log that is here."""
    parser = argparse.ArgumentParser(prog="python -m bench.forecasts")
    parser.add_argument("--jobs", type=int, default=1000, help="ask about so many jobs of each log")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    asked = parser.parse_args()
    for name in FILES:
        if trace_file(name) is None:
            print(f"{name}: not here (JOBMGR_TRACES)")
            continue
        rows = history(name)
        for landmark_s in LANDMARKS_S:
            print(
                name,
                f"{landmark_s} s",
                _told(judge(rows, landmark_s, jobs=asked.jobs, seed=asked.seed)),
                sep="  ",
                flush=True,
            )


def _told(found: Judgement) -> str:
    return (
        f"jobs {found.jobs}  loss {found.loss:.3f}  same name {found.loss_of_same_name:.3f} ({found.better_by:+.1%})  "
        f"with limit {found.loss_with_limit:.3f}  covered {found.covered:.2f}  "
        f"risk {found.risk_loss:.3f}  of name {found.risk_loss_of_name:.3f}  of all {found.risk_loss_of_all:.3f}  "
        f"unusual {found.unusual:.1%}, crashed {found.crashed_unusual:.2f} against {found.crashed_others:.2f}"
    )


if __name__ == "__main__":
    main()
