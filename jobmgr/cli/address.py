"""Where the server is: `--url`, else JOBMGR_URL, else JOBMGR_HOST and PORT, from the environment or `.env`, by the rules of the server."""

from __future__ import annotations

import time

from jobmgr import environment
from jobmgr.cli.terminal import say
from jobmgr.client.connection import Connection
from jobmgr.client.jobs import Client


def server_url(given: str | None = None) -> str:
    """The address. Raises SettingsError where it is none."""
    if given:
        here = environment.read({"JOBMGR_URL": given})
        return environment.server_url(here)
    return environment.server_url(environment.read())


def connect(url: str | None) -> Client:
    """A client of the server; nothing is sent yet. Where it waits for a server that is away, the person is told so."""
    address = server_url(url)
    return Client(
        Connection(address, on_away=lambda: say(f"{address} does not answer; waiting for it, Ctrl+C gives up"))
    )


def connect_hurried(url: str | None, *, timeout_s: float) -> Client:
    """A client that waits for nothing, and says nothing: somebody is in the middle of typing."""
    connection = Connection(server_url(url))
    connection.until = time.monotonic() + timeout_s
    return Client(connection)


def own_variable(name: str) -> str | None:
    """A variable of the person's environment; None where it is not set."""
    return environment.read().own.get(name)
