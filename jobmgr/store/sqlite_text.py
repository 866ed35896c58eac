"""The shared statements as SQLite wants them: `?` for each `$n`.

Not `?1`: some Python 3.12 take that for a named placeholder and warn. As each `$n` stands once and in order, plain `?` means the same.
"""

from __future__ import annotations

import re
from typing import Self

_PLACEHOLDER = re.compile(r"\$(\d+)")


class Text(str):
    """A statement for SQLite, made once of a shared one. Raises ValueError where the placeholders do not stand once each, in order."""

    __slots__ = ()

    def __new__(cls, shared: str) -> Self:
        """Translate once, at import."""
        numbers = [int(number) for number in _PLACEHOLDER.findall(shared)]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"placeholders must stand once each, in order: {shared}")
        return super().__new__(cls, _PLACEHOLDER.sub("?", shared).strip())


def storable(text: str | None) -> str | None:
    """A text that came from a process, with what is not Unicode (lone surrogates) made visible: an end must never be refused for its words."""
    return text if text is None else text.encode("utf-8", "replace").decode("utf-8")
