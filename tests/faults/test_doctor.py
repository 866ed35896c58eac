"""`jobmgr doctor` beside servers and keepers that live, hang and were killed; and as it is typed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("a server whose jobs survive it needs Linux", allow_module_level=True)

from jobmgr.doctor import keepers
from tests.faults.servers import END_S, Site
from tests.waiting import eventually_blocking


def doctor(site: Site, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """As a person types it."""
    return subprocess.run(
        [sys.executable, "-m", "jobmgr", "doctor", *arguments],
        cwd=site.directory,
        env=site.environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )


def findings(site: Site, **settings: str) -> dict[str, dict[str, Any]]:
    """By name."""
    done = doctor(site, "--json", **settings)
    said = json.loads(done.stdout)
    problems = [finding for finding in said["findings"] if finding["level"] == "problem"]
    assert (said["problems"], done.returncode) == (len(problems), 1 if problems else 0)
    assert done.stderr == ""
    return {finding["name"]: finding for finding in said["findings"]}


def at(site: Site) -> dict[str, str]:
    """Where its server is, which has taken a free port."""
    address = site.server.address()
    assert address
    return {"JOBMGR_URL": address}


def listing(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Size, mode and time of everything here."""
    found = [directory, *directory.rglob("*")]
    return {str(path): (path.lstat().st_size, path.lstat().st_mode, path.lstat().st_mtime_ns) for path in found}


def test_beside_a_server_with_jobs_there_is_no_problem(site: Site) -> None:
    """It finds the server, the keeper and what it holds, and disturbs neither."""
    server = site.start()
    job = server.submit("until", 0)
    server.wait_status(job, "running")
    server.pid_of(job)
    told = findings(site, **at(site))
    assert [name for name, finding in told.items() if finding["level"] == "problem"] == []
    assert told["server"]["found"].startswith(f"pid {server.pid} holds the data directory")
    assert told["server"]["found"].endswith("jobmgr, ready")
    assert told["keepers"]["found"] == f"1 alive: pid {site.keepers()[0]} with 1 running"
    assert told["jobs"]["found"] == "1 running"
    site.go()
    assert server.wait_status(job)["status"] == "completed"


def test_a_server_at_another_address_is_told_with_where_it_is(site: Site) -> None:
    """The commands would not find it."""
    site.start()
    told = findings(site)["server"]
    assert told["level"] == "warning"
    assert f"it listens on {site.server.address()}" in told["means"]


def test_a_server_that_hangs_is_a_problem(site: Site) -> None:
    """It holds its address and does not answer."""
    server = site.start()
    where = at(site)
    server.process.send_signal(signal.SIGSTOP)
    try:
        told = findings(site, **where)["server"]
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert (told["level"], "does not answer" in told["means"]) == ("problem", True)


def test_after_the_server_was_killed_it_says_what_runs_on(site: Site) -> None:
    """The keeper lives; what ended meanwhile waits for the next start; nothing is changed."""
    server = site.start()
    running, ending = server.submit("until", 0), server.submit(20, 3)
    server.pid_of(running)
    server.wait_status(ending, "running")
    server.pid_of(ending)
    server.kill()
    eventually_blocking(lambda: site.returned() or None)
    eventually_blocking(lambda: "end" in told_of(site) or None)
    told = findings(site)
    assert told["keepers"]["found"].endswith("with 1 running")
    assert told["keepers"]["means"].endswith("the next start takes them up")
    assert told["ends"]["found"] == "1 in the journals"
    assert told["server"]["found"].startswith("none holds the data directory")
    assert told["jobs"]["found"] == "2 running"
    site.go()
    assert site.start().wait_status(ending)["exitCode"] == 3


def told_of(site: Site) -> str:
    """`end` once the journals have one."""
    return "end" if any(keeper.ended for keeper in keepers.look(site.data / "keepers")) else ""


def test_a_keeper_that_was_killed_is_told_with_what_it_left(site: Site) -> None:
    """How many runs have not ended, and how many of those are there; nothing is written anywhere."""
    server = site.start()
    server.pid_of(server.submit("until", 0))
    site.server.kill()
    site.kill_keepers()
    before = listing(site.data / "keepers")
    told = findings(site)["dead keepers"]
    assert listing(site.data / "keepers") == before
    assert told["level"] == "warning"
    assert "with 1 runs that have not ended, 1 of them there" in told["found"]
    site.go()
    eventually_blocking(lambda: not site.jobs_alive())
    assert "with 1 runs that have not ended, 0 of them there" in findings(site)["dead keepers"]["found"]
    site.start().wait_all_finished()


def test_a_keeper_of_an_earlier_boot_has_nothing_alive(site: Site) -> None:
    """A pid of then says nothing now."""
    server = site.start()
    server.pid_of(server.submit("until", 0))
    site.server.kill()
    site.kill_keepers()
    found = list(keepers.look(site.data / "keepers"))
    assert [(keeper.running, keeper.alive) for keeper in found] == [(1, 1)]
    from jobmgr.doctor import keepers as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "boot_id", lambda: "another")
        assert [keeper.alive for keeper in keepers.look(site.data / "keepers")] == [0]
    site.go()
    site.start().wait_all_finished()


@pytest.fixture
def read_only_copy(site: Site, tmp_path: Path) -> Iterator[Path]:
    """The data directory of a killed server, where nothing can be written."""
    server = site.start()
    server.wait_status(server.submit(0, 0))
    server.kill()
    site.kill_keepers()
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    mounted = os.geteuid() == 0
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(copy)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("root without the right to mount has no read-only directory")
    # Not the sockets: nobody listens there.
    shutil.copytree(site.data, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("socket"))
    copy.chmod(0o500)
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", str(copy)], check=True)
    yield copy
    if mounted:
        subprocess.run(["umount", "-l", str(copy)], check=True)
    site.start().wait_all_finished()


def test_where_it_may_only_read_it_sees_as_much(site: Site, read_only_copy: Path) -> None:
    """With what is only in the write-ahead log; that nothing can be written is the only trouble."""
    assert (read_only_copy / "jobmgr.db-wal").stat().st_size > 0
    told = findings(site, JOBMGR_DATA_DIR=str(read_only_copy))
    assert told["jobs"]["found"] == "1 completed"
    assert [name for name, finding in told.items() if finding["level"] == "problem"] == ["data directory", "database"]


def test_a_person_reads_groups_with_marks_and_a_sum(site: Site) -> None:
    """What is wrong stands out; exit code 1."""
    done = doctor(site, MAX_CONCURRENT_TASKS="many", JOBMGR_NO="1")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == [
        *("settings", "paths", "machine", "disk", "database", "clock", "keepers", "server")
    ]
    assert any(line.startswith("  ✗ settings: MAX_CONCURRENT_TASKS=many: ") for line in lines)
    assert any(line.startswith("      → correct it") for line in lines)
    assert lines[-1].startswith("1 problem, ")


def test_without_a_problem_the_exit_code_is_0(site: Site) -> None:
    """Warnings do not count."""
    done = doctor(site, JOBMGR_NO="1")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("no problems, ")


def test_a_terminal_that_knows_only_ascii_gets_letters(site: Site) -> None:
    """And no traceback."""
    done = doctor(site, MAX_CONCURRENT_TASKS="many", PYTHONIOENCODING="ascii")
    assert "  XX settings: MAX_CONCURRENT_TASKS=many" in done.stdout
    assert done.stderr == ""


def test_names_of_files_cannot_move_the_cursor(site: Site) -> None:
    """They are shown as they would be typed."""
    site.add_script("evil\x1b[2J\n", "#!/bin/sh\n")
    done = doctor(site)
    assert "\x1b" not in done.stdout
    assert "evil\\x1b[2J\\n" in done.stdout


def test_doctor_is_not_imported_before_it_is_asked_for() -> None:
    """`--help` stays light."""
    code = "import sys, jobmgr.cli.main; print([name for name in sys.modules if name.startswith('jobmgr.doctor')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
