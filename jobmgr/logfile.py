"""Where log lines go: a file that rotates itself, and a bounded queue with the thread that writes it.

`LogFile` appends whole lines, keeps its size, and follows a rename, removal or truncation by others. `LineWriter` takes lines without ever
waiting for their destination; what does not fit is dropped and counted. Knows bytes and lines, not what is in them.

Assumes that one process rotates a file. Does not sync: the log may lose its last lines with the machine.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

MAX_FILE_BYTES = 100 * 1000 * 1000
FILES = 5
QUEUE_BYTES = 8 * 1024 * 1024
BATCH_BYTES = 64 * 1024
LINGER_S = 0.02
"""How long a first line waits for company: at a thousand lines a second, waking a thread for each would cost more than the lines."""
FLUSH_TIMEOUT_S = 5.0

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class LogFile:
    """A file that is appended to by whole lines, rotates itself and follows an outside rotation. For one thread.

    `path` plus `path.1` (newest) … make up at most `files` files of `max_bytes` each, to within one batch.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_FILE_BYTES, files: int = FILES) -> None:
        real = path.resolve()
        self.path = real if real.exists() or not path.exists() else path  # /dev/stdout on a pipe resolves to no file.
        self._max_bytes, self._files = max_bytes, files
        self._fd = -1
        self.error: OSError | None = None
        """Why the last write lost lines; None: it lost none."""

    def open(self) -> None:
        """Open or create the file (0640) and close a line that a crash left torn. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, _APPEND, 0o640)
        if self._size() and not self._ends_with_a_line():
            os.write(self._fd, b"\n")

    def close(self) -> None:
        """Close the file; it opens again at the next write."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, lines: bytes) -> int:
        """Append whole lines; returns how many bytes of whole lines are in the file. Never raises, see `error`."""
        done, self.error = 0, None
        try:
            self._follow()
            if 0 < self._size() > self._max_bytes - len(lines):
                self._rotate()
            while done < len(lines):
                done += os.write(self._fd, lines[done:])
        except OSError as error:
            self.error = error
        if done < len(lines):
            done = self._drop_torn(lines, done)
        return done

    def _drop_torn(self, lines: bytes, done: int) -> int:
        """A disk that became full in mid-line must not glue the next line to the half of this one."""
        whole = lines.rfind(b"\n", 0, done) + 1
        if whole < done:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size() - (done - whole))
        return whole

    def _size(self) -> int:
        """Bytes in the file; 0 for what is no regular file and so never rotates."""
        state = os.fstat(self._fd)
        return state.st_size if stat.S_ISREG(state.st_mode) else 0

    def _ends_with_a_line(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _follow(self) -> None:
        """Open again when the path no longer names the open file: somebody renamed or removed it."""
        if self._fd >= 0:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                    return
            self.close()
        self.open()

    def _rotate(self) -> None:
        self.close()
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._files))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            with suppress(FileNotFoundError):
                os.replace(newer, older)
        if self._files == 1:
            self.path.unlink()
        self.open()


class LineWriter(threading.Thread):
    """A bounded queue of lines and the thread that writes them: `put` never waits for the destination and never raises.

    `write` gets whole lines and returns how many bytes of them arrived; `notice` makes the line that tells how many did not.
    """

    def __init__(
        self, name: str, write: Callable[[bytes], int], *, notice: Callable[[int], bytes], max_bytes: int = QUEUE_BYTES
    ) -> None:
        super().__init__(name=name, daemon=True)  # A stalled disk must not keep the process from leaving.
        self._write, self._notice, self._max_bytes = write, notice, max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._taken = self._written = 0
        self._lost = 0
        self._closing = self._hurried = False
        # Reentrant: the garbage collector may log from a finalizer while this very thread holds it.
        self._changed = threading.Condition(threading.RLock())

    def put(self, line: bytes) -> None:
        """Queue one line, or count it as lost when the queue is full or closed."""
        with self._changed:
            if self._closing or self._bytes + len(line) > self._max_bytes:
                self._lost += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._taken += 1
            if len(self._lines) == 1 or self._bytes - len(line) < BATCH_BYTES <= self._bytes:
                self._changed.notify_all()

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
        """Wait until all lines put before are written or lost; False when that takes too long."""
        with self._changed:
            until, self._hurried = self._taken, True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._written >= until or not self.is_alive(), timeout_s)

    def close(self, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Write what is queued and end the thread; gives up after the timeout. Safe to repeat."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.join(timeout_s)

    def run(self) -> None:
        """Write batches until closed and empty."""
        while batch := self._next_batch():
            self._write_batch(batch)
            with self._changed:
                self._written += len(batch)
                self._changed.notify_all()
        if self._lost:
            self._write_batch([])

    def _next_batch(self) -> list[bytes]:
        """Up to `BATCH_BYTES` of lines; empty only when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closing)
            self._changed.wait_for(lambda: self._bytes >= BATCH_BYTES or self._closing or self._hurried, LINGER_S)
            self._hurried = False
            batch: list[bytes] = []
            size = 0
            while self._lines and (not batch or size + len(self._lines[0]) <= BATCH_BYTES):
                batch.append(self._lines.popleft())
                size += len(batch[-1])
            self._bytes -= size
            return batch

    def _write_batch(self, batch: Sequence[bytes]) -> None:
        with self._changed:
            lost, self._lost = self._lost, 0
        notice = [self._notice(lost)] if lost else []
        data = b"".join([*notice, *batch])
        missing = data[self._write(data) :].count(b"\n")
        if missing > len(batch):  # Not even the notice arrived.
            missing = len(batch) + lost
        with self._changed:
            self._lost += missing
