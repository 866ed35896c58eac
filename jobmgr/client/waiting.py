"""Waits for the end of jobs by looking at them, seldom enough to be no load: first after 0.1 s, then ever slower up to every 2 s."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

from jobmgr.client.jobs import Client, Row

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 2.0
SLOWER = 1.5
FINISHED = frozenset({"completed", "crashed", "failed", "stopped", "lost"})
_NOT_MODIFIED = 304


class Watched:
    """One job that is looked at again and again; what did not change is not sent again."""

    def __init__(self, client: Client, job: str) -> None:
        self._client, self._job = client, job
        self._etag: str | None = None
        self.row: Row = {}

    @property
    def finished(self) -> bool:
        """Whether it had ended when it was last looked at."""
        return self.row.get("status") in FINISHED

    def look(self) -> Row:
        """The job as it is now. Raises Refusal when it is no more."""
        reply = self._client.job(self._job, etag=self._etag)
        if reply.status != _NOT_MODIFIED:
            self.row = reply.json()
            self._etag = reply.headers.get("ETag")
        return self.row


def wait_finished(
    client: Client,
    jobs: Sequence[str],
    *,
    until: float = math.inf,
    looked: Callable[[Row], None] = lambda _: None,
) -> Iterator[Row]:
    """Each job when it has ended, in the order in which they end as far as one can see. `looked` sees every look.

    Raises TimeoutError at the instant `until` (`time.monotonic`).
    """
    waiting, pause = [Watched(client, job) for job in dict.fromkeys(jobs)], FIRST_PAUSE_S
    while True:
        for watched in list(waiting):
            looked(watched.look())
            if watched.finished:
                waiting.remove(watched)
                pause = FIRST_PAUSE_S
                yield watched.row
        if not waiting:
            return
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        # Many jobs are looked at more seldom, so that all together ask at most some hundred times a second.
        time.sleep(min(max(pause, len(waiting) / 200), LAST_PAUSE_S, left))
        pause = min(pause * SLOWER, LAST_PAUSE_S)
