"""Flakiness: how often a run of a name passes when it is tried again after a crash.

What counts is every crash that was followed by another attempt of the same task in the same round, if that ended completed or crashed. Few names
have many of those, so a name's rate is drawn towards that of the others of its group, and theirs towards all others: the mean of a beta
distribution whose prior weighs as much as `PRIOR` retries at each step. A name's own retries are not in its prior.

Source: beta-binomial shrinkage (Casella 1985, The American Statistician 39:83); the weight and the steps were chosen on 16,612 re-runs of real jobs
(docs/statistics.md). Assumes that the retries of a name are alike, whenever they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import COMPLETED, CRASHED, STATUS_CODES, UNKNOWN, Columns
from jobmgr.stats.findings import Flakiness
from jobmgr.stats.intervals import rounded

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST = 50
PRIOR = 4.0
RETRIED = STATUS_CODES["retried"]


def flakiness(columns: Columns, tasks: Array | None = None) -> dict[str, Flakiness]:
    """By name, the most retried first. `tasks`: the keys of those that count, also as the others of a name; None: all."""
    import numpy as np

    names, groups, passed = retries(columns, tasks)
    found = estimates(names, groups, passed)
    order = np.argsort(-found.retries, kind="stable")[:MOST]
    return {columns.names.values[int(found.names[place])]: found.told(int(place)) for place in order}


def flakiness_of(columns: Columns, name: int) -> Flakiness | None:
    """Of one name, by its code. None: no crash of it was ever tried again."""
    import numpy as np

    found = estimates(*retries(columns))
    place = np.flatnonzero(found.names == name)
    return found.told(int(place[0])) if len(place) else None


def retries(columns: Columns, tasks: Array | None = None) -> tuple[Array, Array, Array]:
    """Of each retry (of these tasks; None: all) in the order of putting: name, group (`UNKNOWN` is one too), whether it passed."""
    import numpy as np

    rows = _attempts_of_retried(columns, tasks)
    key, round_, attempt, status = (columns[each][rows] for each in ("key", "round", "attempt", "status"))
    crashed = (status[:-1] == CRASHED) | (status[:-1] == RETRIED)
    ended = (status[1:] == COMPLETED) | (status[1:] == CRASHED) | (status[1:] == RETRIED)
    next_ = (key[1:] == key[:-1]) & (round_[1:] == round_[:-1]) & (attempt[1:] == attempt[:-1] + 1)
    again = np.sort(rows[1:][crashed & ended & next_])
    again = again[columns["name"][again] != UNKNOWN]
    return columns["name"][again], columns["group"][again], columns["status"][again] == COMPLETED


def _attempts_of_retried(columns: Columns, among: Array | None) -> Array:
    """The attempts of all tasks (among these) that had more than one, task by task, in their order; one row an attempt, the last put."""
    import numpy as np

    attempt = columns["attempt"]
    tasks = np.unique(columns["key"][attempt >= 2])
    if among is not None:
        tasks = np.intersect1d(tasks, among)
    rows = np.flatnonzero(np.isin(columns["key"], tasks) & (attempt >= 1))
    keys = tuple(columns[each][rows] for each in ("order", "attempt", "round", "key"))
    rows = rows[np.lexsort(keys)]
    identity = np.stack([columns[each][rows].astype("i8") for each in ("key", "round", "attempt")])
    last = np.append((identity[:, 1:] != identity[:, :-1]).any(axis=0), True)[: len(rows)]
    result: Array = rows[last]
    return result


@dataclass(frozen=True, slots=True)
class Estimates:
    """The posterior of each name that was ever retried: a beta distribution."""

    names: Array
    retries: Array
    passing: Array
    """The parameters of the distribution: prior and observed passes, prior and observed failures."""
    failing: Array

    @property
    def rates(self) -> Array:
        """The mean: the probability that the next retry passes."""
        result: Array = self.passing / (self.passing + self.failing)
        return result

    def told(self, place: int) -> Flakiness:
        """One of them, as it is answered."""
        from scipy.special import betaincinv

        low, high = betaincinv(self.passing[place], self.failing[place], [0.025, 0.975])
        return {
            "passOnRetry": rounded(self.rates[place]),
            "interval": (rounded(low), rounded(high)),
            "retries": int(self.retries[place]),
        }


def estimates(names: Array, groups: Array, passed: Array) -> Estimates:
    """What these retries say of each name. A name belongs to the group of its newest retry."""
    import numpy as np

    names, first, which = np.unique(names[::-1], return_index=True, return_inverse=True)
    group_codes, group = np.unique(groups[::-1][first], return_inverse=True)
    of = np.bincount(which, minlength=len(names)).astype("f8")
    good = np.bincount(which, weights=passed[::-1], minlength=len(names))
    group_of = np.bincount(group, weights=of, minlength=len(group_codes))
    group_good = np.bincount(group, weights=good, minlength=len(group_codes))
    everywhere = (good.sum() - group_good + 0.5) / (of.sum() - group_of + 1)
    prior = (group_good[group] - good + PRIOR * everywhere[group]) / (group_of[group] - of + PRIOR)
    return Estimates(names, of.astype("i8"), good + PRIOR * prior, of - good + PRIOR * (1 - prior))
