"""Bars and sentences of the reports: true to their numbers, and as wide as there is room."""

import io
import sys

import pytest

from jobmgr.cli import bars


@pytest.mark.parametrize(
    ("share", "drawn"),
    [
        (0, "░░░░░░░░░░"),
        (1, "██████████"),
        (0.5, "█████░░░░░"),
        (0.25, "██▌░░░░░░░"),
        (0.0001, "▏░░░░░░░░░"),
        (0.9999, "█████████▉"),
        (-3, "░░░░░░░░░░"),
        (7, "██████████"),
    ],
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str) -> None:
    """To an eighth of a cell; what is not 0 is never empty, what is not 1 is never full."""
    assert bars.bar(share, 10) == drawn


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0, ".........."), (0.001, "#........."), (0.5, "#####....."), (0.999, "#########."), (1, "#" * 10)],
)
def test_a_bar_without_blocks(monkeypatch: pytest.MonkeyPatch, share: float, drawn: str) -> None:
    """Where stdout cannot write blocks there are signs that every terminal has."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert bars.bar(share, 10) == drawn


def test_a_profile_is_higher_where_there_is_more() -> None:
    """None is a gap."""
    assert "".join(map(bars.column, (0, 0.5, 1, None, 2))) == "▁▅█ █"


def test_a_profile_without_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert "".join(map(bars.column, (0, 0.5, 1, None))) == "059 "


def test_wrapped_text_is_harmless_and_fits() -> None:
    """Also a word longer than a line, and one that would move the cursor."""
    lines = list(bars.wrapped("a\x1b[2J " + "x" * 200, 40, indent="    ", first=" 1. "))
    assert all(len(line) <= 40 and line.isprintable() for line in lines)
    assert lines[0].startswith(" 1. a\\x1b[2J")


def test_a_list_says_how_many_more_there_are() -> None:
    """Nothing is left out in silence."""
    assert bars.listed(["a", "b"], 3) == "a, b"
    assert bars.listed(["a\n", "b", "c", "d"], 2) == "a\\n, b and 2 more"
