"""A drawn history in a database, as the server would have left it: finished jobs of one task and one attempt each, written by SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jobmgr.history import HistoryRow
from jobmgr.job import Status
from jobmgr.store.sqlite import SqliteStore

# In the order of the values that `_values` gives of a row.
_INSERTS = (
    """INSERT INTO jobs (id, name, status, priority, first_task, num_tasks, argument_count, round, retries, attempts, cause, exit_code,
      created_at, round_at, started_at, ended_at, finished_at, duration_us, n_pending, n_running, n_paused, n_retried, n_completed, n_crashed,
      n_failed, n_stopped, n_lost)
    VALUES (:id, :name, :status, :priority, :id, 1, :argument_count, 1, 0, 1, :cause, :exit_code, :created, :created, :started, :ended, :ended,
      :duration, 0, 0, 0, 0, :exit_code = 0, :exit_code != 0, 0, 0, 0)""",
    "INSERT INTO specs (job, spec) VALUES (:id, :spec)",
    """INSERT INTO tasks (id, job, number, status, ready, priority, attempt, failures, run)
    VALUES (:id, :id, 0, :status, 0, :priority, 1, 0, printf('%032x', :id))""",
    """INSERT INTO attempts (task, number, round, run, node, incarnation, boot_id, status, claimed_at, queue_wait_us, started_at, ended_at, cause,
      exit_code, duration_us, cpu_us, peak_rss_bytes, read_bytes, write_bytes, output_bytes, concurrency)
    VALUES (:id, 1, 1, printf('%032x', :id), :node, 'of-old', 'boot-of-old', :status, :started, :queue_wait, :started, :ended, :cause,
      :exit_code, :duration, :cpu, :memory, :read, :write, :output, :concurrency)""",
)


async def write_history(directory: Path, pieces: Iterable[Sequence[HistoryRow]]) -> None:
    """Write these finished tasks into a new data directory, numbered in their order."""
    store = SqliteStore(directory)
    await store.open()
    await store.close()
    connection = sqlite3.connect(directory / "jobmgr.db")
    written = 0
    for rows in pieces:
        values = list(_values(rows, written))
        for text in _INSERTS:
            connection.executemany(text, values)
        written += len(rows)
    connection.execute("UPDATE meta SET value = ? WHERE name IN ('next_job', 'next_task', 'jobs')", (written,))
    connection.commit()
    connection.close()


def _values(rows: Sequence[HistoryRow], first: int) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, first):
        yield {
            "id": number,
            "name": row.job_name,
            "status": row.status,
            "priority": row.priority,
            "argument_count": len(row.args or ()),
            "cause": row.cause,
            "exit_code": int(row.status != Status.COMPLETED),
            "created": row.created_at,
            "started": row.started_at,
            "ended": row.finished_at,
            "queue_wait": row.queue_wait_us,
            "duration": row.duration_us,
            "spec": json.dumps({"name": row.job_name, "script": row.script, "args": row.args}),
            "node": row.node,
            "cpu": row.cpu_us,
            "memory": row.peak_rss_bytes,
            "read": row.read_bytes,
            "write": row.write_bytes,
            "output": row.output_bytes,
            "concurrency": row.concurrency,
        }
