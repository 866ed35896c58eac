"""WebhookManager: the verbs that people use on webhooks and deliveries, and the two duties behind them, the outbox and the sender.

Every verb is one change of the store; after the commit the sender is woken, for something may be due. Whether an address may be called is asked
before a webhook gets it, and again at each try. The duties run from `start` to `stop`; the verbs work before and after that too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobmgr.addresses import url_trouble
from jobmgr.clock import MICROSECONDS, now_us
from jobmgr.config import Settings
from jobmgr.errors import Conflict, DataDirError, FieldProblem, InvalidRequest, NotFound
from jobmgr.log import get_logger
from jobmgr.signature import new_secret, secret_trouble
from jobmgr.store.base import Store
from jobmgr.store.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    Delivery,
    Redeliver,
    Redelivery,
    RemoveWebhook,
    SendTest,
    Webhook,
    WebhookFilter,
)
from jobmgr.webhooks.key import ServerKey
from jobmgr.webhooks.matching import TEST, trial_body
from jobmgr.webhooks.outbox import Outbox
from jobmgr.webhooks.retrying import Retrying
from jobmgr.webhooks.sender import Sender

MOST_WEBHOOKS = 100
ROTATION_US = 24 * 3600 * MICROSECONDS
"""So long the secret before signs besides."""

log = get_logger()

_REFUSALS = {
    Redelivery.PENDING: "{} is pending: it is delivered anyway.",
    Redelivery.REMOVED: "{} cannot be delivered again: its webhook was removed.",
    Redelivery.DISABLED: "{} cannot be delivered again: its webhook is disabled; enable it first.",
}


class WebhookManager:
    """Webhooks and their deliveries."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._allowed = settings.callable_hosts
        self._key = ServerKey(settings)
        self._sender = Sender(store, self._server_key, self._allowed, Retrying(settings.webhook_retry_delay))
        self._outbox = Outbox(store, self._sender.wake)
        self._task: asyncio.Task[None] | None = None

    # --- life

    def start(self) -> None:
        """Begin to deliver, in the background."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._make_key(), name="webhooks-key")
            self._outbox.start()
            self._sender.start()

    async def stop(self) -> None:
        """Deliver nothing more; what is under way gets a moment. What is pending is delivered by the next start."""
        task, self._task = self._task, None
        await self._outbox.stop()
        await self._sender.stop()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def _make_key(self) -> None:
        """At the start already: whoever receives callbacks needs it before the first one."""
        try:
            await self._server_key()
        except DataDirError as error:
            log.warning("callbacks of jobs cannot be signed yet", reason=str(error))

    async def _server_key(self) -> str:
        return await asyncio.to_thread(self._key.read)

    # --- webhooks

    async def create(
        self, url: str, *, on: Sequence[str], wanted: WebhookFilter, secret: str | None, enabled: bool
    ) -> Webhook:
        """Make a standing webhook, with a secret of its own. Raises InvalidRequest, Conflict."""
        self._check(url, secret)
        change = CreateWebhook(url, tuple(on), wanted, secret or new_secret(), enabled, now_us(), MOST_WEBHOOKS)
        [made] = await self._store.apply([change])
        if made is None:
            raise Conflict(f"There are {MOST_WEBHOOKS} webhooks already, and no more are possible; remove one first.")
        log.info("webhook created", webhook=webhook_id(made), on=",".join(on))
        return await self.webhook(made)

    async def change(
        self,
        webhook: int,
        *,
        url: str | None = None,
        on: Sequence[str] | None = None,
        wanted: WebhookFilter | None = None,
        secret: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Give it other values; None leaves as it was. Raises NotFound, InvalidRequest, Conflict."""
        known = await self.webhook(webhook)
        self._check(url, secret)
        if known.job is not None:
            _refuse_of_callback(known, on, wanted, secret)
        at = now_us()
        words = None if on is None else tuple(on)
        until = None if secret is None else at + ROTATION_US
        change = ChangeWebhook(webhook, at, url, words, wanted, secret, until, enabled)
        [there] = await self._store.apply([change])
        if not there:
            raise NotFound("webhook", webhook_id(webhook))
        self._sender.wake()
        log.info("webhook changed", webhook=webhook_id(webhook), enabled=enabled)
        return await self.webhook(webhook)

    def _check(self, url: str | None, secret: str | None) -> None:
        troubles = {
            "/url": None if url is None else url_trouble(url, self._allowed),
            "/secret": None if secret is None else secret_trouble(secret),
        }
        if problems := [FieldProblem(field, trouble) for field, trouble in troubles.items() if trouble]:
            raise InvalidRequest(problems)

    async def remove(self, webhook: int) -> None:
        """Remove it, and drop what is pending for it. Raises NotFound."""
        [there] = await self._store.apply([RemoveWebhook(webhook, now_us())])
        if not there:
            raise NotFound("webhook", webhook_id(webhook))
        log.info("webhook removed", webhook=webhook_id(webhook))

    async def test(self, webhook: int) -> Delivery:
        """Send a message that tells of nothing, by the way of all others. Raises NotFound, Conflict."""
        at, name = now_us(), webhook_id(webhook)
        [made] = await self._store.apply([SendTest(webhook, TEST, trial_body(name, at), at)])
        if made is None:
            await self.webhook(webhook)
            raise Conflict(f"{name} is disabled; enable it first.")
        self._sender.wake()
        return await self.delivery(made)

    async def redeliver(self, delivery: int) -> Delivery:
        """Deliver once more what was delivered, failed or dropped, as the same message. Raises NotFound, Conflict."""
        [outcome] = await self._store.apply([Redeliver(delivery, now_us())])
        if outcome is not Redelivery.DONE:
            await self.delivery(delivery)
            raise Conflict(_REFUSALS[outcome].format(delivery_id(delivery)))
        self._sender.wake()
        log.info("delivery asked for again", delivery=delivery_id(delivery))
        return await self.delivery(delivery)

    # --- looking

    async def webhook(self, webhook: int) -> Webhook:
        """One webhook. Raises NotFound."""
        found = await self._store.webhooks.webhook(webhook)
        if found is None:
            raise NotFound("webhook", webhook_id(webhook))
        return found

    async def delivery(self, delivery: int) -> Delivery:
        """One delivery. Raises NotFound."""
        found = await self._store.webhooks.delivery(delivery)
        if found is None:
            raise NotFound("delivery", delivery_id(delivery))
        return found


def webhook_id(webhook: int) -> str:
    """What clients call it."""
    return f"webhook-{webhook}"


def delivery_id(delivery: int) -> str:
    """What clients call it."""
    return f"delivery-{delivery}"


def _refuse_of_callback(webhook: Webhook, *given: object) -> None:
    if any(value is not None for value in given):
        raise Conflict(
            f"{webhook_id(webhook.id)} is the callback of a job: of one only url and enabled can be changed; make a webhook for the rest."
        )
