"""The server: does one hold the data directory, does one answer where the commands look for it, and is its port to be had."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from jobmgr import environment
from jobmgr.config import Settings
from jobmgr.doctor.finding import Finding, ok, problem, warning
from jobmgr.errors import SettingsError
from jobmgr.store.sqlite_file import LOCK

ANSWER_S = 3.0
_HEAD_BYTES = 4096
_FIRST_FREE_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is at an address. `ready` is None where it is no jobmgr; `what` is a few words for the person."""

    ready: bool | None
    what: str


def holder(data_dir: Path) -> int | None:
    """The pid of the server that holds this data directory; None: nobody does. Raises OSError where that may not be seen.

    Takes no lock itself, which could make a server that starts just now give up.
    """
    lock = data_dir / LOCK
    try:
        text, status = lock.read_text("ascii", "replace").strip(), lock.stat()
    except FileNotFoundError:
        return None
    pid = int(text) if text.isascii() and text.isdigit() else None
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:  # No such system.
        return pid if pid is not None and psutil.pid_exists(pid) else None
    for line in lines:
        fields = line.split()
        if (
            fields[1:2] == ["FLOCK"]
            and fields[5].rpartition(":")[2] == str(status.st_ino)
            and _same(fields, status.st_dev, pid)
        ):
            return int(fields[4])
    return None


def _same(fields: list[str], device: int, pid: int | None) -> bool:
    """The number of a file alone may be that of another disk's; the device is shown differently by some file systems."""
    major, minor, _ = fields[5].split(":")
    if sys.platform == "linux":
        if (int(major, 16), int(minor, 16)) == (os.major(device), os.minor(device)):
            return True
    return int(fields[4]) == pid


def check(settings: Settings, found: environment.Environment) -> Iterator[Finding]:
    """Who holds the data directory, what answers, and whether another could."""
    here = environment.address(settings.host, settings.port)
    try:
        asked = environment.server_url(found)
    except SettingsError:
        asked = here  # Told among the settings, or PORT=0.
    answer = ask(asked) if settings.port or asked != here else None
    try:
        pid = holder(settings.data_dir)
    except OSError as error:
        seen = f"who holds the data directory cannot be seen ({error.strerror}); at {asked} there is {_said(answer)}"
        yield warning("server", seen, "this user may not look into the data directory", "ask as its owner")
        return
    yield _running(pid, asked, answer) if pid else _none_runs(asked, answer)
    if pid is None and settings.port:
        yield _port(settings, answer if asked == here else ask(here))


def ask(url: str) -> Answer | None:
    """What answers at this address; None: nothing listens."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname or "", parts.port, timeout=ANSWER_S)) as connection:
        try:
            connection.request("GET", f"{parts.path}/readyz")
            return _read(connection.getresponse())
        except (ConnectionRefusedError, socket.gaierror):
            return None
        except TimeoutError:
            return Answer(None, f"something that does not answer within {ANSWER_S:g} s")
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a name that is none.
            return Answer(None, f"no HTTP server ({type(error).__name__})")


def jobmgr_at(host: str, port: int) -> str | None:
    """The jobmgr that has this port, in words; None: what is there is something else, or nothing."""
    answer = ask(environment.address(host, port))
    if answer is None or answer.ready is None:
        return None
    pid = _pid(port)
    return "another jobmgr" + (f" (pid {pid})" if pid else "")


def _read(response: http.client.HTTPResponse) -> Answer:
    try:
        said = json.loads(response.read(_HEAD_BYTES))
        ready = said["ready"]
    except (ValueError, TypeError, KeyError):
        return Answer(None, f"another program (HTTP {response.status})")
    return Answer(bool(ready), "jobmgr, ready" if ready else f"jobmgr, {said.get('reason', 'not ready')}")


def _said(answer: Answer | None) -> str:
    return answer.what if answer else "nothing"


def _none_runs(url: str, answer: Answer | None) -> Finding:
    found = f"none holds the data directory; at {url} there is {_said(answer)}"
    if answer and answer.ready is not None:
        means = "the commands of jobmgr ask that server, which keeps its jobs elsewhere"
        return warning("server", found, means, "go to its directory, or set JOBMGR_URL, JOBMGR_DATA_DIR or PORT")
    return ok("server", found, "no server runs here; jobmgr serve starts one")


def _running(pid: int, url: str, answer: Answer | None) -> Finding:
    found = f"pid {pid} holds the data directory; at {url} there is {_said(answer)}"
    if answer and answer.ready:
        return ok("server", found, "jobs are taken")
    if answer and answer.ready is False:
        return warning(
            "server", found, "new jobs are answered with 503 until it is ready", "wait; its log says what it does"
        )
    listens = _listening(pid)
    if url in listens:
        return problem(
            "server", found, "it listens there and does not answer", f"its log says more; kill -9 {pid} loses nothing"
        )
    means = (
        f"the commands of jobmgr do not find it; it listens on {', '.join(listens) or 'an address not seen from here'}"
    )
    return warning("server", found, means, "set JOBMGR_URL, or the PORT and JOBMGR_HOST that it was started with")


def _port(settings: Settings, answer: Answer | None) -> Finding:
    found = f"{settings.host}, port {settings.port}"
    if answer is not None:
        owner = _owner(settings.port)
        means = f"a server started now could not listen there: {owner or answer.what} has it"
        return problem("port", f"{found} is taken", means, "end that program, or set PORT")
    if _is_reserved(settings.port):
        return problem(
            "port", found, "ports so low are for root", "set PORT to 1024 or more, or let systemd pass the right"
        )
    return ok("port", f"{found} is free", "a server can listen there")


def _is_reserved(port: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        first = int(_FIRST_FREE_PORT.read_text())
    except (OSError, ValueError):
        first = 1024
    return port < first and os.geteuid() != 0


def _listening(pid: int) -> list[str]:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    return [
        environment.address(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN
    ]


def _owner(port: int) -> str:
    pid = _pid(port)
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid else ""
    except psutil.Error:
        return f"pid {pid}"


def _pid(port: int) -> int | None:
    """Of the process that listens there; None where this user may not know."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    pids = [
        one.pid
        for one in connections
        if one.pid and one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
    ]
    return pids[0] if pids else None
