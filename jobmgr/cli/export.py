"""`jobmgr export`: the history of a server as JSON lines, on stdout or in a file.

Only whole lines are written. A file gets its name when it is whole: until then it stands beside it, hidden, under a name with `.part`, which a killed
export leaves behind. What is no regular file (a pipe, a device) is written as it stands.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import click

from jobmgr.config import load
from jobmgr.errors import JobmgrError

PIECE_BYTES = 64 * 1024
ANSWER_S = 60.0
"""So long the server may let wait for its next byte."""


class _Broken(Exception):
    """The answer ended before its end."""


def export_history(output: Path | None, query: Mapping[str, str | None]) -> int:
    """Write the history; `output` None is stdout. Raises JobmgrError where it cannot be had or written as a whole."""
    with _opened(output) as file, _answer(query) as answer:
        lines = 0
        try:
            for whole in _whole_lines(answer):
                file.write(whole)
                lines += whole.count(b"\n")
        except _Broken as error:
            raise JobmgrError(
                f"The server went away after {lines:,} lines: the history is not whole. Try again."
            ) from error
    if output is not None:
        click.echo(f"{lines:,} lines written to {output}", err=True)
    return 0


@contextmanager
def _answer(query: Mapping[str, str | None]) -> Iterator[http.client.HTTPResponse]:
    """What the server says, still arriving. Raises JobmgrError where there is no server, or it refuses."""
    settings = load().settings
    given = urlencode({name: value for name, value in query.items() if value is not None})
    with closing(http.client.HTTPConnection(settings.host, settings.port, timeout=ANSWER_S)) as connection:
        try:
            connection.request("GET", f"/history?{given}")
            answer = connection.getresponse()
            refusal = None if answer.status == http.client.OK else str(json.loads(answer.read())["error"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            place = f"{settings.host}:{settings.port}"
            raise JobmgrError(f"No jobmgr answers at {place} ({error}). Start one with ./scripts/serve.") from error
        if refusal is not None:
            raise JobmgrError(refusal)
        yield answer


def _whole_lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """What arrives, cut after line ends. Raises _Broken where the connection is cut, or the last line is not whole."""
    rest = b""
    while True:
        try:
            piece = answer.read1(PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken from error
        if not piece:
            break
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield whole + newline
    if rest:
        raise _Broken


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Where to write. Raises JobmgrError for all that goes wrong with it, but for a reader of stdout that has enough: click ends quietly."""
    try:
        if output is None:
            with open(sys.stdout.fileno(), "wb", closefd=False) as file:
                yield file
        elif output.is_file() or not output.exists():
            with _beside(output.resolve()) as file:  # What a link points to is replaced, not the link.
                yield file
        else:
            with output.open("wb") as file:
                yield file
    except OSError as error:
        if output is None and isinstance(error, BrokenPipeError):
            raise
        raise JobmgrError(f"{output or 'stdout'} cannot be written: {error.strerror or error}.") from error


@contextmanager
def _beside(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the name at the end, unless something was raised."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
