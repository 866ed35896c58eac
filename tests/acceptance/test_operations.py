"""The commands that docs/operations.md gives an operator, typed as they stand there, beside a real server."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the commands are those of a Unix shell", allow_module_level=True)

from tests.faults.servers import Site

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()
BACKUPS = [command for command in re.findall(r"^```sh\n(.+?)\n```$", OPERATIONS, re.MULTILINE) if "/backup/" in command]
REPAIR = re.findall(r"^   (sqlite3 (?:data/jobmgr\.db \.dump|recovered\.db) .+)$", OPERATIONS, re.MULTILINE)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site; nothing of it is left at the end."""
    site = Site(tmp_path)
    failures = request.session.testsfailed
    try:
        yield site
        if request.session.testsfailed == failures:
            site.leave()
    finally:
        site.kill_everything()


def typed(site: Site, command: str) -> None:
    """In the directory of the server, with the backup below it; the Python of the person is ours."""
    tool = command.split(maxsplit=1)[0]
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} here")
    (site.directory / "backup").mkdir(exist_ok=True)
    done = subprocess.run(
        ["sh", "-c", command.replace("/backup/", f"{site.directory}/backup/")],
        cwd=site.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def put_in_place(site: Site, copy: Path) -> None:
    """As the page says: the three files away, the copy as the database."""
    for name in ("jobmgr.db", "jobmgr.db-wal", "jobmgr.db-shm"):
        (site.data / name).unlink(missing_ok=True)
    copy.rename(site.data / "jobmgr.db")


def test_the_page_gives_the_commands() -> None:
    """Else the tests below would test nothing."""
    assert [command.split()[0] for command in BACKUPS] == ["python3", "sqlite3"]
    assert len(REPAIR) == 2


@pytest.mark.parametrize("command", BACKUPS, ids=["python", "sqlite3"])
def test_a_backup_of_a_running_server_can_be_restored(site: Site, command: str) -> None:
    """What was committed then is in it, also what was only in the write-ahead log; the server goes on."""
    server = site.start()
    before = server.submit(0, 3)
    server.wait_status(before)
    typed(site, command)
    server.wait_status(server.submit(0, 0))
    server.ask_to_leave()
    assert server.exit_code() == 0
    put_in_place(site, site.directory / "backup/jobmgr.db")
    server = site.start()
    assert [job["jobId"] for job in server.wait_all_finished()] == [before]
    assert server.job(before)["exitCode"] == 3


@pytest.mark.parametrize("command", BACKUPS, ids=["python", "sqlite3"])
def test_a_backup_without_a_server_is_whole(site: Site, command: str) -> None:
    """Also of what a killed one left."""
    server = site.start()
    server.wait_status(server.submit(0, 0))
    server.kill()
    typed(site, command)
    with closing(sqlite3.connect(site.directory / "backup/jobmgr.db")) as copy:
        assert copy.execute("SELECT status FROM jobs").fetchall() == [("completed",)]
    site.start()


def test_a_damaged_database_can_be_repaired(site: Site) -> None:
    """A page of an index is lost; all rows are read out, and the server starts again with them."""
    server = site.start()
    jobs = [server.submit(0, 0) for _ in range(3)]
    server.wait_all_finished()
    server.ask_to_leave()
    assert server.exit_code() == 0
    with closing(site.database()) as database:
        index = "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND rootpage > 0 AND tbl_name = 'jobs' LIMIT 1"
        page = database.execute(index).fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with (site.data / "jobmgr.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    refused = site.begin_start()
    assert refused.exit_code() == 1
    assert "is damaged" in refused.told.read_text()
    for command in REPAIR:
        typed(site, command)
    put_in_place(site, site.directory / "recovered.db")
    server = site.start()
    assert [(job["jobId"], job["status"]) for job in server.wait_all_finished()] == [(job, "completed") for job in jobs]
