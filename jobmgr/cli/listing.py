"""`jobmgr list`, `tasks` and `attempts`: tables, printed as the rows arrive."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.completion import complete_statuses, complete_types
from jobmgr.cli.groups import Verb

if TYPE_CHECKING:
    from jobmgr.client.jobs import Client, Row, Rows

NEWEST = 20
"""So many are shown on a terminal when nobody said how many."""
MAX_LIMIT = 1000
"""The API gives no more in one page."""
NEWEST_FIRST = "-createdAt"
JOB_COLUMNS = ("job", "status", "code", "duration", "submitted", "name")
TASK_COLUMNS = ("task", "status", "attempt", "code", "duration", "error")
ATTEMPT_COLUMNS = ("task", "attempt", "status", "code", "duration", "cpu", "memory", "output", "error")
STATUS_COLUMN = 1
JOB_SPARE = ("duration", "code", "submitted")
TASK_SPARE = ("attempt", "duration", "code")
ATTEMPT_SPARE = ("cpu", "output", "memory", "duration", "code")
"""What a narrow terminal does without, the least important first."""


@click.command(
    name="list",
    cls=Verb,
    examples=(
        "jobmgr list",
        "jobmgr list --status failed --since 1d",
        "jobmgr list --status active --quiet | xargs jobmgr stop",
        "jobmgr list --json | jq -r '.[].jobName'",
    ),
)
@click.option(
    "--status",
    "-s",
    metavar="STATUS",
    shell_complete=complete_statuses,
    help="Only jobs with this status; several with commas between; also: active, finished.",
)
@click.option("--name", metavar="TEXT", help="Only jobs with exactly this name.")
@click.option(
    "--type", "-t", "type_name", metavar="TYPE", shell_complete=complete_types, help="Only jobs of this job type."
)
@click.option(
    "--label",
    "-l",
    "labels",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Only jobs with this label; may be repeated, then all must match.",
)
@click.option("--search", "-Q", "q", metavar="TEXT", help="Only jobs with this text in their name or arguments.")
@click.option(
    "--since",
    metavar="TIME",
    type=options.MOMENT,
    help="Only jobs submitted then or later: 1h (ago), 2d, or 2026-11-22T08:00:00Z.",
)
@click.option("--until", metavar="TIME", type=options.MOMENT, help="Only jobs submitted before.")
@click.option(
    "--sort", metavar="FIELD", help="Sort by createdAt, finishedAt or jobName; -createdAt and so on: the reverse."
)
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(1),
    metavar="N",
    help=f"Show at most N (default on a terminal: the newest {NEWEST}).",
)
@click.option("--all", "-a", "everything", is_flag=True, help="Show all jobs, also on a terminal.")
@options.QUIET
@options.JSON
@options.URL
def list_jobs(
    *, url: str | None, as_json: bool, quiet: bool, limit: int | None, everything: bool, **given: Any
) -> None:
    """List jobs, the newest last.

    On a terminal the newest 20 are shown, to a pipe all of them.
    """  # fmt: skip
    from jobmgr.cli.address import connect

    if everything and limit is not None:
        raise click.UsageError("give --all or --limit, not both")
    plain = not (quiet or as_json)
    by_default = limit is None and not everything and plain and terminal.is_terminal()
    if by_default:
        limit = NEWEST
    turned = limit is not None and given["sort"] is None
    client, query = connect(url), _query(given, limit)
    with client.jobs(query) as rows:
        if as_json:
            _print_array(rows, limit, turned=turned)
            return
        chosen = _chosen(rows, limit, turned=turned)
        if quiet:
            for row in chosen:
                print(row["jobId"])
            return
        shown = terminal.table(JOB_COLUMNS, map(_job_cells, chosen), status=STATUS_COLUMN, spare=JOB_SPARE)
    if not shown:
        filtered = any(value for option, value in given.items() if option != "sort")
        print("no such jobs" if filtered else "no jobs; submit one: jobmgr submit SCRIPT", file=sys.stderr)
    elif by_default:
        _print_rest(shown, rows, "older" if turned else "more")


def _query(given: Mapping[str, Any], limit: int | None) -> dict[str, object]:
    query = {
        "status": given["status"],
        "name": given["name"],
        "type": given["type_name"],
        "label": [label.replace("=", ":", 1) for label in given["labels"]] or None,
        "q": given["q"],
        "since": given["since"],
        "until": given["until"],
        "sort": given["sort"] or (NEWEST_FIRST if limit is not None else None),
        "limit": limit if limit is not None and limit <= MAX_LIMIT else None,
    }
    return {name: value for name, value in query.items() if value is not None}


def _chosen(rows: Rows, limit: int | None, *, turned: bool) -> Iterator[Row]:
    """So many rows; `turned`: they come newest first, and are shown newest last."""
    chosen = islice(iter(rows), limit)
    return reversed(list(chosen)) if turned else chosen


def _print_array(rows: Rows, limit: int | None, *, turned: bool) -> None:
    sys.stdout.flush()
    if limit is None:
        for piece in rows.pieces():
            sys.stdout.buffer.write(piece)
    else:
        chosen = [options.compact(row) for row in _chosen(rows, limit, turned=turned)]
        sys.stdout.buffer.write(b"[" + b",\n".join(chosen) + b"]\n")
    sys.stdout.buffer.flush()


def _job_cells(row: Row) -> list[str]:
    when = terminal.ago(row["createdAt"]) if terminal.is_terminal() else row["createdAt"]
    name = terminal.shown(row["jobName"])
    if row["numTask"] > 1:
        name += f" ({row['taskCounts'].get('completed', 0):,} of {row['numTask']:,} tasks)"
    return [
        row["jobId"], row["status"], terminal.ending(row), terminal.duration(terminal.since_start(row)), when, name
    ]  # fmt: skip


def _print_rest(count: int, rows: Rows, which: str) -> None:
    """How many were left out, and how to see them."""
    if rows.more or (rows.total or 0) > count:
        left = "" if rows.total is None else f"{rows.total - count:,} "
        print(f"… {left}{which}: --all, or --limit N", file=sys.stderr)


@click.command(
    cls=Verb,
    examples=("jobmgr tasks job-8",),
)
@options.one_job
@options.JSON
@options.URL
def tasks(*, job: str, as_json: bool, url: str | None) -> None:
    """List the tasks of a job."""
    from jobmgr.cli.address import connect

    client: Client = connect(url)
    with client.tasks(options.without_task(job)) as rows:
        if as_json:
            _print_array(rows, None, turned=False)
            return
        terminal.table(TASK_COLUMNS, map(_task_cells, rows), status=STATUS_COLUMN, spare=TASK_SPARE)


def _task_cells(row: Row) -> list[str]:
    spent = terminal.duration(terminal.since_start(row))
    error = terminal.shown(row.get("error") or "")
    return [row["taskId"], row["status"], str(row["attempt"]), terminal.ending(row), spent, error]


@click.command(
    cls=Verb,
    examples=(
        "jobmgr attempts job-7",
        "jobmgr attempts job-8.3",
    ),
)
@options.one_job
@options.JSON
@options.URL
def attempts(*, job: str, as_json: bool, url: str | None) -> None:
    """List the attempts of a job or task."""
    from jobmgr.cli.address import connect

    job, _, task = job.partition(".")
    client: Client = connect(url)
    with client.attempts(job, task=int(task) if task else None) as rows:
        if as_json:
            _print_array(rows, None, turned=False)
            return
        status = ATTEMPT_COLUMNS.index("status")
        if not terminal.table(ATTEMPT_COLUMNS, map(attempt_cells, rows), status=status, spare=ATTEMPT_SPARE):
            print("no attempts yet", file=sys.stderr)


def attempt_cells(row: Row) -> list[str]:
    """One attempt under ATTEMPT_COLUMNS."""
    cpu = row.get("cpuSeconds")
    return [
        row["taskId"],
        str(row["attempt"]),
        row["status"],
        terminal.ending(row),
        terminal.duration(terminal.since_start(row)),
        "–" if cpu is None else f"{cpu:.2f} s",
        terminal.size(row.get("peakRssBytes")),
        terminal.size(row.get("outputBytes")),
        terminal.shown(row.get("error") or ""),
    ]
