"""The live feed: how soon every change is at a thousand watchers, what a socket costs, how fast the server leaves, and what jobs pay for it.

A real server, real jobs (`true`, through the keeper), raw WebSockets in this process; both share the machine. Jobs are submitted by the clock and not
when earlier ones have ended, so a server that cannot keep up shows it as latency. Every watcher must have every event, from its `hello` to the last.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench import leaving, server
from bench.watchers import Crowd
from bench.watching import Figures, missed, table

WATCHERS = 1000
CHANGES = 500
SECONDS = 30.0
IDLE = 10_000
ROUNDS = 3
TASKS = 2000

SLOTS = 8
CHECKED = 3
WARM_UP = 200
EVENTS_PER_JOB = 4
"""What a job of one task makes at least: it and its task begin and end."""

PACE_S = 0.1
LAST_S = 60.0
"""So long the last event may need to be everywhere."""

RESERVED_FILES = 500
SETTLE_S = 3.0
SMALL_CROWDS = (0, 1, 100)
MIB = 2**20

Say = Callable[[str], None]

__all__ = ["measure", "missed", "table"]


def measure(
    say: Say, *, watchers: int = WATCHERS, idle: int = IDLE, seconds: float = SECONDS, rounds: int = ROUNDS
) -> Figures:
    """All parts, as the `results` part of a result file."""
    idle = min(idle, _open_files() - RESERVED_FILES)
    parts: dict[str, Callable[[], Any]] = {
        "fanOut": lambda: fan_out(watchers, seconds),
        "unread": lambda: fan_out(watchers, seconds, deaf=watchers // 2),
        "idle": lambda: idle_sockets(idle),
        "leaving": lambda: leaving.measure(_served),
        "throughput": lambda: throughput([*SMALL_CROWDS, watchers], rounds),
    }
    results = {}
    for name, part in parts.items():
        results[name] = part()
        say(f"{name}: {results[name]}")
    return results


def _open_files() -> int:
    """Let this process and the servers it starts have as many files open as the system allows; how many that is."""
    if sys.platform == "win32":
        return 1000
    import resource  # There is none on Windows.

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


@contextmanager
def _served() -> Iterator[server.Client]:
    """A server that has done some work, and has had a watcher or two."""
    program = shutil.which("true") or "/bin/true"
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        server.running(Path(name), launcher="keeper", slots=SLOTS, program=program) as client,
    ):
        crowd = Crowd(client.port)
        crowd.join(2)
        client.finished(client.submit({"numTask": WARM_UP})["jobId"])
        crowd.leave()
        yield client


# --- many watchers, many changes


@dataclass
class Load:
    """Jobs of one task each, so many a second, on a connection and in a thread of their own."""

    port: int
    jobs_per_second: float
    seconds: float
    jobs: int = 0
    seq: int | None = None
    """The number of the last event, when all has ended."""
    _thread: threading.Thread = field(init=False)

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        client, began = server.Client(self.port), time.monotonic()
        while (passed := time.monotonic() - began) < self.seconds:
            due = int(passed * self.jobs_per_second) - self.jobs
            if due:
                client.submit([{}] * due)
                self.jobs += due
            time.sleep(PACE_S)
        while client.get("/jobs?status=active&limit=1"):
            time.sleep(PACE_S)
        client.send("GET", "/jobs?limit=1")
        self.seq = int(client.reply()[1]["event-seq"])


def fan_out(watchers: int, seconds: float, *, deaf: int = 0) -> Figures:
    """Every change at every watcher; `deaf` of them never read anything."""
    with _served() as client:
        process, crowd = server.process(), Crowd(client.port)
        memory = Memory(process)
        joined = crowd.join(watchers, checked=CHECKED)
        crowd.stop_reading(joined[watchers - deaf :])
        files, start = _descriptors(process), crowd.watchers[0].seq
        load = Load(client.port, CHANGES / EVENTS_PER_JOB, seconds)
        used, own = sum(process.cpu_times()[:2]), time.process_time()
        began = time.monotonic()
        load.start()
        crowd.listen(lambda: memory.look() and load.seq is not None, within_s=seconds + LAST_S)
        if load.seq is None:
            raise RuntimeError(f"the jobs have not ended {LAST_S} s after the last was submitted")
        last = load.seq
        crowd.listen(lambda: memory.look() and crowd.are_at(last), within_s=LAST_S)
        took = time.monotonic() - began
        found = {
            "watchers": watchers - deaf,
            "deaf": deaf,
            "jobs": load.jobs,
            "serverCpu": round((sum(process.cpu_times()[:2]) - used) / took, 2),
            "clientCpu": round((time.process_time() - own) / took, 2),
            "growthMiB": round(memory.growth / MIB, 1),
            "closed": files - _descriptors(process),
            "load": round(psutil.getloadavg()[0], 1),
        } | _delivered(crowd, start, last)
        crowd.leave()
    return found


def _delivered(crowd: Crowd, start: int, last: int) -> Figures:
    """How many events there were, how steadily, and how long they took."""
    times = [crowd.at[seq] for seq in range(start + 1, last + 1) if seq in crowd.at]
    seconds = Counter(at // 1_000_000 for at in times)
    whole = sorted(seconds)[
        1:-2
    ]  # The first second is not a whole one, nor the last of the load, nor what ended after it.
    latencies = crowd.latencies_ms(start, last)
    return {
        "changes": last - start,
        "perSecond": round((len(times) - 1) / ((times[-1] - times[0]) / 1e6), 1),
        "slowestSecond": min((seconds[second] for second in whole), default=0),
        "missing": sum(max(0, last - watcher.seq) for watcher in crowd.watchers),
        "wrong": crowd.wrong[:5],
        "p50Ms": round(float(latencies[len(latencies) // 2]), 1),
        "p99Ms": round(float(latencies[int(len(latencies) * 0.99)]), 1),
        "maxMs": round(float(latencies[-1]), 1),
    }


class Memory:
    """What a process has come to need, from now on."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before = self._peak = process.memory_info().rss

    def look(self) -> bool:
        """See how much it is now; always true."""
        self._peak = max(self._peak, self._process.memory_info().rss)
        return True

    @property
    def growth(self) -> int:
        """The most that was seen above what it was in the beginning, in bytes."""
        return self._peak - self._before


# --- many watchers, nothing to tell


def idle_sockets(count: int) -> Figures:
    """Two crowds, one after the other: what each socket takes, how soon one job is known to all, and what is left when they are gone."""
    with _served() as client:
        process = server.process()
        before = process.memory_info().rss
        rounds = [_round(client, process, count, before) for _ in range(2)]
    return {"sockets": count, "beforeMiB": round(before / MIB, 1), "rounds": rounds}


def _round(client: server.Client, process: psutil.Process, count: int, before: int) -> Figures:
    crowd = Crowd(client.port)
    began = time.monotonic()
    crowd.join(count, checked=1)
    joined_s = time.monotonic() - began
    crowd.listen(lambda: False, within_s=SETTLE_S)
    each = (process.memory_info().rss - before) / count
    start, began = crowd.watchers[0].seq, time.monotonic()
    client.submit({})
    reply_s = time.monotonic() - began
    told = crowd.listen(lambda: crowd.are_at(start + EVENTS_PER_JOB), within_s=LAST_S)
    latest = crowd.latencies_ms(start, start + EVENTS_PER_JOB)[-1]
    with_them = process.memory_info().rss
    wrong = crowd.wrong[:5]
    crowd.leave()
    _settled(process)
    return {
        "bytesEach": round(each),
        "joinedPerSecond": round(count / joined_s),
        "replyMs": round(reply_s * 1000, 1),
        "told": told,
        "lastToldMs": round(float(latest), 1),
        "withMiB": round(with_them / MIB, 1),
        "leftMiB": round(process.memory_info().rss / MIB, 1),
        "wrong": wrong,
    }


def _descriptors(process: psutil.Process) -> int:
    """How many descriptors it has; there is `/proc` where there is a keeper."""
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def _settled(process: psutil.Process) -> None:
    """Until the server has seen that its watchers are gone."""
    until = time.monotonic() + LAST_S
    files = _descriptors(process) + 1
    while (now := _descriptors(process)) < files and time.monotonic() < until:
        files = now
        time.sleep(SETTLE_S)


# --- what jobs pay


def throughput(crowds: list[int], rounds: int) -> list[Figures]:
    """Jobs a second, as fast as they go, with so many watchers; the median of the rounds, which take turns."""
    rates: dict[int, list[float]] = {count: [] for count in crowds}
    changes: dict[int, list[float]] = {count: [] for count in crowds}
    with _served() as client:
        for _ in range(rounds):
            for count in crowds:
                rate, told = _raced(client, count)
                rates[count].append(rate)
                changes[count].append(told)
    return [
        {
            "watchers": count,
            "jobsPerSecond": round(statistics.median(rates[count]), 1),
            "changesPerSecond": round(statistics.median(changes[count]), 1),
        }
        for count in crowds
    ]


def _raced(client: server.Client, count: int) -> tuple[float, float]:
    crowd = Crowd(client.port)
    crowd.join(count)
    ended: list[float] = []

    def run() -> None:
        client.finished(client.submit({"numTask": TASKS})["jobId"])
        ended.append(time.perf_counter())

    start, began = _newest(client), time.perf_counter()
    thread = threading.Thread(target=run)
    thread.start()
    crowd.listen(lambda: bool(ended), within_s=server.JOB_TIMEOUT_S)
    thread.join()
    seconds, last = ended[0] - began, _newest(client)
    crowd.listen(lambda: crowd.are_at(last), within_s=LAST_S)
    if crowd.wrong or not crowd.are_at(last):
        raise RuntimeError(f"{count} watchers do not have everything: {crowd.wrong[:3]}")
    crowd.leave()
    return TASKS / seconds, (last - start) / seconds


def _newest(client: server.Client) -> int:
    client.send("GET", "/jobs?limit=1")
    return int(client.reply()[1]["event-seq"])
