"""The handlers of webhooks and deliveries: read the request, ask the manager of webhooks or the store, show the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from aiohttp import web
from pydantic import ValidationError

from jobmgr.addresses import receiver_of
from jobmgr.api import webhook_models as models
from jobmgr.api.body import read_json, read_nothing
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.query import asked
from jobmgr.api.send import json_answer
from jobmgr.clock import rfc3339
from jobmgr.errors import FieldProblem, InvalidRequest, NotFound
from jobmgr.job import job_id
from jobmgr.pointers import unspeakable
from jobmgr.store.webhooks import EVERY_JOB, NO_JOB, Delivery, DeliveryFilter, DeliveryStatus, Webhook
from jobmgr.submission import MAX_PROBLEMS, wrong_fields
from jobmgr.webhooks.manager import delivery_id, webhook_id

_Body = TypeVar("_Body", bound=models.WebhookChanges)


# --- webhooks


async def create_webhook(request: web.Request) -> web.StreamResponse:
    """Make a webhook: from now on the server tells this address what happens to jobs.

    Each message is a POST, signed as Standard Webhooks has it, and sent until it is taken: at least once, those about one job in their order, each
    known again by its `webhook-id`. The answer shows the `secret` that verifies it, once. A callback for one job only is the `callbackUrl` of its
    submission. docs/webhooks.md explains it all.
    """
    parts = request.app[PARTS]
    given = await _read(request, parts, models.NewWebhook)
    made = await parts.webhooks.create(
        given.url,
        on=_words(given.on) or ["finished"],
        wanted=EVERY_JOB if given.filter is None else given.filter.wanted(),
        secret=given.secret,
        enabled=given.enabled is not False,
    )
    shown = webhook_json(made) | {"secret": made.secret}
    headers = {"Location": f"/webhooks/{webhook_id(made.id)}"}
    return json_answer(shown, status=HTTPStatus.CREATED, headers=headers)


async def list_webhooks(request: web.Request) -> web.StreamResponse:
    """All webhooks, oldest first.

    Without the callbacks of single jobs, which `GET /deliveries?job=` leads to.
    """
    found = await request.app[PARTS].store.webhooks.standing()
    return json_answer([webhook_json(webhook) for webhook in found])


async def show_webhook(request: web.Request) -> web.StreamResponse:
    """One webhook.

    `enabled` is false, and `disabledWhy` says why, where it was disabled by request or its receiver answered 410.
    """
    return json_answer(webhook_json(await request.app[PARTS].webhooks.webhook(_webhook(request))))


async def change_webhook(request: web.Request) -> web.StreamResponse:
    """Change a webhook.

    What is left out stays. With another `secret` both sign for 24 hours, so a receiver can be changed in between; with another `url` what is
    pending goes there, at once. Of the callback of a job, `url` and `enabled` can be changed.
    """
    parts = request.app[PARTS]
    given = await _read(request, parts, models.WebhookChanges)
    changed = await parts.webhooks.change(
        _webhook(request),
        url=given.url,
        on=_words(given.on) or None,
        wanted=None if given.filter is None else given.filter.wanted(),
        secret=given.secret,
        enabled=given.enabled,
    )
    return json_answer(webhook_json(changed))


async def remove_webhook(request: web.Request) -> web.StreamResponse:
    """Remove a webhook.

    What is pending for it is dropped; its deliveries stay listed until they are as old as `JOBMGR_DELIVERY_DAYS` says.
    """
    parts = request.app[PARTS]
    await read_nothing(request, parts.settings.max_body_bytes)
    webhook = _webhook(request)
    await parts.webhooks.remove(webhook)
    answer: models.Removed = {"success": True, "webhookId": webhook_id(webhook)}
    return json_answer(answer)


async def test_webhook(request: web.Request) -> web.StreamResponse:
    """Send a message that tells of nothing.

    Its type is `webhook.test`. It goes the way of all others; `GET /deliveries/{delivery}` says what became of it.
    """
    parts = request.app[PARTS]
    await read_nothing(request, parts.settings.max_body_bytes)
    made = await parts.webhooks.test(_webhook(request))
    return json_answer(delivery_json(made), status=HTTPStatus.ACCEPTED)


# --- deliveries


async def list_deliveries(request: web.Request) -> web.StreamResponse:
    """What was told and what is still to be told, newest first.

    Those that have ended are listed as long as `JOBMGR_DELIVERY_DAYS` says; pending ones for as long as they are.
    """
    query = asked(request, models.DeliveriesQuery)
    status = None if query.status is None else DeliveryStatus(query.status)
    found = DeliveryFilter(query.webhook, query.job, status)
    store = request.app[PARTS].store
    page = await store.webhooks.deliveries(found, before=query.cursor, limit=query.limit + 1)
    more = len(page) > query.limit
    headers = {"Link": _link(request, page[query.limit - 1])} if more else {}
    return json_answer([delivery_json(each) for each in page[: query.limit]], headers=headers)


def _link(request: web.Request, last: Delivery) -> str:
    same = [(name, value) for name, value in request.query.items() if name != "cursor"]
    return f'</deliveries?{urlencode([*same, ("cursor", delivery_id(last.id))])}>; rel="next"'


async def show_delivery(request: web.Request) -> web.StreamResponse:
    """One delivery.

    How often it was tried, what the receiver answered last, and when it is tried next.
    """
    return json_answer(delivery_json(await request.app[PARTS].webhooks.delivery(_delivery(request))))


async def redeliver(request: web.Request) -> web.StreamResponse:
    """Deliver once more.

    The same message with the same `webhook-id`, from the first try on. Not while it is pending, nor when its webhook is disabled or removed: 409.
    """
    parts = request.app[PARTS]
    await read_nothing(request, parts.settings.max_body_bytes)
    again = await parts.webhooks.redeliver(_delivery(request))
    return json_answer(delivery_json(again), status=HTTPStatus.ACCEPTED)


# --- what is read


async def _read(request: web.Request, parts: Parts, model: type[_Body]) -> _Body:
    """The body. Raises InvalidRequest with every wrong field."""

    def check(payload: Any) -> _Body:
        if not isinstance(payload, dict):
            raise InvalidRequest([FieldProblem("", 'give an object, such as {"url": "https://example.org/jobs"}')])
        if wrong := [FieldProblem(at, "use NUL and lone surrogates nowhere") for at in unspeakable(payload)]:
            raise InvalidRequest(wrong[:MAX_PROBLEMS])
        try:
            return model.model_validate(payload)
        except ValidationError as error:
            raise InvalidRequest(wrong_fields(error, "", _known)) from None

    return await read_json(request, parts.settings.max_body_bytes, check)


def _known(place: tuple[str, ...]) -> Iterable[str]:
    return models.FilterBody.model_fields if place else models.NewWebhook.model_fields


def _words(on: Iterable[str] | None) -> list[str]:
    """Each once, as they came."""
    return list(dict.fromkeys(on or ()))


def _webhook(request: web.Request) -> int:
    return _number(request.match_info["webhook"], "webhook")


def _delivery(request: web.Request) -> int:
    return _number(request.match_info["delivery"], "delivery")


def _number(text: str, what: str) -> int:
    """The number in an id. Raises NotFound for what is no id, as for one that is not there."""
    found = re.fullmatch(rf"{what}-(0|[1-9][0-9]{{0,17}})", text, re.ASCII)
    if found is None:
        raise NotFound(what, text)
    return int(found[1])


# --- what is shown


def webhook_json(webhook: Webhook) -> models.Webhook:
    """As it is now. The address of a callback may be a secret, and whoever lists jobs did not give it."""
    name = webhook_id(webhook.id)
    callback = webhook.job is not None
    return {
        "webhookId": name,
        "url": f"{receiver_of(webhook.url)}/{models.MASKED}" if callback else webhook.url,
        "on": [cast(models.On, word) for word in webhook.on],  # They came in by the same type.
        "filter": {
            "name": list(webhook.filter.names),
            "type": list(webhook.filter.types),
            "label": [key if value is None else f"{key}:{value}" for key, value in webhook.filter.labels],
        },
        "secret": None if webhook.secret is None else models.MASKED,
        "enabled": webhook.enabled,
        "disabledWhy": webhook.disabled_why,
        "jobId": None if webhook.job is None else job_id(webhook.job),
        "createdAt": rfc3339(webhook.created_at),
        "links": {"self": f"/webhooks/{name}", "deliveries": f"/deliveries?webhook={name}"},
    }


def delivery_json(delivery: Delivery) -> models.Delivery:
    """As it is now."""
    name, webhook = delivery_id(delivery.id), webhook_id(delivery.webhook)
    return {
        "deliveryId": name,
        "webhookId": webhook,
        "messageId": delivery.message,
        "type": delivery.type,
        "jobId": None if delivery.job == NO_JOB else job_id(delivery.job),
        "seq": delivery.seq or None,
        "status": delivery.status,
        "tries": delivery.tries,
        "dueAt": None if delivery.due_at is None else rfc3339(delivery.due_at),
        "responseStatus": delivery.code,
        "error": delivery.error,
        "createdAt": rfc3339(delivery.created_at),
        "endedAt": None if delivery.ended_at is None else rfc3339(delivery.ended_at),
        "payload": json.loads(delivery.body),
        "links": {"self": f"/deliveries/{name}", "webhook": f"/webhooks/{webhook}"},
    }
