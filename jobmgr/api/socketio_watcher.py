"""A watcher over Socket.IO: one connection of one client.

One task tells it everything, in order: it takes a few events from its place in the feed, and the next ones when those have been taken; there is no
queue but the short one of Engine.IO. Between them it repeats the results that were not acknowledged (`socketio_results`). What the client sends is
handled by whoever reads it: a wrong message gets an `error` with a sentence, and after MAX_COMPLAINTS of them the connection ends.

Of a client with a name the place is told to `Watchers` at each acknowledgement. A client that takes nothing is cut, and comes again from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from engineio.async_socket import AsyncSocket
from engineio.exceptions import SocketIsClosedError

from jobmgr.api.socketio_engine import Engine, NotRead, send
from jobmgr.api.socketio_results import Result, Results
from jobmgr.api.wanted import filter_of
from jobmgr.clock import rfc3339
from jobmgr.errors import FieldProblem, InvalidRequest, JobmgrError
from jobmgr.events import JOB_RESULT, KINDS, EventFilter
from jobmgr.feed import Batch, Entry, Feed, as_json
from jobmgr.job import parse_job_id
from jobmgr.log import get_logger

RECEIVED = "update-on-job-received:"
"""What known clients answer to a result; the id of the job follows."""

ALL_KINDS = frozenset(KINDS)
STEP_EVENTS = 25
MAX_COMPLAINTS = 20
MAX_SAID = 1000
FAREWELL_S = 1.0

_log = get_logger()


def as_packet(entry: Entry) -> bytes:
    """An event as the content of a packet: its name, and its data with `seq` and `at`."""
    event = entry.event
    more = b',"seq":%d,"at":"%s"' % (event.seq, rfc3339(event.at).encode())
    return b'["%s",%s%s}]' % (event.kind.encode(), entry.data[:-1], more)


class SocketIoWatcher:
    """One client, from the moment that its connection was accepted."""

    def __init__(
        self,
        engine: Engine,
        session: AsyncSocket,
        feed: Feed,
        *,
        wanted: EventFilter,
        pause: Callable[[int], float],
    ) -> None:
        self.begin = Batch((), 0)
        """Where it begins; known before `start`."""
        self.acknowledge: Callable[[int], None] | None = None
        """Told its place, where it has a name."""
        self.leave: Callable[[], None] = lambda: None
        """To be called once when the connection has ended."""
        self._engine = engine
        self._session = session
        self._feed = feed
        self._wanted = wanted
        self._pause = pause
        self._seq = 0
        self._results = Results(0, pause)
        self._asked: tuple[EventFilter, object, asyncio.Future[int]] | None = None
        """A filter that is to hold, as it was given, and who waits for that."""
        self._news = asyncio.Event()
        self._complaints = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether it is being told."""
        return self._task is not None

    def start(self) -> None:
        """Begin to tell."""
        self._seq = self.begin.seq
        self._results = Results(self._seq, self._pause, named=self.acknowledge is not None)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="socket.io watcher")

    def stop(self) -> None:
        """The connection has ended. Safe to repeat."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        if self._asked is not None:
            self._asked[2].cancel()
        leave, self.leave = self.leave, lambda: None
        leave()

    async def say(self, name: str, data: Mapping[str, Any]) -> None:
        """Send what is no event of the feed."""
        await self._send(b"2" + as_json([name, data]))

    async def farewell(self, sentence: str) -> None:
        """The last word: it is not to come again by itself."""
        if self._task is not None:
            self._task.cancel()
        with suppress(TimeoutError, SocketIsClosedError):
            async with asyncio.timeout(FAREWELL_S):
                await self.say("error", {"error": sentence})
                await self._send(b"1")
        await self._engine.end(self._session)

    # --- to the client

    async def _run(self) -> None:
        try:
            await self._tell_all()
        except NotRead:
            await self._engine.abort(self._session)
        except SocketIsClosedError:
            pass
        except JobmgrError as error:  # The store is closed or the disk is broken: it comes again when all is well.
            _log.warning("a watcher cannot be told what it missed", reason=str(error))
            await self._engine.end(self._session)
        except Exception as error:  # noqa: BLE001 - a bug of ours; the client comes again from its place.
            _log.error("a watcher could not be served", exc_info=error)
            await self._engine.end(self._session)

    async def _tell_all(self) -> None:
        if self.begin.reset:
            await self.say("reset", {"seq": self._seq})
        await self.say("hello", {"seq": self._seq})
        with self._feed.watching(self._news.set):
            while True:
                self._news.clear()
                await self._change_filter()
                await self._repeat()
                if not await self._tell_next():
                    await self._rest()

    async def _tell_next(self) -> bool:
        """Tell the next events; whether there were any."""
        before = self._seq
        batch = await self._feed.read(before, self._wanted, limit=STEP_EVENTS)
        if batch.reset:
            self._seq = batch.seq
            await self.say("reset", {"seq": batch.seq})
            return True
        for entry in batch.entries:
            self._seq = entry.seq  # First: it may be acknowledged before the sending has come back.
            await self._tell(entry)
        self._seq = batch.seq
        return batch.seq != before

    async def _tell(self, entry: Entry) -> None:
        text = entry.form(as_packet)
        if entry.event.kind == JOB_RESULT:
            await self._tell_result(Result(entry.seq, entry.event.job, text))
        else:
            await self._send(b"2" + text)

    async def _tell_result(self, result: Result) -> None:
        self._results.sent(result, self._now())
        # The number under which the client's acknowledgement comes back is that of the event: nothing else need be remembered.
        await send(self._session, f"2{result.seq}{result.packet.decode()}")

    async def _repeat(self) -> None:
        while (result := self._results.due(self._now())) is not None:
            await self._tell_result(result)

    async def _change_filter(self) -> None:
        """Between two events, so that it is known from where on it holds."""
        if self._asked is None:
            return
        (self._wanted, given, told), self._asked = self._asked, None
        await self.say("subscribed", {"seq": self._seq, "subscribe": given})
        if not told.done():
            told.set_result(self._seq)

    async def _rest(self) -> None:
        """Until there is something new, or to be repeated."""
        until = self._results.next_at
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._news.wait()

    async def _send(self, packet: bytes) -> None:
        await send(self._session, packet.decode())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # --- from the client

    async def take(self, name: str, given: Sequence[object]) -> Mapping[str, object] | None:
        """A message of the client; what to answer, if it asked for an answer."""
        try:
            if name == "subscribe":
                return await self._subscribe(given[0] if given else None)
            if name == "ack":
                return self._acknowledge(given[0] if given else None)
            if name.startswith(RECEIVED):
                self._received(name.removeprefix(RECEIVED))
                return None
            problem = f"not known here: {name[:100]!r}; send subscribe, ack or {RECEIVED}job-7"
            raise InvalidRequest([FieldProblem("", problem)])
        except InvalidRequest as error:
            return await self.complain(str(error))

    def take_answer(self, seq: int) -> None:
        """The acknowledgement of one result, by the number under which it was sent."""
        self._results.acknowledge(seq)
        self._note()

    async def complain(self, sentence: str) -> Mapping[str, object]:
        """Tell the client that it was not understood; too often, and it has to go."""
        self._complaints += 1
        said = {"error": sentence[:MAX_SAID]}
        await self.say("error", said)
        if self._complaints >= MAX_COMPLAINTS:
            await self.farewell("too many messages that mean nothing")
        return said

    async def _subscribe(self, given: object) -> Mapping[str, object]:
        wanted = filter_of(given, at="/subscribe", kinds=ALL_KINDS)
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked = wanted, given, told
        self._news.set()
        return {"seq": await told, "subscribe": given}

    def _acknowledge(self, seq: object) -> Mapping[str, object]:
        if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= self._seq:
            raise InvalidRequest([FieldProblem("/ack", f"give a number that was sent: 0 to {self._seq}")])
        self._results.acknowledge_until(seq)
        self._note()
        return {"seq": seq}

    def _received(self, job: str) -> None:
        number = parse_job_id(job)
        if number is None:
            raise InvalidRequest([FieldProblem("", f"no id of a job: {job[:100]!r}; answer {RECEIVED}job-7")])
        self._results.acknowledge_job(number)
        self._note()

    def _note(self) -> None:
        if self.acknowledge is not None:
            self.acknowledge(self._results.place)
