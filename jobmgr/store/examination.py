"""Looking a database over without touching it: for `jobmgr doctor`, beside a running server, after a killed one, and where one may only read.

Reads what is committed, write-ahead log included, changes nothing, and migrates nothing. Stops looking after a while: a long read keeps a
running server from shortening its write-ahead log. Assumes that no server starts or ends meanwhile; then a look may fail, never harm.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jobmgr.errors import DataDirError
from jobmgr.store import sqlite_file

SAFE_FROM = (3, 51, 3)
"""The first SQLite without the WAL-reset bug: two connections that checkpoint at the same moment could lose commits or damage the file."""
_BACKPORTS = {(3, 50): 7, (3, 44): 6}
_STEPS_BETWEEN_LOOKS = 100_000


@dataclass(frozen=True, slots=True)
class Examination:
    """What was seen. `complete` is False where time ran out: then `jobs` may be empty, and damage further back unseen."""

    path: Path
    size_bytes: int
    wal_bytes: int
    schema: int
    known_schema: int
    """The newest that this version of jobmgr knows."""
    jobs: Mapping[str, int]
    """How many, by status."""
    newest_us: int | None
    """Wall time of the newest event."""
    complete: bool
    writable: bool
    """By this user, as far as the rights of the file say."""


def sqlite_version() -> str:
    """Of the library in use."""
    return sqlite3.sqlite_version


def has_wal_reset_bug(version: str) -> bool:
    """Whether a SQLite of this version has the bug (distributions may have mended it without another number)."""
    major, minor, patch = (*(int(part) for part in version.split(".")), 0, 0)[:3]
    mended = _BACKPORTS.get((major, minor))
    return (major, minor, patch) < SAFE_FROM and (mended is None or patch < mended)


def examine(directory: Path, *, longest_s: float) -> Examination | None:
    """Look the database of this directory over; None: none was made yet. Raises DatabaseDamaged and DataDirError as the server would.

    But one that may only be read is looked over, too.
    """
    path = directory / sqlite_file.DATABASE
    try:
        if sqlite_file.is_new(directory):
            return None
        sqlite_file.refuse_garbage(path)
        with closing(sqlite_file.open_untouched(directory)) as connection:
            return _look(connection, path, longest_s)
    except sqlite3.Error as error:
        raise sqlite_file.cannot_open(path, error) from error
    except OSError as error:
        raise DataDirError(f"The database {path} cannot be read: {error.strerror}.") from error


def _look(connection: sqlite3.Connection, path: Path, longest_s: float) -> Examination:
    schema = sqlite_file.read_schema(connection, path)
    newest = _newest_us(connection) if schema else None
    jobs: dict[str, int] = {}
    complete = True
    deadline = time.monotonic() + longest_s
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        if schema:
            jobs = dict(connection.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status"))
        problems = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        if problems != ["ok"]:
            raise sqlite_file.damaged(path, "; ".join(problems))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        complete = False
    known = max(number for number, _ in sqlite_file.migrations())
    wal = path.with_name(f"{path.name}-wal")
    return Examination(
        path,
        path.stat().st_size,
        wal.stat().st_size if wal.exists() else 0,
        schema,
        known,
        jobs,
        newest,
        complete,
        os.access(path, os.W_OK),
    )


def _newest_us(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return int(row[0]) if row else None
