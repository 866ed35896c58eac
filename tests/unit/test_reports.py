"""What jobs say on fd 3: understood, bounded, never trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.reports import MAX_LINE_BYTES, Reported, ReportReader, parse_line
from jobmgr.secrets import Mask


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        (b"42", Reported(progress=42.0)),
        (b"99.5", Reported(progress=99.5)),
        (b"-3", Reported(progress=0.0)),
        (b"1e3", Reported(progress=100.0)),
        (b'{"progress": 10, "message": "half"}', Reported(progress=10.0, message="half")),
        (b'{"result": {"lines": 3}}', Reported(result={"lines": 3})),
        (b'{"error": "no disk"}', Reported(error="no disk")),
        (b'{"checkpoint": "frame-7"}', Reported(checkpoint="frame-7")),
        (b"true", Reported()),
        (b"NaN", Reported()),
        (b'{"progress": "x", "message": 3}', Reported()),
        (b"hello", Reported()),
        (b"", Reported()),
        (b"\xff\xfe", Reported()),
        (b"[" * 100_000, Reported()),
        (b'{"result": ' + b"[" * 60 + b"]" * 60 + b"}", Reported()),
    ],
)
def test_a_line_is_a_number_or_an_object(line: bytes, reported: Reported) -> None:
    """Anything else says nothing."""
    assert parse_line(line) == reported


@given(st.binary(max_size=200))
def test_no_line_can_do_harm(line: bytes) -> None:
    """Rubbish is skipped, and what is understood can be written as JSON again."""
    reported = parse_line(line)
    json.dumps([reported.progress, reported.message, reported.checkpoint, reported.result]).encode()


def test_the_last_word_of_each_kind_counts(tmp_path: Path) -> None:
    """A later line replaces only what it names."""
    path = tmp_path / "report"
    path.write_bytes(b'{"progress": 1, "message": "a"}\n50\n')
    reader = ReportReader(str(path))
    assert reader.read()
    assert reader.reported == Reported(progress=50.0, message="a")


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A line that arrives in two pieces is one line."""
    path = tmp_path / "report"
    path.write_bytes(b"1\n7")
    reader = ReportReader(str(path))
    reader.read()
    assert reader.reported.progress == 1.0
    with path.open("ab") as file:
        file.write(b"5\n")
    assert reader.read()
    assert reader.reported.progress == 75.0
    assert not reader.read()


def test_the_last_line_needs_no_newline_when_the_job_has_ended(tmp_path: Path) -> None:
    """`printf` without a newline is a report too."""
    path = tmp_path / "report"
    path.write_bytes(b'{"result": 7}')
    assert ReportReader(str(path)).finish() == Reported(result=7)


@pytest.mark.parametrize("tail", [b"\n33\n", b"\n33"])
def test_a_line_beyond_the_bound_is_skipped_and_the_next_one_counts(tmp_path: Path, tail: bytes) -> None:
    """Memory stays flat whatever a job writes."""
    path = tmp_path / "report"
    path.write_bytes(b"9" * (5 * MAX_LINE_BYTES) + tail)
    assert ReportReader(str(path)).finish() == Reported(progress=33.0)


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    """Most jobs report nothing."""
    assert not ReportReader(str(tmp_path / "none")).read()


def test_secrets_are_hidden_in_what_is_shown(tmp_path: Path) -> None:
    """Message, error and result, before they are cut to length; the checkpoint is given back to the job as it is."""
    secret = "hunter22"
    said = {"message": "m" * 996 + secret, "error": secret, "checkpoint": secret, "result": {secret: [secret, 5]}}
    path = tmp_path / "report"
    path.write_text(json.dumps(said))
    reported = ReportReader(str(path), Mask([secret])).finish()
    assert reported == Reported(message="m" * 996 + "***", error="***", checkpoint=secret, result={"***": ["***", 5]})
