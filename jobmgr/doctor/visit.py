"""All checks in the order of a start: what was set, what it stands on, what it keeps, what runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from jobmgr import environment
from jobmgr.config import Settings, judge
from jobmgr.doctor import database, disk, machine, paths, server, settings
from jobmgr.doctor.finding import Finding, guarded
from jobmgr.errors import DataDirError
from jobmgr.store import examination


def visit(environ: Mapping[str, str] | None = None, *, cwd: Path | None = None) -> Iterator[tuple[str, list[Finding]]]:
    """Groups of findings, each when it is complete. Changes nothing. Raises SettingsError where there is no current directory."""
    found = environment.read(environ, cwd=cwd)
    loaded = judge(found)
    here = loaded.settings
    yield "settings", guarded("settings", partial(settings.check, found, loaded))
    yield "paths", guarded("paths", *paths.checks(here, found.own.get("PATH")))
    yield "machine", guarded("machine", partial(machine.check, here))
    yield "disk", guarded("disk", partial(disk.check, here))
    seen = _examined(here)
    yield "database", guarded("database", partial(database.check, seen))
    newest = seen.newest_us if isinstance(seen, examination.Examination) else None
    yield "clock", guarded("clock", partial(machine.clock, here, newest))
    if sys.platform == "linux":
        from jobmgr.doctor import keepers

        yield "keepers", guarded("keepers", partial(keepers.check, here.data_dir / "keepers", served=_is_served(here)))
    yield "server", guarded("server", partial(server.check, here, found))


def _is_served(here: Settings) -> bool:
    try:
        return server.holder(here.data_dir) is not None
    except OSError:
        return False  # The server's own check says so.


def _examined(here: Settings) -> examination.Examination | DataDirError | None:
    try:
        return examination.examine(here.data_dir, longest_s=database.LOOK_S)
    except DataDirError as error:
        return error
