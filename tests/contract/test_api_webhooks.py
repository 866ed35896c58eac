"""`/webhooks` and `/deliveries` over a real store: what is accepted, what is refused and how, and what is never shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yarl

from jobmgr.store.base import Store
from jobmgr.store.webhooks import DeliveryStatus, RecordTry
from tests.contract.served import Served, serving
from tests.contract.stores import AT, a_spec, submitted
from tests.contract.test_store_webhooks import enqueued

URL = "https://example.org/secret?x"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"


@pytest.fixture
async def served(tmp_path: Path, store: Store) -> AsyncIterator[Served]:
    """A server over an empty store; nothing is sent."""
    async with serving(tmp_path, store=store) as served:
        yield served


async def ask(served: Served, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    sent = {} if body is None else {"json": body}
    async with served.client.request(method, path, **sent) as answer:
        return answer.status, await answer.json(content_type=None)


async def made(served: Served, **fields: Any) -> dict[str, Any]:
    """A webhook."""
    status, webhook = await ask(served, "POST", "/webhooks", {"url": URL, **fields})
    assert status == 201, webhook
    found: dict[str, Any] = webhook
    return found


# --- webhooks


async def test_a_webhook_is_made_with_a_secret_that_is_shown_once(served: Served) -> None:
    """And with defaults: each end of every job."""
    async with served.client.post("/webhooks", json={"url": URL}) as answer:
        webhook = await answer.json()
        assert (answer.status, answer.headers["Location"]) == (201, "/webhooks/webhook-0")
    assert webhook.pop("secret").startswith("whsec_")
    assert webhook.pop("createdAt").endswith("Z")
    assert webhook == {
        "webhookId": "webhook-0",
        "url": URL,
        "on": ["finished"],
        "filter": {"name": [], "type": [], "label": []},
        "enabled": True,
        "disabledWhy": None,
        "jobId": None,
        "links": {"self": "/webhooks/webhook-0", "deliveries": "/deliveries?webhook=webhook-0"},
    }
    _, [listed] = await ask(served, "GET", "/webhooks")
    _, shown = await ask(served, "GET", "/webhooks/webhook-0")
    assert listed == shown and shown["secret"] == "***"


async def test_everything_can_be_given(served: Served) -> None:
    """A text stands for a list of one; what is said twice holds once."""
    wanted = {"name": "a", "type": ["t", "u"], "label": ["team:media:x", "urgent"]}
    webhook = await made(served, on=["broken", "failed", "broken"], filter=wanted, secret=SECRET, enabled=False)
    assert (webhook["on"], webhook["secret"], webhook["enabled"]) == (["broken", "failed"], SECRET, False)
    assert webhook["filter"] == {"name": ["a"], "type": ["t", "u"], "label": ["team:media:x", "urgent"]}
    assert webhook["disabledWhy"] == "Disabled by request."


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ([], "", "object"),
        ("x", "", "object"),
        ({}, "/url", "required"),
        ({"url": None}, "/url", "string"),
        ({"url": 1}, "/url", "string"),
        ({"url": ""}, "/url", "1 character"),
        ({"url": "x" * 2049}, "/url", "2048"),
        ({"url": "example.org"}, "/url", "https://"),
        ({"url": "ftp://example.org/"}, "/url", "https://"),
        ({"url": "https://user:word@example.org/"}, "/url", "password"),
        ({"url": "http://localhost:3000/"}, "/url", "JOBMGR_WEBHOOK_HOSTS"),
        ({"url": "http://2130706433/"}, "/url", "JOBMGR_WEBHOOK_HOSTS"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "/url", "JOBMGR_WEBHOOK_HOSTS"),
        ({"url": "https://example.org/\x00"}, "/url", "NUL"),
        ({"url": URL, "urls": 1}, "/urls", "url"),
        ({"url": URL, "on": []}, "/on", "at least 1"),
        ({"url": URL, "on": "failed"}, "/on", "list"),
        ({"url": URL, "on": ["ended"]}, "/on/0", "finished"),
        ({"url": URL, "filter": []}, "/filter", "object"),
        ({"url": URL, "filter": {"names": "a"}}, "/filter/names", "name"),
        ({"url": URL, "filter": {"name": 1}}, "/filter/name", "list"),
        ({"url": URL, "filter": {"name": [1]}}, "/filter/name/0", "string"),
        ({"url": URL, "filter": {"name": ""}}, "/filter/name/0", "1 character"),
        ({"url": URL, "filter": {"name": ["x"] * 101}}, "/filter/name", "100"),
        ({"url": URL, "filter": {"label": ":media"}}, "/filter/label", "key:value"),
        ({"url": URL, "filter": {"label": ["\ud800"]}}, "/filter/label/0", "surrogates"),
        ({"url": URL, "secret": "correct-horse-battery"}, "/secret", "whsec_"),
        ({"url": URL, "secret": "whsec_c2hvcnQ="}, "/secret", "24"),
        ({"url": URL, "enabled": "yes"}, "/enabled", "true or false"),
    ],
)
async def test_what_is_wrong_is_named_with_its_remedy_and_nothing_is_made(
    served: Served, body: Any, field: str, says: str
) -> None:
    """No refusal quotes a value."""
    status, problem = await ask(served, "POST", "/webhooks", body)
    assert status == 400
    [wrong] = problem["errors"]
    assert wrong["field"] == field and says in wrong["problem"], wrong
    assert "secret?x" not in repr(problem) and "correct-horse" not in repr(problem)
    assert await ask(served, "GET", "/webhooks") == (200, [])


async def test_all_that_is_wrong_is_told_at_once(served: Served) -> None:
    """Also what only the address and the secret themselves tell."""
    _, problem = await ask(served, "POST", "/webhooks", {"url": "http://localhost/", "secret": "x"})
    assert [wrong["field"] for wrong in problem["errors"]] == ["/url", "/secret"]


async def test_there_are_at_most_a_hundred(served: Served) -> None:
    """409, with what to do."""
    for _ in range(100):
        await made(served)
    status, problem = await ask(served, "POST", "/webhooks", {"url": URL})
    assert status == 409 and "remove one" in problem["error"]
    assert (await ask(served, "DELETE", "/webhooks/webhook-3"))[0] == 200
    assert (await made(served))["webhookId"] == "webhook-100"


async def test_what_is_given_is_changed_and_null_is_not(served: Served) -> None:
    """The secret is not shown again."""
    await made(served, on=["failed"], filter={"name": "a"})
    body = {"url": "https://example.org/other", "secret": SECRET, "on": None}
    status, webhook = await ask(served, "PATCH", "/webhooks/webhook-0", body)
    assert (status, webhook["url"], webhook["on"], webhook["secret"]) == (200, body["url"], ["failed"], "***")
    assert webhook["filter"]["name"] == ["a"]
    assert await ask(served, "PATCH", "/webhooks/webhook-0", {}) == (200, webhook)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://127.0.0.1/"}, "/url"),
        ({"secret": "x"}, "/secret"),
        ({"on": []}, "/on"),
        ({"id": 1}, "/id"),
        ([], ""),
    ],
)
async def test_a_wrong_change_changes_nothing(served: Served, body: Any, field: str) -> None:
    """And names its field."""
    await made(served)
    before = await ask(served, "GET", "/webhooks/webhook-0")
    status, problem = await ask(served, "PATCH", "/webhooks/webhook-0", body)
    assert (status, problem["errors"][0]["field"]) == (400, field)
    assert await ask(served, "GET", "/webhooks/webhook-0") == before


async def test_one_that_is_disabled_says_why_until_it_is_enabled(served: Served) -> None:
    """And gets no test meanwhile."""
    await made(served)
    _, off = await ask(served, "PATCH", "/webhooks/webhook-0", {"enabled": False})
    assert (off["enabled"], off["disabledWhy"]) == (False, "Disabled by request.")
    status, problem = await ask(served, "POST", "/webhooks/webhook-0/test")
    assert status == 409 and "enable it" in problem["error"]
    _, on = await ask(served, "PATCH", "/webhooks/webhook-0", {"enabled": True})
    assert (on["enabled"], on["disabledWhy"]) == (True, None)


@pytest.mark.parametrize(
    "name", ["webhook-7", "webhook-", "webhook-01", "webhook--1", "job-0", "7", "webhook-٣", "webhook-" + "9" * 40]
)
async def test_what_is_not_there_is_not_found_by_any_verb(served: Served, name: str) -> None:
    """Nor is what is no id."""
    for method, path, body in (
        ("GET", f"/webhooks/{name}", None),
        ("PATCH", f"/webhooks/{name}", {}),
        ("DELETE", f"/webhooks/{name}", None),
        ("POST", f"/webhooks/{name}/test", None),
    ):
        status, problem = await ask(served, method, path, body)
        assert status == 404 and "There is no webhook" in problem["error"], (method, problem)


async def test_a_removed_one_is_there_no_more(served: Served, store: Store) -> None:
    """What was pending for it is dropped, and can not be had again."""
    await made(served)
    await enqueued(store, (0, 4))
    assert await ask(served, "DELETE", "/webhooks/webhook-0") == (200, {"success": True, "webhookId": "webhook-0"})
    assert (await ask(served, "DELETE", "/webhooks/webhook-0"))[0] == 404
    _, [row] = await ask(served, "GET", "/deliveries")
    assert (row["status"], row["error"]) == ("dropped", "Its webhook was removed.")
    status, problem = await ask(served, "POST", "/deliveries/delivery-0/redeliver")
    assert status == 409 and "removed" in problem["error"]


async def test_the_callback_of_a_job_shows_its_receiver_only(served: Served, store: Store) -> None:
    """Not among all webhooks; only its address and whether it is enabled can be changed."""
    await submitted(store, a_spec(callback_url=URL))
    assert await ask(served, "GET", "/webhooks") == (200, [])
    _, webhook = await ask(served, "GET", "/webhooks/webhook-0")
    assert (webhook["url"], webhook["jobId"], webhook["secret"]) == ("https://example.org:443/***", "job-0", None)
    changes: tuple[dict[str, Any], ...] = ({"on": ["lost"]}, {"filter": {}}, {"secret": SECRET})
    for body in changes:
        status, problem = await ask(served, "PATCH", "/webhooks/webhook-0", body)
        assert status == 409 and "callback" in problem["error"]
    _, changed = await ask(served, "PATCH", "/webhooks/webhook-0", {"url": "http://other.org/x", "enabled": False})
    assert (changed["url"], changed["enabled"]) == ("http://other.org:80/***", False)


async def test_a_page_of_another_origin_may_not_make_a_webhook(served: Served) -> None:
    """Nor change, remove or test one."""
    await made(served)
    before = await ask(served, "GET", "/webhooks")
    for method, path in (
        ("POST", "/webhooks"),
        ("PATCH", "/webhooks/webhook-0"),
        ("DELETE", "/webhooks/webhook-0"),
        ("POST", "/webhooks/webhook-0/test"),
        ("POST", "/deliveries/delivery-0/redeliver"),
    ):
        sent = {"url": URL} if path == "/webhooks" else {}
        headers = {"Origin": "https://evil.example"}
        async with served.client.request(method, path, json=sent, headers=headers) as answer:
            assert answer.status == 403
    assert await ask(served, "GET", "/webhooks") == before
    assert await ask(served, "GET", "/deliveries") == (200, [])


@pytest.mark.parametrize("path", ["/webhooks/webhook-0/test", "/deliveries/delivery-0/redeliver"])
async def test_a_verb_takes_no_body(served: Served, path: str) -> None:
    """400 for anything but the empty object."""
    await made(served)
    assert (await ask(served, "POST", path, {"force": True}))[0] == 400
    assert await ask(served, "GET", "/deliveries") == (200, [])


# --- deliveries


async def test_a_delivery_shows_what_is_sent_and_what_became_of_it(served: Served, store: Store) -> None:
    """In the list and by itself."""
    await made(served)
    status, row = await ask(served, "POST", "/webhooks/webhook-0/test")
    assert status == 202
    created = row.pop("createdAt")
    assert row.pop("messageId").startswith("msg_0_")
    assert row.pop("dueAt") == created
    assert row.pop("payload") == {"type": "webhook.test", "timestamp": created, "data": {"webhookId": "webhook-0"}}
    assert row == {
        "deliveryId": "delivery-0",
        "webhookId": "webhook-0",
        "type": "webhook.test",
        "jobId": None,
        "seq": None,
        "status": "pending",
        "tries": 0,
        "responseStatus": None,
        "error": None,
        "endedAt": None,
        "links": {"self": "/deliveries/delivery-0", "webhook": "/webhooks/webhook-0"},
    }
    await store.apply([RecordTry(0, AT, DeliveryStatus.FAILED, 500, "It answered 500.")])
    _, [listed] = await ask(served, "GET", "/deliveries")
    _, shown = await ask(served, "GET", "/deliveries/delivery-0")
    assert listed == shown
    assert (shown["status"], shown["tries"], shown["responseStatus"]) == ("failed", 1, 500)
    assert (shown["error"], shown["dueAt"]) == ("It answered 500.", None)


async def test_what_has_ended_can_be_delivered_again_and_what_is_pending_not(served: Served, store: Store) -> None:
    """As the same message."""
    await made(served)
    await enqueued(store, (0, 4))
    status, problem = await ask(served, "POST", "/deliveries/delivery-0/redeliver")
    assert status == 409 and "pending" in problem["error"]
    await store.apply([RecordTry(0, AT, DeliveryStatus.DELIVERED, 204, None)])
    _, before = await ask(served, "GET", "/deliveries/delivery-0")
    status, again = await ask(served, "POST", "/deliveries/delivery-0/redeliver")
    assert (status, again["status"], again["messageId"]) == (202, "pending", before["messageId"])
    await ask(served, "PATCH", "/webhooks/webhook-0", {"enabled": False})
    status, problem = await ask(served, "POST", "/deliveries/delivery-0/redeliver")
    assert status == 409 and "disabled" in problem["error"]


async def test_deliveries_are_listed_page_by_page_newest_first(served: Served, store: Store) -> None:
    """The `Link` keeps the filters."""
    for _ in range(2):
        await made(served)
    await enqueued(store, *((webhook, job) for job in range(5) for webhook in (0, 1)))
    found, path = [], "/deliveries?webhook=webhook-1&status=pending&limit=2"
    while path:
        async with served.client.get(path) as answer:
            found += [row["deliveryId"] for row in await answer.json()]
            path = yarl.URL(str(answer.links["next"]["url"])).path_qs if answer.links else ""
    assert found == ["delivery-9", "delivery-7", "delivery-5", "delivery-3", "delivery-1"]
    _, rows = await ask(served, "GET", "/deliveries?job=job-2")
    assert [row["webhookId"] for row in rows] == ["webhook-1", "webhook-0"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("webhook=0", "?webhook"),
        ("webhook=webhook-01", "?webhook"),
        ("job=7", "?job"),
        ("status=done", "?status"),
        ("limit=0", "?limit"),
        ("limit=1001", "?limit"),
        ("cursor=x", "?cursor"),
        ("cursor=delivery-" + "9" * 30, "?cursor"),
        ("webhooks=webhook-0", "?webhooks"),
        ("status=failed&status=pending", "?status"),
    ],
)
async def test_a_wrong_parameter_is_named(served: Served, query: str, field: str) -> None:
    """400."""
    status, problem = await ask(served, "GET", f"/deliveries?{query}")
    assert (status, problem["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize("name", ["delivery-0", "delivery-x", "webhook-0"])
async def test_a_delivery_that_is_not_there_is_not_found(served: Served, name: str) -> None:
    """Nor delivered again."""
    for method, path in (("GET", f"/deliveries/{name}"), ("POST", f"/deliveries/{name}/redeliver")):
        status, problem = await ask(served, method, path)
        assert status == 404 and "There is no delivery" in problem["error"]


# --- callbacks


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "1 character"),
        (7, "string"),
        ("x" * 2049, "2048"),
        ("example.org", "https://"),
        ("https://a:b@example.org/", "password"),
        ("http://localhost/", "JOBMGR_WEBHOOK_HOSTS"),
        ("http://0x7f.1/", "JOBMGR_WEBHOOK_HOSTS"),
        ("http://169.254.169.254/latest/", "JOBMGR_WEBHOOK_HOSTS"),
    ],
)
async def test_a_callback_that_cannot_be_called_is_refused_with_its_submission(
    served: Served, url: Any, says: str
) -> None:
    """By its place, in a list too; nothing is submitted."""
    for body, field in (({"callbackUrl": url}, "/callbackUrl"), ([{}, {"callbackUrl": url}], "/1/callbackUrl")):
        status, problem = await ask(served, "POST", "/jobs", body)
        [wrong] = problem["errors"]
        assert (status, wrong["field"]) == (400, field) and says in wrong["problem"], wrong
    assert served.untouched


async def test_a_callback_is_a_part_of_the_job_that_is_submitted(served: Served) -> None:
    """As it was given."""
    status, _ = await ask(served, "POST", "/jobs", {"callbackUrl": URL})
    assert status == 201
    assert [spec.callback_url for spec in served.manager.submitted] == [URL]
