"""The command `jobmgr`: its verbs. Each imports what it needs when it is called, so that `--help` answers at once."""

from __future__ import annotations

import sys

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
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool) -> None:
    """Look at settings, paths, machine, disk, database, keepers and server; change nothing. Exit code 1 when there is a problem."""
    from jobmgr.cli.doctor import doctor

    sys.exit(doctor(as_json=as_json))


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
