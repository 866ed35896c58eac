"""Places in a JSON value as JSON pointers (RFC 6901), and where in it stands text that no program can receive."""

from __future__ import annotations

from collections.abc import Iterator

MAX_STEPS = 8
"""Of a pointer. No field is so deep."""


def pointer(part: str) -> str:
    """One step of a JSON pointer."""
    return "/" + part.replace("~", "~0").replace("/", "~1")


_Place = tuple["_Place", str | int] | None
"""A step and the place it begins at; None: the payload itself. Written out only where something is wrong: a body may have millions of them."""


def unspeakable(value: object, at: _Place = None) -> Iterator[str]:
    """Pointers to every string (or key) that holds a NUL or a lone surrogate."""
    if isinstance(value, str):
        if "\0" in value or not _encodable(value):
            yield _written(at)
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key or not _encodable(key):
                yield _written(at)
            else:
                yield from unspeakable(item, (at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unspeakable(item, (at, index))


def _written(at: _Place) -> str:
    """The place as a JSON pointer; of a very deep one the beginning."""
    steps: list[str | int] = []
    while at is not None:
        at, step = at
        steps.append(step)
    return "".join(pointer(str(step)) for step in steps[: -MAX_STEPS - 1 : -1])


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
