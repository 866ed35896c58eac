"""The footer: what is written above it stays whole, and nothing of it stays behind."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import pytest

from jobmgr.cli import footer
from jobmgr.cli.footer import Footer
from tests.screen import Screen
from tests.waiting import eventually_blocking


class Device(io.RawIOBase):
    """What the streams of a terminal write to."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        self.screen.write(bytes(text).decode())
        return len(text)

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn at once."""
    monkeypatch.setattr(footer, "LEAST_PAUSE_S", 0.0)


@contextmanager
def terminal() -> Iterator[Screen]:
    """Both streams on one screen. No fixture, because pytest sets the streams anew for each test."""
    screen = Screen()
    out, err = (io.TextIOWrapper(io.BufferedWriter(Device(screen)), encoding="utf-8") for _ in range(2))
    with out, err, redirect_stdout(out), redirect_stderr(err):
        yield screen


def shows(screen: Screen, text: str) -> None:
    """Wait until this is to be seen, and nothing else."""
    eventually_blocking(lambda: screen.text == text)


def test_what_is_written_stands_above() -> None:
    """Text and bytes, of both streams, each line whole."""
    with terminal() as screen:
        with Footer(lambda: ["the bar"]):
            shows(screen, "the bar")
            print("one")
            shows(screen, "one\nthe bar")
            sys.stdout.buffer.write(b"two\nthree\n")
            sys.stdout.buffer.flush()
            print("four", file=sys.stderr)
            shows(screen, "one\ntwo\nthree\nfour\nthe bar")
        assert screen.text == "one\ntwo\nthree\nfour"


def test_a_line_that_has_not_ended_has_the_place_to_itself() -> None:
    """As the bar of a job that draws one itself."""
    drawn = threading.Event()

    def draw() -> list[str]:
        drawn.set()
        return ["the bar"]

    with terminal() as screen:
        with Footer(draw) as made:
            shows(screen, "the bar")
            for n in range(3):
                sys.stdout.buffer.write(f"\r{n} of 2".encode())
            drawn.clear()
            made.change()
            assert not drawn.wait(0.05)
            assert screen.text == "2 of 2"
            print()
            shows(screen, "2 of 2\nthe bar")
        assert screen.text == "2 of 2"


def test_several_lines_come_and_go() -> None:
    """As many as there are to be."""
    lines = ["one", "two", "three"]
    with terminal() as screen:
        with Footer(lambda: list(lines)) as made:
            shows(screen, "one\ntwo\nthree")
            print("above")
            shows(screen, "above\none\ntwo\nthree")
            for new in (["one"], [], ["four", "five"]):
                lines[:] = new
                made.change()
                shows(screen, "\n".join(["above", *new]))
        assert screen.text == "above"


@pytest.mark.parametrize(("said", "seen"), [("said\n", "said\nthe end"), ("said", "said\nthe end")])
def test_the_last_lines_may_stay(said: str, seen: str) -> None:
    """On lines of their own, whatever was written last."""
    lines = ["the bar"]
    with terminal() as screen:
        with Footer(lambda: lines) as made:
            sys.stdout.write(said)
            made.keep, lines[:] = True, ["the end"]
        sys.stdout.write("$")
        sys.stdout.flush()
        assert screen.text == f"{seen}\n$"


def test_a_handler_of_signals_writes_in_its_place() -> None:
    """Without waiting for anybody; where nothing is drawn it begins a line."""
    made = Footer(lambda: ["the bar"])
    assert made.step_aside() == "\n"
    with terminal() as screen, Footer(lambda: ["the bar"]) as made:
        shows(screen, "the bar")
        with made._lock:
            screen.write(f"{made.step_aside()}stopping\n")
            assert screen.text == "stopping"


def test_after_an_error_nothing_of_it_is_left() -> None:
    """And the streams are as they were."""

    def fail(screen: Screen) -> None:
        with Footer(lambda: ["the bar"]):
            shows(screen, "the bar")
            raise OSError("full")

    with terminal() as screen:
        before = sys.stdout, sys.stderr
        with pytest.raises(OSError, match="full"):
            fail(screen)
        assert screen.text == ""
        assert (sys.stdout, sys.stderr) == before


def test_stdout_that_is_no_terminal_is_left_alone() -> None:
    """Its bytes go where they go, and move no bar."""
    plain = io.StringIO()
    with terminal() as screen, redirect_stdout(plain), Footer(lambda: ["the bar"]):
        assert sys.stdout is plain
        print("elsewhere", end="")
        shows(screen, "the bar")
    assert plain.getvalue() == "elsewhere"


def test_the_colours_of_what_is_written_are_its_own() -> None:
    """The cursor is put back together with the colours that it had."""
    with terminal() as screen:
        with Footer(lambda: ["the bar"]):
            sys.stdout.write("\x1b[31mred\n")
            shows(screen, "red\nthe bar")
            sys.stdout.write("still red\n")
        after = screen.written.partition("the bar")[2]
    assert after.index("\x1b8") < after.index("still red")
