"""What `jobmgr doctor` finds where no server runs: each thing that can be wrong is made wrong. With servers: tests/faults/test_doctor.py."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from jobmgr.doctor import database, kernel, machine, paths, server
from jobmgr.doctor.finding import Finding, guarded
from jobmgr.doctor.visit import visit
from jobmgr.errors import DataDirError
from jobmgr.store import examination
from jobmgr.store.sqlite import SqliteStore
from jobmgr.store.sqlite_file import DATABASE

if sys.platform != "linux":
    pytest.skip("the findings are those of Linux", allow_module_level=True)

import resource

ROOT = Path(__file__).parents[2]


class Place:
    """A directory with an empty .env, a data directory in it, and a port that is free."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        (directory / ".env").touch()
        (directory / "scripts").mkdir()
        self.program("fine", "#!/bin/sh\n")
        self.reserved = socket.socket()  # Bound, and nobody listens: free as far as can be seen, and nobody else's.
        self.reserved.bind(("127.0.0.1", 0))
        self.port = self.reserved.getsockname()[1]

    def program(self, name: str, text: str, mode: int = 0o755) -> Path:
        path = self.directory / "scripts" / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def all(self, **environ: str) -> list[Finding]:
        """Every finding, with these settings."""
        given = {
            "PORT": str(self.port),
            "PATH": os.environ["PATH"],
            "JOBMGR_SCRIPTS_DIR": "scripts",
            "JOBMGR_DISK_FLOOR_BYTES": "0",
            **environ,
        }
        return [finding for _, findings in visit(given, cwd=self.directory) for finding in findings]

    def named(self, name: str, **environ: str) -> Finding:
        """The one finding of this name."""
        findings = [finding for finding in self.all(**environ) if finding.name == name]
        assert len(findings) == 1, findings
        return findings[0]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where nothing is wrong."""
    place = Place(tmp_path)
    yield place
    place.reserved.close()


async def made(place: Place) -> sqlite3.Connection:
    """A database as a server leaves it, and a connection to spoil it with."""
    store = SqliteStore(place.data)
    await store.open()
    await store.close()
    return sqlite3.connect(place.data / DATABASE, isolation_level=None)


def mounted(directory: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can make a small disk")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte and 40 inodes."""
    yield from mounted(tmp_path / "disk", "size=1m,nr_inodes=40,mode=700")


# --- as it should be


def test_a_place_where_nothing_is_wrong_has_no_problem(place: Place) -> None:
    """Before the first start; everything that is looked at has said so."""
    findings = place.all()
    assert [finding for finding in findings if finding.level == "problem"] == []
    assert {finding.name for finding in findings} >= {
        *(
            "settings",
            ".env",
            "data directory",
            "file system",
            "log",
            "scripts",
            "program",
            "python",
            "packages",
            "sqlite",
        ),
        *(
            "kernel",
            "output cap",
            "open files",
            "processes",
            "arguments",
            "user",
            "disk",
            "inodes",
            "taken",
            "database",
        ),
        *("clock", "boot", "keepers", "server", "port"),
    }


def test_every_finding_says_what_it_means_and_every_trouble_what_to_do(place: Place) -> None:
    """Not only that something is so."""
    place.program("broken", "#!/no/interpreter\n")
    findings = place.all(PORT="x", JOBMGR_NO="1", JOB_SCRIPT_PATH="/no/program", JOBMGR_DISK_FLOOR_BYTES=str(1 << 60))
    assert all(finding.found and finding.means for finding in findings)
    assert [finding for finding in findings if finding.level != "ok" and not finding.remedy] == []


# --- settings


def test_all_wrong_settings_are_told_and_the_rest_is_looked_at(place: Place) -> None:
    """With defaults in the place of what is wrong."""
    findings = place.all(PORT="x", JOBMGR_RETRY="many", JOBMGR_DATADIR="/x")
    told = [(finding.level, finding.found.partition("=")[0]) for finding in findings if finding.name == "settings"]
    assert told[:2] == [("problem", "PORT"), ("problem", "JOBMGR_RETRY")]
    assert [level for level, _ in told[2:]] == ["warning"]
    assert {"database", "disk", "server"} <= {finding.name for finding in findings}


def test_an_env_file_that_is_no_text_is_told(place: Place) -> None:
    """And the environment still counts."""
    (place.directory / ".env").write_bytes(b"\xff\xfe")
    assert "cannot be read" in place.named("settings").found
    assert str(place.port) in place.named("port").found


def test_it_says_which_env_file_counts_and_what_the_environment_hides(place: Place) -> None:
    """Names, never values."""
    (place.directory / ".env").write_text("PORT=1\nJOBMGR_RETRY=2\nDB_PASSWORD=hunter2\nOTHER=3\n")
    finding = place.named(".env")
    assert finding.found == f"{place.directory / '.env'} sets DB_PASSWORD, JOBMGR_RETRY, PORT"
    assert finding.means.endswith("the environment wins for PORT")
    assert not any("hunter2" in f"{one}" for one in place.all())


# --- paths


@pytest.mark.parametrize(("mode", "level"), [(0o700, "ok"), (0o750, "warning"), (0o755, "warning"), (0o777, "problem")])
def test_a_data_directory_open_to_others_is_told(place: Place, mode: int, level: str) -> None:
    """Readable: a warning; writable: a server refuses it."""
    place.data.mkdir()
    place.data.chmod(mode)
    assert place.named("data directory").level == level


def test_a_data_directory_that_is_a_file_is_a_problem(place: Place) -> None:
    """Nothing can be kept in it."""
    place.data.touch()
    assert place.named("data directory").level == "problem"


def test_a_read_only_data_directory_is_a_problem(place: Place) -> None:
    """By its mount; the rest is told."""
    for directory in mounted(place.data, "ro,size=64k,mode=700"):
        finding = place.named("data directory")
        assert (finding.level, f"{directory} (of user 0, mode 0700) may not be written" in finding.found) == (
            "problem",
            True,
        )
        assert place.named("output cap").found.endswith("Read-only file system")


def test_the_data_directory_of_another_user_is_a_problem(place: Place) -> None:
    """Whoever may not look into it learns just that, and all else."""
    place.data.mkdir(mode=0o700)
    (place.data / "keepers").mkdir()
    findings = as_nobody(place)
    assert findings["data directory"][0] == "problem"
    assert findings["database"][0] == "problem"
    assert findings["keepers"][0] == "problem"
    assert findings["server"][0] == "warning"
    assert "cannot be seen (Permission denied)" in findings["server"][1]
    assert findings["python"][0] == "ok"


AS_NOBODY = """
import os, sys
from pathlib import Path
from jobmgr.doctor.visit import visit
place = Path(sys.argv[1])
list(visit({"PORT": "0"}, cwd=place))  # All is imported now, which the other user perhaps may not.
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for _, findings in visit({"PORT": "0"}, cwd=place):
    for finding in findings:
        print(finding.name, finding.level, finding.found.splitlines()[0], sep="\\t")
"""


def as_nobody(place: Place) -> dict[str, tuple[str, str]]:
    """Level and text by name, as seen by a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for above in (place.directory, *place.directory.parents):
        if above.name.startswith(("pytest-", "test_", "popen-")):
            above.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(place.directory)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name: (level, found) for name, level, found in (line.split("\t") for line in done.stdout.splitlines())}


def test_a_network_file_system_is_a_problem(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the table of mounts tells."""
    mounts = [*psutil.disk_partitions(all=True)]
    nfs = mounts[0]._replace(mountpoint=str(place.directory), fstype="nfs4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [*mounts, nfs])
    finding = place.named("file system")
    assert (finding.level, "nfs4" in finding.found) == ("problem", True)


def test_a_disk_of_memory_is_told(place: Place, small_disk: Path) -> None:
    """It works, until the machine starts anew."""
    finding = place.named("file system", JOBMGR_DATA_DIR=str(small_disk / "data"))
    assert (finding.level, "tmpfs" in finding.found) == ("warning", True)


def test_a_log_that_cannot_be_written_is_a_problem(place: Place) -> None:
    """The server refuses to start without it."""
    (place.directory / "log").mkdir()
    assert place.named("log", JOBMGR_LOG_FILE="log").level == "problem"
    assert place.named("log", JOBMGR_LOG_FILE="scripts/fine/app.log").level == "problem"


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/no/such/interpreter\n", 0o755, "needs the interpreter '/no/such/interpreter', which does not exist"),
        ("#!/bin/sh\r\necho\r\n", 0o755, "has Windows line ends (CRLF)"),
        ("#!/usr/bin/env no-such-language\n", 0o755, "needs no-such-language, which is not in PATH"),
        ("#!\n", 0o755, "names no interpreter"),
        ("#!/bin/sh\n", 0o644, "is not executable by this user; chmod +x it"),
    ],
)
def test_a_program_that_could_not_start_is_a_problem(place: Place, text: str, mode: int, why: str) -> None:
    """For the reason that its first job would give."""
    path = place.program("wrong", text, mode)
    finding = place.named("program", JOB_SCRIPT_PATH=str(path))
    assert finding.level == "problem"
    assert why in finding.found
    if mode & 0o111:
        assert why in place.named("scripts").found


@pytest.mark.parametrize(
    "where", ["", "/bin/sh", "scripts/fine", sys.executable], ids=["unset", "binary", "script", "python"]
)
def test_a_program_that_can_start_is_fine(place: Place, where: str) -> None:
    """Also where none is set."""
    assert place.named("program", JOB_SCRIPT_PATH=where).level == "ok"


def test_without_a_program_it_tells_of_the_sample(place: Place) -> None:
    """A server that ./scripts/serve started has one, which cannot be seen from here."""
    finding = place.named("program")
    assert finding.found == "JOB_SCRIPT_PATH is unset"
    assert "refused (409), except by a server that ./scripts/serve started, which supplies the sample" in finding.means


def test_a_program_that_is_not_there_is_a_problem(place: Place) -> None:
    """Or a directory."""
    assert "does not exist" in place.named("program", JOB_SCRIPT_PATH="gone").found
    assert "is a directory" in place.named("program", JOB_SCRIPT_PATH="scripts").found


def test_programs_are_counted(place: Place) -> None:
    """Those that this user may execute."""
    place.program("text", "", 0o644)
    assert place.named("scripts").found == f"{place.directory}/scripts has 1 programs: fine"


@pytest.mark.parametrize(
    ("name", "text", "mode", "why"),
    [
        ("job.sh", "echo\n", 0o644, "is not executable by this user; chmod +x it"),
        ("job.py", "print()\n", 0o755, "has no first line like #!/bin/sh"),
        ("job", "echo\n", 0o755, "has no first line like #!/bin/sh"),
        ("job", "#!/bin/sh\n", 0o644, "is not executable by this user; chmod +x it"),
        ("job", "\x7fELF\0", 0o644, "is not executable by this user; chmod +x it"),
        ("job", "", 0o755, "is empty"),
    ],
)
def test_a_script_that_could_not_start_is_a_warning(place: Place, name: str, text: str, mode: int, why: str) -> None:
    """For the reason that a job which names it would give."""
    path = place.program(name, text, mode)
    finding = place.named("scripts")
    assert finding.level == "warning"
    assert f"'{path}' {why}" in re.sub(r"is not a program for this machine and (?=has)", "", finding.found)


@pytest.mark.parametrize(
    ("name", "text", "mode"),
    [
        ("README", "Read me.\n", 0o755),
        ("README.md", "# Read me\n", 0o755),
        ("words.txt", "a\nb\n", 0o755),
        ("table.csv", "1,2\n", 0o644),
        ("input", "1\n", 0o644),
        ("_shared.py", "X = 1\n", 0o644),
    ],
)
def test_what_is_no_program_is_left_alone(place: Place, name: str, text: str, mode: int) -> None:
    """Documents, data and modules may lie among the scripts."""
    place.program(name, text, mode)
    finding = place.named("scripts")
    assert (finding.level, finding.found) == ("ok", f"{place.directory}/scripts has 1 programs: fine")


def test_no_programs_are_a_warning(place: Place) -> None:
    """A directory without any, and none at all."""
    (place.directory / "scripts/fine").chmod(0o644)
    assert "has 1 files, none executable" in place.named("scripts").found
    assert place.named("scripts", JOBMGR_SCRIPTS_DIR="gone").level == "warning"


def test_job_types_are_listed(place: Place) -> None:
    """Or that there are none."""
    assert place.named("catalog").found.endswith("jobs.toml has no job types")
    (place.directory / "jobs.toml").write_text('[types.tidy]\nscript = "fine"\n')
    assert place.named("catalog").found.endswith("has 1 job types: tidy")


@pytest.mark.parametrize("text", ["[types", "[types.tidy]\nscript = 7\n", "[other]\n"])
def test_a_wrong_catalog_is_a_problem(place: Place, text: str) -> None:
    """The server would not start."""
    (place.directory / "jobs.toml").write_text(text)
    assert {finding.level for finding in place.all() if finding.name == "catalog"} == {"problem"}


# --- the machine


def test_the_packages_are_those_that_the_project_asks_for() -> None:
    """Else one could be missing unseen."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split("[<>=;]", text)[0] for text in asked} == set(machine.PACKAGES)


def test_a_package_that_is_missing_is_a_problem(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that gets it."""
    monkeypatch.setattr(machine, "PACKAGES", ("click", "jobmgr-no-such-package"))
    finding = place.named("packages")
    assert (finding.level, finding.remedy) == ("problem", "pip install jobmgr-no-such-package")


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ("3.40.1", True),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.53.0", False),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.44.6", False),
        ("3.45", True),
        ("4.0", False),
    ],
)
def test_the_versions_with_the_wal_reset_bug_are_known(version: str, bug: bool) -> None:
    """Before 3.51.3, but for two older lines that were mended."""
    assert examination.has_wal_reset_bug(version) is bug


def test_an_sqlite_with_the_wal_reset_bug_is_told_to_be_safe_and_why(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody should wonder about a bug behind a tick."""
    monkeypatch.setattr(examination, "sqlite_version", lambda: "3.40.1")
    finding = place.named("sqlite")
    assert (finding.level, finding.found) == ("ok", "3.40.1, safe for jobmgr")
    assert finding.means.startswith("jobmgr is not affected by the WAL-reset bug of 3.40.1")
    assert "one connection of the only server does both" in finding.means


@pytest.mark.parametrize(("launcher", "level"), [("keeper", "problem"), ("direct", "warning")])
def test_a_kernel_that_lacks_something_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, launcher: str, level: str
) -> None:
    """A problem where a keeper is wanted."""

    def lacking() -> None:
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setitem(kernel._ABILITIES, "pidfd_open", lacking)
    finding = place.named("kernel", JOBMGR_LAUNCHER=launcher)
    assert (finding.level, "lacks pidfd_open" in finding.found) == (level, True)


def test_a_file_system_without_holes_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What then happens to long output."""

    def cannot(fd: int, start: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(kernel, "punch_hole", cannot)
    assert place.named("output cap").level == "warning"


def test_too_few_descriptors_are_told(place: Place) -> None:
    """For as many attempts at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        assert place.named("open files", MAX_CONCURRENT_TASKS="10000").level == "warning"
        assert place.named("open files", MAX_CONCURRENT_TASKS="1").level == "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the disk


def test_less_room_than_the_floor_is_a_problem(place: Place) -> None:
    """A server would answer with 507."""
    free = shutil.disk_usage(place.directory).free
    assert place.named("disk", JOBMGR_DISK_FLOOR_BYTES=str(free * 2)).level == "problem"
    assert place.named("disk", JOBMGR_DISK_FLOOR_BYTES=str(free // 2)).level == "warning"
    assert place.named("disk", JOBMGR_DISK_FLOOR_BYTES="0").level == "ok"


async def test_on_a_full_disk_it_still_looks(place: Place, small_disk: Path) -> None:
    """It needs no room itself."""
    place.data = small_disk / "data"
    (await made(place)).close()
    with (small_disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    where = {"JOBMGR_DATA_DIR": str(place.data)}
    assert place.named("disk", **where, JOBMGR_DISK_FLOOR_BYTES="1").level == "problem"
    assert place.named("output cap", **where).found.endswith("it is full")
    assert place.named("database", **where).level == "ok"


def test_a_disk_without_inodes_is_told(place: Place, small_disk: Path) -> None:
    """There may be room and yet no file can be made."""
    where = {"JOBMGR_DATA_DIR": str(small_disk / "data")}
    assert place.named("inodes", **where).level == "ok"
    with contextlib.suppress(OSError):
        for number in range(100):
            (small_disk / str(number)).touch()
    assert place.named("inodes", **where).level == "warning"


# --- the database and the clock


async def test_a_database_is_looked_over(place: Place) -> None:
    """Its check, its version, its jobs."""
    (await made(place)).close()
    assert place.named("database").found.endswith("whole")
    assert place.named("schema").means == "up to date"
    assert place.named("jobs").found == "none"


def overwrite(place: Place, database: sqlite3.Connection) -> None:
    """Spoil everything behind the first pages."""
    database.close()
    with (place.data / DATABASE).open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096 * 10)


def remove(place: Place, database: sqlite3.Connection) -> None:
    """Take it away."""
    database.close()
    (place.data / DATABASE).unlink()


def empty(place: Place, database: sqlite3.Connection) -> None:
    """Leave nothing in it."""
    database.close()
    (place.data / DATABASE).write_bytes(b"")


def garbage(place: Place, database: sqlite3.Connection) -> None:
    """Put another file in its place."""
    database.close()
    (place.data / DATABASE).write_bytes(b"not a database" * 1000)


def foreign(place: Place, database: sqlite3.Connection) -> None:
    """Another program's."""
    database.execute("PRAGMA application_id = 1")
    database.close()


@pytest.mark.parametrize("spoil", [overwrite, remove, empty, garbage, foreign], ids=lambda spoil: spoil.__name__)
async def test_a_spoilt_database_is_a_problem(place: Place, spoil: Callable[[Place, sqlite3.Connection], None]) -> None:
    """In the words of the server that would refuse it; all else is told."""
    spoil(place, await made(place))
    finding = place.named("database")
    assert finding.level == "problem"
    assert str(place.data / DATABASE) in finding.found
    assert place.named("server").level == "ok"


async def test_a_database_of_a_newer_version_is_a_problem(place: Place) -> None:
    """And one of an older one is none."""
    with closing(await made(place)) as connection:
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'schema'")
    assert place.named("schema").level == "problem"


def test_an_older_database_is_not_brought_up_to_date(place: Place) -> None:
    """The next start does that; doctor only says so."""
    place.data.mkdir(mode=0o700)
    shutil.copy(ROOT / "tests/data/jobmgr-0.1.db", place.data / DATABASE)
    before = (place.data / DATABASE).read_bytes()
    findings = {finding.name: finding for finding in place.all()}
    assert findings["schema"].level == "ok"
    assert int(findings["schema"].found.split()[1].rstrip(",")) == 1
    assert findings["jobs"].found != "none"
    assert (place.data / DATABASE).read_bytes() == before


async def test_what_is_only_in_the_write_ahead_log_is_seen(place: Place) -> None:
    """As after a server that was killed; a log that is too long is told."""
    with closing(await made(place)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE meta SET value = 77 WHERE name = 'schema'")
        assert "schema 77" in place.named("schema").found


async def test_a_long_write_ahead_log_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something keeps it from being cut."""
    monkeypatch.setattr(database, "WAL_LIMIT_BYTES", 1)
    with closing(await made(place)) as connection:
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'passes'")
        assert place.named("write-ahead log").level == "warning"


async def test_a_look_that_takes_too_long_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that it was not to the end."""
    (await made(place)).close()
    monkeypatch.setattr(examination, "_STEPS_BETWEEN_LOOKS", 1)
    monkeypatch.setattr(database, "LOOK_S", -1.0)
    assert place.named("database").level != "problem"
    assert "not read to its end" in place.named("database").found


async def test_a_clock_before_the_newest_event_is_a_problem(place: Place) -> None:
    """It was set back."""
    with closing(await made(place)) as connection:
        connection.execute("INSERT INTO events (seq, at, kind, job, data) VALUES (1, 9e15, 'job', 0, '{}')")
    finding = place.named("clock")
    assert (finding.level, "2255-" in finding.found) == ("problem", True)


# --- the server's place


class Other(BaseHTTPRequestHandler):
    """Another program on the port, or another jobmgr."""

    body = b"<html>"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Keep quiet."""


@pytest.fixture
def other(place: Place) -> Iterator[type[Other]]:
    """It listens where ours would."""
    answers = type("Answers", (Other,), {})
    place.reserved.close()
    with HTTPServer(("127.0.0.1", place.port), answers) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield answers
        listening.shutdown()
        thread.join()


def test_a_port_taken_by_another_program_is_a_problem(place: Place, other: type[Other]) -> None:
    """Named, where this user may know."""
    finding = place.named("port")
    assert finding.level == "problem"
    assert f"(pid {os.getpid()}) has it" in finding.means
    assert "another program" in place.named("server").found


def test_another_jobmgr_at_the_address_is_told(place: Place, other: type[Other]) -> None:
    """The commands would ask that one."""
    other.body = b'{"ready": true}'
    assert place.named("server").level == "warning"
    other.body = b'{"ready": false, "reason": "recovering"}'
    assert "jobmgr, recovering" in place.named("server").found


@pytest.mark.parametrize("body", [b"[]", b"7", b'{"ready"', b"\xff", b"null"])
def test_any_answer_is_taken(place: Place, other: type[Other], body: bytes) -> None:
    """Whatever it is, it is not ours."""
    other.body = body
    assert "another program (HTTP 200)" in place.named("server").found


def test_a_port_that_accepts_and_is_silent_is_taken(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for long."""
    monkeypatch.setattr(server, "ANSWER_S", 0.05)
    place.reserved.close()
    with socket.create_server(("127.0.0.1", place.port)):
        assert "does not answer" in place.named("server").found
        assert place.named("port").level == "problem"


def test_the_address_of_the_commands_is_the_one_that_is_asked(place: Place, other: type[Other]) -> None:
    """JOBMGR_URL, while the port is that of a server to be started."""
    other.body = b'{"ready": true}'
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = {"PORT": str(free.getsockname()[1]), "JOBMGR_URL": f"http://127.0.0.1:{place.port}"}
        assert "jobmgr, ready" in place.named("server", **settings).found
        assert place.named("port", **settings).level == "ok"


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:port", "http://no such host/", "http://a..b"])
def test_an_address_that_is_none_ends_nothing(place: Place, url: str) -> None:
    """It is a finding."""
    assert place.named("server", JOBMGR_URL=url).name == "server"


def test_a_stale_lock_file_is_nobodys(place: Place) -> None:
    """A pid in it that lives, but holds no lock, is another's."""
    place.data.mkdir(mode=0o700)
    (place.data / "lock").write_text(f"{os.getpid()}\n")
    assert "none holds the data directory" in place.named("server").found


# --- the frame


def test_a_check_that_cannot_be_done_hides_no_other() -> None:
    """It becomes a finding itself."""

    def broken() -> list[Finding]:
        raise PermissionError(errno.EACCES, "Permission denied", "/x")

    findings = guarded("group", broken, lambda: [Finding("a", "ok", "b", "c")])
    assert [(finding.name, finding.level) for finding in findings] == [("group", "problem"), ("a", "ok")]


async def test_looking_changes_nothing(place: Place) -> None:
    """No file, no time of a file or of a directory; also beside an open database."""
    connection = await made(place)
    for _ in range(2):
        before = listing(place.directory)
        place.all()
        assert listing(place.directory) == before
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'passes'")  # Now there is a write-ahead log.
    connection.close()


def listing(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Size, mode and time of everything here."""
    found = [directory, *directory.rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mode, path.stat().st_mtime_ns) for path in found}


def test_a_database_that_cannot_be_used_just_now_is_told() -> None:
    """As the server would put it."""
    finding = next(iter(database.check(DataDirError("The database x cannot be opened (locked)."))))
    assert finding.level == "problem"


def test_the_kind_of_file_system_is_that_of_the_nearest_mount(small_disk: Path) -> None:
    """Not of the root above it."""
    assert paths.file_system(small_disk / "not" / "there") == "tmpfs"
