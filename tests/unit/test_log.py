"""The log: one event is one line and one value is one value, whatever is in it; nothing that happens to the file reaches the caller."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr import log
from jobmgr.errors import SettingsError
from jobmgr.log import MAX_VALUE_CHARS, render
from jobmgr.logfile import LineWriter, LogFile

PAIR = re.compile(r'([A-Za-z0-9_.-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"=\\]*))(?: |$)')
NASTY = [
    "two\nlines\r\n",
    "\x1b]8;;http://evil\x07link",
    'quote" level=error event="forged',
    "a=b",
    "back\\slash",
    "\u2028\u2029\x85\x0b\x0c",
    "\x00\x7f\x9b",
    "\ud800 lone",
    "\u202egnp.exe",
    "",
    " ",
    "größe 漢字 😀",
]


def parse(line: str) -> dict[str, str]:
    """A strict logfmt reader: every character of the line belongs to a pair, or the line is refused."""
    assert line.endswith("\n")
    body, at, fields = line[:-1], 0, {}
    while at < len(body):
        pair = PAIR.match(body, at)
        assert pair is not None, f"not logfmt at {at}: {body!r}"
        key, quoted, bare = pair.groups()
        assert key not in fields, f"two values of {key}"
        fields[key] = bare if quoted is None else json.loads(f'"{quoted}"')
        at = pair.end()
    return fields


def line_of(event: str = "e", level: str = "info", **fields: object) -> str:
    """One rendered line."""
    return render(None, level, {"event": event, **fields})


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A log file that is closed again whatever the test does."""
    yield tmp_path / "logs" / "app.log"
    log.close()


def events(path: Path) -> list[str]:
    """The events in a log file, each line parsed."""
    return [parse(line)["event"] for line in path.read_text().splitlines(keepends=True)]


def test_a_line_starts_with_time_level_and_event() -> None:
    """The first three pairs are fixed; the time is RFC 3339 UTC with milliseconds."""
    start = r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warning event="attempt ended" job=job-7 exit_code=3\n'
    assert re.fullmatch(start, line_of("attempt ended", "warning", job="job-7", exit_code=3))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_unchanged(text: str) -> None:
    """Reading a line gives the value that was logged, and the field after it."""
    fields = parse(line_of(value=text, after="end"))
    assert (fields["value"], fields["after"]) == (text, "end")


@given(st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp", "Cf"], include_characters='"=\\ \n'), max_size=50))
def test_hostile_text_stays_one_printable_line(text: str) -> None:
    """Controls, separators, direction marks and lone surrogates leave one line of printable characters."""
    line = line_of(text, value=text)
    assert line[:-1].isprintable()
    assert len(line.splitlines()) == 1
    assert parse(line)["value"] == parse(line)["event"]


@pytest.mark.parametrize("text", NASTY)
def test_a_known_trick_comes_back_as_plain_data(text: str) -> None:
    """None of the known ways to forge a line does."""
    fields = parse(line_of(text, value=text))
    assert (fields["event"], fields["value"], fields["level"]) == (text, text, "info")


@given(st.text(max_size=30))
def test_a_field_name_cannot_forge_either(name: str) -> None:
    """Whatever a field is called, its name is a word that is not one of our own three."""
    fields = parse(render(None, "info", {name: "v", "event": "e"}))
    assert fields["level"] == "info"
    assert fields["event"] == "e"


def test_a_value_of_a_megabyte_is_cut_with_a_mark() -> None:
    """The beginning and the end stay, and the mark says how much is missing."""
    value = parse(line_of(value="a" + "x" * 1_000_000 + "z"))["value"]
    assert value.startswith("ax") and value.endswith("xz")
    assert f"[{1_000_002 - MAX_VALUE_CHARS} characters cut]" in value
    assert len(value) < MAX_VALUE_CHARS + 50


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-7, "-7"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        pytest.param(10**5000, None, id="huge"),
        ([1, "a b"], "[1, 'a b']"),
        (b"\xff\n", "\\xff\n"),
    ],
)
def test_values_of_other_kinds_become_text(value: object, text: str | None) -> None:
    """Numbers, truth values, lists and bytes have a readable form; what has none is said to be unprintable."""
    assert parse(line_of(value=value))["value"] == (text or "<unprintable int: ValueError>")


def test_none_is_left_out() -> None:
    """A field that has no value takes no room."""
    assert "signal" not in parse(line_of(signal=None, code=0))


def test_a_value_that_cannot_be_printed_costs_only_itself() -> None:
    """A broken __str__ is named in the line instead of raised."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert parse(line_of(value=Broken(), after=1)) | {"time": ""} == {
        "time": "",
        "level": "info",
        "event": "e",
        "value": "<unprintable Broken: RuntimeError>",
        "after": "1",
    }


def test_logged_events_are_in_the_file_after_flush(path: Path) -> None:
    """What a logger was bound to and what the call says are one line."""
    log.configure(path)
    log.get_logger(node="a").info("attempt began", job="job-1")
    assert log.flush()
    fields = parse(path.read_text())
    assert (fields["event"], fields["node"], fields["job"]) == ("attempt began", "a", "job-1")


def test_close_writes_what_is_queued_and_may_be_repeated(path: Path) -> None:
    """Nothing logged before close is lost; what comes after it goes nowhere and raises nothing."""
    log.configure(path)
    for number in range(1000):
        log.get_logger().info(f"event-{number}")
    log.close()
    log.close()
    log.get_logger().error("too late")
    assert events(path) == [f"event-{number}" for number in range(1000)]


def test_a_logger_made_before_configure_works_after_it(path: Path) -> None:
    """Module-level loggers follow every later configure, also a second one."""
    logger = log.get_logger()
    logger.info("nowhere")
    log.configure(path)
    logger.info("first")
    log.configure(path.with_name("other.log"))
    logger.info("second")
    log.close()
    assert (events(path), events(path.with_name("other.log"))) == (["first"], ["second"])


def test_the_standard_logging_has_the_same_shape(path: Path) -> None:
    """What aiohttp logs is one parsable line, with its logger's name and the whole traceback as one value."""
    log.configure(path)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling %s", "request\nforged")
    log.close()
    first = parse(path.read_text())
    assert (first["event"], first["logger"], first["level"]) == (
        "Error handling request\nforged",
        "aiohttp.server",
        "error",
    )
    assert first["exception"].startswith("Traceback") and first["exception"].endswith("ValueError: two\nlines\n")


def test_a_foreign_line_with_wrong_arguments_is_still_logged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in somebody's logging call costs its arguments, not the line and not the caller."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own handlers raise on such a line.
    log.configure(path)
    logging.getLogger("aiohttp.server").error("%d", "not a number")
    log.close()
    assert events(path) == ["%d"]


def test_an_exception_is_one_value(path: Path) -> None:
    """`exception` of our own logger carries the traceback of what is being handled, at level error."""
    log.configure(path)
    try:
        raise KeyError("gone")
    except KeyError:
        log.get_logger().exception("it broke", job="job-1")
    log.close()
    fields = parse(path.read_text())
    assert fields["level"] == "error"
    assert "KeyError: 'gone'" in fields["exception"]


def test_warnings_also_reach_stderr_as_a_short_line(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A person sees warnings without the time stamp, and no information lines; forging is impossible there too."""
    log.configure(path)
    log.get_logger().info("quiet")
    log.get_logger().warning("disk is nearly full", free="1\n\x1b[2J")
    log.close()
    assert capfd.readouterr().err == 'jobmgr: warning: "disk is nearly full" free="1\\n\\u001b[2J"\n'


def test_a_traceback_is_in_the_file_only(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The line for a person stays short, and is whole although a value looks like a traceback."""
    log.configure(path)
    log.get_logger().critical("broken", error='x exception="y"', exc_info=KeyError("gone"))
    log.close()
    assert capfd.readouterr().err == 'jobmgr: critical: broken error="x exception=\\"y\\""\n'
    assert "KeyError" in path.read_text()


def test_a_log_file_that_cannot_be_opened_is_told_at_configure(tmp_path: Path) -> None:
    """A wrong setting is a sentence at start, naming the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"JOBMGR_LOG_FILE: cannot write .*app\.log"):
        log.configure(tmp_path / "file" / "app.log")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_owner_and_group_read_the_log(path: Path) -> None:
    """Job names and output are nobody else's business."""
    log.configure(path)
    assert path.stat().st_mode & 0o137 == 0


def test_the_file_rotates_itself_and_keeps_so_many(tmp_path: Path) -> None:
    """Never more than `files` files of `max_bytes`; what is kept is the newest, in order."""
    file = LogFile(tmp_path / "app.log", max_bytes=100, files=3)
    for number in range(100):
        line = f"line {number:04d}\n".encode()
        assert file.write(line) == len(line)
    file.close()
    kept = [tmp_path / name for name in ("app.log.2", "app.log.1", "app.log")]
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert all(path.stat().st_size <= 100 for path in kept)
    lines = b"".join(path.read_bytes() for path in kept).splitlines()
    assert lines == [f"line {number:04d}".encode() for number in range(100 - len(lines), 100)]


def test_a_single_file_starts_afresh_when_full(tmp_path: Path) -> None:
    """With one file allowed, its own beginning is what goes."""
    file = LogFile(tmp_path / "app.log", max_bytes=10, files=1)
    for line in (b"one\n", b"two\n", b"three\n"):
        file.write(line)
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["app.log"]
    assert (tmp_path / "app.log").read_bytes() == b"three\n"


@pytest.mark.parametrize("how", ["rename", "delete", "truncate", "directory"])
def test_an_outside_rotation_is_followed(path: Path, how: str) -> None:
    """After a rename, a removal, a truncation, or the loss of the whole directory, new lines are in a file of the old name."""
    log.configure(path)
    log.get_logger().info("before")
    assert log.flush()
    if how == "rename":
        path.rename(path.with_name("moved"))
    elif how == "truncate":
        os.truncate(path, 0)
    else:
        path.unlink()
        if how == "directory":
            path.parent.rmdir()
    log.get_logger().info("after")
    log.close()
    assert events(path) == ["after"]


def test_a_line_torn_by_a_crash_is_closed_at_the_next_start(path: Path) -> None:
    """The first new line is not glued to the half of an old one."""
    path.parent.mkdir()
    path.write_bytes(b"time=2026-11-22T08:0")
    log.configure(path)
    log.get_logger().info("after")
    log.close()
    torn, line = path.read_text().splitlines(keepends=True)
    assert (torn, parse(line)["event"]) == ("time=2026-11-22T08:0\n", "after")


def test_a_disk_that_fills_in_mid_line_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not fit is cut back to the last whole line and reported to the caller as not written."""
    file = LogFile(tmp_path / "app.log")
    file.open()
    real, room = os.write, [6]

    def full_disk(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", full_disk)
    assert file.write(b"one\ntwo\n") == 4
    assert file.error is not None and file.error.errno == errno.ENOSPC
    room[0] = 100
    assert file.write(b"three\n") == 6
    assert file.error is None
    file.close()
    assert (tmp_path / "app.log").read_bytes() == b"one\nthree\n"


def test_a_full_disk_is_told_once_and_its_losses_are_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Callers notice nothing; stderr says why, once; when there is room again the log says how many lines are missing."""
    log.configure(path)
    real = os.write

    def full_disk(fd: int, data: bytes) -> int:
        if fd == 2:
            return real(fd, data)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk)
        for _ in range(3):
            log.get_logger().info("lost")
            assert log.flush()
    log.get_logger().info("room again")
    log.close()
    notice, line = [parse(line) for line in path.read_text().splitlines(keepends=True)]
    assert (notice["event"], notice["count"], line["event"]) == ("log lines dropped", "3", "room again")
    assert capfd.readouterr().err.count("the log cannot be written") == 1


def test_a_stalled_destination_holds_nobody_and_its_losses_are_counted() -> None:
    """While a write hangs, callers go on; the queue takes its bound and no more; later the count of the rest is told."""
    stalled, go_on, seen = threading.Event(), threading.Event(), []

    def write(lines: bytes) -> int:
        stalled.set()
        assert go_on.wait(30)
        seen.append(lines)
        return len(lines)

    writer = LineWriter("test", write, notice=lambda lost: b"lost %d\n" % lost, max_bytes=100)
    writer.start()
    writer.put(b"first\n")
    assert stalled.wait(30)
    for _ in range(50):
        writer.put(b"123456789\n")
    go_on.set()
    writer.close()
    assert seen == [b"first\n", b"lost 40\n" + b"123456789\n" * 10]


def test_close_gives_up_on_a_destination_that_never_comes_back() -> None:
    """A hung disk must not keep the server from leaving."""
    stalled, go_on = threading.Event(), threading.Event()

    def write(lines: bytes) -> int:
        stalled.set()
        go_on.wait(30)
        return len(lines)

    writer = LineWriter("test", write, notice=lambda lost: b"", max_bytes=100)
    writer.start()
    writer.put(b"first\n")
    assert stalled.wait(30)
    assert not writer.flush(0.01)
    writer.close(0.01)
    assert writer.is_alive()
    go_on.set()
    writer.join(30)
    assert not writer.is_alive()


def test_many_threads_lose_and_mix_nothing(path: Path) -> None:
    """Lines of threads that log at the same time are all there, each whole."""
    log.configure(path, max_bytes=200_000, files=50)

    def talk(name: int) -> None:
        for number in range(500):
            log.get_logger().info("said", who=name, number=number)

    threads = [threading.Thread(target=talk, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    said = [parse(line) for file in path.parent.iterdir() for line in file.read_text().splitlines(keepends=True)]
    assert len({(line["who"], line["number"]) for line in said}) == len(said) == 2000
