"""Webhooks by whole servers and a real receiver: signed, in order, known again by their id, tried until taken; and what is refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)

from tests.faults.receiver import Got, Receiver, fails_first, receiving
from tests.faults.servers import Site
from tests.waiting import eventually_blocking

SOON = {"JOBMGR_WEBHOOK_HOSTS": "127.0.0.1", "JOBMGR_WEBHOOK_RETRY_DELAY": "0.02"}


def start(site: Site, **settings: str) -> None:
    """A server that may call this machine, and tries again soon."""
    site.start(**SOON, **settings)


def webhook(site: Site, url: str, **fields: Any) -> dict[str, Any]:
    """Make a webhook; its answer."""
    answer = site.server.ask("POST", "/webhooks", {"url": url, **fields})
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.body
    return made


def first_delivery(site: Site, passes: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The newest delivery, once it is as wanted."""

    def found() -> dict[str, Any]:
        rows = deliveries(site)
        return rows[0] if rows and passes(rows[0]) else {}

    return eventually_blocking(found)


def ended(site: Site, *arguments: object, **fields: Any) -> str:
    """A job that has ended."""
    job = site.server.submit(*arguments, retry=False, **fields)
    site.server.wait_status(job)
    return job


def deliveries(site: Site, query: str = "") -> list[dict[str, Any]]:
    """What the server says of its deliveries."""
    found: list[dict[str, Any]] = site.server.get(f"/deliveries{query}")
    return found


def key_of(site: Site) -> str:
    """What signs callbacks."""
    return (site.data / "webhook-secret").read_text().strip()


def test_a_receiver_that_fails_three_times_gets_each_message_signed_in_order_and_with_one_id(site: Site) -> None:
    """Of every job both rounds, each tried four times with the same id and bytes, and the second never before the first was taken."""
    with receiving(fails_first(3)) as receiver:
        start(site)
        secret = webhook(site, receiver.url())["secret"]
        jobs = [site.server.submit(0, code, retry=False) for code in (0, 3, 0, 4)]
        for job in jobs:
            site.server.wait_status(job)
            assert site.server.ask("POST", f"/jobs/{job}/restart").status == 200
        eventually_blocking(lambda: len(receiver.taken) == 8)
        for job in jobs:
            tries = [got for got in receiver.got if got.data["jobId"] == job]
            assert [len(list(same)) for _, same in groupby(tries, key=lambda got: got.id)] == [4, 4]
            assert len({got.body for got in tries}) == len({got.id for got in tries}) == 2
            first, second = receiver.about(job)
            assert first.data["seq"] < second.data["seq"]
        for got in receiver.got:
            got.verify(secret)
        assert {got.type for got in receiver.taken} == {"job.completed", "job.crashed"}
        eventually_blocking(lambda: {row["status"] for row in deliveries(site)} == {"delivered"})
        assert {row["tries"] for row in deliveries(site)} == {4}


def test_the_callback_of_a_job_is_told_of_each_end_and_signed_with_the_key_of_the_server(site: Site) -> None:
    """Of that job only; the key is kept where only its owner reads it, and the address is shown nowhere."""
    with receiving() as receiver:
        start(site)
        ended(site)
        job = ended(site, 0, 5, callbackUrl=receiver.url("/secret-path"))
        eventually_blocking(lambda: receiver.taken)
        assert site.server.ask("POST", f"/jobs/{job}/restart").status == 200
        eventually_blocking(lambda: len(receiver.taken) == 2)
        assert [(got.path, got.type, got.data["jobId"], got.data["exitCode"]) for got in receiver.taken] == [
            ("/secret-path", "job.crashed", job, 5)
        ] * 2
        for got in receiver.taken:
            got.verify(key_of(site))
        assert (site.data / "webhook-secret").stat().st_mode & 0o777 == 0o600
        assert site.server.get("/webhooks") == []
        shown = [site.server.get(path) for path in ("/jobs", f"/jobs/{job}", "/deliveries", "/webhooks/webhook-0")]
        events = site.rows("SELECT data FROM events")
        assert "secret-path" not in repr((shown, events)) + (site.directory / "app.log").read_text()


def test_a_key_from_the_settings_signs_callbacks(site: Site) -> None:
    """And none is made."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"
    with receiving() as receiver:
        start(site, JOBMGR_WEBHOOK_SECRET=secret)
        ended(site, callbackUrl=receiver.url())
        [got] = eventually_blocking(lambda: list(receiver.taken))
        got.verify(secret)
        assert not (site.data / "webhook-secret").exists()
        assert secret not in (site.directory / "app.log").read_text()


def test_a_callback_goes_out_though_its_job_is_deleted_at_once_and_goes_with_it(site: Site) -> None:
    """The end that came just before the deletion is told; then nothing of the callback is left."""
    with receiving(fails_first(2)) as receiver:
        start(site)
        job = ended(site, callbackUrl=receiver.url())
        assert site.server.ask("DELETE", f"/jobs/{job}").status == 200
        eventually_blocking(lambda: receiver.about(job))
        eventually_blocking(lambda: site.rows("SELECT count(*) FROM webhooks") == [(0,)])


def test_410_disables_a_webhook_and_drops_what_is_pending(site: Site) -> None:
    """Nothing more is sent until it is enabled again, and the reason is told."""
    with receiving(lambda _, got: 410 if got.path == "/gone" else 204) as receiver:
        start(site)
        name = webhook(site, receiver.url("/gone"))["webhookId"]
        ended(site)
        eventually_blocking(lambda: not site.server.get(f"/webhooks/{name}")["enabled"])
        assert "410" in site.server.get(f"/webhooks/{name}")["disabledWhy"]
        assert [each["status"] for each in deliveries(site)] == ["dropped"]
        ended(site)
        answer = site.server.ask("PATCH", f"/webhooks/{name}", {"url": receiver.url(), "enabled": True})
        assert (answer.body["enabled"], answer.body["disabledWhy"]) == (True, None)
        job = ended(site)
        eventually_blocking(lambda: receiver.taken)
        assert [got.data["jobId"] for got in receiver.got] == ["job-0", job]


def test_a_redirect_is_not_followed(site: Site) -> None:
    """It is a try that failed."""
    with receiving() as other, receiving(lambda *_: 307, Location=other.url()) as receiver:
        start(site)
        webhook(site, receiver.url())
        ended(site)
        eventually_blocking(lambda: len(receiver.got) >= 2)
        row = deliveries(site)[0]
        assert row["responseStatus"] == 307 and "redirect" in row["error"]
        assert not other.got


def test_after_ten_tries_it_is_given_up_and_can_be_asked_for_again(site: Site) -> None:
    """As the same message; meanwhile it is pending, and no second wish is taken."""
    with receiving(lambda receiver, got: 503 if receiver.times[got.id] <= 10 else 204) as receiver:
        site.start(**SOON | {"JOBMGR_WEBHOOK_RETRY_DELAY": "0.00001"})
        webhook(site, receiver.url())
        ended(site)
        row = first_delivery(site, lambda row: row["status"] == "failed")
        assert (row["tries"], row["responseStatus"], row["dueAt"]) == (10, 503, None)
        assert [each.id for each in receiver.got] == [row["messageId"]] * 10
        answer = site.server.ask("POST", f"/deliveries/{row['deliveryId']}/redeliver")
        assert (answer.status, answer.body["status"], answer.body["tries"]) == (202, "pending", 0)
        eventually_blocking(lambda: receiver.taken)
        assert receiver.taken[0].id == row["messageId"]


def test_a_job_that_breaks_and_is_mended_is_told_once_each(site: Site) -> None:
    """Also the first break, of which only the job before it knows; what is stopped in between does not count."""
    with receiving() as receiver:
        start(site)
        ended(site)
        webhook(site, receiver.url("/changes"), on=["broken", "mended"])
        webhook(site, receiver.url("/failed"), on=["failed", "broken"])
        for code in (0, 3, 3):
            ended(site, 0, code)
        stopped = site.server.submit("until", 0)
        site.server.wait_status(stopped, "running")
        site.server.stop(stopped)
        site.server.wait_status(stopped, "stopped")
        for code in (4, 0, 0):
            ended(site, 0, code)
        ended(site, 0, 9, jobName="another")

        def told(path: str) -> list[tuple[str, str]]:
            return [(got.type, got.data["jobId"]) for got in receiver.taken if got.path == path]

        eventually_blocking(lambda: len(told("/changes")) == 2 and len(told("/failed")) == 5)
        assert sorted(told("/changes")) == [("job.broken", "job-2"), ("job.mended", "job-6")]
        assert [each for each in told("/failed") if each[1] == "job-2"] == [
            ("job.crashed", "job-2"),
            ("job.broken", "job-2"),
        ]
        changes = {got.type: got.data["previousOutcome"] for got in receiver.taken if got.path == "/changes"}
        assert changes == {"job.broken": "good", "job.mended": "bad"}


def test_a_receiver_that_hangs_does_not_hold_up_another(site: Site) -> None:
    """However much is pending for it."""
    go = threading.Event()

    def hangs(_: Receiver, __: Got) -> int:
        go.wait(60)
        return 204

    with receiving(hangs) as hanging, receiving() as other:
        try:
            start(site)
            webhook(site, hanging.url())
            for _ in range(6):
                ended(site)
            eventually_blocking(lambda: len(hanging.got) >= 4)
            webhook(site, other.url())
            jobs = [ended(site) for _ in range(3)]
            eventually_blocking(lambda: len(other.taken) == 3)
            assert {got.data["jobId"] for got in other.taken} == set(jobs)
            assert not hanging.taken
        finally:
            go.set()


def test_jobs_that_end_because_the_server_leaves_are_told_of_before_it_is_gone(site: Site) -> None:
    """It may never come back."""
    with receiving() as receiver:
        start(site)
        webhook(site, receiver.url())
        job = site.server.submit("until", 0)
        site.server.wait_status(job, "running")
        site.server.ask_to_leave()
        assert site.server.exit_code() == 0
        assert [(got.type, got.data["jobId"]) for got in receiver.taken] == [("job.stopped", job)]


def test_a_private_address_is_refused_when_it_is_given_and_when_it_is_called(site: Site) -> None:
    """By a sentence that names the setting; a webhook of earlier, from when it was allowed, is not called either."""
    with receiving() as receiver:
        start(site)
        webhook(site, receiver.url())
        site.server.kill()
        site.start(JOBMGR_WEBHOOK_RETRY_DELAY="0.02")
        for path, body in (("/webhooks", {"url": receiver.url()}), ("/jobs", {"callbackUrl": receiver.url()})):
            answer = site.server.ask("POST", path, body)
            assert answer.status == 400 and "JOBMGR_WEBHOOK_HOSTS" in answer.body["error"], answer
        ended(site)
        row = first_delivery(site, lambda row: row["tries"] > 0)
        assert row["responseStatus"] is None and "Not called" in row["error"]
        assert not receiver.got


def test_a_test_goes_the_way_of_all_others(site: Site) -> None:
    """Signed, listed, and about no job."""
    with receiving() as receiver:
        start(site)
        made = webhook(site, receiver.url(), on=["lost"])
        answer = site.server.ask("POST", f"/webhooks/{made['webhookId']}/test")
        assert (answer.status, answer.body["type"], answer.body["jobId"]) == (202, "webhook.test", None)
        [got] = eventually_blocking(lambda: list(receiver.taken))
        got.verify(made["secret"])
        assert got.id == answer.body["messageId"]


def test_a_secret_is_changed_without_a_gap(site: Site) -> None:
    """For a day both sign."""
    with receiving() as receiver:
        start(site)
        made = webhook(site, receiver.url())
        new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"
        assert site.server.ask("PATCH", f"/webhooks/{made['webhookId']}", {"secret": new}).body["secret"] == "***"
        ended(site)
        [got] = eventually_blocking(lambda: list(receiver.taken))
        got.verify(new)
        got.verify(made["secret"])
