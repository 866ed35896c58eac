"""The command `jobmgr`: its verbs. Each imports what it needs when it is called, so that `--help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jobmgr import __version__
from jobmgr.errors import JobmgrError, SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jobmgr")
def commands() -> None:
    """Run native jobs, lose none, and learn what makes them fail."""


@commands.command()
def serve() -> None:
    """Start the server in the foreground; Ctrl+C ends it."""
    from jobmgr.cli.serve import run

    sys.exit(run())


@commands.command()
@click.option("--all", "everything", is_flag=True, help="Every job that a keeper of this data directory holds.")
@click.option("--offline", is_flag=True, help="Ask the keepers themselves: works when no server runs.")
def stop(everything: bool, offline: bool) -> None:
    """Stop jobs. Without a server: jobmgr stop --all --offline."""
    if not (everything and offline):
        raise click.UsageError("only `jobmgr stop --all --offline` exists yet; with a server use POST /jobs/ID/stop")
    from jobmgr.cli.stop import stop_offline

    sys.exit(stop_offline())


@commands.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file, which gets its name when it is whole.")
@click.option("--since", metavar="TIME", help="Only jobs submitted then or later (RFC 3339: 2026-11-22T08:00:00Z).")
@click.option("--until", metavar="TIME", help="Only jobs submitted before.")
@click.option("--name", help="Only jobs of exactly this name.")
def export(output: Path | None, since: str | None, until: str | None, name: str | None) -> None:
    """Print the history as JSON lines, one attempt a line: jobmgr export > jobs.jsonl."""
    from jobmgr.cli.export import export_history

    sys.exit(export_history(output, {"since": since, "until": until, "name": name}))


def main() -> None:
    """Run the command; what goes wrong is one line a problem on stderr, with exit code 2 for settings and 1 for the rest."""
    try:
        commands(prog_name="jobmgr")
    except SettingsError as error:
        for problem in error.problems:
            click.echo(f"jobmgr: {problem}", err=True)
        sys.exit(2)
    except JobmgrError as error:
        click.echo(f"jobmgr: {error}", err=True)
        sys.exit(1)
