"""A job that runs unusually long is told of by a real server, also by one that was not there when it began."""

import json
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from tests.faults.servers import Site
from tests.waiting import eventually_blocking

FINISHED = 8
DEADLINE_S = 40.0
"""It is told of after 10 seconds at the earliest."""


def test_a_long_run_is_told_of_once_though_its_server_was_killed(site: Site) -> None:
    """Eight runs took no time, the ninth goes on: after 10 s there is an event, a line in the log, and its eta says so; nothing ends it."""
    site.start()
    for _ in range(FINISHED):
        site.server.submit(0, 0, jobName="encode")
    site.server.wait_all_finished()
    job = site.server.submit("until", 0, jobName="encode")
    eventually_blocking(lambda: len(site.began()) == FINISHED + 1)
    site.server.kill()
    site.start()
    told = eventually_blocking(lambda: overdue_events(site), deadline=DEADLINE_S)
    assert {(event["jobId"], event["status"]) for event in told} == {(job, "running")}
    log = site.directory / "app.log"
    eventually_blocking(lambda: 'event="attempt runs unusually long"' in log.read_text())
    shown = eventually_blocking(lambda: site.server.job(job)["eta"])
    assert shown["longerThanUsual"]
    assert site.server.job(job)["status"] == "running"
    show = ("show", job, "--url", str(site.server.address()))
    eventually_blocking(lambda: "It has run unusually long" in site.command(*show).stdout)
    site.server.kill()
    site.start()
    site.go()
    assert site.server.wait_status(job, "completed")["eta"] is None
    assert len(overdue_events(site)) == 2  # One of the task, one of the job.


def overdue_events(site: Site) -> list[dict[str, object]]:
    """What the events say that call something overdue."""
    return [json.loads(data) for (data,) in site.rows("SELECT data FROM events WHERE data LIKE '%longerThanUsual%'")]
