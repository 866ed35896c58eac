"""A pattern in words: how often, compared with what, how sure, and what it does not mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobmgr.stats.findings import Pattern
from jobmgr.stats.query import Target

FEW_EPISODES = 4
FEW = 20
"""With fewer tasks on one side, or fewer targets in all, nothing can be told from chance, and the sentence says so."""
_VERBS = {Target.FAILURE: "fail", Target.SLOW: "run unusually long", Target.MEMORY: "use unusually much memory"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a sentence is made of."""

    target: Target
    clauses: Sequence[str]
    """What stands behind the word “jobs”."""
    pattern: Pattern
    bad: int
    count: int
    """Matching tasks, and those of them with the target."""
    bad_others: int
    others: int
    lately: bool = False
    """It is there in the newest part of the time, all through, and not before."""


def percent(part: int, whole: int) -> str:
    """A share, rounded half up; one decimal where it is small, or nearly all."""
    if whole == 0:
        return "0 %"
    tenths = (2000 * part + whole) // (2 * whole)
    return (
        f"{tenths / 10:.1f} %"
        if (0 < tenths < 100 or 990 < tenths < 1000) and tenths % 10
        else f"{(200 * part + whole) // (2 * whole)} %"
    )


def sentence(told: Told) -> str:
    """One or two sentences about a pattern."""
    jobs = "Jobs " + " and ".join(told.clauses)
    verb = _VERBS[told.target]
    seen = f"{jobs} {verb} {percent(told.bad, told.count)} of the time ({told.bad:,} of {told.count:,})"
    if not told.others:
        return f"{seen}; there are no others to compare with."
    compared = f"{seen}, all others {percent(told.bad_others, told.others)}"
    pattern = told.pattern
    if pattern["kind"] == "recurring":
        return f"{compared}: {_apart(told)}. {_lasting(pattern)}"
    if pattern["kind"] == "bursty":
        return f"{compared}, but {_bursts(told)}"
    return f"{compared}; {_doubt(told)}"


def _apart(told: Told) -> str:
    """The difference in points of failure, with its interval."""
    low, high = (-bound for bound in reversed(told.pattern["riskDifference"]))
    points = (told.bad / told.count - told.bad_others / told.others) * 100
    more = "more" if points >= 0 else "less"
    near, far = sorted((abs(low), abs(high))) if low * high > 0 else (0.0, max(abs(low), abs(high)))
    return f"{abs(points):.0f} points {more} (95 % interval {near * 100:.0f} to {far * 100:.0f})"


def _lasting(pattern: Pattern) -> str:
    match pattern["confirmedOutOfTime"]:
        case True:
            return "It comes again and again, and what the first 70 % of the time showed held in the rest."
        case False:
            return "It comes again and again, but less so in the last 30 % of the time."
    return "It comes again and again; early or late in the time there is too little to confirm it."


def _bursts(told: Told) -> str:
    if told.lately:
        return "only in the newest part of the time, and all through it: look for what changed then."
    count = told.pattern["episodes"]
    if count > FEW_EPISODES:
        return "failures come in bursts here, and bursts alone can look like this."
    return f"mostly in {'one episode' if count == 1 else f'{count} episodes'}: it may have been that, and not this."


def _doubt(told: Told) -> str:
    pattern = told.pattern
    if pattern["phase"] == "outcome":
        return "that is a part of how they went, not a reason."
    if pattern["explainedBy"] is not None:
        return f"that is explained by: {pattern['explainedBy']}."
    if min(told.count, told.others) < FEW or told.bad + told.bad_others < 10:
        return "too few jobs to tell this from chance."
    if pattern["p"] is not None and pattern["p"] < 0.05:
        return "not enough to claim it among all that was tried."
    return "no more than chance."
