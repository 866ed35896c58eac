"""The server is killed with -9 at each point of a job's life (FAULTS 1, 2, 3, 6, 7, 8, 13), and the next one finds everything as it must be."""

import http.client
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.faults.servers import Site, check_truth, submission
from tests.waiting import eventually_blocking

SUBMITTING = ["a submission before its commit", "a submission after its commit"]
LIVING = [
    "a claim before it is sent",
    "a claim after it is sent",
    "a begin before it is noted",
    "an end before it is judged",
    "an end before its commit",
    "an end after its commit",
    "an end before it is acknowledged",
    "an end after it is acknowledged",
    "a retry before its commit",
    "a retry after its commit",
]
STOPPING = ["a stop after its commit", "a stop after it is sent"]
RECOVERING = [
    "a recovery before it decides",
    "a recovery before its commit",
    "a recovery after its commit",
    "a recovery before it claims",
]
RETRY = {"retry": {"maxAttempts": 2, "delay": 0.05}}


def dies(site: Site) -> None:
    """The server that was told to has killed itself."""
    assert site.server.exit_code() == -9


@pytest.mark.parametrize("point", SUBMITTING)
def test_fault_1_and_2_the_same_key_gives_one_job_whenever_the_server_died(site: Site, point: str) -> None:
    """Nobody got an answer; asked again with the key there is one job, and it ran once."""
    site.start(dies_at=point)
    with pytest.raises((OSError, http.client.HTTPException)):
        site.server.submit(0, 0, key="once")
    dies(site)
    site.start()
    assert len(site.server.get("/jobs")) == SUBMITTING.index(point)
    first, again = (site.server.ask("POST", "/jobs", submission(0, 0), key="once") for _ in range(2))
    assert first.body["jobId"] == again.body["jobId"] == "job-0"
    assert [job["status"] for job in site.server.wait_all_finished()] == ["completed"]
    assert len(site.began()) == 1
    check_truth(site)


@pytest.mark.parametrize("point", LIVING)
def test_faults_3_to_8_a_server_that_dies_within_an_attempt_neither_repeats_nor_forgets_it(
    site: Site, point: str
) -> None:
    """Crash then pass, and a crash that stays: each attempt began once and kept its code, wherever the server died."""
    site.start(dies_at=point)
    jobs = [submission(2, 3, "once", **RETRY), submission(1, 7, retry=False)]
    try:
        site.server.ask("POST", "/jobs", jobs)
    except (OSError, http.client.HTTPException):
        pass  # It died with the answer under way.
    dies(site)
    site.start()
    passed, crashed = site.server.wait_all_finished()
    assert (passed["status"], passed["retries"], passed["exitCode"]) == ("completed", 1, 0)
    assert (crashed["status"], crashed["retries"], crashed["exitCode"]) == ("crashed", 0, 7)
    assert [len(site.server.attempts(job)) for job in ("job-0", "job-1")] == [2, 1]
    assert len(site.began()) == 3
    check_truth(site)


def test_fault_7_a_job_that_ends_while_no_server_is_there_keeps_its_code_signal_and_duration(site: Site) -> None:
    """The keeper saw it."""
    site.start(dies_at="an end before it is judged")
    answer = site.server.ask("POST", "/jobs", [submission(10, code, retry=False) for code in (0, 9, "KILL")])
    jobs = [reply["jobId"] for reply in answer.body]
    site.server.submit(1, 0)
    dies(site)
    eventually_blocking(lambda: len(site.returned()) == 4 and not site.jobs_alive())
    site.start()
    rows = {row["jobId"]: row for row in site.server.get("/jobs")}
    ends = [(rows[job]["status"], rows[job]["exitCode"], rows[job]["signal"]) for job in jobs]
    assert ends == [("completed", 0, None), ("crashed", 9, None), ("crashed", None, "SIGKILL")]
    assert all(400 <= rows[job]["duration"] < 10_000 for job in jobs)
    check_truth(site)


@pytest.mark.parametrize("point", STOPPING)
def test_a_stop_whose_answer_was_under_way_is_still_a_stop(site: Site, point: str) -> None:
    """It was committed: the next server sends it again, and the job is `stopped`, not crashed and tried again."""
    site.start(dies_at=point)
    job = site.server.submit("until", 0)
    eventually_blocking(site.began)
    with pytest.raises((OSError, http.client.HTTPException)):
        site.server.stop(job)
    dies(site)
    site.start()
    assert site.server.wait_status(job)["status"] == "stopped"
    assert len(site.server.attempts(job)) == 1
    check_truth(site)


def test_a_stop_that_was_not_committed_was_never_asked(site: Site) -> None:
    """The client got no answer, and the job goes on."""
    site.start(dies_at="a stop before its commit")
    job = site.server.submit("until", 0)
    eventually_blocking(site.began)
    with pytest.raises((OSError, http.client.HTTPException)):
        site.server.stop(job)
    dies(site)
    site.start()
    assert site.server.job(job)["status"] == "running"
    site.go()
    assert site.server.wait_status(job)["status"] == "completed"
    check_truth(site)


def test_a_stop_that_was_answered_is_a_stop_after_a_kill_at_once(site: Site) -> None:
    """Of what runs, waits for its next attempt, and waits for a slot."""
    site.start(MAX_CONCURRENT_TASKS="2")
    running = site.server.submit("until", 0)
    retried = site.server.submit(0, 5, retry={"maxAttempts": 2, "delay": 60})
    site.server.wait_status(retried, "retried")
    many = site.server.submit("until", 0, numTask=5)
    for job in (running, retried, many):
        site.server.stop(job)
    site.server.kill()
    site.start()
    for job in (running, retried, many):
        assert site.server.wait_status(job)["status"] == "stopped"
    assert site.server.job(retried)["exitCode"] == 5
    check_truth(site)


def test_fault_13_a_server_that_dies_in_each_step_of_its_recovery_is_recovered_by_the_next(site: Site) -> None:
    """What runs is taken up in the end: same attempt, same process."""
    site.start()
    job = site.server.submit("until", 4, retry=False)
    ending = site.server.submit(3, 6, retry=False)
    waiting = site.server.submit(0, 0, retry={"maxAttempts": 3, "delay": 0.1}, numTask=12)
    pid = site.server.pid_of(job)
    site.server.kill()
    for point in RECOVERING:
        site.begin_start(dies_at=point)
        dies(site)
    site.start()
    assert (site.server.job(job)["status"], site.server.job(job)["pid"]) == ("running", pid)
    site.go()
    assert site.server.wait_status(job)["exitCode"] == 4
    assert site.server.wait_status(ending)["exitCode"] == 6
    assert site.server.wait_status(waiting)["status"] == "completed"
    check_truth(site)
