"""The data directory in a bad state: refused with the reason, and nothing in it touched."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobmgr.errors import DatabaseDamaged, DataDirError
from jobmgr.store.sqlite import SqliteStore
from tests.contract.stores import a_spec, submitted


async def used(directory: Path, jobs: int = 300) -> Path:
    """A directory in which jobs were kept, closed."""
    store = SqliteStore(directory)
    await store.open()
    await submitted(store, *(a_spec(f"job-number-{i}", args=("x" * 50,)) for i in range(jobs)))
    await store.close()
    return directory / "jobmgr.db"


async def refusal(directory: Path) -> str:
    """The sentence with which the directory is refused."""
    store = SqliteStore(directory)
    with pytest.raises(DataDirError) as caught:
        await store.open()
    await store.close()
    return str(caught.value)


def contents(directory: Path) -> dict[str, bytes]:
    """All files but the lock."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def garbage_header(path: Path) -> None:
    """The first page is overwritten."""
    with path.open("r+b") as file:
        file.write(os.urandom(4096))


def garbage_middle(path: Path) -> None:
    """Pages in the middle are overwritten."""
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(os.urandom(8 * 4096))


def truncated(path: Path) -> None:
    """The second half is gone."""
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def empty(path: Path) -> None:
    """Zero length."""
    os.truncate(path, 0)


def missing(path: Path) -> None:
    """Deleted."""
    path.unlink()


def missing_with_its_mark(path: Path) -> None:
    """Deleted with everything of that name, but a log is left."""
    path.unlink()
    (path.parent / "jobmgr.created").unlink()
    path.with_name("jobmgr.db-wal").write_bytes(os.urandom(5000))


def missing_but_keepers_are_left(path: Path) -> None:
    """Deleted with everything of that name; the directories of keepers tell that jobs ran here."""
    missing(path)
    (path.parent / "jobmgr.created").unlink()
    (path.parent / "keepers" / "k1").mkdir(parents=True)


@pytest.mark.parametrize(
    "damage",
    [garbage_header, garbage_middle, truncated, empty, missing, missing_with_its_mark, missing_but_keepers_are_left],
)
async def test_fault_27_a_damaged_database_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """FAULT 27: a sentence that names the file and what to do; never an empty database in its place."""
    path = await used(tmp_path / "data")
    damage(path)
    before = path.read_bytes() if path.exists() else None
    store = SqliteStore(tmp_path / "data")
    with pytest.raises(DatabaseDamaged) as caught:
        await store.open()
    assert str(path) in str(caught.value)
    assert "backup" in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == before


async def test_a_refused_directory_can_be_opened_once_it_is_repaired(tmp_path: Path) -> None:
    """The lock is free again, and the backup works."""
    path = await used(tmp_path / "data")
    shutil.copy(path, tmp_path / "backup")
    garbage_header(path)
    await refusal(tmp_path / "data")
    shutil.copy(tmp_path / "backup", path)
    store = SqliteStore(tmp_path / "data")
    await store.open()
    assert await store.count_jobs() == 300
    await store.close()


async def test_a_first_start_that_was_cut_off_begins_again(tmp_path: Path) -> None:
    """An empty file without a mark was never a database."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    (directory / "jobmgr.db").write_bytes(b"")
    store = SqliteStore(directory)
    await store.open()
    assert await submitted(store) == (0,)
    await store.close()


async def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """Tables that are not ours stay as they are."""
    (tmp_path / "data").mkdir(mode=0o700)
    other = sqlite3.connect(tmp_path / "data" / "jobmgr.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    assert "not one of jobmgr" in await refusal(tmp_path / "data")


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """A schema that this version does not know."""
    path = await used(tmp_path / "data")
    newer = sqlite3.connect(path)
    newer.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    newer.commit()
    newer.close()
    assert "newer jobmgr (schema 99" in await refusal(tmp_path / "data")


async def test_fault_14_two_servers_never_share_a_directory(tmp_path: Path) -> None:
    """FAULT 14: the second refuses at once and names the first; when the first has gone, the next may."""
    first = SqliteStore(tmp_path / "data")
    await first.open()
    assert f"in use by the server with pid {os.getpid()}" in await refusal(tmp_path / "data")
    script = "import sys,asyncio,pathlib; from jobmgr.store.sqlite import SqliteStore; asyncio.run(SqliteStore(pathlib.Path(sys.argv[1])).open())"
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    other = await asyncio.create_subprocess_exec(
        *command, cwd=Path(__file__).parents[2], stderr=asyncio.subprocess.PIPE
    )
    _, said = await other.communicate()
    assert other.returncode != 0
    assert f"in use by the server with pid {os.getpid()}" in said.decode()
    assert await submitted(first) == (0,)
    await first.close()
    second = SqliteStore(tmp_path / "data")
    await second.open()
    await second.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_a_missing_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """Directory 0700, database 0600, whatever the umask."""
    before = os.umask(0)
    try:
        await used(tmp_path / "a" / "data", jobs=1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "data" / "jobmgr.db").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_fault_93_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """FAULT 93: mode 0777, with the command that mends it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    sentence = await refusal(tmp_path / "data")
    assert "0777" in sentence
    assert "chmod 700" in sentence
    assert contents(tmp_path / "data") == {}


async def test_fault_93_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    """FAULT 93: not a directory, or below one that is none."""
    (tmp_path / "data").write_text("mine")
    assert "cannot be made or read" in await refusal(tmp_path / "data")
    assert "cannot be made or read" in await refusal(tmp_path / "data" / "below")
    assert (tmp_path / "data").read_text() == "mine"


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A directory in which nothing can be written: by its mode, or for root, whom no mode stops, by its mount."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o500)
    if sys.platform == "win32" or os.geteuid() != 0:
        yield directory
        return
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=64k,mode=700", "tmpfs", str(directory)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("root without the right to mount has no read-only directory")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_fault_93_a_read_only_directory_is_refused(read_only: Path) -> None:
    """FAULT 93: no right to write there."""
    assert "not writable" in await refusal(read_only)
    assert "cannot be made or read" in await refusal(read_only / "below")
