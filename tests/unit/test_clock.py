"""Times as text, strictly RFC 3339."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.clock import parse_rfc3339, rfc3339

AT = 1_763_798_400_000_000  # 2025-11-22T08:00:00Z


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2025-11-22T08:00:00Z", AT),
        ("2025-11-22t08:00:00z", AT),
        ("2025-11-22T08:00:00.25Z", AT + 250_000),
        ("2025-11-22T08:00:00.1234567Z", AT + 123_456),
        ("2025-11-22T09:30:00+01:30", AT),
        ("2025-11-22T00:00:00-08:00", AT),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000_000),
    ],
)
def test_a_time_is_read(text: str, us: int) -> None:
    """With any offset and fraction; what is finer than a microsecond is cut off."""
    assert parse_rfc3339(text) == us


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2025-11-22", "2025-11-22 08:00:00Z", "2025-11-22T08:00:00", "2025-11-22T08:00Z", "20251122T080000Z",
        "2025-02-30T00:00:00Z", "2025-13-01T00:00:00Z", "2025-11-22T24:00:00Z", "2025-11-22T08:60:00Z", "2025-11-22T08:00:61Z",
        "2025-11-22T08:00:00+24:00", "2025-11-22T08:00:00+01:60", "2025-11-22T08:00:00+0100", "2025-11-22T08:00:00.Z",
        "0000-01-01T00:00:00Z", "٢٠٢٥-11-22T08:00:00Z", "2025-11-22T08:00:00Z\n", "1763798400",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """No date alone, no time without an offset, no day that does not exist."""
    assert parse_rfc3339(text) is None


@given(st.integers(0, 253_402_300_799_999))
def test_what_is_shown_is_read_back(ms: int) -> None:
    """To the millisecond that is shown."""
    assert parse_rfc3339(rfc3339(ms * 1000)) == ms * 1000
