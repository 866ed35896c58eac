"""The words that options take: durations, times, pairs, ids."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from jobmgr.cli import options


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("250ms", 0.25)],
)
def test_a_duration_is_seconds_or_has_units(text: str, seconds: float) -> None:
    """As people write them."""
    assert options.DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "x", "5 minutes", "-1", "1h30", "h", "1e3", "٣"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """With the forms that are."""
    with pytest.raises(click.BadParameter, match="30s, 5m"):
        options.DURATION.convert(text, None, None)


def test_a_time_may_be_how_long_ago() -> None:
    """`2h` is two hours before now, in UTC."""
    before = datetime.now(UTC) - timedelta(hours=2)
    given = datetime.fromisoformat(options.MOMENT.convert("2h", None, None))
    assert abs((given - before).total_seconds()) < 60


def test_a_time_may_be_written_out() -> None:
    """With a zone, which is converted."""
    assert options.MOMENT.convert("2026-11-22T09:00:00+01:00", None, None) == "2026-11-22T08:00:00.000Z"


@pytest.mark.parametrize("text", ["yesterday", "25:00", "", "999999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With the forms that are."""
    with pytest.raises(click.BadParameter, match="1h, 2d"):
        options.MOMENT.convert(text, None, None)


def test_a_pair_is_cut_at_its_first_mark() -> None:
    """The value may hold more of them, and be empty."""
    assert options.PAIR.convert("A=b=c", None, None) == ("A", "b=c")
    assert options.PAIR.convert("A=", None, None) == ("A", "")


@pytest.mark.parametrize("text", ["A", "=b", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    """A name and the mark are needed."""
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        options.PAIR.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "job"), [("job-7", "job-7"), ("7", "job-7"), ("7.3", "job-7.3"), ("job-7.0", "job-7.0")]
)
def test_a_job_goes_by_its_number_too(text: str, job: str) -> None:
    """Nobody likes to type `job-`."""
    assert options.JOB.convert(text, None, None) == job


@pytest.mark.parametrize("text", ["", "job-", "job-07", "x", "../stats", "7.", "job-7/output"])
def test_what_is_no_job_is_refused_before_the_server_is_asked(text: str) -> None:
    """Least of all does it become another path."""
    with pytest.raises(click.BadParameter, match="is no job"):
        options.JOB.convert(text, None, None)


def test_a_name_that_is_given_twice_is_refused() -> None:
    """Which of the two was meant cannot be known."""
    with pytest.raises(click.UsageError, match="--env A is given twice"):
        options.pairs((("A", "1"), ("A", "2")), "--env")
