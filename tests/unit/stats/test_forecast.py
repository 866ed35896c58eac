"""Forecasts on histories whose truth is known: what is learnt from, what is cut off, what outlived all, and what little can be said."""

import math
import random
import warnings
from collections.abc import Sequence
from dataclasses import replace

import pytest

from jobmgr.history import HistoryRow
from jobmgr.stats.columns import Columns
from jobmgr.stats.eta import span
from jobmgr.stats.forecast import Forecasts, Subject
from jobmgr.stats.summary import columns_of

SECOND = 1_000_000
NOW = 2_000_000_000 * SECOND


def run(
    number: int,
    seconds: float,
    *,
    name: str | None = "encode",
    status: str = "completed",
    cause: str | None = None,
    args: tuple[str, ...] | None = (),
    group: str | None = None,
) -> HistoryRow:
    """The run of a job that ended a second after the one before."""
    end = NOW - 10_000_000 * SECOND + number * SECOND
    duration = round(seconds * SECOND)
    return HistoryRow(
        f"job-{number}", 0, name, "/x.sh", args, 0, group, "here", end - duration, end - duration, end, status, cause,
        None, None, 1, 1, 0, duration, 0, None, None, None, None, None, 1,
    )  # fmt: skip


def forecasts(rows: Sequence[HistoryRow]) -> Forecasts:
    """What a history says."""
    return Forecasts(columns_of(rows))


def subject(name: str | None = "encode", args: tuple[str, ...] | None = (), **known: float) -> Subject:
    """A run of the name that most tests use."""
    return Subject(name, None, args, **known)


def lengths(count: int, median: float, spread: float, seed: int = 1) -> list[float]:
    """Lengths of runs, log-normal."""
    draw = random.Random(seed)
    return [median * math.exp(draw.gauss(0, spread)) for _ in range(count)]


def test_a_steady_job_is_forecast_closely() -> None:
    """Runs of a minute, within 5 %: another one takes about a minute, and this is said to be good."""
    eta = forecasts([run(i, s) for i, s in enumerate(lengths(40, 60, 0.05))]).eta(subject(), 0, now=NOW)
    assert eta is not None
    assert 50 < eta["p10"] < eta["p50"] < eta["p90"] < 75
    assert (eta["quality"], eta["basis"]) == ("good", "40 runs of this name")
    assert eta["at"] == pytest.approx(NOW / SECOND + eta["p50"], abs=0.01)


def test_what_has_passed_is_no_more_to_come() -> None:
    """After 45 of 60 seconds about 15 are left."""
    eta = forecasts([run(i, s) for i, s in enumerate(lengths(40, 60, 0.05))]).eta(subject(), 45 * SECOND, now=NOW)
    assert eta is not None
    assert 10 < eta["p50"] < 20


def test_runs_that_were_stopped_are_no_ends() -> None:
    """Half of the runs were stopped after 10 s, the others took 100 s: another one takes about 100 s, not 10."""
    rows = [run(i, 10, status="stopped", cause="stop") if i % 2 else run(i, 100) for i in range(40)]
    expected = forecasts(rows).expect(subject(), 0)
    assert expected.left[0] > 90


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("stopped", "stop"),
        ("stopped", "shutdown"),
        ("lost", "reboot"),
        ("crashed", "timeout"),
        ("retried", "deadline"),
        ("paused", "checkpoint"),
    ],
)
def test_whatever_was_cut_off_would_have_gone_on(status: str, cause: str) -> None:
    """A time limit, a reboot, a checkpoint are no ends of the program itself."""
    rows = [run(i, 10, status=status, cause=cause) if i % 2 else run(i, 100) for i in range(40)]
    assert forecasts(rows).expect(subject(), 0).left[1] > 90


def test_a_crash_is_an_end() -> None:
    """Runs that crash after 10 s do take 10 s."""
    rows = [run(i, 10, status="crashed", cause="exit") if i % 4 else run(i, 100) for i in range(40)]
    assert forecasts(rows).expect(subject(), 0).left[1] == pytest.approx(10, abs=1)


def test_the_risk_follows_from_how_long_it_has_run() -> None:
    """Half crash after 10 s, the others complete after 100: at the start the risk is a half, after 20 s it is small."""
    rows = [run(i, 10, status="crashed", cause="exit") if i % 2 else run(i, 100) for i in range(60)]
    model = forecasts(rows)
    at_start, later = (model.eta(subject(), at * SECOND, now=NOW) for at in (0, 20))
    assert at_start is not None and later is not None
    assert at_start["failureRisk"] == pytest.approx(0.5, abs=0.1)
    assert later["failureRisk"] is not None and later["failureRisk"] < 0.1


def test_newer_runs_count_more_where_a_name_changes() -> None:
    """A job that took 10 s and now takes 100 is expected to take 100."""
    rows = [run(i, s) for i, s in enumerate(lengths(40, 10, 0.2) + lengths(15, 100, 0.2))]
    assert forecasts(rows).expect(subject(), 0).left[1] > 60


def test_older_runs_count_the_same_where_nothing_changes() -> None:
    """Of a steady name with a wide spread the whole of it is seen: the last few runs do not narrow the interval."""
    draw = [1.0, 100.0] * 30 + [100.0] * 6
    p10, _, p90 = forecasts([run(i, s) for i, s in enumerate(draw)]).expect(subject(), 0).left
    assert (p10, p90) == (1, 100)


def test_arguments_tell_runs_of_a_name_apart() -> None:
    """`encode --big` takes a hundred times as long as `encode --small`."""
    rows = [run(i, 1000, args=("--big",)) if i % 2 else run(i, 10, args=("--small",)) for i in range(60)]
    model = forecasts(rows)
    assert model.expect(subject(args=("--big",)), 0).left[1] > 500
    assert model.expect(subject(args=("--small",)), 0).left[1] < 20


def test_a_new_name_is_like_its_family() -> None:
    """`encode-99` was never run, but `encode-1` to `encode-30` were."""
    rows = [run(i, 50, name=f"encode-{i}") for i in range(30)] + [run(30 + i, 5, name="other") for i in range(30)]
    eta = forecasts(rows).eta(subject("encode-99"), 0, now=NOW)
    assert eta is not None
    assert (eta["p50"], eta["basis"], eta["quality"]) == (50, "30 runs of similar names", "guess")


def test_a_timeout_is_a_cap() -> None:
    """What is cut off after 60 s cannot take longer, and that it is cut off is a crash."""
    rows = [run(i, 100) for i in range(30)]
    expected = forecasts(rows).expect(subject(timeout_s=60), 20)
    assert expected.left == (40, 40, 40)
    assert expected.risk is not None and expected.risk > 0.9


def test_what_has_outlived_all_is_a_guess() -> None:
    """Nobody knows when it ends: about as long again as it has run, from a tenth to ten times, and said to be a guess."""
    eta = forecasts([run(i, s) for i, s in enumerate(lengths(30, 60, 0.1))]).eta(subject(), 3600 * SECOND, now=NOW)
    assert eta is not None
    assert (eta["p10"], eta["p50"], eta["p90"]) == (400.0, 3600.0, 32400.0)
    assert (eta["quality"], eta["longerThanUsual"]) == ("guess", True)
    assert "unusually long" in eta["sentence"] and "fail" not in eta["sentence"]


def test_unusual_is_told_from_eight_runs_on() -> None:
    """With seven runs nobody knows what is usual."""
    rows = [run(i, 60) for i in range(8)]
    assert forecasts(rows[:7]).usual_us(subject()) is None
    usual = forecasts(rows).usual_us(subject())
    assert usual is not None and usual >= 120 * SECOND


def test_a_second_is_never_unusually_long() -> None:
    """Runs of a tenth of a second: one of 9 s is not yet worth a word."""
    rows = [run(i, 0.1) for i in range(30)]
    assert forecasts(rows).usual_us(subject()) == 10 * SECOND


def test_without_any_history_it_is_a_guess_or_nothing() -> None:
    """Nothing has ever run: of a run that begins nothing can be said, of one that has lasted a guess."""
    model = forecasts([])
    assert model.eta(subject(), 0, now=NOW) is None
    eta = model.eta(subject(), 60 * SECOND, now=NOW)
    assert eta is not None
    assert (eta["p50"], eta["quality"], eta["failureRisk"]) == (60, "guess", None)


def test_what_is_put_later_is_known_at_once() -> None:
    """New ends count without the index being made anew, and removed ones do not."""
    columns = columns_of([run(i, 10) for i in range(30)])
    model = Forecasts(columns)
    assert model.expect(subject(), 0).left[1] == 10
    for number in range(30, 60):
        columns.put(number, [run(number, 100)])
    columns.settle()
    assert model.expect(subject(), 0).left[1] == 100
    columns.forget(range(30, 60))
    assert model.expect(subject(), 0).left[1] == 10


def test_an_index_with_late_rows_says_what_a_new_one_says() -> None:
    """Rows that came after the index was made are found like those in it."""
    draw = random.Random(5)
    rows = [
        run(i, draw.uniform(1, 100), name=f"job-{draw.randrange(5)}" if i % 3 else None, group=draw.choice(["a", None]),
            args=(str(draw.randrange(2)),), status=draw.choice(["completed", "crashed", "stopped"]))
        for i in range(900)
    ]  # fmt: skip
    columns = columns_of(rows[:600])
    grown = Forecasts(columns)
    grown.expect(subject(), 0)
    for number, row in enumerate(rows[600:], 600):
        columns.put(number, [row])
    columns.settle()
    for name in (*(f"job-{i}" for i in range(5)), "job-77", "none", None):
        asked = Subject(name, "a", ("1",))
        assert grown.expect(asked, 5) == forecasts(rows).expect(asked, 5)


def test_only_what_had_ended_before_is_known() -> None:
    """An honest judgement of the past: `until` hides what came later."""
    rows = [run(i, 10) for i in range(20)] + [run(20 + i, 100) for i in range(20)]
    until = rows[20].finished_at
    assert forecasts(rows).expect(subject(), 0, until=until) == forecasts(rows[:20]).expect(subject(), 0)


@pytest.mark.parametrize(
    "odd",
    [
        run(0, 0),
        run(0, 5, name=None, args=None),
        replace(run(0, 5), duration_us=None),
        replace(run(0, 5), finished_at=None, started_at=None, created_at=None),
        replace(run(0, 5), status="running"),
        run(0, 5, status="failed", cause="spawn_error"),
        run(0, 5, name="\x00\ud800 9" * 400, args=("\ud800",) * 300),
        run(0, 9e11),
    ],
)
@pytest.mark.parametrize("copies", [1, 30])
@pytest.mark.parametrize("elapsed_s", [0, 3, 1e12])
def test_odd_histories_are_borne(odd: HistoryRow, copies: int, elapsed_s: float) -> None:
    """Whatever is in a history, what is said is finite and in order, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = forecasts([replace(odd, job_id=f"job-{i}") for i in range(copies)])
        for asked in (
            Subject(odd.job_name, odd.group, odd.args),
            Subject(None, None, None),
            Subject("x", "y", ("z",), 5.0),
        ):
            eta = model.eta(asked, round(elapsed_s * SECOND), now=NOW)
            if eta is not None:
                assert 0 <= eta["p10"] <= eta["p50"] <= eta["p90"] < math.inf
                assert eta["failureRisk"] is None or 0 <= eta["failureRisk"] <= 1


def test_a_million_names_do_not_fill_the_memory() -> None:
    """Models are kept, but only so many."""
    model = Forecasts(Columns())
    for number in range(2500):
        model.expect(subject(f"name {number}"), 1)
    assert len(model._models) <= 2000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.256, "0.26 s"), (9.6, "10 s"), (59.7, "1 min"), (200, "3 min 20 s"), (605, "10 min"), (7200, "2 h"), (187_200, "2 d 4 h")],
)  # fmt: skip
def test_times_in_words(seconds: float, words: str) -> None:
    """Two units at most, and the smaller one only where it matters."""
    assert span(seconds) == words
