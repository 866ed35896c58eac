"""The HTTP server: assembles guard, errors and routes, listens, and leaves in order. Holds no job logic.

Handlers are not cancelled when a client leaves: a submission that is being committed goes on. Request bodies are never decompressed. Leaving takes
about a second at most: followers are cut first, then open requests get `SHUTDOWN_TIMEOUT_S`; waiting for jobs is not done here.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from jobmgr.admission import Admission
from jobmgr.api.body import ROOM, Room
from jobmgr.api.followers import Followers
from jobmgr.api.guard import Guard, guard
from jobmgr.api.middleware import add_headers, problems
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.routes import register
from jobmgr.api.socketio import SocketIo
from jobmgr.api.sockets import Sockets
from jobmgr.config import Settings
from jobmgr.errors import SettingsError
from jobmgr.feed import Feed
from jobmgr.manager import JobManager
from jobmgr.output import OutputFiles
from jobmgr.stats.analyzer import StatsAnalyzer
from jobmgr.stats.failures import FailureKinds
from jobmgr.store.base import Store
from jobmgr.watchers import Watchers
from jobmgr.webhooks.manager import WebhookManager

SHUTDOWN_TIMEOUT_S = 1.0
KEEPALIVE_TIMEOUT_S = 75.0
"""So long a connection may be without a whole request, from its beginning on: also half a head holds it no longer."""

LINGERING_TIME_S = 1.0
"""So long a client that sends more than it may is still listened to, so that it can read its refusal."""


RESERVED_FILES = 200
"""Open files that are not for watchers: the database, the keepers, requests."""


def _room(settings: Settings) -> int:
    """How many may watch: as many as the settings say, and as the system has open files for."""
    if sys.platform == "win32":
        return settings.max_watchers
    import resource  # There is none on Windows.

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        settings.max_watchers
        if files == resource.RLIM_INFINITY
        else max(1, min(settings.max_watchers, files - RESERVED_FILES))
    )


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's is worth a place in the log.

    Bytes that are no HTTP are the client's fault, and were answered with 400; that a client left is no news.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionError))


_http_log = logging.getLogger("jobmgr.http")
_http_log.addFilter(_is_ours)


class ApiServer:
    """Serves HTTP from `start` to `stop`."""

    def __init__(
        self, settings: Settings, manager: JobManager, admission: Admission, store: Store, outputs: OutputFiles
    ) -> None:
        self._settings = settings
        self._followers = Followers()
        analyzer = StatsAnalyzer(store, timezone=settings.zone, slots=settings.slots)
        failures = FailureKinds(store)
        self.webhooks = WebhookManager(settings, store)
        """Answers `/webhooks` and `/deliveries`; whoever serves starts it when deliveries may begin, and stops it."""
        self._parts = Parts(
            settings,
            manager,
            admission,
            store,
            outputs,
            analyzer,
            failures,
            self._followers,
            Feed(store),
            Watchers(store),
            Sockets(_room(settings)),
            self.webhooks,
        )
        self._socketio = SocketIo(self._parts.feed, self._parts.watchers, self._parts.sockets)
        self.analyzer = analyzer
        """Answers `GET /stats`; it lives from `start` to `stop`."""
        self._runner: web.AppRunner | None = None
        self.port = settings.port
        """The port that it listens on; after `start` the real one where the setting is 0."""

    @property
    def address(self) -> str:
        """Where clients reach it, as the beginning of every address."""
        host = self._settings.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises SettingsError where the address cannot be had."""
        await self._parts.feed.start()
        self._parts.watchers.start()
        runner = web.AppRunner(
            self.application(),
            access_log=None,
            handle_signals=False,
            handler_cancellation=False,
            auto_decompress=False,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            lingering_time=LINGERING_TIME_S,
            logger=_http_log,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.host, self._settings.port, reuse_address=True).start()
        except OSError as error:
            await runner.cleanup()
            raise SettingsError([self._cannot_listen(error)]) from error
        self._runner = runner
        self.port = runner.addresses[0][1]
        await self._parts.analyzer.start()
        self._parts.store.subscribe(self._followers.publish)

    async def stop(self) -> None:
        """Stop listening, cut followers, let open requests end for a moment. Safe to repeat, and before `start`."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self._parts.watchers.stop()
        await self._parts.analyzer.close()
        self._followers.close()

    def application(self) -> web.Application:
        """The application, not yet listening. The first middleware is the outermost."""
        rules = Guard(
            host=self._settings.host,
            allowed_hosts=self._settings.allowed_hosts,
            allowed_origins=self._settings.allowed_origins,
        )
        app = web.Application(middlewares=[problems, guard(rules)])
        app[PARTS] = self._parts
        app[ROOM] = Room(self._settings.max_body_bytes)
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._cut)
        register(app)
        self._socketio.attach(app)
        return app

    async def _cut(self, _app: web.Application) -> None:
        self._followers.cut()
        self._parts.feed.stop()
        await asyncio.gather(self._parts.sockets.close(), self._socketio.close())

    def _cannot_listen(self, error: OSError) -> str:
        place = f"{self._settings.host}:{self._settings.port}"
        if error.errno == errno.EADDRINUSE:
            return f"PORT: {place} is in use by another program; stop that one or set another PORT"
        return f"JOBMGR_HOST, PORT: cannot listen on {place}: {error.strerror or error}"
