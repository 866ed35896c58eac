"""What a server must refuse at its start, in a sentence, with jobs alive that go on untouched (FAULTS 13, 14, 16, 27, 93)."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from jobmgr.process import journal
from tests.faults.servers import Answer, Began, Server, Site, check_truth, submission
from tests.waiting import eventually_blocking

OTHER_BOOT = "00000000-0000-4000-8000-000000000000"

# Tells of every signal that can be caught.
WATCHFUL = """#!/bin/sh
for name in HUP INT QUIT USR1 USR2 TERM CONT; do trap "echo $name >> signals" $name; done
echo "$JOBMGR_JOB_ID $JOBMGR_TASK_INDEX $JOBMGR_ATTEMPT $JOBMGR_RUN $$" >> began
while [ ! -e go ]; do sleep 0.05; done
echo "$JOBMGR_RUN 0" >> returned
"""


def refused(server: Server) -> str:
    """It ended by itself with exit code 1, and said why in one line."""
    assert server.exit_code() == 1
    told = server.told.read_text()
    assert told.startswith("jobmgr: ") and told.count("\n") == 1, told
    assert server.said.read_text() == ""
    return told


def begin_watchful(site: Site) -> Began:
    """A server with one job that tells of every signal."""
    site.add_script("watchful", WATCHFUL)
    site.start()
    site.server.submit(script="watchful", arguments=["until"])
    return eventually_blocking(site.began)[0]


# --- FAULT 13


def test_fault_13_a_starting_server_is_killed_ten_times_at_random_moments(site: Site) -> None:
    """Then the next one finds everything: what runs, what ended, what waits."""
    chance = random.Random(13)
    site.start(MAX_CONCURRENT_TASKS="4")
    running = site.server.submit("until", 4, retry=False)
    ending = site.server.submit(10, 6, retry=False)
    many = site.server.submit(1, 0, numTask=10)
    pid = site.server.pid_of(running)
    site.server.kill()
    for _ in range(10):
        site.begin_start(MAX_CONCURRENT_TASKS="4")
        time.sleep(chance.uniform(0.2, 0.9))  # A start takes about 0.6 s.
        site.server.kill()
    site.start()
    assert (site.server.job(running)["status"], site.server.job(running)["pid"]) == ("running", pid)
    site.go()
    assert site.server.wait_status(running)["exitCode"] == 4
    assert site.server.wait_status(ending)["exitCode"] == 6
    assert site.server.wait_status(many)["status"] == "completed"
    check_truth(site)
    eventually_blocking(lambda: len(site.keepers()) == 1)


def test_fault_5_a_keeper_that_does_not_answer_is_not_taken_for_dead(site: Site) -> None:
    """The server starts without it; what it holds is running, a stop meanwhile is refused, not forgotten; its end is true when it wakes."""
    site.start()
    job, ending, stopped = (site.server.submit(*what, retry=False) for what in (("until", 4), (4, 6), ("until", 0)))
    pid = site.server.pid_of(job)
    eventually_blocking(lambda: len(site.began()) == 3)
    [keeper] = site.keepers()
    site.server.kill()
    os.kill(keeper, signal.SIGSTOP)
    port = free_port()
    site.begin_start(PORT=str(port)).known_address = f"http://127.0.0.1:{port}"
    refusal = eventually_blocking(lambda: answer_to_stop(site, stopped))
    assert refusal is not None
    assert (refusal.status, "Retry-After" in refusal.headers) == (503, True)
    site.server.wait_ready()
    assert [site.server.job(what)["status"] for what in (job, ending, stopped)] == ["running"] * 3
    assert site.server.job(job)["pid"] == pid
    assert site.server.wait_status(site.server.submit(0, 8, retry=False))["exitCode"] == 8
    site.server.stop(stopped)
    site.go()
    os.kill(keeper, signal.SIGCONT)
    ends = [site.server.wait_status(what) for what in (job, ending)]
    assert [row["exitCode"] for row in ends] == [4, 6]
    check_truth(site)


def free_port() -> int:
    """That nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer_to_stop(site: Site, job: str) -> Answer | None:
    """None while nobody listens."""
    try:
        return site.server.ask("POST", f"/jobs/{job}/stop")
    except ConnectionRefusedError:
        return None


# --- FAULT 14


def test_fault_14_a_second_server_on_the_data_directory_is_refused(site: Site) -> None:
    """At once, naming the first, which goes on unharmed."""
    first = site.start()
    job = first.submit("until", 0)
    second = site.begin_start()
    told = refused(second)
    assert f"is in use by the server with pid {first.pid}" in told
    site.servers.remove(second)
    keepers = site.keepers()
    assert len(keepers) == 1
    site.go()
    assert first.wait_status(job)["status"] == "completed"
    assert first.wait_status(first.submit(0, 0))["status"] == "completed"
    check_truth(site)


# --- FAULT 16


def fake_reboot(site: Site) -> None:
    """Let everything on disk be of another boot: the open attempts and the journals of the keepers."""
    with contextlib.closing(site.database()) as connection, connection:
        assert connection.execute("UPDATE attempts SET boot_id = ?", (OTHER_BOOT,)).rowcount
    for path in (site.data / "keepers").glob("*/journal.*"):
        content = path.read_bytes()
        head = content.partition(b"\n")[0]
        fields = journal._parse(head)
        assert fields is not None
        other = journal._line({**fields, "boot": OTHER_BOOT})
        assert len(other) == len(head) + 1
        path.write_bytes(other + content[len(other) :])


def test_fault_16_after_a_reboot_what_ran_is_lost_and_nothing_is_signalled_or_repeated(site: Site) -> None:
    """Not even a process that has the pid, the start time and the mark of the run. An end on record is applied, whatever the boot."""
    began = begin_watchful(site)
    ended = site.server.submit(6, 3, retry=False)
    eventually_blocking(lambda: len(site.began()) == 2)
    site.server.kill()
    eventually_blocking(
        lambda: b'"end"' in b"".join(path.read_bytes() for path in site.data.glob("keepers/*/journal.*"))
    )
    site.kill_keepers()
    fake_reboot(site)
    site.start()
    row = site.server.wait_status(began.job)
    assert (row["status"], row["cause"], row["exitCode"], row["retries"]) == ("lost", "reboot", None, 0)
    assert (site.server.job(ended)["status"], site.server.job(ended)["exitCode"]) == ("crashed", 3)
    assert site.server.wait_status(site.server.submit(0, 0))["status"] == "completed"
    site.server.ask_to_leave()
    assert site.server.exit_code() == 0
    assert "nothing was running" in site.command("stop", "--all", "--offline").stdout
    assert began.pid in site.jobs_alive()
    assert not (site.directory / "signals").exists()
    assert len(site.began()) == 3
    site.go()
    eventually_blocking(lambda: not site.jobs_alive())


# --- FAULT 27


def write_garbage(database: Path) -> None:
    """Into its header."""
    with database.open("r+b") as file:
        file.write(b"garbage " * 12)


def spoil_pages(database: Path) -> None:
    """All but the first."""
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def truncate(database: Path) -> None:
    """To a part of it."""
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 2 + 100)


def empty(database: Path) -> None:
    """To nothing."""
    database.write_bytes(b"")


@pytest.mark.parametrize("damage", [write_garbage, spoil_pages, truncate, empty, Path.unlink])
def test_fault_27_a_damaged_database_is_refused_and_running_jobs_go_on(
    site: Site, damage: Callable[[Path], None]
) -> None:
    """Nothing is changed by the refusal: with the file put back they are taken up as if nothing had been."""
    began = begin_watchful(site)
    site.server.kill()
    with contextlib.closing(site.database()) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    database = site.data / "jobmgr.db"
    shutil.copy(database, site.directory / "backup")
    damage(database)
    damaged = database.read_bytes() if database.exists() else None
    for _ in range(2):
        site.begin_start()
        assert f"The database {database} is damaged" in refused(site.server)
    assert (database.read_bytes() if database.exists() else None) == damaged
    assert began.pid in site.jobs_alive()
    assert not (site.directory / "signals").exists()
    for rest in site.data.glob("jobmgr.db-*"):
        rest.unlink()
    shutil.copy(site.directory / "backup", database)
    site.start()
    assert site.server.job(began.job)["status"] == "running"
    eventually_blocking(lambda: site.server.job(began.job)["pid"] == began.pid)
    site.go()
    assert site.server.wait_status(began.job)["status"] == "completed"
    check_truth(site)


@pytest.mark.parametrize("given", ["JOB_SCRIPT_PATH", "one", "sample"])
def test_the_command_that_a_start_prints_works_as_printed(site: Site, given: str) -> None:
    """With a program set, or a script of the directory, however it is named."""
    name = "sample.sh" if given == "sample" else 'it\'s "mine".sh'
    site.add_script(name, '#!/bin/sh\necho "$@"\n')
    program = site.directory / "scripts" / name
    if given != "sample":
        (site.directory / "scripts" / "act").unlink()
    (site.directory / "scripts" / "a-note.txt").write_text("no program\n")
    server = site.start(**({"JOB_SCRIPT_PATH": str(program)} if given == "JOB_SCRIPT_PATH" else {}))
    command = server.said.read_text().partition("Try it:\n")[2]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    job = server.wait_status(json.loads(done.stdout)["jobId"])
    assert (job["status"], job["script"]) == ("completed", str(program))


def test_a_start_without_any_program_says_how_to_add_one(site: Site) -> None:
    """No command that could only fail."""
    (site.directory / "scripts" / "act").unlink()
    said = site.start().said.read_text()
    assert f"put an executable file into {site.directory / 'scripts'}, or set JOB_SCRIPT_PATH" in said
    assert "curl" not in said


def test_what_nobody_expects_at_the_start_is_one_line_with_the_traceback_in_the_log(site: Site) -> None:
    """Exit code 70, so that a service manager tries again; what runs is untouched."""
    site.start()
    job = site.server.submit("until", 3, retry=False)
    site.server.pid_of(job)
    site.server.kill()
    server = site.begin_start(dies_at="a bug at the start")
    assert server.exit_code() == 70
    told = server.told.read_text()
    assert told.startswith("jobmgr: critical: ") and told.count("\n") == 1, told
    assert "RuntimeError: a bug" in told and "app.log" in told and "Traceback" not in told
    assert "Traceback (most recent call last)" in (site.directory / "app.log").read_text()
    site.start()
    site.go()
    assert site.server.wait_status(job)["exitCode"] == 3
    check_truth(site)


# --- FAULT 93


def test_fault_93_a_data_directory_that_was_removed_is_made_anew(site: Site) -> None:
    """With all that is missing above it, for its owner only."""
    site.data = site.directory / "some" / "where"
    site.start()
    assert site.data.stat().st_mode & 0o777 == 0o700
    assert site.server.get("/jobs") == []


def remove(data: Path) -> None:
    """All of it."""
    shutil.rmtree(data)


def remove_database(data: Path) -> None:
    """As a person does who wants to begin anew."""
    for file in data.glob("jobmgr.db*"):
        file.unlink()


@pytest.mark.parametrize("gone", [remove, remove_database])
def test_fault_93_nothing_is_accepted_when_the_data_directory_is_removed_under_a_server(
    site: Site, gone: Callable[[Path], None]
) -> None:
    """A 201 would be a lie: no later server would find the job. What runs goes on to its end."""
    site.start()
    job = site.server.submit("until", 0, retry=False)
    eventually_blocking(site.began)
    gone(site.data)
    for _ in range(2):
        answer = site.server.ask("POST", "/jobs", submission(0, 0))
        assert answer.status == 507
        assert str(site.data) in answer.body["error"]
    site.go()
    assert site.server.wait_status(job)["exitCode"] == 0
    assert site.server.ask("POST", "/jobs", submission(0, 0)).status == 507
    assert len(site.began()) == 1


def a_file(site: Site) -> str:
    """In place of the directory."""
    site.data.write_text("mine\n")
    return "File exists"


def below_a_file(site: Site) -> str:
    """So that it cannot be made."""
    (site.directory / "file").write_text("mine\n")
    site.data = site.directory / "file" / "data"
    return "Not a directory"


def for_everybody(site: Site) -> str:
    """To write."""
    site.data.mkdir()
    site.data.chmod(0o777)
    return "has mode 0777: anybody on this machine could change it. Use one of your own, or type: chmod 700"


def read_only(site: Site) -> str:
    """For root too."""
    site.data = Path("/sys/kernel")
    return "is not writable"


@pytest.mark.parametrize("make", [a_file, below_a_file, for_everybody, read_only])
def test_fault_93_a_data_directory_that_cannot_be_used_is_refused(site: Site, make: Callable[[Site], str]) -> None:
    """The sentence names it and says what is wrong."""
    reason = make(site)
    site.begin_start()
    told = refused(site.server)
    assert f"The data directory {site.data} " in told
    assert reason in told
