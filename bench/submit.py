"""Latency on an idle server: POST to the reply that says `running`, and POST to the program having really begun.

The program is a one-line shell script that writes to a named pipe; a shell needs about a millisecond to get there, which is in the figure.
One submission at a time; the next one follows when the job is finished.
"""

from __future__ import annotations

import os
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import server

SAMPLES = 200
WARM_UP = 10
REPLY_P50_MS = 5.0
WAIT_S = 30.0


def measure(say: Callable[[str], None], *, launcher: str = "keeper", samples: int = SAMPLES) -> dict[str, Any]:
    """All samples of one launcher, as an entry of the `runs` of a result file. Raises RuntimeError when a reply is not `running`."""
    if sys.platform == "win32":
        raise RuntimeError("Windows has no named pipes of this kind: this measurement is for Unix.")
    replied, begun = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        pipe, script = directory / "pipe", directory / "begin.sh"
        os.mkfifo(pipe)
        script.write_text('#!/bin/sh\necho >"$1"\n')
        script.chmod(0o755)
        ear = os.open(
            pipe, os.O_RDWR | os.O_NONBLOCK
        )  # For writing too: the pipe then has no end between two programs.
        try:
            with server.running(directory, launcher=launcher, slots=os.cpu_count() or 1, program=str(script)) as client:
                for number in range(WARM_UP + samples):
                    reply_ms, begun_ms = _sample(client, ear, str(pipe))
                    if number >= WARM_UP:
                        replied.append(reply_ms)
                        begun.append(begun_ms)
        finally:
            os.close(ear)
    run = {"launcher": launcher, "samples": samples, "replyMs": summary(replied), "begunMs": summary(begun)}
    say(f"{launcher}: POST to running {run['replyMs']}, POST to begun {run['begunMs']} ms")
    return run


def _sample(client: server.Client, ear: int, pipe: str) -> tuple[float, float]:
    began = time.perf_counter()
    client.send("POST", "/jobs", {"jobName": "begin", "arguments": [pipe]})
    seen: dict[int, float] = {}
    voice = client.connection.sock.fileno()
    while len(seen) < 2:
        ready, _, _ = select.select([fd for fd in (voice, ear) if fd not in seen], [], [], WAIT_S)
        now = (time.perf_counter() - began) * 1000
        if not ready:
            raise RuntimeError(f"{'the program did not begin' if voice in seen else 'no reply'} within {WAIT_S} s")
        seen.update(dict.fromkeys(ready, now))
    os.read(ear, 16)
    reply, _ = client.reply()
    if reply["status"] != "running":
        raise RuntimeError(f"an idle server replied {reply}")
    job = client.finished(reply["jobId"])
    if job["exitCode"] != 0:
        raise RuntimeError(f"{job['jobId']} is {job['status']}: {job['error']}")
    return seen[voice], seen[ear]


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile, rounded to hundredths of a millisecond. Wants at least two samples."""
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2)}


def table(results: dict[str, Any]) -> str:
    """Percentiles as Markdown, a row a launcher."""
    lines = ["| | POST → running, p50 | p99 | POST → begun, p50 | p99 |", "|---|---:|---:|---:|---:|"]
    for run in results["runs"]:
        cells = [f"{run[what][cut]:.1f} ms" for what in ("replyMs", "begunMs") for cut in ("p50", "p99")]
        lines.append(f"| jobmgr, {run['launcher']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def missed(results: dict[str, Any]) -> list[str]:
    """The bound, when it was missed, as a sentence."""
    return [
        f"{run['launcher']}: POST to running takes {run['replyMs']['p50']} ms (p50); wanted is at most {REPLY_P50_MS} ms."
        for run in results["runs"]
        if run["replyMs"]["p50"] > REPLY_P50_MS
    ]
