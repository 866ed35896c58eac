"""Claim: give ready tasks to an owner, best first, and begin an attempt for each.

Best is the highest priority, then the oldest. After PASSES tasks in a row that each passed over an older one, the oldest goes next; the
count of passes is kept with the counters, so it survives a restart.
"""

from __future__ import annotations

import secrets
from typing import Any

from jobmgr.job import Status
from jobmgr.store import statements as sql
from jobmgr.store.base import PASSES, Claim, Claimed
from jobmgr.store.ledger import JobRow, Ledger
from jobmgr.store.specs import decode_args
from jobmgr.store.sqlite_text import Text

_READY_BEST = Text(sql.READY_BEST)
_READY_OLDEST = Text(sql.READY_OLDEST)
_CLAIM_TASK = Text(sql.CLAIM_TASK)
_INSERT_ATTEMPT = Text(sql.INSERT_ATTEMPT)

_RUN_BYTES = 16

_Row = tuple[Any, ...]


def claim(ledger: Ledger, change: Claim) -> tuple[Claimed, ...]:
    """Take the tasks and begin their attempts."""
    claimed: list[Claimed] = []
    tasks, attempts = [], []
    owner = change.owner
    for task, job, number, status, attempt, failures, ready_at, args in _choose(ledger, change.limit):
        row, run = ledger.known(job, change.at), secrets.token_hex(_RUN_BYTES)
        waited = max(0, change.at - ready_at)
        tasks.append((run, task))
        attempts.append(
            (
                task,
                attempt + 1,
                row.round,
                run,
                owner.node,
                owner.incarnation,
                owner.boot_id,
                change.at,
                waited,
                change.running + len(claimed) + 1,
            )
        )
        _count(row, Status(status), change.at)
        ledger.emit_task(row, number, Status.RUNNING, attempt + 1)
        claimed.append(
            Claimed(
                job=job,
                task=task,
                number=number,
                attempt=attempt + 1,
                run=run,
                spec=ledger.spec_of(job),
                args=decode_args(args),
                failures=failures,
                claimed_at=change.at,
                submitted_at=row.round_at,
                owner=owner,
                num_tasks=row.num_tasks,
                round=row.round,
            )
        )
    ledger.execute_many(_CLAIM_TASK, tasks)
    ledger.execute_many(_INSERT_ATTEMPT, attempts)
    return tuple(claimed)


def _choose(ledger: Ledger, limit: int) -> list[_Row]:
    """The rows to claim, in their order."""
    best: list[_Row] = ledger.execute(_READY_BEST, limit).fetchall()
    if not best:
        return best
    oldest: list[_Row] = ledger.execute(_READY_OLDEST, limit).fetchall()
    if best == oldest and ledger.counters["passes"] == 0:
        return best
    return _in_turn(best, oldest, ledger.counters)


def _in_turn(best: list[_Row], oldest: list[_Row], counters: dict[str, int]) -> list[_Row]:
    """As many rows as `best` has: best first, but the oldest after PASSES rows that passed over it."""
    chosen: dict[int, _Row] = {}
    for _ in best:
        first = next(row for row in best if row[0] not in chosen)
        old = next(row for row in oldest if row[0] not in chosen)
        passed = old[0] < first[0]
        take = old if passed and counters["passes"] >= PASSES else first
        counters["passes"] = counters["passes"] + 1 if passed and take is first else 0
        chosen[take[0]] = take
    return list(chosen.values())


def _count(row: JobRow, before: Status, at: int) -> None:
    row.move(before, Status.RUNNING)
    row.attempts += 1
    if row.started_at is None:
        row.started_at = at
    if row.single:  # What the attempt before said is no longer true.
        row.cause = row.error = row.exit_code = row.signal = row.progress = row.duration_us = None
