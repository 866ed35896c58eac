"""Which ends a webhook is told of, in what words and in what order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobmgr.events import JOB_UPDATE, Event
from jobmgr.store.webhooks import EVERY_JOB, Webhook, WebhookFilter
from jobmgr.webhooks.matching import ON, body_of, change_of, outcome_of, types_for

GOOD, BAD = True, False


def an_end(status: str, *, job: int = 4, seq: int = 10, **data: Any) -> Event:
    """The end of a job."""
    facts = {"jobId": f"job-{job}", "jobName": "backup", "status": status, "previousStatus": "running"}
    return Event(seq, 1_795_334_400_250_000, JOB_UPDATE, job, facts | data)


def a_webhook(*on: str, **fields: Any) -> Webhook:
    """A webhook that is told of these."""
    facts: dict[str, Any] = {
        "id": 0, "url": "https://example.org/", "on": on, "filter": EVERY_JOB, "secret": None, "job": None, "enabled": True, "disabled_why": None,
        "since_seq": 0, "created_at": 0,
    }  # fmt: skip
    return Webhook(**facts | fields)


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("finished", {"completed", "crashed", "failed", "stopped", "lost"}),
        ("failed", {"crashed", "failed"}),
        ("completed", {"completed"}),
        ("crashed", {"crashed"}),
        ("stopped", {"stopped"}),
        ("lost", {"lost"}),
        ("broken", set()),
        ("mended", set()),
    ],
)
def test_each_word_means_its_ends(on: str, told: set[str]) -> None:
    """And no others."""
    statuses = ("completed", "crashed", "failed", "stopped", "lost")
    assert {status for status in statuses if types_for(a_webhook(on), an_end(status), None)} == told
    assert on in ON


@pytest.mark.parametrize(
    ("before", "status", "change"),
    [
        (GOOD, "crashed", "broken"),
        (GOOD, "failed", "broken"),
        (BAD, "completed", "mended"),
        (GOOD, "completed", None),
        (BAD, "crashed", None),
        (BAD, "failed", None),
        (GOOD, "stopped", None),
        (BAD, "stopped", None),
        (GOOD, "lost", None),
        (BAD, "lost", None),
        (None, "crashed", None),
        (None, "completed", None),
    ],
)
def test_a_change_is_between_two_that_count(before: bool | None, status: str, change: str | None) -> None:
    """What was stopped or lost says nothing; the first of a name changes nothing."""
    end = an_end(status)
    assert change_of(end, before) == change
    assert types_for(a_webhook("broken", "mended"), end, before) == ([f"job.{change}"] if change else [])


def test_an_end_comes_before_the_change_that_it_is() -> None:
    """Whatever the order in which they were asked for, and the end once."""
    webhook = a_webhook("broken", "crashed", "failed", "finished")
    assert types_for(webhook, an_end("crashed"), GOOD) == ["job.crashed", "job.broken"]


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (WebhookFilter(), True),
        (WebhookFilter(names=("backup",)), True),
        (WebhookFilter(names=("other", "backup")), True),
        (WebhookFilter(names=("back",)), False),
        (WebhookFilter(types=("upload",)), True),
        (WebhookFilter(types=("extract",)), False),
        (WebhookFilter(labels=(("team", "media"),)), True),
        (WebhookFilter(labels=(("team", None),)), True),
        (WebhookFilter(labels=(("team", "web"),)), False),
        (WebhookFilter(labels=(("team", "web"), ("prio", None))), True),
        (WebhookFilter(labels=(("nobody", None),)), False),
        (WebhookFilter(names=("backup",), types=("extract",)), False),
    ],
)
def test_a_filter_passes_by_all_its_conditions_each_by_any_value(wanted: WebhookFilter, passes: bool) -> None:
    """As the event names the job, which may be no more."""
    end = an_end("completed", type="upload", labels={"team": "media", "prio": ""})
    assert bool(types_for(a_webhook("finished", filter=wanted), end, None)) == passes


def test_a_job_without_type_and_labels_passes_no_filter_for_them() -> None:
    """They are not in its event."""
    for wanted in (WebhookFilter(types=("upload",)), WebhookFilter(labels=(("team", None),))):
        assert types_for(a_webhook("finished", filter=wanted), an_end("completed"), None) == []


@pytest.mark.parametrize(
    "webhook",
    [
        a_webhook("finished", enabled=False),
        a_webhook("finished", since_seq=10),
        a_webhook("finished", job=5),
        a_webhook("finished", job=0),
    ],
)
def test_some_are_told_nothing_of_it(webhook: Webhook) -> None:
    """Disabled, made after it, the callback of another job."""
    assert types_for(webhook, an_end("completed"), None) == []


def test_a_callback_is_told_of_its_job() -> None:
    """And of nothing before it was made."""
    assert types_for(a_webhook("finished", job=4, since_seq=9), an_end("completed"), None) == ["job.completed"]


def test_a_message_is_type_time_and_the_event_with_its_number() -> None:
    """In ASCII, so that any receiver reads it."""
    body = body_of("job.crashed", an_end("crashed", error="türe"), None)
    assert body.isascii()
    assert json.loads(body) == {
        "type": "job.crashed",
        "timestamp": "2026-11-22T08:00:00.250Z",
        "data": {
            "jobId": "job-4", "jobName": "backup", "status": "crashed", "previousStatus": "running", "error": "türe", "seq": 10,
        },
    }  # fmt: skip


@pytest.mark.parametrize(("before", "word"), [(GOOD, "good"), (BAD, "bad")])
def test_a_change_says_how_it_was_before(before: bool, word: str) -> None:
    """Other messages do not."""
    assert json.loads(body_of("job.broken", an_end("crashed"), before))["data"]["previousOutcome"] == word
    assert "previousOutcome" not in json.loads(body_of("job.crashed", an_end("crashed"), before))["data"]


@pytest.mark.parametrize(
    ("status", "outcome"), [("completed", GOOD), ("crashed", BAD), ("failed", BAD), ("stopped", None), ("lost", None)]
)
def test_what_counts_as_well_and_as_badly(status: str, outcome: bool | None) -> None:
    """The rest counts for neither."""
    assert outcome_of(an_end(status)) is outcome
