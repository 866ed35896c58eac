"""The routes of webhooks and deliveries, a part of `routes`."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import hdrs

from jobmgr.api import webhook_models as models
from jobmgr.api import webhooks
from jobmgr.api.route import Answer, Body, Header, Route, Tag
from jobmgr.errors import Conflict, NotFound

_PLACE = Header("Where the webhook is.", {"type": "string", "format": "uri-reference"})
_NEXT = Header("While there is more: the next page (`rel=next`).", {"type": "string"})

WEBHOOK_ROUTES = (
    Route(
        "POST",
        "/webhooks",
        webhooks.create_webhook,
        "Make a webhook",
        tag=Tag.WEBHOOKS,
        body=Body("Whom to tell of what.", models.NewWebhook, models.NEW_EXAMPLES),
        answers={
            HTTPStatus.CREATED: Answer(
                "The webhook, with its secret, which is shown this once.",
                models.Webhook,
                headers={hdrs.LOCATION: _PLACE},
            )
        },
        problems=(Conflict,),
    ),
    Route(
        "GET",
        "/webhooks",
        webhooks.list_webhooks,
        "All webhooks",
        tag=Tag.WEBHOOKS,
        answers={HTTPStatus.OK: Answer("The webhooks.", list[models.Webhook])},
    ),
    Route(
        "GET",
        "/webhooks/{webhook}",
        webhooks.show_webhook,
        "One webhook",
        tag=Tag.WEBHOOKS,
        answers={HTTPStatus.OK: Answer("The webhook as it is now.", models.Webhook)},
        problems=(NotFound,),
    ),
    Route(
        "PATCH",
        "/webhooks/{webhook}",
        webhooks.change_webhook,
        "Change a webhook",
        tag=Tag.WEBHOOKS,
        body=Body("What is to be another.", models.WebhookChanges, models.CHANGE_EXAMPLES),
        answers={HTTPStatus.OK: Answer("The webhook as it is now.", models.Webhook)},
        problems=(NotFound, Conflict),
    ),
    Route(
        "DELETE",
        "/webhooks/{webhook}",
        webhooks.remove_webhook,
        "Remove a webhook",
        tag=Tag.WEBHOOKS,
        answers={HTTPStatus.OK: Answer("It is there no more.", models.Removed)},
        problems=(NotFound,),
    ),
    Route(
        "POST",
        "/webhooks/{webhook}/test",
        webhooks.test_webhook,
        "Send a message that tells of nothing",
        tag=Tag.WEBHOOKS,
        answers={HTTPStatus.ACCEPTED: Answer("The delivery, which is under way.", models.Delivery)},
        problems=(NotFound, Conflict),
    ),
    Route(
        "GET",
        "/deliveries",
        webhooks.list_deliveries,
        "What was told and what is to be told, newest first",
        tag=Tag.WEBHOOKS,
        query=models.DeliveriesQuery,
        answers={HTTPStatus.OK: Answer("The deliveries.", list[models.Delivery], headers={"Link": _NEXT})},
    ),
    Route(
        "GET",
        "/deliveries/{delivery}",
        webhooks.show_delivery,
        "One delivery",
        tag=Tag.WEBHOOKS,
        answers={HTTPStatus.OK: Answer("The delivery as it is now.", models.Delivery)},
        problems=(NotFound,),
    ),
    Route(
        "POST",
        "/deliveries/{delivery}/redeliver",
        webhooks.redeliver,
        "Deliver once more",
        tag=Tag.WEBHOOKS,
        answers={HTTPStatus.ACCEPTED: Answer("The delivery, which is pending again.", models.Delivery)},
        problems=(NotFound, Conflict),
    ),
)
