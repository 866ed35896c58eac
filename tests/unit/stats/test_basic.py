"""The known fields of GET /stats: exact to the last digit, and the same whichever way the rows came in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmgr.history import HistoryRow
from jobmgr.stats.columns import Columns
from jobmgr.stats.discovery.basic import ORDER, difference, hundredths
from jobmgr.stats.findings import Stats
from jobmgr.stats.summary import summarize
from tests.unit.stats.histories import HOUR, attempt, columns_of

NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1_000_000
FOUR = ("pattern", "matchCount", "successRate", "differenceFromAverage")


def task(*, success: bool = True, name: str = "short", args: int = 0, **known: Any) -> HistoryRow:
    """A finished task that matches no pattern if nothing else is said."""
    plain: dict[str, Any] = {"duration_us": 10_000, "retries": 0, "created_at": 0, "finished_at": 10_000}
    status = "completed" if success else "crashed"
    return attempt(**{**plain, "status": status, "job_name": name, "args": ("x",) * args, **known})


tasks = st.builds(
    task,
    success=st.booleans(),
    name=st.text(max_size=15) | st.sampled_from(["test-1", "my-long-job-name"]),
    args=st.integers(0, 4),
    duration_us=st.integers(0, 3_000_000),
    retries=st.integers(0, 2),
    created_at=st.integers(0, 10**16),
    finished_at=st.integers(0, 10**16),
)


def summary(columns: Columns, total: int = 1, zone: str = "UTC") -> Stats:
    """The answer to the widest question."""
    return summarize(columns, total_jobs=total, now=NOON, zone=ZoneInfo(zone))


def of(*rows: HistoryRow, zone: str = "UTC") -> Stats:
    """The answer of a history of these tasks, each of a job of its own."""
    return summary(columns_of(rows), len(rows), zone)


def shown(stats: Stats) -> list[str]:
    """What is told, in its order."""
    return [pattern["pattern"] for pattern in stats["patterns"]]


def known_25() -> list[HistoryRow]:
    """The known example: 25 jobs, 18 succeed; 12 with long names, of which 10 succeed; 8 of over a second, of which 5 succeed."""
    jobs = [task(success=number < 18) for number in range(25)]
    for number in [*range(10), 18, 19]:
        jobs[number] = replace(jobs[number], job_name="a-long-name-")
    for number in [*range(10, 15), 20, 21, 22]:
        jobs[number] = replace(jobs[number], duration_us=1_500_000)
    return jobs


def test_the_known_example_gives_the_known_answer() -> None:
    """Totals, rates and differences of the 25 jobs are those that users know, to the last digit, and come first in this order."""
    stats = of(*known_25())
    assert list(stats)[:3] == ["totalJobs", "overallSuccessRate", "patterns"]
    assert (stats["totalJobs"], stats["overallSuccessRate"]) == (25, 0.72)
    assert [list(pattern.items())[:4] for pattern in stats["patterns"][:2]] == [
        list(zip(FOUR, ("Job name length > 10", 12, 0.83, "+15%"), strict=True)),
        list(zip(FOUR, ("Job execution time > 1 second", 8, 0.63, "-13%"), strict=True)),
    ]


def test_nothing_finished_gives_zero_and_no_patterns() -> None:
    """Jobs that wait are in the total and nowhere else."""
    stats = summary(columns_of([attempt(status="stopped"), attempt(status="failed"), attempt(status="lost")]), 3)
    assert (stats["totalJobs"], stats["overallSuccessRate"], stats["patterns"]) == (3, 0, [])


def test_the_total_is_of_jobs_and_the_rest_of_tasks() -> None:
    """One job of a hundred tasks is one job and a hundred matches."""
    stats = summary(columns_of([task(args=2, success=number < 60) for number in range(100)]), 1)
    assert (stats["totalJobs"], stats["overallSuccessRate"]) == (1, 0.6)
    assert stats["patterns"][0]["matchCount"] == 100


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("Job name length > 10", {"name": "elevenchars"}, {"name": "ten-chars-"}),
        ("Job name length > 10", {"name": "ñ" * 11}, {"name": "ñ" * 10}),
        ("Job name length > 10", {"name": "\U0001f600" * 11}, {"name": "\U0001f600" * 10}),
        ("Argument count >= 2", {"args": 2}, {"args": 1}),
        ("Job name contains digits", {"name": "a1"}, {"name": "one"}),
        ("Job name contains digits", {"name": "0"}, {"name": "٣"}),
        ("Job execution time > 1 second", {"duration_us": 1_000_001}, {"duration_us": 1_000_000}),
        ("Jobs that were retried", {"retries": 1}, {"retries": 0}),
        ("Job name starts with test-", {"name": "test-"}, {"name": "my-test-"}),
    ],
)
def test_a_pattern_matches_at_its_bound_and_not_beside_it(
    pattern: str, matching: dict[str, Any], other: dict[str, Any]
) -> None:
    """The bounds are exactly as the words say (1000.001 ms are more than a second), and a pattern without a match is not shown."""
    assert pattern in shown(of(task(**matching)))
    assert pattern not in shown(of(task(**other)))


@pytest.mark.parametrize("field", ["job_name", "args", "duration_us", "retries", "created_at"])
def test_what_is_not_known_matches_nothing(field: str) -> None:
    """A field that no line says is no short name, no early hour and no quick job: the task counts, but in no pattern of that field."""
    whole = task(name="test-number-1", args=2, duration_us=2_000_000, retries=1)
    about = {
        "job_name": {ORDER[0], ORDER[2], ORDER[5]},
        "args": {ORDER[1]},
        "duration_us": {ORDER[3]},
        "retries": {ORDER[4]},
        "created_at": {"Submitted between 00:00 and 01:00"},
    }
    unknown: dict[str, Any] = {field: None}
    assert set(shown(of(whole))) - set(shown(of(replace(whole, **unknown)))) == about[field]


def test_patterns_come_in_a_fixed_order_with_the_hour_last() -> None:
    """All seven are shown when one finished job matches them."""
    job = task(name="test-number-1", args=2, duration_us=2_000_000, retries=1, created_at=NOON)
    assert shown(of(job)) == [*ORDER, "Submitted between 12:00 and 13:00"]


@pytest.mark.parametrize(
    ("zone", "hour"), [("UTC", 12), ("Asia/Kolkata", 17), ("America/New_York", 7), ("Pacific/Kiritimati", 2)]
)
def test_hours_are_counted_in_the_configured_time_zone(zone: str, hour: int) -> None:
    """Noon UTC is another hour elsewhere, half-hour zones and the date line included."""
    assert worst_hour(of(task(created_at=NOON), zone=zone)) == hour


def test_the_last_hour_of_the_day_ends_at_midnight() -> None:
    """It is worded as clocks show it."""
    assert shown(of(task(created_at=NOON + 11 * HOUR)))[-1] == "Submitted between 23:00 and 00:00"


def worst_hour(stats: Stats) -> int | None:
    """The hour that is told as the worst."""
    told = [one["conditions"][0] for one in stats["patterns"] if one["pattern"].startswith("Submitted between")]
    return int(told[-1]["value"]) if told else None


def hours(*spec: tuple[int, int, int]) -> Stats:
    """Statistics of (hour, successes, failures)."""
    rows: list[HistoryRow] = []
    for hour, good, bad in spec:
        rows += [task(created_at=hour * HOUR)] * good + [task(created_at=hour * HOUR, success=False)] * bad
    return of(*rows)


@pytest.mark.parametrize(
    ("spec", "worst"),
    [
        ([(8, 90, 10), (9, 1, 1), (10, 5, 5)], 10),
        ([(8, 90, 10), (9, 1, 2), (10, 5, 5)], 9),
        ([(11, 1, 1), (7, 1, 1)], 7),
    ],
)
def test_the_worst_hour_has_the_lowest_rate(spec: list[tuple[int, int, int]], worst: int) -> None:
    """Not the most failures: the lowest share of successes; then more outcomes; then the earlier hour."""
    assert worst_hour(hours(*spec)) == worst


@pytest.mark.parametrize(
    ("spec", "worst"),
    [
        ([(3, 0, 9), (14, 900, 100)], 14),
        ([(3, 0, 10), (14, 900, 100)], 3),
        ([(3, 0, 49), (14, 9_000, 1_000)], 14),
        ([(3, 0, 50), (14, 9_000, 1_000)], 3),
    ],
)
def test_an_hour_with_hardly_any_jobs_is_not_the_worst(spec: list[tuple[int, int, int]], worst: int) -> None:
    """Among a thousand outcomes nine failures at night say nothing; ten do."""
    assert worst_hour(hours(*spec)) == worst


PROPERTY = settings(deadline=None, max_examples=40)


@PROPERTY
@given(st.lists(tasks, max_size=30), st.lists(tasks, max_size=30), st.booleans())
def test_what_was_put_and_forgotten_leaves_no_trace(
    kept: list[HistoryRow], gone: list[HistoryRow], before: bool
) -> None:
    """A deletion takes a task out completely, wherever it stood, settled or not."""
    columns = Columns()
    if before:
        put(columns, gone, first=1000)
    put(columns, kept)
    if not before:
        columns.settle()
        put(columns, gone, first=1000)
    columns.forget(range(1000, 1000 + len(gone)))
    assert summary(columns, 7) == summary(columns_of(kept), 7)


@PROPERTY
@given(st.lists(st.tuples(tasks, tasks), max_size=30))
def test_the_last_line_of_a_task_counts_alone(pairs: list[tuple[HistoryRow, HistoryRow]]) -> None:
    """A restart or a late true end takes the old outcome out: the four known fields are those of the new one."""
    columns = Columns()
    put(columns, [old for old, _ in pairs])
    put(columns, [new for _, new in pairs])
    columns.settle()
    assert known(summary(columns)) == known(summary(columns_of([new for _, new in pairs])))


@PROPERTY
@given(st.lists(tasks, max_size=30).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_outcomes_does_not_matter(orders: tuple[list[HistoryRow], list[HistoryRow]]) -> None:
    """Counts are sums: any order gives the same known fields."""
    given_, shuffled = orders
    assert known(of(*given_)) == known(of(*shuffled))


def put(columns: Columns, rows: Iterable[HistoryRow], first: int = 0) -> None:
    """Each row as a task of its own, with a key from `first` on."""
    for key, row in enumerate(rows, first):
        columns.put(key, [row])


def known(stats: Stats) -> Sequence[object]:
    """The four known fields."""
    patterns = [tuple(list(pattern.values())[:4]) for pattern in stats["patterns"]]
    return stats["totalJobs"], stats["overallSuccessRate"], patterns


# --- rounding


def counted_pairs(most: int) -> st.SearchStrategy[tuple[int, int]]:
    """Some of so many."""
    return st.integers(1, most).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))


@given(counted_pairs(10**9))
def test_a_rate_is_the_fraction_rounded_half_up(tally: tuple[int, int]) -> None:
    """Integer arithmetic gives what exact decimal arithmetic gives, and JSON shows two decimals at most."""
    successes, count = tally
    exact = Fraction(successes, count) * 100
    assert hundredths(successes, count) == int(exact + Fraction(1, 2))
    text = str(hundredths(successes, count) / 100)
    assert Decimal(text) == (Decimal(successes) / Decimal(count)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_nothing_of_nothing_is_zero() -> None:
    """There is no rate without tasks."""
    assert hundredths(0, 0) == 0


@pytest.mark.parametrize(("successes", "count", "rate"), [(5, 8, 63), (1, 8, 13), (1, 200, 1), (199, 200, 100)])
def test_a_half_rounds_up(successes: int, count: int, rate: int) -> None:
    """0.625 is shown as 0.63, where rounding to even would give 0.62."""
    assert hundredths(successes, count) == rate


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
