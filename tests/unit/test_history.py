"""The history as lines: what is written, and what is made of whatever is read."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.history import FIELDS, SHOWN_SKIPS, HistoryRow, ReadReport, read, to_line
from jobmgr.job import Cause, Status

BORN = 1_763_798_400_250_000  # 2025-11-22T08:00:00.250Z

A_ROW = HistoryRow(
    job_id="job-7",
    task=3,
    job_name="encode",
    script="/srv/jobs/encode.sh",
    args=("in.mp4", "out-3.mp4"),
    priority=10,
    group=None,
    node="here-3000",
    created_at=BORN,
    started_at=BORN + 2_000,
    finished_at=BORN + 1_502_000,
    status="crashed",
    cause="signal",
    exit_code=None,
    signal=9,
    round=2,
    attempt=4,
    retries=1,
    duration_us=1_500_000,
    queue_wait_us=2_000,
    peak_rss_bytes=20_000_000,
    cpu_us=1_250_000,
    read_bytes=0,
    write_bytes=4096,
    output_bytes=17,
    concurrency=2,
)


def read_all(*lines: bytes | str) -> tuple[list[HistoryRow], ReadReport]:
    """All rows, and what was met."""
    report = ReadReport()
    return list(read(lines, report)), report


def the_row(**values: Any) -> HistoryRow:
    """The row of one line with these values."""
    [row], _ = read_all(json.dumps({"status": "completed"} | values))
    return row


# --- out


def test_a_line_has_the_documented_fields_in_their_order() -> None:
    """One JSON object and a newline; names and units of conditions."""
    line = to_line(A_ROW)
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    assert json.loads(line, object_pairs_hook=list) == [
        ("jobId", "job-7"),
        ("task", 3),
        ("jobName", "encode"),
        ("script", "/srv/jobs/encode.sh"),
        ("args", ["in.mp4", "out-3.mp4"]),
        ("priority", 10),
        ("group", None),
        ("node", "here-3000"),
        ("createdAt", "2025-11-22T08:00:00.250Z"),
        ("startedAt", "2025-11-22T08:00:00.252Z"),
        ("finishedAt", "2025-11-22T08:00:01.752Z"),
        ("status", "crashed"),
        ("cause", "signal"),
        ("exitCode", None),
        ("signal", "SIGKILL"),
        ("round", 2),
        ("attempt", 4),
        ("retries", 1),
        ("duration", 1500),
        ("queueWait", 2),
        ("peakRssBytes", 20_000_000),
        ("cpuSeconds", 1.25),
        ("readBytes", 0),
        ("writeBytes", 4096),
        ("outputBytes", 17),
        ("concurrency", 2),
    ]


def test_every_attribute_of_a_row_is_a_field() -> None:
    """But for its place in the store."""
    assert [each.attribute for each in FIELDS] == [each.name for each in fields(HistoryRow) if each.name != "place"]


def test_a_lone_surrogate_does_not_break_a_line() -> None:
    """A path of bytes that are no text is written with question marks."""
    line = to_line(replace(A_ROW, script="/srv/\udcff"))
    assert json.loads(line.decode())["script"] == "/srv/?"


# --- in and out

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MILLISECONDS = st.integers(0, 2**40).map(lambda ms: ms * 1000)
TIMES = st.integers(0, 7_000_000_000_000).map(lambda ms: ms * 1000)
COUNTS = st.integers(0, 2**63 - 1)
ROWS = st.builds(
    HistoryRow,
    job_id=TEXT.filter(bool),
    task=COUNTS,
    job_name=st.none() | TEXT,
    script=st.none() | TEXT,
    args=st.none() | st.lists(TEXT).map(tuple),
    priority=st.none() | st.integers(-1_000_000, 1_000_000),
    group=st.none() | TEXT,
    node=st.none() | TEXT,
    created_at=st.none() | TIMES,
    started_at=st.none() | TIMES,
    finished_at=st.none() | TIMES,
    status=st.sampled_from([status.value for status in Status]),
    cause=st.none() | st.sampled_from([cause.value for cause in Cause]),
    exit_code=st.none() | st.integers(-(2**31), 2**32 - 1),
    signal=st.none() | st.integers(1, 127),
    round=st.integers(1, 1000),
    attempt=st.integers(0, 1000),
    retries=st.none() | COUNTS,
    duration_us=st.none() | MILLISECONDS,
    queue_wait_us=st.none() | MILLISECONDS,
    peak_rss_bytes=st.none() | COUNTS,
    cpu_us=st.none() | st.integers(0, 2**50),
    read_bytes=st.none() | COUNTS,
    write_bytes=st.none() | COUNTS,
    output_bytes=st.none() | COUNTS,
    concurrency=st.none() | st.integers(1, 10_000),
)


@given(st.lists(ROWS))
def test_what_is_written_is_read(rows: list[HistoryRow]) -> None:
    """Every row, as bytes and as text, and nothing was wrong with any."""
    lines = b"".join(map(to_line, rows))
    report = ReadReport()
    assert list(read(lines.splitlines(keepends=True), report)) == rows
    assert (report.lines, report.rows, report.skipped, report.unusable_fields) == (len(rows), len(rows), 0, {})
    assert list(read(lines.decode().split("\n"))) == rows


@given(st.lists(st.binary() | st.text()))
def test_anything_can_be_read(lines: list[bytes | str]) -> None:
    """Whatever the lines are, reading them raises nothing, and each is accounted for."""
    rows, report = read_all(*lines)
    assert report.lines == len(lines)
    assert report.rows == len(rows)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional={each.name: JSON for each in FIELDS}), st.sampled_from(list(Status)))
def test_any_values_give_a_row_that_can_be_written_again(values: dict[str, Any], status: Status) -> None:
    """A field that cannot be used becomes unknown; what remains means the same after a second time."""
    row = the_row(**(values | {"status": status}))
    again, report = read_all(to_line(row))
    assert [to_line(row)] == [to_line(each) for each in again]
    assert report.unusable_fields == {}


# --- in


def test_only_the_status_is_needed() -> None:
    """Everything else is unknown, and the line is a job of its own."""
    rows, report = read_all('{"status":"completed"}', '{"status":"crashed"}')
    assert [row.job_id for row in rows] == ["row-1", "row-2"]
    row = rows[0]
    assert (row.task, row.round, row.attempt, row.status) == (0, 1, 1, "completed")
    assert (row.job_name, row.args, row.priority, row.created_at, row.duration_us, row.retries) == (None,) * 6
    assert (report.rows, report.skipped) == (2, 0)


def test_what_waits_had_no_attempt_unless_it_says_so() -> None:
    """A pending line without an attempt is that of a task that never began."""
    assert the_row(status="pending").attempt == 0
    assert the_row(status="pending", attempt=2).attempt == 2


def test_a_line_that_cannot_be_used_is_skipped_and_told() -> None:
    """With its number and a reason; those around it are read."""
    rows, report = read_all('{"status":"completed"}', "half a li", "17", "{}", '{"status":"done"}', '{"status":"lost"}')
    assert [row.status for row in rows] == ["completed", "lost"]
    assert (report.lines, report.rows, report.skipped, report.unknown_statuses) == (6, 2, 4, 1)
    assert [(skip.line, skip.reason) for skip in report.first_skips] == [
        (2, "it is no JSON object"),
        (3, "it is no JSON object"),
        (4, "it has no status"),
        (5, 'its status "done" is not one of ours'),
    ]


@pytest.mark.parametrize("status", [None, 1, [], {}, ["completed"], True, "Completed", "deleted", ""])
def test_a_status_that_is_not_ours_is_not_guessed(status: Any) -> None:
    """The line is skipped."""
    rows, report = read_all(json.dumps({"jobId": "job-1", "status": status}))
    assert (rows, report.skipped) == ([], 1)


def test_only_the_first_skipped_lines_are_kept() -> None:
    """A file of something else altogether does not fill the memory."""
    _, report = read_all(*["x"] * 1000)
    assert (report.skipped, len(report.first_skips)) == (1000, SHOWN_SKIPS)


def test_foreign_words_are_told_without_harm() -> None:
    """A status is quoted, short and without control characters."""
    _, report = read_all(json.dumps({"status": "\x1b[31m" + "x" * 1000}))
    reason = report.first_skips[0].reason
    assert reason.isprintable() and len(reason) < 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", -1),
        ("task", 1.5),
        ("jobName", 7),
        ("args", "a b"),
        ("args", [1]),
        ("priority", "High"),
        ("createdAt", 1_763_798_400),
        ("createdAt", "2025-11-22T08:00:00"),
        ("cause", "bad luck"),
        ("exitCode", 2**40),
        ("exitCode", True),
        ("signal", "SIGNOTHING"),
        ("signal", 0),
        ("round", 0),
        ("attempt", "1"),
        ("duration", -1),
        ("duration", math.nan),
        ("duration", math.inf),
        ("duration", 10**400),
        ("duration", "1s"),
        ("queueWait", -0.5),
        ("peakRssBytes", 2**63),
        ("cpuSeconds", [1]),
        ("concurrency", 0),
    ],
)
def test_a_field_that_cannot_be_used_is_unknown_and_counted(name: str, value: Any) -> None:
    """Of the wrong type, out of range, negative, no number: the line is taken nevertheless."""
    attribute = next(each.attribute for each in FIELDS if each.name == name)
    [row], report = read_all(json.dumps({"jobId": "job-1", "status": "completed", name: value}))
    assert getattr(row, attribute) == {"task": 0, "round": 1, "attempt": 1}.get(attribute)
    assert report.unusable_fields == {name: 1}


@pytest.mark.parametrize(
    ("name", "value", "read_as"),
    [
        ("jobId", 17, "17"),
        ("exitCode", 3.0, 3),
        ("exitCode", -1, -1),
        ("signal", 9, 9),
        ("signal", "SIGTERM", 15),
        ("duration", 0.25, 250),
        ("duration", 0, 0),
        ("cpuSeconds", 1.5, 1_500_000),
        ("createdAt", "2025-11-22T10:00:00.25+02:00", BORN),
    ],
)
def test_what_can_be_understood_is_taken(name: str, value: Any, read_as: Any) -> None:
    """Numbers of other writers, and times with another offset."""
    attribute = next(each.attribute for each in FIELDS if each.name == name)
    assert getattr(the_row(**{name: value}), attribute) == read_as


def test_unknown_fields_and_nulls_are_ignored() -> None:
    """They count as nothing wrong."""
    [row], report = read_all(json.dumps({"status": "completed", "colour": "red", "duration": None, "error": {"a": 1}}))
    assert row.duration_us is None
    assert report.unusable_fields == {}


def test_marks_and_line_ends_of_other_systems_do_not_matter() -> None:
    """A byte order mark, CRLF, blank lines, spaces around."""
    rows, report = read_all(b'\xef\xbb\xbf{"status":"completed"}\r\n', b"\r\n", "", '  {"status":"lost"}\t\r\n', "\n")
    assert [row.status for row in rows] == ["completed", "lost"]
    assert (report.lines, report.skipped) == (5, 0)


def test_bytes_that_are_no_utf_8_do_no_harm() -> None:
    """They are replaced."""
    [row], _ = read_all(b'{"status":"completed","jobName":"caf\xe9"}')
    assert row.job_name == "caf\ufffd"


@pytest.mark.parametrize("text", ["[1," * 100_000, '{"a":' * 100_000, '{"status":"lost","task":' + "9" * 10_000 + "}"])
def test_hostile_json_is_skipped(text: str) -> None:
    """Nested without end, or with numbers that take too long to read."""
    rows, report = read_all(text, '{"status":"completed"}')
    assert [row.status for row in rows] == ["completed"]
    assert report.skipped == 1


@pytest.mark.parametrize(
    "text",
    [
        '[{"status":"completed","args":["a","b"]},{"status":"lost","args":["]","[,"]}]',
        '[{"status":"completed","args":["a","b"]},\n{"status":"lost","args":["]","[,"]}]\n',
        '[\n{"status":"completed","args":["a","b"]}\n,\n{"status":"lost","args":["]","[,"]}\n]',
        '[\n  {"status":"completed","args":["a","b"]},\n  {"status":"lost","args":["]","[,"]}\n]\n',
    ],
)
def test_an_array_of_objects_is_read_too(text: str) -> None:
    """In one line, or with one object a line, as GET /jobs gives it."""
    rows, report = read_all(*text.splitlines(keepends=True))
    assert [(row.status, row.args) for row in rows] == [("completed", ("a", "b")), ("lost", ("]", "[,"))]
    assert report.skipped == 0


def test_the_memory_of_reading_does_not_grow() -> None:
    """A hundred thousand lines, each with a name of its own and something wrong, cost what one costs."""

    def lines() -> Iterator[bytes]:
        for number in range(100_000):
            yield b'{"status":"%s","jobName":"name-%d","duration":-1}\n' % (
                b"lost" if number % 2 else b"x%d" % number,
                number,
            )

    report = ReadReport()
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(lines(), report)) == 50_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 256 * 1024
    assert report.unusable_fields == {"duration": 50_000}
