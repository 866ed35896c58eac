"""`jobmgr submit` and `jobmgr run`."""

from __future__ import annotations

import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import click

from jobmgr.cli import options
from jobmgr.cli.groups import Verb
from jobmgr.cli.submission import payload, submission_options
from jobmgr.cli.terminal import say

if TYPE_CHECKING:
    from jobmgr.client.connection import Reply
    from jobmgr.client.jobs import Client

# The first word that is no option ends jobmgr's own: what follows belongs to the job.
_WORDS_BELONG_TO_THE_JOB = {"allow_interspersed_args": False}


@click.command(
    context_settings=_WORDS_BELONG_TO_THE_JOB,
    cls=Verb,
    examples=(
        "jobmgr submit checksum.sh /etc/passwd",
        "jobmgr submit --name nightly --timeout 1h backup.sh --full",
        "jobmgr submit --type extract -p archive=/data/a.zip",
        "jobmgr submit --command -- ffmpeg -i in.mp4 out.mkv",
        "ls *.mp4 | jobmgr submit --tasks-from - encode.sh",
    ),
)
@submission_options
@options.QUIET
@options.JSON
@options.URL
def submit(url: str | None, as_json: bool, quiet: bool, **given: Any) -> None:
    """Submit a job and return at once.

    SCRIPT is one of the server's scripts; ARGS are its arguments, options of its own included. Options of jobmgr stand before SCRIPT.
    """
    from jobmgr.cli.address import connect

    client = connect(url)
    reply = submitted(client, given)
    if as_json:
        options.print_json(reply.body)
        return
    answer = reply.json()
    for row in answer if isinstance(answer, list) else [answer]:
        print(row["jobId"] if quiet else f"{row['jobId']} {row['status']}")


@click.command(
    context_settings=_WORDS_BELONG_TO_THE_JOB,
    cls=Verb,
    examples=(
        "jobmgr run checksum.sh /etc/passwd",
        "jobmgr run --no-retry --timeout 10m tests.sh && echo passed",
    ),
)
@submission_options
@options.URL
def run(url: str | None, **given: Any) -> None:
    """Submit a job, show its output, exit with its code.

    Ctrl+C stops the job and waits for its end; a second Ctrl+C leaves it to itself. A restart of the server in between does no harm. The output of
    a job with many tasks is shown task by task. Options as for `submit`.
    """
    from jobmgr.cli.address import connect
    from jobmgr.cli.run import run_job

    client = connect(url)
    answer = submitted(client, given, many=False).json()
    sys.exit(run_job(client, answer["jobId"], connect(url)))


def submitted(client: Client, given: dict[str, Any], *, many: bool = True) -> Reply:
    """Submit what was typed; the reply. `many`: it may be a list."""
    from secrets import token_hex

    from jobmgr.errors import ConnectionLost

    _note_options_of_the_script(given)
    body = payload(given, types=lambda: client.types().json())
    if isinstance(body, list) and not many:
        raise click.UsageError("run is for one job; submit a list with `jobmgr submit`, then `jobmgr wait`")
    key = given["key"] or f"cli-{token_hex(16)}"
    if not (key.isascii() and key.isprintable()):
        raise click.UsageError("--key takes printable ASCII characters only")
    try:
        return client.submit(body, key)
    except (ConnectionLost, KeyboardInterrupt):
        say(f"It may have been submitted. To be sure, the same again with --key {key}: that cannot submit it twice.")
        raise


def _note_options_of_the_script(given: dict[str, Any]) -> None:
    """Tell a person who wrote an option of ours too late; a script may mean one of the same name, so it is no error."""
    if given["command"] or given["default"] or not sys.stderr.isatty():
        return
    ctx = click.get_current_context()
    ours = {name for param in ctx.command.get_params(ctx) for name in param.opts if name.startswith("--")}
    for word in takewhile(lambda word: word != "--", given["words"][1:]):
        option = word.partition("=")[0]
        if option in ours:
            say(f"note: {option} stands after the script, so it goes to the script; jobmgr's options stand before it")
