"""Hiding secrets: in texts, in values, and in bytes read from anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.job import JobSpec
from jobmgr.secrets import MAX_PARTS, MAX_SECRET_BYTES, Mask, parts_of, secret_troubles

PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\r\n=\n-----END KEY-----\n"


def test_a_job_without_secrets_has_no_mask() -> None:
    """Who has nothing to hide pays nothing."""
    assert Mask.of(JobSpec("x", "/x")) is None


def test_a_secret_in_a_text_becomes_three_stars() -> None:
    """Its length is not told."""
    assert Mask(["hunter22"]).text("pass hunter22, and hunter22hunter22!") == "pass ***, and ***!"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": ["x hunter22"], "hunter22": {"b": "hunter22"}}, {"a": ["x ***"], "***": {"b": "***"}}),
        ([None, True, 1.5, "ok", "\ud800"], [None, True, 1.5, "ok", "\ud800"]),
    ],
)
def test_secrets_are_found_wherever_they_are_in_a_value(value: Any, shown: Any) -> None:
    """In keys, in lists, at any depth; all else stays as it is."""
    assert Mask(["hunter22"]).value(value) == shown


def test_a_number_that_is_a_secret_is_hidden() -> None:
    """A PIN reported as a number is as readable as one in quotes."""
    assert Mask(["12345"]).value({"pin": 12345, "other": 12, "part": 0.12345}) == {
        "pin": "***",
        "other": 12,
        "part": "***",
    }


def test_each_line_of_a_secret_is_hidden_by_itself() -> None:
    """A key is hidden also when a program prints its lines apart, indented, or with other line ends; short lines are not."""
    shown = Mask([PEM]).hide(b"> MIIEvQIBADANBg <\r\n\tkqhkiG9w0BAQEF\n=\n")
    assert shown == b"> ************** <\r\n\t**************\n=\n"


def test_a_part_of_a_very_long_secret_is_hidden() -> None:
    """A long line is hidden in parts, so that a reader needs to look only a little around."""
    long = "".join(chr(33 + i * 7 % 90) for i in range(5000))
    mask = Mask([long])
    assert mask.hide(long.encode()) == b"*" * 5000
    assert mask.reach < 1024
    assert all(len(part) == 256 for part in parts_of(long))


def test_secrets_that_overlap_are_all_hidden() -> None:
    """What is left of one by the other would give it away."""
    assert Mask(["abcdef", "defghi"]).hide(b"-abcdefghi-") == b"-*********-"
    assert Mask(["abab"]).hide(b"-ababab-") == b"-******-"


def test_what_was_cut_off_is_hidden() -> None:
    """The end of a secret where the file begins to be known, and its beginning where it ends; not so few bytes that they tell nothing."""
    mask = Mask(["hunter22"])
    assert mask.hide(b"ter22 x hunt", begins=True, ends=True) == b"***** x ****"
    assert mask.hide(b"r22 x hun", begins=True, ends=True) == b"r22 x hun"
    assert mask.hide(b"ter22 x hunt") == b"ter22 x hunt"
    assert mask.begun(b"x h") == 1
    assert mask.begun(b"hunter22") == 0


SECRETS = st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=3)


@given(SECRETS, st.text("abc", max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_where_a_reader_begins_and_stops_makes_no_difference(secrets: list[str], text: str, a: int, b: int) -> None:
    """Any piece, read with `reach` bytes around it, is the piece of the whole."""
    mask, data = Mask(secrets), text.encode()
    start, stop = sorted((min(a, len(data)), min(b, len(data))))
    before = max(0, start - mask.reach)
    piece = mask.hide(data[before : stop + mask.reach])[start - before : stop - before]
    assert piece == mask.hide(data)[start:stop]


@given(SECRETS, st.text("abc", max_size=60))
def test_no_secret_is_left_and_nothing_else_is_lost(secrets: list[str], text: str) -> None:
    """After hiding, none is found, by bytes or as text; every byte that is hidden belongs to one."""
    mask = Mask(secrets)
    hidden = mask.hide(text.encode()).decode()
    assert not any(secret in hidden for secret in secrets)
    assert not any(secret in mask.text(text) for secret in secrets)
    covered = {at for s in secrets for i in range(len(text)) if text.startswith(s, i) for at in range(i, i + len(s))}
    assert hidden == "".join("*" if at in covered else c for at, c in enumerate(text))


@pytest.mark.parametrize(
    ("secrets", "name"),
    [
        ({"A": "abc"}, "A"),
        ({"A": "abc\ndef"}, "A"),
        ({"A": "   a   "}, "A"),
        ({"A": "é" * (MAX_SECRET_BYTES // 2 + 1)}, ""),
        ({"A": "\n".join(f"line {n}" for n in range(MAX_PARTS + 1))}, ""),
    ],
)
def test_what_cannot_be_hidden_is_no_secret(secrets: dict[str, str], name: str) -> None:
    """Too short, or too much; the value is not quoted."""
    [(wrong, problem)] = secret_troubles(secrets)
    assert wrong == name
    assert not any(value in problem for value in secrets.values())


def test_a_key_of_many_lines_is_a_good_secret() -> None:
    """As is any word of four letters."""
    assert list(secret_troubles({"A": PEM, "B": "word"})) == []
