"""`jobmgr export`: the history of a server as JSON lines, on stdout or in a file.

Only whole lines are written. A file gets its name when it is whole: until then it stands beside it, hidden, under a name with `.part`, which a killed
export leaves behind. What is no regular file (a pipe, a device) is written as it stands.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from jobmgr.cli import exits, options
from jobmgr.cli.groups import Verb
from jobmgr.errors import ConnectionLost, JobmgrError

if TYPE_CHECKING:
    from http.client import HTTPResponse

PIECE_BYTES = 64 * 1024


@click.command(
    cls=Verb,
    examples=(
        "jobmgr export > jobs.jsonl",
        "jobmgr export -o jobs.jsonl --since 30d",
        "jobmgr export | jq -r 'select(.status == \"crashed\") | .jobId'",
    ),
)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, which appears only when it is complete.")
@click.option("--since", type=options.Moment(), help="Only jobs submitted then or later.")
@click.option("--until", type=options.Moment(), help="Only jobs submitted before.")
@click.option("--name", metavar="NAME", help="Only jobs of exactly this name.")
@options.URL
def export(*, output: str | None, since: str | None, until: str | None, name: str | None, url: str | None) -> None:
    """Print the history as JSON lines, one attempt a line."""
    from jobmgr.cli.address import connect

    file = None if output in (None, "-") else Path(str(output))
    query = {"since": since, "until": until, "name": name}
    with _opened(file) as target, connect(url).connection.stream("GET", "/history", query=query) as answer:
        lines = _copy(answer, target)
    if file is not None:
        click.echo(f"{lines:,} {'line' if lines == 1 else 'lines'} written to {file}", err=True)


def _copy(answer: HTTPResponse, target: BinaryIO) -> int:
    """Write all lines; how many there were. Raises ConnectionLost where the answer ends before its end."""
    lines = 0
    try:
        for whole in _whole_lines(answer):
            target.write(whole)
            lines += whole.count(b"\n")
    except ConnectionLost as error:
        target.flush()
        raise ConnectionLost(
            f"The server went away after {lines:,} lines: the history is not whole. Try again."
        ) from error
    return lines


def _whole_lines(answer: HTTPResponse) -> Iterator[bytes]:
    """What arrives, cut after line ends. Raises ConnectionLost where the connection is cut, or the last line is not whole."""
    from http.client import HTTPException

    rest = b""
    while True:
        try:
            piece = answer.read1(PIECE_BYTES)
        except (OSError, HTTPException) as error:
            raise ConnectionLost from error
        if not piece:
            break
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield whole + newline
    if rest:
        raise ConnectionLost


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Where to write. Raises JobmgrError for all that goes wrong with it, but for a reader of stdout that has enough: then the command ends."""
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
            sys.exit(exits.BROKEN_PIPE)  # Left to click it would be a 1.
        raise JobmgrError(f"{output or 'stdout'} cannot be written: {error.strerror or error}.") from error


@contextmanager
def _beside(target: Path) -> Iterator[BinaryIO]:
    """A new file that takes the name at the end, unless something was raised."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            if target.exists():
                shutil.copymode(target, part)  # What others could not read before they cannot read now.
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
