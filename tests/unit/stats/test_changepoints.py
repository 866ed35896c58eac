"""Changepoints: a change that lasts is found where it began, a burst that is over and chance are not."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from jobmgr.stats import changepoints as module
from jobmgr.stats.changepoints import Series, changepoints, p_value
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import Changepoint
from tests.unit.stats.histories import MINUTE, START, attempt, columns_of, series, spoilt


def found(columns: Columns, zone: str = "UTC") -> list[Changepoint]:
    """The changepoints of all finished tasks."""
    return changepoints(columns, columns.outcomes(), zone=ZoneInfo(zone))


def of_one(failed: Any) -> list[Changepoint]:
    """The changepoints of a name with a run a minute."""
    return found(columns_of(series(failed, job_name="x")))


def every(count: int, of: int) -> list[bool]:
    """So many outcomes of which every so manieth failed."""
    return [place % of == of - 1 for place in range(count)]


def test_a_fall_is_told_with_its_moment_and_rates() -> None:
    """First run of the new level, rates of both, runs since, p, and a sentence in the zone's time."""
    (change,) = found(columns_of(series([*every(300, 50), True, *every(40, 3)], job_name="x")), "Europe/Berlin")
    assert change["name"] == "x"
    assert change["at"] == "2026-03-03T18:59:00.000Z"
    assert (change["before"], change["after"], change["runsSince"]) == (0.98, 0.64, 42)
    assert 0 < change["p"] < 1e-6
    assert change["sentence"] == "Since 19:59 on 3 March 2026 the success of x fell from 98 % to 64 % (42 runs since)."


def test_a_rise_is_told_as_one() -> None:
    """What was repaired for good is a change as well."""
    (change,) = of_one(every(100, 2) + [False] * 100)
    assert (change["before"], change["after"]) == (0.5, 1.0)
    assert " rose from 50 % to 100 % " in change["sentence"]


def test_a_burst_that_is_over_has_changed_nothing() -> None:
    """500 good, 30 failed, 470 good: all is as it was."""
    assert of_one([False] * 500 + [True] * 30 + [False] * 470) == []


def test_several_bursts_change_nothing() -> None:
    """Also when there are many, and one just after the other."""
    assert of_one(([False] * 300 + [True] * 20) * 3 + [False] * 40 + [True] * 20 + [False] * 200) == []


def test_what_may_be_another_burst_is_not_told_yet() -> None:
    """A name that had a burst of 30 before, and fails again since 20 runs; since 40 runs it is told."""
    before = [False] * 300 + [True] * 30 + [False] * 300
    assert of_one(before + [True] * 20) == []
    assert len(of_one(before + [True] * 40)) == 1


def test_the_newest_lasting_level_is_told_after_a_burst() -> None:
    """98 %, a burst, then 67 %: it fell from 98 to 67, it did not rise from the burst's 0."""
    (change,) = of_one(every(400, 50) + [True] * 25 + every(300, 3))
    assert (change["before"], change["after"], change["runsSince"]) == (0.98, 0.67, 300)


def test_a_long_bad_time_that_ended_is_a_rise() -> None:
    """300 bad runs are a level of their own, not a burst."""
    (change,) = of_one(every(300, 50) + every(300, 2) + every(300, 50))
    assert (change["before"], change["after"]) == (0.5, 0.98)


def test_the_moment_is_found_within_a_few_runs() -> None:
    """The last 20 of 200 runs go from 2 to 40 % failure: found in most of 40 draws, at most 3 runs off in the middle."""
    rng = np.random.default_rng(5)
    off = []
    for _ in range(40):
        level = np.where(np.arange(200) < 180, 0.02, 0.4)
        told = of_one(rng.random(200) < level)
        off += [abs(180 - (200 - change["runsSince"])) for change in told]
    assert len(off) >= 30
    assert np.median(off) <= 3


@pytest.mark.parametrize("names", [1, 60, 1000])
@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_chance_changes_nothing_however_many_names(names: int, rate: float) -> None:
    """20,000 independent runs of so many names, 20 draws: at most 3 tell any change."""
    rng = np.random.default_rng([names, int(rate * 100)])
    told = 0
    for _ in range(20):
        series_ = Series(np.sort(rng.integers(0, names, 20_000)), rng.random(20_000) < rate)
        told += any(levels.lasting(series_.highest_p) for levels in series_.changed(np.arange(20_000)))
    assert told <= 3


def test_counting_the_names_is_what_keeps_chance_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the step over names, a thousand names nearly always have one that seems to have changed."""
    monkeypatch.setattr(Series, "_highest_p", lambda self, ratios: 1.0)
    monkeypatch.setattr(module, "threshold", lambda runs: 0.0 * runs + 8)
    rng = np.random.default_rng(6)
    series_ = Series(np.sort(rng.integers(0, 1000, 50_000)), rng.random(50_000) < 0.2)
    assert any(levels.lasting(series_.highest_p) for levels in series_.changed(np.arange(50_000)))


@pytest.mark.parametrize("runs", [20, 200])
def test_p_is_a_probability_of_chance(runs: int) -> None:
    """Of 4000 series without a change 5 % at most have p ≤ 0.05, and 1 % p ≤ 0.01, as far as 4000 draws tell; with a rate of 0.5 not far fewer."""
    rng = np.random.default_rng(runs)
    names = np.repeat(np.arange(4000), runs)
    for rate, least in ((0.1, 0.0), (0.5, 0.03)):
        series_ = Series(names, rng.random(len(names)) < rate)
        ratios, _ = series_.best(np.arange(4000) * runs, np.arange(1, 4001) * runs)
        p = np.array([p_value(float(ratio), runs) for ratio in ratios])
        assert least < (p <= 0.05).mean() < 0.062
        assert (p <= 0.01).mean() < 0.015


def test_the_best_split_is_that_of_trying_each() -> None:
    """The vectorised scan agrees with a loop over the splits of each part."""
    rng = np.random.default_rng(7)
    names, failed = np.repeat([0, 1, 2], [30, 47, 80]), rng.random(157) < 0.3
    ratios, places = Series(names, failed).best(np.array([0, 30, 77]), np.array([30, 77, 157]))
    for part, (start, end) in enumerate([(0, 30), (30, 77), (77, 157)]):
        tried = {place: _two_llr(failed[start:place], failed[place:end]) for place in range(start + 5, end - 4)}
        assert ratios[part] == pytest.approx(max(tried.values()))
        assert tried[int(places[part])] == pytest.approx(max(tried.values()))


def _two_llr(one: Any, other: Any) -> float:
    """From its definition."""

    def highest(part: Any) -> float:
        shares = [share for share in (part.mean(), 1 - part.mean()) if share > 0]
        return float(sum(np.log(share) * share * len(part) for share in shares))

    return 2 * (highest(one) + highest(other) - highest(np.concatenate((one, other))))


def test_what_hardly_differs_is_not_told() -> None:
    """From 99.9 to 99.6 % over 100,000 runs is beyond chance and matters to nobody."""
    assert of_one(every(50_000, 1000) + every(50_000, 250)) == []


def test_rates_that_look_alike_get_a_decimal() -> None:
    """99.8 to 99.0 %: without decimals the sentence would say little."""
    (change,) = of_one(every(20_000, 500) + every(20_000, 99))
    assert "from 99.8 % to 99.0 %" in change["sentence"]


def test_few_runs_are_no_series() -> None:
    """Nine runs tell nothing, nor do fewer than four failures; four do."""
    assert of_one([False] * 4 + [True] * 5) == []
    assert of_one([False] * 100 + [True] * 3) == []
    assert len(of_one([False] * 100 + [True] * 4)) == 1


def test_newest_first_and_at_most_twenty() -> None:
    """Of thirty names that changed the twenty that did last are told, the last first."""
    rows = []
    for name in range(30):
        rows += [attempt(job_name=f"x{name}", finished_at=START + place * MINUTE) for place in range(100)]
        changed = START + (100 + name * 7 % 30) * MINUTE
        rows += [attempt(job_name=f"x{name}", status="crashed", finished_at=changed + place) for place in range(20)]
    told = [change["at"] for change in found(columns_of(rows))]
    assert len(told) == 20
    assert told == sorted(told, reverse=True)
    assert told[0] == "2026-03-03T16:09:00.000Z"
    assert told[-1] == "2026-03-03T15:50:00.000Z"


def test_names_are_kept_apart() -> None:
    """Runs of two names in turns: only the one that changed is told."""
    rows = [
        row
        for pair in zip(
            series([False] * 200, job_name="a"), series([False] * 100 + [True] * 100, job_name="b"), strict=True
        )
        for row in pair
    ]
    assert [change["name"] for change in found(columns_of(rows))] == ["b"]


@pytest.mark.parametrize(
    "columns",
    [
        Columns(),
        columns_of([attempt(job_name="x", status="crashed", finished_at=START)]),
        columns_of(series([True] * 100, job_name="x")),
        columns_of(series([False] * 100, job_name="x")),
        columns_of(series([False] * 100 + [True] * 100)),
        columns_of(series([False] * 100 + [True] * 100, every=0, job_name="x")),
        columns_of(
            [attempt(job_name="x", status="crashed" if n > 200 else "completed", finished_at=2**62) for n in range(400)]
        ),
        columns_of([attempt(job_name="x", status="crashed" if n > 200 else "completed") for n in range(400)]),
        columns_of([attempt(job_name=f"x{n}", status="crashed", finished_at=START) for n in range(3000)]),
        spoilt(columns_of(series(every(300, 50) + every(300, 2), job_name="\x1b[31m" * 90))),
    ],
)
def test_strange_histories_have_an_answer(columns: Columns) -> None:
    """Empty, one run, all failed, none failed, no name, one instant, beyond the calendar, no times, many names, hostile text: no exception."""
    assert isinstance(changepoints(columns, columns.outcomes(), zone=UTC), list)
