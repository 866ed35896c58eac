"""What is sent and what is answered about webhooks and deliveries, as types: the handlers use them, `openapi` describes them from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from jobmgr.addresses import MAX_URL
from jobmgr.api.answers import Count, JobId, Place, Time
from jobmgr.api.bodies import URL
from jobmgr.api.query import Query, Whole
from jobmgr.store.webhooks import DeliveryStatus, WebhookFilter
from jobmgr.webhooks.matching import ON

MAX_VALUES = 100
MAX_TEXT = 255
MAX_LIMIT = 1000
USUAL_LIMIT = 100
WHSEC = r"^whsec_(([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?|([A-Za-z0-9+/]{4}){21}([A-Za-z0-9+/]{2}==)?)$"
MASKED = "***"

WebhookId = Annotated[str, Field(pattern=r"^webhook-(0|[1-9][0-9]*)$")]
DeliveryId = Annotated[str, Field(pattern=r"^delivery-(0|[1-9][0-9]*)$")]
On = Literal["finished", "failed", "completed", "crashed", "stopped", "lost", "broken", "mended"]

_MEANINGS = "; ".join(f"`{word}`: {meaning}" for word, meaning in ON.items())
_CLOSED = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


# --- what is sent


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _labels(values: list[str]) -> list[str]:
    if any(value.startswith(":") for value in values):
        raise PydanticCustomError("label", "give key:value, or a key alone for any value")
    return values


def _texts(pattern: str) -> Any:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": pattern}
    return WithJsonSchema({"anyOf": [text, {"type": "array", "items": text, "maxItems": MAX_VALUES}]})


_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
_List = Annotated[list[_Text], Field(max_length=MAX_VALUES, fail_fast=True)]
Texts = Annotated[_List, BeforeValidator(_as_list), _texts("^")]
Labels = Annotated[_List, AfterValidator(_labels), BeforeValidator(_as_list), _texts("^[^:]")]


class FilterBody(BaseModel):
    """Of which jobs a webhook is told: those that pass all of these, each by any of its values."""

    model_config = _CLOSED

    name: Texts = Field(
        default_factory=list,
        description="Only jobs of exactly this name, or one of these.",
        examples=["nightly-backup"],
    )
    type: Texts = Field(
        default_factory=list, description="Only jobs of this job type, or one of these.", examples=["upload"]
    )
    label: Labels = Field(
        default_factory=list,
        description="Only jobs with this label, or one of these: `key:value`, or `key` for any value.",
        examples=[["team:media"]],
    )

    def wanted(self) -> WebhookFilter:
        """The same for the store."""
        labels = ((key, value if colon else None) for key, colon, value in (each.partition(":") for each in self.label))
        return WebhookFilter(tuple(self.name), tuple(self.type), tuple(labels))


class WebhookChanges(BaseModel):
    """What of a webhook is to be another; what is left out or null stays."""

    model_config = _CLOSED

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL, json_schema_extra={"pattern": URL})] | None = Field(
        None,
        description="Whom to tell: an address that begins with http:// or https://. No private one, unless `JOBMGR_WEBHOOK_HOSTS` has it.",
        examples=["https://example.org/jobs"],
    )
    on: Annotated[list[On], Field(min_length=1, max_length=MAX_VALUES, fail_fast=True)] | None = Field(
        None, description=f"Of what: {_MEANINGS}. By default `finished`.", examples=[["failed", "mended"]]
    )
    filter: FilterBody | None = Field(
        None, description="Of which jobs; by default all.", examples=[{"name": "nightly-backup"}]
    )
    secret: Annotated[str, Field(json_schema_extra={"pattern": WHSEC})] | None = Field(
        None,
        description="What signs: `whsec_` and 24 to 64 bytes in base64. By default it is made. A new one signs together with the one before "
        "for 24 hours.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"],
    )
    enabled: bool | None = Field(
        None,
        description="Whether it is told anything. What is pending for one that is disabled is dropped; enabled again, it is told of what happens "
        "from then on.",
        examples=[True],
    )


class NewWebhook(WebhookChanges):
    """A webhook: whom to tell, of what, of which jobs. All but `url` is optional."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL, json_schema_extra={"pattern": URL})] = Field(
        description="Whom to tell: an address that begins with http:// or https://. No private one, unless `JOBMGR_WEBHOOK_HOSTS` has it.",
        examples=["https://example.org/jobs"],
    )


NEW_EXAMPLES: Mapping[str, Any] = {
    "Every end": {"url": "https://example.org/jobs"},
    "What breaks and what is mended": {"url": "https://example.org/alarm", "on": ["broken", "mended"]},
    "Failures of some jobs": {
        "url": "https://example.org/alarm",
        "on": ["failed"],
        "filter": {"name": ["nightly-backup", "encode"], "label": "team:media"},
    },
}
CHANGE_EXAMPLES: Mapping[str, Any] = {
    "Another secret": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"},
    "Enabled again": {"enabled": True},
}


def _parsed(prefix: str) -> Any:
    def read(text: Any) -> int:
        digits = str(text).removeprefix(prefix)
        known = str(text).startswith(prefix) and digits.isascii() and digits.isdigit() and len(digits) <= 18
        if not known or str(int(digits)) != digits:
            raise PydanticCustomError("id", "give an id like {prefix}0", {"prefix": prefix})
        return int(digits)

    return BeforeValidator(read)


def _id_of(prefix: str) -> Any:
    return WithJsonSchema({"type": "string", "pattern": f"^{prefix}(0|[1-9][0-9]{{0,17}})$"})


class DeliveriesQuery(Query):
    """Which deliveries."""

    webhook: Annotated[int, _parsed("webhook-"), _id_of("webhook-")] | None = Field(
        None, description="Only those to this webhook.", examples=["webhook-0"]
    )
    job: Annotated[int, _parsed("job-"), _id_of("job-")] | None = Field(
        None, description="Only those about this job.", examples=["job-0"]
    )
    status: Literal["pending", "delivered", "failed", "dropped"] | None = Field(
        None, description="Only those that are pending, were delivered, given up (`failed`), or dropped."
    )
    limit: Annotated[int, Whole(1, MAX_LIMIT)] = Field(
        USUAL_LIMIT, description="At most so many; the `Link` header leads to the next page."
    )
    cursor: Annotated[int, _parsed("delivery-"), _id_of("delivery-")] | None = Field(
        None, description="Older ones than this; taken from the `Link` of the page before.", examples=["delivery-100"]
    )


# --- what is answered


class FilterAnswer(TypedDict):
    """Of which jobs a webhook is told; an empty list asks for nothing."""

    name: Annotated[Sequence[str], Field(description="The names; empty: any.", examples=[["nightly-backup"]])]
    type: Annotated[Sequence[str], Field(description="The job types; empty: any, or none.", examples=[[]])]
    label: Annotated[Sequence[str], Field(description="The labels; empty: any, or none.", examples=[["team:media"]])]


class WebhookLinks(TypedDict):
    """Where there is more about a webhook."""

    self: Annotated[Place, Field(description="The webhook.", examples=["/webhooks/webhook-0"])]
    deliveries: Annotated[Place, Field(description="What it was told.", examples=["/deliveries?webhook=webhook-0"])]


class Webhook(TypedDict):
    """Who is told, of what, of which jobs. The callback of a job is one too, with the job in `jobId`."""

    webhookId: Annotated[WebhookId, Field(description="Its id, never used again.", examples=["webhook-0"])]
    url: Annotated[
        str,
        Field(description="Whom it tells; of a callback without its path.", examples=["https://example.org/jobs"]),
    ]
    on: Annotated[Sequence[On], Field(description="Of what.", examples=[["finished"]])]
    filter: FilterAnswer
    secret: Annotated[
        str | None,
        Field(
            description="What signs: shown in the answer to its creation only, else `***`; null: the key of the server.",
            examples=[MASKED],
        ),
    ]
    enabled: Annotated[bool, Field(description="Whether it is told anything.", examples=[True])]
    disabledWhy: Annotated[
        str | None,
        Field(
            description="Why not; null: it is.", examples=[None, "Its receiver answered 410: it wants nothing more."]
        ),
    ]
    jobId: Annotated[
        JobId | None,
        Field(description="Of the callback of a job: that job; null: it is none.", examples=[None, "job-0"]),
    ]
    createdAt: Annotated[Time, Field(description="When it was made.", examples=["2026-11-22T08:00:00.250Z"])]
    links: WebhookLinks


class Removed(TypedDict):
    """The reply to the removal of a webhook."""

    success: Annotated[Literal[True], Field(description="Problems say false here.")]
    webhookId: Annotated[WebhookId, Field(description="It is there no more.", examples=["webhook-0"])]


class DeliveryLinks(TypedDict):
    """Where there is more about a delivery."""

    self: Annotated[Place, Field(description="The delivery.", examples=["/deliveries/delivery-0"])]
    webhook: Annotated[Place, Field(description="Its webhook, if it is still there.", examples=["/webhooks/webhook-0"])]


class Delivery(TypedDict):
    """One message to one webhook, and what became of it."""

    deliveryId: Annotated[DeliveryId, Field(description="Its id.", examples=["delivery-0"])]
    webhookId: Annotated[WebhookId, Field(description="Its webhook.", examples=["webhook-0"])]
    messageId: Annotated[
        str,
        Field(
            description="The header `webhook-id`, the same at each try: by it a receiver knows a message again.",
            examples=["msg_0_5f0c1d2e3a4b5c6d"],
        ),
    ]
    type: Annotated[str, Field(description="What it tells.", examples=["job.crashed", "webhook.test"])]
    jobId: Annotated[JobId | None, Field(description="Its job; null: it is about none.", examples=["job-0"])]
    seq: Annotated[
        int | None, Field(ge=1, description="Number of the event that it tells of; null: of none.", examples=[7])
    ]
    status: Annotated[
        DeliveryStatus,
        Field(
            description="pending: it is tried, again and again. delivered: it was taken. failed: all tries were in vain. "
            "dropped: nobody wants it any more.",
            examples=["delivered"],
        ),
    ]
    tries: Annotated[Count, Field(description="How often it was sent.", examples=[1])]
    dueAt: Annotated[
        Time | None,
        Field(
            description="When it is tried next; null: not now; a pending one waits for the one before it.",
            examples=[None],
        ),
    ]
    responseStatus: Annotated[
        int | None, Field(description="The HTTP status of the last answer; null: there was none.", examples=[200])
    ]
    error: Annotated[str | None, Field(description="Why the last try failed.", examples=[None, "It answered 500."])]
    createdAt: Annotated[Time, Field(description="When it was made.", examples=["2026-11-22T08:00:01.300Z"])]
    endedAt: Annotated[
        Time | None,
        Field(
            description="When it was taken, given up or dropped; null: it was not.",
            examples=["2026-11-22T08:00:01.350Z"],
        ),
    ]
    payload: Annotated[
        Mapping[str, Any],
        Field(
            description="The body that is sent: `type`, `timestamp`, `data`.",
            examples=[
                {
                    "type": "job.completed",
                    "timestamp": "2026-11-22T08:00:01.296Z",
                    "data": {
                        "jobId": "job-0",
                        "jobName": "hello",
                        "status": "completed",
                        "previousStatus": "running",
                        "seq": 7,
                    },
                }
            ],
        ),
    ]
    links: DeliveryLinks
