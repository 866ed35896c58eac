"""The report of one name: its figures agree with those of scipy and by hand, what is unknown is in none, and it says when it cannot tell."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats

from jobmgr.job import Cause, Status
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import NameReport
from jobmgr.stats.names import describe, trend
from tests.unit.stats.histories import HOUR, MINUTE, START, attempt, columns_of, series, spoilt

NOW = START + 1000 * HOUR
MIB = 2**20
valid = TypeAdapter(NameReport).validate_python


def report(columns: Columns, name: str = "x", zone: str = "UTC", **more: Any) -> NameReport:
    """The report of a name that is known."""
    told = describe(columns, name, now=NOW, zone=ZoneInfo(zone), **more)
    assert told is not None
    valid(told, strict=False)
    return told


def runs(*values: int, of: str = "duration_us", **known: Any) -> Columns:
    """Completed runs of x with these values of one field, among which one crashed with a huge and one completed with an unknown value."""
    rows = [
        attempt(job_name="x", finished_at=START + place, **{of: value}, **known) for place, value in enumerate(values)
    ]
    rows += [
        attempt(job_name="x", finished_at=START, status="crashed", **{of: 10**15}),
        attempt(job_name="x", finished_at=START),
    ]
    return columns_of(rows)


def test_a_name_that_never_came_has_no_report() -> None:
    """Neither in an empty history, nor one without it, nor after it was forgotten."""
    assert describe(Columns(), "x", now=NOW) is None
    columns = columns_of([attempt(job_name="y")])
    assert describe(columns, "x", now=NOW) is None
    columns.forget([0])
    assert describe(columns, "y", now=NOW) is None


def test_counts_are_of_tasks_as_they_stand() -> None:
    """Completed and crashed ones are runs, all others are told apart by status; a retried attempt is no task."""
    columns = columns_of([attempt(job_name="x", status=status.value) for status in Status for _ in range(2)])
    columns.put(99, [attempt(job_name="x", status="retried"), attempt(job_name="x", attempt=2)])
    columns.settle()
    told = report(columns)
    assert (told["runs"], told["completed"], told["crashed"]) == (5, 3, 2)
    assert told["other"] == dict.fromkeys(("pending", "running", "paused", "retried", "failed", "stopped", "lost"), 2)


def test_the_rate_is_rounded_half_up_with_its_wilson_interval() -> None:
    """5 of 8 are 0.63, where Python's round has 0.62; the interval is scipy's."""
    told = report(columns_of(series([False] * 5 + [True] * 3, job_name="x")))
    interval = stats.binomtest(5, 8).proportion_ci(method="wilson")
    assert told["successRate"] == 0.63
    assert told["interval"] == pytest.approx((interval.low, interval.high), abs=0.005)


def test_other_names_are_not_in_it() -> None:
    """Only what has exactly this name counts."""
    columns = columns_of([*series([True] * 5, job_name="xx"), *series([False] * 3, job_name="x"), *series([True] * 5)])
    assert (report(columns)["runs"], report(columns)["crashed"]) == (3, 0)


def test_durations_are_quantiles_of_completed_runs_in_milliseconds() -> None:
    """Neither the crashed run of a thousand seconds nor the unknown one is among them."""
    told = report(runs(*range(1_000_000, 101_000_001, 1_000_000)))
    assert told["duration"] == {"p10": 11_000, "p50": 51_000, "p90": 91_000, "p99": 100_000}


def test_memory_is_in_bytes() -> None:
    """As durations, of the peak memory."""
    told = report(runs(*[MIB] * 9, 2 * MIB, of="peak_rss_bytes"))
    assert told["peakRssBytes"] is not None
    assert told["peakRssBytes"]["p50"] == MIB


def test_unknown_is_never_a_number() -> None:
    """Without any known duration, memory or exit code there are none, rather than -1."""
    told = report(columns_of(series([False] * 50, job_name="x")))
    for each in ("duration", "peakRssBytes", "suggestedTimeout", "suggestedMemoryLimit"):
        assert told[each] is None
    assert told["exitCodes"] == {}
    assert told["hours"] == []
    assert "-1" not in told["sentence"]


# --- trend


@given(st.lists(st.booleans(), min_size=2, max_size=120))
def test_the_trend_has_the_mid_p_of_fishers_test(failed: list[bool]) -> None:
    """Twice the one-sided mid-p, from scipy's exact p of this and of the next more extreme table."""
    told = trend(np.array(failed))
    assert told is not None
    old = len(failed) // 2
    bad_old, bad_new = sum(failed[:old]), sum(failed[old:])
    table = [[bad_new, len(failed) - old - bad_new], [bad_old, old - bad_old]]
    one_sided = []
    for side in ("less", "greater"):
        p = stats.fisher_exact(table, alternative=side).pvalue
        exactly = stats.hypergeom.pmf(bad_new, len(failed), bad_old + bad_new, len(failed) - old)
        one_sided.append(p - exactly / 2)
    assert told["p"] == pytest.approx(min(1.0, 2 * min(one_sided)), rel=0.051, abs=1e-12)


def test_a_trend_that_is_there_is_said() -> None:
    """From 2 % to 40 % failure."""
    told = trend(np.array([False] * 49 + [True] + ([True] * 2 + [False] * 3) * 10))
    assert told is not None
    assert (told["before"], told["after"]) == (0.98, 0.6)
    assert told["p"] < 0.001
    assert told["sentence"] == "The newer 50 runs succeeded less often than the older 50: 60 % against 98 %."


def test_a_trend_that_cannot_be_told_is_not_claimed() -> None:
    """One failure more or less is no trend, and a handful of runs has none."""
    told = trend(np.array([False] * 20 + [True] + [False] * 19))
    assert told is not None
    assert told["sentence"].startswith("No trend can be told")
    few = trend(np.array([False] * 4 + [True] * 4))
    assert few is not None
    assert few["sentence"] == "8 runs are too few to tell a trend."


def test_one_run_has_no_trend() -> None:
    """There are no halves of it."""
    assert trend(np.array([True])) is trend(np.array([], "?")) is None


def test_chance_is_seldom_a_trend() -> None:
    """Of 400 steady series 5 % at most have p ≤ 0.05, as far as 400 can tell."""
    rng = np.random.default_rng(1)
    told = [trend(rng.random(200) < 0.2) for _ in range(400)]
    assert sum(each is not None and each["p"] <= 0.05 for each in told) <= 32


# --- the rest


def test_its_changepoint_and_flakiness_are_those_of_the_whole_answer() -> None:
    """A fall is told; so is what its retries say."""
    columns = columns_of(series([False] * 100 + [True] * 40, job_name="x"))
    columns.put(999, [attempt(job_name="x", status="retried"), attempt(job_name="x", attempt=2, finished_at=START)])
    columns.settle()
    told = report(columns)
    assert told["changepoint"] is not None
    assert told["changepoint"]["runsSince"] == 40
    assert told["flakiness"] is not None
    assert told["flakiness"]["retries"] == 1


def test_patterns_are_what_discovery_gives() -> None:
    """It is asked with the name; without it there are none."""
    columns = columns_of(series([True], job_name="x"))
    asked: list[str] = []

    def discover(name: str) -> list[Any]:
        asked.append(name)
        return []

    assert report(columns, discover=discover)["patterns"] == []
    assert asked == ["x"]


def test_hours_are_those_of_submission_in_the_zone() -> None:
    """In India 14:00 UTC is 19:30; what has not finished counts as a run without a rate."""
    rows = [
        attempt(job_name="x", created_at=START, status="completed"),
        attempt(job_name="x", created_at=START + 10 * MINUTE, status="crashed"),
        attempt(job_name="x", created_at=START + 20 * MINUTE, status="crashed"),
        attempt(job_name="x", created_at=START + HOUR, status="running"),
        attempt(job_name="x", status="completed"),
    ]
    assert report(columns_of(rows), zone="Asia/Kolkata")["hours"] == [
        {"hour": 19, "runs": 3, "successRate": 0.33},
        {"hour": 20, "runs": 1, "successRate": None},
    ]


def test_exit_codes_are_those_of_the_newest_hundred() -> None:
    """By time, not by the order of lines; a signal by its name; the most frequent first."""
    rows = [attempt(job_name="x", exit_code=7, finished_at=START)] * 50
    rows = [attempt(job_name="x", status="crashed", signal=9, finished_at=START + HOUR)] * 20 + rows
    rows += [attempt(job_name="x", exit_code=0, finished_at=START + MINUTE)] * 70
    rows += [
        attempt(job_name="x", exit_code=-1, finished_at=START + 2 * HOUR),
        attempt(job_name="x", status="lost", finished_at=NOW),
    ]
    told = report(columns_of(rows))["exitCodes"]
    assert told == {"0": 70, "SIGKILL": 20, "7": 9, "-1": 1}
    assert list(told) == ["0", "SIGKILL", "7", "-1"]


def test_a_timeout_is_suggested_from_enough_runs() -> None:
    """1.5 times the 99 % quantile, in whole seconds, rounded up."""
    told = report(runs(*range(10_000, 2_120_001, 10_000)))["suggestedTimeout"]
    assert told is not None
    assert told["value"] == 4  # 99 % of 10, 20 … 2120 ms are 2098.9 ms.
    assert told["basis"] == "1.5 × the 99 % quantile (2.099 s) of 212 completed runs, rounded up to whole seconds"


def test_with_few_runs_it_is_the_longest_and_with_very_few_nothing() -> None:
    """Nobody knows the 99 % quantile of 30 runs, and of 19 nothing is said."""
    told = report(runs(*[10_000_000] * 29, 21_000_000))["suggestedTimeout"]
    assert told == {"value": 32, "basis": "1.5 × the longest (21 s) of 30 completed runs, rounded up to whole seconds"}
    assert report(runs(*[10_000_000] * 19))["suggestedTimeout"] is None


def test_runs_that_were_cut_off_are_mentioned() -> None:
    """They are not among the completed ones, and would have needed longer."""
    rows = [attempt(job_name="x", duration_us=1000, peak_rss_bytes=MIB)] * 30
    rows += [attempt(job_name="x", status="crashed", cause=Cause.TIMEOUT.value)] * 2
    rows += [attempt(job_name="x", status="crashed", cause=Cause.OOM.value)]
    told = report(columns_of(rows))
    assert told["suggestedTimeout"] is not None and told["suggestedMemoryLimit"] is not None
    assert told["suggestedTimeout"]["basis"].endswith("; 2 ended by a time limit might have needed more")
    assert told["suggestedMemoryLimit"]["basis"].endswith("; 1 that ran out of memory might have needed more")


def test_a_memory_limit_is_suggested_in_whole_mebibytes() -> None:
    """1.5 times the largest of 25, rounded up."""
    told = report(runs(*[100 * MIB] * 24, 101 * MIB, of="peak_rss_bytes"))["suggestedMemoryLimit"]
    assert told == {
        "value": 152 * MIB,
        "basis": "1.5 × the largest (101 MiB) of 25 completed runs, rounded up to whole MiB",
    }


def test_only_the_newest_thousand_runs_suggest() -> None:
    """What a program needed long ago is not what it needs."""
    rows = [attempt(job_name="x", duration_us=10**9, finished_at=START)] * 500
    rows += [attempt(job_name="x", duration_us=10**6, finished_at=START + HOUR)] * 1000
    told = report(columns_of(rows))["suggestedTimeout"]
    assert told is not None
    assert told["value"] == 2
    assert "the newest 1,000 completed runs" in told["basis"]


def test_the_sentence_says_it_all() -> None:
    """How often, how well and how surely, how long, how long ago."""
    rows = [
        attempt(
            job_name="x",
            status="crashed" if n % 10 == 0 else "completed",
            duration_us=1_234_567,
            finished_at=NOW - 3 * HOUR,
        )
        for n in range(100)
    ]
    assert report(columns_of(rows))["sentence"] == (
        "“x” ran 100 times and succeeded 90 % of the time (95 % interval 83 to 94 %); "
        "half of the completed runs took at most 1.23 s, 90 % at most 1.23 s; the last one ended 3 hours ago."
    )


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        (["running", "running", "lost"], "No run of “x” has completed or crashed (2 running, 1 lost)."),
        (["completed"], "“x” ran once and succeeded 100 % of the time (95 % interval 21 to 100 %)."),
    ],
)
def test_the_sentence_of_little_is_honest(statuses: list[str], sentence: str) -> None:
    """No run, and a single one at an unknown time."""
    assert report(columns_of([attempt(job_name="x", status=status) for status in statuses]))["sentence"] == sentence


def test_a_name_longer_than_what_is_kept_is_found() -> None:
    """Of a name of 400 characters 300 are kept."""
    assert report(columns_of([attempt(job_name="x" * 400)]), "x" * 400)["runs"] == 1


EDGE = 2**53


@pytest.mark.parametrize(
    "columns",
    [
        columns_of([attempt(job_name="x", status=status.value) for status in Status]),
        columns_of([attempt(job_name="x", status="crashed", attempt=0)]),
        columns_of(series([True] * 300, job_name="x", created_at=START, duration_us=0, peak_rss_bytes=0)),
        columns_of(series([False] * 300, job_name="x", created_at=START, duration_us=0, peak_rss_bytes=0)),
        columns_of(
            [attempt(job_name="x", created_at=at, finished_at=at, duration_us=EDGE) for at in (2**62, -(2**62), 0, -2)]
            * 10
        ),
        columns_of(
            [attempt(job_name="x", exit_code=2**32 - 1, signal=127, peak_rss_bytes=EDGE, finished_at=NOW + HOUR)] * 30
        ),
        spoilt(
            columns_of(
                series([True, False] * 90, job_name="x", created_at=START, duration_us=5, peak_rss_bytes=5, exit_code=1)
            )
        ),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/St_Johns"])
def test_strange_histories_have_a_report(columns: Columns, zone: str) -> None:
    """Every status, never begun, all failed, none failed, beyond any calendar, largest values, unknown fields: a valid report."""
    assert report(columns, zone=zone)["sentence"].endswith(".")


@pytest.mark.parametrize("name", ["", "\x00", "“”", "\ud800", "x" * 100_000])
def test_any_text_may_be_asked_for(name: str) -> None:
    """A hostile name that never came is just not there; one that did is quoted without its control characters."""
    assert describe(columns_of([attempt(job_name="y")]), name, now=NOW, zone=UTC) is None
    told = report(columns_of([attempt(job_name=name, finished_at=START)]), name)
    assert told["sentence"].isprintable()
