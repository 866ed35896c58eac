"""The keeper's journal: what is written is read, damage costs only what is damaged, room for an end is kept, what is forgotten goes."""

# ruff: noqa: E402  What only Linux has is imported after the look at the system.

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("a keeper needs Unix", allow_module_level=True)

assert sys.platform == "linux"

from jobmgr.process import journal

HEADER = journal.Header("k", "boot", 7, 9)
BEGIN: dict[str, Any] = {"at": 1, "boot": 2, "launch": {"output": "/x"}}


@pytest.fixture
def written(tmp_path: Path) -> journal.Journal:
    """An empty journal in `tmp_path`."""
    return journal.Journal(str(tmp_path), HEADER)


def test_lines_of_a_run_are_merged(written: journal.Journal, tmp_path: Path) -> None:
    """Each adds its fields; the header is told apart."""
    written.begin("a", BEGIN)
    written.begin("b", BEGIN)
    written.append("a", {"pid": 3, "ticks": 4})
    written.append("a", {"end": {"code": 0}})
    contents = journal.read(str(tmp_path))
    assert contents.header == HEADER
    assert contents.runs == {
        "a": {"run": "a", **BEGIN, "pid": 3, "ticks": 4, "end": {"code": 0}},
        "b": {"run": "b", **BEGIN},
    }


@given(cut=st.integers(0, 10_000), junk=st.binary(max_size=50))
def test_fault_29_wherever_it_is_torn_what_stands_before_is_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    """Cut anywhere, with anything after: whole lines before the cut count, nothing else is believed."""
    directory = tmp_path_factory.mktemp("torn")
    written = journal.Journal(str(directory), HEADER)
    for n in range(20):
        written.begin(str(n), BEGIN)
        written.append(str(n), {"pid": n, "ticks": n})
    written.close()
    path = next(directory.iterdir())
    data = path.read_bytes().rstrip(b"\0")
    cut = min(cut, len(data))
    path.write_bytes(data[:cut] + junk.replace(b"\n", b"") + b"\0" * 100)
    whole = max(data[:cut].count(b"\n") - 1, 0)
    contents = journal.read(str(directory))
    lines = len(contents.runs) + sum("pid" in record for record in contents.runs.values())
    assert whole <= lines <= whole + 1  # A cut just before a line's end leaves the line whole.


def test_a_flipped_bit_costs_one_line(written: journal.Journal, tmp_path: Path) -> None:
    """The lines after it are still read."""
    written.begin("a", BEGIN)
    written.begin("b", BEGIN)
    written.begin("c", BEGIN)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes().replace(b'"run":"b"', b'"run":"x"'))
    assert journal.read(str(tmp_path)).runs.keys() == {"a", "c"}


def test_an_end_finds_room_on_a_full_disk(
    written: journal.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many runs as could begin can also end, without one more byte from the disk."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def begin_until_full() -> None:
        for n in range(1, 10_000):
            written.begin(str(n), BEGIN)
            runs.append(str(n))

    written.begin("0", BEGIN)
    runs = ["0"]
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        begin_until_full()
    size = next(tmp_path.iterdir()).stat().st_size
    for run in runs:
        written.append(run, {"failed": {"errno": 2, "error": "x" * 1200}}, last=True)
    assert next(tmp_path.iterdir()).stat().st_size == size
    assert len(runs) > 100
    assert all("failed" in record for record in journal.read(str(tmp_path)).runs.values())


def test_a_failed_segment_leaves_nothing_behind(
    written: journal.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next try, with room again, works."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            written.begin("a", BEGIN)
    assert list(tmp_path.iterdir()) == []
    written.begin("a", BEGIN)
    assert journal.read(str(tmp_path)).runs.keys() == {"a"}


def test_a_segment_goes_with_the_last_of_its_runs(written: journal.Journal, tmp_path: Path) -> None:
    """Forgetting costs no writing; disk use follows what is not forgotten."""
    runs = [str(n) for n in range(6000)]
    for run in runs:
        written.begin(run, BEGIN)
        written.append(run, {"end": {}}, last=True)
    segments = len(list(tmp_path.iterdir()))
    for run in runs:
        written.forget(run)
    assert segments > 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_long_running_run_keeps_its_segment_only(written: journal.Journal, tmp_path: Path) -> None:
    """The others come and go, and its end still goes where it began."""
    written.begin("long", BEGIN)
    for n in range(5000):
        written.begin(str(n), BEGIN)
        written.append(str(n), {"end": {}}, last=True)
        written.forget(str(n))
    assert len(list(tmp_path.iterdir())) <= 2
    written.append("long", {"end": {"code": 1}}, last=True)
    assert journal.read(str(tmp_path)).runs["long"]["end"] == {"code": 1}


def test_an_heir_goes_on_where_the_dead_keeper_stopped(written: journal.Journal, tmp_path: Path) -> None:
    """It writes after the last whole line."""
    written.begin("a", BEGIN)
    written.append("a", {"pid": 1, "ticks": 2})
    heir = journal.Journal.reopen(str(tmp_path))
    heir.append("a", {"end": {"code": 5}})
    heir.append("a", {"usage": None}, last=True)
    assert journal.read(str(tmp_path)).runs["a"] == {
        "run": "a",
        **BEGIN,
        "pid": 1,
        "ticks": 2,
        "end": {"code": 5},
        "usage": None,
    }


def test_only_what_is_not_forgotten_in_time_is_synced(
    written: journal.Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look lets it age, the second brings it to disk."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    written.begin("quick", BEGIN)
    written.sync_old()
    written.forget("quick")
    written.sync_old()
    assert synced == []
    assert not written.needs_sync()
    written.begin("slow", BEGIN)
    written.sync_old()
    written.sync_old()
    assert len(synced) == 1
    assert not written.needs_sync()
