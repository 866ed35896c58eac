"""Predicates in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.small import HOSTILE
from jobmgr.cli import terminal
from jobmgr.stats.labels import MOST_TEXT, clause, clean, quoted, size, span, title

GB = 2**30


@pytest.mark.parametrize(
    ("attribute", "op", "value", "entry", "words"),
    [
        ("name", "==", "etl", "Job name “etl”", "named “etl”"),
        ("name.family", "==", "a-#", "Job name like “a-#”", "with a name like “a-#”"),
        ("name.token", "==", "etl", "Job name contains “etl”", "with “etl” in their name"),
        ("name.prefix", "==", "test-", "Job name starts with test-", "whose name starts with test-"),
        ("name.hasDigits", "==", True, "Job name contains digits", "with digits in their name"),
        ("name.length", ">", 10, "Name length > 10", "whose name is longer than 10 characters"),
        ("name.length", "<=", 10, "Name length <= 10", "whose name is at most 10 characters long"),
        ("name", "==", None, "Name unknown", "of unknown name"),
        ("script", "==", "/s", "Script /s", "of script /s"),
        ("group", "==", "web", "Group web", "of group “web”"),
        ("node", "==", "n3", "Node n3", "on node n3"),
        ("node", "==", None, "Node unknown", "of unknown node"),
        ("priority", ">", -1, "Priority > -1", "with a priority above -1"),
        ("priority", "<=", 0, "Priority <= 0", "with a priority of at most 0"),
        ("args.count", ">", 1, "Argument count > 1", "with more than 1 argument"),
        ("args.count", "<=", 2, "Argument count <= 2", "with at most 2 arguments"),
        ("args.has", "==", "--force", "Argument “--force”", "with argument “--force”"),
        ("args.--batch", ">", 64, "--batch > 64", "with --batch > 64"),
        ("args.--batch", "<=", 0.5, "--batch ≤ 0.5", "with --batch ≤ 0.5"),
        ("args.--mode", "==", "fast", "--mode = fast", "with --mode = fast"),
        ("args.-x", "==", "1", "-x = 1", "with -x = 1"),
        ("args.pathPrefix", "==", "/data/in", "A path below “/data/in”", "with a path below “/data/in”"),
        ("submit.hour", "==", 23, "Submitted between 23:00 and 00:00", "submitted between 23:00 and 00:00"),
        ("submit.hour", "in", (22, 23, 0), "Submitted between 22:00 and 01:00", "submitted between 22:00 and 01:00"),
        ("submit.weekday", "==", 6, "Submitted on Sunday", "submitted on a Sunday"),
        ("queueWait", ">", 1500, "Wait in the queue > 1.5 s", "that waited longer than 1.5 s"),
        ("duration", ">", 180_000, "Run time > 3 min", "that ran longer than 3 min"),
        ("duration", "<=", 500, "Run time <= 500 ms", "that ran at most 500 ms"),
        ("peakRssBytes", ">", 3 * GB, "Peak memory > 3 GiB", "that used more than 3 GiB of memory"),
        ("cpuSeconds", ">", 60, "CPU time > 60 s", "that used more than 60 s of CPU time"),
        ("readBytes", ">", 100, "Bytes read > 100 bytes", "that read more than 100 bytes"),
        ("writeBytes", ">", 2048, "Bytes written > 2 KiB", "that wrote more than 2 KiB"),
        ("outputBytes", ">", 2**20, "Bytes printed > 1 MiB", "that printed more than 1 MiB"),
        ("concurrency", ">", 12, "Jobs at once on the node > 12", "started with more than 12 at once on their node"),
        (
            "previousOnNode",
            "==",
            "crashed",
            "Previous job on the node crashed",
            "before which the last one on their node crashed",
        ),
    ],
)
def test_each_kind_of_predicate_has_its_words(attribute: str, op: str, value: Any, entry: str, words: str) -> None:
    """A title for a list, and a clause behind the word “jobs”."""
    assert (title(attribute, op, value), clause(attribute, op, value)) == (entry, words)


@given(st.text() | st.sampled_from(HOSTILE))
def test_foreign_text_is_one_printable_line(text: str) -> None:
    """Short, without control characters, directions or halves of characters; it can be sent as UTF-8."""
    for words in (title("name", "==", text), clause("node", "==", text), title(f"args.--{text}", "==", text), quoted(text)):  # fmt: skip
        assert words.isprintable()
        words.encode()


def test_only_what_harms_is_escaped() -> None:
    """As everywhere in a report: one name does not look like two."""
    assert clean('né "x"\x1b[2J') == terminal.shown('né "x"\x1b[2J') == 'né "x"\\x1b[2J'


def test_a_long_text_is_cut_and_says_so() -> None:
    """With an ellipsis at its end."""
    assert clean("x" * 1000) == "x" * (MOST_TEXT - 1) + "…"
    assert clean("x" * MOST_TEXT) == "x" * MOST_TEXT


def test_a_plain_text_stays_as_it_is() -> None:
    """Other languages' letters are no danger."""
    assert clean("ñandú 日本 “x”") == "ñandú 日本 “x”"


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (10 * 2**20, "10 MiB"), (2**63, "8.59e+09 GiB")],
)
def test_sizes_are_told_in_binary_units(bytes_: int, words: str) -> None:
    """Three digits at most."""
    assert size(bytes_) == words


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_000, "119 s"), (120_000, "2 min"), (7_200_000, "2 h")],
)
def test_spans_are_told_in_the_unit_that_fits(ms: float, words: str) -> None:
    """From milliseconds to hours."""
    assert span(ms) == words
