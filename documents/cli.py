"""docs/cli.md: every command with its usage, options and examples, and the exit codes, drawn from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from jobmgr.cli import exits
from jobmgr.cli.groups import Verb
from jobmgr.cli.main import commands

_HEAD = """# The command line

`jobmgr` is a client of the [API](api.md): what it can do, a program can do with HTTP. From a checkout it is `./scripts/jobmgr`; an installed package
has it on the path. Only `serve`, `doctor`, `analyze` and `stop --all --offline` work without a server.

```console
$ jobmgr run checksum.sh /etc/passwd      # submit, follow, end with its exit code
$ jobmgr submit --name nightly backup.sh  # submit and return
job-7 running
$ jobmgr show 7                           # how it went, and why; an id goes without its job- too
$ jobmgr logs -f 7                        # what it prints
$ jobmgr stop 7
```

**Where the server is.** `--url`, else `JOBMGR_URL`, else `JOBMGR_HOST` and `PORT` from the environment or `.env`, as the server reads them; else
`http://127.0.0.1:3000`.

**Output.** The result is on stdout, everything else on stderr. On a terminal there are colours (not with `NO_COLOR`), and times are relative; to a
pipe it is plain aligned text. `--json` prints what the API answered: an object, an array for lists (streamed, of any length), one object a line
where several jobs are named. `--quiet` prints ids only. Control characters in names and messages are shown escaped; `logs` and `run` pass on what
a job printed byte for byte, as `cat` does.

**Live.** Where stderr is a terminal, `run` and `wait` draw how far jobs are, below what is printed meanwhile and never into it: of a job with many
tasks how many have ended, of one with a single task what it reports. `jobmgr events` tells what happens, a line each, and `jobmgr top` shows what
runs, waits and has just ended. All of them are told by the server ([`GET /events`](api.md)) and do not ask again and again.

**When the server goes away.** A submission carries an `Idempotency-Key`, so it is safely sent again when the connection breaks. `run`, `wait`,
`logs -f`, `events` and `top` wait up to five minutes for a server that restarts, and go on at the byte, or after the event, where they were.

**Completion.** [`jobmgr completion`](#jobmgr-completion-options-bashzshfish) gives the line for your shell. Job ids and job types
are completed by asking the server, for half a second at most.

"""


def page() -> str:
    """The whole page."""
    context = commands.make_context("jobmgr", ["help"])
    return "".join([_HEAD, _exit_codes(), *_sections(context)])


def _exit_codes() -> str:
    own = "".join(_row(f"`{code}`", meaning) for code, meaning in exits.COMMANDS.items())
    jobs = "".join(_row(code, meaning) for code, meaning in exits.JOBS.items())
    return f"""## Exit codes

| code | all commands but `run` and `wait` |
|---|---|
{own}
`run` and `wait` end as the job did. Of several jobs `wait` takes the first that did not complete; of a job with many tasks it is the first task that
failed.

| code | `run` and `wait` |
|---|---|
{jobs}"""


def _sections(context: click.Context) -> Iterator[str]:
    for title, names in commands.sections.items():
        yield f"\n## {title}\n"
        for name in names:
            command = commands.commands[name]
            with click.Context(command, info_name=name, parent=context) as inner:
                yield from _command(command, inner)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n### `{context.command_path} {usage}`\n\n"
    yield f"{cleandoc(command.help or '')}\n"
    if isinstance(command, Verb):
        yield "\n```sh\n" + "\n".join(command.examples) + "\n```\n"
    if command.name != _AS_SUBMIT:
        yield from _options(command, context)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    options = [param for param in command.params if isinstance(param, click.Option)]
    common = [f"`--{option.name}`".replace("as_", "") for option in options if option.name in _COMMON]
    own = [option.get_help_record(context) for option in options if option.name not in _COMMON]
    rows = [(names, _RANGE.sub("", text)) for names, text in filter(None, own)]
    if rows:
        yield "\n| option | meaning |\n|---|---|\n"
        yield from (_row(f"`{names}`", text) for names, text in rows)
    if common:
        yield f"\n{'Also' if rows else 'Options:'} {', '.join(common)}.\n"


_AS_SUBMIT = "run"
"""Its help says that its options are those of submit."""

_COMMON = {"quiet", "as_json", "url"}
"""Explained once, at the head of the page."""

_RANGE = re.compile(r" +\[[^]]*<=?[^]]*\]|  \[x>=\d+\]")


def _row(first: str, second: str) -> str:
    cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in (first, second)]
    return f"| {cells[0]} | {cells[1]} |\n"
