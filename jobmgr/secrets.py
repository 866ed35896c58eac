"""Secret values: what hides them in texts, in reported values, and in bytes that are read from an output file.

A job's secrets are the values of its `secret_env`. Each line of a value is hidden by itself, without the blanks around it, so a key of many
lines is hidden however it is printed; a very long line is hidden in parts. A text gets `***` in place of a secret. Bytes get as many `*`,
so that offsets stay true: whether a byte is hidden depends only on the bytes at most `reach` before and after it, never on where
a reader began or stopped.

It finds the value as it is. What a program made of it (base64, JSON escapes, colours between its letters) it does not find.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Self

from jobmgr.job import MASKED, JobSpec

MIN_SECRET = 4
"""Characters. To hide anything shorter would hide half of what a job prints."""
MAX_PARTS = 512
MAX_SECRET_BYTES = 64 * 1024
"""Of all secrets of a job together: with MAX_PARTS it bounds the work of hiding them in a piece of output."""
_PART_CHARS = 256
_STAR, _MARK = b"*", b"\x01"
_MARKED = re.compile(b"\x01+")


class Mask:
    """Hides the secrets of one job."""

    def __init__(self, values: Iterable[str]) -> None:
        texts = {part for value in values for part in parts_of(value)}
        # The longest first, so that nothing depends on the order of a set.
        self._parts = sorted(
            (text.encode("utf-8", "surrogatepass") for text in texts), key=lambda part: (-len(part), part)
        )
        self.reach = max(map(len, self._parts), default=1) - 1

    @classmethod
    def of(cls, spec: JobSpec) -> Self | None:
        """The mask of a job; None where it has no secrets."""
        return cls(spec.secret_env.values()) if spec.secret_env else None

    def hides(self, text: str) -> bool:
        """Whether a secret is in the text."""
        data = text.encode("utf-8", "surrogatepass")
        return any(part in data for part in self._parts)

    def text(self, text: str) -> str:
        """The text with MASKED in place of each secret."""
        data = text.encode("utf-8", "surrogatepass")
        pieces, at = [], 0
        for start, stop in self._runs(data):
            pieces += [data[at:start], MASKED.encode()]
            at = stop
        return b"".join([*pieces, data[at:]]).decode("utf-8", "surrogatepass") if at else text

    def value(self, value: Any) -> Any:
        """A JSON value with MASKED in place of each secret, in keys too; a number in which a secret is becomes MASKED."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and self.hides(json.dumps(value)):
            return MASKED
        return value

    def hide(self, data: bytes, *, begins: bool = False, ends: bool = False) -> bytes:
        """The bytes with as many `*` in place of each secret.

        `begins`, `ends`: what lay before them, or will come after them, is not known; so what can be the end of a secret there, or its
        beginning, is hidden as well, if it has MIN_SECRET bytes.
        """
        hidden = bytearray(data)
        for start, stop in self._runs(data):
            hidden[start:stop] = _STAR * (stop - start)
        if begins and (count := self._cut(data, at_end=False, least=MIN_SECRET)):
            hidden[:count] = _STAR * count
        if ends and (count := self._cut(data, at_end=True, least=MIN_SECRET)):
            hidden[-count:] = _STAR * count
        return bytes(hidden)

    def begun(self, data: bytes) -> int:
        """How many bytes at the end of the data may be the beginning of a secret, the rest of which is still to come."""
        return self._cut(data, at_end=True, least=1)

    def _cut(self, data: bytes, *, at_end: bool, least: int) -> int:
        """The length of the longest end (or beginning) of the data that is the beginning (or end) of a secret, but not all of it."""
        longest = 0
        for part in self._parts:
            for count in range(min(len(part) - 1, len(data)), max(least, longest + 1) - 1, -1):
                if data.endswith(part[:count]) if at_end else data.startswith(part[-count:]):
                    longest = count
                    break
        return longest

    def _runs(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where secrets are, as places that neither overlap nor touch, in order."""
        present = [part for part in self._parts if part in data]
        if not present:
            return
        marks = bytearray(len(data))
        for part in present:
            for start, stop in _places(part, data):
                marks[start:stop] = _MARK * (stop - start)
        yield from (run.span() for run in _MARKED.finditer(marks))


def _places(part: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    """What the part covers of the data, overlapping ones too: so it does not matter where a search began."""
    size, at = len(part), data.find(part)
    while at >= 0:
        yield at, at + size
        # The last one that begins within this one or right behind it covers, with this one, all that those between them cover.
        further = data.rfind(part, at + 1, at + 2 * size)
        at = further if further >= 0 else data.find(part, at + size)


def parts_of(value: str) -> list[str]:
    """What is looked for to hide this value: its lines without the blanks around them, long ones in parts of equal length."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", value)]
    return [part for line in lines if len(line) >= MIN_SECRET for part in _cut_up(line)]


def _cut_up(line: str) -> Iterator[str]:
    for start in range(0, max(1, len(line)), _PART_CHARS):
        # The last part is as long as the others, else a rest of one letter would be hidden everywhere.
        start = max(0, min(start, len(line) - _PART_CHARS))  # noqa: PLW2901 - the same place, moved back
        yield line[start : start + _PART_CHARS]


def secret_troubles(secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names of values that could not be hidden, and what to do."""
    for name, value in secrets.items():
        if not parts_of(value):
            yield (
                name,
                f"a secret needs a line of at least {MIN_SECRET} characters, or hiding it would hide half of the output",
            )
    if problem := too_many_secrets(secrets.values()):
        yield "", problem


def too_many_secrets(values: Collection[str]) -> str | None:
    """What is wrong with secrets that would take too long to hide; None where it is bearable."""
    size = sum(len(value.encode("utf-8", "surrogatepass")) for value in values)
    if size <= MAX_SECRET_BYTES and len({part for value in values for part in parts_of(value)}) <= MAX_PARTS:
        return None
    return (
        f"secrets have at most {MAX_SECRET_BYTES // 1024} KiB and {MAX_PARTS} lines together; pass the name of a file"
    )
