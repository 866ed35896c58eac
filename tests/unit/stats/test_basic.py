"""The known fields of GET /stats: exact to the last digit, and the same whichever way the counts came about."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.stats.discovery.basic import PATTERNS, BasicCounts, Outcome, Tally, difference, hundredths

PLAIN = Outcome("short", argument_count=0, duration_ms=10, retries=0, success=True, submitted_at=0)
NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1_000_000

outcomes = st.builds(
    Outcome,
    job_name=st.text(max_size=15) | st.sampled_from(["test-1", "my-long-job-name"]),
    argument_count=st.integers(0, 4),
    duration_ms=st.integers(0, 3000),
    retries=st.integers(0, 2),
    success=st.booleans(),
    submitted_at=st.integers(0, 10**16),
)


def counted(*given: Outcome, timezone: str = "UTC") -> BasicCounts:
    """Counts of these outcomes."""
    counts = BasicCounts(timezone=ZoneInfo(timezone))
    for outcome in given:
        counts.add(outcome)
    return counts


def known_25() -> list[Outcome]:
    """The known example: 25 jobs, 18 succeed; 12 with long names, of which 10 succeed; 8 of over a second, of which 5 succeed."""
    jobs = [replace(PLAIN, success=number < 18) for number in range(25)]
    for number in [*range(10), 18, 19]:
        jobs[number] = replace(jobs[number], job_name="a-long-name-")
    for number in [*range(10, 15), 20, 21, 22]:
        jobs[number] = replace(jobs[number], duration_ms=1500)
    return jobs


def test_the_known_example_gives_the_known_answer() -> None:
    """Totals, rates and differences of the 25 jobs are those that users know, to the last digit."""
    summary = counted(*known_25()).summary(25)
    assert (summary["totalJobs"], summary["overallSuccessRate"]) == (25, 0.72)
    assert summary["patterns"][:2] == [
        {"pattern": "Job name length > 10", "matchCount": 12, "successRate": 0.83, "differenceFromAverage": "+15%"},
        {
            "pattern": "Job execution time > 1 second",
            "matchCount": 8,
            "successRate": 0.63,
            "differenceFromAverage": "-13%",
        },
    ]


def test_nothing_finished_gives_zero_and_no_patterns() -> None:
    """Jobs that wait are in the total and nowhere else."""
    assert BasicCounts().summary(3) == {"totalJobs": 3, "overallSuccessRate": 0, "patterns": []}


def test_the_total_is_of_jobs_and_the_rest_of_tasks() -> None:
    """One job of a hundred tasks is one job and a hundred matches."""
    counts = BasicCounts()
    counts.add(replace(PLAIN, argument_count=2), times=60)
    counts.add(replace(PLAIN, argument_count=2, success=False), times=40)
    summary = counts.summary(1)
    assert (summary["totalJobs"], summary["overallSuccessRate"]) == (1, 0.6)
    assert summary["patterns"][0]["matchCount"] == 100


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("Job name length > 10", {"job_name": "elevenchars"}, {"job_name": "ten-chars-"}),
        ("Job name length > 10", {"job_name": "ñ" * 11}, {"job_name": "ñ" * 10}),
        ("Argument count >= 2", {"argument_count": 2}, {"argument_count": 1}),
        ("Job name contains digits", {"job_name": "a1"}, {"job_name": "one"}),
        ("Job execution time > 1 second", {"duration_ms": 1000.001}, {"duration_ms": 1000}),
        ("Jobs that were retried", {"retries": 1}, {"retries": 0}),
        ("Job name starts with test-", {"job_name": "test-"}, {"job_name": "my-test-"}),
    ],
)
def test_a_pattern_matches_at_its_bound_and_not_beside_it(
    pattern: str, matching: dict[str, object], other: dict[str, object]
) -> None:
    """The bounds are exactly as the words say, and a pattern without a match is not shown."""
    assert PATTERNS[pattern](replace(PLAIN, **matching))  # type: ignore[arg-type]  # fields by name, from the table above
    summary = counted(replace(PLAIN, **other)).summary(1)  # type: ignore[arg-type]  # as above
    assert pattern not in [shown["pattern"] for shown in summary["patterns"]]


def test_patterns_come_in_a_fixed_order_with_the_hour_last() -> None:
    """All seven are shown when one finished job matches them."""
    job = Outcome("test-number-1", argument_count=2, duration_ms=2000, retries=1, success=True, submitted_at=NOON)
    shown = [pattern["pattern"] for pattern in counted(job).summary(1)["patterns"]]
    assert shown == [*PATTERNS, "Submitted between 12:00 and 13:00"]


@pytest.mark.parametrize(
    ("zone", "hour"), [("UTC", 12), ("Asia/Kolkata", 17), ("America/New_York", 7), ("Pacific/Kiritimati", 2)]
)
def test_hours_are_counted_in_the_configured_time_zone(zone: str, hour: int) -> None:
    """Noon UTC is another hour elsewhere, half-hour zones and the date line included."""
    assert counted(replace(PLAIN, submitted_at=NOON), timezone=zone).worst_hour() == hour


def test_the_last_hour_of_the_day_ends_at_midnight() -> None:
    """It is worded as clocks show it."""
    summary = counted(replace(PLAIN, submitted_at=NOON + 11 * 3_600_000_000)).summary(1)
    assert summary["patterns"][-1]["pattern"] == "Submitted between 23:00 and 00:00"


def hours(*spec: tuple[int, int, int]) -> BasicCounts:
    """Counts from (hour, successes, failures)."""
    counts = BasicCounts()
    for hour, successes, failures in spec:
        at = hour * 3_600_000_000
        counts.add(replace(PLAIN, submitted_at=at), times=successes)
        counts.add(replace(PLAIN, submitted_at=at, success=False), times=failures)
    return counts


def test_the_worst_hour_has_the_lowest_rate() -> None:
    """Not the most failures: the lowest share of successes; then more outcomes; then the earlier hour."""
    assert hours((8, 90, 10), (9, 1, 1), (10, 5, 5)).worst_hour() == 10
    assert hours((11, 1, 1), (7, 1, 1)).worst_hour() == 7


def test_an_hour_with_hardly_any_jobs_is_not_the_worst() -> None:
    """Among a thousand outcomes one failure at night says nothing; ten do."""
    assert hours((3, 0, 9), (14, 900, 100)).worst_hour() == 14
    assert hours((3, 0, 10), (14, 900, 100)).worst_hour() == 3
    assert hours((3, 0, 50), (14, 90_000, 10_000)).worst_hour() == 3


@given(st.lists(outcomes), st.lists(outcomes))
def test_what_was_added_and_removed_leaves_no_trace(kept: list[Outcome], gone: list[Outcome]) -> None:
    """A restart, a deletion or a late true end takes the old outcome out completely."""
    counts = counted(*kept)
    before = copy.deepcopy(counts)
    for outcome in gone:
        counts.add(outcome)
    for outcome in reversed(gone):
        counts.remove(outcome)
    assert counts == before
    assert counts.summary(7) == before.summary(7)


@given(st.lists(outcomes))
def test_the_order_of_outcomes_does_not_matter(given: list[Outcome]) -> None:
    """Counts are sums: any order gives the same summary."""
    shuffled = sorted(given, key=repr)
    assert counted(*given).summary(1) == counted(*shuffled).summary(1)


@given(st.integers(1, 10**9).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_rate_is_the_fraction_rounded_half_up(tally: tuple[int, int]) -> None:
    """Integer arithmetic gives what exact decimal arithmetic gives, and JSON shows two decimals at most."""
    successes, count = tally
    exact = Fraction(successes, count) * 100
    assert hundredths(Tally(count, successes)) == int(exact + Fraction(1, 2))
    shown = str(hundredths(Tally(count, successes)) / 100)
    assert Decimal(shown) == (Decimal(successes) / Decimal(count)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_five_of_eight_rounds_up() -> None:
    """0.625 is shown as 0.63, where rounding to even would give 0.62."""
    assert hundredths(Tally(8, 5)) == 63


@given(st.integers(0, 100), st.integers(1, 100))
def test_a_difference_is_the_fraction_rounded_half_away_from_zero(rate: int, average: int) -> None:
    """Of the two rounded rates, in percent of the average, with its sign."""
    exact = Decimal(rate - average) * 100 / Decimal(average)
    assert difference(rate, average) == f"{int(exact.quantize(Decimal(1), ROUND_HALF_UP)):+d}%"


@pytest.mark.parametrize(
    ("rate", "average", "text"), [(72, 72, "+0%"), (0, 0, "+0%"), (50, 0, "+50%"), (0, 50, "-100%"), (100, 1, "+9900%")]
)
def test_a_difference_always_has_a_sign(rate: int, average: int, text: str) -> None:
    """Equal is +0%; against an average of 0 it is percentage points."""
    assert difference(rate, average) == text
