"""The machine has too few descriptors or processes for a while (FAULTS 74, 75): things wait, and nothing is lost."""

import os
import resource
import socket
import sys
import time
from urllib.parse import urlsplit

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.faults.servers import Site, check_truth, submission
from tests.waiting import eventually_blocking

CONNECTIONS = 40
LOOKS = 15

LACKS = [resource.RLIMIT_NOFILE] + [resource.RLIMIT_NPROC] * (os.geteuid() != 0)
"""Root may always have one more process."""


def limit(pid: int, lack: int, number: int) -> int:
    """Set the soft limit of a process; the former one."""
    soft, hard = resource.prlimit(pid, lack)
    resource.prlimit(pid, lack, (number, hard))
    return soft


def descriptors(pid: int) -> int:
    """The number above all that it has open."""
    return max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1


def test_fault_74_a_server_without_descriptors_recovers_and_loses_no_result(site: Site) -> None:
    """Jobs end while it can accept no connection and open no file."""
    site.start()
    ends = [(0, 0), (1, 5), (0, "KILL"), (1, 0)]
    answer = site.server.ask("POST", "/jobs", [submission(10, code, retry=False) for _, code in ends])
    address = urlsplit(site.server.address() or "")
    former = limit(site.server.pid, resource.RLIMIT_NOFILE, descriptors(site.server.pid) + 2)
    crowd = [socket.create_connection((address.hostname or "", address.port or 0)) for _ in range(CONNECTIONS)]
    eventually_blocking(lambda: len(site.returned()) == len(ends) and not site.jobs_alive())
    for connection in crowd:
        connection.close()
    rows = {row["jobId"]: row for row in site.server.wait_all_finished()}
    assert [rows[reply["jobId"]]["exitCode"] for reply in answer.body] == [0, 5, None, 0]
    limit(site.server.pid, resource.RLIMIT_NOFILE, former)
    assert site.server.wait_status(site.server.submit(0, 0))["status"] == "completed"
    assert site.server.process.poll() is None
    check_truth(site)


@pytest.mark.parametrize("lack", LACKS)
def test_fault_75_jobs_wait_while_the_keeper_can_start_no_process(site: Site, lack: int) -> None:
    """They stay `pending` without a failed attempt, and run as soon as there is room."""
    site.start()
    [keeper] = site.keepers()
    few = descriptors(keeper) if lack == resource.RLIMIT_NOFILE else 1
    former = limit(keeper, lack, few)
    job = site.server.submit(2, 3, numTask=3, retry=False)
    log = site.directory / "app.log"
    eventually_blocking(lambda: "attempt did not begin" in log.read_text())
    assert site.server.wait_status(job, "pending")["retries"] == 0
    assert site.server.process.poll() is None and site.keepers() == [keeper]
    limit(keeper, lack, former)
    assert site.server.wait_status(job)["status"] == "crashed"
    assert [attempt["attempt"] for attempt in site.server.attempts(job)] == [1, 1, 1]
    assert len(site.began()) == 3
    check_truth(site)


def test_fault_74_a_keeper_that_dies_while_the_server_has_no_descriptors_costs_no_result(site: Site) -> None:
    """The server cannot look at the processes then; that it does not see them does not mean that they are gone."""
    site.start()
    jobs = [site.server.submit("until", code, retry=False) for code in (0, 5, "KILL")]
    eventually_blocking(lambda: len(site.began()) == len(jobs))
    pids = [site.server.pid_of(job) for job in jobs]
    keepers = site.keepers()
    former = limit(site.server.pid, resource.RLIMIT_NOFILE, descriptors(site.server.pid) - 1)
    site.kill_keepers()
    for lives in range(LOOKS):
        time.sleep(0.1)
        assert set(pids) <= set(site.jobs_alive()), f"{lives} s"
    limit(site.server.pid, resource.RLIMIT_NOFILE, former)
    site.wait_new_keeper(keepers)
    assert [site.server.job(job)["status"] for job in jobs] == ["running"] * 3
    site.go()
    assert [site.server.wait_status(job)["exitCode"] for job in jobs] == [0, 5, None]
    assert site.server.wait_status(site.server.submit(0, 0))["status"] == "completed"
    check_truth(site)
