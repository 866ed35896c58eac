#!/usr/bin/env python3
"""compress.py DIRECTORY [TARGET] — packs a directory into TARGET (default: DIRECTORY.tar.gz) with gzip.

Reports progress by bytes read, and the counts and sizes as its result (JSON lines on fd 3; silent where there is none). The target appears
only when it is complete: until then the bytes are in a hidden file beside it, which goes away however this ends (save for SIGKILL).
Exit code 0: done. 1: something could not be read or written (a sentence on stderr). 2: wrong arguments.
"""

import argparse
import json
import os
import signal
import sys
import tarfile
import tempfile
from pathlib import Path

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


class Progress:
    """Counts bytes and reports each whole percent once."""

    def __init__(self, total):
        self.total, self.done, self.percent = total, 0, -1

    def add(self, count):
        self.done += count
        percent = min(99, self.done * 100 // self.total) if self.total else 0
        if percent > self.percent:
            self.percent = percent
            report(percent)


class Counted:
    """A file whose reads count as progress."""

    def __init__(self, file, progress):
        self.file, self.progress = file, progress

    def read(self, size=-1):
        data = self.file.read(size)
        self.progress.add(len(data))
        return data


def files_below(directory, skip):
    """Everything below the directory, in a fixed order, without the files that this run writes."""
    for folder, folders, names in os.walk(directory, onerror=fail_on):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for path in [folder, *(os.path.join(folder, name) for name in sorted(names + links))]:
            if os.path.realpath(path) not in skip:
                yield path


def fail_on(error):
    raise error


def pack(directory, target, part):
    """Writes the archive to `part`; returns what the result says about it."""
    skip = {os.path.realpath(target), os.path.realpath(part)}
    sizes = [os.lstat(path).st_size for path in files_below(directory, skip) if not os.path.isdir(path)]
    progress, count = Progress(sum(sizes)), 0
    with tarfile.open(part, "w:gz") as archive:
        for path in files_below(directory, skip):
            name = os.path.join(directory.resolve().name, os.path.relpath(path, directory))
            entry = archive.gettarinfo(path, os.path.normpath(name))
            if entry is None:
                print(f"compress.py: {path} is a socket, left out.", file=sys.stderr)
            elif entry.isreg():
                count += 1
                with open(path, "rb") as file:
                    archive.addfile(entry, Counted(file, progress))
            else:
                archive.addfile(entry)
    return {"target": str(target), "files": count, "bytes": progress.done, "compressedBytes": os.path.getsize(part)}


def compress(directory, target):
    """Packs into a hidden file beside the target and moves it there when it is complete and on disk."""
    handle, part = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        os.close(handle)
        result = pack(directory, target, part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)
        os.replace(part, target)
        return result
    except BaseException:
        os.unlink(part)
        raise


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # A name that is no text must not end the work.
    parser = argparse.ArgumentParser(prog="compress.py", description="Packs a directory into a .tar.gz.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("target", type=Path, nargs="?")
    given = parser.parse_args()
    if not given.directory.is_dir():
        return f"compress.py: {given.directory} is not a directory."
    source = given.directory.resolve()
    target = given.target or source.with_name(source.name + ".tar.gz")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        result = compress(given.directory, target)
    except (OSError, tarfile.TarError) as error:
        return f"compress.py: {error}"
    print(f"{result['files']} files, {result['bytes']} bytes -> {target}, {result['compressedBytes']} bytes")
    report({"progress": 100, "result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
