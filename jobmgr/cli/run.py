"""What `run` does once its job is submitted: show its output attempt by attempt, pass Ctrl+C on as a stop, end with the job's code.

The job belongs to the server: whatever happens to this process, the job goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jobmgr.cli import exits
from jobmgr.cli.job_bars import Bars, job_bars
from jobmgr.cli.logs import follow_task, write
from jobmgr.cli.terminal import is_terminal, say, shown
from jobmgr.client.connection import AWAY_PATIENCE_S
from jobmgr.client.jobs import Client, Row
from jobmgr.client.waiting import Watched, wait_finished
from jobmgr.errors import JobmgrError, Refusal

_NOT_FOUND = 404


def run_job(client: Client, job: str, other: Client) -> int:
    """Follow this job to its end; the exit code. `other`: a second client, for the stop that Ctrl+C asks for."""
    client.connection.patience_s = AWAY_PATIENCE_S
    if is_terminal(sys.stderr):
        say(f"{job} submitted")
    try:
        with job_bars(receipt=True) as bars, _stopping(other, job, bars.step_aside):
            ended = _to_the_end(client, job, bars)
        tell_end(ended)
        return exits.of_job(ended)
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


def _to_the_end(client: Client, job: str, bars: Bars) -> Row:
    row = client.job(job).json()
    if bars.seen:
        watching = Client(client.connection.beside(patience_s=AWAY_PATIENCE_S))
        threading.Thread(target=_watch, args=(watching, job, bars), daemon=True, name="watch").start()
    for task in range(row["numTask"]):
        if row["numTask"] > 1 and is_terminal(sys.stderr):
            say(f"{job}.{task}:")
        _show(client, job, task)
    [ended] = wait_finished(client, [Watched(client, job)], looked=bars.look)
    return ended


def _show(client: Client, job: str, task: int) -> None:
    """The output of one task, to its end; nothing where it was stopped before it began."""
    try:
        for piece in follow_task(client, job, task=task, every_attempt=True, note=say):
            write(piece)
    except Refusal as refusal:
        if refusal.status != _NOT_FOUND:
            raise
        # If it is the job that is not there, whoever waits for its end will be told.


def _watch(client: Client, job: str, bars: Bars) -> None:
    """Tell the bar how far the job is, while its output is shown task by task."""
    try:
        for _ in wait_finished(client, [Watched(client, job)], looked=bars.look):
            pass
    except (JobmgrError, OSError):
        pass  # Then the bar stands still. Whoever follows the output has the same trouble, and says so.


def tell_end(row: Row) -> None:
    """Why it did not complete, if it did not; that it did, where a person looks."""
    if row["status"] != "completed":
        say(f"{row['jobId']} {row['status']}: {shown(row.get('error') or row.get('cause') or '')}".rstrip(": "))


@contextmanager
def _stopping(client: Client, job: str, aside: Callable[[], str]) -> Iterator[None]:
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
        os.write(2, f"{aside()}jobmgr: stopping {job}; Ctrl+C again leaves it to itself\n".encode())
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
