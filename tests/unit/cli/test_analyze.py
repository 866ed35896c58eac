"""`jobmgr analyze`: a history in a file, whatever its form and origin, without a server."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobmgr.clock import parse_rfc3339
from jobmgr.history import read
from jobmgr.stats.query import Question, Target
from jobmgr.stats.summary import columns_of, summarize

START = datetime(2026, 11, 1, tzinfo=UTC)
Analyze = Callable[..., subprocess.CompletedProcess[str]]


def lines(count: int = 200) -> list[str]:
    """A history with as many jobs, an hour apart, every fourth crashed."""
    return [
        json.dumps(
            {
                "jobId": f"job-{n}",
                "jobName": f"name-{n % 3}",
                "status": "completed" if n % 4 else "crashed",
                "createdAt": (START + timedelta(hours=n)).isoformat(),
                "finishedAt": (START + timedelta(hours=n, seconds=30)).isoformat(),
                "duration": 30_000,
            }
        )
        for n in range(count)
    ]


def stats_of(text: Sequence[str], question: Question | None = None, *, jobs: int) -> Any:
    """What the statistics say of these lines, as JSON."""
    rows = list(read(text))
    newest = max(row.finished_at or row.created_at or 0 for row in rows)
    return json.loads(json.dumps(summarize(columns_of(rows), question or Question(), total_jobs=jobs, now=newest)))


@pytest.fixture
def analyze(tmp_path: Path) -> Analyze:
    """Runs the command in a directory with nothing in it, where no server is."""

    def run(*words: str, stdin: bytes = b"", code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "jobmgr", "analyze", *words],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
        )
        text = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
        assert done.returncode == code, text
        return text

    return run


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A file with a history."""
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(lines()) + "\n")
    return file


def test_json_is_what_a_server_would_say_of_it(analyze: Analyze, history: Path) -> None:
    """And the etas of what still runs."""
    said = json.loads(analyze("jobs.jsonl", "--json").stdout)
    assert said.pop("etas") == {}
    assert said == stats_of(lines(), jobs=200)


def test_a_report_for_people(analyze: Analyze, history: Path) -> None:
    """The same as of a server; nothing is complained of."""
    done = analyze("jobs.jsonl")
    assert done.stdout.startswith("jobs:          200\nsuccess rate:  75 %")
    assert done.stdout.rstrip().splitlines()[-1].startswith("next:          jobmgr analyze jobs.jsonl --name-report")
    assert done.stderr == ""


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_and_a_packed_file_are_read_too(analyze: Analyze, history: Path, packed: bool) -> None:
    """From stdin with `-`."""
    text = history.read_bytes()
    (history.parent / "x").write_bytes(gzip.compress(text))
    from_stdin = analyze("-", stdin=gzip.compress(text) if packed else text).stdout
    assert from_stdin.startswith("jobs:          200\n")
    assert analyze("x", "--json").stdout == analyze("-", "--json", stdin=text).stdout


def test_a_question_is_narrowed(analyze: Analyze, history: Path) -> None:
    """By the same options as those of `jobmgr stats`; what lies back counts from the newest time in the file."""
    since = parse_rfc3339("2026-11-05T00:00:00Z")
    asked = Question(Target.SLOW, since=since, name="name-1", max_patterns=3, min_support=5)
    words = ("--target", "slow", "--name", "name-1", "--max-patterns", "3", "--min-support", "5")
    said = json.loads(analyze("jobs.jsonl", "--json", *words, "--since", "2026-11-05T00:00:00Z").stdout)
    assert said["analysis"] == stats_of(lines(), asked, jobs=200)["analysis"]
    assert json.loads(analyze("jobs.jsonl", "--json", "--since", "10h").stdout)["analysis"]["finishedTasks"] == 11


def test_what_could_not_be_used_is_told_beside_it(analyze: Analyze) -> None:
    """Lines and fields, with reasons; the rest is used."""
    bad = [
        "no json",
        '{"status": "done"}',
        *('{"status": "x"}' for _ in range(3)),
        '{"status":"completed","duration":-1}',
    ]
    done = analyze("-", stdin="\n".join([*bad, *lines(50)]).encode())
    assert done.stdout.startswith("jobs:          51\n")
    assert done.stderr.splitlines() == [
        "jobmgr: 5 lines of 56 could not be used and were left out:",
        "jobmgr:   line 1: it is no JSON object",
        'jobmgr:   line 2: its status "done" is not one of ours',
        'jobmgr:   line 3: its status "x" is not one of ours',
        "jobmgr:   … and 2 more",
        "jobmgr: duration could not be used in 1 line; taken as unknown there",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "file cannot be read: No such file or directory."),
        (b"", "file is empty."),
        (b"\n\n", "file holds no history: nothing in its 2 lines could be used. See docs/history.md for the form."),
        (b"a,b\n1,2\n", "file holds no history: nothing in its 2 lines could be used. Line 1: it is no JSON object."),
        (b"\x7fELF\0\0\0\0" * 100, "file is a binary file, not a history"),
        (gzip.compress(b"", mtime=0), "file is empty."),
        (gzip.compress(b"x" * 10_000, mtime=0)[:20], "file: it is cut off."),
        (b"\x1f\x8bnonsense" * 10, "file: it is damaged."),
    ],
    ids=["missing", "empty", "blank", "csv", "binary", "packed nothing", "cut off", "no gzip"],
)
def test_a_file_that_is_no_history_is_a_sentence(
    analyze: Analyze, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    """Exit code 1, nothing on stdout."""
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    done = analyze("file", code=1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"jobmgr: {sentence}")
    assert done.stderr.count("\n") == 1


def test_a_directory_is_a_sentence(analyze: Analyze, tmp_path: Path) -> None:
    """As any file that cannot be read."""
    assert analyze(".", code=1).stderr == "jobmgr: . cannot be read: Is a directory.\n"


def test_a_packed_file_that_is_cut_off_is_used_as_far_as_it_goes(analyze: Analyze, tmp_path: Path) -> None:
    """And that is said."""
    (tmp_path / "x.gz").write_bytes(gzip.compress("\n".join(lines(2000)).encode())[:-2000])
    done = analyze("x.gz")
    assert done.stdout.startswith("jobs:          1,")
    assert "x.gz: it is cut off after 1," in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--target", "luck"),
        ("--max-patterns", "0"),
        ("--min-support", "x"),
        ("--since", "yesterday"),
        ("--until", "99999999999d"),
        ("--name-report", "x", "--group", "y"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(analyze: Analyze, words: tuple[str, ...]) -> None:
    """Exit code 2."""
    assert "Error: " in analyze("not-there", *words, code=2).stderr


def test_any_year_can_be_asked_for(analyze: Analyze) -> None:
    """Also one that is written with zeros in front."""
    done = json.dumps({"status": "completed", "finishedAt": "2026-11-01T23:30:00Z"}).encode()
    assert '"finishedTasks":1,' in analyze("-", "--json", "--since", "0001-01-02T00:00:00Z", stdin=done).stdout


def test_hours_are_those_of_the_configured_time_zone(analyze: Analyze) -> None:
    """JOBMGR_TIMEZONE, as the server; a wrong one is refused."""
    night = json.dumps({"status": "crashed", "createdAt": "2026-11-01T23:30:00Z"}).encode()
    assert "between 05:00 and 06:00" in analyze("-", stdin=night, JOBMGR_TIMEZONE="Asia/Kolkata").stdout
    assert "JOBMGR_TIMEZONE=Mars: not a time zone" in analyze("-", stdin=night, code=2, JOBMGR_TIMEZONE="Mars").stderr


def test_an_empty_line_end_and_hostile_names_do_no_harm(analyze: Analyze) -> None:
    """Nothing in a file reaches the terminal unescaped."""
    evil = [
        json.dumps({"jobName": "\x1b[2Jevil\u202e", "status": "completed" if n % 3 else "crashed"}) for n in range(200)
    ]
    out = analyze("-", stdin="\r\n".join(evil).encode()).stdout
    assert [line for line in out.splitlines() if not line.isprintable()] == []


def test_jobs_are_counted_once_however_many_lines_they_have(analyze: Analyze) -> None:
    """Attempts and tasks of a job are one job."""
    rows = [json.dumps({"jobId": f"job-{n // 4}", "task": n % 2, "status": "completed"}) for n in range(40)]
    assert json.loads(analyze("-", "--json", stdin="\n".join(rows).encode()).stdout)["totalJobs"] == 10


def test_rows_are_given_one_by_one(tmp_path: Path) -> None:
    """While they are read: memory does not grow with the file."""
    from jobmgr.cli.history_file import HistoryFile

    file = tmp_path / "x"
    file.write_text("\n".join(lines(10)))
    history = HistoryFile(str(file))
    rows = history.rows()
    next(rows)
    assert (history.jobs, history.report.lines) == (1, 1)
    assert len(list(rows)) == 9
    assert history.jobs == 10


def test_progress_is_told_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line that is gone at the end."""
    from jobmgr.cli import history_file

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    file = tmp_path / "x"
    file.write_text('{"status": "completed"}\n' * 12_000)
    monkeypatch.setattr(history_file, "_TOLD_EVERY_S", 0.0)
    for stream, seen in ((Screen(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        list(history_file.HistoryFile(str(file)).rows())
        assert ("reading … 5,000 lines (" in stream.getvalue()) is seen
        assert stream.getvalue().endswith("\r\x1b[K" if seen else "")
