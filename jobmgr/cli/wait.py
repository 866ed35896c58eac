"""`jobmgr wait`: until jobs have ended, with the exit code of the first that did not complete."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from jobmgr.cli import exits, options
from jobmgr.cli.groups import Verb
from jobmgr.cli.terminal import say

if TYPE_CHECKING:
    from jobmgr.client.jobs import Row


@click.command(
    cls=Verb,
    examples=(
        "jobmgr wait job-7 && echo good",
        "jobmgr wait --any --timeout 5m job-7 job-8",
    ),
)
@options.many_jobs()
@click.option("--any", "first", is_flag=True, help="Wait only until one of them has ended.")
@click.option("--timeout", type=options.DURATION, help=f"Wait at most this long, then exit with {exits.TIME_UP}.")
@options.QUIET
@options.JSON
@options.URL
def wait(
    *, jobs: Sequence[str], first: bool, timeout: float | None, quiet: bool, as_json: bool, url: str | None
) -> None:
    """Wait for jobs to end, exit with the job's code.

    Of several jobs the code is that of the first that did not complete. With --json each job is printed when it has ended.
    """
    from jobmgr.cli.address import connect
    from jobmgr.cli.job_bars import job_bars
    from jobmgr.client.connection import AWAY_PATIENCE_S
    from jobmgr.client.waiting import Watched, wait_finished
    from jobmgr.errors import ConnectionLost, NoServer

    client, code = connect(url), exits.OK
    ids = dict.fromkeys(options.without_task(job) for job in jobs)
    until = math.inf if timeout is None else time.monotonic() + timeout
    client.connection.until = until
    try:
        watched = [Watched(client, job) for job in ids]
        for job in watched:
            job.look()  # One that is not there is said before anything is waited for.
        client.connection.patience_s = AWAY_PATIENCE_S
        with job_bars(of=len(watched)) as bars:
            for row in wait_finished(client, watched, until=until, looked=bars.look):
                _tell(row, quiet=quiet, as_json=as_json)
                code = code or exits.of_job(row)
                if first:
                    break
    except (TimeoutError, NoServer, ConnectionLost):
        if time.monotonic() < until:
            raise
        say(f"not ended within {timeout:g} s")
        code = exits.TIME_UP
    sys.exit(code)


def _tell(row: Row, *, quiet: bool, as_json: bool) -> None:
    from jobmgr.cli.run import tell_end

    if as_json:
        options.print_json(options.compact(row))
    elif quiet:
        print(row["jobId"], flush=True)
    else:
        print(f"{row['jobId']} {row['status']}", flush=True)
        if row["status"] != "completed":
            tell_end(row)
