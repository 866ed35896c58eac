"""The verbs of the API as functions: each asks one question of the server and gives what it said, as it said it (camelCase dictionaries)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote

from jobmgr.client.arrays import elements
from jobmgr.client.connection import Connection, Query, Reply
from jobmgr.errors import ConnectionLost

PIECE_BYTES = 64 * 1024

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """An array that is still arriving: its elements, or its bytes, once. `total` as the server counted, `more`: it is one page of several.

    `seq`: the number of an event from before it was read.
    """

    answer: http.client.HTTPResponse
    total: int | None
    more: bool
    seq: int | None = None

    def __iter__(self) -> Iterator[Row]:
        return elements(self._piece)

    def pieces(self) -> Iterator[bytes]:
        """Its bytes as they come."""
        return iter(self._piece, b"")

    def _piece(self) -> bytes:
        try:
            return self.answer.read1(PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost from error


class Client:
    """A server's jobs. `Refusal` says what the server did not like, `NoServer` that there is none."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def submit(self, payload: Any, key: str) -> Reply:
        """Submit one job or a list. The key makes it safe to send again when the connection broke."""
        return self.connection.ask("POST", "/jobs", body=payload, headers={"Idempotency-Key": key}, repeatable=True)

    def job(self, job: str, *, etag: str | None = None) -> Reply:
        """One job; status 304 where it is still as the ETag says."""
        return self.connection.ask("GET", _place(job), headers={"If-None-Match": etag} if etag else None)

    def jobs(self, query: Query | None = None) -> AbstractContextManager[Rows]:
        """Jobs, as a context manager that gives `Rows`."""
        return self._rows("/jobs", query)

    def tasks(self, job: str) -> AbstractContextManager[Rows]:
        """The tasks of a job, likewise."""
        return self._rows(f"{_place(job)}/tasks")

    def attempts(self, job: str, *, task: int | None = None) -> AbstractContextManager[Rows]:
        """The attempts of a job or of one task, likewise."""
        return self._rows(f"{_place(job)}/attempts", {"task": task})

    def stop(self, job: str) -> Reply:
        """Ask for its end; safe to repeat."""
        return self.connection.ask("POST", f"{_place(job)}/stop", repeatable=True)

    def restart(self, job: str) -> Reply:
        """Begin a new round."""
        return self.connection.ask("POST", f"{_place(job)}/restart")

    def delete(self, job: str) -> Reply:
        """Delete a finished job."""
        return self.connection.ask("DELETE", _place(job))

    def stats(self, query: Query | None = None) -> Reply:
        """What the finished jobs say."""
        return self.connection.ask("GET", "/stats", query=query)

    def stats_of_name(self, name: str) -> Reply:
        """What is known of the jobs of one name."""
        return self.connection.ask("GET", f"/stats/jobs/{quote(name.encode('utf-8', 'replace'), safe='')}")

    def failures(self, query: Query | None = None) -> Reply:
        """What failed attempts said last, grouped."""
        return self.connection.ask("GET", "/stats/failures", query=query)

    def types(self) -> Reply:
        """The job types."""
        return self.connection.ask("GET", "/types")

    def output_start(self, job: str, query: Query) -> int:
        """The byte at which this part of an output begins."""
        reply = self.connection.ask("HEAD", f"{_place(job)}/output", query=query)
        return int(reply.headers.get("Output-Start", 0))

    @contextmanager
    def output(self, job: str, query: Query) -> Iterator[http.client.HTTPResponse]:
        """An output, or what follows of it; it may be quiet for as long as it likes."""
        with self.connection.stream("GET", f"{_place(job)}/output", query=query, quiet=True) as answer:
            yield answer

    @contextmanager
    def _rows(self, path: str, query: Query | None = None) -> Iterator[Rows]:
        with self.connection.stream("GET", path, query=query) as answer:
            more = 'rel="next"' in answer.getheader("Link", "")
            yield Rows(answer, number(answer.getheader("X-Total-Count")), more, number(answer.getheader("Event-Seq")))


def number(header: str | None) -> int | None:
    """What a header counts; None where it does not."""
    return int(header) if header and header.isascii() and header.isdigit() else None


def _place(job: str) -> str:
    return f"/jobs/{quote(job, safe='')}"


def first_rows(rows: AbstractContextManager[Rows], count: int) -> list[Row]:
    """At most so many rows of what `Client.jobs` and its like give."""
    with rows as arriving:
        return list(islice(arriving, count))


def all_rows(rows: AbstractContextManager[Rows]) -> list[Row]:
    """All of them, where there can be only few."""
    with rows as arriving:
        return list(arriving)
