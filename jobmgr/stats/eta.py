"""An expectation as people and programs get it: `findings.Eta`, with its quality and a sentence in plain words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from jobmgr.stats.findings import Eta

Quality = Literal["good", "rough", "guess"]

GOOD_RUNS = 8
ROUGH_RUNS = 3
"""From so many runs of the same name on a forecast is good, or rough."""
GOOD_SPREAD = 20.0
"""A forecast whose p90 is more than so many times its p10 is no good one, whatever it was learnt from."""
LITTLE_WEIGHT = 0.2
"""With less weight of runs that lasted so long, what is said is a guess."""

_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a run that has lasted so long. Seconds."""

    left: tuple[float, float, float]
    """At 10, 50 and 90 %."""
    risk: float | None
    """The probability that it crashes at last."""
    usual_s: float | None
    """Beyond this it has run unusually long; None: too few runs to say."""
    weight: float
    """Of the runs that lasted longer; in runs, the newest ones of the most alike count one each."""
    basis: str
    runs: int
    """Of the same name."""


def running(expected: Expectation, elapsed: float, now: float) -> Eta:
    """Of a run that has lasted so many seconds at `now`, seconds since the epoch."""
    unusual = expected.usual_s is not None and elapsed > expected.usual_s
    p10, p50, p90 = (_rounded(value) for value in expected.left)
    return {
        "p10": p10,
        "p50": p50,
        "p90": p90,
        "at": round(now + expected.left[1], 3),
        "basis": expected.basis,
        "quality": _quality(expected, unusual=unusual),
        "failureRisk": None if expected.risk is None else _rate(expected.risk),
        "longerThanUsual": unusual,
        "sentence": _sentence(expected, elapsed, unusual=unusual),
    }


def waiting(left: tuple[float, float, float], basis: str, quality: Quality, now: float) -> Eta:
    """Of a job that waits for a slot: when it will begin."""
    p10, p50, p90 = left
    return {
        "p10": _rounded(p10),
        "p50": _rounded(p50),
        "p90": _rounded(p90),
        "at": round(now + p50, 3),
        "basis": basis,
        "quality": quality,
        "failureRisk": None,
        "longerThanUsual": False,
        "sentence": f"It will begin in about {span(p50)} ({span(p10)} to {span(p90)} in 8 of 10 cases), judging by {basis}.",
    }


def _quality(expected: Expectation, *, unusual: bool) -> Quality:
    p10, _, p90 = expected.left
    if unusual or expected.weight < LITTLE_WEIGHT or expected.runs < ROUGH_RUNS:
        return "guess"
    return "good" if expected.runs >= GOOD_RUNS and p90 <= GOOD_SPREAD * p10 else "rough"


def _sentence(expected: Expectation, elapsed: float, *, unusual: bool) -> str:
    p10, p50, p90 = map(span, expected.left)
    more = f"about {p50} more ({p10} to {p90} in 8 of 10 cases)"
    if unusual and expected.usual_s is not None:
        usual = span(expected.usual_s)
        return f"It has run unusually long: {span(elapsed)}, where nearly all of its like took less than {usual}. A guess: {more}."
    if expected.weight < LITTLE_WEIGHT:
        return f"A guess: {more}; nearly no run of its like is known that lasted {span(elapsed)}."
    return f"{more[0].upper()}{more[1:]}, judging by {expected.basis}."


def counted(number: int, thing: str) -> str:
    """`1 slot`, `2 slots`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time in words: `0.25 s`, `12 s`, `3 min 20 s`, `2 d 4 h`."""
    whole = round(seconds)
    for size, unit, smaller, name in _UNITS:
        if whole >= size:
            rest = whole % size // smaller if whole < 10 * size else 0
            return f"{whole // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{whole} s" if seconds >= 9.5 else f"{seconds:.2g} s"


def _rounded(seconds: float) -> float:
    return round(seconds, 3 if seconds < 10 else 1)


def _rate(risk: float) -> float:
    return float(Decimal(str(min(max(risk, 0.0), 1.0))).quantize(Decimal("0.01"), ROUND_HALF_UP))
