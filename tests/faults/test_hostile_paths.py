"""FAULTS 81: no path out of the house. Ids, parameters and script names that climb, and what jobs put in the place of their files."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers and keepers", allow_module_level=True)

from jobmgr.api.routes import ROUTES
from tests.faults.hostile import Target
from tests.faults.servers import Site
from tests.waiting import eventually_blocking

SECRET = "the secret outside"

CLIMBING = [
    b"../../etc/passwd",
    b"..%2f..%2fetc%2fpasswd",
    b"..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
    b"%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    b"%252e%252e%252fetc%252fpasswd",
    b"..%5c..%5cetc%5cpasswd",
    b"..\\..\\etc\\passwd",
    b"%c0%ae%c0%ae%c0%afetc%c0%afpasswd",
    b"%e0%80%ae%e0%80%ae/",
    b"%ef%bc%8e%ef%bc%8e%ef%bc%8fetc",
    b"....//....//etc/passwd",
    b"job-0%00",
    b"job-0%00.txt",
    b"%00",
    b"job-0;x=1",
    b"job-0;/../../etc/passwd",
    b"job-0%3b",
    b"job-0%2f..%2fjob-0",
    b"job-0%20",
    b"job-%30%0d%0aX: y",
    b"job-0%0d%0aSet-Cookie:%20x",
    b"%2fetc%2fpasswd",
    b"/etc/passwd",
    b"~",
    b".",
    b"..",
    b"%2e%2e",
    b"job-0.",
    b"job-\xd9\xa0",
    b"job-%d9%a0",
    b"job-+0",
    b"job-00",
    b"job-0x0",
    b"%ff%fe",
    b"%",
    b"%zz",
    b"file:%2f%2f%2fetc%2fpasswd",
]
BY_ID = [route for route in ROUTES if "{id}" in route.path]


@pytest.mark.parametrize("route", BY_ID, ids=lambda route: f"{route.method} {route.path}")
def test_fault_81_an_id_that_climbs_finds_nothing(target: Target, route: object) -> None:
    """400, 404 or 405 for each on every route; never a file, never another job."""
    method, path = str(getattr(route, "method", "")).encode(), str(getattr(route, "path", "")).encode()
    with target.unharmed():
        for name in CLIMBING:
            answer = target.get(path.replace(b"{id}", name), method)
            assert answer.status in (400, 404, 405), name
            assert b"root:" not in answer.body


@pytest.mark.parametrize("parameter", [b"task", b"attempt", b"stream", b"tail"])
def test_fault_81_a_parameter_that_climbs_is_refused(target: Target, parameter: bytes) -> None:
    """400 that names it: where a number is wanted nothing else is a part of a path."""
    with target.unharmed():
        for value in (*CLIMBING, b"-1", b"1e0", b"0x0", b"%d9%a0", b"0%00", b"0/../1", b"9" * 30, b"0%20"):
            answer = target.get(b"/jobs/job-0/output?" + parameter + b"=" + value)
            assert answer.status == 400, value


@pytest.mark.parametrize(
    "where",
    [
        b"/jobs/job-0/../../../../etc/passwd",
        b"//etc/passwd",
        b"/..%2f..%2fetc/passwd",
        b"/.env",
        b"/%2e%2e/.env",
        b"/data/jobmgr.db",
    ],
)
def test_fault_81_paths_lead_to_no_files(target: Target, where: bytes) -> None:
    """404: the server has routes and no directory."""
    with target.unharmed():
        assert target.get(where).status in (400, 404)


def test_fault_81_a_script_is_below_its_directory_or_nothing(target: Target) -> None:
    """400 for each name that leaves it, is absolute, or goes through a link that does."""
    scripts = target.site.directory / "scripts"
    outside = target.site.directory / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "program").write_text("#!/bin/sh\n")
    for name, to in (
        ("link", outside / "program"),
        ("way", outside),
        ("up", ".."),
        ("loop", scripts / "loop"),
        ("sh", "/bin/sh"),
    ):
        (scripts / name).unlink(missing_ok=True)
        (scripts / name).symlink_to(to)
    names = [
        "link",
        "way/program",
        "up/outside/program",
        "sh",
        "loop",
        "../outside/program",
        "act/../../outside/program",
    ]
    names += ["/bin/sh", "//bin/sh", "./../outside/program", "..", "", "..\\outside\\program", "%2e%2e/outside/program"]
    names += [
        "..%2foutside%2fprogram",
        "~/x",
        "file:///bin/sh",
        "act\0",
        "act\0.txt",
        "\0",
        "․․/outside/program",
        "a" * 4096,
    ]
    names += ["act;id", "act\n", "a/" * 2000 + "act", "\ud800"]
    with target.unharmed():
        for name in names:
            answer = target.post(json.dumps({"script": name}).encode())
            assert answer.status == 400, name
            assert [problem["field"] for problem in json.loads(answer.body)["errors"]] == ["/script"], name


def output_of(target: Target) -> Path:
    """The output file of job-0."""
    [file] = target.site.data.glob("**/0/0/0.1.out")
    return file


def a_link(place: Path, secret: Path) -> None:
    """To a file that is readable."""
    place.symlink_to(secret)


def a_link_to_a_link(place: Path, secret: Path) -> None:
    """By a way round."""
    other = secret.with_name("link")
    other.unlink(missing_ok=True)
    other.symlink_to(secret)
    place.symlink_to(other)


def a_fifo(place: Path, _: Path) -> None:
    """Nobody will ever write to it."""
    os.mkfifo(place)


def a_directory(place: Path, _: Path) -> None:
    """It can be opened and not read."""
    place.mkdir()


def a_link_to_a_device(place: Path, _: Path) -> None:
    """It never ends."""
    place.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [a_link, a_link_to_a_link, a_fifo, a_directory, a_link_to_a_device])
def test_fault_81_what_stands_in_the_place_of_an_output_is_not_served(
    target: Target, put: Callable[[Path, Path], None]
) -> None:
    """It counts as no output, in every way of asking, and nothing waits for it."""
    place, secret = output_of(target), target.site.directory / "secret"
    secret.write_text(SECRET)
    kept = place.rename(place.with_name("kept"))
    put(place, secret)
    try:
        with target.unharmed():
            for query in (
                b"",
                b"?tail=3",
                b"?follow=true",
                b"?follow=true&tail=1",
                b"?download=true",
                b"?task=0&attempt=1",
            ):
                answer = target.get(b"/jobs/job-0/output" + query)
                assert answer.status == 200
                assert answer.body in (b"", b"0\r\n\r\n")
    finally:
        if put is a_directory:
            place.rmdir()
        else:
            place.unlink()
        kept.rename(place)
    assert target.get(b"/jobs/job-0/output").body == b"line 1\n"


LINKER = """#!/bin/sh
# linker FILE: put a link to it in the place of our own report and output.
ln -sf "$1" "$JOBMGR_REPORT"
ln -sf "$1" "${JOBMGR_REPORT%report}out"
exit 3
"""

PLANTER = """#!/bin/sh
# planter WHAT FILE: put something in the place of the next attempt's output, and end badly, so that there is a next attempt.
next="${JOBMGR_REPORT%.1.report}.2.out"
case $1 in
fifo) mkfifo "$next" ;;
directory) mkdir "$next" ;;
link) ln -s "$2" "$next" ;;
esac
echo planted
exit 3
"""


def test_fault_81_a_job_that_links_its_report_elsewhere_shows_nothing_of_it(site: Site) -> None:
    """Neither its message nor the last line of its error is that of the other file."""
    site.add_script("linker", LINKER)
    server = site.start()
    secret = site.directory / "secret"
    secret.write_text(json.dumps({"message": SECRET, "error": SECRET, "result": SECRET}) + "\n")
    answer = server.ask("POST", "/jobs", {"script": "linker", "arguments": [str(secret)], "retry": False})
    job = server.wait_status(answer.body["jobId"], "crashed")
    assert SECRET not in json.dumps([job, server.attempts(job["jobId"])])
    assert server.get(f"/jobs/{job['jobId']}/output") == ""
    assert secret.read_text().count("\n") == 1


@pytest.mark.parametrize("launcher", ["keeper", "direct"])
@pytest.mark.parametrize("what", ["fifo", "directory", "link"])
def test_fault_81_what_was_planted_for_the_next_attempt_fails_that_one_only(
    site: Site, what: str, launcher: str
) -> None:
    """Nothing is written where a link leads, nobody waits for the other end of a FIFO: it could not be started, others can."""
    site.add_script("planter", PLANTER)
    server = site.start(JOBMGR_LAUNCHER=launcher)
    victim = site.directory / "victim"
    victim.write_text("untouched")
    retry = {"maxAttempts": 2, "delay": 0}
    answer = server.ask("POST", "/jobs", {"script": "planter", "arguments": [what, str(victim)], "retry": retry})
    planted = server.wait_status(answer.body["jobId"], "failed")
    assert planted["cause"] == "spawn_error"
    assert "0.2.out" in planted["error"]
    assert victim.read_text() == "untouched"
    server.wait_status(server.submit(1), "completed")


def test_fault_81_a_deletion_does_not_follow_links_out(site: Site) -> None:
    """What links inside a job's directory point to stays; so does what the directory itself was replaced by a link to."""
    server = site.start()
    jobs = [server.submit(1) for _ in range(2)]
    server.wait_all_finished()
    outside = site.directory / "outside"
    outside.mkdir()
    (outside / "0.1.out").write_text("kept")
    directories = [next(site.data.glob(f"*/0/{number}")) for number in range(2)]
    (directories[0] / "0.2.out").symlink_to(outside / "0.1.out")
    (directories[0] / "deeper").symlink_to(outside)
    shutil.rmtree(directories[1])
    directories[1].symlink_to(outside)
    for job in jobs:
        assert server.ask("DELETE", f"/jobs/{job}").status == 200
    eventually_blocking(lambda: not any(os.path.lexists(directory) for directory in directories))
    server.kill()
    site.start()  # The sweep at the start takes what a deletion left.
    assert (outside / "0.1.out").read_text() == "kept"
    assert os.listdir(outside) == ["0.1.out"]
