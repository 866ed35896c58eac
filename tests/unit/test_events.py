"""Which events a filter passes, and what is the end of a job."""

from __future__ import annotations

from typing import Any

import pytest

from jobmgr.events import JOB_RESULT, JOB_UPDATE, TASK_UPDATE, Event, EventFilter
from jobmgr.feed import Entry, chosen

DATA = {"jobId": "job-7", "jobName": "encode", "type": "video", "labels": {"team": "media", "empty": ""}}
END: dict[str, Any] = {**DATA, "status": "completed", "previousStatus": "running"}


def an_event(kind: str = JOB_UPDATE, **data: Any) -> Event:
    """An event of job-7, the fifth."""
    return Event(5, 0, kind, 7, {**DATA, "status": "running", **data})


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({}, True),
        ({"jobs": frozenset({1, 7})}, True),
        ({"jobs": frozenset({1})}, False),
        ({"statuses": frozenset({"running", "lost"})}, True),
        ({"statuses": frozenset({"lost"})}, False),
        ({"names": frozenset({"encode"})}, True),
        ({"names": frozenset({"Encode"})}, False),
        ({"types": frozenset({"video"})}, True),
        ({"types": frozenset({"audio"})}, False),
        ({"labels": (("team", None),)}, True),
        ({"labels": (("team", "media"), ("empty", ""))}, True),
        ({"labels": (("team", "media"), ("other", None))}, False),
        ({"labels": (("team", ""),)}, False),
        ({"jobs": frozenset({7}), "names": frozenset({"other"})}, False),
    ],
)
def test_an_event_passes_when_it_meets_every_condition(wanted: dict[str, Any], passes: bool) -> None:
    """Each condition with any of its values; labels all."""
    assert EventFilter(**wanted).passes(an_event()) is passes


@pytest.mark.parametrize("wanted", [{"types": frozenset({"video"})}, {"labels": (("team", None),)}])
def test_an_event_without_the_field_does_not_pass(wanted: dict[str, Any]) -> None:
    """A job without a type or labels is not of any."""
    assert not EventFilter(**wanted).passes(Event(1, 0, TASK_UPDATE, 7, {"jobId": "job-7", "status": "running"}))


@pytest.mark.parametrize(
    ("event", "is_end"),
    [
        (an_event(status="completed", previousStatus="running"), True),
        (an_event(status="lost", previousStatus="running"), True),
        (an_event(status="completed"), False),
        (an_event(status="running", previousStatus="pending"), False),
        (an_event(status="deleted", previousStatus="completed"), False),
        (an_event(TASK_UPDATE, status="completed", previousStatus="running"), False),
    ],
)
def test_an_end_is_a_change_of_a_job_to_a_finished_status(event: Event, is_end: bool) -> None:
    """Not news of one that has ended, nor that it is gone, nor the end of a task."""
    assert event.is_end is is_end


def test_a_result_has_the_number_of_the_end_that_it_tells() -> None:
    """So that it is known when it comes twice."""
    result = an_event(**END).result()
    assert (result.seq, result.kind) == (5, JOB_RESULT)
    assert result.data == {"isJobResolved": True, "messageId": "job-7", "status": "completed"}


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ({JOB_UPDATE, TASK_UPDATE}, [JOB_UPDATE]),
        ({JOB_UPDATE, JOB_RESULT}, [JOB_UPDATE, JOB_RESULT]),
        ({JOB_RESULT}, [JOB_RESULT]),
        ({TASK_UPDATE}, []),
    ],
)
def test_an_end_is_told_in_the_words_asked_for(kinds: set[str], found: list[str]) -> None:
    """As an update, as a result, as both in this order."""
    entries = chosen([Entry(an_event(**END))], EventFilter(kinds=frozenset(kinds)))
    assert [entry.event.kind for entry in entries] == found
