"""Lines at the bottom of a terminal that change in place, while other things are written above them.

They stand where the cursor is, on stderr. Before anything else is written to the same terminal they are taken away, and they come back once that is
quiet and has ended its line: what is written is never cut in two, moved, or left with another colour than it had set. So a job that draws a bar of
its own, without an end of line, has the place to itself.

stdout and stderr are replaced while it is there, and pass on what they get, bytes too. Assumes that they are one terminal where both are
terminals. What is written behind their backs, as from a handler of signals, calls `step_aside` first.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from jobmgr.cli.terminal import is_terminal

LEAST_PAUSE_S = 0.25
"""It is drawn no more often than this,"""
TICK_S = 1.0
"""and no less: times go on."""
_SAVE, _RESTORE = "\x1b7\x1b[0m", "\x1b8"
"""Cursor and colours, of whoever wrote last."""
_ERASE = "\x1b[J"
_UP = "\x1b[1A"


class Footer:
    """The lines that `draw` gives, each at most as wide as the terminal. Used with `with`; `keep` leaves the last ones on the screen."""

    def __init__(self, draw: Callable[[], Sequence[str]]) -> None:
        self.keep = False
        self._draw = draw
        self._screen, self._out = sys.stderr, sys.stdout
        self._lock = threading.RLock()
        self._changed, self._over = threading.Event(), threading.Event()
        self._drawn = 0
        """So many lines are there now."""
        self._in_line = False
        """What was written last has not ended its line."""
        self._wrote_at = 0.0
        self._thread = threading.Thread(target=self._run, name="footer", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._screen.flush()
        sys.stderr = _Above(self, self._screen)
        if is_terminal(self._out):
            self._out.flush()
            sys.stdout = _Above(self, self._out)
        self._changed.set()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the lines away, or leave the last ones there and go on below them."""
        self._over.set()
        self._changed.set()
        self._thread.join()
        sys.stderr, sys.stdout = self._screen, self._out
        self._take_away()
        if self.keep and (lines := self._draw()):
            self._put(("\n" if self._in_line else "") + "\n".join(lines) + "\n")

    def change(self) -> None:
        """What `draw` gives has changed."""
        self._changed.set()

    def step_aside(self) -> str:
        """What a handler of signals writes first; it may have interrupted anything, so nothing is waited for."""
        drawn, self._drawn = self._drawn, 0
        return _away(drawn) if drawn else "\n"

    def above(self, write: Callable[[], Any], *, ends_line: bool) -> Any:
        """Write something with these lines out of its way."""
        with self._lock:
            self._take_away()
            self._in_line, self._wrote_at = not ends_line, time.monotonic()
            self._changed.set()
            return write()

    def _run(self) -> None:
        while not self._over.is_set():
            self._changed.wait(TICK_S)
            self._changed.clear()
            with self._lock:
                if not self._over.is_set():
                    self._redraw()
            self._over.wait(LEAST_PAUSE_S)

    def _redraw(self) -> None:
        if self._in_line:
            return
        lines = self._draw()
        begin = _away(self._drawn) if self._drawn else ""
        self._drawn = len(lines)
        self._put(begin + (_SAVE + "\n".join(lines) if lines else ""))

    def _take_away(self) -> None:
        if self._drawn:
            self._put(self.step_aside())

    def _put(self, text: str) -> None:
        if text:
            self._screen.write(text)
            self._screen.flush()


def _away(lines: int) -> str:
    """From behind the last of so many lines to before the first, with nothing left of them."""
    # Where there is one line the screen cannot have moved, so what was saved is here.
    return "\r" + _UP * (lines - 1) + "\x1b[0m" + _ERASE + (_RESTORE if lines == 1 else "")


class _Above:
    """A stream of the same terminal, written above the footer."""

    def __init__(self, footer: Footer, stream: Any) -> None:
        self._footer, self._stream = footer, stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> _Above:
        """For bytes."""
        return _Above(self._footer, self._stream.buffer)

    def write(self, what: Any) -> Any:
        """At once: what waits in a buffer would come out over the footer."""
        if not what:
            return 0
        end = what[-1:]
        return self._footer.above(lambda: self._write(what), ends_line=end in ("\n", b"\n"))

    def _write(self, what: Any) -> Any:
        written = self._stream.write(what)
        self._stream.flush()
        return written
