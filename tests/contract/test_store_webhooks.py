"""The contract of every store, webhooks: callbacks of jobs, lines of deliveries, the place of the outbox, what goes with time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from jobmgr.job import Change
from jobmgr.store.base import Delete, Store, Submit
from jobmgr.store.pruning import Prune
from jobmgr.store.webhooks import (
    BY_REQUEST,
    EVERY_JOB,
    NO_JOB,
    ChangeWebhook,
    CreateWebhook,
    Delivery,
    DeliveryFilter,
    DeliveryStatus,
    Enqueue,
    NewDelivery,
    RecordTry,
    Redeliver,
    Redelivery,
    RemoveWebhook,
    SendTest,
    Webhook,
    WebhookFilter,
)
from tests.contract.stores import AT, a_spec, claimed, ended, running, submitted

URL = "https://example.org/secret"
RECEIVER = "https://example.org:443"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"
PENDING, DELIVERED, FAILED, DROPPED = DeliveryStatus


async def created(store: Store, *, on: Sequence[str] = ("finished",), most: int = 100, **fields: Any) -> int:
    """A standing webhook."""
    facts: dict[str, Any] = {"url": URL, "filter": EVERY_JOB, "secret": SECRET, "enabled": True, "at": AT}
    [made] = await store.apply([CreateWebhook(on=tuple(on), most=most, **facts | fields)])
    webhook: int = made
    return webhook


async def the_webhook(store: Store, webhook: int) -> Webhook:
    """A webhook that is there."""
    found = await store.webhooks.webhook(webhook)
    assert found is not None
    return found


async def enqueued(store: Store, *places: tuple[int, int], seen: int | None = None, at: int = AT, **more: Any) -> bool:
    """Deliveries to (webhook, job)."""
    after = await store.webhooks.seen()
    new = [NewDelivery(webhook, job, 7, "job.completed", '{"n":1}') for webhook, job in places]
    [done] = await store.apply([Enqueue(after, after if seen is None else seen, at, new, **more)])
    return bool(done)


async def due(store: Store, now: int = AT, *, busy: Sequence[str] = (), under_way: Sequence[int] = ()) -> list[int]:
    """Ids of what may be tried."""
    return [each.id for each in await store.webhooks.due(now, busy=busy, under_way=under_way, limit=100, each=100)]


async def tried(store: Store, delivery: int, status: DeliveryStatus, at: int = AT, **more: Any) -> bool:
    """The end of a try."""
    [known] = await store.apply([RecordTry(delivery, at, status, 200, None, **more)], first=True)
    return bool(known)


async def the_delivery(store: Store, delivery: int) -> Delivery:
    """A delivery that is there."""
    found = await store.webhooks.delivery(delivery)
    assert found is not None
    return found


async def statuses(store: Store) -> list[DeliveryStatus]:
    """Of all deliveries, the oldest first."""
    return [each.status for each in reversed(await store.webhooks.deliveries(DeliveryFilter()))]


# --- webhooks


async def test_a_webhook_comes_back_as_it_was_made(store: Store) -> None:
    """It sees what happens after it; its address and secret are in no repr."""
    await submitted(store)
    wanted = WebhookFilter(("a", "b"), ("upload",), (("team", "media"), ("urgent", None)))
    webhook = await the_webhook(store, await created(store, on=["failed", "mended"], filter=wanted))
    assert (webhook.on, webhook.filter, webhook.url, webhook.secret) == (("failed", "mended"), wanted, URL, SECRET)
    assert (webhook.enabled, webhook.disabled_why, webhook.job, webhook.created_at) == (True, None, None, AT)
    assert webhook.since_seq == await store.last_seq() > 0
    assert "secret" not in repr(webhook).replace("secret=", "") and SECRET not in repr(webhook)
    assert await store.webhooks.standing() == [webhook]


async def test_there_are_at_most_so_many(store: Store) -> None:
    """Callbacks are not counted, and ids are not used again."""
    await submitted(store, a_spec(callback_url=URL))
    assert [await created(store, most=2) for _ in range(3)] == [1, 2, None]
    await store.apply([RemoveWebhook(1, AT)])
    assert await created(store, most=2) == 3


async def test_what_is_given_is_changed_and_the_rest_stays(store: Store) -> None:
    """One that is not there is not changed."""
    webhook = await created(store)
    before = await the_webhook(store, webhook)
    assert await store.apply([ChangeWebhook(webhook, AT, on=("lost",)), ChangeWebhook(9, AT, enabled=False)]) == [
        True,
        False,
    ]
    after = await the_webhook(store, webhook)
    assert (after.on, after.url, after.filter, after.enabled) == (("lost",), before.url, before.filter, True)


async def test_the_secret_before_signs_besides_for_a_while(store: Store) -> None:
    """As whoever sends finds both."""
    webhook = await created(store)
    await store.apply([ChangeWebhook(webhook, AT, secret="whsec_new", old_until=AT + 5)])
    await enqueued(store, (webhook, 0))
    [found] = await store.webhooks.due(AT, busy=(), under_way=(), limit=1, each=1)
    assert (found.secret, found.old_secret, found.old_until) == ("whsec_new", SECRET, AT + 5)


async def test_a_disabled_one_gets_nothing_and_what_was_pending_is_dropped(store: Store) -> None:
    """Enabled again it sees what happens from then on, and no reason is left."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0))
    await store.apply([ChangeWebhook(webhook, AT, enabled=False)])
    assert (await the_webhook(store, webhook)).disabled_why == BY_REQUEST
    await enqueued(store, (webhook, 1))
    assert await statuses(store) == [DROPPED]
    assert await due(store) == []
    await submitted(store)
    await store.apply([ChangeWebhook(webhook, AT, enabled=True)])
    again = await the_webhook(store, webhook)
    assert (again.enabled, again.disabled_why, again.since_seq) == (True, None, await store.last_seq())


async def test_with_another_address_what_is_due_later_is_due_there_now(store: Store) -> None:
    """A person has put right what was wrong."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0), (webhook, 0))
    await tried(store, 0, PENDING, due_at=AT + 1000)
    assert await due(store) == []
    await store.apply([ChangeWebhook(webhook, AT, url="http://other.org/x")])
    [found] = await store.webhooks.due(AT, busy=[RECEIVER], under_way=(), limit=9, each=9)
    assert (found.id, found.receiver, found.url) == (0, "http://other.org:80", "http://other.org/x")


async def test_a_removed_one_is_gone_and_its_deliveries_stay_listed(store: Store) -> None:
    """What was pending is dropped."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0))
    assert await store.apply([RemoveWebhook(webhook, AT), RemoveWebhook(webhook, AT)]) == [True, False]
    assert await store.webhooks.webhook(webhook) is None
    assert await statuses(store) == [DROPPED]
    assert not await store.webhooks.any()


# --- callbacks


async def test_a_job_with_a_callback_has_a_webhook_of_its_own(store: Store) -> None:
    """Also in a list; it sees all of its job, is not among the standing ones, and neither list nor event shows its address."""
    jobs = await submitted(store, a_spec(), a_spec(callback_url=URL), a_spec(callback_url=URL + "2"))
    found = await store.webhooks.about(jobs)
    assert [(each.job, each.url, each.secret, each.on) for each in found] == [
        (jobs[1], URL, None, ("finished",)),
        (jobs[2], URL + "2", None, ("finished",)),
    ]
    assert await store.webhooks.standing() == []
    assert {each.since_seq for each in found} == {0}
    spec = await store.spec(jobs[1])
    assert spec is not None and spec.callback_url == URL and "secret" not in repr(spec)
    assert "example.org" not in repr((await store.jobs(jobs), await store.events()))


async def test_a_submission_that_is_replayed_makes_no_second_callback(store: Store) -> None:
    """It makes no second job either."""
    change = Submit([a_spec(callback_url=URL)], AT, "key", "hash")
    await store.apply([change])
    await store.apply([change])
    assert len(await store.webhooks.about([0, 1])) == 1


async def test_a_callback_goes_with_its_job_once_nothing_is_pending(store: Store) -> None:
    """At once, or with the end of the last delivery."""
    jobs = await submitted(store, a_spec(callback_url=URL), a_spec(callback_url=URL))
    await enqueued(store, (1, jobs[1]), (1, jobs[1]))
    await enqueued(store, deleted=jobs)
    assert [each.job for each in await store.webhooks.about(jobs)] == [jobs[1]]
    await tried(store, 0, DELIVERED)
    assert await store.webhooks.any()
    await tried(store, 1, FAILED)
    assert not await store.webhooks.any()


# --- the place of the outbox


async def test_the_place_moves_with_what_was_made_on_the_way(store: Store) -> None:
    """Whoever comes second with the same events does nothing."""
    webhook = await created(store)
    assert await store.webhooks.seen() == 0
    assert await enqueued(store, (webhook, 0), seen=5)
    assert await store.webhooks.seen() == 5
    late = Enqueue(0, 9, AT, [NewDelivery(webhook, 0, 1, "x", "{}")])
    assert await store.apply([late]) == [False]
    assert (await store.webhooks.seen(), len(await statuses(store))) == (5, 1)


async def test_what_is_made_for_one_that_is_gone_is_left_out(store: Store) -> None:
    """The place moves all the same."""
    assert await enqueued(store, (3, 0), seen=4)
    assert (await statuses(store), await store.webhooks.seen()) == ([], 4)


async def test_outcomes_are_kept_while_someone_asks_for_changes(store: Store) -> None:
    """What is not kept up would be wrong one day."""
    await enqueued(store, outcomes={"a": True})
    assert await store.webhooks.outcomes(["a"]) == {}
    webhook = await created(store, on=["broken"])
    await enqueued(store, outcomes={"a": True, "b": False})
    await enqueued(store, outcomes={"a": False})
    assert await store.webhooks.outcomes(["a", "b", "c"]) == {"a": False, "b": False}
    await store.apply([ChangeWebhook(webhook, AT, enabled=False)])
    assert await store.webhooks.outcomes(["a", "b"]) == {}


async def test_the_outcome_before_is_that_of_the_newest_job_of_which_nothing_was_told_since(store: Store) -> None:
    """Of this name; what was stopped, or has not ended, does not count."""
    last: list[int] = []
    for change in (Change.COMPLETE, Change.CRASH, Change.STOP, Change.COMPLETE):
        await ended(store, await running(store), change)
        last.append(await store.last_seq())
    await running(store)
    before = store.webhooks.outcomes_before
    assert [await before({"my-task": seq}) for seq in last] == [
        {},
        {"my-task": True},
        {"my-task": False},
        {"my-task": False},
    ]
    assert await before({"my-task": last[-1] + 1, "another": 1}) == {"my-task": True}
    assert await before({}) == {}


# --- lines


async def test_of_one_webhook_and_job_only_the_first_is_due(store: Store) -> None:
    """The next one when it ended; other jobs and other webhooks do not wait."""
    one, other = await created(store), await created(store)
    await enqueued(store, (one, 0), (one, 0), (one, 1), (other, 0))
    assert await due(store) == [0, 2, 3]
    await tried(store, 0, PENDING, due_at=AT + 50)
    assert await due(store) == [2, 3]
    assert (await due(store, AT + 50), await store.webhooks.next_due(AT)) == ([2, 3, 0], AT + 50)
    await tried(store, 0, DELIVERED, AT + 60)
    assert await due(store, AT + 60) == [2, 3, 1]
    await tried(store, 1, FAILED)
    await tried(store, 2, DELIVERED)
    await tried(store, 3, DELIVERED)
    assert (await due(store, AT + 99), await store.webhooks.next_due(AT)) == ([], None)


async def test_what_is_under_way_or_goes_to_a_busy_receiver_is_left_out(store: Store) -> None:
    """However much of it there is."""
    one, other = await created(store), await created(store, url="http://other.org/")
    await enqueued(store, *((one, job) for job in range(50)), (other, 0))
    assert await due(store, busy=[RECEIVER]) == [50]
    assert await due(store, under_way=range(50)) == [50]


async def test_a_delivery_keeps_what_became_of_its_tries(store: Store) -> None:
    """Code and sentence of the last one; the message and its bytes never change."""
    webhook = await created(store)
    await enqueued(store, (webhook, 4))
    first = await the_delivery(store, 0)
    await store.apply([RecordTry(0, AT + 1, PENDING, 500, "It answered 500.", AT + 9)])
    second = await the_delivery(store, 0)
    assert (second.tries, second.code, second.error, second.due_at) == (1, 500, "It answered 500.", AT + 9)
    await tried(store, 0, DELIVERED, AT + 9)
    last = await the_delivery(store, 0)
    assert (last.tries, last.code, last.error, last.due_at, last.ended_at) == (2, 200, None, None, AT + 9)
    assert first.message == second.message == last.message
    assert first.body == last.body == '{"n":1}'
    assert first.message.startswith("msg_0_")


async def test_a_try_of_what_was_dropped_meanwhile_changes_nothing(store: Store) -> None:
    """Nor does that of one that is not there."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0))
    await store.apply([RemoveWebhook(webhook, AT)])
    assert not await tried(store, 0, DELIVERED)
    assert not await tried(store, 9, DELIVERED)
    assert await statuses(store) == [DROPPED]


async def test_a_receiver_that_wants_nothing_more_disables_its_webhook(store: Store) -> None:
    """What was pending for it is dropped; that of others stays."""
    one, other = await created(store), await created(store)
    await enqueued(store, (one, 0), (one, 0), (one, 1), (other, 0))
    await tried(store, 0, DROPPED, gone="It answered 410.")
    assert await statuses(store) == [DROPPED, DROPPED, DROPPED, PENDING]
    webhook = await the_webhook(store, one)
    assert (webhook.enabled, webhook.disabled_why) == (False, "It answered 410.")
    assert await due(store) == [3]


async def test_a_test_stands_in_a_line_of_its_own(store: Store) -> None:
    """It is about no job and no event; a disabled webhook gets none."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0))
    assert await store.apply([SendTest(webhook, "webhook.test", "{}", AT)]) == [1]
    made = await the_delivery(store, 1)
    assert (made.job, made.seq) == (NO_JOB, 0)
    assert await due(store) == [0, 1]
    await store.apply([ChangeWebhook(webhook, AT, enabled=False)])
    assert await store.apply([SendTest(webhook, "webhook.test", "{}", AT), SendTest(7, "webhook.test", "{}", AT)]) == [
        None,
        None,
    ]


async def test_a_test_does_not_wait_for_one_that_failed(store: Store) -> None:
    """Whoever repaired a receiver sees it at once."""
    webhook = await created(store)
    await store.apply([SendTest(webhook, "webhook.test", "{}", AT)])
    await tried(store, 0, PENDING, due_at=AT + 10**9)
    await store.apply([SendTest(webhook, "webhook.test", "{}", AT)])
    assert await due(store) == [1]


@pytest.mark.parametrize("status", [PENDING, FAILED, DROPPED])
async def test_what_an_address_answered_is_no_matter_of_the_one_that_took_its_place(
    store: Store, status: DeliveryStatus
) -> None:
    """Nobody is disabled for another's 410, and the new address is tried at once."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0))
    await store.apply([ChangeWebhook(webhook, AT, url="https://new.example.org/")])
    gone = "410" if status is DROPPED else None
    assert await tried(store, 0, status, AT + 5, due_at=AT + 10**9, gone=gone, url=URL)
    assert (await the_webhook(store, webhook)).enabled
    row = await the_delivery(store, 0)
    assert (row.status, row.tries, row.due_at) == (PENDING, 1, AT + 5)


async def test_what_an_earlier_address_took_is_delivered(store: Store) -> None:
    """It has the message."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0))
    await store.apply([ChangeWebhook(webhook, AT, url="https://new.example.org/")])
    await tried(store, 0, DELIVERED, url=URL)
    assert await statuses(store) == [DELIVERED]


async def test_what_has_ended_is_delivered_again_as_the_same_message(store: Store) -> None:
    """Behind what is pending of its line, and from the first try on."""
    webhook = await created(store)
    await enqueued(store, (webhook, 0), (webhook, 0))
    before = await the_delivery(store, 0)
    assert await store.apply([Redeliver(0, AT), Redeliver(9, AT)]) == [Redelivery.PENDING, Redelivery.UNKNOWN]
    await tried(store, 0, FAILED)
    assert await store.apply([Redeliver(0, AT)]) == [Redelivery.DONE]
    again = await the_delivery(store, 0)
    assert (again.status, again.tries, again.message, again.body) == (PENDING, 0, before.message, before.body)
    assert await due(store) == [1]
    await tried(store, 1, DELIVERED)
    assert await due(store) == [0]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [(RemoveWebhook(0, AT), Redelivery.REMOVED), (ChangeWebhook(0, AT, enabled=False), Redelivery.DISABLED)],
)
async def test_nothing_is_delivered_again_to_one_that_is_gone_or_disabled(
    store: Store, change: RemoveWebhook | ChangeWebhook, outcome: Redelivery
) -> None:
    """The answer says which."""
    await enqueued(store, (await created(store), 0))
    await store.apply([change])
    assert await store.apply([Redeliver(0, AT)]) == [outcome]


async def test_what_a_busy_receiver_has_waiting_hides_nothing_of_others(store: Store) -> None:
    """However much it is, and though all of it is due for longer."""
    slow, *others = [await created(store, url=f"http://{name}.org/") for name in ("m", "a", "z")]
    await enqueued(store, *((slow, job) for job in range(1200)))
    await enqueued(store, *((webhook, job) for job in range(6) for webhook in others), at=AT + 1)
    seen = await store.webhooks.due(AT + 1, busy=["http://m.org:80"], under_way=[1201], limit=7, each=4)
    assert [(each.receiver, each.id) for each in seen] == [
        *(("http://a.org:80", 1200 + 2 * job) for job in range(4)),
        *(("http://z.org:80", 1203 + 2 * job) for job in range(3)),
    ]
    assert await due(store, AT + 1, busy=[each.receiver for each in seen] + ["http://m.org:80"]) == []


# --- lists


async def test_deliveries_are_listed_newest_first_by_any_filter(store: Store) -> None:
    """Page by page."""
    one, other = await created(store), await created(store)
    await enqueued(store, (one, 0), (one, 1), (other, 0), (other, 1))
    await tried(store, 0, DELIVERED)

    async def listed(before: int | None = None, limit: int = 10, **conditions: Any) -> list[int]:
        found = await store.webhooks.deliveries(DeliveryFilter(**conditions), before=before, limit=limit)
        return [each.id for each in found]

    assert await listed() == [3, 2, 1, 0]
    assert (await listed(limit=3), await listed(before=1)) == ([3, 2, 1], [0])
    assert await listed(webhook=one) == [1, 0]
    assert await listed(job=0) == [2, 0]
    assert await listed(status=DELIVERED) == [0]
    assert await listed(webhook=one, job=0, status=PENDING) == []
    assert await listed(webhook=other, job=1, status=PENDING) == [3]


# --- time


async def test_what_ended_long_ago_is_forgotten_and_what_is_pending_is_not(store: Store) -> None:
    """A bounded number at a time; the callbacks of jobs whose events are gone too go with them."""
    jobs = await submitted(store, a_spec(callback_url=URL), a_spec(callback_url=URL), a_spec(callback_url=URL), at=AT)
    webhook = await created(store, on=["broken"])
    await enqueued(store, *((webhook, job) for job in range(5)), (1, jobs[1]), outcomes={"a": True}, at=AT)
    for delivery in range(4):
        await tried(store, delivery, DELIVERED, AT + delivery)
    for run in await claimed(store, 2):
        await ended(store, run, at=AT)
    await store.apply([Delete(jobs[0], AT), Delete(jobs[1], AT)])
    prune = Prune(0, 0, deliveries_before=AT + 3, limit=2)
    assert [(await store.apply([prune]))[0] for _ in range(3)] == [3, 1, 0]  # An outcome goes with the first.
    assert await statuses(store) == [DELIVERED, PENDING, PENDING]
    assert len(await store.webhooks.about(jobs)) == 4
    await store.apply([Prune(AT + 1, 0)])
    # The first one is an orphan; for the second something is pending, the third has its job.
    assert [each.job for each in await store.webhooks.about(jobs)] == [jobs[1], jobs[2], None]


async def test_the_tables_answer_by_their_indexes(store: Store) -> None:
    """A hundred thousand callbacks and a long line cost no more than a few."""
    await store.apply([Submit([a_spec(callback_url=f"{URL}{n}") for n in range(2000)], AT)])
    assert [each.job for each in await store.webhooks.about([1234, 1999])] == [1234, 1999]
    await enqueued(store, *((n, n) for n in range(2000)))
    assert len(await store.webhooks.due(AT, busy=(), under_way=(), limit=32, each=32)) == 32
    assert await due(store, busy=[RECEIVER]) == []


# --- whatever happens


@pytest.mark.parametrize("seed", range(6))
async def test_of_each_line_one_is_due_whatever_happened(store: Store, seed: int) -> None:
    """Never two, never none while one is pending; a message keeps its id and its bytes."""
    chance = random.Random(seed)
    webhooks = [await created(store, url=f"https://{name}.org/") for name in "abc"]
    messages: dict[int, tuple[str, str]] = {}
    for now in range(AT, AT + 200):
        await _anything(store, chance, webhooks, now)
        rows = await store.webhooks.deliveries(DeliveryFilter(), limit=1000)
        for row in rows:
            assert messages.setdefault(row.id, (row.message, row.body)) == (row.message, row.body)
        lines: dict[tuple[int, int], list[bool]] = {}
        for row in rows:
            if row.status is PENDING:
                lines.setdefault((row.webhook, row.job), []).append(row.due_at is not None)
            else:
                assert row.due_at is None and row.ended_at is not None
        assert all(sum(line) == 1 for line in lines.values())
    assert len(messages) > 50


async def _anything(store: Store, chance: random.Random, webhooks: list[int], now: int) -> None:
    """One thing that may happen to webhooks and deliveries."""
    webhook = chance.choice(webhooks)
    match chance.randrange(10):
        case 0 | 1 | 2:
            places = [(chance.choice(webhooks), chance.randrange(3)) for _ in range(chance.randrange(1, 5))]
            await enqueued(store, *places, at=now)
        case 3 | 4 | 5 | 6:
            for delivery in await due(store, now):
                status = chance.choice([PENDING, DELIVERED, FAILED, DROPPED])
                gone = "410" if status is DROPPED and chance.random() < 0.2 else None
                await tried(store, delivery, status, now, due_at=now + 2 if status is PENDING else None, gone=gone)
        case 7:
            for row in await store.webhooks.deliveries(DeliveryFilter(webhook=webhook), limit=5):
                await store.apply([Redeliver(row.id, now)])
        case 8:
            await store.apply([ChangeWebhook(webhook, now, enabled=chance.random() < 0.7)])
        case _:
            await store.apply([ChangeWebhook(webhook, now, url=f"https://{chance.randrange(3)}.org/", enabled=True)])
