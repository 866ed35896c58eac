"""`jobmgr show`: all about one job on one screen, so that a person learns from it alone why it failed and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.groups import Verb
from jobmgr.cli.listing import ATTEMPT_COLUMNS, ATTEMPT_SPARE, attempt_cells

if TYPE_CHECKING:
    from jobmgr.client.jobs import Client, Row

LAST_LINES = 10
SHOWN_ATTEMPTS = 10
_MAX_OUTPUT_BYTES = 64 * 1024
_LABEL_WIDTH = 10
_SAID_BY_THE_ENDING = frozenset({"exit", "signal"})
_ACTIVE = frozenset({"pending", "running", "paused", "retried"})


@click.command(
    cls=Verb,
    examples=(
        "jobmgr show job-7",
        "jobmgr show job-7 --json | jq .exitCode",
    ),
)
@options.one_job
@options.JSON
@options.URL
def show(*, job: str, as_json: bool, url: str | None) -> None:
    """Show all about one job: how it ended, and why."""
    from jobmgr.cli.address import connect

    client = connect(url)
    reply = client.job(options.without_task(job))
    if as_json:
        options.print_json(reply.body)
        return
    row = reply.json()
    for label, text in _facts(row):
        print(f"{label + ':':<{_LABEL_WIDTH}} {text}" if label else text)
    _print_attempts(client, row)
    if row["status"] not in _ACTIVE | {"completed"}:
        _print_last_lines(client, row)
    print(f"\nnext:      {_next(row)}")


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    yield "", f"{row['jobId']} {terminal.shown(row['jobName'])}"
    yield "status", _status(row)
    if row.get("error"):
        yield "error", terminal.shown(row["error"])
    yield from _what(row)
    if row["numTask"] > 1:
        counts = ", ".join(f"{count:,} {status}" for status, count in row["taskCounts"].items())
        yield "tasks", f"{row['numTask']:,}: {counts}"
    yield from _course(row)
    yield from _times(row)
    if row.get("result") is not None and not _is_plain(row["result"]):
        yield "result", terminal.shown(options.compact(row["result"]).decode())


def _status(row: Row) -> str:
    ending = f"exit code {row['exitCode']}" if row.get("exitCode") is not None else row.get("signal")
    # `exit` and `signal` are said by the code or signal itself.
    cause = None if ending and row.get("cause") in _SAID_BY_THE_ENDING else row.get("cause")
    details = [str(part) for part in (cause, ending) if part]
    if row.get("retries"):
        details.append(f"retried {row['retries']} times" if row["retries"] > 1 else "retried once")
    return str(row["status"]) + (f" ({', '.join(details)})" if details else "")


def _what(row: Row) -> Iterator[tuple[str, str]]:
    yield "runs", terminal.shown(shlex.join([row["script"], *row["args"]]))
    if row.get("type"):
        params = " ".join(f"{name}={value}" for name, value in row.get("params", {}).items())
        yield "type", terminal.shown(f"{row['type']} {params}")
    if row.get("labels"):
        yield "labels", terminal.shown(" ".join(f"{name}={value}" for name, value in row["labels"].items()))


def _course(row: Row) -> Iterator[tuple[str, str]]:
    if row["status"] in _ACTIVE and row.get("progress") is not None:
        yield "progress", f"{row['progress']:g} %"
    if row.get("message"):
        yield "message", terminal.shown(row["message"])
    where = [terminal.shown(row["node"])] if row.get("node") else []
    where += [f"pid {row['pid']}"] if row.get("pid") else []
    if where:
        yield "where", ", ".join(where)


def _times(row: Row) -> Iterator[tuple[str, str]]:
    for label, field in (("submitted", "createdAt"), ("started", "startedAt"), ("finished", "finishedAt")):
        if row.get(field):
            yield label, f"{terminal.when(row[field])} ({terminal.ago(row[field])})"
    spent = terminal.since_start(row)
    if spent is not None:
        yield "duration", terminal.duration(spent) + (" so far" if row["status"] in _ACTIVE else "")
    if row.get("eta"):
        yield "expected", terminal.shown(row["eta"]["sentence"])


def _is_plain(result: Any) -> bool:
    """Whether it is the one that jobmgr makes of a job that reported none."""
    return isinstance(result, dict) and set(result) == {"exitCode", "output"}


def _print_attempts(client: Client, row: Row) -> None:
    from jobmgr.client.jobs import first_rows

    found = first_rows(client.attempts(row["jobId"]), SHOWN_ATTEMPTS + 1)
    if not found:
        return
    print()
    # Each error stands above already, or among the last lines; the whole is in `jobmgr attempts`. A single task needs no column.
    shown = slice(int(row["numTask"] == 1), -1)
    columns = ATTEMPT_COLUMNS[shown]
    rows = [attempt_cells(attempt)[shown] for attempt in found[:SHOWN_ATTEMPTS]]
    terminal.table(columns, rows, status=columns.index("status"), spare=ATTEMPT_SPARE, text=False)
    if len(found) > SHOWN_ATTEMPTS:
        print(f"… more: jobmgr attempts {row['jobId']}")


def _print_last_lines(client: Client, row: Row) -> None:
    """The end of what it printed, of the first task that failed where there are many."""
    task = _failed_task(client, row)
    if task is None:
        return
    from jobmgr.errors import ClientError

    try:
        with client.output(row["jobId"], {"task": task, "tail": LAST_LINES}) as answer:
            text = answer.read(_MAX_OUTPUT_BYTES).decode("utf-8", "replace")
    except (ClientError, OSError):
        return
    if text.strip():
        print(f"\nlast lines{f' of task {task}' if row['numTask'] > 1 else ''}:")
        for line in text.splitlines()[-LAST_LINES:]:
            print(f"  {terminal.shown(line)}")


def _failed_task(client: Client, row: Row) -> int | None:
    if row["numTask"] == 1:
        return 0
    with client.tasks(row["jobId"]) as tasks:
        return next((task["task"] for task in tasks if task["status"] == row["status"]), None)


def _next(row: Row) -> str:
    """What a person may want now."""
    job, many = row["jobId"], row["numTask"] > 1
    logs = f"jobmgr tasks {job} · jobmgr logs {job}.0" if many else f"jobmgr logs {job}"
    if row["status"] in _ACTIVE:
        follow = logs.replace("jobmgr logs", "jobmgr logs -f")
        return f"{follow} · jobmgr wait {job} · jobmgr stop {job}"
    return f"{logs} · jobmgr restart {job} · jobmgr delete {job}"
