"""Where the server is: `--url`, else JOBMGR_URL, else JOBMGR_HOST and PORT, from the environment or `.env`, by the rules of the server."""

from __future__ import annotations

from jobmgr import environment
from jobmgr.client.connection import ANSWER_S, Connection
from jobmgr.client.jobs import Client


def server_url(given: str | None = None) -> str:
    """The address. Raises SettingsError where it is none."""
    if given:
        here = environment.read({"JOBMGR_URL": given})
        return environment.server_url(here)
    return environment.server_url(environment.read())


def connect(url: str | None, *, timeout_s: float = ANSWER_S) -> Client:
    """A client of the server; nothing is sent yet."""
    return Client(Connection(server_url(url), timeout_s=timeout_s))


def own_variable(name: str) -> str | None:
    """A variable of the person's environment; None where it is not set."""
    return environment.read().own.get(name)
