"""The command `jobmgr`: its verbs. Each imports what it needs when it is called, so that `--help` answers at once."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

from jobmgr import __version__
from jobmgr.cli import analyze, completion, events, exits, export, listing, logs, show, stats, submit, top, verbs, wait
from jobmgr.cli.groups import OutputClosed, Sections, Verb
from jobmgr.errors import ConnectionLost, JobmgrError, NoServer, SettingsError

EPILOG = """\b
Where the server is: --url, else JOBMGR_URL, else JOBMGR_HOST and PORT (environment or .env), else http://127.0.0.1:3000.
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no server; run and wait end with the job's own code.
Help on one command: jobmgr COMMAND --help. Completion: jobmgr completion bash|zsh|fish."""

_OF_A_JOB = frozenset({"run", "wait"})
"""Their exit codes are the job's; a failure of jobmgr itself must not be taken for one."""


def _for_every_command(_ctx: click.Context, _param: click.Parameter, url: str | None) -> None:
    """Before the command reads its own --url, which outranks this."""
    if url is not None:
        from jobmgr.environment import assume_url

        assume_url(url)


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
    no_args_is_help=True,
)
@click.option(
    "--url",
    metavar="URL",
    expose_value=False,
    callback=_for_every_command,
    help="The server's address; may also stand after the command.",
)
@click.version_option(__version__, prog_name="jobmgr")
def commands() -> None:
    """Run native jobs, lose none, and learn what makes them fail."""


@click.command(
    cls=Verb,
    examples=("PORT=3001 jobmgr serve",),
)
def serve() -> None:
    """Start the server in the foreground; Ctrl+C ends it.

    Its settings come from the environment and .env; .env.example lists them.
    """
    from jobmgr.cli.serve import run

    sys.exit(run())


@click.command(
    name="completion",
    cls=Verb,
    examples=(
        'eval "$(jobmgr completion bash)"            # in ~/.bashrc',
        'eval "$(jobmgr completion zsh)"             # in ~/.zshrc, after compinit',
        "jobmgr completion fish > ~/.config/fish/completions/jobmgr.fish",
    ),
)
@click.argument("shell", type=click.Choice(completion.SHELLS))
def print_completion(shell: str) -> None:
    """Print the completion script of a shell."""
    click.echo(completion.script(shell, commands))


@click.command(
    name="help",
    cls=Verb,
    examples=("jobmgr help run",),
)
@click.argument("command", required=False)
@click.pass_context
def print_help(ctx: click.Context, command: str | None) -> None:
    """Show help on a command."""
    root = ctx.find_root()
    if command is None:
        click.echo(commands.get_help(root))
        return
    name, found, _ = commands.resolve_command(root, [command])
    assert found is not None  # resolve_command raises where there is none.
    with click.Context(found, info_name=name, parent=root) as inner:
        click.echo(found.get_help(inner))


@click.command(cls=Verb, examples=("jobmgr doctor",))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check settings, machine, database and server.

    Looks at paths, rights, disk, kernel, keepers and clock too, says of each finding what it means, and changes nothing. Exit code 1 when there
    is a problem.
    """
    from jobmgr.cli.doctor import doctor

    sys.exit(doctor(as_json=as_json))


commands.add_sections(
    {
        "Run jobs": (submit.submit, submit.run),
        "Look at jobs": (
            listing.list_jobs,
            show.show,
            logs.logs,
            listing.tasks,
            listing.attempts,
            wait.wait,
            events.events,
            top.top,
        ),
        "Change jobs": (verbs.stop, verbs.restart, verbs.delete),
        "All jobs together": (stats.stats, analyze.analyze, export.export, stats.types),
        "The server and this command": (serve, doctor, print_completion, print_help),
    }
)


def main() -> None:
    """Run the command and exit; what goes wrong is one line a problem on stderr. The codes: `exits`."""
    try:
        _on_interrupt(signal.SIG_DFL, signal.default_int_handler)
        _run()
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    finally:
        # From here on it would only show where the interpreter stands on its way out.
        _on_interrupt(signal.default_int_handler, signal.SIG_DFL)


def _on_interrupt(before: Any, now: Any) -> None:
    """Ctrl+C does this from now on; where it is ignored, or handled by a command, it stays so."""
    if signal.getsignal(signal.SIGINT) == before:
        signal.signal(signal.SIGINT, now)


def _run() -> None:
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name may hold what this terminal cannot show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        commands.main(prog_name="jobmgr", standalone_mode=False)
        sys.stdout.flush()
    except (OutputClosed, BrokenPipeError):
        _leave(exits.BROKEN_PIPE)  # Whoever read our output has enough.
    except click.Abort:
        sys.exit(exits.INTERRUPTED)  # click has ended the line.
    except (click.ClickException, JobmgrError) as error:
        sys.exit(_own(_told(error)))
    except OSError as error:
        click.echo(f"jobmgr: {_printable(error.filename or 'the output')}: {error.strerror or error}", err=True)
        _leave(_own(exits.REFUSED))
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python wraps one that hits a class in the making.
            sys.exit(exits.INTERRUPTED)
        if _verb() not in _OF_A_JOB:
            raise
        sys.excepthook(*sys.exc_info())
        sys.exit(exits.OWN_FAILURE)


def _told(error: click.ClickException | JobmgrError) -> int:
    """Say what was wrong; the exit code of most commands."""
    if isinstance(error, click.ClickException):
        error.show()
        return exits.USAGE
    if isinstance(error, SettingsError):
        for problem in error.problems:
            click.echo(f"jobmgr: {problem}", err=True)
        return exits.USAGE
    click.echo(f"jobmgr: {_printable(error)}", err=True)
    return exits.NO_SERVER if isinstance(error, NoServer | ConnectionLost) else exits.REFUSED


def _open_closed_streams() -> None:
    """A stream that was closed (`>&-`) goes nowhere, instead of giving its number to the next file or connection."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free number, which is this one.
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for as long as we live


def _own(code: int) -> int:
    """The code of a failure of jobmgr itself."""
    return exits.OWN_FAILURE if _verb() in _OF_A_JOB else code


def _verb() -> str | None:
    """The command that was typed."""
    words = iter(sys.argv[1:])
    for word in words:
        if word == "--url":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def _printable(error: object) -> str:
    from jobmgr.cli.terminal import shown

    return "\n".join(map(shown, str(error).splitlines()))


def _leave(code: int) -> NoReturn:
    """Nothing more can be written, not even by the interpreter on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
