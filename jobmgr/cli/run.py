"""What `run` does once its job is submitted: show its output attempt by attempt, pass Ctrl+C on as a stop, end with the job's code.

The job belongs to the server: whatever happens to this process, the job goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobmgr.cli import exits
from jobmgr.cli.logs import follow_task, write
from jobmgr.cli.terminal import is_terminal, say, shown
from jobmgr.client.connection import AWAY_PATIENCE_S
from jobmgr.client.jobs import Client, Row
from jobmgr.client.waiting import wait_finished
from jobmgr.errors import JobmgrError


def run_job(client: Client, job: str, other: Client) -> int:
    """Follow this job to its end; the exit code. `other`: a second client, for the stop that Ctrl+C asks for."""
    client.connection.patience_s = AWAY_PATIENCE_S
    if is_terminal(sys.stderr):
        say(f"{job} submitted")
    try:
        with _stopping(other, job):
            return _to_the_end(client, job)
    except KeyboardInterrupt:
        say(
            f"{job} is left to itself. See it: jobmgr show {job}; its output: jobmgr logs -f {job}; stop it: jobmgr stop {job}"
        )
        return exits.INTERRUPTED
    except OSError:  # Nobody reads what it prints, or there is no room for it.
        say(f"{job} goes on. Its output: jobmgr logs -f {job}")
        raise
    except JobmgrError:
        say(f"{job} goes on as far as one can tell. Look again: jobmgr show {job}")
        raise


def _to_the_end(client: Client, job: str) -> int:
    row = client.job(job).json()
    for task in range(row["numTask"]):
        if row["numTask"] > 1 and is_terminal(sys.stderr):
            say(f"{job}.{task}:")
        for piece in follow_task(client, job, task=task, every_attempt=True, note=say):
            write(piece)
    [ended] = wait_finished(client, [job])
    tell_end(ended)
    return exits.of_job(ended)


def tell_end(row: Row) -> None:
    """Why it did not complete, if it did not; that it did, where a person looks."""
    if row["status"] != "completed":
        say(f"{row['jobId']} {row['status']}: {shown(row.get('error') or row.get('cause') or '')}".rstrip(": "))


@contextmanager
def _stopping(client: Client, job: str) -> Iterator[None]:
    """Within, the first Ctrl+C asks for the job's end; the second one interrupts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield  # In the background of a script, or of nohup's like: Ctrl+C is meant for others.
        return
    asked = False

    def interrupt(_number: int, _frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # Not print: this may have interrupted one.
        os.write(2, f"\njobmgr: stopping {job}; Ctrl+C again leaves it to itself\n".encode())
        # In a thread, so that a server that does not answer cannot hold up a second Ctrl+C.
        threading.Thread(target=_stop, args=(client, job), daemon=True, name="stop").start()

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        # What is left is to exit with the code; an impatient Ctrl+C must not make another one of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(client: Client, job: str) -> None:
    try:
        client.connection.patience_s = AWAY_PATIENCE_S
        client.stop(job)
    except JobmgrError as error:
        say(str(error))
