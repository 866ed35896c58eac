"""docs/words.md: what our words mean, and what the words of other systems are called here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jobmgr.events import KINDS
from jobmgr.job import ACTIVE, FINISHED, VERBS, Status, Verb
from jobmgr.meanings import CAUSES, LATER, STATUSES
from jobmgr.meanings import VERBS as VERB_MEANINGS
from jobmgr.words import MANY, WORDS, Word

HEAD = """\
# Words

What jobmgr calls things, and how that maps to the words of other systems. Status and cause are two fields and never folded into one: `status` says
where a job, task or attempt is in its life, `cause` why it ended. Only our own words are accepted as input; an error about an unknown
status names ours.

<!-- Made by ./scripts/document: edit jobmgr/words.py. -->
"""


def words_page() -> str:
    """The whole page."""
    parts = [HEAD, _statuses(), _causes(), _verbs(), _events(), _others()]
    return "\n".join(parts)


def _statuses() -> str:
    kinds = {**dict.fromkeys(ACTIVE, "active"), **dict.fromkeys(FINISHED, "finished")}
    rows = ((f"`{status}`", kinds[status], _cell(STATUSES[status]) + _yet(status)) for status in Status)
    return "## Statuses\n\n" + _table(("status", "kind", "meaning"), rows)


def _causes() -> str:
    return "## Causes\n\nWhy an attempt ended. One that completed has none.\n\n" + _table(
        ("cause", "meaning"), _meanings(CAUSES)
    )


def _verbs() -> str:
    rows = ((f"`{verb}`", _cell(VERB_MEANINGS[verb]) + _yet(verb), _possible(verb)) for verb in Verb)
    return "## Verbs\n\nIn any other status the answer is 409 and says which status it is.\n\n" + _table(
        ("verb", "meaning", "possible while"), rows
    )


def _yet(word: object) -> str:
    return " (**not yet**: it comes with a later version)" if word in LATER else ""


def _events() -> str:
    return (
        "## Events\n\nWritten in the same transaction as the change that they tell, numbered in that order, and kept for `JOBMGR_EVENT_DAYS`. "
        "Nothing sends them yet: a live feed comes with a later version.\n\n"
        + _table(("event", "meaning"), _meanings(KINDS))
    )


def _possible(verb: Verb) -> str:
    return ", ".join(f"`{status}`" for status in Status if status in VERBS[verb])


def _others() -> str:
    rows = (
        (f"`{entry.word}`", entry.system, f"`{entry.ours}`", _cell(_note(entry)))
        for entry in sorted(WORDS, key=lambda entry: (entry.word.casefold().lstrip("-"), entry.system.casefold()))
    )
    intro = f'Sorted for looking up; "{MANY}" where a word belongs to no single system.\n\n'
    return (
        "## Words of other systems\n\n"
        + intro
        + _table(("word", "of", "here", "where it is not exactly the same"), rows)
    )


def _note(entry: Word) -> str:
    return entry.note or (f"with cause `{entry.cause}`" if entry.cause else "")


def _meanings(meanings: Mapping[Any, str]) -> Iterable[tuple[str, str]]:
    return ((f"`{word}`", _cell(meaning) + _yet(word)) for word, meaning in meanings.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
