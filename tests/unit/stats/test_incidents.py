"""Incidents: an outage is found as one window with its edges and its node, and noise, steady rates and lasting changes are none."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from jobmgr.stats import incidents as module
from jobmgr.stats.columns import Columns
from jobmgr.stats.findings import Incident
from jobmgr.stats.incidents import Series, incidents
from tests.unit.stats.histories import MINUTE, START, attempt, columns_of, series, spoilt


def found(columns: Columns, zone: str = "UTC") -> list[Incident]:
    """The incidents of all finished tasks."""
    return incidents(columns, columns.outcomes(), zone=ZoneInfo(zone))


def outage(count: int, seed: int) -> tuple[Columns, int, int]:
    """2 % of the time in which 85 % fail, 70 % of it on node n3; 8 % fail elsewhere. With the places where it begins and ends."""
    rng = np.random.default_rng(seed)
    width = count // 50
    start = int(rng.uniform(0.05, 0.9) * count)
    inside = (np.arange(count) >= start) & (np.arange(count) < start + width)
    failed = rng.random(count) < np.where(inside, 0.85, 0.08)
    node = np.where(inside & (rng.random(count) < 0.7), 3, rng.integers(1, 9, count))
    rows = [
        attempt(
            status="crashed" if bad else "completed",
            finished_at=START + place * MINUTE,
            node=f"n{on}",
            job_name=f"x{place % 20}",
        )
        for place, (bad, on) in enumerate(zip(failed, node, strict=True))
    ]
    return columns_of(rows), start, start + width


@pytest.mark.parametrize("count", [1000, 5000])
def test_an_outage_is_one_incident_on_its_node(count: int) -> None:
    """Drawn 10 times: always exactly one, mostly overlapping by four fifths, and its condition is the node (of 20 tasks, where that can be told)."""
    overlaps, places = [], []
    for seed in range(10):
        columns, start, end = outage(count, seed)
        (incident,) = found(columns)
        first, last = (
            int((np.datetime64(incident[edge][:-1]).astype("M8[us]").astype("i8") - START) // MINUTE)
            for edge in ("start", "end")
        )
        overlaps.append((min(last + 1, end) - max(first, start)) / (max(last + 1, end) - min(first, start)))
        places += incident["where"]
    assert places == [{"attribute": "node", "op": "==", "value": "n3"}] * len(places)
    assert len(places) >= (8 if count == 1000 else 10)
    assert min(overlaps) > 0.5
    assert np.median(overlaps) > 0.8


def test_an_incident_says_when_how_much_and_where() -> None:
    """Clock and day in the zone, failed of all, the rate elsewhere, and the share on the node, rounded."""
    bad = [False] * 400
    bad[200:250] = [True] * 50
    bad[100] = bad[225] = bad[390] = False
    rows = series(bad, node="n1")
    rows[200:240] = series(bad, node="n\n3")[200:240]
    (incident,) = found(columns_of(rows), "Asia/Kolkata")
    assert (incident["start"], incident["end"]) == ("2026-03-03T17:20:00.000Z", "2026-03-03T18:09:00.000Z")
    assert (incident["failed"], incident["of"]) == (49, 50)
    assert incident["sentence"] == (
        "Between 22:50 and 23:39 on 3 March 2026 49 of 50 tasks failed (elsewhere 0 %); 80 % of these failures were on node n\\n3."
    )


def test_its_edges_are_failures() -> None:
    """What succeeded just before and after does not belong to it."""
    bad = np.zeros(1000, bool)
    bad[413:470] = True
    assert Series(bad).incidents() == [(413, 470)]


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.7])
@pytest.mark.parametrize("count", [500, 2000, 10_000])
def test_steady_rates_have_none(count: int, rate: float) -> None:
    """In 100 draws of independent failures at most 5 show any."""
    rng = np.random.default_rng([count, int(rate * 100)])
    assert sum(bool(Series(rng.random(count) < rate).incidents()) for _ in range(100)) <= 5


def test_the_threshold_is_what_keeps_noise_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bar of a single test instead, nearly every draw of noise shows something: the step that counts windows is needed."""
    monkeypatch.setattr(module, "threshold", lambda count: 3.84)
    rng = np.random.default_rng(1)
    assert sum(bool(Series(rng.random(2000) < 0.1).incidents()) for _ in range(20)) >= 18


def test_the_threshold_grows_with_the_windows() -> None:
    """24 up to 500 tasks, then more, as there are more windows."""
    assert module.threshold(40) == module.threshold(500) == 24
    assert module.threshold(1_000_000) == pytest.approx(24 + 2 * np.log(2000))


def test_a_level_that_stays_is_none() -> None:
    """From 5 to 40 % in the middle, for good: a changepoint, and in 30 draws no incident."""
    rng = np.random.default_rng(3)
    level = np.where(np.arange(3000) < 1500, 0.05, 0.4)
    assert [Series(rng.random(3000) < level).incidents() for _ in range(30)] == [[]] * 30


def test_an_outage_at_a_quiet_time_is_found_although_it_is_bad_later_anyway() -> None:
    """Around the outage 2 % fail, in the later half 35 %: what is compared lies nearby."""
    rng = np.random.default_rng(4)
    level = np.where(np.arange(4000) < 2000, 0.02, 0.35)
    level[1000:1060] = 0.5
    (window,) = Series(rng.random(4000) < level).incidents()
    assert window[0] == pytest.approx(1000, abs=10) and window[1] == pytest.approx(1060, abs=10)


def test_one_that_has_not_ended_is_found() -> None:
    """At the newest end of the history nothing lies after it."""
    bad = np.zeros(1000, bool)
    bad[970:] = True
    assert Series(bad).incidents() == [(970, 1000)]


def test_a_lull_does_not_make_two_of_one() -> None:
    """40 failures, 4 successes, 40 failures are one incident; with 200 successes between them they are two."""
    bad = np.zeros(2000, bool)
    bad[500:540] = bad[544:584] = True
    assert Series(bad).incidents() == [(500, 584)]
    bad[544:584] = False
    bad[740:780] = True
    assert sorted(Series(bad).incidents()) == [(500, 540), (740, 780)]


def test_newest_first_and_at_most_twenty() -> None:
    """Of thirty equal outages twenty are told, in descending order."""
    bad = np.zeros(30_000, bool)
    for start in range(500, 30_000, 1000):
        bad[start : start + 40] = True
    told = [incident["start"] for incident in found(columns_of(series(bad)))]
    assert len(told) == 20
    assert told == sorted(told, reverse=True)


def test_what_is_as_frequent_elsewhere_is_no_condition() -> None:
    """All tasks are of one script and on two nodes: neither tells anything of an outage."""
    bad = np.zeros(1000, bool)
    bad[400:450] = True
    rows = [
        attempt(status=row.status, finished_at=row.finished_at, script="/a.sh", node=f"n{place % 2}")
        for place, row in enumerate(series(bad))
    ]
    (incident,) = found(columns_of(rows))
    assert incident["where"] == []


def test_an_unknown_node_is_no_condition() -> None:
    """Failures without a node have nothing in common."""
    bad = np.zeros(1000, bool)
    bad[400:450] = True
    rows = [
        attempt(status=row.status, finished_at=row.finished_at, node=None if row.status == "crashed" else "n1")
        for row in series(bad)
    ]
    (incident,) = found(columns_of(rows))
    assert incident["where"] == []


def test_windows_without_a_time_are_left_out() -> None:
    """Outcomes of which no time is known have no order."""
    bad = [False] * 300 + [True] * 50 + [False] * 300
    assert found(columns_of(attempt(status="crashed" if each else "completed") for each in bad)) == []


@pytest.mark.parametrize(
    "columns",
    [
        Columns(),
        columns_of([attempt(status="crashed", finished_at=START)]),
        columns_of(series([True] * 500)),
        columns_of(series([False] * 500)),
        columns_of(series([True, False] * 200, every=0)),
        columns_of(series([True] * 40 + [False] * 300, every=-MINUTE)),
        columns_of(
            [attempt(status="crashed" if 100 <= n < 150 else "completed", finished_at=2**62) for n in range(400)]
        ),
        columns_of(
            [attempt(status="crashed" if 100 <= n < 150 else "completed", finished_at=-(2**62)) for n in range(400)]
        ),
        spoilt(outage(1000, 1)[0]),
        columns_of(series([100 <= n < 150 for n in range(400)], node="\x00\u202e" * 200)),
    ],
)
def test_strange_histories_have_an_answer(columns: Columns) -> None:
    """Empty, one task, all failed, none failed, one instant, backwards, beyond any calendar, unknown, hostile: a list, no exception or warning."""
    told: Any = incidents(columns, columns.outcomes(), zone=UTC)
    assert isinstance(told, list)
