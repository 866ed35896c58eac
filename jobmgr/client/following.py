"""Follows the output of one attempt to its end, over lost connections and restarts of the server: no byte is lost, none comes twice.

The bytes are counted; a new connection asks for what follows (`from`). An answer that ends is asked to go on until one comes that is empty. Where
the server freed the middle of a long output, a line in its place says how much is left out.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass

from jobmgr.client.jobs import PIECE_BYTES, Client
from jobmgr.errors import Refusal

_BEYOND = 416
CUT_OFF = b"\n[the output was cut off or removed: the rest is not kept]\n"
_KIB = 1024


@dataclass(slots=True)
class Following:
    """One attempt's output; `offset` is the byte that comes next."""

    client: Client
    job: str
    attempt: int
    task: int = 0
    stderr: bool = False
    offset: int = 0

    def seek_tail(self, lines: int) -> None:
        """Begin with the last so many lines."""
        self.offset = self.client.output_start(self.job, {**self._query(), "tail": lines})

    def pieces(self) -> Iterator[bytes]:
        """What it prints, as it comes, until the attempt is over and all was given. The server may go and come back meanwhile."""
        while True:
            try:
                before = self.offset
                yield from self._answer()
            except Refusal as refusal:
                if refusal.status != _BEYOND:
                    raise
                yield CUT_OFF
                return
            if self.offset == before:
                return

    def _answer(self) -> Iterator[bytes]:
        """One answer, to its end or until the connection breaks; then the loop asks again."""
        query = {**self._query(), "follow": "true", "from": self.offset}
        broken = True
        while broken:
            broken = False
            query["from"] = self.offset
            with self.client.output(self.job, query) as answer:
                start = int(answer.getheader("Output-Start", self.offset))
                if start > self.offset:
                    yield f"\n[… {_amount(start - self.offset)} left out …]\n".encode()
                    self.offset = start
                try:
                    while piece := answer.read1(PIECE_BYTES):
                        self.offset += len(piece)
                        yield piece
                except (OSError, http.client.HTTPException):
                    broken = True
            if broken:
                self.client.connection.close()

    def _query(self) -> dict[str, object]:
        stream = {"stream": "stderr"} if self.stderr else {}
        return {"task": self.task, "attempt": self.attempt, **stream}


def _amount(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < _KIB:
            return f"{count} {unit}"
        count = (count + _KIB // 2) // _KIB
    return f"{count} GiB"
