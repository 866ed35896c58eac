"""`jobmgr stop --all --offline`: stop what the keepers of this data directory hold, when there is no server to ask."""

from __future__ import annotations

import asyncio
import sys

import click

from jobmgr.config import load
from jobmgr.errors import LauncherError


def stop_offline() -> int:
    """Stop every run of every keeper and print each; the next server learns how they ended."""
    if sys.platform == "linux":
        from jobmgr.process.offline import stop_all_offline

        stopped = asyncio.run(stop_all_offline(load().settings.data_dir / "keepers"))
        for run in stopped:
            click.echo(f"stopped {run}")
        click.echo(f"{len(stopped)} stopped" if stopped else "nothing was running")
        return 0
    raise LauncherError("Without a server there is nothing to stop here: jobs end with it.")
