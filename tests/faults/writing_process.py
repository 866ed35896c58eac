"""A process that writes to a store and says on stdout what was acknowledged, until it is killed. Run by the fault tests.

`python -m tests.faults.writing_process DIRECTORY PREFIX [FILE_LIMIT_BYTES]`: several writers at once submit with a key, and claim and finish
what is ready. Each line is one acknowledged fact: `submitted KEY JOB` or `finished RUN`.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from jobmgr.job import Change, JobSpec
from jobmgr.store.base import Claim, Claimed, Finish, Owner, Submit
from jobmgr.store.sqlite import SqliteStore

OWNER = Owner("here", "life", "boot")


async def submit(store: SqliteStore, prefix: str) -> None:
    """Submit for ever."""
    for number in count():
        key = f"{prefix}-{number}"
        [outcome] = await store.apply([Submit([JobSpec("job", "/bin/true")], 1, key=key, body_hash="h")])
        say(f"submitted {key} {outcome.jobs[0]}")


async def work(store: SqliteStore) -> None:
    """Claim and finish for ever."""
    runs: tuple[Claimed, ...] = ()
    while True:
        ends = [Finish(run.task, run.run, Change.COMPLETE, 3, exit_code=0) for run in runs]
        *_, claimed = await store.apply([*ends, Claim(4, OWNER, 2)], first=True)
        for run in runs:
            say(f"finished {run.run}")
        runs = claimed
        await asyncio.sleep(0)


def say(fact: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{fact}\n")
    sys.stdout.flush()


async def main(directory: str, prefix: str, limit: str = "") -> None:
    """Write until killed, or until nothing can be written any more."""
    store = SqliteStore(Path(directory))
    await store.open()
    if limit and sys.platform != "win32":
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    await asyncio.gather(*(submit(store, f"{prefix}-{i}") for i in range(4)), work(store))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
