"""`jobmgr stats` and `jobmgr types`: what the server says about all jobs, and what it can run."""

from __future__ import annotations

import shutil
from typing import Any

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.groups import Verb


@click.command(
    cls=Verb,
    examples=(
        "jobmgr stats",
        "jobmgr stats --json | jq '.patterns[0]'",
    ),
)
@options.JSON
@options.URL
def stats(*, as_json: bool, url: str | None) -> None:
    """Show what goes with success and failure."""
    from jobmgr.cli.address import connect

    reply = connect(url).stats()
    if as_json:
        options.print_json(reply.body)
        return
    said = reply.json()
    print(f"jobs:          {said['totalJobs']:,}")
    if not said["patterns"]:  # There is at least one as soon as there is an outcome.
        print("success rate:  –")
        print("\nNothing to compare yet: patterns are shown when jobs have completed or crashed.")
        return
    print(f"success rate:  {_percent(said['overallSuccessRate'])}\n")
    rows = [
        [f"{row['matchCount']:,}", _percent(row["successRate"]), terminal.shown(row["differenceFromAverage"]), terminal.shown(row["pattern"])]
        for row in said["patterns"]
    ]  # fmt: skip
    terminal.table(("tasks", "success", "difference", "pattern"), rows, spare=("tasks", "difference"))


def _percent(rate: float) -> str:
    return f"{rate * 100:.0f} %"


@click.command(
    cls=Verb,
    examples=("jobmgr types",),
)
@options.JSON
@options.URL
def types(*, as_json: bool, url: str | None) -> None:
    """List the job types and their parameters."""
    from jobmgr.cli.address import connect

    reply = connect(url).types()
    if as_json:
        options.print_json(reply.body)
        return
    rows = [[terminal.shown(row["name"]), _parameters(row), terminal.shown(_described(row))] for row in reply.json()]
    if not rows:
        print("no job types: they are defined in jobs.toml of the server")
    elif terminal.is_terminal():
        print("\n\n".join(_block(*row) for row in rows))
    else:
        terminal.table(("type", "parameters", "description"), rows)


def _block(name: str, parameters: str, description: str) -> str:
    """One type for a person: its parameters are often too many for a column."""
    width = shutil.get_terminal_size().columns
    below = [click.wrap_text(text, width, "  ", "  ") for text in (description, parameters) if text]
    return "\n".join([name, *below])


def _described(row: dict[str, Any]) -> str:
    text = row.get("description") or ""
    return text if row.get("available", True) else f"(its script is missing) {text}"


def _parameters(row: dict[str, Any]) -> str:
    """`archive=<path> [level=6]`: what is optional stands in brackets."""
    given = row.get("params") or []
    params = [{"name": name, **one} for name, one in given.items()] if isinstance(given, dict) else given
    return terminal.shown(" ".join(map(_parameter, params)))


def _parameter(param: dict[str, Any]) -> str:
    default = param.get("default")
    text = f"{param['name']}={default if default is not None else '<' + str(param.get('type', 'text')) + '>'}"
    return text if param.get("required", default is None) else f"[{text}]"
