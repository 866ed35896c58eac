"""Room on the disk: what is free, what would be refused for the lack of it, and what of ours takes it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from jobmgr.config import MIB, Settings
from jobmgr.doctor.finding import Finding, ok, problem, warning
from jobmgr.doctor.paths import existing

SCARCE = 4
"""Below so many times the floor the person should know."""
SCARCE_INODES = 0.02
LOOK_S = 3.0
"""How long the files of a directory are counted: there may be millions."""


def check(settings: Settings) -> Iterator[Finding]:
    """The disk of the data, and what lies there."""
    there = existing(settings.data_dir)
    yield _room(there, settings.disk_floor_bytes)
    yield from _inodes(there)
    folders = [settings.data_dir / "output", settings.data_dir / "keepers"]
    taken = [f"{path.name} {_taken(path)}" for path in folders if os.access(path, os.R_OK | os.X_OK)]
    yield ok(
        "taken",
        ", ".join(taken) or "nothing yet",
        "output and history stay until their jobs are deleted: jobmgr delete",
    )


def _room(there: Path, floor: int) -> Finding:
    free = shutil.disk_usage(there).free
    found = f"{size(free)} free for {there}; the floor is {size(floor)}"
    remedy = "make room: delete old jobs (jobmgr delete), or set JOBMGR_DATA_DIR to a larger disk"
    if free < floor:
        return problem("disk", found, "new jobs are refused with 507; running ones go on", remedy)
    if free < SCARCE * floor:
        return warning("disk", found, "below the floor new jobs are refused with 507", remedy)
    return ok("disk", found, "new jobs are taken; below JOBMGR_DISK_FLOOR_BYTES they would get 507")


def _inodes(there: Path) -> Iterator[Finding]:
    if sys.platform == "win32":
        return
    disk = os.statvfs(there)
    if disk.f_files:  # Some file systems do not count them.
        found = f"{disk.f_favail} of {disk.f_files} free"
        if disk.f_favail < SCARCE_INODES * disk.f_files:
            yield warning(
                "inodes",
                found,
                "each job makes files; without inodes none can start",
                "delete old jobs or other small files",
            )
        else:
            yield ok("inodes", found, "files can be made")


def _taken(directory: Path) -> str:
    total, files, deadline = 0, 0, time.monotonic() + LOOK_S
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue  # Gone meanwhile.
            total, files = total + getattr(status, "st_blocks", status.st_size // 512) * 512, files + 1
        if time.monotonic() > deadline:
            return f"more than {size(total)} in {files} files (not counted to the end)"
    return f"{size(total)} in {files} files"


def size(number: int) -> str:
    """Bytes as a person reads them."""
    if number < MIB:
        return f"{number / 1024:.0f} KiB"
    return f"{number / MIB:.0f} MiB" if number < 10 * 1024 * MIB else f"{number / 1024 / MIB:.1f} GiB"
