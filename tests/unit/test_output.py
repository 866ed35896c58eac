"""The output of attempts: where it lies, what its last line is, how it is read, followed and deleted."""

import asyncio
import ctypes
import errno
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from jobmgr.output import OutputFiles
from jobmgr.output.files import TOLD_BYTES, last_line, last_lines
from jobmgr.output.reader import PIECE_BYTES, Reader, follow_output, open_output
from jobmgr.output.watch import FileWatcher
from jobmgr.secrets import Mask
from tests.waiting import eventually

MIB = 1024 * 1024


@pytest.fixture
def files(tmp_path: Path) -> OutputFiles:
    """The output files of a node."""
    return OutputFiles(tmp_path / "output")


def write(files: OutputFiles, job: int, content: bytes, *, number: int = 0, attempt: int = 1) -> Path:
    """An attempt that has printed this."""
    path = Path(files.prepare(job, number, attempt).output)
    path.write_bytes(content)
    return path


def opened(path: Path) -> Reader:
    """The reader of a file that is there."""
    reader = open_output(path)
    assert reader is not None
    return reader


async def read(path: Path, start: int = 0, stop: int | None = None, *, exact: bool = False) -> bytes:
    """What a reader gives."""
    with opened(path) as reader:
        return b"".join([p async for p in reader.read(start, reader.size if stop is None else stop, exact=exact)])


def punched(path: Path, start: int, length: int) -> None:
    """Free the middle of a file, as the output cap does."""
    keep_size, punch_hole = 1, 2
    descriptor = os.open(path, os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.fallocate(descriptor, keep_size | punch_hole, ctypes.c_long(start), ctypes.c_long(length))
    os.close(descriptor)
    if result != 0:
        pytest.skip("the file system cannot free a part of a file")


class Following:
    """A follower at work, with what it got so far."""

    def __init__(self, path: Path, watcher: FileWatcher, *, tail: int | None = None) -> None:
        self.got = b""
        self.looked = 0
        self._wake, self._ended = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._follow(path, watcher, tail))

    async def _follow(self, path: Path, watcher: FileWatcher, tail: int | None) -> None:
        pieces = follow_output(path, watcher, tail=tail, wake=self._wake, ended=self._ended)
        async with aclosing(pieces):
            async for piece in pieces:
                self.got += piece
                self.looked += not piece

    def end(self) -> None:
        """Tell it that the attempt is over."""
        self._ended.set()
        self._wake.set()


@pytest.fixture(params=[True, False], ids=["inotify", "clock"])
async def watcher(request: pytest.FixtureRequest) -> AsyncIterator[FileWatcher]:
    """A watcher of each kind."""
    watcher = FileWatcher(inotify=request.param)
    yield watcher
    watcher.close()


# --- where it lies


def test_no_directory_grows_with_the_number_of_tasks(files: OutputFiles) -> None:
    """The files of many tasks are spread, at most a thousand tasks in one directory."""
    by_directory: dict[Path, int] = {}
    for number in range(5_000):
        directory = Path(files.paths(7, number, 1).output).parent
        by_directory[directory] = by_directory.get(directory, 0) + 1
    assert max(by_directory.values()) == 1000
    assert len({Path(files.paths(7, n, a).output) for n in range(1500) for a in (1, 2)}) == 3000


def test_every_attempt_has_files_of_its_own(files: OutputFiles) -> None:
    """No two attempts, tasks or jobs share a file, nor do a task's file and a directory of tasks."""
    attempts = [(j, n, a) for j in (0, 1, 999, 1000) for n in (0, 1, 2, 1000, 1001, 2000) for a in (1, 2, 11)]
    paths = [path for attempt in attempts for path in astuple(files, *attempt)]
    assert len(set(paths)) == len(paths)
    assert not {p.parent for p in paths} & set(paths)


def astuple(files: OutputFiles, job: int, number: int, attempt: int) -> Iterator[Path]:
    """The three files of an attempt."""
    paths = files.paths(job, number, attempt)
    yield from map(Path, (paths.output, paths.errors, paths.report))


def test_prepare_makes_directories_for_the_owner_only(files: OutputFiles, tmp_path: Path) -> None:
    """Every directory that is made has mode 0700."""
    paths = files.prepare(1234, 5678, 1)
    made = [p for p in Path(paths.output).parents if p.is_relative_to(tmp_path / "output")]
    assert [stat.S_IMODE(p.stat().st_mode) for p in made] == [0o700] * len(made)


def test_prepare_can_be_repeated(files: OutputFiles, tmp_path: Path) -> None:
    """The same attempt may be prepared again, also after somebody removed everything."""
    first = files.prepare(1, 1000, 1)
    assert files.prepare(1, 1000, 1) == first
    for directory in [p for p in Path(first.output).parents if p.is_relative_to(tmp_path / "output")]:
        directory.rmdir()
    assert Path(files.prepare(1, 1000, 1).output).parent.is_dir()


def test_prepare_reports_what_stands_in_the_way(files: OutputFiles, tmp_path: Path) -> None:
    """A file in place of the directory is an OSError, which the manager turns into a sentence."""
    (tmp_path / "output").write_text("")
    with pytest.raises(OSError, match="output"):
        files.prepare(1, 0, 1)


# --- how it goes away


def test_delete_removes_all_output_of_the_job_and_no_other(files: OutputFiles) -> None:
    """After a deletion the job's directory is gone and its neighbour is whole."""
    gone, kept = write(files, 1, b"a", number=2000), write(files, 2, b"b")
    files.delete_job(1)
    files.delete_job(1)
    assert not gone.exists()
    assert not gone.parent.parent.exists()
    assert kept.read_bytes() == b"b"


async def test_the_sweep_takes_what_belongs_to_no_job(files: OutputFiles, tmp_path: Path) -> None:
    """Output without a job and half-done deletions go; output of jobs and foreign files stay."""
    kept, orphan = write(files, 1, b"a"), write(files, 1001, b"b")
    foreign = tmp_path / "output" / "1" / "notes.txt"
    foreign.write_text("mine")
    half_deleted = tmp_path / "output" / ".trash" / "5-abc"
    half_deleted.mkdir(parents=True)

    async def alive(job: int) -> bool:
        return job == 1

    assert await files.sweep(alive) == 1
    assert kept.exists() and foreign.exists()
    assert not orphan.exists() and not half_deleted.exists()


async def test_the_sweep_of_nothing_finds_nothing(files: OutputFiles) -> None:
    """Before the first job there is no directory, which is fine."""

    async def alive(job: int) -> bool:
        return False

    assert await files.sweep(alive) == 0


# --- the last line


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        (b"", None),
        (b"\n \n\t\n", None),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"one\n\n  \n", "one"),
        (b"10 %\r50 %\r100 %\r\n", "100 %"),
        (b"\x1b[31mred\x1b[0m alert\x1b]0;title\x07\n", "red alert"),
        (b"a\x00b\x1bc\x7f\n", "a\\x00b\\x1bc\\x7f"),
        ("x\u202eevil\u2028y\n".encode(), "x\\u202eevil\\u2028y"),
        (b"caf\xe9 \xff\n", "caf� �"),
        ("grün → 🎉\n".encode(), "grün → 🎉"),
        (b"y" * 300, "y" * 199 + "…"),
    ],
)
def test_the_last_line_is_harmless(printed: bytes, line: str | None) -> None:
    """It is the last line with text, without terminal sequences, with what does not print escaped, and cut."""
    assert last_line(printed) == line


def test_the_last_line_is_sought_in_the_last_4_kib(files: OutputFiles) -> None:
    """A line in a large file is found without reading the file; one that began long before shows its end."""
    path = write(files, 1, b"x" * MIB + b"\nthe end\n")
    paths = files.paths(1, 0, 1)
    assert files.last_line(paths) == "the end"
    path.write_bytes(b"z" * MIB)
    assert files.last_line(paths) == "z" * 199 + "…"


def test_the_last_line_of_a_separate_stderr_goes_first(files: OutputFiles) -> None:
    """What a program says on stderr tells more about its end than what it printed."""
    write(files, 1, b"result: 5\n")
    paths = files.paths(1, 0, 1)
    Path(paths.errors).write_bytes(b"cannot open x\n")
    assert files.last_line(paths) == "cannot open x"
    Path(paths.errors).write_bytes(b"")
    assert files.last_line(paths) == "result: 5"


def test_there_is_no_last_line_without_a_file(files: OutputFiles) -> None:
    """An attempt that never began has none."""
    assert files.last_line(files.paths(1, 0, 1)) is None


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_case_52_only_a_regular_file_is_read(files: OutputFiles, tmp_path: Path, kind: str) -> None:
    """A job may put anything in the place of its output: a link leads nowhere, a pipe hangs nobody."""
    path = Path(files.prepare(1, 0, 1).output)
    (tmp_path / "secret").write_text("secret")
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe" and sys.platform != "win32":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert open_output(path) is None
    assert files.last_line(files.paths(1, 0, 1)) is None


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        (b"", ()),
        (b"\n \n\t\n", ()),
        (b"1\n2\n\n3\n4\n \n5\n6\n", ("2", "3", "4", "5", "6")),
        (b"one\r\ntwo\r\n", ("one", "two")),
        (b"start\n10 %\r50 %\r100 %\r\nbad", ("start", "100 %", "bad")),
        (b"Traceback:\n  File x\n\tdeep\n" + b" " * 50 + b"far", ("Traceback:", "  File x", " deep", " " * 8 + "far")),
        (b"\x1b[31mred\x1b[0m\na\x00b\x07\ncaf\xe9\n", ("red", "a\\x00b\\x07", "caf�")),
        (b"y" * 900 + b"\nend", ("y" * 399 + "…", "end")),
    ],
)
def test_the_last_lines_are_harmless(printed: bytes, lines: tuple[str, ...]) -> None:
    """At most five with text, with their indentation; of a line that overwrote itself what was seen last; each is cut."""
    assert last_lines(printed) == lines


@pytest.mark.parametrize("line", ["é" * 399, "🎉" * 399, "\u202e" * 399, "a" * 399])
def test_the_last_lines_have_2_kb_together(line: str) -> None:
    """The newest of them, and at least one."""
    lines = last_lines("\n".join([line] * 5 + ["end"]).encode())
    assert lines[-1] == "end"
    assert len("\n".join(lines).encode()) <= TOLD_BYTES
    assert len(lines) >= 2


def test_of_a_large_output_only_the_end_is_read(files: OutputFiles) -> None:
    """Ten gigabytes, mostly a hole, and a line without an end cost what a small file costs."""
    path = write(files, 1, b"")
    with path.open("r+b") as file:
        file.seek(10 * 1024**3)
        file.write(b"\none\ntwo\n")
    assert files.last_lines(files.paths(1, 0, 1))[-2:] == ("one", "two")
    path.write_bytes(b"z" * MIB)
    assert files.last_lines(files.paths(1, 0, 1)) == ("z" * 399 + "…",)


def test_the_last_lines_hide_secrets(files: OutputFiles) -> None:
    """In each of them, also with colours between the letters; of a separate stderr first."""
    mask, secret = Mask(["hunter22-swordfish"]), b"hunter22-swordfish"
    paths = files.paths(1, 0, 1)
    write(files, 1, b"a " + secret + b"\nb hunter\x1b[31m22-\x1b[0mswordfish\nc\n")
    assert files.last_lines(paths, mask) == ("a " + "*" * 18, "b ***", "c")
    Path(paths.errors).write_bytes(b"x " + secret[:10])
    assert files.last_lines(paths, mask) == ("x " + "*" * 10,)


# --- reading


async def test_case_55_bytes_are_given_as_they_are(files: OutputFiles) -> None:
    """Binary, NUL, invalid UTF-8 and characters split at the edge of a piece pass unchanged, in bounded pieces."""
    content = bytes(range(256)) * 8 + b"a" * (PIECE_BYTES - 2049) + "é🎉".encode() + b"\x00\xff"
    path = write(files, 1, content)
    with opened(path) as reader:
        pieces = [piece async for piece in reader.read(0, reader.size)]
    assert b"".join(pieces) == content
    assert len(pieces) == 2 and max(map(len, pieces)) <= PIECE_BYTES


async def test_a_range_is_read_exactly(files: OutputFiles) -> None:
    """A range gives the bytes from start up to stop, fewer where the file ends before."""
    path = write(files, 1, b"0123456789")
    assert await read(path, 2, 5, exact=True) == b"234"
    assert await read(path, 8, 50, exact=True) == b"89"
    assert await read(path, 50, 60, exact=True) == b""


async def test_a_freed_middle_is_told_in_text_and_zeros_in_ranges(files: OutputFiles) -> None:
    """The text view has one line in place of what was left out; offsets of the exact view stay true."""
    path = write(files, 1, b"h" * MIB + b"m" * MIB + b"t" * MIB)
    punched(path, MIB, MIB)
    told = "\n[… 1 MiB left out …]\n".encode()
    assert await read(path) == b"h" * MIB + told + b"t" * MIB
    assert await read(path, exact=True) == b"h" * MIB + bytes(MIB) + b"t" * MIB
    assert await read(path, 2 * MIB, 2 * MIB + 3, exact=True) == b"ttt"
    with opened(path) as reader:
        assert reader.has_gap()


async def test_a_file_of_nothing_but_a_gap_is_read_to_its_end(files: OutputFiles) -> None:
    """A job that made its output a hole of a terabyte gets a line, not a terabyte."""
    path = write(files, 1, b"")
    os.truncate(path, 2**40)
    assert await read(path) == "\n[… 1024 GiB left out …]\n".encode()


@pytest.mark.parametrize(
    ("content", "lines", "tail"),
    [
        (b"", 3, b""),
        (b"a\nb\nc\n", 0, b""),
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc\n", 3, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 99, b"a\nb\nc\n"),
        (b"\n\n\n", 2, b"\n\n"),
        (b"x" * 200_000 + b"\n" + b"y" * 200_000 + b"\n", 1, b"y" * 200_000 + b"\n"),
    ],
)
async def test_a_tail_is_the_last_lines(files: OutputFiles, content: bytes, lines: int, tail: bytes) -> None:
    """The last n lines, a last one without its end counted."""
    path = write(files, 1, content)
    with opened(path) as reader:
        start = await reader.tail_start(lines)
    assert content[start:] == tail


async def test_a_tail_reaches_over_a_freed_middle(files: OutputFiles) -> None:
    """Lines are counted on both sides of what was left out."""
    path = write(files, 1, b"a\nb\n" + b"m" * 3 * MIB + b"\ny\nz\n")
    punched(path, MIB, MIB)
    with opened(path) as reader:
        assert await reader.tail_start(2) == 3 * MIB + 5
        assert await reader.tail_start(4) == 2


# --- following


async def test_a_follower_gets_what_is_written_and_ends_with_the_attempt(
    files: OutputFiles, watcher: FileWatcher
) -> None:
    """What was there, what comes, and what was written just before the end: everything once, then the end."""
    path = write(files, 1, b"first\n")
    following = Following(path, watcher)
    await eventually(lambda: following.got == b"first\n")
    with path.open("ab", buffering=0) as file:
        file.write(b"second\n")
        await eventually(lambda: following.got == b"first\nsecond\n")
        file.write(b"last")
    following.end()
    await following.task
    assert following.got == b"first\nsecond\nlast"


async def test_a_follower_waits_for_the_file(files: OutputFiles, watcher: FileWatcher) -> None:
    """It may come before the program has begun."""
    paths = files.prepare(1, 0, 1)
    following = Following(Path(paths.output), watcher)
    await eventually(lambda: following.looked)
    Path(paths.output).write_bytes(b"here")
    await eventually(lambda: following.got == b"here")
    following.end()
    await following.task


async def test_a_follower_of_nothing_ends(files: OutputFiles, watcher: FileWatcher) -> None:
    """An attempt that ended without output ends its followers too."""
    following = Following(Path(files.paths(1, 0, 1).output), watcher)
    following.end()
    await following.task
    assert following.got == b""


async def test_a_follower_may_begin_with_the_last_lines(files: OutputFiles, watcher: FileWatcher) -> None:
    """Tail and follow go together."""
    path = write(files, 1, b"a\nb\nc\n")
    following = Following(path, watcher, tail=1)
    await eventually(lambda: following.got == b"c\n")
    following.end()
    await following.task


async def test_a_quiet_file_lets_the_follower_look_around(files: OutputFiles, watcher: FileWatcher) -> None:
    """While nothing comes the reader of pieces is woken now and then, to see whether its client is still there."""
    following = Following(write(files, 1, b""), watcher)
    await eventually(lambda: following.looked)
    following.end()
    await following.task


async def test_case_52_a_deleted_log_ends_its_followers_and_says_so(files: OutputFiles, watcher: FileWatcher) -> None:
    """What was written comes, then a line that the rest is not kept; nobody hangs."""
    path = write(files, 1, b"before\n")
    following = Following(path, watcher)
    await eventually(lambda: following.got)
    path.unlink()
    await following.task
    assert following.got.startswith(b"before\n") and b"deleted" in following.got


async def test_case_52_a_log_cut_off_ends_its_followers_and_says_so(files: OutputFiles, watcher: FileWatcher) -> None:
    """A file that became shorter than what was read is an explicit end."""
    path = write(files, 1, b"a long line\n")
    following = Following(path, watcher)
    await eventually(lambda: following.got)
    os.truncate(path, 0)
    await following.task
    assert b"cut off" in following.got


async def test_following_works_without_inotify_to_be_had(
    files: OutputFiles, watcher: FileWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the user's watches are used up, the clock does."""

    def used_up(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jobmgr.output.watch._Inotify.add", used_up)
    path = write(files, 1, b"")
    following = Following(path, watcher)
    await eventually(lambda: following.looked)
    path.write_bytes(b"more")
    await eventually(lambda: following.got == b"more")
    following.end()
    await following.task


async def test_followers_of_one_file_do_not_disturb_each_other(files: OutputFiles, watcher: FileWatcher) -> None:
    """One that leaves takes no wakes from the one that stays."""
    path = write(files, 1, b"")
    staying, leaving = Following(path, watcher), Following(path, watcher)
    await eventually(lambda: staying.looked and leaving.looked)
    leaving.end()
    await leaving.task
    with path.open("ab", buffering=0) as file:
        file.write(b"more")
    await eventually(lambda: staying.got == b"more")
    staying.end()
    await staying.task


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="this system cannot tell gaps")
async def test_a_follower_left_behind_is_told_of_the_gap(files: OutputFiles, watcher: FileWatcher) -> None:
    """Where the middle was freed before it was read, the follower gets the line in its place."""
    path = write(files, 1, b"h" * MIB + b"m" * MIB + b"t")
    punched(path, MIB, MIB)
    following = Following(path, watcher)
    following.end()
    await following.task
    assert following.got == b"h" * MIB + "\n[… 1 MiB left out …]\n".encode() + b"t"


# --- secrets


async def test_what_a_gap_left_of_a_secret_is_hidden(files: OutputFiles) -> None:
    """The freed middle may begin or end within a secret; bytes that are no part of one are shown."""
    secret = "".join(chr(33 + n) for n in range(64))
    begins, ends = 65536, 131072
    kept = (secret[:40].encode(), secret[40:].encode())
    head, tail = b"." * (begins - 40) + kept[0], kept[1] + b"..." + secret.encode() + b"end\n"
    path = write(files, 1, head + b"." * (ends - begins) + tail)
    punched(path, begins, ends - begins)
    reader = open_output(path, Mask([secret]))
    assert reader is not None
    with reader:
        exact = b"".join([piece async for piece in reader.read(0, reader.size, exact=True)])
        shown = b"".join([piece async for piece in reader.read(0, reader.size)])
    before, after = b"." * (begins - 40) + b"*" * 40, b"*" * 24 + b"..." + b"*" * 64 + b"end\n"
    assert exact == before + bytes(ends - begins) + after
    assert shown == before + "\n[… 64 KiB left out …]\n".encode() + after


def test_the_last_line_hides_secrets(files: OutputFiles) -> None:
    """Also one that begins before what is looked at, one that is cut off, and one with colours between its letters."""
    mask, secret = Mask(["hunter22-swordfish"]), b"hunter22-swordfish"
    paths = files.paths(1, 0, 1)
    write(files, 1, b"ok\npass " + secret + b"!\n")
    assert files.last_line(paths, mask) == "pass " + "*" * 18 + "!"
    write(files, 1, b"x" * 9000 + secret + b"y" * 4090)
    assert "swordfish" not in (files.last_line(paths, mask) or "")
    assert (files.last_line(paths, mask) or "").startswith("******y")
    write(files, 1, b"y" * 190 + secret + b"z" * 190)
    assert (files.last_line(paths, mask) or "").endswith("*********…")
    write(files, 1, b"hunter\x1b[31m22-\x1b[0mswordfish\n")
    assert files.last_line(paths, mask) == "***"
