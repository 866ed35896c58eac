"""What jobmgr stands on: Python and its packages, SQLite, what the kernel can do, how much of it this user may have, and the clocks."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from jobmgr.clock import boot_id, boot_us, now_us, rfc3339
from jobmgr.config import Settings
from jobmgr.doctor.finding import Finding, ok, problem, warning
from jobmgr.doctor.paths import existing
from jobmgr.store import examination

PACKAGES = (
    "aiohttp",
    "click",
    "psutil",
    "pydantic",
    "python-dotenv",
    "python-socketio",
    "rich",
    "scipy",
    "structlog",
    "typing-extensions",
)
"""What pyproject.toml asks for."""
OLDEST_PYTHON = (3, 11)
DESCRIPTORS = 256
DESCRIPTORS_A_SLOT = 4
PROCESSES_A_SLOT = 4
"""Room that a server should have; a job that starts others needs more."""


def check(settings: Settings) -> Iterator[Finding]:
    """All that does not change while a server runs."""
    yield _python()
    yield _packages()
    yield _sqlite()
    if sys.platform == "linux":
        from jobmgr.doctor import kernel

        yield kernel.abilities(settings.launcher)
        yield kernel.holes(existing(settings.data_dir))
    else:
        means = "jobs end with the server: there are keepers on Linux only"
        yield warning("kernel", f"{platform.system()} {platform.release()}", means)
    if sys.platform != "win32":
        yield from _limits(settings.slots)
        yield _user()


def clock(settings: Settings, newest_us: int | None) -> Iterator[Finding]:
    """Whether the clocks can be believed. `newest_us` is the wall time of the newest event in the database."""
    now = now_us()
    means = "times in answers are right as far as can be told; durations do not depend on it"
    found = ok("clock", f"{rfc3339(now)}, hours of statistics in {settings.timezone}", means)
    if newest_us is not None and newest_us > now + 60_000_000:
        found = problem(
            "clock",
            f"it is {rfc3339(now)} here, and the newest event in the database is of {rfc3339(newest_us)}",
            "the clock was set back: new jobs would seem older than old ones, and what is to be kept for days goes late",
            "set the clock (an NTP service keeps it right)",
        )
    yield found
    yield ok(
        "boot",
        f"{boot_id()}, up {boot_us() // 3_600_000_000} h",
        "durations, and whether a process is of before a reboot, are known",
    )


def _python() -> Finding:
    found = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return problem("python", found, "too old for jobmgr", "use Python 3.11 or later")
    return ok("python", found, "new enough")


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        means = "the server, or a part of it, does not start"
        return problem("packages", f"missing: {', '.join(missing)}", means, f"pip install {' '.join(missing)}")
    return ok("packages", ", ".join(found), "all that jobmgr needs is there")


def _sqlite() -> Finding:
    version = examination.sqlite_version()
    if not examination.has_wal_reset_bug(version):
        return ok("sqlite", version, "has no known fault that concerns jobmgr")
    return ok(
        "sqlite",
        f"{version}, safe for jobmgr",
        f"jobmgr is not affected by the WAL-reset bug of {version} (mended in 3.51.3), which needs two connections that write and checkpoint "
        "at once: one connection of the only server does both; so write to the database with no other program while it runs",
    )


if sys.platform != "win32":
    import resource

    def _limits(slots: int) -> Iterator[Finding]:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        yield _limit(
            "open files", files, DESCRIPTORS + DESCRIPTORS_A_SLOT * slots, "ulimit -n, LimitNOFILE= of systemd"
        )
        yield _limit("processes", processes, PROCESSES_A_SLOT * slots, "ulimit -u, TasksMax= of systemd")
        yield ok(
            "arguments",
            f"{os.sysconf('SC_ARG_MAX')} bytes",
            "arguments and environment of one job together may have so much",
        )

    def _limit(name: str, limit: int, wanted: int, where: str) -> Finding:
        shown = "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
        if limit not in (resource.RLIM_INFINITY, -1) and limit < wanted:
            means = "with every slot busy some jobs may have to wait until there is room again"
            return warning(
                name,
                f"at most {shown}, {wanted} would be good",
                means,
                f"raise it ({where}) or lower MAX_CONCURRENT_TASKS",
            )
        return ok(name, f"at most {shown}", "enough for every slot")

    def _user() -> Finding:
        if os.geteuid() == 0:
            means = "so is every job: whoever may submit one may do anything on this machine"
            return warning("user", "this is root", means, "run the server as a user of its own")
        return ok("user", f"user {os.geteuid()}", "jobs have the rights of this user, no more")
