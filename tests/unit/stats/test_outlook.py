"""Many jobs at once: tasks that run together, a queue that moves up, a history from a file."""

from dataclasses import replace

import pytest

from jobmgr.stats.forecast import Forecasts, Subject
from jobmgr.stats.outlook import Going, Waiting, begins, ends, etas_of
from jobmgr.stats.summary import columns_of
from tests.unit.stats.test_forecast import NOW, SECOND, lengths, run

ENCODE = Subject("encode", None, ())
STEADY = [run(i, s) for i, s in enumerate(lengths(40, 60, 0.02))]


@pytest.fixture
def steady() -> Forecasts:
    """Runs take a minute."""
    return Forecasts(columns_of(STEADY))


def going(job: int, seconds_ago: float, subject: Subject = ENCODE) -> Going:
    """A task that began so long ago."""
    return Going(job, subject, NOW - round(seconds_ago * SECOND))


def test_a_job_of_one_task_ends_with_it(steady: Forecasts) -> None:
    """As the forecast of the task says."""
    assert ends(steady, [going(7, 20)], now=NOW) == {7: steady.eta(ENCODE, 20 * SECOND, now=NOW)}


def test_a_job_of_many_tasks_ends_with_the_last() -> None:
    """The longest of ten is longer than most single ones."""
    model = Forecasts(columns_of([run(i, s) for i, s in enumerate(lengths(60, 60, 0.5))]))
    one = ends(model, [going(1, 0)], now=NOW)[1]
    ten = ends(model, [going(1, 0) for _ in range(10)], now=NOW)[1]
    assert ten["p50"] > one["p50"] * 1.3
    assert ten["basis"] == "60 runs of this name, for 10 tasks"


def test_what_of_a_job_still_waits_takes_its_rounds(steady: Forecasts) -> None:
    """Two run, five wait: three more rounds of a minute."""
    eta = ends(steady, [going(1, 30), going(1, 30)], now=NOW, waiting={1: 5})[1]
    assert 200 < eta["p50"] < 220


def test_the_queue_moves_up_as_slots_become_free(steady: Forecasts) -> None:
    """One slot, 40 of 60 seconds gone: the next begins in 20 s, the one after it a minute later."""
    queue = [Waiting(2, ENCODE), Waiting(3, ENCODE)]
    found = begins(steady, [going(1, 40)], queue, slots=1, now=NOW)
    assert found[2]["p50"] == pytest.approx(20, abs=5)
    assert found[3]["p50"] == pytest.approx(80, abs=8)
    assert found[3]["basis"] == "what runs in 1 slot and 1 task before it"
    assert found[3]["p10"] <= found[3]["p50"] <= found[3]["p90"]


def test_a_job_begins_with_the_first_of_its_tasks(steady: Forecasts) -> None:
    """The others come later."""
    queue = [Waiting(2, ENCODE)] * 3
    found = begins(steady, [going(1, 40)], queue, slots=1, now=NOW)
    assert found[2]["p50"] == pytest.approx(20, abs=5)


def test_a_free_slot_is_taken_at_once(steady: Forecasts) -> None:
    """Two slots, one attempt."""
    found = begins(steady, [going(1, 40)], [Waiting(2, ENCODE)], slots=2, now=NOW)
    assert found[2]["p90"] == 0


def test_without_any_history_no_begin_is_told() -> None:
    """Nothing ever ended here."""
    model = Forecasts(columns_of([]))
    assert begins(model, [going(1, 40)], [Waiting(2, ENCODE)], slots=1, now=NOW) == {}
    assert ends(model, [going(1, 0)], now=NOW) == {}


def test_what_nobody_knows_is_called_a_guess(steady: Forecasts) -> None:
    """A task of an unknown name is before it."""
    other = Subject("never seen", None, ())
    known = begins(steady, [going(1, 40)], [Waiting(2, ENCODE)], slots=1, now=NOW)
    unknown = begins(steady, [going(1, 40, other)], [Waiting(2, ENCODE)], slots=1, now=NOW)
    assert (known[2]["quality"], unknown[2]["quality"]) == ("rough", "guess")


def test_a_history_from_a_file_tells_of_what_ran_in_it() -> None:
    """Running jobs by their id; paused ones end when somebody resumes them, which nobody knows."""
    running = replace(
        run(90, 0),
        job_id="theirs-9",
        status="running",
        started_at=NOW - 20 * SECOND,
        finished_at=None,
        duration_us=None,
    )
    paused = replace(running, job_id="theirs-10", status="paused")
    etas = etas_of(columns_of([*STEADY, running, paused]), NOW)
    assert list(etas) == ["theirs-9"]
    assert 30 < etas["theirs-9"]["p50"] < 50
