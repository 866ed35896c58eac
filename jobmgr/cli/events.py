"""`jobmgr events`: what happens, one line an event, as it happens; over restarts of the server nothing is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.completion import complete_jobs, complete_statuses, complete_types
from jobmgr.cli.groups import Verb

if TYPE_CHECKING:
    from rich.console import Console

    from jobmgr.client.events import Event

_STATUS_WIDTH = 9
_JOB_WIDTH = 8
_HOW_WIDTH = 8


@click.command(
    cls=Verb,
    examples=(
        "jobmgr events",
        "jobmgr events --status failed,lost",
        "jobmgr events --job job-7 --tasks",
        "jobmgr events --json --after 0 | jq -r .status",
    ),
)
@click.option(
    "--after", type=click.IntRange(0), metavar="SEQ", help="Begin after the event of this number; default: from now on."
)
@click.option(
    "--job",
    "jobs",
    type=options.JOB,
    multiple=True,
    metavar="JOB",
    shell_complete=complete_jobs,
    help="Only of this job; may be repeated.",
)
@click.option(
    "--name", "names", metavar="TEXT", multiple=True, help="Only of jobs with exactly this name; may be repeated."
)
@click.option(
    "--status",
    "-s",
    metavar="STATUS",
    shell_complete=complete_statuses,
    help="Only what tells of this status; several with commas between; also: active, finished.",
)
@click.option(
    "--type",
    "-t",
    "types",
    metavar="TYPE",
    multiple=True,
    shell_complete=complete_types,
    help="Only of jobs of this job type; may be repeated.",
)
@click.option(
    "--label",
    "-l",
    "labels",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Only of jobs with this label; may be repeated, then all must match.",
)
@click.option("--tasks", is_flag=True, help="Show what happens to each task too.")
@click.option("--count", "-n", type=click.IntRange(1), metavar="N", help="End after so many events.")
@options.JSON
@options.URL
def events(*, after: int | None, tasks: bool, count: int | None, as_json: bool, url: str | None, **given: Any) -> None:
    """Show what happens, as it happens.

    One line for each change of a job; Ctrl+C ends it. A restart of the server in between does no harm: nothing is left out. With --json a line is
    the object that the API sends, its number in `seq`.
    """
    from jobmgr.cli.address import connect
    from jobmgr.client.events import Feed

    feed = Feed(connect(url).connection, _query(given, tasks=tasks), after)
    with closing(feed.events()) as arriving:
        tell = _as_json if as_json else _for_terminal() if terminal.is_terminal() else _for_pipe
        for event in islice(_changes(arriving), count):
            tell(event)


def _query(given: Mapping[str, Any], *, tasks: bool) -> dict[str, object]:
    from jobmgr.client.events import JOB_UPDATE, TASK_UPDATE

    query = {
        "event": [JOB_UPDATE, TASK_UPDATE] if tasks else [JOB_UPDATE],
        "job": [options.without_task(job) for job in given["jobs"]],
        "name": list(given["names"]),
        "status": given["status"],
        "type": list(given["types"]),
        "label": [label.replace("=", ":", 1) for label in given["labels"]],
    }
    return {name: value for name, value in query.items() if value}


def _changes(arriving: Iterator[Event]) -> Iterator[Event]:
    """The events without the signs of the feed; what was missed is said."""
    from jobmgr.client.events import HELLO, RESET

    for event in arriving:
        if event.kind == RESET:
            terminal.say(f"what was asked for is no longer kept; going on after event {event.seq}")
        elif event.kind != HELLO:
            yield event


def _as_json(event: Event) -> None:
    options.print_json(options.compact(event.data))


def _for_pipe(event: Event) -> None:
    print("  ".join(cells(event, event.data.get("at", ""))).rstrip(), flush=True)


def _for_terminal() -> Callable[[Event], None]:
    """With the time on the clock of this machine, and the status in its colour."""
    from rich.console import Console

    console = Console(highlight=False)
    return lambda event: _print(console, event)


def _print(console: Console, event: Event) -> None:
    from rich.text import Text

    time = terminal.moment(event.data.get("at"))
    when = "" if time is None else time.astimezone().strftime("%H:%M:%S")
    line = Text()
    style = terminal.STATUS_STYLES.get(str(event.data.get("status")), "")
    for cell, colour in zip(cells(event, when), ("dim", "", style, style, "", ""), strict=True):
        line.append(cell, colour)  # Text, because a name may look like markup.
        line.append("  ")
    line.rstrip()
    console.print(line, soft_wrap=True)


def cells(event: Event, when: str) -> tuple[str, str, str, str, str, str]:
    """Time, job or task, status, progress or ending, name, and what there is to say; the first ones as wide as usual."""
    data = event.data
    return (
        when,
        str(data.get("taskId") or data.get("jobId", "")).ljust(_JOB_WIDTH),
        terminal.shown(data.get("status", "")).ljust(_STATUS_WIDTH),
        terminal.shown(_how(data)).ljust(_HOW_WIDTH),
        terminal.shown(data.get("jobName", "")),
        terminal.shown(_said(data)),
    )


def _how(data: Mapping[str, Any]) -> str:
    """How far it is, or how it ended."""
    if data.get("signal"):
        return str(data["signal"])
    if data.get("exitCode"):
        return f"exit {data['exitCode']}"
    if data.get("duration") is not None and data.get("status") == "completed":
        return terminal.duration(data["duration"])
    if data.get("progress") is not None:
        return f"{data['progress']:g} %"
    return ""


def _said(data: Mapping[str, Any]) -> str:
    """The error, or what it says of itself, or how many of its tasks are where."""
    if data.get("longerThanUsual"):
        return f"runs longer than usual, which is {terminal.duration(data.get('usual'))}"
    if data.get("error"):
        return str(data["error"])
    if data.get("message"):
        return str(data["message"])
    if data.get("attempt", 0) > 1:
        return f"attempt {data['attempt']}"
    return ", ".join(f"{count:,} {status}" for status, count in data.get("tasks", {}).items())
