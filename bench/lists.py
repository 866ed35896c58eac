"""Lists over a history of a million jobs while jobs run: rows a second, time to the first byte, and what it costs the server meanwhile.

The history is written by SQL before the server starts. Then a second client keeps jobs running for the whole measurement, and every list is
read to its end; the server's memory and the log of its database are looked at all the time.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import psutil

from bench import server
from jobmgr.store.sqlite import SqliteStore

COUNT = 1_000_000
SLOTS = 8
TASKS_AT_ONCE = 50
PAGES = 20
ALONE_S = 5.0
LOOK_EVERY_S = 0.05
MAX_GROWTH_BYTES = 64 * 2**20
MAX_LOG_BYTES = 64 * 2**20
MIB = 2**20

Say = Callable[[str], None]

LISTS = {
    "all, oldest first": "/jobs",
    "all, by `-finishedAt`": "/jobs?sort=-finishedAt",
    "`status=failed`": "/jobs?status=failed",
    "`label=team:team-6`": "/jobs?label=team:team-6",
    "`status=failed`, by `jobName`": "/jobs?status=failed&sort=jobName",
    "`q=` found once": "/jobs?q=needle-in-the-hay",
    "`q=` found nowhere": "/jobs?q=found-nowhere",
}

# Every hundredth crashed, every third has labels; names come from a thousand. Written in the order of the tables of migration 0001.
_SEED = (
    """INSERT INTO jobs (id, name, status, priority, first_task, num_tasks, argument_count, round, retries, attempts, progress, cause, error,
      exit_code, created_at, round_at, started_at, ended_at, finished_at, duration_us, n_pending, n_running, n_paused, n_retried, n_completed,
      n_crashed, n_failed, n_stopped, n_lost)
    SELECT i, 'job-' || (i * 7919 % 1000), iif(i % 100, 'completed', 'crashed'), 0, i, 1, 2, 1, 0, 1, 100, iif(i % 100, NULL, 'exit'),
      iif(i % 100, NULL, 'It ended with exit code 3 after 0.2 s. Its last line was: no space'), iif(i % 100, 0, 3), t, t, t + 900, t + 1000,
      t + 1000 + i * 7919 % 100000000, i * 7919 % 10000000, 0, 0, 0, 0, i % 100 > 0, i % 100 = 0, 0, 0, 0 FROM numbers""",
    """INSERT INTO specs (job, spec) SELECT i, json_object('name', 'job-' || (i * 7919 % 1000), 'script', '/srv/jobs/encode.sh', 'args',
      json_array('in-' || i || '.mp4', iif(i = (SELECT count(*) / 2 FROM numbers), 'needle-in-the-hay', 'out.mp4')), 'env',
      json_object('LANG', 'C'), 'labels', iif(i % 3, json('{}'), json_object('team', 'team-' || (i % 30)))) FROM numbers""",
    "INSERT INTO labels (job, key, value) SELECT i, 'team', 'team-' || (i % 30) FROM numbers WHERE i % 3 = 0",
    """INSERT INTO tasks (id, job, number, status, ready, priority, attempt, failures, run)
    SELECT i, i, 0, iif(i % 100, 'completed', 'crashed'), 0, 0, 1, 0, printf('%032x', i * 7919) FROM numbers""",
    """INSERT INTO attempts (task, number, round, run, node, incarnation, boot_id, status, claimed_at, queue_wait_us, pid, started_at, ended_at,
      exit_code, duration_us, output_bytes)
    SELECT i, 1, 1, printf('%032x', i * 7919), 'here-3000', 'of-old', 'boot-of-old', iif(i % 100, 'completed', 'crashed'), t, 500, 4711,
      t + 900, t + 1000, iif(i % 100, 0, 3), 100, 12 FROM numbers""",
    "UPDATE meta SET value = (SELECT count(*) FROM numbers) WHERE name IN ('next_job', 'next_task', 'jobs')",
)


async def seeded(directory: Path, count: int) -> None:
    """Write a history of so many finished jobs into a new data directory."""
    store = SqliteStore(directory)
    await store.open()
    await store.close()
    connection = sqlite3.connect(directory / "jobmgr.db")
    connection.execute("PRAGMA temp_store = 2")
    connection.execute(
        """CREATE TEMP TABLE numbers AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
        SELECT i, 1700000000000000 + i * 1000000 AS t FROM n""",
        (count,),
    )
    for text in _SEED:
        connection.execute(text)
    connection.commit()
    connection.close()


@dataclass
class Watch:
    """What is seen of the server while it works. Sizes in bytes."""

    process: psutil.Process
    log: Path
    peak_memory: int = 0
    peak_log: int = 0
    ended: int = 0
    """Tasks that ended, of those that the second client submitted."""
    stop: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Until it is stopped."""
        while not self.stop.wait(LOOK_EVERY_S):
            self.peak_memory = max(self.peak_memory, self.process.memory_info().rss)
            self.peak_log = max(self.peak_log, self.log.stat().st_size if self.log.exists() else 0)

    def submit(self, port: int) -> None:
        """Keep jobs running until it is stopped."""
        client = server.Client(port)
        while not self.stop.is_set():
            client.finished(client.submit({"numTask": TASKS_AT_ONCE})["jobId"])
            self.ended += TASKS_AT_ONCE


@contextmanager
def watching(client: server.Client, directory: Path) -> Iterator[Watch]:
    """Watch the server, and keep it busy, for the time of the block."""
    process = server.process()
    watch = Watch(process, directory / "data" / "jobmgr.db-wal")
    threads = [
        threading.Thread(target=watch.look),
        threading.Thread(target=watch.submit, args=(client.connection.port,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        watch.stop.set()
        for thread in threads:
            thread.join()


def measure(say: Say, *, count: int = COUNT) -> dict[str, Any]:
    """All lists over a history of `count` jobs, as the `results` part of a result file."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        began = time.perf_counter()
        asyncio.run(seeded(directory / "data", count))
        say(f"{count:,} jobs written in {time.perf_counter() - began:.0f} s")
        program = shutil.which("true") or "/bin/true"
        with server.running(directory, launcher="keeper", slots=SLOTS, program=program) as client:
            return _measure(client, directory, say) | {"count": count}


def _measure(client: server.Client, directory: Path, say: Say) -> dict[str, Any]:
    with watching(client, directory) as watch:
        list_of(client, "/jobs?limit=1000")
        alone = _rate(watch, lambda: time.sleep(ALONE_S))
        before, watch.peak_memory, watch.peak_log = watch.process.memory_info().rss, 0, 0
        runs = []
        for name, path in LISTS.items():
            run: dict[str, Any] = {"name": name}
            run["jobsPerSecond"] = _rate(watch, partial(_list_into, run, client, path))
            run["growthMiB"] = round((watch.peak_memory - before) / MIB, 1)
            runs.append(run)
            say(str(run))
        pages = _pages(client)
        return {
            "runs": runs,
            "pageMs": pages,
            "jobsPerSecondAlone": alone,
            "growthMiB": round((watch.peak_memory - before) / MIB, 1),
            "memoryMiB": round(before / MIB, 1),
            "logMiB": round(watch.peak_log / MIB, 1),
        }


def _rate(watch: Watch, work: Callable[[], None]) -> float:
    """How many jobs ended a second while something was done: whole submissions, so it is rough where that was short."""
    ended, began = watch.ended, time.perf_counter()
    work()
    return round((watch.ended - ended) / (time.perf_counter() - began), 1)


def _list_into(run: dict[str, Any], client: server.Client, path: str) -> None:
    run.update(list_of(client, path))


def list_of(client: server.Client, path: str) -> dict[str, Any]:
    """Read a list to its end: rows, milliseconds to the first byte of the body, seconds."""
    began = time.perf_counter()
    client.send("GET", path)
    response: HTTPResponse = client.connection.getresponse()
    rest = response.read(1)
    first = time.perf_counter() - began
    lines, size, last = 0, 0, b""
    while rest:
        lines, size, last = (
            lines + rest.count(b"\n"),
            size + len(rest),
            rest[-1:],
        )  # A line a job: no text in JSON has a line break.
        rest = response.read(1 << 20)
    whole = time.perf_counter() - began
    if response.status != 200 or last != b"\n":
        raise RuntimeError(f"{path}: {response.status}, it ends in {last!r}")
    return {
        "rows": lines if size > len(b"[]\n") else 0,
        "firstByteMs": round(first * 1000, 1),
        "seconds": round(whole, 2),
    }


def _pages(client: server.Client) -> float:
    """Milliseconds of a page of 100 by its cursor, median; every page begins where the one before ended."""
    path, times = "/jobs?sort=jobName&limit=100", []
    for _ in range(PAGES):
        began = time.perf_counter()
        client.send("GET", path)
        _, headers = client.reply()
        times.append(time.perf_counter() - began)
        link = headers["link"]
        path = link[link.index("<") + 1 : link.index(">")]
    return round(statistics.median(times) * 1000, 1)


def table(results: dict[str, Any]) -> str:
    """A row a list, and a sentence about the rest."""
    lines = ["| list | rows | first byte | rows/s | whole | jobs/s meanwhile |", "|---|---:|---:|---:|---:|---:|"]
    for run in results["runs"]:
        rate = f"{run['rows'] / run['seconds']:,.0f}" if run["rows"] > 1 else "–"
        cells = [f"{run['rows']:,}", f"{run['firstByteMs']:,.0f} ms", rate, f"{run['seconds']:,.1f} s"]
        lines.append(f"| {run['name']} | {' | '.join(cells)} | {run['jobsPerSecond']:,.0f} |")
    lines.append(
        f"\n{results['count']:,} jobs in the database; a page of 100 by its cursor takes {results['pageMs']} ms. Without lists "
        f"{results['jobsPerSecondAlone']:,.0f} jobs/s ended. The server's memory grew by {results['growthMiB']} MiB at most (from "
        f"{results['memoryMiB']} MiB), the log of the database (WAL) to {results['logMiB']} MiB."
    )
    return "\n".join(lines)


def missed(results: dict[str, Any]) -> list[str]:
    """The bounds that were missed, a sentence each."""
    sentences = []
    if results["growthMiB"] * MIB > MAX_GROWTH_BYTES:
        sentences.append(
            f"lists: memory grew by {results['growthMiB']} MiB; wanted is at most {MAX_GROWTH_BYTES // MIB}."
        )
    if results["logMiB"] * MIB > MAX_LOG_BYTES:
        sentences.append(f"lists: the WAL grew to {results['logMiB']} MiB; wanted is at most {MAX_LOG_BYTES // MIB}.")
    return sentences
