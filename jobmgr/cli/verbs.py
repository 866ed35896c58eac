"""`jobmgr stop`, `restart` and `delete`: one verb on one or more jobs. Each is asked for; what is refused is said and the others go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from jobmgr.cli import exits, options
from jobmgr.cli.groups import Verb
from jobmgr.cli.terminal import is_terminal, say

if TYPE_CHECKING:
    from jobmgr.client.connection import Reply
    from jobmgr.client.jobs import Client


@click.command(
    cls=Verb,
    examples=(
        "jobmgr stop job-7 job-8",
        "jobmgr stop --all",
        "jobmgr stop --all --offline",
    ),
)
@options.many_jobs(required=False)
@click.option("--all", "everything", is_flag=True, help="Stop every job that is not finished.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before --all.")
@click.option("--offline", is_flag=True, help="With --all: ask the keepers of this data directory; needs no server.")
@options.QUIET
@options.JSON
@options.URL
def stop(
    *, jobs: Sequence[str], everything: bool, yes: bool, offline: bool, quiet: bool, as_json: bool, url: str | None
) -> None:
    """Stop jobs.

    Asks each to end and returns; after its --stop-timeout it is killed. `jobmgr wait` waits for that.
    """
    if bool(jobs) == everything:
        raise click.UsageError("name the jobs to stop, or give --all")
    if offline:
        if not everything:
            raise click.UsageError("--offline knows no job ids: give --all")
        from jobmgr.cli.stop import stop_offline

        sys.exit(stop_offline())
    from jobmgr.cli.address import connect

    client = connect(url)
    chosen = _active(client) if everything else jobs
    if everything and not yes and chosen:
        _confirm(len(chosen))
    if everything and not chosen:
        say("nothing to stop")
    sys.exit(_each(client.stop, chosen, quiet=quiet, as_json=as_json, until_then="stopping"))


@click.command(
    cls=Verb,
    examples=("jobmgr restart job-7",),
)
@options.many_jobs()
@options.QUIET
@options.JSON
@options.URL
def restart(*, jobs: Sequence[str], quiet: bool, as_json: bool, url: str | None) -> None:
    """Run finished jobs again, as a new round."""
    from jobmgr.cli.address import connect

    sys.exit(_each(connect(url).restart, jobs, quiet=quiet, as_json=as_json))


@click.command(
    cls=Verb,
    examples=(
        "jobmgr delete job-7",
        "jobmgr list --status finished --until 30d --quiet | xargs jobmgr delete",
    ),
)
@options.many_jobs()
@options.QUIET
@options.JSON
@options.URL
def delete(*, jobs: Sequence[str], quiet: bool, as_json: bool, url: str | None) -> None:
    """Delete finished jobs with their output."""
    from jobmgr.cli.address import connect

    sys.exit(_each(connect(url).delete, jobs, quiet=quiet, as_json=as_json))


def _each(
    verb: Callable[[str], Reply], jobs: Iterable[str], *, quiet: bool, as_json: bool, until_then: str | None = None
) -> int:
    """Ask the verb of each job and say what became of it; `until_then`: a word for those that the verb has not finished yet."""
    from jobmgr.errors import Refusal
    from jobmgr.job import FINISHED

    code = exits.OK
    for job in jobs:
        try:
            reply = verb(options.without_task(job))
        except Refusal as refusal:
            say(str(refusal))
            code = exits.REFUSED
            continue
        if as_json:
            options.print_json(reply.body)
        else:
            answer = reply.json()
            pending = until_then is not None and answer["status"] not in FINISHED
            print(
                answer["jobId"] if quiet else f"{answer['jobId']} {until_then if pending else answer['status']}",
                flush=True,
            )
    return code


def _active(client: Client) -> list[str]:
    with client.jobs({"status": "active"}) as rows:
        return [row["jobId"] for row in rows]


def _confirm(count: int) -> None:
    if not is_terminal(sys.stdin):
        raise click.UsageError(f"this would stop {count:,} jobs; add --yes to do it without being asked")
    click.confirm(f"Stop {count:,} jobs?" if count > 1 else "Stop 1 job?", abort=True, err=True)
