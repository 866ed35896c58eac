"""`jobmgr stats` and `jobmgr types`: what the server says about all jobs, and what it can run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.groups import Verb

if TYPE_CHECKING:
    from jobmgr.client.connection import Reply


_OF_FAILURES = ("since", "until", "name")
"""What narrows a question to the kinds of failure too."""


@click.command(
    cls=Verb,
    examples=(
        "jobmgr stats",
        "jobmgr stats --since 7d --target slow",
        "jobmgr stats nightly-backup",
        "jobmgr stats --failures --since 1d",
        "jobmgr stats --json | jq -r '.patterns[0].sentence'",
    ),
)
@click.argument("only", required=False, metavar="[NAME]")
@click.option("--failures", is_flag=True, help="Show what failed attempts said last, grouped.")
@options.question(options.MOMENT)
@options.JSON
@options.URL
def stats(*, only: str | None, failures: bool, as_json: bool, url: str | None, **asked: Any) -> None:
    """Show what goes with success and failure.

    With NAME: all that is known of the jobs of this name. Percentages come with how sure they are; docs/statistics.md says what the words mean.
    """
    from jobmgr.cli.address import connect

    client, given = connect(url), {name: value for name, value in asked.items() if value is not None}
    reply: Reply
    if only is not None:
        options.refuse({**given, "failures": failures}, "with a NAME")
        reply, lines = client.stats_of_name(only), _name_lines
    elif failures:
        options.refuse({**given, **dict.fromkeys(_OF_FAILURES)}, "with --failures")
        reply, lines = client.failures(given), _failure_lines
    else:
        reply, lines = client.stats({_parameter_name(name): value for name, value in given.items()}), _stats_lines
    if as_json:
        options.print_json(reply.body)
        return
    for line in lines(reply.json()):
        print(line)


def _parameter_name(option: str) -> str:
    """As the API writes it: max_patterns is maxPatterns."""
    first, *more = option.split("_")
    return first + "".join(map(str.capitalize, more))


# The reports are imported when one is printed: each command should be quick to start.


def _stats_lines(answer: Any) -> Iterator[str]:
    from jobmgr.cli.stats_report import stats_lines

    return stats_lines(answer)


def _name_lines(answer: Any) -> Iterator[str]:
    from jobmgr.cli.name_report import name_lines

    return name_lines(answer)


def _failure_lines(answer: Any) -> Iterator[str]:
    from jobmgr.cli.failure_report import failure_lines

    return failure_lines(answer)


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
