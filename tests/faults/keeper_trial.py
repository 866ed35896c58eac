"""Trying keepers: servers that can be killed, keepers that can be killed."""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobmgr.process.launcher import Begun, Ended, Found, Held, Launch, Vanished
from tests.launching import ENVIRONMENT, Trial, is_running, present
from tests.waiting import eventually

if sys.platform != "linux":
    pytest.skip("a keeper needs Linux", allow_module_level=True)

assert sys.platform == "linux"

from jobmgr.process.keepers import KeeperLauncher

ROOT = Path(__file__).parents[2]


class Server:
    """The program of `keeper_server.py` and what it has said."""

    def __init__(self, keepers: Path, launches: str) -> None:
        server = [sys.executable, "-m", "tests.faults.keeper_server", str(keepers), launches]
        command = [sys.executable, "-m", "tests.faults.init", *server]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    async def heard(self, kind: str, run: str = "") -> dict[str, Any]:
        """What it said of this kind about this run."""
        return await present(
            lambda: next((line for line in self.said if (line["kind"], line["run"]) == (kind, run)), None)
        )

    def launch(self, launches: Sequence[Launch]) -> None:
        """Launch more."""
        assert self.process.stdin is not None
        self.process.stdin.write(describe(launches) + "\n")
        self.process.stdin.flush()

    async def kill(self) -> None:
        """Kill -9."""
        pid = (await self.heard("Keeper"))["server"]
        if not self._reader.is_alive():
            return
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not self._reader.is_alive() and not is_running(pid))

    async def forget(self) -> None:
        """Kill it and let its init end."""
        await self.kill()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))


def describe(launches: Sequence[Launch]) -> str:
    """Launches as the server's command line has them."""
    return json.dumps([dataclasses.asdict(launch) for launch in launches])


class KeeperTrial(Trial):
    """A trial of keeper launchers."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.servers: list[Server] = []
        self.found: dict[str, Found] = {}

    async def take_over(self) -> KeeperLauncher:
        """A server in this process that recovers what earlier ones left; `found` is its answer."""
        launcher = await self.start_server()
        self.found = await launcher.recover()
        return launcher

    async def start_server(self, *, crash_at: str = "") -> KeeperLauncher:
        """A launcher in this process; a later one takes the earlier one's place."""
        launcher = KeeperLauncher(self.keepers, environment=ENVIRONMENT, on_reports=self.on_reports, crash_at=crash_at)
        await self.open(launcher)
        return launcher

    @property
    def keeper(self) -> int:
        launcher = self.launcher
        assert isinstance(launcher, KeeperLauncher) and launcher.keeper_pid is not None
        return launcher.keeper_pid

    def kill_keeper(self) -> int:
        """Kill -9 the server's own keeper; gives its pid."""
        pid = self.keeper
        os.kill(pid, signal.SIGKILL)
        return pid

    async def another_keeper(self, former: int) -> int:
        """Wait until the server has a keeper that is not this one."""

        def other() -> int | None:
            launcher = self.launcher
            assert isinstance(launcher, KeeperLauncher)
            return launcher.keeper_pid if launcher.keeper_pid != former else None

        return await present(other)

    def serve(self, launches: Sequence[Launch]) -> Server:
        """A server in a process of its own, to be killed, with these launches."""
        server = Server(self.keepers, describe(launches))
        self.servers.append(server)
        return server


@pytest.fixture(name="trial")
async def keeper_trial(tmp_path: Path) -> AsyncIterator[KeeperTrial]:
    """Whatever was begun is stopped afterwards, all launchers are closed."""
    trial = KeeperTrial(tmp_path)
    yield trial
    for server in trial.servers:
        await server.kill()
    begun = {report.run for report in trial.reports if isinstance(report, Begun)}
    begun |= {run for run, answer in trial.found.items() if isinstance(answer, Held)}
    if begun and not trial.launchers:
        await trial.take_over()
    for run in begun:
        trial.launcher.stop(run, grace_s=0)
    await eventually(lambda: all(trial.find(run, Ended) or trial.find(run, Vanished) for run in begun))
    trial.launcher.ack(
        sorted({report.run for report in trial.reports} | trial.found.keys())
    ) if trial.launchers else None
    for launcher in trial.launchers:
        await launcher.close()
    for server in trial.servers:
        await server.forget()
