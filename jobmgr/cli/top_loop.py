"""What moves the screen of `jobmgr top`: a thread that hears the feed, and the pauses between two pictures."""

from __future__ import annotations

import threading
import time

from jobmgr.cli.top_state import State
from jobmgr.client.events import JOB_UPDATE, Feed
from jobmgr.client.jobs import Client
from jobmgr.errors import ConnectionLost, NoServer, Refusal

LEAST_PAUSE_S = 0.25
"""The picture is drawn no more often than this,"""
TICK_S = 1.0
"""and no less: times go on."""
EXPECT_S = 10.0
"""So often it is read anew when running jobs will end."""
REST = 2.0
"""After reading lists nothing is read for so many times as long as that took."""
_BUSY = 503
AWAY = "the server does not answer; waiting for it"


class Loop:
    """Hears what happens from `state.seq` on, and says when to draw."""

    def __init__(self, client: Client, state: State) -> None:
        self.trouble = ""
        """Why nothing comes, if so."""
        self._client = Client(client.connection.beside())
        self._state = state
        self._feed = Feed(client.connection.beside(on_away=self._away), {"event": JOB_UPDATE}, state.seq)
        self._failure: BaseException | None = None
        self._news = threading.Event()
        self._read_at = 0.0
        self._expect_at = time.monotonic() + EXPECT_S

    def start(self) -> None:
        """Begin to hear."""
        threading.Thread(target=self._hear, name="feed", daemon=True).start()

    def wait(self, *, rows: int) -> None:
        """Until there is something to draw: read what has changed, or the next second. Raises what ended the feed."""
        began = time.monotonic()
        rests = self._state.stale and self._read_at > began
        self._news.wait(min(TICK_S, self._read_at - began) if rests else TICK_S)
        time.sleep(max(0.0, began + LEAST_PAUSE_S - time.monotonic()))
        self._news.clear()
        if self._failure is not None:
            raise self._failure
        now = time.monotonic()
        if now >= self._expect_at:
            self._expect_at = now + EXPECT_S
            self._state.expect_anew()
        if now >= self._read_at:
            self._read(rows)
            took = time.monotonic() - now
            self._read_at = now + took + max(LEAST_PAUSE_S, REST * took)
            if self._state.lacks_pids:
                self._expect_at = min(self._expect_at, now + TICK_S)

    def _read(self, rows: int) -> None:
        try:
            self._state.read(self._client, rows=rows)
        except (NoServer, ConnectionLost):
            pass  # The feed has the same trouble; it waits, and says so.
        except Refusal as refusal:
            if refusal.status != _BUSY:  # One that starts has nothing to tell yet.
                raise

    def _hear(self) -> None:
        try:
            for event in self._feed.events():
                self.trouble = ""
                self._state.hear(event)
                self._news.set()
        except Exception as error:  # noqa: BLE001 - whatever it was, a screen that stands still must say so
            self._failure = error
            self._news.set()

    def _away(self) -> None:
        self.trouble = AWAY
        self._news.set()
