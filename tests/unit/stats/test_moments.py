"""Instants in words: the day and clock of the zone, and an answer for instants that no calendar has."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from jobmgr.stats import moments
from tests.unit.stats.histories import HOUR, MINUTE, START


def test_an_instant_is_told_in_its_zone() -> None:
    """14:00 UTC is half past seven in the evening in India, and the next day in Kiribati."""
    assert moments.told(START, UTC) == "14:00 on 3 March 2026"
    assert moments.told(START, ZoneInfo("Asia/Kolkata")) == "19:30 on 3 March 2026"
    assert moments.told(START, ZoneInfo("Pacific/Kiritimati")) == "04:00 on 4 March 2026"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0, "At 14:00 on 3 March 2026"),
        (MINUTE - 1, "At 14:00 on 3 March 2026"),
        (2 * HOUR + 5 * MINUTE, "Between 14:00 and 16:05 on 3 March 2026"),
        (12 * HOUR, "Between 14:00 on 3 March 2026 and 02:00 on 4 March 2026"),
    ],
)
def test_a_window_names_its_day_once_if_it_can(length: int, words: str) -> None:
    """One clock, two clocks, or two days."""
    assert moments.told_between(START, START + length, UTC) == words


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (-HOUR, "just now"),
        (MINUTE - 1, "just now"),
        (MINUTE, "1 minute ago"),
        (2 * HOUR, "2 hours ago"),
        (47 * HOUR, "1 day ago"),
        (24_000 * HOUR, "1,000 days ago"),
    ],
)
def test_how_long_ago_is_in_the_largest_unit(before: int, words: str) -> None:
    """Whole units only; what is still to come is just now."""
    assert moments.ago(START - before, START) == words


@pytest.mark.parametrize("at", [2**63 - 1, -(2**63), 0, -1])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_every_number_is_some_instant(at: int, zone: str) -> None:
    """Beyond the calendar its first or last day is shown."""
    assert moments.shown(at).endswith("Z")
    assert " on " in moments.told(at, ZoneInfo(zone))
