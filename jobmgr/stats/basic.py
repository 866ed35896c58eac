"""The known shape of `GET /stats`: total, overall success rate, and the seven basic patterns.

Everything follows from integer counts that are additive: `BasicCounts.add` takes an outcome in, `remove` takes it out again (restart, delete,
a late true end), so a million outcomes cost one pass and each change a few additions. Rates are rounded half up to hundredths in integer
arithmetic; the difference from the average comes from the two rounded rates, half away from zero, so that what is shown adds up for who
calculates with it.

Assumes that the caller gives only what completed or crashed. Knows no evidence: a pattern here is a count, not a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import TypedDict

_has_digit = re.compile("[0-9]").search
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HOURS = 24
MAX_HOUR_SUPPORT = 50
"""An hour with this many outcomes may be the worst one however many there are in all; with few outcomes 1 % of all is enough."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one finished task ended, as far as the basic patterns look at it."""

    job_name: str
    argument_count: int
    duration_ms: float
    """Of the last attempt."""
    retries: int
    success: bool
    """Completed; a success after a retry is a success."""
    submitted_at: int
    """Wall time in microseconds since the epoch."""


PATTERNS: dict[str, Callable[[Outcome], bool]] = {
    "Job name length > 10": lambda outcome: len(outcome.job_name) > 10,
    "Argument count >= 2": lambda outcome: outcome.argument_count >= 2,
    "Job name contains digits": lambda outcome: _has_digit(outcome.job_name) is not None,
    "Job execution time > 1 second": lambda outcome: outcome.duration_ms > 1000,
    "Jobs that were retried": lambda outcome: outcome.retries > 0,
    "Job name starts with test-": lambda outcome: outcome.job_name.startswith("test-"),
}
"""All but the seventh, the worst hour of day, which depends on the counts of the others of its kind."""


class PatternSummary(TypedDict):
    """One entry of `patterns` in `GET /stats`."""

    pattern: str
    matchCount: int
    successRate: float
    differenceFromAverage: str


class Summary(TypedDict):
    """The four known fields of `GET /stats`."""

    totalJobs: int
    overallSuccessRate: float
    patterns: list[PatternSummary]


@dataclass(slots=True)
class Tally:
    """How many outcomes there were of a kind, and how many of them were successes."""

    count: int = 0
    successes: int = 0

    def add(self, times: int, *, success: bool) -> None:
        """Count an outcome so many times; negative takes it out."""
        self.count += times
        self.successes += times * success

    def share(self) -> Fraction:
        """The exact share of successes. Raises ZeroDivisionError when there are no outcomes."""
        return Fraction(self.successes, self.count)


@dataclass(slots=True)
class BasicCounts:
    """All that the basic patterns need to know of the outcomes added so far, in a fixed number of integers."""

    timezone: tzinfo = UTC
    """Where the hours of day are counted (`JOBMGR_TIMEZONE`)."""
    overall: Tally = field(default_factory=Tally)
    patterns: dict[str, Tally] = field(default_factory=lambda: {pattern: Tally() for pattern in PATTERNS})
    hours: list[Tally] = field(default_factory=lambda: [Tally() for _ in range(HOURS)])

    def add(self, outcome: Outcome, *, times: int = 1) -> None:
        """Take an outcome in; `times` for so many tasks that are all alike here."""
        self.overall.add(times, success=outcome.success)
        for pattern, matches in PATTERNS.items():
            if matches(outcome):
                self.patterns[pattern].add(times, success=outcome.success)
        moment = _EPOCH + timedelta(microseconds=outcome.submitted_at)
        self.hours[moment.astimezone(self.timezone).hour].add(times, success=outcome.success)

    def remove(self, outcome: Outcome, *, times: int = 1) -> None:
        """Take out what was added before: equal in every field, or the counts are wrong from then on."""
        self.add(outcome, times=-times)

    def worst_hour(self) -> int | None:
        """The hour of day with the lowest success rate; of equal ones that with more outcomes, then the earlier. None: no outcomes.

        An hour in which hardly anything was submitted does not qualify: one failed job at night would always be the worst.
        """
        enough = max(1, min(MAX_HOUR_SUPPORT, self.overall.count // 100))
        hours = [hour for hour, tally in enumerate(self.hours) if tally.count >= enough]
        return min(hours, key=lambda hour: (self.hours[hour].share(), -self.hours[hour].count), default=None)

    def summary(self, total_jobs: int) -> Summary:
        """The four known fields; `total_jobs` counts jobs of any status, everything else here counts finished tasks."""
        tallies = dict(self.patterns)
        if (hour := self.worst_hour()) is not None:
            tallies[f"Submitted between {hour:02d}:00 and {(hour + 1) % HOURS:02d}:00"] = self.hours[hour]
        average = hundredths(self.overall)
        return {
            "totalJobs": total_jobs,
            "overallSuccessRate": average / 100,
            "patterns": [_pattern(name, tally, average) for name, tally in tallies.items() if tally.count > 0],
        }


def hundredths(tally: Tally) -> int:
    """The success rate in hundredths, rounded half up; 0 when there is nothing to divide by."""
    return (200 * tally.successes + tally.count) // (2 * tally.count) if tally.count else 0


def difference(rate: int, average: int) -> str:
    """How far a rate is from the average, both in hundredths: in percent of the average, half away from zero, sign always.

    There is no percentage of an average of 0: then it is the difference in percentage points, which has at least the right sign.
    """
    apart = abs(rate - average)
    percent = (200 * apart + average) // (2 * average) if average else apart
    return f"{'-' if rate < average else '+'}{percent}%"


def _pattern(name: str, tally: Tally, average: int) -> PatternSummary:
    rate = hundredths(tally)
    return {
        "pattern": name,
        "matchCount": tally.count,
        "successRate": rate / 100,
        "differenceFromAverage": difference(rate, average),
    }
