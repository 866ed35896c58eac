"""What the handlers work with."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from jobmgr.admission import Admission
from jobmgr.api.followers import Followers
from jobmgr.api.sockets import Sockets
from jobmgr.config import Settings
from jobmgr.feed import Feed
from jobmgr.manager import JobManager
from jobmgr.output import OutputFiles
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.stats.failures import FailureKinds
from jobmgr.store.base import Store
from jobmgr.watchers import Watchers
from jobmgr.webhooks.manager import WebhookManager


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a handler may use."""

    settings: Settings
    manager: JobManager
    admission: Admission
    store: Store
    outputs: OutputFiles
    analyzer: StatsAnalyzer
    failures: FailureKinds
    followers: Followers
    feed: Feed
    watchers: Watchers
    sockets: Sockets
    webhooks: WebhookManager


PARTS = web.AppKey("parts", Parts)
