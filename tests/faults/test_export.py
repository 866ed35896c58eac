"""`jobmgr export` as a person types it, from a real server; and when that is killed in the middle."""

import json
import os
import subprocess
import sys
from urllib.request import urlopen

import pytest

if sys.platform != "linux":
    pytest.skip("the sites of these tests need Linux", allow_module_level=True)

from jobmgr.history import ReadReport, read
from tests.faults.servers import Server, Site


def export(site: Site, *arguments: str, **pipes: int) -> subprocess.Popen[bytes]:
    """The command, which asks the present server."""
    address = site.server.address()
    assert address is not None
    return subprocess.Popen(
        [sys.executable, "-m", "jobmgr", "export", *arguments],
        cwd=site.directory,
        env=site.environment(PORT=address.rpartition(":")[2]),
        stdin=subprocess.DEVNULL,
        stdout=pipes.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
    )


def exported(site: Site, *arguments: str) -> tuple[int, bytes, str]:
    """Exit code, stdout and stderr of the whole command."""
    process = export(site, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.decode()


JOBS = 40


def fill(server: Server) -> None:
    """More history than pipes and sockets hold: 400 kB of arguments each."""
    for job in [server.submit(0, 0, *["x" * 100_000] * 4) for _ in range(JOBS)]:
        server.wait_status(job)


def left_beside(site: Site) -> list[str]:
    """The files of exports, whole and not."""
    return [name for name in os.listdir(site.directory) if "jsonl" in name]


def test_the_history_is_printed_as_lines(site: Site) -> None:
    """What crashed and was retried, what completed and what was stopped; the same by curl, and whole."""
    server = site.start()
    jobs = [server.submit(0, 3, "once", retry={"maxAttempts": 2, "delay": 0}), server.submit(1, 0, numTask=2)]
    server.wait_all_finished()
    code, out, err = exported(site)
    assert (code, err) == (0, "")
    with urlopen(f"{server.address()}/history") as answer:
        assert out == answer.read()
    report = ReadReport()
    rows = list(read(out.splitlines(keepends=True), report))
    assert [(row.job_id, row.task, row.attempt, row.status, row.exit_code) for row in rows] == [
        (jobs[0], 0, 1, "retried", 3),
        (jobs[0], 0, 2, "completed", 0),
        (jobs[1], 0, 1, "completed", 0),
        (jobs[1], 1, 1, "completed", 0),
    ]
    assert (report.skipped, report.unusable_fields) == (0, {})
    assert all(row.duration_us and row.node and row.concurrency and row.started_at for row in rows)


def test_a_file_gets_its_name_when_it_is_whole(site: Site) -> None:
    """It replaces what was there; how much it is is said on stderr; filters are the server's."""
    server = site.start()
    server.submit()
    server.submit(jobName="other")
    server.wait_all_finished()
    file = site.directory / "jobs.jsonl"
    file.write_text("of before")
    file.chmod(0o600)
    code, out, err = exported(site, "-o", "jobs.jsonl", "--name", "other", "--since", "2020-01-01T00:00:00Z")
    assert (code, out, err) == (0, b"", "1 line written to jobs.jsonl\n")
    assert [json.loads(line)["jobName"] for line in file.read_text().splitlines()] == ["other"]
    assert left_beside(site) == ["jobs.jsonl"]
    assert file.stat().st_mode & 0o777 == 0o600  # Whom it was hidden from it still is.


def test_what_the_server_refuses_is_said(site: Site) -> None:
    """Its sentence, exit code 1, and no file."""
    site.start()
    code, out, err = exported(site, "-o", "jobs.jsonl", "--url", f"{site.server.address()}/nowhere")
    assert (code, out) == (1, b"")
    assert err == "jobmgr: There is nothing at /nowhere/history.\n"
    assert left_beside(site) == []


def test_without_a_server_nothing_is_exported(site: Site) -> None:
    """One line that says what to do."""
    server = site.start()
    address = server.address()
    site.leave()
    assert address is not None
    code, out, err = exported(site, "-o", "jobs.jsonl")
    assert (code, out) == (3, b"")
    assert err.count("\n") == 1 and "./scripts/serve" in err
    assert left_beside(site) == []


def test_a_file_that_cannot_be_written_is_named(site: Site) -> None:
    """A missing directory, a directory, a full disk: one line and exit code 1."""
    server = site.start()
    server.submit()
    for output in ("nowhere/jobs.jsonl", str(site.directory), "/dev/full"):
        code, _, err = exported(site, "-o", output)
        assert (code, err.count("\n")) == (1, 1), err
        assert "cannot be written" in err


def test_a_killed_server_leaves_no_file_that_looks_whole(site: Site) -> None:
    """Killed after two pages: exit code 3; the file of before stays as it was, and no other is there."""
    server = site.start(dies_at="a history amid its pages")
    fill(server)
    file = site.directory / "jobs.jsonl"
    file.write_text("of before")
    code, out, err = exported(site, "-o", "jobs.jsonl")
    assert (code, out, err.count("\n")) == (3, b"", 1)
    assert "is not whole" in err
    assert server.exit_code() == -9
    assert left_beside(site) == ["jobs.jsonl"]
    assert file.read_text() == "of before"


def test_a_killed_server_ends_the_lines_with_a_whole_one(site: Site) -> None:
    """What came is whole lines; stderr says how many, and that some are missing."""
    server = site.start()
    fill(server)
    with export(site) as process:
        assert process.stdout is not None and process.stderr is not None
        out = os.read(process.stdout.fileno(), 1000)
        server.kill()
        out += process.stdout.read()
        err = process.stderr.read().decode()
    assert process.returncode == 3
    assert out.endswith(b"\n")
    lines = out.splitlines()
    assert all(json.loads(line)["jobId"] for line in lines)
    assert len(lines) < JOBS
    assert f"after {len(lines)} lines" in err and err.count("\n") == 1


def test_a_reader_that_has_enough_is_no_error_to_speak_of(site: Site) -> None:
    """`jobmgr export | head -1` prints a line and no complaint, and the server serves on."""
    server = site.start()
    fill(server)
    with export(site) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().endswith(b"}\n")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    assert server.ask("GET", "/healthz").status == 200
