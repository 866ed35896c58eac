"""Completion for bash, zsh and fish: the script, and what completes job ids, statuses and type names from the server.

The server is asked with a short timeout; where there is none, nothing is offered and nothing is said, because a person is in the middle of typing.
"""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, CompletionItem

ANSWER_S = 0.5
OFFERED = 50
STATUSES = (
    "pending", "running", "paused", "retried", "completed", "crashed", "failed", "stopped", "lost", "active", "finished",
)  # fmt: skip
"""`failed` finds crashed ones too."""

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_JOBMGR_COMPLETE"


class _Bash(BashComplete):
    """click's own, but for the program: a path is handed over as it was typed, with its escapes and quotes, which are undone without eval."""

    source_template = r"""
%(complete_func)s() {
    local IFS=$'\n'
    local program response completion type value
    read program <<< "$1"
    program=${program//[\"\']/}
    program=${program/#\~\//"$HOME"/}

    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$program" 2>/dev/null)

    for completion in $response; do
        IFS=',' read type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=($value)
        fi
    done

    return 0
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""


def complete_jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest jobs, with name and status beside."""
    rows = _ask(ctx, _newest)
    items = [(str(row["jobId"]), f"{row['jobName']} ({row['status']})") for row in rows]
    return [CompletionItem(job, help=_plain(text)) for job, text in items if job.startswith(incomplete)]


def complete_statuses(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The words of statuses; several are separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{word}") for word in STATUSES if word.startswith(last)]


def complete_types(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of job types."""
    rows = _ask(ctx, lambda client: client.types().json())
    names = [str(row["name"]) for row in rows if "name" in row]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def script(shell: str, commands: click.Command) -> str:
    """What the shell is to read, for these commands."""
    from click.shell_completion import get_completion_class

    kind = _Bash if shell == "bash" else get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}; there is for {', '.join(SHELLS)}")
    return kind(commands, {}, "jobmgr", _VARIABLE).source()


def _newest(client: object) -> list[dict[str, object]]:
    from jobmgr.client.jobs import Client, first_rows

    assert isinstance(client, Client)
    return first_rows(client.jobs({"sort": "-createdAt", "limit": OFFERED}), OFFERED)


def _ask(ctx: click.Context, question: object) -> list[dict[str, object]]:
    from jobmgr.cli.address import connect_hurried
    from jobmgr.errors import JobmgrError

    assert callable(question)
    try:
        answer = question(connect_hurried(ctx.params.get("url"), timeout_s=ANSWER_S))
        return [row for row in answer if isinstance(row, dict)]
    except (JobmgrError, OSError, TypeError, KeyError, AttributeError):
        return []


def _plain(text: str) -> str:
    from jobmgr.cli.terminal import cut, shown

    return cut(shown(text))
