"""Words by which jobs and their events are chosen: statuses and labels, as parameters of an address have them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from jobmgr.job import ACTIVE, FINISHED, Status
from jobmgr.words import suggestion

STATUS_WORDS: Mapping[str, frozenset[Status]] = {
    **{status: frozenset({status}) for status in Status},
    Status.FAILED: frozenset({Status.CRASHED, Status.FAILED}),
    "finished": FINISHED,
    "active": ACTIVE,
}


def _statuses(text: Any) -> frozenset[Status]:
    words = str(text).split(",")
    for word in words:
        if word not in STATUS_WORDS:
            raise PydanticCustomError("status", "{word} is no status; {remedy}", _no_status(word))
    return frozenset().union(*(STATUS_WORDS[word] for word in words))


def _no_status(word: str) -> dict[str, str]:
    near = suggestion(word) or next(iter(get_close_matches(word.strip().lower(), STATUS_WORDS, n=1)), None)
    remedy = f"did you mean {near}?" if near else f"known are {', '.join(STATUS_WORDS)}"
    return {"word": json.dumps(word, ensure_ascii=False), "remedy": remedy}


def _label(text: Any) -> tuple[str, str | None]:
    key, colon, value = str(text).partition(":")
    if not key:
        raise PydanticCustomError("label", "give key:value, or a key alone for any value")
    return key, value if colon else None


def _once(labels: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    for key, count in Counter(key for key, _ in labels).items():
        if count > 1:
            raise PydanticCustomError("label", "give {key} once: a job has one value of it", {"key": key})
    return labels


_PATTERN = f"^({'|'.join(STATUS_WORDS)})(,({'|'.join(STATUS_WORDS)}))*$"
Statuses = Annotated[
    frozenset[Status], BeforeValidator(_statuses), WithJsonSchema({"type": "string", "pattern": _PATTERN})
]
_Label = Annotated[
    tuple[str, str | None], BeforeValidator(_label), WithJsonSchema({"type": "string", "pattern": "^[^:]"})
]
Labels = Annotated[list[_Label], AfterValidator(_once)]
