"""The process tree of a run where no keeper can be: through psutil, on every system, by mark, ancestry and memory. Best effort.

Finds what carries the run's mark, what descends from such a process, and what was found before. A daemon that cleared its environment and
was orphaned between two looks is not found. psutil knows a process by pid and start time, so a recycled pid is never signalled.
"""

from __future__ import annotations

import os
import sys

import psutil

if sys.platform == "linux":
    from jobmgr.process import tree

MARK = "JOBMGR_RUN"


def members(run: str, known: set[psutil.Process]) -> set[psutil.Process]:
    """The living processes of a run, added to `known` as well."""
    table = [process for process in psutil.process_iter() if process.pid not in (0, 1, os.getpid())]
    ours = {process for process in table if process in known or _mark(process) == run}
    by_parent: dict[int, list[psutil.Process]] = {}
    for process in table:
        by_parent.setdefault(_parent(process), []).append(process)
    fresh = list(ours)
    while fresh:
        below = [child for process in fresh for child in by_parent.get(process.pid, ()) if child not in ours]
        ours.update(below)
        fresh = below
    known |= ours
    return {process for process in ours if _is_alive(process)}


def send(process: psutil.Process, number: int) -> None:
    """Signal one process; on Windows everything but a pause means its end."""
    try:
        if sys.platform == "win32":
            process.kill()
        else:
            process.send_signal(number)
    except (psutil.Error, OSError):
        return  # Gone, or not ours to signal.


def suspend(process: psutil.Process, *, on: bool) -> None:
    """Freeze one process, or let it go on."""
    try:
        (process.suspend if on else process.resume)()
    except (psutil.Error, OSError):
        return


def _mark(process: psutil.Process) -> str | None:
    if sys.platform == "linux":
        return tree.mark(process.pid)
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
