#!/usr/bin/env python3
"""upload.py FILE DESTINATION — copies a file into a directory (a path or file: URL), or sends it with PUT to an http: or https: address.

Reports progress by bytes, and size and SHA-256 as its result (JSON lines on fd 3; silent where there is none). In a directory the file appears
only when it is complete and on disk: until then the bytes are in a hidden file, which goes away however this ends (save for SIGKILL).
With UPLOAD_TOKEN in the environment an http request carries it as its bearer token. --sha256 SUM: the copy must have this sum.
Exit code 0: done. 1: something could not be read, written or sent (a sentence on stderr). 2: wrong arguments.
"""

import argparse
import hashlib
import http.client
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

PIECE = 256 * 1024
TIMEOUT_S = 60

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


class Failed(Exception):
    """A sentence for the person."""


def pieces(file, total, digest):
    """The bytes of the file, summed and counted as they go."""
    counted = Counted(file, total)
    while piece := counted.read(PIECE):
        digest.update(piece)
        yield piece


def check(digest, wanted):
    if wanted is not None and digest.hexdigest() != wanted.lower():
        raise Failed(f"its SHA-256 is {digest.hexdigest()}, not {wanted}")


def into_directory(source, directory, wanted):
    """Copies into a hidden file and moves it to its name when it is complete; returns where that is."""
    if not directory.is_dir():
        raise Failed(f"{directory} is not a directory")
    handle, part = tempfile.mkstemp(prefix=f".{source.name}.", suffix=".part", dir=directory)
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as copy, source.open("rb") as file:
            for piece in pieces(file, source.stat().st_size, digest):
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        check(digest, wanted)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)
        os.replace(part, directory / source.name)
    except BaseException:
        os.unlink(part)
        raise
    return str(directory / source.name), digest


def to_address(source, address, wanted):
    """Sends it in one PUT; an address that ends with / gets the name of the file."""
    url = urlsplit(address)
    path = (url.path or "/") + (quote(source.name) if (url.path or "/").endswith("/") else "")
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = connect(url.netloc.rpartition("@")[2], timeout=TIMEOUT_S)
    digest, size = hashlib.sha256(), source.stat().st_size
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    if token := os.environ.get("UPLOAD_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    try:
        with source.open("rb") as file:
            connection.request(
                "PUT", path + (f"?{url.query}" if url.query else ""), pieces(file, size, digest), headers
            )
        answer = connection.getresponse()
        answer.read(PIECE)
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise Failed(f"the server answered {answer.status} {answer.reason}")
    check(digest, wanted)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{path}", digest


def upload(source, destination, wanted):
    scheme = urlsplit(destination).scheme.lower()
    if scheme in ("http", "https"):
        return to_address(source, destination, wanted)
    if scheme == "file":
        return into_directory(source, Path(unquote(urlsplit(destination).path)), wanted)
    return into_directory(source, Path(destination), wanted)


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # A name that is no text must not end the work.
    parser = argparse.ArgumentParser(prog="upload.py", description="Copies a file to a directory or an address.")
    parser.add_argument("file", type=Path)
    parser.add_argument("destination")
    parser.add_argument("--sha256", metavar="SUM")
    given = parser.parse_args()
    if not given.file.is_file():
        return f"upload.py: {given.file} is not a file."
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        place, digest = upload(given.file, given.destination, given.sha256)
    except (OSError, ValueError, http.client.HTTPException, Failed) as error:
        return f"upload.py: {given.file}: {error}."
    size = given.file.stat().st_size
    print(f"{digest.hexdigest()}  {place}")
    report({"progress": 100, "result": {"target": place, "bytes": size, "sha256": digest.hexdigest()}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
