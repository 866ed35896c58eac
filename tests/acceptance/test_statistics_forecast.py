"""Forecasts judged on real logs that are no part of jobmgr (D7): honest landmarks, the same name's quantiles to beat, and intervals that hold."""

from functools import cache

import pytest

from bench.cases.traces import FILES, trace_file
from bench.forecasts import LANDMARKS_S, Judgement, history, judge
from jobmgr.history import HistoryRow

FEW, MANY = 500, 3000


@cache
def rows_of(name: str) -> list[HistoryRow]:
    """A log is read once for all tests of it."""
    return history(name)


@cache
def judged(name: str, landmark_s: int, jobs: int) -> Judgement:
    """Our forecasts of these jobs, and others'."""
    return judge(rows_of(name), landmark_s, jobs=jobs)


@pytest.fixture(params=FILES)
def log(request: pytest.FixtureRequest) -> str:
    """Each log that is here."""
    name = str(request.param)
    if trace_file(name) is None:
        pytest.skip(f"the log {name} is no part of jobmgr, and not here; JOBMGR_TRACES names its folder")
    return name


@pytest.fixture
def jobs(request: pytest.FixtureRequest) -> int:
    """How many jobs of a log are asked about."""
    return MANY if request.config.getoption("--stats") else FEW


def test_at_the_start_it_beats_the_quantiles_of_the_same_name(log: str, jobs: int) -> None:
    """The loss is at least 10 % lower than that of what jobs of the name took before."""
    assert judged(log, 0, jobs).better_by >= 0.10


def test_after_ten_minutes_it_still_beats_them(log: str, jobs: int) -> None:
    """Of jobs that have run for 10 minutes it says more than the earlier ones of the name that ran longer."""
    assert judged(log, 600, jobs).better_by >= 0.03


@pytest.mark.parametrize("landmark_s", LANDMARKS_S)
def test_eight_of_ten_jobs_end_within_their_interval(log: str, jobs: int, landmark_s: int) -> None:
    """From p10 to p90 lie 72 to 88 % of the true times."""
    assert 0.72 <= judged(log, landmark_s, jobs).covered <= 0.88


@pytest.mark.parametrize("landmark_s", LANDMARKS_S)
def test_the_risk_of_a_crash_beats_the_rate_of_the_name(log: str, jobs: int, landmark_s: int) -> None:
    """Having run so long tells more about a crash than the share that crashed, of the name or of all."""
    found = judged(log, landmark_s, jobs)
    assert found.risk_loss < min(found.risk_loss_of_name, found.risk_loss_of_all)


def test_a_declared_limit_makes_it_better_still(log: str, jobs: int) -> None:
    """Known limits cut off what cannot be."""
    found = judged(log, 600, jobs)
    assert found.loss_with_limit < found.loss


def test_few_are_unusually_long_and_more_of_them_crash(log: str, jobs: int) -> None:
    """An alarm for a few jobs in a hundred, and on these logs a sign of failure."""
    found = judged(log, 0, jobs)
    assert 0 < found.unusual < 0.08
    assert found.crashed_unusual > found.crashed_others
