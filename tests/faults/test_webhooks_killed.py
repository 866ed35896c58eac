"""The server is killed with -9 on the way of a message: before its delivery is made, before a try, amid it, after it. None is lost or made twice."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from functools import partial

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)

from tests.faults.receiver import Got, Receiver, fails_first, receiving
from tests.faults.servers import Site, submission
from tests.faults.test_webhooks import SOON, deliveries, key_of, start, webhook
from tests.waiting import eventually_blocking

POINTS = [
    "deliveries before their commit",
    "deliveries after their commit",
    "a try before it is sent",
    "a try before the commit of its end",
    "a try after the commit of its end",
]


def has_more(receiver: Receiver, than: int) -> bool:
    """Whether it was called so often."""
    return len(receiver.got) > than


def check_deliveries(site: Site, receiver: Receiver) -> None:
    """Every delivery was taken, under an id of its own, and of one webhook those of one job in the order of their events."""
    rows = deliveries(site, "?limit=1000")
    assert {row["messageId"] for row in rows} == {got.id for got in receiver.taken} == {got.id for got in receiver.got}
    told = Counter((row["webhookId"], row["seq"], row["type"]) for row in rows)
    assert max(told.values()) == 1
    webhooks = {row["messageId"]: row["webhookId"] for row in rows}
    lines: dict[tuple[str, str], list[int]] = {}
    for got in receiver.got:
        lines.setdefault((webhooks[got.id], got.data["jobId"]), []).append(got.data["seq"])
    assert all(seqs == sorted(seqs) for seqs in lines.values())


@pytest.mark.parametrize("point", POINTS)
def test_a_server_that_dies_on_the_way_of_a_message_neither_loses_nor_doubles_it(site: Site, point: str) -> None:
    """The next one goes on: the webhook and the callback are told once of each end, signed, under one id each."""
    with receiving() as receiver:
        start(site)
        secret = webhook(site, receiver.url("/hook"))["secret"]
        site.server.kill()
        site.start(dies_at=point, **SOON)
        job = site.server.submit(0, 3, retry=False, callbackUrl=receiver.url("/callback"))
        assert site.server.exit_code() == -9
        start(site)
        site.server.wait_status(job)
        eventually_blocking(lambda: {got.path for got in receiver.taken} == {"/hook", "/callback"})
        eventually_blocking(lambda: {row["status"] for row in deliveries(site)} == {"delivered"})
        assert len(deliveries(site)) == 2
        check_deliveries(site, receiver)
        for got in receiver.got:
            got.verify(secret if got.path == "/hook" else key_of(site))


def test_a_try_under_way_does_not_hold_up_the_end_of_the_server_and_is_made_again(site: Site) -> None:
    """It gets about a second; the next server sends the same message."""
    go = threading.Event()

    def hangs(_: Receiver, __: Got) -> int:
        go.wait(60)
        return 204

    with receiving(hangs) as receiver:
        try:
            start(site)
            webhook(site, receiver.url())
            site.server.submit(0, 0)
            eventually_blocking(lambda: receiver.got)
            began = time.monotonic()
            site.server.ask_to_leave()
            assert site.server.exit_code() == 0
            assert time.monotonic() - began < 10  # Of its own a try would give up after 15.
        finally:
            go.set()
        start(site)
        eventually_blocking(lambda: deliveries(site)[0]["status"] == "delivered")
        assert len({got.id for got in receiver.got}) == 1


def test_a_server_killed_again_and_again_tells_of_every_end(site: Site) -> None:
    """Forty jobs, their restarts and deletions, six kills at any time, a receiver that refuses each message once."""
    with receiving(fails_first(1)) as receiver:
        start(site)
        webhook(site, receiver.url("/all"))
        webhook(site, receiver.url("/bad"), on=["failed"])
        jobs: list[str] = []
        for life in range(6):
            batch = [submission(1, code, retry=False, callbackUrl=receiver.url("/one")) for code in (0, 3, 0, 4, 0, 5)]
            answer = site.server.ask("POST", "/jobs", batch)
            jobs += [reply["jobId"] for reply in answer.body]
            if life:
                for job in jobs[-9:-6]:
                    site.server.wait_status(job)
                    assert site.server.ask("POST", f"/jobs/{job}/restart").status == 200
            eventually_blocking(partial(has_more, receiver, 10 * life))
            site.server.kill()
            start(site)
        rows = site.server.wait_all_finished()
        for row in rows[:5]:
            assert site.server.ask("DELETE", f"/jobs/{row['jobId']}").status == 200
        ends = 36 + 15
        eventually_blocking(lambda: len({got.id for got in receiver.taken if got.path == "/all"}) == ends)
        eventually_blocking(lambda: {row["status"] for row in deliveries(site, "?limit=1000")} == {"delivered"})
        check_deliveries(site, receiver)
        of_path = Counter(got.path for got in {got.id: got for got in receiver.taken}.values())
        assert of_path["/all"] == of_path["/one"] == ends
        bad = [
            got
            for got in {got.id: got for got in receiver.taken}.values()
            if got.path == "/all" and got.type == "job.crashed"
        ]
        assert of_path["/bad"] == len(bad)
        eventually_blocking(lambda: site.rows("SELECT count(*) FROM webhooks WHERE closing = 1") == [(0,)])
