"""`jobmgr logs`: what a job prints, byte for byte. Nothing is escaped, to a terminal as to a pipe: as with `tail` and `cat`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from jobmgr.cli import options
from jobmgr.cli.groups import Verb

if TYPE_CHECKING:
    from jobmgr.client.jobs import Client, Row

_WAITING = frozenset({"pending", "retried"})


@click.command(
    cls=Verb,
    examples=(
        "jobmgr logs job-7",
        "jobmgr logs -f -n 20 job-7",
        "jobmgr logs job-8.3 --attempt 1",
    ),
)
@options.one_job
@click.option("--follow", "-f", is_flag=True, help="Keep printing until the attempt is over.")
@click.option("--tail", "-n", type=click.IntRange(0, 1_000_000), metavar="N", help="Only the last N lines.")
@click.option("--task", type=click.IntRange(0), metavar="N", help="Which task of a job with many.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Which attempt; default: the newest.")
@click.option("--stderr", is_flag=True, help="Show stderr, of a job submitted with --stderr-separate.")
@options.URL
def logs(
    job: str, *, follow: bool, tail: int | None, task: int | None, attempt: int | None, stderr: bool, url: str | None
) -> None:
    """Show what a job printed.

    The bytes come as they were printed, escape sequences too, as with `cat`. -f ends with the attempt; a job that waits is waited for. A restart
    of the server in between does no harm: no byte is lost, none comes twice.
    """
    from jobmgr.cli.address import connect

    job, dot, number = job.partition(".")
    if dot and task is not None:
        raise click.UsageError(f"the task is given twice: {number} and {task}")
    chosen, client = int(number) if dot else task, connect(url)
    pieces = _followed if follow else _printed
    for piece in pieces(client, job, task=chosen, attempt=attempt, stderr=stderr, tail=tail):
        write(piece)


def write(piece: bytes) -> None:
    """To stdout, as it is and at once."""
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _printed(
    client: Client, job: str, *, task: int | None, attempt: int | None, stderr: bool, tail: int | None
) -> Iterator[bytes]:
    import http.client

    from jobmgr.client.jobs import PIECE_BYTES
    from jobmgr.errors import ConnectionLost

    query = {"task": task, "attempt": attempt, "tail": tail, "stream": "stderr" if stderr else None}
    with client.output(job, query) as answer:
        try:
            while piece := answer.read1(PIECE_BYTES):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost from error


def _followed(
    client: Client, job: str, *, task: int | None, attempt: int | None, stderr: bool, tail: int | None
) -> Iterator[bytes]:
    from jobmgr.client.connection import AWAY_PATIENCE_S

    if task is None:
        # Refused at once where the job has many tasks, in the server's words.
        client.output_start(job, {})
    client.connection.patience_s = AWAY_PATIENCE_S
    yield from follow_task(client, job, task=task or 0, attempt=attempt, stderr=stderr, tail=tail)


def follow_task(
    client: Client,
    job: str,
    *,
    task: int,
    attempt: int | None = None,
    stderr: bool = False,
    tail: int | None = None,
    every_attempt: bool = False,
    note: Callable[[str], None] | None = None,
) -> Iterator[bytes]:
    """What an attempt of a task prints, to its end; the next one where the task waits. `every_attempt`: from the first on, and those after it."""
    from jobmgr.client.following import Following

    current, newest = attempt or 1, None
    if not attempt and not every_attempt:
        newest = _task(client, job, task)
        current = newest["attempt"] + (newest["status"] in _WAITING)
    while current:
        following = Following(client, job, current, task=task, stderr=stderr)
        if tail is not None and (newest is None or current <= newest["attempt"]):
            following.seek_tail(tail)
        yield from following.pieces()
        if not every_attempt or not _goes_on(client, job, task, current):
            return
        if note is not None:
            note(f"{job}{f'.{task}' if task else ''} crashed; attempt {current + 1} follows")
        current += 1


def _goes_on(client: Client, job: str, task: int, attempt: int) -> bool:
    """Whether another attempt follows this one, which is over."""
    from jobmgr.client.jobs import all_rows

    attempts = all_rows(client.attempts(job, task=task))
    return bool(attempts) and (attempts[-1]["attempt"] > attempt or attempts[-1]["status"] == "retried")


def _task(client: Client, job: str, task: int) -> Row:
    """One task. The API lists them; to look through a long list once, when a person asks, is no harm."""
    from jobmgr.errors import Refusal

    with client.tasks(job) as tasks:
        for row in tasks:
            if row["task"] == task:
                return dict(row)
    raise Refusal(404, f"There is no task {job}.{task}.")
