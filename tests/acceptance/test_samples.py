"""The sample jobs as a person runs them: plain programs, with and without a report file on fd 3."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

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
    assert {"sample.sh", "checksum.sh", "compress.py", "parse_log.py", "extract.py", "upload.py", "team.py"} <= {
        path.name for path in samples
    }
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
        ["upload.py", __file__, "."],
        ["team.py", "red", ".", "--members", "ann,bob"],
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


@pytest.mark.parametrize(("percent", "code"), [("0", 0), ("100", 1)])
def test_sample_takes_chances(run: Program, percent: str, code: int) -> None:
    """Never with 0, always with 100; either way it says so, and after a crash it does no more."""
    done = run("sample.sh", "chance", percent, "done")
    crash, no_crash = "sample.sh: crashing, by chance.\n", "sample.sh: no crash, by chance.\n"
    said = ("", crash) if code else (f"{no_crash}done\n", "")
    assert len(crash) == len(no_crash)  # By how much it prints nobody can tell.
    assert (done.code, done.out, done.err) == (code, *said)


def test_sample_takes_real_chances(run: Program) -> None:
    """With 50 % both come about: that one does not in 60 runs has a probability of 10 to the power of -18."""
    assert {run("sample.sh", "chance", "50").code for _ in range(60)} == {0, 1}


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (["--codec", "av1", "weak", "av1"], {1}),  # 34 % three times is more than always
        (["print", "av1", "weak", "av1"], {1}),
        (["--codec", "av11", "weak", "av1"], {0, 1}),
        (["weak", "av1", "av1"], {0, 1}),
        (["*", "weak", "?"], {0, 1}),
    ],
)
def test_sample_may_have_a_weakness(run: Program, words: list[str], codes: set[int]) -> None:
    """After a weak word, exactly as it was printed before, chances are three times as large."""
    assert {run("sample.sh", *words, "chance", "34").code for _ in range(100 if len(codes) > 1 else 10)} == codes


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV"])
def test_sample_can_die_by_a_signal(name: str) -> None:
    """`signal` ends the program by that very signal, not by an exit code that looks like it."""
    done = subprocess.run([JOBS / "sample.sh", "signal", name, "exit", "0"], capture_output=True, check=False)
    assert done.returncode == -signal.Signals[f"SIG{name}"]


@pytest.mark.parametrize(
    "words",
    [
        ["print"],
        ["sleep"],
        ["exit"],
        ["exit", "x"],
        ["exit", "-1"],
        ["exit", ""],
        ["sleep", "x"],
        ["signal", "X"],
        ["chance"],
        ["chance", "x"],
        ["chance", "-1"],
        ["chance", "08"],
        ["weak"],
    ],
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


# --- the sample job types


def packed(tree: Path, name: str) -> Path:
    """The tree in an archive of the kind that the name says."""
    archive = tree.parent / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in (tree / "big", tree / "sub" / "nothing", tree / "sub" / "empty"):
                file.write(path, path.relative_to(tree))
    else:
        with tarfile.open(archive, "w") as file:
            file.add(tree, ".")
        plain = archive.read_bytes()
        squeezed = {".gz": gzip.compress(plain), ".xz": lzma.compress(plain)}
        archive.write_bytes(squeezed.get(archive.suffix, plain))
    return archive


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a.zip"])
def test_extract_unpacks_what_was_packed(run: Program, tree: Path, tmp_path: Path, name: str) -> None:
    """The content comes out as it went in, progress rises to 100, and the result has the true numbers."""
    done = run("extract.py", packed(tree, name), tmp_path / "out dir")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "out dir" / "big").read_bytes() == (tree / "big").read_bytes()
    assert (tmp_path / "out dir" / "sub" / "nothing").read_bytes() == b""
    assert (tmp_path / "out dir" / "sub" / "empty").is_dir()
    assert done.result["bytes"] == 300_000 + (0 if name.endswith("zip") else 4)
    assert done.progress == sorted(done.progress)
    assert done.progress[-1] == 100


def test_extract_defaults_to_a_directory_beside_the_archive(run: Program, tree: Path) -> None:
    """By the name of the archive; what is there already is not touched."""
    archive = packed(tree, "a.tar.gz")
    assert run("extract.py", archive).result["target"] == str(archive.with_name("a"))
    again = run("extract.py", archive)
    assert (again.code, again.err) == (1, f"extract.py: {archive.with_name('a')} exists already.\n")


def evil(tmp_path: Path, name: str, content: bytes = b"x", **fields: Any) -> Path:
    """An archive with one entry of this name."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    with tarfile.open(tmp_path / "evil.tar", "w") as file:
        file.addfile(entry, io.BytesIO(content))
    return tmp_path / "evil.tar"


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped"])
def test_extract_lets_nothing_out_of_its_target(run: Program, tmp_path: Path, name: str) -> None:
    """The work ends with a sentence, and nothing is left."""
    done = run("extract.py", evil(tmp_path, name), tmp_path / "out")
    assert (done.code, "outside the target" in done.err) == (1, True)
    assert sorted(os.listdir(tmp_path)) == ["evil.tar"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken", b"PK\x05\x06 broken"])
def test_extract_of_what_is_no_archive_is_a_sentence(run: Program, tmp_path: Path, content: bytes) -> None:
    """Exit code 1, one line, and nothing is left; so for a missing file."""
    (tmp_path / "x.tar").write_bytes(content)
    for archive in ("x.tar", "gone.tar"):
        done = run("extract.py", archive, "out")
        assert (done.code, done.err.count("\n"), done.err.startswith("extract.py: ")) == (1, 1, True)
    assert sorted(os.listdir(tmp_path)) == ["x.tar"]


def test_extract_refuses_more_than_it_may(run: Program, tree: Path, tmp_path: Path) -> None:
    """A small archive may hold very much."""
    done = run("extract.py", packed(tree, "a.tar.xz"), tmp_path / "out", "--max-bytes=1000")
    assert (done.code, "more than 1000 bytes" in done.err) == (1, True)
    assert not (tmp_path / "out").exists()


def stop_in_the_middle(tmp_path: Path, *command: str | Path) -> int:
    """Send TERM to a sample as soon as it has reported anything; its exit code. What it reports later stays in the pipe, or waits there."""
    os.mkfifo(tmp_path / "report")
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" 3>"$REPORT"', "sh", *command],
        env={"PATH": os.environ["PATH"], "REPORT": str(tmp_path / "report")},
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    with (tmp_path / "report").open("rb", buffering=0) as reports:
        assert reports.read(1)
        process.terminate()
        code = process.wait(60)
    (tmp_path / "report").unlink()
    return code


def test_extract_that_is_stopped_cleans_up(tmp_path: Path) -> None:
    """TERM in the middle leaves neither the target nor a hidden directory."""
    entry = tarfile.TarInfo("large")
    entry.size = 1 << 30
    (tmp_path / "large.tar").write_bytes(entry.tobuf())
    os.truncate(tmp_path / "large.tar", (1 << 30) + 2048)  # Sparse: costs no room, but seconds of unpacking.
    assert stop_in_the_middle(tmp_path, JOBS / "extract.py", "large.tar", "out") == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == ["large.tar"]


@pytest.mark.parametrize("as_address", [False, True])
def test_upload_copies_a_file_and_says_its_sum(run: Program, tree: Path, tmp_path: Path, as_address: bool) -> None:
    """To a directory, named by a path or by a file: URL."""
    place = tmp_path / "my place"
    place.mkdir()
    done = run("upload.py", tree / "big", place.as_uri() if as_address else place)
    content = (tree / "big").read_bytes()
    assert (done.code, done.err, (place / "big").read_bytes()) == (0, "", content)
    sum_ = hashlib.sha256(content).hexdigest()
    assert done.result == {"target": str(place / "big"), "bytes": 300_000, "sha256": sum_}
    assert done.out == f"{sum_}  {place / 'big'}\n"
    assert done.progress == sorted(done.progress)


def test_upload_with_another_sum_leaves_nothing(run: Program, tree: Path, tmp_path: Path) -> None:
    """A copy that is not what was promised never appears."""
    (tmp_path / "place").mkdir()
    done = run("upload.py", tree / "big", tmp_path / "place", f"--sha256={'0' * 64}")
    assert (done.code, "SHA-256" in done.err) == (1, True)
    assert os.listdir(tmp_path / "place") == []


@pytest.mark.parametrize("destination", ["gone", "ftp://example.org/x", "http://127.0.0.1:1/x"])
def test_upload_to_nowhere_is_a_sentence(run: Program, tree: Path, destination: str) -> None:
    """Exit code 1 and one line."""
    done = run("upload.py", tree / "big", destination)
    assert (done.code, done.err.count("\n"), done.err.startswith("upload.py: ")) == (1, 1, True)


def test_upload_that_is_stopped_cleans_up(tmp_path: Path) -> None:
    """TERM in the middle leaves neither the copy nor a hidden file."""
    (tmp_path / "place").mkdir()
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 30)  # Sparse: costs no room, but seconds of copying.
    assert stop_in_the_middle(tmp_path, JOBS / "upload.py", "large", "place") == 128 + signal.SIGTERM
    assert os.listdir(tmp_path / "place") == []


class Receiver(BaseHTTPRequestHandler):
    """Takes what is sent with PUT to any place but /full/."""

    got: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers["Authorization"], content))
        self.send_response(507 if self.path.startswith("/full/") else 201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the class above fixes
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    """The address of a server that takes uploads."""
    Receiver.got = []
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_upload_sends_to_an_address_with_its_token(run: Program, tree: Path, receiver: str) -> None:
    """One PUT; an address that ends with / gets the name of the file; the token is not part of what is said."""
    done = run("upload.py", tree / "big", f"{receiver}/in/", env={"UPLOAD_TOKEN": "hunter22"})
    assert (done.code, done.err) == (0, "")
    assert Receiver.got == [("/in/big", "Bearer hunter22", (tree / "big").read_bytes())]
    assert done.result["target"] == f"{receiver}/in/big"
    assert "hunter22" not in done.out + str(done.reports)


def test_upload_that_is_refused_fails(run: Program, tree: Path, receiver: str) -> None:
    """The status of the other server is in the sentence."""
    done = run("upload.py", tree / "big", f"{receiver}/full/x")
    assert (done.code, "answered 507" in done.err) == (1, True)


def test_team_makes_folders_and_a_roster(run: Program, tmp_path: Path) -> None:
    """One folder a member, each once, with progress up to 100."""
    done = run("team.py", "red team", tmp_path, "--members", "ann, bob,ann", "--member", "cy", "--private")
    assert (done.code, done.err) == (0, "")
    team = tmp_path / "red team"
    assert sorted(os.listdir(team)) == ["archive", "members", "roster.csv", "shared"]
    assert sorted(os.listdir(team / "members")) == ["ann", "bob", "cy"]
    assert (team / "members" / "ann").stat().st_mode & 0o777 == 0o700
    assert (team / "roster.csv").read_text().splitlines()[:2] == ["member,folder", "ann,members/ann"]
    assert done.result["members"] == 3
    assert done.progress == sorted(done.progress)


@pytest.mark.parametrize(
    "args", [["../x", "."], [".", "."], ["x", ".", "--members", "a/b"], ["x", ".", "--members", ".."]]
)
def test_team_takes_no_name_that_is_a_path(run: Program, tmp_path: Path, args: list[str]) -> None:
    """Exit code 2, and nothing is made."""
    done = subprocess.run([JOBS / "team.py", *args], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert (done.returncode, "no name for a folder" in done.stderr) == (2, True)
    assert os.listdir(tmp_path) == []


def test_team_that_exists_is_not_touched(run: Program, tmp_path: Path) -> None:
    """Exit code 1 and a sentence."""
    (tmp_path / "red").mkdir()
    done = run("team.py", "red", tmp_path, "--members", "ann")
    assert (done.code, done.err) == (1, f"team.py: {tmp_path / 'red'} exists already.\n")
    assert os.listdir(tmp_path / "red") == []


def test_team_that_is_stopped_cleans_up(tmp_path: Path) -> None:
    """TERM in the middle leaves nothing: the pipe of its reports is full, so it waits there."""
    members = ",".join(f"member{number}" for number in range(5000))
    assert stop_in_the_middle(tmp_path, JOBS / "team.py", "red", ".", "--members", members) == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == []
