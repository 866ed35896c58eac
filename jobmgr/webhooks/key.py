"""The key of the server, which signs the callbacks of jobs: a setting, else a file of the data directory that is made once.

The file is whole or not there: it is written beside its place and then renamed into it, and on the disk before anything is signed with it. Assumes
one server per data directory.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from jobmgr.config import Settings
from jobmgr.errors import DataDirError
from jobmgr.signature import new_secret, secret_trouble

FILE = "webhook-secret"


class ServerKey:
    """Known once it was read. Blocks: read it in a thread."""

    def __init__(self, settings: Settings) -> None:
        given = settings.webhook_secret
        self._file = settings.data_dir / FILE
        self._key = None if given is None else given.get_secret_value()
        self._lock = threading.Lock()

    def read(self) -> str:
        """The key; made where there is none. Raises DataDirError where it can be neither read nor made."""
        with self._lock:  # Two that come at once get the same.
            if self._key is None:
                self._key = self._from_file()
            return self._key

    def _from_file(self) -> str:
        try:
            if not self._file.exists():
                _make(self._file)
            key = self._file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DataDirError(f"The key of webhooks, {self._file}, can be neither read nor made: {error}.") from error
        if trouble := secret_trouble(key):
            raise DataDirError(f"{self._file}: {trouble}.")
        return key


def _make(file: Path) -> None:
    beside = file.with_name(f"{file.name}.new")
    beside.unlink(missing_ok=True)  # Of a server that was killed amid this.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(new_secret().encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    if sys.platform != "win32":
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
