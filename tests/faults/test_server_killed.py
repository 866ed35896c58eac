"""30 jobs in all stages, and kill -9 of the server, of its keeper, of an earlier server's keeper, and of both (FAULTS 6, 7, 9, 10, 11).

How long no server is there is FAULTS_AWAY_S (seconds; see docs/reliability.md).
"""

import contextlib
import os
import random
import signal
import sys
import time
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.faults.servers import Server, Site, check_truth, submission
from tests.waiting import eventually_blocking

AWAY_S = float(os.environ.get("FAULTS_AWAY_S", "2"))
ALL_END_S = 5.0
"""Longer than any job of `thirty_jobs` takes: they end, and their successors wait, while no server is there."""


def thirty_jobs() -> list[dict[str, Any]]:
    """Jobs that will be running, long and short, crashing, passing at the second try, waiting for it, waiting for a slot, of many tasks."""
    once = {"retry": {"maxAttempts": 2, "delay": 0.3}}
    return [
        *(submission(60 + n, n) for n in range(4)),
        *(submission(n, n % 3, retry=False) for n in range(6)),
        *(submission(3, 9, "once", **once) for _ in range(5)),
        *(submission(2, 5, **once) for _ in range(4)),
        *(submission(1, 6, "once", retry={"maxAttempts": 2, "delay": 2}) for _ in range(2)),
        *(submission(2, "KILL", retry=False) for _ in range(2)),
        submission(1, 0, numTask=12),
        submission(2, 3, "once", numTask=6, **once),
        *(submission("until", 0) for _ in range(2)),  # To be stopped.
        *(submission(4, n, priority=-5, retry=False) for n in range(3)),
    ]


def submit_thirty(server: Server) -> list[str]:
    """Their ids."""
    answer = server.ask("POST", "/jobs", thirty_jobs())
    assert answer.status == 201 and len(answer.body) == 30
    return [reply["jobId"] for reply in answer.body]


def running(server: Server) -> dict[str, int]:
    """The pid of each running attempt, by run."""
    attempts = [attempt for job in server.get("/jobs") for attempt in server.attempts(job["jobId"])]
    return {found["run"]: found["pid"] for found in attempts if found["status"] == "running" and found["pid"]}


def stop_some(site: Site, jobs: list[str]) -> None:
    """Ask for the stop of those that end in no other way."""
    for job in jobs:
        with contextlib.suppress(AssertionError):  # 409: it is stopped already.
            site.server.stop(job)


def check_thirty(site: Site, jobs: list[str], pids: dict[str, int]) -> None:
    """Everything is true, and nothing but what is meant to crash or to be stopped did."""
    check_truth(site)
    rows = {row["jobId"]: row for row in site.server.get("/jobs")}
    expected = ["completed"] + ["crashed"] * 3 + ["completed", "crashed", "crashed"] * 2
    expected += ["completed"] * 5 + ["crashed"] * 4 + ["completed"] * 2 + ["crashed"] * 2 + ["completed"] * 2
    expected += ["stopped"] * 2 + ["completed", "crashed", "crashed"]
    assert [rows[job]["status"] for job in jobs] == expected
    attempts = {attempt["run"]: attempt for job in jobs for attempt in site.server.attempts(job)}
    assert {run: attempts[run]["pid"] for run in pids} == pids


@pytest.mark.timeout(120 + 3 * AWAY_S)
@pytest.mark.parametrize(("away", "seed"), [(0.0, 1), (AWAY_S, 2), (ALL_END_S, 3)])
def test_thirty_jobs_survive_three_kills_of_the_server(site: Site, away: float, seed: int) -> None:
    """Each attempt began once, kept its code and its output; what ran is taken up with the same process."""
    chance = random.Random(seed)
    jobs = submit_thirty(site.start())
    pids: dict[str, int] = {}
    for kill in range(3):
        time.sleep(chance.uniform(0.0, 0.8))
        pids |= running(site.server)
        if kill == 1:
            stop_some(site, jobs[25:27])
        site.server.kill()
        if away == ALL_END_S and kill == 0:
            eventually_blocking(
                lambda: len(site.jobs_alive()) <= 2 * 2
            )  # A shell and its sleep, of those to be stopped.
        else:
            time.sleep(min(away, AWAY_S))
        site.start()
    check_thirty(site, jobs, pids)


def test_fault_9_and_11_thirty_jobs_survive_three_kills_of_the_keeper(site: Site) -> None:
    """The server lives: true codes of all that it began, no slot is lost, each new keeper serves new jobs."""
    chance = random.Random(4)
    jobs = submit_thirty(site.start())
    pids: dict[str, int] = {}
    for _ in range(3):
        time.sleep(chance.uniform(0.0, 0.8))
        pids |= running(site.server)
        site.wait_new_keeper(site.kill_keepers())
        extra = site.server.submit(1, 8, retry=False, priority=20)
        assert site.server.wait_status(extra)["exitCode"] == 8
    stop_some(site, jobs[25:27])
    check_thirty(site, jobs, pids)


def kill_old_keeper(site: Site) -> None:
    """Kill the server, start another, then kill the keeper that the first one left."""
    old = site.keepers()
    site.server.kill()
    site.start()
    for pid in old:
        with contextlib.suppress(ProcessLookupError):  # All that it held has ended meanwhile.
            os.kill(pid, signal.SIGKILL)
    site.wait_gone(old)


def kill_both(site: Site) -> None:
    """Kill server and keeper at once, start another server."""
    for pid in (site.server.pid, *site.keepers()):
        os.kill(pid, signal.SIGKILL)
    site.server.kill()
    site.start()


@pytest.mark.parametrize("kill", [kill_old_keeper, kill_both])
def test_what_lost_its_keeper_and_its_server_is_followed_and_then_honestly_lost(site: Site, kill: Any) -> None:
    """It runs on and shows as running, can be stopped, is never run again; how it ended nobody knows, and nobody says that they do."""
    site.start()
    ended = site.server.submit(0, 3, retry=False)
    site.server.wait_status(ended)
    followed, stopped, stubborn = (site.server.submit("until", n) for n in (0, 0, 1))
    eventually_blocking(lambda: len(site.began()) == 4)
    pids = {job: site.server.pid_of(job) for job in (followed, stopped)}
    kill(site)
    assert {job: (site.server.job(job)["status"], site.server.job(job)["pid"]) for job in pids} == {
        job: ("running", pid) for job, pid in pids.items()
    }
    assert site.server.wait_status(site.server.submit(1, 4, retry=False))["exitCode"] == 4
    site.server.stop(stopped)
    assert site.server.wait_status(stopped)["status"] in ("stopped", "lost")
    assert site.server.job(followed)["status"] == "running"
    site.go()
    for job in (followed, stubborn):
        row = site.server.wait_status(job)
        assert (row["status"], row["cause"], row["exitCode"], row["signal"]) == ("lost", "vanished", None, None)
    assert len(site.began()) == 5
    check_truth(site, lost=lambda attempt: attempt["jobId"] in (followed, stopped, stubborn))
    site.server.kill()
    site.start()
    assert site.server.job(followed)["status"] == "lost"
    assert len(site.began()) == 5


@pytest.mark.parametrize("kill", [kill_old_keeper, kill_both])
def test_thirty_jobs_when_server_and_keeper_die(site: Site, kill: Any) -> None:
    """What had ended is true, what ran is lost and not repeated, what waited runs."""
    jobs = submit_thirty(site.start())
    time.sleep(random.Random(5).uniform(0.2, 0.8))
    kill(site)
    stop_some(site, jobs[25:27])
    site.server.wait_all_finished()
    check_truth(site, lost=lambda _: True)
    lost = [attempt for job in jobs for attempt in site.server.attempts(job) if attempt["status"] == "lost"]
    assert {attempt["cause"] for attempt in lost} <= {"vanished"}
    assert len(lost) <= 8
