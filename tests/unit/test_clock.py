"""Times as text, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.clock import parse_rfc3339, rfc3339

EIGHT = 1_763_798_400_000_000  # 2025-11-22T08:00:00Z


@pytest.mark.parametrize(
    ("text", "after_eight_us"),
    [
        ("2025-11-22T08:00:00Z", 0),
        ("2025-11-22t08:00:00z", 0),
        ("2025-11-22 08:00:00Z", 0),
        ("2025-11-22T09:30:00+01:30", 0),
        ("2025-11-21T20:00:00-12:00", 0),
        ("2025-11-22T08:00:00.25Z", 250_000),
        ("2025-11-22T08:00:00.123456789Z", 123_456),
    ],
)
def test_a_time_with_its_offset_is_read(text: str, after_eight_us: int) -> None:
    """Every form that RFC 3339 has, to the microsecond."""
    assert parse_rfc3339(text) == EIGHT + after_eight_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2025-11-22",
        "2025-11-22T08:00:00",
        "20251122T080000Z",
        "2025-W47-6T08:00:00Z",
        "2025-11-22T08:00Z",
        "2025-11-22T08:00:00 Z",
        "2025-11-22T24:00:00Z",
        "2025-02-30T08:00:00Z",
        "2025-11-22T08:00:60Z",
        "2025-11-22T08:00:00+25:00",
        "٢٠٢٥-11-22T08:00:00Z",
        "1763798400",
        "2025-11-22T08:00:00Z\n",
    ],
)
def test_what_is_no_such_time_is_none(text: str) -> None:
    """Nothing is guessed: no offset, no time."""
    assert parse_rfc3339(text) is None


@given(st.integers(0, 7_000_000_000_000))
def test_what_is_written_is_read(milliseconds: int) -> None:
    """To the millisecond, for two centuries."""
    assert parse_rfc3339(rfc3339(milliseconds * 1000)) == milliseconds * 1000


def test_times_at_the_ends_of_the_calendar_are_read() -> None:
    """An offset may lead out of it."""
    assert parse_rfc3339("0001-01-01T00:00:00+23:59") is not None
    assert parse_rfc3339("9999-12-31T23:59:59-23:59") is not None
