"""The clients that follow something: woken by committed events, cut off when the server leaves.

A follower registers the job it waits for and an event to be set whenever something about that job was committed. On shutdown the connection of
each is cut instead of ended, so that a client can tell "the server left" from "that was all". Lives on the event loop; keeps nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiohttp import web

from jobmgr.api.middleware import cut
from jobmgr.events import Event
from jobmgr.output.watch import FileWatcher


class Followers:
    """Who follows which job."""

    def __init__(self) -> None:
        self.watcher = FileWatcher()
        self._waiting: dict[int, list[asyncio.Event]] = {}
        self._requests: dict[int, web.BaseRequest] = {}
        """By identity: a request cannot be a key."""

    @property
    def count(self) -> int:
        """How many clients follow something now."""
        return len(self._requests)

    def publish(self, events: Sequence[Event]) -> None:
        """Wake the followers of the jobs of these events; what `Store.subscribe` calls."""
        for event in events:
            for news in self._waiting.get(event.job, ()):
                news.set()

    @contextmanager
    def follow(self, request: web.BaseRequest, job: int) -> Iterator[asyncio.Event]:
        """While inside, the given event is set at each news of the job, and the request is cut when the server leaves."""
        news = asyncio.Event()
        self._waiting.setdefault(job, []).append(news)
        try:
            with self.attend(request):
                yield news
        finally:
            self._waiting[job].remove(news)
            if not self._waiting[job]:
                del self._waiting[job]

    @contextmanager
    def attend(self, request: web.BaseRequest) -> Iterator[None]:
        """While inside, the request is cut when the server leaves."""
        self._requests[id(request)] = request
        try:
            yield
        finally:
            del self._requests[id(request)]

    def cut(self) -> None:
        """End all following: each connection is aborted, which its handler sees at once."""
        for request in list(self._requests.values()):
            cut(request)
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()

    def close(self) -> None:
        """Let go of the file watcher. Safe to repeat."""
        self.watcher.close()


def is_gone(request: web.BaseRequest) -> bool:
    """Whether the client of this request has left."""
    return request.transport is None or request.transport.is_closing()
