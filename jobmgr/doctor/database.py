"""The database: is it there, is it whole, is it of this version. Read only; a server may run beside."""

from __future__ import annotations

from collections.abc import Iterator

from jobmgr.doctor.disk import size
from jobmgr.doctor.finding import Finding, ok, problem, warning
from jobmgr.errors import DatabaseDamaged, DataDirError
from jobmgr.store.examination import Examination
from jobmgr.store.sqlite_file import WAL_LIMIT_BYTES

LOOK_S = 30.0
"""How long it is read at most: a long look keeps a running server from shortening its write-ahead log."""


def check(seen: Examination | DataDirError | None) -> Iterator[Finding]:
    """What `examine` saw or raised."""
    if seen is None:
        yield ok("database", "there is none yet", "the first start of a server makes it")
    elif isinstance(seen, DatabaseDamaged):
        means = "the server refuses to start; jobs that run go on"
        yield problem("database", str(seen), means, "docs/operations.md: When the database is damaged")
    elif isinstance(seen, DataDirError):
        yield problem("database", str(seen), "the server could not start", "mend what the sentence names")
    else:
        yield from _seen(seen)


def _seen(seen: Examination) -> Iterator[Finding]:
    yield _whole(seen)
    yield _schema(seen)
    if seen.wal_bytes > WAL_LIMIT_BYTES:
        means = "something reads for long and keeps it from being cut (a backup, a look with sqlite3); the disk fills and reads slow down"
        yield warning(
            "write-ahead log",
            size(seen.wal_bytes),
            means,
            "let that reader end; a new start of the server cuts it, too",
        )
    else:
        yield ok(
            "write-ahead log",
            size(seen.wal_bytes),
            "what is committed and not yet in the database itself; short enough",
        )
    counts = ", ".join(f"{count} {status}" for status, count in sorted(seen.jobs.items()))
    if seen.jobs or seen.complete:
        yield ok(
            "jobs",
            counts or "none",
            "as committed; while no server runs, what has ended since is in the keepers' journals",
        )


def _whole(seen: Examination) -> Finding:
    found = f"{seen.path}, {size(seen.size_bytes)}"
    if not seen.writable:
        means = "it can be read here; a server could not keep anything in it, so it refuses to start"
        return problem(
            "database", f"{found}, not writable by this user", means, "run it as the owner, or change the rights"
        )
    if seen.complete:
        return ok("database", f"{found}, whole", "SQLite's quick_check found nothing")
    return ok(
        "database",
        f"{found}, not read to its end",
        f"{LOOK_S:g} s were not enough; the server checks all of it at its start",
    )


def _schema(seen: Examination) -> Finding:
    found = f"schema {seen.schema}, this version knows {seen.known_schema}"
    if seen.schema > seen.known_schema:
        return problem(
            "schema",
            found,
            "it was written by a newer jobmgr; this one refuses it",
            "start that version, or a later one",
        )
    if seen.schema < seen.known_schema:
        return ok(
            "schema", found, "the next start brings it up to date; make a backup first: an older jobmgr refuses it then"
        )
    return ok("schema", found, "up to date")
