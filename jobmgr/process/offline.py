"""Stopping everything without a server: ask living keepers, and stop by identity what dead ones left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from jobmgr.errors import LauncherError
from jobmgr.process import keeper_link, keeper_start, orphans, portable_tree

assert sys.platform == "linux"

ANSWER_S = 5.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that was asked to end."""

    run: str
    pid: int | None
    """Of its leader; None where nobody knows."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The leader's own, read before it was stopped; empty where that was not possible."""


async def stop_all_offline(directory: Path) -> list[Stopped]:
    """Stop every run of every keeper below this directory and wait until all are gone; returns what was running.

    Ends stay in the journals, so the next server still learns the true codes. Raises LauncherError where a keeper does not answer, after
    everything else was stopped.
    """
    left = orphans.Orphans(lambda _: None)
    stopped: list[Stopped] = []
    silent: list[str] = []
    directories = await asyncio.to_thread(_directories, directory)
    answers = await asyncio.gather(*(_stop_one(path, left) for path in directories), return_exceptions=True)
    for path, answer in zip(directories, answers, strict=True):
        if isinstance(answer, BaseException):
            silent.append(f"{path.name} ({type(answer).__name__})")
        else:
            stopped.extend(answer)
    while left.held():  # noqa: ASYNC110  What ends them is the kernel, and it sets no events.
        await asyncio.sleep(_LOOK_S)
    left.close()
    if silent:
        raise LauncherError(f"{len(stopped)} runs were stopped, but a keeper does not answer: {', '.join(silent)}.")
    return stopped


async def _stop_one(directory: Path, left: orphans.Orphans) -> list[Stopped]:
    try:
        lock = keeper_start.lock(directory)
    except BlockingIOError:
        return await _stop_living(directory)
    except FileNotFoundError:
        return []
    found = left.adopt(directory, lock)
    running = await _look({run: getattr(what, "pid", None) for run, what in found.items() if run in left.held()})
    for stopped in running:
        left.stop(stopped.run, "stop", None, None)
    return running


async def _stop_living(directory: Path) -> list[Stopped]:
    link = keeper_link.KeeperLink(directory, on_reports=lambda _: None, on_lost=lambda: None)
    running: list[Stopped] = []
    try:
        if not await link.connect(controller=False, timeout_s=ANSWER_S):
            return []
        running = await _look(await _running(link))
        for stopped in running:
            link.send({"op": "stop", "run": stopped.run, "because": "stop", "grace": None, "signal": None})
        while await _running(link):  # noqa: ASYNC110  A keeper tells only its controller; we ask.
            await asyncio.sleep(_LOOK_S)
    except ConnectionError:
        pass  # It left: nothing runs there any more.
    finally:
        await link.close()
    return running


async def _running(link: keeper_link.KeeperLink) -> dict[str, int | None]:
    """Its runs, and the pid of each."""
    return {
        record["run"]: record.get("pid")
        for record in await link.list_runs(timeout_s=ANSWER_S)
        if not record.keys() & {"end", "failed", "unbegun"}
    }


async def _look(running: Mapping[str, int | None]) -> list[Stopped]:
    return await asyncio.to_thread(lambda: [Stopped(run, pid, _environment(run, pid)) for run, pid in running.items()])


def _environment(run: str, pid: int | None) -> Mapping[str, str]:
    try:
        environment = psutil.Process(pid).environ() if pid else {}
    except (psutil.Error, OSError):
        return {}
    return environment if environment.get(portable_tree.MARK) == run else {}  # Else it is another's by now.


def _directories(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
