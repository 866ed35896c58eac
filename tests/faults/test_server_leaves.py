"""A server is asked to leave (FAULT 15): by JOBMGR_SHUTDOWN it waits, leaves its jobs running, or stops them; it says what it does."""

import signal
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.faults.servers import Site, check_truth, submission
from tests.waiting import eventually_blocking

OFFLINE = "jobmgr stop --all --offline"


# Says that it was asked to end, and does so when it may.
STUBBORN = """#!/bin/sh
trap "touch asked" TERM
echo "$JOBMGR_JOB_ID $JOBMGR_TASK_INDEX $JOBMGR_ATTEMPT $JOBMGR_RUN $$" >> began
while [ ! -e go ]; do sleep 0.05; done
echo "$JOBMGR_RUN 0" >> returned
"""


def stopped_line(site: Site) -> str:
    """What the log says of the end of the newest server."""
    lines = (site.directory / "app.log").read_text().splitlines()
    return [line for line in lines if 'event="server stopped"' in line][-1]


def begin(site: Site, *arguments: object, **settings: str) -> str:
    """A server with these settings and one job that runs; its id."""
    site.start(**settings)
    job = site.server.submit(*arguments)
    eventually_blocking(site.began)
    return job


def told(site: Site) -> str:
    """What the newest server said to the person."""
    return site.server.told.read_text()


def test_fault_15_wait_ends_with_the_last_running_job(site: Site) -> None:
    """What runs ends by itself, nothing new begins, reads are answered and submissions are refused with Retry-After."""
    job = begin(site, "until", 0, JOBMGR_SHUTDOWN="wait", MAX_CONCURRENT_TASKS="1")
    waiting = site.server.submit(0, 0)
    site.server.ask_to_leave()
    eventually_blocking(lambda: "waiting up to 30 s for job-0; Ctrl+C again leaves them running" in told(site))
    refused = site.server.ask("POST", "/jobs", submission(0, 0))
    assert (refused.status, "Retry-After" in refused.headers) == (503, True)
    assert site.server.ask("GET", "/readyz").status == 503
    assert site.server.job(job)["status"] == "running"
    site.go()
    assert site.server.exit_code() == 0
    assert OFFLINE not in told(site)
    eventually_blocking(lambda: not site.left())
    assert [entry.job for entry in site.began()] == [job]
    site.start()
    assert site.server.job(job)["status"] == "completed"
    assert site.server.wait_status(waiting)["status"] == "completed"
    check_truth(site)


@pytest.mark.parametrize("second", [None, signal.SIGINT, signal.SIGTERM])
def test_fault_15_wait_detaches_when_the_time_is_up_or_at_a_second_signal(site: Site, second: int | None) -> None:
    """It tells what it leaves and how to stop that without a server; the next server takes it up."""
    job = begin(site, "until", 3, JOBMGR_SHUTDOWN="wait", JOBMGR_SHUTDOWN_TIMEOUT="0.2" if second is None else "600")
    pid = site.began()[0].pid
    site.server.ask_to_leave()
    if second is not None:
        eventually_blocking(lambda: "waiting up to 600 s for job-0" in told(site))
        site.server.ask_to_leave(second)
    assert site.server.exit_code() == 0
    assert "left running: job-0" in told(site) and OFFLINE in told(site)
    assert pid in site.jobs_alive()
    site.start()
    assert "taken up  job-0" in site.server.said.read_text()
    assert (site.server.job(job)["status"], site.server.pid_of(job)) == ("running", pid)
    site.go()
    assert site.server.wait_status(job)["exitCode"] == 3
    assert site.server.job(job)["retries"] == 1
    check_truth(site)


def test_fault_15_detach_leaves_at_once(site: Site) -> None:
    """Even with a job that runs; what ends meanwhile is found by the next server."""
    job = begin(site, "until", 0, JOBMGR_SHUTDOWN="detach")
    site.server.ask_to_leave(signal.SIGINT)
    assert site.server.exit_code() == 0
    assert "left running: job-0" in told(site)
    site.go()
    eventually_blocking(lambda: not site.jobs_alive())
    site.start()
    assert site.server.wait_status(job)["status"] == "completed"
    check_truth(site)


def test_fault_15_stop_leaves_nothing_running(site: Site) -> None:
    """Running jobs are `stopped`, cause `shutdown`, not tried again; waiting ones wait for the next server."""
    job = begin(site, "until", 0, JOBMGR_SHUTDOWN="stop", MAX_CONCURRENT_TASKS="1")
    waiting = site.server.submit(0, 0)
    site.server.ask_to_leave()
    assert site.server.exit_code() == 0
    assert "stopping job-0; Ctrl+C again does not wait for their end" in told(site)
    eventually_blocking(lambda: not site.left())
    site.start()
    row = site.server.job(job)
    assert (row["status"], row["cause"]) == ("stopped", "shutdown")
    assert site.server.wait_status(waiting)["status"] == "completed"
    check_truth(site)


def test_fault_15_a_second_signal_does_not_wait_for_what_is_being_stopped(site: Site) -> None:
    """It says so, and not that the next start takes up what runs on: the stop was sent, and the job obeys it in its own time."""
    site.add_script("stubborn", STUBBORN)
    site.start(JOBMGR_SHUTDOWN="stop")
    job = site.server.submit(script="stubborn", arguments=[], stopTimeout=600)
    eventually_blocking(site.began)
    site.server.ask_to_leave(signal.SIGINT)
    eventually_blocking((site.directory / "asked").exists)
    site.server.ask_to_leave(signal.SIGINT)
    assert site.server.exit_code() == 0
    assert "did not wait for the end of job-0" in told(site)
    assert "left running" not in told(site)
    assert "detached=0 stopping=1" in stopped_line(site)
    site.go()
    site.start()
    row = site.server.wait_status(job)
    assert (row["status"], row["cause"], row["exitCode"]) == ("stopped", "shutdown", 0)
    assert len(site.began()) == 1


def test_fault_15_wait_waits_for_jobs_that_cannot_outlive_the_server(site: Site) -> None:
    """They end by themselves where they do so in time."""
    job = begin(site, "until", 0, JOBMGR_SHUTDOWN="wait", JOBMGR_LAUNCHER="direct")
    site.server.ask_to_leave()
    eventually_blocking(lambda: "waiting up to 30 s for job-0; Ctrl+C again stops them" in told(site))
    assert site.server.job(job)["status"] == "running"
    site.go()
    assert site.server.exit_code() == 0
    assert "detached=0 stopping=0" in stopped_line(site)
    site.start()
    assert site.server.job(job)["status"] == "completed"
    check_truth(site)


@pytest.mark.parametrize("second", [None, signal.SIGINT])
def test_fault_15_wait_stops_what_cannot_outlive_the_server_when_the_time_is_up(site: Site, second: int | None) -> None:
    """Or at a second signal: nothing is left, and that is what it says."""
    timeout = "0.2" if second is None else "600"
    job = begin(site, "until", 0, JOBMGR_SHUTDOWN="wait", JOBMGR_SHUTDOWN_TIMEOUT=timeout, JOBMGR_LAUNCHER="direct")
    site.server.ask_to_leave()
    if second is not None:
        eventually_blocking(lambda: "waiting up to 600 s for job-0" in told(site))
        site.server.ask_to_leave(second)
    assert site.server.exit_code() == 0
    assert "stopping job-0" in told(site) and "left running" not in told(site)
    assert "detached=0 stopping=0" in stopped_line(site)
    assert not site.left()
    site.start()
    row = site.server.job(job)
    assert (row["status"], row["cause"]) == ("stopped", "shutdown")
    assert len(site.began()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "point",
    [
        "a start that hangs before its keeper",
        "a start that hangs amid its keeper",
        "a recovery that hangs before it asks",
        "a recovery that hangs before it decides",
        "a recovery that hangs before it claims",
    ],
)
def test_a_server_that_still_recovers_leaves_when_asked(site: Site, point: str, number: int) -> None:
    """At once and in order, whatever JOBMGR_SHUTDOWN says; nothing is lost, for the next start does it again."""
    job = begin(site, "until", 3)
    pid = site.server.pid_of(job)
    ended = site.server.submit(4, 6, retry=False)
    site.server.kill()
    site.begin_start(dies_at=point, JOBMGR_SHUTDOWN="stop")
    eventually_blocking(lambda: "hangs" in told(site))
    site.server.ask_to_leave(number)
    assert site.server.exit_code() == 0
    assert "left before all was taken up" in told(site) and OFFLINE in told(site)
    assert "recovered=false" in stopped_line(site)
    assert "Traceback" not in told(site)
    site.start()
    assert (site.server.job(job)["status"], site.server.job(job)["pid"]) == ("running", pid)
    site.go()
    assert [site.server.wait_status(what)["exitCode"] for what in (job, ended)] == [3, 6]
    check_truth(site)


def test_fault_15_detached_jobs_are_stopped_without_a_server(site: Site) -> None:
    """`jobmgr stop --all --offline` stops every one, and the next server shows them `stopped`, not crashed and tried again."""
    begin(site, "until", 0, JOBMGR_SHUTDOWN="detach")
    jobs = ["job-0", site.server.submit("until", 0, numTask=3)]
    eventually_blocking(lambda: len(site.began()) == 4)
    site.server.ask_to_leave()
    assert site.server.exit_code() == 0
    done = site.command("stop", "--all", "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 stopped" in done.stdout
    told = sorted(done.stdout.splitlines())
    assert told[1:] == sorted(f'stopped {entry.job}.{entry.task} "act", pid {entry.pid}' for entry in site.began())
    assert not site.jobs_alive()
    assert "nothing was running" in site.command("stop", "--all", "--offline").stdout
    site.start()
    assert [site.server.wait_status(job)["status"] for job in jobs] == ["stopped", "stopped"]
    assert len(site.began()) == 4
    check_truth(site)


def test_jobs_of_a_killed_server_and_a_killed_keeper_are_stopped_without_a_server(site: Site) -> None:
    """They are found by their mark; the next server calls them lost, for nobody saw how they ended."""
    job = begin(site, "until", 0)
    site.kill_keepers()
    site.server.kill()
    [began] = site.began()
    done = site.command("stop", "--all", "--offline")
    assert done.stdout == f'stopped {job}.0 "act", pid {began.pid}\n1 stopped\n'
    assert not site.jobs_alive()
    site.start()
    assert site.server.wait_status(job)["status"] in ("lost", "stopped")
    assert len(site.began()) == 1
