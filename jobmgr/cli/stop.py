"""`jobmgr stop --all --offline`: stop what the keepers of this data directory hold, when there is no server to ask."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping

import click

from jobmgr.config import load
from jobmgr.errors import LauncherError


def stop_offline() -> int:
    """Stop every run of every keeper and print each; the next server learns how they ended."""
    if sys.platform == "linux":
        from jobmgr.process.offline import stop_all_offline

        stopped = asyncio.run(stop_all_offline(load().settings.data_dir / "keepers"))
        for one in stopped:
            click.echo(f"stopped {_named(one.run, one.environment)}, pid {one.pid or 'unknown'}")
        click.echo(f"{len(stopped)} stopped" if stopped else "nothing was running")
        return 0
    raise LauncherError("Without a server there is nothing to stop here: jobs end with it.")


def _named(run: str, environment: Mapping[str, str]) -> str:
    """Its task and the name of its job, as the job itself was told; else the run, which is in the log."""
    names = [environment.get(f"JOBMGR_{word}") for word in ("JOB_ID", "TASK_INDEX", "JOB_NAME")]
    job, task, name = names
    return f"{job}.{task} {json.dumps(name)}" if None not in names else f"run {run}"
