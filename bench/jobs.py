"""Throughput: 2,000 programs that do nothing in one submission, first submit to last result committed, beside the peers.

Rounds are interleaved (every contestant once, then all again), so that a busy moment of the machine hits all of them; medians count,
of the rates and of the ratios within each round.
jobmgr runs as a real server with every guarantee on, is timed by its client, and each of its results is looked at afterwards.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import server
from bench.peers import HYPERQUEUE, LIMIT, XARGS, Load, Peer

COUNT = 2000
ROUNDS = 5
WARM_UP = 20
TIMES_HYPERQUEUE = 2.0
SHARE_OF_LIMIT = 0.33

Say = Callable[[str], None]


def _jobmgr(launcher: str) -> Callable[[Load], float]:
    def run(load: Load) -> float:
        with server.running(load.directory, launcher=launcher, slots=load.parallel, program=load.program) as client:
            client.finished(client.submit({"numTask": WARM_UP})["jobId"])
            began = time.perf_counter()
            job = client.submit({"numTask": load.count})["jobId"]
            finished = client.finished(job)
            seconds = time.perf_counter() - began
            verify(finished, client.tasks(job), load.count)
        return seconds

    return run


def verify(job: dict[str, Any], tasks: Sequence[dict[str, Any]], count: int) -> None:
    """Raises RuntimeError unless the job completed and every single task has its own true result."""
    wrong = [task for task in tasks if (task["status"], task["exitCode"]) != ("completed", 0)]
    if job["status"] != "completed" or wrong or len({task["taskId"] for task in tasks}) != count:
        raise RuntimeError(f"{job['jobId']} is {job['status']}, {len(tasks)} tasks of {count}, wrong: {wrong[:3]}")
    seconds = (datetime.fromisoformat(job["finishedAt"]) - datetime.fromisoformat(job["createdAt"])).total_seconds()
    if seconds <= 0:
        raise RuntimeError(f"{job['jobId']} says that it took {seconds} s")


KEEPER = Peer("jobmgr, keeper", _jobmgr("keeper"))
DIRECT = Peer("jobmgr, direct", _jobmgr("direct"))
ALL = (KEEPER, DIRECT, HYPERQUEUE, XARGS, LIMIT)


def measure(
    peers: Sequence[Peer], parallels: Sequence[int], say: Say, *, count: int = COUNT, rounds: int = ROUNDS
) -> dict[str, Any]:
    """All rounds of all contestants that this machine has, as the `results` part of a result file."""
    present, skipped = [], {}
    for peer in peers:
        if (why := peer.missing()) is None:
            present.append(peer)
        else:
            skipped[peer.name] = why
            say(f"{peer.name}: skipped, {why}.")
    program = shutil.which("true") or "/bin/true"
    runs: list[dict[str, Any]] = [
        {"name": peer.name, "parallel": parallel, "seconds": []} for parallel in parallels for peer in present
    ]
    # Removed at the very end: some file systems make files slowly for a minute after many were deleted.
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for number, run in itertools.product(range(rounds), runs):
            peer = next(peer for peer in present if peer.name == run["name"])
            directory = Path(tempfile.mkdtemp(dir=scratch))
            seconds = peer.run(Load(count, run["parallel"], program, directory))
            run["seconds"].append(round(seconds, 4))
            say(f"round {number + 1}/{rounds}, {run['parallel']} at once, {peer.name}: {count / seconds:.0f} a second")
    for run in runs:
        run["perSecond"] = round(count / statistics.median(run["seconds"]), 1)
    return {
        "count": count,
        "rounds": rounds,
        "skipped": skipped,
        "versions": {p.name: p.version() for p in present if p.version()},
        "runs": runs,
    }


def table(results: dict[str, Any]) -> str:
    """The medians as Markdown: a row a contestant, two columns a degree of parallelism."""
    runs, parallels = results["runs"], sorted({run["parallel"] for run in results["runs"]})
    names = list(dict.fromkeys(run["name"] for run in runs))
    lines = [
        "| | " + " | ".join(f"{parallel} at once: jobs/s | of the limit" for parallel in parallels) + " |",
        "|---|" + "---:|---:|" * len(parallels),
    ]
    for name in names:
        cells = [cell for parallel in parallels for cell in _cells(runs, name, parallel)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [f"\n{name} was skipped: {why}." for name, why in results["skipped"].items()]
    return "\n".join(lines)


def _cells(runs: Sequence[dict[str, Any]], name: str, parallel: int) -> tuple[str, str]:
    run, share = _find(runs, name, parallel), ratio(runs, name, LIMIT.name, parallel)
    return (f"{run['perSecond']:,.0f}" if run else "–", f"{share:.2f}" if share else "–")


def ratio(runs: Sequence[dict[str, Any]], ours: str, theirs: str, parallel: int) -> float | None:
    """How many times as fast one contestant is as another; None when not both were measured.

    The median of the ratios within each round: what slows the machine down for a while slows both.
    """
    one, other = _find(runs, ours, parallel), _find(runs, theirs, parallel)
    if one is None or other is None:
        return None
    return statistics.median(float(b / a) for a, b in zip(one["seconds"], other["seconds"], strict=True))


def _find(runs: Sequence[dict[str, Any]], name: str, parallel: int) -> dict[str, Any] | None:
    return next((run for run in runs if (run["name"], run["parallel"]) == (name, parallel)), None)


def missed(results: dict[str, Any]) -> list[str]:
    """The bounds that were missed or could not be checked, a sentence each, for every number in flight; empty: all are met."""
    runs, sentences = results["runs"], []
    for parallel in sorted({run["parallel"] for run in runs}):
        for peer, wanted in ((HYPERQUEUE, TIMES_HYPERQUEUE), (LIMIT, SHARE_OF_LIMIT)):
            found = ratio(runs, KEEPER.name, peer.name, parallel)
            if found is None:
                sentences.append(f"{parallel} at once: {KEEPER.name} and {peer.name} were not both measured.")
            elif found < wanted:
                sentences.append(
                    f"{parallel} at once: {KEEPER.name} is {found:.2f} × {peer.name}; wanted is {wanted} ×."
                )
    return sentences
