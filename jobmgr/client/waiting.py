"""Waits for the end of jobs: looks at each once, then has the server tell what happens to them, and looks again at those that have ended.

What the look did not see, the feed tells: it begins at the number of an event from before the look (`Event-Seq`). When the feed breaks for more than
a moment all are looked at again, which also waits for a server that is away. Where there is no feed (an older server, a proxy that
lets no stream pass, one watcher too many) they are looked at again and again, seldom enough to be no load: first after 0.1 s, then ever slower up
to every 2 s.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from jobmgr.client.events import HELLO_S, JOB_UPDATE, RESET, Event, Feed
from jobmgr.client.jobs import Client, Row, number
from jobmgr.errors import ClientError

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 2.0
SLOWER = 1.5
FINISHED = frozenset({"completed", "crashed", "failed", "stopped", "lost"})
DELETED = "deleted"
NAMED_JOBS = 100
"""So many jobs are named to the feed; of more than that everything is heard, because an address may not be of any length."""
MOMENT_S = 1.0
"""So long the feed tries by itself to come back."""
TRIES = 3
"""A feed that says nothing so many times in a row is none."""
_NOT_MODIFIED = 304


class Watched:
    """One job that is looked at again and again; what did not change is not sent again."""

    def __init__(self, client: Client, job: str) -> None:
        self._client, self.job = client, job
        self._etag: str | None = None
        self._seen: Row = {}
        self.row: Row = {}
        """The job as far as it is known, by the last look and by what was told since."""
        self.seq: int | None = None
        """The number of an event from before the last look; None: the server numbers none."""
        self.fresh = False
        """It was looked at, and that has not been used."""

    @property
    def finished(self) -> bool:
        """Whether it had ended when it was last looked at."""
        return self.row.get("status") in FINISHED

    def look(self) -> Row:
        """The job as it is now. Raises Refusal when it is no more."""
        reply = self._client.job(self.job, etag=self._etag)
        if reply.status != _NOT_MODIFIED:
            self._seen = reply.json()
            self._etag = reply.headers.get("ETag")
        # Not as it was told: that may have been of before the look.
        self.row, self.seq, self.fresh = self._seen, number(reply.headers.get("Event-Seq")), True
        return self.row

    def hear(self, event: Event) -> Row:
        """The job as an event of it says that it is, as far as it says it."""
        self.row = told(self.row, event)
        return self.row


def told(row: Row, event: Event) -> Row:
    """A row of the API with what an event says of it."""
    data = dict(event.data)
    counts = data.pop("tasks", None)
    return {**row, **data} if counts is None else {**row, **data, "taskCounts": counts}


def wait_finished(
    client: Client,
    jobs: Sequence[Watched],
    *,
    until: float = math.inf,
    looked: Callable[[Row], None] = lambda _: None,
) -> Iterator[Row]:
    """Each job when it has ended, in the order in which they end as far as one can see. `looked` sees whatever is learnt of them.

    Raises TimeoutError at the instant `until` (`time.monotonic`).
    """
    waiting, pause, in_vain = {watched.job: watched for watched in jobs}, FIRST_PAUSE_S, 0
    while True:
        for ended in _look(waiting, looked):
            pause = FIRST_PAUSE_S
            yield ended
        if not waiting:
            return
        feed = _feed(client, waiting, until) if in_vain < TRIES else None
        if feed is not None:
            yield from _listen(feed, waiting, looked)
            in_vain = 0 if feed.spoken else in_vain + 1
            continue
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        # Many jobs are looked at more seldom, so that all together ask at most some hundred times a second.
        time.sleep(min(max(pause, len(waiting) / 200), LAST_PAUSE_S, left))
        pause = min(pause * SLOWER, LAST_PAUSE_S)


def _look(waiting: dict[str, Watched], looked: Callable[[Row], None]) -> Iterator[Row]:
    """Look at all that are waited for, and of which nobody knows yet; those that have ended."""
    for watched in list(waiting.values()):
        looked(watched.row if watched.fresh else watched.look())
        watched.fresh = False
        if watched.finished:
            del waiting[watched.job]
            yield watched.row


def _feed(client: Client, waiting: dict[str, Watched], until: float) -> Feed | None:
    """What happens to these jobs since they were looked at; None where the server does not number what happens."""
    numbers = [watched.seq for watched in waiting.values() if watched.seq is not None]
    if len(numbers) < len(waiting):
        return None
    connection = client.connection.beside(timeout_s=HELLO_S)
    connection.until = until
    query = {"event": JOB_UPDATE, "job": list(waiting) if len(waiting) <= NAMED_JOBS else None}
    return Feed(connection, query, after=min(numbers), patience_s=MOMENT_S)


def _listen(feed: Feed, waiting: dict[str, Watched], looked: Callable[[Row], None]) -> Iterator[Row]:
    """Those that have ended, as the feed tells, until all have or the feed breaks."""
    with closing(feed.events()) as events:
        while waiting:
            try:
                event = next(events)
            except ClientError:
                return
            if event.kind == RESET:
                yield from _look(waiting, looked)
            watched = waiting.get(event.data.get("jobId", ""))
            if event.kind != JOB_UPDATE or watched is None:
                continue
            looked(watched.hear(event))
            if watched.finished or watched.row["status"] == DELETED:
                # What an event says of an end is not all; and the job may have gone on since.
                yield from _look({watched.job: waiting.pop(watched.job)}, looked)
                if not watched.finished:
                    waiting[watched.job] = watched
