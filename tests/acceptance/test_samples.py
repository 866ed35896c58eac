"""The sample jobs as a person runs them: plain programs, with and without a report file on fd 3."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("the samples are POSIX programs", allow_module_level=True)

JOBS = Path(__file__).parents[2] / "scripts" / "jobs"


@dataclass(frozen=True)
class Run:
    """What one run of a program left behind; `reports` are the parsed lines of its fd 3."""

    code: int
    out: str
    err: str
    reports: list[Any]

    @property
    def result(self) -> Any:
        """What the last report says came out."""
        return self.reports[-1]["result"]

    @property
    def progress(self) -> list[float]:
        """Every progress that was reported, in order."""
        return [report if isinstance(report, int) else report.get("progress") for report in self.reports]


Program = Callable[..., Run]


@pytest.fixture
def run(tmp_path: Path) -> Program:
    """Runs a sample from an unrelated directory, with fd 3 as jobmgr opens it."""

    def run(name: str, *args: str | Path, env: Mapping[str, str] | None = None, cwd: Path = tmp_path) -> Run:
        report = tmp_path / ".report"
        # Through sh, because only a shell puts a file at a chosen descriptor without code after fork.
        command = ["sh", "-c", 'exec "$@" 3>>"$REPORT"', "sh", str(JOBS / name), *map(str, args)]
        environment = {"PATH": os.environ["PATH"], "REPORT": str(report), **(env or {})}
        done = subprocess.run(
            command, env=environment, cwd=cwd, capture_output=True, check=False, text=True, errors="surrogateescape"
        )
        reports = [json.loads(line) for line in report.read_text().splitlines()]
        report.unlink()
        return Run(done.returncode, done.stdout, done.stderr, reports)

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with a space in its name, folders, an empty file, a link, and a name that is no UTF-8."""
    tree = tmp_path / "my files"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "big").write_bytes(os.urandom(300_000))
    (tree / "sub" / "nothing").write_bytes(b"")
    (tree / "link").symlink_to("big")
    Path(os.fsdecode(os.fsencode(tree) + b"/caf\xe9")).write_bytes(b"name")
    return tree


def test_every_sample_is_executable_and_says_how_it_is_used() -> None:
    """A file in scripts/jobs starts with an interpreter line and a line that begins with its own name."""
    samples = [path for path in JOBS.iterdir() if path.is_file()]
    assert {"sample.sh", "checksum.sh", "compress.py", "parse_log.py"} <= {path.name for path in samples}
    for path in samples:
        first, second = path.read_text().splitlines()[:2]
        assert os.access(path, os.X_OK), path.name
        assert first in ("#!/bin/sh", "#!/usr/bin/env python3"), path.name
        assert path.name in second, path.name


@pytest.mark.parametrize(
    "command",
    [
        ["sample.sh", "progress", "50"],
        ["checksum.sh", __file__],
        ["compress.py", ".", "x.tar.gz"],
        ["parse_log.py", __file__],
    ],
)
def test_without_fd_3_a_sample_just_works(command: list[str], tmp_path: Path) -> None:
    """Run by hand there is nobody to report to: same work, no complaint."""
    done = subprocess.run([JOBS / command[0], *command[1:]], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_sample_without_arguments_succeeds(run: Program) -> None:
    """A submission without arguments prints a line and completes."""
    done = run("sample.sh")
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)


def test_sample_prints_words_it_does_not_know(run: Program) -> None:
    """Any argument list is a valid one: unknown words are printed as they are."""
    done = run("sample.sh", "arg1", "-n", "two words", "%s\\n", "*")
    assert (done.code, done.out) == (0, "arg1\n-n\ntwo words\n%s\\n\n*\n")


def test_sample_does_what_it_is_told_in_order(run: Program) -> None:
    """Output, error, progress and the exit code are what the arguments say; what follows `exit` is not done."""
    done = run(
        "sample.sh", "print", "one", "error", "two", "sleep", "0", "progress", "50", "exit", "7", "print", "never"
    )
    assert (done.code, done.out, done.err, done.reports) == (7, "one\n", "two\n", [50])


@pytest.mark.parametrize(("attempt", "code"), [("1", 1), ("2", 0), ("5", 0)])
def test_sample_crashes_once(run: Program, attempt: str, code: int) -> None:
    """`crash-once` fails on the first attempt and passes on every later one."""
    assert run("sample.sh", "crash-once", env={"JOBMGR_ATTEMPT": attempt}).code == code


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV"])
def test_sample_can_die_by_a_signal(name: str) -> None:
    """`signal` ends the program by that very signal, not by an exit code that looks like it."""
    done = subprocess.run([JOBS / "sample.sh", "signal", name, "exit", "0"], capture_output=True, check=False)
    assert done.returncode == -signal.Signals[f"SIG{name}"]


@pytest.mark.parametrize(
    "words",
    [["print"], ["sleep"], ["exit"], ["exit", "x"], ["exit", "-1"], ["exit", ""], ["sleep", "x"], ["signal", "X"]],
)
def test_sample_refuses_what_makes_no_sense(run: Program, words: list[str]) -> None:
    """A missing or wrong operand is exit code 2 and a sentence."""
    done = run("sample.sh", *words)
    assert done.code == 2
    assert done.err


def test_checksum_prints_true_sums_that_can_be_checked(run: Program, tree: Path) -> None:
    """The lines are what `sha256sum` would print, for names with spaces too."""
    done = run("checksum.sh", tree / "big", tree / "sub" / "nothing")
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (tree / "big", tree / "sub" / "nothing")]
    assert done.out == f"{sums[0]}  {tree / 'big'}\n{sums[1]}  {tree / 'sub' / 'nothing'}\n"
    assert (done.code, done.err, done.reports[:2], done.result) == (0, "", [50, 100], {"files": 2, "failed": 0})


def test_checksum_of_a_missing_file_fails_and_the_others_are_done(run: Program, tree: Path) -> None:
    """A missing file and a directory are a sentence each and exit code 1 at the end."""
    done = run("checksum.sh", "gone", tree, tree / "big")
    assert done.code == 1
    assert done.err == f"checksum.sh: gone does not exist.\nchecksum.sh: {tree} is a directory.\n"
    assert str(tree / "big") in done.out
    assert done.result == {"files": 1, "failed": 2}


def test_checksum_takes_a_name_that_looks_like_an_option(run: Program, tmp_path: Path) -> None:
    """A file called --help is a file."""
    (tmp_path / "--help").write_bytes(b"")
    assert run("checksum.sh", "--help").out == f"{hashlib.sha256(b'').hexdigest()}  --help\n"


def test_checksum_of_nothing_is_a_usage_error(run: Program) -> None:
    """No file given: exit code 2 and how it is used."""
    done = subprocess.run([JOBS / "checksum.sh"], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (2, "Usage: checksum.sh FILE...\n")


def test_compress_packs_the_whole_tree(run: Program, tree: Path, tmp_path: Path) -> None:
    """Everything below the directory comes out of the archive as it went in."""
    done = run("compress.py", tree, tmp_path / "out dir.tar.gz")
    assert (done.code, done.err) == (0, "")
    with tarfile.open(tmp_path / "out dir.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2 of Debian 12 has none
        archive.extractall(tmp_path / "back")
    back = tmp_path / "back" / "my files"
    assert (back / "big").read_bytes() == (tree / "big").read_bytes()
    assert os.readlink(back / "link") == "big"
    assert sorted(os.listdir(os.fsencode(back))) == sorted(os.listdir(os.fsencode(tree)))
    assert (back / "sub" / "empty").is_dir()


def test_compress_reports_progress_and_sizes(run: Program, tree: Path, tmp_path: Path) -> None:
    """Progress rises to 100 and the result has the true numbers."""
    done = run("compress.py", tree, tmp_path / "out.tar.gz")
    assert done.progress == sorted(set(done.progress))
    assert done.progress[-1] == 100
    size = (tmp_path / "out.tar.gz").stat().st_size
    assert done.result == {
        "target": str(tmp_path / "out.tar.gz"),
        "files": 3,
        "bytes": 300_004,
        "compressedBytes": size,
    }


def test_compress_defaults_to_a_target_beside_the_directory(run: Program, tree: Path) -> None:
    """Without a target the archive is DIRECTORY.tar.gz, also when the directory is given as `.`."""
    assert run("compress.py", ".", cwd=tree).code == 0
    assert tarfile.is_tarfile(tree.with_name("my files.tar.gz"))


def test_compress_into_the_directory_itself_leaves_itself_out(run: Program, tree: Path) -> None:
    """The archive neither swallows its own bytes nor an older archive of the same name."""
    (tree / "all.tar.gz").write_bytes(b"old")
    assert run("compress.py", tree, tree / "all.tar.gz").code == 0
    with tarfile.open(tree / "all.tar.gz") as archive:
        assert not [name for name in archive.getnames() if "all.tar.gz" in name]


def test_compress_that_fails_leaves_no_half_archive(run: Program, tree: Path, tmp_path: Path) -> None:
    """A target that cannot be written, or a source that does not exist, is a sentence and exit code 1, and nothing is left behind."""
    (tmp_path / "out.tar.gz").mkdir()
    (tmp_path / "out.tar.gz" / "occupied").touch()
    before = sorted(os.listdir(tmp_path))
    for args in ([tree, tmp_path / "out.tar.gz"], [tree, tmp_path / "no" / "such" / "out.tar.gz"], [tmp_path / "gone"]):
        done = run("compress.py", *args)
        assert (done.code, done.err.startswith("compress.py: "), done.err.count("\n")) == (1, True, 1)
    assert sorted(os.listdir(tmp_path)) == before


def test_compress_that_is_stopped_cleans_up(tree: Path, tmp_path: Path) -> None:
    """TERM in the middle of the work ends it with no archive and no hidden file."""
    os.truncate(tree / "big", 1 << 30)  # Sparse: costs no room, but seconds of packing.
    os.mkfifo(tmp_path / "report")
    command: list[str | Path] = [
        "sh",
        "-c",
        'exec "$@" 3>"$REPORT"',
        "sh",
        JOBS / "compress.py",
        tree,
        tmp_path / "out.tar.gz",
    ]
    process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], "REPORT": str(tmp_path / "report")})
    with (tmp_path / "report").open("rb") as reports:
        assert reports.readline() == b"0\n"  # It is packing now.
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert not [name for name in os.listdir(tmp_path) if "out.tar.gz" in name]


LOG = """2026-11-22 08:00:00 INFO started on 10.0.0.1
2026-11-22 08:00:01 ERROR connection refused by 10.0.0.2
2026-11-22 08:00:02 WARN connection slow to 10.0.0.2
2026-11-22 08:00:03 error connection lost"""


def test_parse_log_counts_what_is_there(run: Program, tmp_path: Path) -> None:
    """Lines (the last one has no line end), bytes, levels, words, hosts and times are the true ones."""
    (tmp_path / "my log").write_text(LOG)
    done = run("parse_log.py", "my log", "--top", "2")
    assert (done.code, done.err) == (0, "")
    assert done.result == {
        "lines": 4,
        "bytes": len(LOG),
        "levels": {"ERROR": 2, "INFO": 1, "WARNING": 1},
        "topWords": [["connection", 3], ["INFO", 1]],
        "topHosts": [["10.0.0.2", 2], ["10.0.0.1", 1]],
        "first": "2026-11-22 08:00:00",
        "last": "2026-11-22 08:00:03",
        "exact": True,
    }
    assert json.loads(done.out) == done.result
    assert done.progress == sorted(set(done.progress))


@pytest.mark.parametrize(
    "stamp", ["2026-11-22T08:00:00.250Z", "2026-11-22 08:00:00,250", "22/Nov/2026:08:00:00 +0000", "Nov  2 08:00:00"]
)
def test_parse_log_knows_the_usual_time_stamps(run: Program, tmp_path: Path, stamp: str) -> None:
    """ISO, logging, web server and syslog times are found as they are written."""
    (tmp_path / "log").write_text(f"[{stamp}] hello\n")
    assert run("parse_log.py", "log").result["first"] == stamp


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\x00\xff\xfe\n" * 10, gzip.compress(b"binary", mtime=0), b"x" * 200_000]
)
def test_parse_log_takes_any_bytes(run: Program, tmp_path: Path, content: bytes) -> None:
    """Empty files, binary files and endless lines are counted, not stumbled over."""
    (tmp_path / "log").write_bytes(content)
    done = run("parse_log.py", "log")
    assert (done.code, done.err) == (0, "")
    assert done.result["bytes"] == len(content)
    assert done.result["lines"] == content.count(b"\n") + bool(content and not content.endswith(b"\n"))


def test_parse_log_stays_small_with_very_many_words(run: Program, tmp_path: Path) -> None:
    """Rare words are forgotten, the frequent one is still counted exactly, and the result says that it is not exact."""
    (tmp_path / "log").write_text("".join(f"often word{number}\n" for number in range(120_000)))
    done = run("parse_log.py", "log", "--top", "1")
    assert done.result["topWords"] == [["often", 120_000]]
    assert done.result["exact"] is False


def test_parse_log_of_a_missing_file_is_a_sentence(run: Program) -> None:
    """What cannot be read is named; exit code 1."""
    done = run("parse_log.py", "gone")
    assert (done.code, done.err) == (1, "parse_log.py: gone: No such file or directory.\n")
