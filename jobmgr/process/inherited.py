"""The environment a job starts from: a few names of the server's, never the rest, so no secret of the server reaches a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR")
INHERITED_PREFIX = "LC_"
INHERITED_ON_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "TEMP", "TMP", "WINDIR")
"""Without these most programs do not even start there."""


def base_environment(server: Mapping[str, str], passed: Iterable[str] = (), *, windows: bool = False) -> dict[str, str]:
    """What every job inherits of the server's environment; `passed` are the names in JOBMGR_PASS_ENV. Pure."""
    names = {*INHERITED, *passed, *(INHERITED_ON_WINDOWS if windows else ())}
    return {name: value for name, value in server.items() if name in names or name.startswith(INHERITED_PREFIX)}
