"""`jobmgr top`: what runs, waits and has just ended, on one screen that follows the feed.

What happens is heard in a thread of its own. News of how far a job is go straight to the screen; where a status changed, the lists it concerns are
read again, a few short ones however many jobs there are, at most four times a second and for a third of the time at most. Times go on by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobmgr.cli import options, terminal
from jobmgr.cli.groups import Verb

if TYPE_CHECKING:
    from jobmgr.cli.top_state import State
    from jobmgr.client.jobs import Client

ONCE_WIDTH = 100
ONCE_ROWS = 20


@click.command(
    cls=Verb,
    examples=(
        "jobmgr top",
        "jobmgr top --once",
        "jobmgr top --json | jq .counts",
    ),
)
@click.option("--once", is_flag=True, help="Print one screen and end, as where there is no terminal.")
@options.JSON
@options.URL
def top(*, once: bool, as_json: bool, url: str | None) -> None:
    """Watch what runs, waits and has ended.

    The screen follows what happens; Ctrl+C ends it. With --json one object is printed: how many jobs are in which status, and the jobs shown.
    """
    from jobmgr.cli.address import connect
    from jobmgr.cli.top_state import State

    client, state = connect(url), State()
    if as_json or once or not terminal.is_terminal():
        state.read(client, rows=ONCE_ROWS)
        if as_json:
            options.print_json(options.compact(state.as_json()))
        else:
            _print_once(state, client.connection.url)
        return
    _live(client, state)


def _print_once(state: State, url: str) -> None:
    from rich.console import Console

    from jobmgr.cli.top_screen import screen

    console = Console(highlight=False) if terminal.is_terminal() else Console(highlight=False, width=ONCE_WIDTH)
    with console.capture() as captured:
        console.print(screen(state, url, width=console.width, height=None))
    for line in captured.get().splitlines():
        print(line.rstrip())


def _live(client: Client, state: State) -> None:
    """Until Ctrl+C. What goes wrong is raised, and said once the screen is as it was."""
    from rich.console import Console
    from rich.live import Live

    from jobmgr.cli.top_loop import Loop
    from jobmgr.cli.top_screen import rows_for, screen

    console, url = Console(highlight=False), client.connection.url
    state.read(client, rows=rows_for(console.height))
    loop = Loop(client, state)
    with Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live:
        loop.start()
        while True:
            live.update(
                screen(state, url, width=console.width, height=console.height, trouble=loop.trouble), refresh=True
            )
            loop.wait(rows=rows_for(console.height))
