"""The hour and the day."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.stats.discovery.attributes import View
from jobmgr.stats.discovery.source_calendar import local_hours, of_history
from tests.unit.stats.discovery.views import UNKNOWN, names_of, told, view_of
from tests.unit.stats.histories import HOUR, START, attempt

DAY = 24 * HOUR
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    """Microseconds since the epoch of a time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def submitted(*times: int | None, zone: tzinfo = UTC) -> View:
    """Tasks that were submitted then."""
    return view_of((attempt(created_at=time, finished_at=START + n) for n, time in enumerate(times)), zone)


@pytest.mark.parametrize(
    ("utc", "hour"),
    [
        ("2026-03-29T00:59:59", 1),
        ("2026-03-29T01:00:00", 3),
        ("2026-10-25T00:30:00", 2),
        ("2026-10-25T01:30:00", 2),
        ("2026-10-25T02:00:00", 3),
    ],
)
def test_clocks_are_changed_as_the_zone_changes_them(utc: str, hour: int) -> None:
    """In spring an hour is missing, in autumn one comes twice."""
    assert local_hours(np.array([at(utc)]), BERLIN)[0].tolist() == [hour]


ZONES = ("UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Europe/Berlin", "Pacific/Kiritimati")


@given(st.lists(st.integers(-(10**15), 10**16), max_size=20), st.sampled_from(ZONES))
def test_hours_and_days_are_those_of_the_calendar(times: list[int], zone: str) -> None:
    """Whatever the zone, as Python's calendar has them; Monday is 0."""
    hours, weekdays = local_hours(np.array(times, "i8"), ZoneInfo(zone))
    moments = [datetime.fromtimestamp(time // 1_000_000, ZoneInfo(zone)) for time in times]
    # Before clocks were set by zones, local times differed by odd minutes; nothing here is so old.
    assert hours.tolist() == [moment.hour for moment in moments]
    assert weekdays.tolist() == [moment.weekday() for moment in moments]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("time", [-62_135_614_800_000_000, -(2**62), 253_402_300_799_000_000, 2**63 - 1])
def test_times_beyond_all_calendars_have_some_hour(zone: str, time: int) -> None:
    """The year 1, which programs write for what they do not know, and what comes after 9999."""
    hours, weekdays = local_hours(np.array([time]), ZoneInfo(zone))
    assert (0 <= hours[0] <= 23, 0 <= weekdays[0] <= 6) == (True, True)


def test_an_unknown_time_has_no_hour() -> None:
    """It is unknown, not the first hour of 1970."""
    view = submitted(*(START + number * HOUR for number in range(30)), None)
    assert told(of_history(view, 5), view, "submit.hour")[-2:] == [(14 + 29) % 24, UNKNOWN]


def test_hours_are_told_in_the_zone_of_the_view() -> None:
    """Half-hour zones included."""
    view = submitted(*(START + number * HOUR for number in range(30)), zone=ZoneInfo("Asia/Kolkata"))
    assert told(of_history(view, 5), view, "submit.hour")[0] == 19


def test_days_are_compared_after_three_weeks_and_hours_after_a_day() -> None:
    """Before, an hour or a day came hardly twice."""
    spans = {
        23 * HOUR: [],
        DAY: ["submit.hour"],
        20 * DAY: ["submit.hour"],
        21 * DAY: ["submit.hour", "submit.weekday"],
    }
    for span, names in spans.items():
        view = submitted(*(START + span * number // 10 for number in range(11)))
        assert names_of(of_history(view, 10)) == names


def test_the_day_of_the_week_begins_with_monday() -> None:
    """2026-03-03 is a Tuesday."""
    view = submitted(*(START + number * DAY for number in range(25)), None)
    assert told(of_history(view, 5), view, "submit.weekday") == [(1 + number) % 7 for number in range(25)] + [UNKNOWN]


def test_hardly_known_times_are_no_attribute() -> None:
    """Fewer than must match a pattern."""
    assert names_of(of_history(submitted(START, START + 30 * DAY, None, None), 3)) == []
