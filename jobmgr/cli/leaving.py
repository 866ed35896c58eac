"""How a server leaves: what JOBMGR_SHUTDOWN says about the jobs that run, a second signal that cuts it short, and what the person is told.

A signal counts from the first moment on: one that comes while the server still takes up what ran before cuts that, too; recovery writes nothing
that the next start could not go on from. Only jobs that can outlive the server are ever left running; the others are stopped before it goes.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from jobmgr.config import Settings
from jobmgr.log import get_logger
from jobmgr.manager import JobManager

OFFLINE = "jobmgr stop --all --offline"

log = get_logger()


class Leaving:
    """Watches for the signals that end the server, and sees to its jobs then. Make it on the event loop, before `start`."""

    def __init__(self, settings: Settings, manager: JobManager) -> None:
        self._settings = settings
        self._manager = manager
        self._signals = _signals()
        self._cut = False
        """Recovery did not come through."""
        self._stopping = False
        """The jobs that still run were asked to end."""

    async def start(self) -> bool:
        """Start the manager; False when a signal came first. Raises what the start raises."""
        starting = asyncio.create_task(self._manager.start(), name="recovery")
        asked = asyncio.create_task(self._signals.get(), name="first signal")
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            asked.cancel()
            await starting
            return True
        # Without a keeper there is no proof that a claim that was cut had begun nothing, and nothing to wait for either.
        self._cut = self._manager.survives and starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return False

    async def asked(self) -> None:
        """Wait for the signal to leave."""
        await self._signals.get()

    async def leave(self) -> None:
        """See to the running jobs as JOBMGR_SHUTDOWN says; a second signal cuts the waiting short."""
        self._manager.quiesce()
        if self._cut or not self._running:
            return
        policy = self._settings.shutdown
        if policy == "wait":
            await self._wait()
        if self._running and (policy == "stop" or not self._manager.survives):
            await self._stop()

    def tell(self) -> None:
        """Say what is left, once the manager is closed."""
        jobs = self._running
        names = listed(jobs)
        if self._cut:
            say(f"left before all was taken up that ran before. It runs on, and the next start takes it up; {_TO_STOP}")
        elif jobs and self._stopping:
            say(f"did not wait for the end of {names}: being stopped. The next start learns how that went.")
        elif jobs:
            say(f"left running: {names}. The next start takes them up; {_TO_STOP}")
        stopping = len(jobs) if self._stopping else 0
        log.info("server stopped", detached=len(jobs) - stopping, stopping=stopping, recovered=not self._cut)

    @property
    def _running(self) -> tuple[str, ...]:
        return self._manager.running_jobs

    async def _wait(self) -> None:
        then = "leaves them running" if self._manager.survives else "stops them"
        timeout_s = self._settings.shutdown_timeout
        say(f"waiting up to {timeout_s:g} s for {listed(self._running)}; Ctrl+C again {then}")
        await self._unless_asked_again(self._manager.wait_idle(timeout_s))

    async def _stop(self) -> None:
        jobs = listed(self._running)
        survives = self._manager.survives
        then = "Ctrl+C again does not wait for their end" if survives else "each has as long as its stopTimeout says"
        say(f"stopping {jobs}; {then}")
        # Not to be cut: what is said of them afterwards is that they were asked to end.
        await self._manager.stop_running()
        self._stopping = True
        ended = self._manager.wait_idle()
        await (self._unless_asked_again(ended) if survives else ended)

    async def _unless_asked_again(self, work: Coroutine[Any, Any, object]) -> None:
        doing = asyncio.create_task(work, name="leave")
        again = asyncio.create_task(self._signals.get(), name="second signal")
        await asyncio.wait({doing, again}, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        doing.cancel()
        with suppress(asyncio.CancelledError):
            await doing


_TO_STOP = f"to stop without a server:\n  {OFFLINE}"


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"jobmgr: {text}", file=sys.stderr, flush=True)


def listed(jobs: tuple[str, ...]) -> str:
    """The first few of them, and how many more."""
    return ", ".join(jobs[:10]) + (f" and {len(jobs) - 10} more" if len(jobs) > 10 else "")


def _signals() -> asyncio.Queue[int]:
    """The signals that end the server, as they come."""
    arrived: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, arrived.put_nowait, number)
        except NotImplementedError:  # Windows
            signal.signal(number, partial(_wake, loop, arrived))
    return arrived


def _wake(loop: asyncio.AbstractEventLoop, arrived: asyncio.Queue[int], number: int, _frame: object) -> None:
    loop.call_soon_threadsafe(arrived.put_nowait, number)
