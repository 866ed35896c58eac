"""Reads a JSON array element by element while it arrives, so that a million rows need the memory of one."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from typing import Any

from jobmgr.errors import ClientError, ConnectionLost

_SPACE = " \t\r\n"
_decode = json.JSONDecoder().raw_decode


class _Text:
    """What has arrived and is not used yet."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.text, self.at, self.over = "", 0, False

    def more(self) -> None:
        """Take in at least as much again as waits here, so that a long element is not parsed over and over."""
        self.text, self.at = self.text[self.at :], 0
        pieces, missing = [self.text], max(1, len(self.text))
        while missing > 0 and not self.over:
            read = self._read()
            self.over = not read
            pieces.append(self._utf8.decode(read, self.over))
            missing -= len(pieces[-1])
        self.text = "".join(pieces)

    def next_mark(self) -> str:
        """The next character that is no space, left where it is; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text) or self.over:
                return self.text[self.at : self.at + 1]
            self.more()

    def element(self) -> Any:
        """The element that begins here."""
        while True:
            try:
                value, end = _decode(self.text, self.at)
            except ValueError:
                value, end = None, len(self.text)
            if end < len(self.text):  # A number at the very end may go on.
                self.at = end
                return value
            if self.over:
                raise ConnectionLost
            self.more()


def elements(read: Callable[[], bytes]) -> Iterator[Any]:
    """The elements of the array whose bytes `read` gives piece by piece, empty at the end.

    Raises ConnectionLost where it ends too early, ClientError where it is no array.
    """
    text = _Text(read)
    if text.next_mark() != "[":
        raise ClientError("The answer is not a JSON array: what answers there is not jobmgr. Check the address.")
    text.at += 1
    if text.next_mark() == "]":
        return
    while True:
        text.next_mark()
        yield text.element()
        mark = text.next_mark()
        text.at += 1
        if mark == "]":
            return
        if mark != ",":
            raise ConnectionLost
