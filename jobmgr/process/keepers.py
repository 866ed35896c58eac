"""The launcher whose runs outlive the server: this server's own keeper, and those that earlier servers left behind.

Every run is at home in exactly one place: a living keeper (`KeeperClient`), or here, where its keeper died (`Orphans`). This module only knows
which, starts keepers, and notices their deaths: a lost connection and a free lock. A dead keeper of our own is replaced at once, more slowly
if it dies again and again; launches that come meanwhile wait. Assumes one event loop; Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jobmgr.errors import LauncherError
from jobmgr.process import keeper_client, keeper_start, kernel, orphans, wire
from jobmgr.process.launcher import Because, Begun, Found, Held, Launch, OnReports, Report, Unbegun

assert sys.platform == "linux"

STEADY_S = 10.0
"""A keeper that lived so long did not die of its start."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_LEAVE_S = 1.0
_STDERR_SHOWN = 2000


class KeeperLauncher:
    """Meets `launcher.Launcher` with keepers below `directory`. `crash_at` ("point:n") lets its first keeper die there: for tests only."""

    survives = True

    def __init__(
        self, directory: Path, *, environment: Mapping[str, str], on_reports: OnReports, crash_at: str = ""
    ) -> None:
        self._directory = directory.resolve()
        self._environment = dict(environment)
        self._on_reports = on_reports
        self._crash_at = crash_at
        self._own: keeper_client.KeeperClient | None = None
        self._started: keeper_start.Started | None = None
        self._started_at = 0.0
        self._pause = 0.0
        self._clients: dict[str, keeper_client.KeeperClient] = {}
        """By the name of their directory, our own included."""
        self._orphans = orphans.Orphans(self._report)
        self._homes: dict[str, keeper_client.KeeperClient] = {}
        self._stops: dict[str, tuple[Because, float | None, int | None]] = {}
        self._frozen: set[str] = set()
        """What was asked of runs that have not ended: asked again where a keeper that died or hung up may not have heard it."""
        self._waiting: dict[str, Launch] = {}
        """Launches for which there is no keeper just now."""
        self._restart: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def keeper_pid(self) -> int | None:
        """The pid of this server's own keeper; None while there is none."""
        return self._started.pid if self._started is not None else None

    async def open(self) -> None:
        """Start this server's own keeper."""
        kernel.become_subreaper()
        await self._start_keeper()

    async def recover(self) -> dict[str, Found]:
        """Take up what earlier servers left behind."""
        found: dict[str, Found] = {}
        clients = []
        for directory in await asyncio.to_thread(self._left_behind):
            client = self._clients.get(directory.name)
            if client is None:
                if self._adopt_if_dead(directory):
                    continue
                client = self._client(directory)
            clients.append(client)
        for client, answer in zip(clients, await asyncio.gather(*(client.found() for client in clients)), strict=True):
            if self._clients.get(client.directory.name) is client:
                self._homes.update(dict.fromkeys(answer, client))
            found.update(answer)
        # Last, because a keeper may have died meanwhile: what it held is held here then, and known by nobody else.
        return {**self._orphans.found(), **found}

    def launch(self, launches: Sequence[Launch]) -> None:
        """Ask for these runs; while there is no keeper they wait for the next one."""
        if self._closed:
            self._report([Unbegun(launch.run, "The server is leaving.") for launch in launches])
        elif self._own is None:
            self._waiting.update((launch.run, launch) for launch in launches)
        else:
            self._own.start(launches)
            self._homes.update((launch.run, self._own) for launch in launches)

    def stop(
        self, run: str, because: Because = "stop", *, grace_s: float | None = None, signal: int | None = None
    ) -> None:
        """Stop the whole tree of a run, wherever it is held."""
        grace = None if grace_s is None else wire.microseconds(grace_s)
        if run in self._homes or run in self._orphans:
            self._stops[run] = (because, grace_s, signal)
        if run in self._homes:
            self._homes[run].command("stop", run, because=because, grace=grace, signal=signal)
        elif run in self._orphans:
            self._orphans.stop(run, because, grace, signal)
        elif self._waiting.pop(run, None) is not None:
            self._report_soon([Unbegun(run, "It was stopped before it began.")])

    def signal(self, run: str, number: int) -> None:
        """Send one signal to the leader of a run."""
        if run in self._homes:
            self._homes[run].command("signal", run, signal=number)
        elif run in self._orphans:
            self._orphans.signal(run, number)

    def pause(self, run: str) -> None:
        """Freeze a run."""
        self._freeze(run, on=True)

    def resume(self, run: str) -> None:
        """Let a frozen run go on."""
        self._freeze(run, on=False)

    def ack(self, runs: Sequence[str]) -> None:
        """The ends of these runs are committed."""
        for run in runs:
            self._stops.pop(run, None)
            self._frozen.discard(run)
            home = self._homes.pop(run, None)
            if home is not None:
                home.ack(run)
            elif run in self._orphans:
                self._orphans.ack(run)

    async def close(self) -> None:
        """Let go: everything that runs goes on; a keeper with nothing to hold leaves."""
        if self._closed:
            return
        self._closed = True
        if self._restart is not None:
            self._restart.cancel()
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        self._orphans.close()
        if self._started is not None:
            os.close(self._started.leash)
            if self._own is not None and not self._own.runs:
                await _reap_soon(self._started.pid)

    # --- keepers

    async def _start_keeper(self) -> None:
        try:
            started = keeper_start.start(self._directory, self._environment, crash_at=self._crash_at)
            self._crash_at = ""  # The first one dies there, those that replace it live.
        except OSError as error:
            raise LauncherError(f"No keeper can be started in {self._directory}: {error}.") from error
        self._started, self._started_at = started, asyncio.get_running_loop().time()
        self._orphans.keepers.add(started.pid)
        client = self._client(started.directory)
        if await client.connect() is None:
            await client.close()
            del self._clients[client.directory.name]
            os.close(started.leash)
            self._started = None
            raise LauncherError(
                f"The keeper in {started.directory} does not answer. {_last_words(started.directory)}".strip()
            )
        self._own = client
        waiting, self._waiting = list(self._waiting.values()), {}
        if waiting:
            self.launch(waiting)

    def _client(self, directory: Path) -> keeper_client.KeeperClient:
        client = keeper_client.KeeperClient(
            directory,
            environment=self._environment,
            on_reports=self._report,
            on_dead=self._on_dead,
            on_reconnect=lambda client: self._ask_again(client.runs),
        )
        self._clients[directory.name] = client
        return client

    def _left_behind(self) -> list[Path]:
        own = self._started.directory.name if self._started is not None else ""
        try:
            return sorted(path for path in self._directory.iterdir() if path.is_dir() and path.name != own)
        except FileNotFoundError:
            return []

    def _adopt_if_dead(self, directory: Path) -> bool:
        if directory in self._orphans.directories():
            return True
        try:
            lock = keeper_start.lock(directory)
        except BlockingIOError:
            return False
        except FileNotFoundError:  # It left meanwhile and took its directory along.
            return True
        except OSError as error:  # Without a look at it, what began there would be taken for never begun.
            raise LauncherError(f"The keeper's directory {directory} cannot be read: {error}.") from error
        self._orphans.adopt(directory, lock)
        return True

    def _on_dead(self, client: keeper_client.KeeperClient, lock: int) -> None:
        """A keeper's lock is free: what it held is held here from now on."""
        self._clients.pop(client.directory.name, None)
        programs = None
        own = self._started is not None and self._started.directory == client.directory
        if own:
            self._bury_own()
            programs = {run: launch.argv[0] for run, launch in client.unanswered.items()}
        for run in client.runs:
            self._homes.pop(run, None)
        found = (
            {}
            if lock < 0
            else self._orphans.adopt(
                client.directory, lock, ours=set(client.runs) if client.knows_all else None, programs=programs
            )
        )
        reports = [report for run in client.unanswered if (report := _answer(run, found.pop(run, None)))]
        self._ask_again([run for run in client.runs if run in self._orphans])
        self._report(reports + [entry for entry in found.values() if not isinstance(entry, Held)])
        if own and not self._closed:
            self._restart = asyncio.get_running_loop().create_task(self._replace_keeper(), name="replace the keeper")

    def _bury_own(self) -> None:
        """Its lock is free, so it is about to be a zombie: only then are its children ours."""
        assert self._started is not None
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._started.pid, 0)
        os.close(self._started.leash)
        self._orphans.keepers.discard(self._started.pid)
        self._started = self._own = None

    async def _replace_keeper(self) -> None:
        steady = asyncio.get_running_loop().time() - self._started_at > STEADY_S
        self._pause = 0.0 if steady else self._pause
        while not self._closed:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2 or _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
            try:
                await self._start_keeper()
                return
            except LauncherError as error:
                waiting, self._waiting = list(self._waiting), {}
                self._report([Unbegun(run, str(error)) for run in waiting])

    def _ask_again(self, runs: Iterable[str]) -> None:
        """Stops and freezes that may have been lost on the way; hearing them twice does no harm."""
        for run in list(runs):
            if run in self._frozen:
                self._freeze(run, on=True)
            if run in self._stops:
                because, grace_s, number = self._stops[run]
                self.stop(run, because, grace_s=grace_s, signal=number)

    # --- reports

    def _report(self, reports: Sequence[Report]) -> None:
        if reports and not self._closed:
            self._on_reports(reports)

    def _report_soon(self, reports: Sequence[Report]) -> None:
        asyncio.get_running_loop().call_soon(self._report, reports)

    def _freeze(self, run: str, *, on: bool) -> None:
        (self._frozen.add if on else self._frozen.discard)(run)
        if run in self._homes:
            self._homes[run].command("pause", run, on=on)
        elif run in self._orphans:
            self._orphans.pause(run, on)


def _answer(run: str, found: Found | None) -> Report | None:
    """What to say to a launch whose keeper died before it answered."""
    if found is None:
        return Unbegun(run, "The keeper died before it began.")
    if not isinstance(found, Held):
        return found
    if found.pid is None or found.start_ticks is None or found.started_at is None:
        return None  # Still searched for: the answer comes when it is found.
    return Begun(run, found.pid, found.start_ticks, found.started_at)


def _last_words(directory: Path) -> str:
    with contextlib.suppress(OSError):
        return (directory / keeper_start.STDERR).read_text(errors="replace")[-_STDERR_SHOWN:].strip()
    return ""


async def _reap_soon(pid: int) -> None:
    """A keeper with nothing to do leaves at once; do not leave it as a zombie."""
    deadline = asyncio.get_running_loop().time() + _LEAVE_S
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:  # noqa: ASYNC222  It does not wait: WNOHANG.
                await asyncio.sleep(0.005)
                continue
        return
