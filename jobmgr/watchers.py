"""Named watchers: clients that say who they are, so that each gets on its next connection what it has not acknowledged.

Of each name the number of the last event that it acknowledged is kept in the store, at most once a second and for all of them at once: after a
crash of the server some events come twice, none is left out. A name has one connection; a newer one takes the place of the older, which may be
half dead. Names that were not seen for a while are forgotten by `upkeep`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from jobmgr.clock import now_us
from jobmgr.log import get_logger
from jobmgr.store.base import Store
from jobmgr.store.watching import KeepWatchers

PACE_S = 1.0
SEEN_AGAIN_S = 6 * 3600.0
"""So often one that is connected and silent is noted as seen."""

MAX_NAME_CHARS = 200

_log = get_logger()


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of a named watcher. `replaced` is called when a newer one takes its place."""

    name: str
    seq: int
    """What it has acknowledged so far."""
    replaced: Callable[[], None]


class Watchers:
    """The named watchers of one server, from `start` to `stop`; both may be repeated."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connected: dict[str, Connection] = {}
        self._unsaved: dict[str, int] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to store what is acknowledged."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="watchers")

    async def stop(self) -> None:
        """Store what is not stored yet, and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._save()

    async def connect(self, name: str, newest: int, replaced: Callable[[], None]) -> Connection:
        """Take the place of any earlier connection of this name. One that was never seen begins at `newest`, and is known from now on."""
        known = self._unsaved.get(name)
        if known is None:
            known = await self._store.watcher(name)
        earlier = self._connected.pop(name, None)
        if earlier is not None:
            known = earlier.seq
            earlier.replaced()
        connection = self._connected[name] = Connection(name, newest if known is None else known, replaced)
        if known is None:
            await self._introduce(connection)
        return connection

    async def _introduce(self, connection: Connection) -> None:
        """Store a new name before it is told anything: what comes after a crash of this moment is above its number."""
        try:
            await self._store.apply([KeepWatchers(((connection.name, connection.seq),), now_us())])
        except BaseException:  # It is refused: nobody who comes later may take it for a connection.
            if self._connected.get(connection.name) is connection:
                del self._connected[connection.name]
            raise

    def acknowledge(self, connection: Connection, seq: int) -> None:
        """It has everything up to this number. Smaller than what is known: no news."""
        if seq > connection.seq:
            self.move(connection, seq)

    def move(self, connection: Connection, seq: int) -> None:
        """Its place is this one, be it an earlier one: it asked for it, or what it had is no number of this feed."""
        connection.seq = seq
        if self._connected.get(connection.name) is connection:
            self._note(connection)

    def disconnect(self, connection: Connection) -> None:
        """It is gone; its name is kept."""
        if self._connected.get(connection.name) is connection:
            del self._connected[connection.name]
            self._note(connection)

    def _note(self, connection: Connection) -> None:
        self._unsaved[connection.name] = connection.seq
        self._news.set()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SEEN_AGAIN_S):
                    await self._news.wait()
            self._news.clear()
            if not self._unsaved:
                self._unsaved = {name: connection.seq for name, connection in self._connected.items()}
            await self._save()
            await asyncio.sleep(PACE_S)

    async def _save(self) -> None:
        rows, self._unsaved = self._unsaved, {}
        if not rows:
            return
        try:
            await self._store.apply([KeepWatchers(tuple(rows.items()), now_us())])
        except Exception as error:  # noqa: BLE001 - a full disk, a busy store; whatever it was, the next time will do
            _log.warning("what watchers acknowledged is not stored yet", reason=str(error))
            self._unsaved = rows | self._unsaved
            self._news.set()
