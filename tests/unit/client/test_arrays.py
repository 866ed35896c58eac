"""A JSON array is read element by element, however its bytes are cut."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.client.arrays import elements
from jobmgr.errors import ClientError, ConnectionLost

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def read(text: bytes, size: int = 3) -> list[object]:
    """The elements of this text, given in pieces of so many bytes."""
    pieces: Iterator[bytes] = (text[n : n + size] for n in range(0, len(text), size))
    return list(elements(lambda: next(pieces, b"")))


@given(st.lists(VALUES, max_size=5), st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_any_array_in_any_pieces(values: list[object], size: int, indent: int | None, ascii_only: bool) -> None:
    """Cut in the middle of a number, an escape, a character of two bytes: nothing but JSON is assumed."""
    assert read(json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode(), size) == values


def test_elements_come_before_the_array_is_whole() -> None:
    """A million rows are never held."""

    def endless() -> bytes:
        return b'{"a": 1},\n'

    pieces = iter([b"["])
    found = elements(lambda: next(pieces, None) or endless())
    assert [next(found) for _ in range(3)] == [{"a": 1}] * 3


@pytest.mark.parametrize("text", [b"[", b"[1", b"[1,", b'[{"a": 1}', b'[{"a"', b"[1 2]", b"[1,]"])
def test_an_array_that_is_cut_off_is_no_array(text: bytes) -> None:
    """Half of a list must not look like all of it."""
    with pytest.raises(ConnectionLost):
        read(text)


@pytest.mark.parametrize("text", [b"", b"{}", b"<html>"])
def test_what_is_no_array_is_said(text: bytes) -> None:
    """Something else answers at that address."""
    with pytest.raises(ClientError, match="not a JSON array"):
        read(text)
