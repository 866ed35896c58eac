"""The figures of the live feed: their bounds are held, and a table says what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from bench.live import missed, table

CROWD = {
    "watchers": 1000,
    "deaf": 0,
    "jobs": 3750,
    "serverCpu": 0.254,
    "clientCpu": 0.3,
    "growthMiB": 32.3,
    "closed": 0,
    "changes": 16_700,
    "perSecond": 556.7,
    "slowestSecond": 500,
    "missing": 0,
    "wrong": [],
    "p50Ms": 26.5,
    "p99Ms": 1000.0,
    "maxMs": 1100.0,
}
ROUND = {
    "bytesEach": 25_000,
    "joinedPerSecond": 2000,
    "replyMs": 4.0,
    "told": True,
    "lastToldMs": 400.0,
    "withMiB": 340.0,
    "leftMiB": 341.0,
    "wrong": [],
}


def results(part: str = "", number: int = 0, **other: Any) -> dict[str, Any]:
    """Figures just within the bounds, but for these of a part (of idle sockets: of the round of this number)."""
    rounds = [ROUND | (other if part == "rounds" and number == n else {}) for n in range(2)]
    found: dict[str, Any] = {
        "fanOut": dict(CROWD),
        "unread": CROWD | {"watchers": 500, "deaf": 500, "closed": 499},
        "idle": {"sockets": 10_000, "beforeMiB": 139.0, "rounds": rounds},
        "leaving": {"sockets": 100, "answeringS": 3.0, "silentS": 3.0},
        "throughput": [{"watchers": 0, "jobsPerSecond": 612.3, "changesPerSecond": 1255.0}],
    }
    if part and part != "rounds":
        found[part] |= other
    return found


def test_figures_on_the_bounds_are_met() -> None:
    """Nothing is said."""
    assert missed(results()) == []


@pytest.mark.parametrize(
    ("part", "other", "said"),
    [
        ("fanOut", {"watchers": 999}, "999 watched"),
        ("fanOut", {"perSecond": 499.9}, "499.9 changes a second were driven"),
        ("fanOut", {"slowestSecond": 499}, "499 in the slowest"),
        ("fanOut", {"p99Ms": 1000.1}, "after 1000.1 ms"),
        ("fanOut", {"growthMiB": 95.4}, "grew by 95.4 MiB"),
        ("fanOut", {"missing": 1}, "live: 1 events did not arrive"),
        ("fanOut", {"wrong": ["a watcher got event 3 as number 2"]}, "a watcher got event 3 as number 2"),
        ("unread", {"missing": 1}, "beside watchers that never read"),
        ("idle", {"sockets": 9999}, "9,999 idle sockets could be opened"),
        ("rounds", {"bytesEach": 25_001}, "takes 25,001 bytes"),
        ("rounds", {"told": False}, "not all of crowd 1 were told"),
        ("leaving", {"answeringS": 3.01}, "answering clients the server left after 3.01 s"),
        ("leaving", {"silentS": 3.01}, "silent clients the server left after 3.01 s"),
    ],
)
def test_each_missed_bound_is_a_sentence(part: str, other: dict[str, Any], said: str) -> None:
    """One, that says what was found."""
    [sentence] = missed(results(part, **other))
    assert said in sentence


def test_memory_that_a_second_crowd_needs_besides_is_a_leak() -> None:
    """A few MiB are none."""
    assert missed(results("rounds", 1, withMiB=350.0)) == []
    assert "10.1 MiB more" in missed(results("rounds", 1, withMiB=350.1))[0]


def test_the_table_has_a_row_a_crowd_and_sentences_about_the_rest() -> None:
    """Readers beside those who never read are a row of their own."""
    text = table(results())
    assert "| 1,000 | 557 | 26 ms | 1,000 ms | 1,100 ms | 32.3 MiB | 25 % | 30 % |" in text
    assert "| 500, beside 500 that never read |" in text
    assert "| 0 | 612 | 1,255 |" in text
    assert "Every watcher had every one. Of the 500 that never read 499 were closed by the end." in text
    assert "10,000 idle WebSockets take 25.0 kB each" in text


def test_events_that_did_not_arrive_are_told() -> None:
    """In the place where it would say that all did."""
    assert "7 did not arrive." in table(results("fanOut", missing=7))
