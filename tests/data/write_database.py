"""Write the database that a later version will have to open. See README.md beside this file."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from jobmgr.job import MASKED, NO_RETRY, Cause, Change, JobSpec
from jobmgr.store.base import Begin, Claim, Delete, Finish, Owner, Progress, Stop, Submit
from jobmgr.store.sqlite import SqliteStore

AT = 1_763_798_400_000_000
OWNER = Owner("here-3000", "incarnation-1", "boot-1")
SPECS = (
    JobSpec("plain", "/srv/jobs/sample.sh", ("arg1", "arg2")),
    JobSpec("crash-then-pass", "/srv/jobs/sample.sh", priority=10, env={"LANG": "C"}, timeout=60.0),
    JobSpec(
        "many", "/srv/jobs/encode.sh", tasks=(("a.mp4",), ("b.mp4",), ("c.mp4",)), retry=NO_RETRY, success_codes=(0, 3)
    ),
    JobSpec("gone", "/bin/true", labels={"team": "gone"}),
)
TYPED = (
    JobSpec(
        "typed",
        "/srv/jobs/encode.sh",
        ("in.mp4",),
        type="encode",
        params={"input": "in.mp4", "key": MASKED, "quality": 3},
        labels={"team": "media", "disk": "a"},
        secret_env={"KEY": "s3cret"},
    ),
    JobSpec("labelled", "/bin/true", labels={"team": "media"}),
)
"""What came with version 0.2."""


async def write(directory: Path) -> None:
    """The lives of a few jobs; what was left waiting and running stays so."""
    store = SqliteStore(directory)
    await store.open()
    _, tasks = await store.apply([Submit(SPECS, AT, key="key-1", body_hash="hash-1"), Claim(5, OWNER, AT + 1000)])
    crashed, plain, first, second, _ = tasks
    await store.apply([Begin(run.task, run.run, 4000 + run.task, 77, AT + 2000) for run in tasks])
    await store.apply([Progress(plain.task, plain.run, AT + 2500, 50, "half", {"line": 7})])
    facts: dict[str, Any] = {
        "ended_at": AT + 3000,
        "duration_us": 1000,
        "cpu_us": 900,
        "peak_rss_bytes": 10**6,
        "output_bytes": 12,
    }
    await store.apply(
        [
            Finish(
                crashed.task,
                crashed.run,
                Change.RETRY,
                AT + 3000,
                cause=Cause.EXIT,
                error="It ended with exit code 3.",
                exit_code=3,
                **facts,
            ),
            Finish(plain.task, plain.run, Change.COMPLETE, AT + 3000, exit_code=0, result={"lines": 12}, **facts),
            Finish(first.task, first.run, Change.COMPLETE, AT + 3000, exit_code=3, **facts),
            Finish(
                second.task,
                second.run,
                Change.CRASH,
                AT + 3000,
                cause=Cause.SIGNAL,
                error="It was killed.",
                signal=9,
                **facts,
            ),
        ]
    )
    [[again]] = await store.apply([Claim(1, OWNER, AT + 4000)])
    await store.apply([Finish(again.task, again.run, Change.COMPLETE, AT + 5000, exit_code=0, **facts)])
    await store.apply([Stop(3, AT + 5000), Delete(3, AT + 5000), Submit([JobSpec("waiting", "/bin/true")], AT + 5000)])
    await store.apply([Submit(TYPED, AT + 6000), Claim(1, OWNER, AT + 7000, running=3)])
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(Path(folder) / "data"))
        shutil.copy(Path(folder) / "data" / "jobmgr.db", sys.argv[1])
