"""The log: one logfmt line an event in `logs/app.log`, and warnings also as a short line on stderr.

How it works: structlog renders the line on the caller's thread (one processor, a few microseconds) and hands it to a queue that is bounded in
bytes; a thread per destination writes whole batches. So a stalled disk or a paused terminal never holds the event loop: what does not fit is
dropped, counted, and reported in a later line. What goes through the standard `logging` (aiohttp, asyncio) is rendered by the same function.

A value can never forge a line or another value: it stands bare only if it is plain ASCII without space, quote, `=` and backslash; otherwise it
is a JSON string in which everything unprintable is escaped. Long values lose their middle. Fields that are None are left out.

The file rotates itself and is opened again after anybody else renamed, removed or truncated it. Assumes that one process rotates a file.
Does not sync: the database is the truth, the log may lose its last lines with the machine. Before `configure` and after `close`
lines go nowhere.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import time
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger

from jobmgr.errors import SettingsError
from jobmgr.logfile import BATCH_BYTES, FILES, FLUSH_TIMEOUT_S, MAX_FILE_BYTES, QUEUE_BYTES, LineWriter, LogFile

MAX_VALUE_CHARS = 2048

_is_bare = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
_OWN_KEYS = frozenset({"time", "level", "event"})


def render(_logger: object, level: str, fields: MutableMapping[str, Any]) -> str:
    """One event as one logfmt line with its line end; the last (and only) structlog processor. Never raises."""
    parts = [f"time={_stamp()} level={level} event={_value(fields.pop('event', ''))}"]
    if "exc_info" in fields:
        fields["exception"] = _traceback(fields.pop("exc_info"))
    parts += [f"{_key(key)}={_value(value)}" for key, value in fields.items() if value is not None]
    return " ".join(parts) + "\n"


def _stamp() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds // 1_000_000:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


@lru_cache(maxsize=512)
def _key(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:64] or "_"
    return f"{safe}_" if safe in _OWN_KEYS else safe


def _value(value: object) -> str:
    kind = type(value)
    if kind is int and -(10**18) < cast(int, value) < 10**18:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    text = _cut(cast(str, value) if kind is str else _text(value))
    if _is_bare(text):
        return text
    if text.isprintable():
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return json.dumps(text).replace("\x7f", "\\u007f")  # JSON leaves DEL as it is, a terminal does not.


def _text(value: object) -> str:
    try:
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception as error:  # noqa: BLE001 - a broken __str__ must not cost the line, let alone raise into the caller.
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def _cut(text: str) -> str:
    if len(text) <= MAX_VALUE_CHARS:
        return text
    half = MAX_VALUE_CHARS // 2
    return f"{text[:half]}…[{len(text) - 2 * half} characters cut]…{text[-half:]}"


def _traceback(exc_info: object) -> str | None:
    """The text of what `exc_info` stands for: an exception, the usual triple, or true for the one being handled."""
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    if isinstance(exc_info, BaseException):
        return "".join(traceback.format_exception(exc_info))
    return traceback.format_exc() if exc_info else None


class _Sink:
    """What structlog writes to: both destinations once configured, nothing before and after."""

    def __init__(self) -> None:
        self.file: LineWriter | None = None
        self.terminal: LineWriter | None = None

    def quiet(self, line: str) -> None:
        if self.file is not None:
            self.file.put(line.encode())

    def loud(self, line: str) -> None:
        self.quiet(line)
        if self.terminal is not None:
            level, _, rest = line.partition(" level=")[2].partition(" event=")
            # A traceback is for the file. It stands last, and nothing else can look like it: quotes within a value are escaped.
            rest = rest.partition(' exception="')[0].rstrip("\n")
            self.terminal.put(f"jobmgr: {level}: {rest}\n".encode())

    debug = info = quiet
    warning = warn = error = critical = fatal = loud


class _Bridge(logging.Handler):
    """Gives what comes through the standard `logging` (aiohttp, asyncio) the same shape and the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the format: logging's own default is to print a traceback.
            message = str(record.msg)
        fields = {"event": message, "logger": record.name, "exc_info": record.exc_info}
        write = _sink.loud if record.levelno >= logging.WARNING else _sink.quiet
        write(render(None, record.levelname.lower(), fields))


_sink = _Sink()
_bridge = _Bridge()
# At import, so that a logger used before `configure` is silent. The list itself is what structlog.testing.capture_logs swaps.
structlog.configure(
    processors=[cast(structlog.typing.Processor, render)],
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    logger_factory=lambda *_: _sink,
    cache_logger_on_first_use=True,
)


def get_logger(**fields: object) -> FilteringBoundLogger:
    """A logger whose lines carry `fields`: `get_logger().info("attempt ended", job="job-7", exit_code=0)`. Use it at module level."""
    return cast(FilteringBoundLogger, structlog.get_logger(**fields))


def configure(
    path: Path, *, max_bytes: int = MAX_FILE_BYTES, files: int = FILES, queue_bytes: int = QUEUE_BYTES
) -> None:
    """Log to `path` from now on, at most `files` × `max_bytes`, holding at most `queue_bytes` of unwritten lines in memory.

    Raises `SettingsError` when the file cannot be opened. What goes wrong later is told on stderr and never raised.
    """
    close()
    file = LogFile(path, max_bytes=max_bytes, files=files)
    try:
        file.open()
    except OSError as error:
        raise SettingsError([f"JOBMGR_LOG_FILE: cannot write {path}: {error.strerror}."]) from error
    _sink.terminal = LineWriter("log-stderr", _write_stderr, notice=_terminal_notice, max_bytes=BATCH_BYTES)
    _sink.file = LineWriter("log-file", _Telling(file, _sink.terminal), notice=_file_notice, max_bytes=queue_bytes)
    _sink.terminal.start()
    _sink.file.start()
    root = logging.getLogger()
    root.addHandler(_bridge)
    root.setLevel(logging.INFO)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # A line a request would dwarf the rest.
    atexit.register(close)


def flush(timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
    """Wait until every line logged before is in the file; False when that takes too long."""
    return all(writer.flush(timeout_s) for writer in (_sink.file, _sink.terminal) if writer is not None)


def close() -> None:
    """Write what is queued and stop logging. Safe to repeat."""
    atexit.unregister(close)
    logging.getLogger().removeHandler(_bridge)
    file, terminal, _sink.file, _sink.terminal = _sink.file, _sink.terminal, None, None
    for writer in (file, terminal):  # In this order: the file's thread may still have something to tell on stderr.
        if writer is not None:
            writer.close()


class _Telling:
    """Writes to the file, and tells on stderr when that begins to fail."""

    def __init__(self, file: LogFile, terminal: LineWriter) -> None:
        self._file, self._terminal, self._failing = file, terminal, False

    def __call__(self, lines: bytes) -> int:
        done = self._file.write(lines)
        error = self._file.error
        if error is not None and not self._failing:
            why = _value(error.strerror or str(error))
            self._terminal.put(
                f"jobmgr: warning: the log cannot be written file={_value(self._file.path)} error={why}\n".encode()
            )
        self._failing = error is not None
        return done


def _write_stderr(lines: bytes) -> int:
    with suppress(OSError):  # Nobody may be reading; there is no better place to say so.
        return os.write(2, lines)
    return 0


def _file_notice(lost: int) -> bytes:
    return render(None, "warning", {"event": "log lines dropped", "count": lost}).encode()


def _terminal_notice(lost: int) -> bytes:
    return f"jobmgr: warning: {lost} warnings not shown here, see the log\n".encode()
