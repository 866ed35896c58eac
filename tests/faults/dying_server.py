"""`jobmgr serve` that kills itself with -9 at one point, or hangs or fails there: `python -m tests.faults.dying_server POINT`. Not a test by itself.

The points are where a request, a run or a recovery is half done: before a commit, between the commit and what follows from it, and after that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from jobmgr.api import body
from jobmgr.attempts import Attempts
from jobmgr.cli.main import main
from jobmgr.manager import JobManager
from jobmgr.process import keeper_client, keepers
from jobmgr.store.base import Finish, MakeDue, Stop, StoreChange, Submit, TakeUp
from jobmgr.store.sqlite import SqliteStore
from jobmgr.store.sqlite_writer import Work, Writer
from jobmgr.store.webhooks import Enqueue, RecordTry
from jobmgr.webhooks.sender import Sender

assert sys.platform == "linux"

Condition = Callable[..., bool]


def die() -> None:
    """As the kernel's out-of-memory killer would have it."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: type, name: str, condition: Condition = lambda *_: True) -> None:
    """Die when this is called."""
    real = getattr(owner, name)

    def dying(*arguments: Any, **fields: Any) -> Any:
        if condition(*arguments):
            die()
        return real(*arguments, **fields)

    setattr(owner, name, dying)


def after(owner: type, name: str, condition: Condition) -> None:
    """Die when this returns; what it is about is looked at before."""
    real = getattr(owner, name)

    def dying(*arguments: Any, **fields: Any) -> Any:
        so = condition(*arguments)
        answer = real(*arguments, **fields)
        if so:
            die()
        return answer

    setattr(owner, name, dying)


def hang(owner: type, name: str) -> None:
    """Say on stderr that this was called, and never return."""

    async def hanging(*_: Any, **__: Any) -> None:
        print("hangs", file=sys.stderr, flush=True)
        await asyncio.Event().wait()

    setattr(owner, name, hanging)


def fail(owner: type, name: str) -> None:
    """Raise what nobody expects."""

    async def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug\nin two lines")

    setattr(owner, name, failing)


def writing(kind: type[StoreChange]) -> Condition:
    """Whether a batch holds a change of this kind."""

    def holds(_: Writer, batch: Sequence[Work], *_rest: object) -> bool:
        return any(isinstance(change, kind) for work in batch for change in work.changes)

    return holds


def coming_due() -> Condition:
    """Whether a batch makes tasks due, other than the first, which is that of the start."""
    seen: list[bool] = []

    def holds(*arguments: Any) -> bool:
        seen.extend([True] * writing(MakeDue)(*arguments))
        return len(seen) > 1

    return holds


def sending(op: str) -> Condition:
    """Whether this command is about to go to a keeper that is connected."""

    def holds(client: keeper_client.KeeperClient, *_: object) -> bool:
        return client._link is not None and any(command["op"] == op for command in client._outbox)

    return holds


def acknowledging(_: keepers.KeeperLauncher, runs: Sequence[str]) -> bool:
    """Whether there is anything to acknowledge."""
    return bool(runs)


def lose_patience() -> None:
    """Wait for a body for a moment only."""
    body.BODY_TIMEOUT_S = 0.5


def third() -> Condition:
    """Whether this is asked for the third time."""
    seen: list[bool] = []

    def is_third(*_: object) -> bool:
        seen.append(True)
        return len(seen) == 3

    return is_third


POINTS: dict[str, Callable[[], None]] = {
    "a submission before its commit": lambda: before(Writer, "_transact", writing(Submit)),
    "a submission after its commit": lambda: before(Writer, "_hand_out", writing(Submit)),
    "a claim before it is sent": lambda: before(keepers.KeeperLauncher, "launch"),
    "a claim after it is sent": lambda: after(keeper_client.KeeperClient, "_flush", sending("start")),
    "a begin before it is noted": lambda: before(Attempts, "_note_begun"),
    "an end before it is judged": lambda: before(Attempts, "_settle"),
    "an end before its commit": lambda: before(Writer, "_transact", writing(Finish)),
    "an end after its commit": lambda: before(Writer, "_hand_out", writing(Finish)),
    "an end before it is acknowledged": lambda: before(keepers.KeeperLauncher, "ack", acknowledging),
    "an end after it is acknowledged": lambda: after(keeper_client.KeeperClient, "_flush", sending("ack")),
    "a retry before its commit": lambda: before(Writer, "_transact", coming_due()),
    "a retry after its commit": lambda: before(Writer, "_hand_out", coming_due()),
    "a stop before its commit": lambda: before(Writer, "_transact", writing(Stop)),
    "a stop after its commit": lambda: before(Writer, "_hand_out", writing(Stop)),
    "a stop after it is sent": lambda: after(keeper_client.KeeperClient, "_flush", sending("stop")),
    "a history amid its pages": lambda: before(SqliteStore, "history", third()),
    "a recovery before it decides": lambda: before(JobManager, "_recover"),
    "a recovery before its commit": lambda: before(Writer, "_transact", writing(TakeUp)),
    "a recovery after its commit": lambda: before(Writer, "_hand_out", writing(TakeUp)),
    "a recovery before it claims": lambda: before(Attempts, "start"),
    "deliveries before their commit": lambda: before(Writer, "_transact", writing(Enqueue)),
    "deliveries after their commit": lambda: before(Writer, "_hand_out", writing(Enqueue)),
    "a try before it is sent": lambda: before(Sender, "_send"),
    "a try before the commit of its end": lambda: before(Writer, "_transact", writing(RecordTry)),
    "a try after the commit of its end": lambda: before(Writer, "_hand_out", writing(RecordTry)),
    "a start that hangs before its keeper": lambda: hang(keepers.KeeperLauncher, "open"),
    "a start that hangs amid its keeper": lambda: hang(keeper_client.KeeperClient, "connect"),
    "a recovery that hangs before it asks": lambda: hang(keepers.KeeperLauncher, "recover"),
    "a recovery that hangs before it decides": lambda: hang(JobManager, "_recover"),
    "a recovery that hangs before it claims": lambda: hang(Attempts, "start"),
    "no patience with slow bodies": lose_patience,
    "a bug at the start": lambda: fail(JobManager, "start"),
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    sys.argv[1:] = ["serve"]
    main()
