"""`python -m bench.hyperqueue_run COUNT PARALLEL PROGRAM DIR`: HyperQueue in a process of its own; prints the seconds it took.

Beware: its LocalCluster listens on all interfaces, with no key. It lives only as long as this process, seconds; do not make it stay.

Its own `wait` looks once a second, which would add up to a second to a run of a few. So the end is taken from the newest output file, which
is made when the last program *starts*: a few milliseconds in favour of HyperQueue. A few tasks before warm it up.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

hyperqueue: Any = import_module(
    "hyperqueue"
)  # Optional and untyped: a plain import would need other exceptions from mypy where it is missing.
cluster: Any = import_module("hyperqueue.cluster")
WARM_UP = 20


def main(count: int, parallel: int, program: str, directory: Path) -> float:
    """Seconds from the submission of `count` tasks to the start of the last."""
    with hyperqueue.LocalCluster(str(directory / "server"), cluster.WorkerConfig(cores=parallel)) as local:
        client = local.client()
        run(client, WARM_UP, program, directory / "warm-up")
        began = run(client, count, program, directory / "tasks")
    with os.scandir(directory / "tasks") as outputs:
        made = [entry.stat().st_mtime_ns for entry in outputs]
    if len(made) != 2 * count:
        raise SystemExit(f"HyperQueue left {len(made)} output files of {2 * count}")
    return (max(made) - began) / 1e9


def run(client: Any, count: int, program: str, folder: Path) -> int:
    """Run so many tasks to their end; when they were submitted, in nanoseconds. Raises when any did not end well."""
    folder.mkdir()
    job = hyperqueue.Job(folder, max_fails=0)
    for _ in range(count):
        job.program([program])
    began = time.time_ns()
    client.wait_for_jobs([client.submit(job)])
    return began


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
