"""As much of a terminal as tests need: what a person sees after all that was written, colours left out. Endless downwards, so nothing scrolls."""

from __future__ import annotations

import re

_PART = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b([78])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """Lines, and a cursor. The end of a line leads to the beginning of the next, as programs mean it."""

    def __init__(self) -> None:
        self._lines = [""]
        self._row = self._column = 0
        self._saved = (0, 0)
        self.written = ""
        """All of it, as it came."""

    @property
    def text(self) -> str:
        """What is to be seen, without the spaces at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._lines).rstrip("\n")

    def write(self, text: str) -> None:
        """Take in what is written. Fails at what it does not know."""
        self.written += text
        at = 0
        for part in _PART.finditer(text):
            assert part.start() == at, text[at : at + 20]
            at = part.end()
            numbers, letter, cursor, end, plain = part.groups()
            if plain:
                self._put(plain)
            elif end:
                self._row, self._column = self._row + (end == "\n"), 0
                self._lines += [""] * (self._row + 1 - len(self._lines))
            elif cursor:
                if cursor == "7":
                    self._saved = (self._row, self._column)
                self._row, self._column = self._saved
            else:
                self._control(numbers, letter)
        assert at == len(text), text[at : at + 20]

    def _put(self, plain: str) -> None:
        line = self._lines[self._row].ljust(self._column)
        self._lines[self._row] = line[: self._column] + plain + line[self._column + len(plain) :]
        self._column += len(plain)

    def _control(self, numbers: str, letter: str) -> None:
        if letter == "A":
            self._row -= int(numbers or 1)
            assert self._row >= 0, "above the screen"
        elif letter == "J":
            self._lines[self._row] = self._lines[self._row][: self._column]
            del self._lines[self._row + 1 :]
        elif letter != "m":
            raise NotImplementedError(letter)
