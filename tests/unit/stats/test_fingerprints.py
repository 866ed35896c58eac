"""A fingerprint keeps what failures have in common, and masks what is different in each."""

from __future__ import annotations

import multiprocessing
import random
import string
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobmgr.stats.fingerprints import fingerprint, telling

PIECES = [
    *"'\"`/\\:.,-+@<>~(=_%[]{}“”é१eEKZT", "<n>", "<path>", "<text>", "<time>", "<blank>", ".py", "12", "0x", "a", "Ab", "f00d1e", "::", "x.com", "http://",
    "code ", "name ", "'foo'", " object", " ", "Jan ", "12:30", "2026-01-02", "..", "errno", "***", "=====", "5s", " MB", "1e5", "abcdefghijklmnop",
    "A1b2C3d4E5f6G7h8", "10.0.0.1", "\\x1b", "\u2028", "\n", "\t", "UTC",
]  # fmt: skip
texts = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("record 17 of 200 is bad", "record <n> of <n> is bad"),
        ("worker-12 on node7 lost 1,234,567 of -3.5e-7", "worker-<n> on node<n> lost <n> of <n>"),
        ("job 550e8400-e29b-41d4-a716-446655440000 gone", "job <n> gone"),
        ("commit 3f9a1c2 not found", "commit <n> not found"),
        ("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "sha<n>:<n>"),
        ("token QmFzZTY0IGlzIG5vdCBhIHNlY3JldCAxMjM0NTY3ODkw== expired", "token <n> expired"),
        ("at 0x7ffde3, 0xdeadBEEF", "at <address>"),
        ("no answer from 10.0.0.1:8080 nor [2001:db8::ff00:42:8329]", "no answer from <address> nor <address>"),
        ("GET https://a.example/b?c=1 for x.y+z@mail.example", "GET <url> for <email>"),
        ("cannot read /srv/in/batch-7.csv", "cannot read <path>.csv"),
        ("cannot read 'my file/a b.csv': no", "cannot read <path>.csv: no"),
        ("cannot read C:\\Users\\me\\x.txt", "cannot read <path>.txt"),
        ("in src/foo/bar.py:12 and/or data/in.csv", "in <path>.py:<n> and/or <path>.csv"),
        ("2026-11-22T08:00:00.250Z ERROR x", "<time> ERROR x"),
        ("2026-11-22 08:00:00,250 ERROR x", "<time> ERROR x"),
        ("Nov 22 08:00:01 host x", "<time> host x"),
        ("[22/Nov/2026:08:00:01 +0000] x", "[<time>] x"),
        ("at 10:15 PM", "at <time>"),
        ("after 3.5s, 1h 2m 3s and 1234567 ms", "after <duration> and <duration>"),
        ("12.5 MiB of 3 GB", "<size> of <size>"),
        ("KeyError: 'user-17'", "KeyError: <text>"),
        ("missing ids [1, 2, 3]", "missing ids [<n>]"),
        ("key ******** refused", "key *** refused"),
        ("=====>      50%", "===> <n>%"),
        ("std::bad_alloc", "std::bad_alloc"),
        ("FileNotFoundError: none", "FileNotFoundError: none"),
        ("Http2ConnectionResetException", "Http<n>ConnectionResetException"),
    ],
)  # fmt: skip
def test_what_differs_is_masked(text: str, masked: str) -> None:
    """Ids, numbers, addresses, files, times, durations, sizes and quoted texts become a word of their kind."""
    assert fingerprint(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "exit code 137", "[Errno 13] Permission denied", "HTTP 404", "HTTP/1.1 503 Service Unavailable", "status code: 500", "curl: (7) refused",
        "No module named 'numpy'", "'NoneType' object has no attribute 'foo'", "name 'x' is not defined",
    ],
)  # fmt: skip
def test_what_names_a_kind_stays(text: str) -> None:
    """Codes of errors, and quoted words of code behind a word that says so: people know a failure by them."""
    masked = fingerprint(text)
    assert masked == (text if "1.1" not in text else "HTTP/1.1 503 Service Unavailable")


@given(texts)
@example("'\n5'abc'")
@example("a@" + "1" * 70 + ".com")
def test_a_fingerprint_is_its_own_fingerprint(text: str) -> None:
    """What is masked once is masked for good."""
    assert fingerprint(fingerprint(text)) == fingerprint(text)


@given(texts)
def test_no_text_is_without_a_fingerprint(text: str) -> None:
    """Blank ones too; only nothing has none."""
    assert bool(fingerprint(text)) is bool(text)


@given(st.integers(min_value=0), st.integers(min_value=0), st.uuids(), st.uuids())
def test_other_values_make_the_same_kind(one: int, two: int, first: object, second: object) -> None:
    """Whatever numbers and ids are."""
    line = "Error in batch {}: item {} of /data/{}.csv is bad (took {} ms)"
    assert fingerprint(line.format(one, first, one, two)) == fingerprint(line.format(two, second, two, one))


def test_random_ids_make_one_kind() -> None:
    """Hexadecimal ones that happen to be all digits, or of any length, too."""
    chance = random.Random(7)
    ids = ["".join(chance.choices(string.hexdigits.lower(), k=k)) for k in (8, 12, 32, 40) for _ in range(200)]
    ids = [each for each in ids if any(c.isdigit() for c in each)]
    assert {fingerprint(f"commit {each} not found") for each in ids} == {"commit <n> not found"}


MEGABYTE = 1_000_000
HOSTILE = ["1s ", "a/", "'a ", "a.", "1:", "from a:1"]
"""What repeats, may be the beginning of much, and is none of it in the end."""


def _all_of(work: Callable[[str], object], pieces: list[str]) -> None:
    for piece in pieces:
        work((piece * MEGABYTE)[:MEGABYTE] + "!")


@pytest.mark.timeout(240)
def test_hostile_text_of_a_megabyte_ends() -> None:
    """Nothing backtracks: what takes the square of a million steps runs for an hour; here in a process that can be ended."""
    work = multiprocessing.get_context("spawn").Process(target=_all_of, args=(fingerprint, HOSTILE), daemon=True)
    work.start()
    work.join(200)
    ended = work.exitcode
    work.kill()
    work.join()
    assert ended == 0


TRACEBACK = """\
  File "/srv/app/load.py", line {}, in load
    raise ValueError(f"bad row {{row}}")
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: bad row {}"""


def test_of_a_traceback_the_exception_tells() -> None:
    """Wherever it was raised, and whatever was printed before."""
    assert telling(TRACEBACK.format(3, 17).split("\n")) == "ValueError: bad row <n>"
    assert telling([f"row {7} read", *TRACEBACK.format(44, 2).split("\n")]) == "ValueError: bad row <n>"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["step 1", "step 2"], "step <n>"),
        (["step 1", "ERROR: disk full on /data", "step 2", "bye"], "ERROR: disk full on <path>"),
        (["ERROR: try 1", "ERROR: try 2", "giving up: 3 failed"], "ERROR: try <n>\ngiving up: <n> failed"),
        (["0 errors", "done 5"], "done <n>"),
        (["thread 'main' panicked at src/x/main.rs:2:5:", "index 7"], "thread <text> panicked at <path>.rs:<n>:<n>:\nindex <n>"),
        (["\tat a.B.c(B.java:1)", "\tat a.D.e(D.java:2)"], "at a.B.c(B.java:<n>)\nat a.D.e(D.java:<n>)"),
        (["java.lang.IllegalStateException: x", "\tat a.B.c(B.java:1)"], "java.lang.IllegalStateException: x"),
    ],
)  # fmt: skip
def test_lines_that_speak_of_trouble_tell_more_than_the_last_one(lines: list[str], told: str) -> None:
    """Each different one of them; frames of a stack only where there is nothing else; else the last line."""
    assert telling(lines) == told


@given(st.lists(texts.filter(lambda text: bool(text.strip())), min_size=1, max_size=5))
def test_any_lines_tell_something(lines: list[str]) -> None:
    """Hostile ones too."""
    assert telling(lines)
