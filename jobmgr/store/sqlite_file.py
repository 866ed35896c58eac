"""The data directory and the database file in it: may we use them, are they whole, what version are they.

One server per directory, by a lock that the kernel frees at any death. The file is checked before it is used; a damaged, emptied or missing
one is refused in a sentence and never replaced: `CREATED` stands beside the database to tell a used directory from a new one.
Assumes a local disk: WAL is not safe on a network file system.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from jobmgr.errors import DatabaseDamaged, DataDirError

DATABASE = "jobmgr.db"
LOCK = "lock"
CREATED = "jobmgr.created"
_MAGIC = b"SQLite format 3\x00"
_APPLICATION_ID = 0x6A6F626D  # "jobm"

BUSY_TIMEOUT_S = 5.0
CHECKPOINT_PAGES = 2000
WAL_LIMIT_BYTES = 64 * 2**20
CACHE_KIB = 8192
_DAMAGED_CODES = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
READ_THROUGH_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Opening:
    """What was seen at the opening, for the log. `check_s` is how long the check of the whole file took, in seconds."""

    path: Path
    created: bool
    sqlite_version: str
    schema: int
    size_bytes: int
    check_s: float

    def facts(self) -> dict[str, str | int | float | bool]:
        """Its fields by name, as a line of the log takes them."""
        return asdict(self) | {"path": str(self.path), "check_s": round(self.check_s, 3)}


# --- the directory


def prepare_directory(directory: Path) -> None:
    """Make the directory if it is missing, for its owner only. Raises DataDirError where it cannot be used or others could write."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise DataDirError(f"The data directory {directory} cannot be made or read: {error.strerror}.") from error
    if not stat.S_ISDIR(mode):
        raise DataDirError(f"The data directory {directory} is not a directory.")
    if sys.platform != "win32" and mode & stat.S_IWOTH:
        raise DataDirError(
            f"The data directory {directory} has mode {stat.S_IMODE(mode):04o}: anybody on this machine could change it. "
            f"Use one of your own, or type: chmod 700 '{directory}'"
        )


class DirectoryLock:
    """Held by the one server of a data directory. Children do not inherit it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK
        self._file: int | None = None

    def take(self) -> None:
        """Take it, or raise DataDirError naming who has it."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirError(f"The data directory {self._path.parent} is not writable: {error.strerror}.") from error
        if not _lock(file):
            os.lseek(file, 0, os.SEEK_SET)
            holder = os.read(file, 32).decode("ascii", "replace").strip()
            os.close(file)
            who = f"the server with pid {holder}" if holder.isdigit() else "another server"
            raise DataDirError(
                f"The data directory {self._path.parent} is in use by {who}. Stop it, or set another JOBMGR_DATA_DIR."
            )
        self._file = file
        try:
            os.truncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        except OSError:
            pass  # A full disk. The lock holds; only its holder's pid cannot be told.

    def free(self) -> None:
        """Let go of it. Safe to repeat."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        # A byte far behind the pid: a locked byte cannot be read by others.
        os.lseek(file, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(file, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def _lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


# --- the file


def open_writer(directory: Path) -> tuple[sqlite3.Connection, Opening]:
    """The one connection that writes, on a checked and migrated database; a new one in a new directory. The lock must be held."""
    path = directory / DATABASE
    created = is_new(directory)
    if not created:
        refuse_garbage(path)
        _refuse_read_only(path)
    else:
        _make(path)
    started = time.monotonic()
    _read_through(path)
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path)
        _set_up_writer(connection)
        _check(connection, path)
        checked = time.monotonic()
        schema = migrate(connection, path)
        _mark_created(directory)
    except sqlite3.Error as error:
        _close_quietly(connection)
        raise cannot_open(path, error) from error
    except BaseException:
        _close_quietly(connection)
        raise
    return connection, Opening(path, created, sqlite3.sqlite_version, schema, path.stat().st_size, checked - started)


def _make(path: Path) -> None:
    """An empty file that only its owner reads, whatever the umask."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise DataDirError(f"The database {path} cannot be made: {error.strerror}.") from error


def cannot_open(path: Path, error: sqlite3.Error) -> DataDirError:
    """The error to raise: tells a damaged file from one that cannot be used just now."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED_CODES:
        return damaged(path, str(error))
    return DataDirError(
        f"The database {path} cannot be opened ({error}). Is the disk full, read-only or failing, or is another program using the file?"
    )


def open_reader(directory: Path) -> sqlite3.Connection:
    """A connection that can only read."""
    connection = _connect(directory / DATABASE)
    connection.execute("PRAGMA query_only = 1")
    # SQLite opens the log with the first read. Done now, a server has all its descriptors from the start on.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection


def open_untouched(directory: Path) -> sqlite3.Connection:
    """A connection that changes nothing at all, not even the files beside the database; a server may run, or have been killed.

    Without a write-ahead log nobody has the database open, and SQLite would make one to read it: then it is read as it lies there.
    """
    path = directory / DATABASE
    how = "mode=ro&readonly_shm=1" if Path(f"{path}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def identity(directory: Path) -> tuple[int, int] | None:
    """Device and number of the database file that has the name now; None where none has."""
    try:
        status = os.stat(directory / DATABASE)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    # isolation_level None: transactions begin and end where we say so. Each connection has one thread at a time, not always the same.
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def _set_up_writer(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = 1")  # macOS: a plain fsync does not reach the platter.
    connection.execute("PRAGMA checkpoint_fullfsync = 1")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA mmap_size = 0")


def _close_quietly(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def is_new(directory: Path) -> bool:
    """Whether the database is to be made. Raises DatabaseDamaged where one should be there."""
    path = directory / DATABASE
    size = path.stat().st_size if path.exists() else None
    if size:
        return False
    if (directory / CREATED).exists() or _size(directory / f"{DATABASE}-wal") or _in_use(directory):
        raise damaged(path, "it is missing" if size is None else "it is empty")
    return True  # An empty file without a mark: a first start that was cut off before anything was written.


def _in_use(directory: Path) -> bool:
    """Whether earlier servers left keepers or output here."""
    return any(
        entry for name in ("keepers", "output") if (directory / name).is_dir() for entry in (directory / name).iterdir()
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def refuse_garbage(path: Path) -> None:
    """Raise DatabaseDamaged for what is none: SQLite would take some wrecks for a new one. Raises DataDirError where it cannot be read."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise DataDirError(f"The database {path} cannot be read: {error.strerror}.") from error
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise damaged(path, "its header is not that of a database")


def _refuse_read_only(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise DataDirError(f"The database {path} is not writable by this user.")


def _read_through(path: Path) -> None:
    """Bring the file into memory from end to end: the check after it jumps about, which on a cold disk took 16 s for 800 MB, so 4 s."""
    if path.stat().st_size > READ_THROUGH_BYTES:
        return
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def _check(connection: sqlite3.Connection, path: Path) -> None:
    problems = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise damaged(path, "; ".join(problems))


def damaged(path: Path, why: str) -> DatabaseDamaged:
    """The error to raise, with what can be done."""
    return DatabaseDamaged(
        f"The database {path} is damaged ({' '.join(why.split())}). It is left as it is and never replaced by an empty one; jobs that run go on. "
        f"Put a backup in its place, or repair it (docs/operations.md says how), or, to begin anew, move the whole directory {path.parent} away."
    )


def _mark_created(directory: Path) -> None:
    mark = directory / CREATED
    if mark.exists():
        return
    mark.write_text(
        "The database beside this file was made. If it is missing, jobmgr refuses to start with an empty one.\n"
    )
    if sys.platform != "win32":
        folder = os.open(directory, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


# --- migrations


def migrations() -> Iterator[tuple[int, str]]:
    """Number and text of each migration, in order."""
    for file in sorted(resources.files("jobmgr.store").joinpath("migrations").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield int(file.name.split("_")[0]), file.read_text("utf-8")


def migrate(connection: sqlite3.Connection, path: Path) -> int:
    """Bring the tables up to date, each step in one transaction, and return their version. Raises DataDirError for a newer one."""
    version = read_schema(connection, path)
    newest = version
    for newest, text in migrations():
        if newest > version:
            _apply_migration(connection, newest, text)
    if version > newest:
        raise DataDirError(
            f"The database {path} was written by a newer jobmgr (schema {version}, this version knows {newest}). Start that version, or a later one."
        )
    return newest


def read_schema(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the tables; 0 before there are any. Raises DataDirError where they are not ours."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return 0
    if "meta" not in tables or connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise DataDirError(f"The database {path} is not one of jobmgr. Set another JOBMGR_DATA_DIR.")
    version = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    return int(version[0])


def _apply_migration(connection: sqlite3.Connection, number: int, text: str) -> None:
    done = f"UPDATE meta SET value = {number} WHERE name = 'schema'; PRAGMA application_id = {_APPLICATION_ID};"
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {text}; {done} COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
