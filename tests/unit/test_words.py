"""The words: ours are all explained, those of others lead to ours."""

from __future__ import annotations

from collections import Counter

import pytest

from documents.words import words_page
from jobmgr import events
from jobmgr.api.routes import ROUTES
from jobmgr.job import FINISHED, Cause, Status, Verb
from jobmgr.meanings import CAUSES, LATER, STATUSES, VERBS
from jobmgr.words import WORDS, suggestion


def test_every_kind_of_event_is_explained() -> None:
    """Each kind that the module names."""
    named = {value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    assert named == set(events.KINDS)


def test_a_verb_comes_later_as_long_as_no_route_has_it() -> None:
    """Nobody is told of a verb that answers 404, and a new one is not hidden."""
    paths = {route.path.removeprefix("/jobs/{id}/") for route in ROUTES} | {route.method.lower() for route in ROUTES}
    assert {verb for verb in Verb if verb not in paths} == {verb for verb in LATER if isinstance(verb, Verb)}


def test_every_status_cause_and_verb_is_explained() -> None:
    """No word of ours lacks its sentence."""
    assert (set(STATUSES), set(CAUSES), set(VERBS)) == (set(Status), set(Cause), set(Verb))
    assert all([*STATUSES.values(), *CAUSES.values(), *VERBS.values()])


@pytest.mark.parametrize(
    ("word", "meaning"), [*STATUSES.items(), *CAUSES.items(), *VERBS.items(), *events.KINDS.items()]
)
def test_the_page_has_every_word_of_ours_with_its_meaning(word: str, meaning: str) -> None:
    """As a line of a table."""
    lines = [line for line in words_page().splitlines() if line.startswith(f"| `{word}` |")]
    assert any(meaning in line for line in lines)


def test_the_page_lists_the_words_of_others_in_order() -> None:
    """Each once, sorted by word, so that it is found with the eye."""
    table = words_page().partition("## Words of other systems")[2].splitlines()
    found = [line.split("`")[1].casefold().lstrip("-") for line in table if line.startswith("| `")]
    assert len(found) == len(WORDS)
    assert found == sorted(found)


def test_no_system_has_a_word_twice() -> None:
    """One word of a system has one meaning."""
    counted = Counter((entry.system, entry.word) for entry in WORDS)
    assert [twice for twice, times in counted.items() if times > 1] == []


def test_a_cause_stands_only_where_something_ended() -> None:
    """A cause says why an attempt ended."""
    assert all(entry.ours in FINISHED for entry in WORDS if entry.cause is not None)


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("processing", "running"),
        ("terminated", "stopped"),
        ("cancelled", "stopped"),
        ("canceled", "stopped"),
        ("queued", "pending"),
        ("waiting", "pending"),
        ("scheduled", "pending"),
        ("delayed", "pending"),
        ("success", "completed"),
        ("succeeded", "completed"),
        ("done", "completed"),
        ("error", "crashed"),
        ("errored", "crashed"),
        ("killed", "stopped"),
        ("aborted", "stopped"),
        ("suspended", "paused"),
        ("held", "pending"),
        ("active", "running"),
        ("retrying", "retried"),
        ("discarded", "crashed"),
        ("timeout", "crashed"),
        ("node_fail", "lost"),
        ("OOM", "crashed"),
        ("dead", "crashed"),
        ("zombie", "lost"),
        ("FailedToSpawn", "failed"),
    ],
)
def test_a_word_of_others_leads_to_the_status_that_it_means_here(word: str, ours: str) -> None:
    """So an error can name it."""
    assert suggestion(word) == ours


@pytest.mark.parametrize("word", ["TIMED_OUT", "timed-out", "TimedOut", "timed out"])
def test_the_spelling_of_a_word_does_not_matter(word: str) -> None:
    """Case, spaces, hyphens and underscores are ways of writing."""
    assert suggestion(word) is Status.CRASHED


@pytest.mark.parametrize("status", Status)
def test_a_status_of_ours_leads_to_itself_in_any_case(status: Status) -> None:
    """Who writes COMPLETED means completed."""
    assert suggestion(status.upper()) is status


@pytest.mark.parametrize("word", ["", "purple", "cancel", "-", "\u202e", "a" * 100_000])
def test_what_is_no_status_word_leads_to_none(word: str) -> None:
    """No guess is made."""
    assert suggestion(word) is None
