#!/usr/bin/env python3
"""extract.py ARCHIVE [TARGET] — unpacks a .tar (also .gz, .bz2, .xz) or .zip into the new directory TARGET (default: beside the archive).

Reports progress by bytes of the archive, and counts and sizes as its result (JSON lines on fd 3; silent where there is none). The target appears
only when it is complete: until then everything is in a hidden directory beside it, which goes away however this ends (save for SIGKILL).
What would land outside the target ends the work; devices are left out, and so are links where this Python cannot check them (before 3.11.4).
Exit code 0: done. 1: something could not be read or written, or is not allowed (a sentence on stderr). 2: wrong arguments.
"""

import argparse
import json
import os
import shutil
import signal
import stat
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

try:
    REPORT_FD = os.dup(3)  # Before anything else opens a file, which would become fd 3 where there is none.
except OSError:
    REPORT_FD = None


def report(value):
    """Tells jobmgr: a number is progress in percent, an object may hold progress, message, result, error."""
    if REPORT_FD is not None:
        try:
            os.write(REPORT_FD, (json.dumps(value) + "\n").encode())
        except OSError:
            pass  # Nobody listens: the work goes on.


class Counted:
    """A file whose reads are reported as progress, each whole percent once."""

    def __init__(self, file, total):
        self.file, self.total, self.done, self.percent = file, total, 0, -1

    def read(self, size=-1):
        data = self.file.read(size)
        self.done += len(data)
        percent = min(99, self.done * 100 // self.total) if self.total else 0
        if percent > self.percent:
            self.percent = percent
            report(percent)
        return data


class Refused(Exception):
    """The archive holds what must not be unpacked."""


class Count:
    """What was unpacked so far, held to a limit: a small archive may hold very much."""

    def __init__(self, most):
        self.most, self.files, self.bytes = most, 0, 0

    def add(self, name, size):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise Refused(f"{name} would land outside the target")
        self.files, self.bytes = self.files + 1, self.bytes + size
        if self.most is not None and self.bytes > self.most:
            raise Refused(f"it holds more than {self.most} bytes")


def left_out(name, what):
    print(f"extract.py: {name} is a {what}, left out.", file=sys.stderr)


def untar(source, target, count):
    checked = hasattr(tarfile, "data_filter")
    with tarfile.open(fileobj=source, mode="r|*") as archive:
        for entry in archive:
            if entry.isdev():
                left_out(entry.name, "device")
            elif (entry.islnk() or entry.issym()) and not checked:
                left_out(entry.name, "link")
            elif entry.isdir():
                count.add(entry.name, 0)
                count.files -= 1
                (target / entry.name).mkdir(parents=True, exist_ok=True)
            else:
                count.add(entry.name, entry.size)
                archive.extract(entry, target, **({"filter": "data"} if checked else {"set_attrs": False}))


def unzip(source, target, count, total):
    with zipfile.ZipFile(source) as archive:
        packed = 0
        for entry in archive.infolist():
            packed += entry.compress_size
            place = target / entry.filename
            if entry.is_dir():
                count.add(entry.filename, 0)
                count.files -= 1
                place.mkdir(parents=True, exist_ok=True)
            elif stat.S_ISLNK(entry.external_attr >> 16):
                left_out(entry.filename, "link")
            else:
                count.add(entry.filename, entry.file_size)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed_file, place.open("xb") as file:
                    shutil.copyfileobj(packed_file, file)
            report(min(99, packed * 100 // max(1, total)))


def extract(archive, target, most):
    """Unpacks into a hidden directory beside the target and moves it there when it is complete."""
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        count, total = Count(most), archive.stat().st_size
        with archive.open("rb") as source:
            if zipfile.is_zipfile(source):
                unzip(source, part, count, total)
            else:
                source.seek(0)
                untar(Counted(source, total), part, count)
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o777 & ~umask)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return {"target": str(target), "files": count.files, "bytes": count.bytes, "archiveBytes": total}


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # A name that is no text must not end the work.
    sys.stderr.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(prog="extract.py", description="Unpacks an archive into a new directory.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("target", type=Path, nargs="?")
    parser.add_argument("--max-bytes", type=int, help="refuse what unpacks to more than this")
    given = parser.parse_args()
    name = given.archive.name.partition(".")[0] or "extracted"
    target = given.target or given.archive.with_name(name)
    if os.path.lexists(target):
        return f"extract.py: {target} exists already."
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        result = extract(given.archive, target, given.max_bytes)
    except (OSError, EOFError, ValueError, Refused, tarfile.TarError, zipfile.BadZipFile, NotImplementedError) as error:
        return f"extract.py: {given.archive}: {error}"
    print(f"{result['files']} files, {result['bytes']} bytes -> {target}")
    report({"progress": 100, "result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
