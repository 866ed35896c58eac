"""The feed: committed events in order, for any number of watchers, each of which is but a place in it.

A watcher remembers the number of the last event it took and asks for what is above. The newest events are held here, each turned into bytes once,
however many watchers take them; older ones are read from the store in pages. So a slow watcher costs no memory: it falls behind, and reads what
it missed when it is ready for it. There is no gap between old and new, because the number says where to go on: an event is in the
store before it is here.

While nobody watches nothing is held. When many do, waking all of them takes its time: it is done in slices, between which the loop serves
others, and afterwards the feed rests a little in proportion: what is committed meanwhile comes in one piece. Lives on one event loop; keeps
nothing on disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property

from jobmgr.events import EVERY_EVENT, JOB_RESULT, Event, EventFilter
from jobmgr.log import get_logger
from jobmgr.store.base import Store

HELD_EVENTS = 10_000
HELD_BYTES = 8 * 1024 * 1024
"""At most so many of the newest events are held, and about so many bytes of them."""

ENTRY_BYTES = 1500
"""About what an event takes besides its text: the text in other forms, the values it was made of."""

PAGE = 500
PAGE_BYTES = 256 * 1024
"""Read at once: at most so many events, and of large ones fewer."""

REST = 2.0
LONGEST_REST_S = 0.25
"""After waking everybody the feed rests so many times as long as that took, and never longer than this."""

SLICE_S = 0.005
"""So long watchers are woken before the loop gets to do something else: ten thousand take a quarter of a second."""

_log = get_logger()

Form = Callable[["Entry"], bytes]
Wake = Callable[[], None]


def as_json(value: object) -> bytes:
    """JSON as it is sent. What cannot be encoded (a lone surrogate that a job reported) is replaced."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(slots=False)
class Entry:
    """An event in the feed, with the forms in which it is sent: each is made once."""

    event: Event
    _forms: dict[Form, bytes] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        """Its number."""
        return self.event.seq

    @cached_property
    def data(self) -> bytes:
        """Its data as JSON."""
        return as_json(self.event.data)

    @cached_property
    def result(self) -> Entry:
        """The end that it tells, as a JOB_RESULT."""
        return Entry(self.event.result())

    def form(self, make: Form) -> bytes:
        """What `make` makes of it."""
        made = self._forms.get(make)
        if made is None:
            made = self._forms[make] = make(self)
        return made


@dataclass(frozen=True, slots=True)
class Batch:
    """What a watcher takes at once: the entries that pass its filter, and where it stands then."""

    entries: Sequence[Entry]
    seq: int
    reset: bool = False
    """What it asked for is not there any more; it goes on at `seq`."""


def chosen(entries: Sequence[Entry], wanted: EventFilter) -> list[Entry]:
    """The entries that pass, in order; the end of a job also as a result, where that is wanted."""
    found = []
    for entry in entries:
        if wanted is EVERY_EVENT:
            found.append(entry)
        elif wanted.passes(entry.event):
            if entry.event.kind in wanted.kinds:
                found.append(entry)
            if JOB_RESULT in wanted.kinds and entry.event.is_end:
                found.append(entry.result)
    return found


def _wake_one(wake: Wake) -> None:
    try:
        wake()
    except Exception:  # noqa: BLE001 - whatever it was, one that cannot be told must not silence the feed for all others.
        _log.exception("a watcher cannot be woken")


def _one_page(entries: Sequence[Entry]) -> Sequence[Entry]:
    """As many from the front as are PAGE_BYTES together, at least one: a watcher keeps them until its client has taken them."""
    size = 0
    for place, entry in enumerate(entries):
        size += len(entry.data)
        if size > PAGE_BYTES:
            return entries[: place + 1]
    return entries


class Feed:
    """The events of a store, from `start` on."""

    def __init__(self, store: Store, *, held_events: int = HELD_EVENTS, held_bytes: int = HELD_BYTES) -> None:
        self.seq = 0
        """The number of the newest event that was told."""
        self._store = store
        self._limits = (held_events, held_bytes)
        self._held: list[Entry] = []
        """The newest events, numbered without a gap, up to `seq`."""
        self._bytes = 0
        self._watchers: dict[Wake, None] = {}
        self._waking: asyncio.Handle | None = None
        self._rest_until = 0.0
        self._stopped = False

    async def start(self) -> None:
        """Begin, at the newest event there is."""
        self._store.subscribe(self._hear)
        self.seq = max(self.seq, await self._store.last_seq())

    def stop(self) -> None:
        """The server leaves: all following ends now."""
        self._stopped = True
        for wake in list(self._watchers):
            wake()

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return len(self._watchers)

    # --- what is committed

    def _hear(self, events: Sequence[Event]) -> None:
        """Take in what was committed; called by the store on the event loop."""
        if (
            events[0].seq <= self.seq
        ):  # Committed before `start` looked, told only now: whoever wants them reads the store.
            events = [event for event in events if event.seq > self.seq]
            if not events:
                return
        if not self._watchers or events[0].seq != self.seq + 1:
            self._forget()  # Nobody needs them here; or some were missed, and the store has those.
        if self._watchers:
            self._hold([Entry(event) for event in events])
            self._wake_soon()
        self.seq = max(self.seq, events[-1].seq)

    def _forget(self) -> None:
        self._held, self._bytes = [], 0

    def _hold(self, entries: Sequence[Entry]) -> None:
        self._held += entries
        self._bytes += sum(len(entry.data) + ENTRY_BYTES for entry in entries)
        most, most_bytes = self._limits
        excess = 0
        while len(self._held) - excess > most or (self._bytes > most_bytes and excess < len(self._held)):
            self._bytes -= len(self._held[excess].data) + ENTRY_BYTES
            excess += 1
        if excess:
            del self._held[:excess]

    def _wake_soon(self) -> None:
        if self._waking is None:
            loop = asyncio.get_running_loop()
            self._waking = loop.call_at(max(loop.time(), self._rest_until), self._wake_all)

    def _wake_all(self) -> None:
        self._wake_some(iter(list(self._watchers)), self.seq, 0.0)

    def _wake_some(self, watchers: Iterator[Wake], told: int, spent_s: float) -> None:
        """Wake these for a moment, then the rest of them in turn with whatever else there is to do."""
        loop = asyncio.get_running_loop()
        began = now = loop.time()
        for wake in watchers:
            if wake in self._watchers:  # It may have left since.
                _wake_one(wake)
            now = loop.time()
            if now - began >= SLICE_S:
                self._waking = loop.call_soon(self._wake_some, watchers, told, spent_s + now - began)
                return
        spent_s += now - began
        self._rest_until = now + min(spent_s * REST, LONGEST_REST_S)
        self._waking = None
        if self.seq > told:  # Those who were woken first have not heard of what came while the others were.
            self._wake_soon()

    # --- what watchers ask

    @contextmanager
    def watching(self, wake: Wake) -> Iterator[None]:
        """While inside, `wake` is called whenever there is something new. It must not block."""
        self._watchers[wake] = None
        try:
            yield
        finally:
            del self._watchers[wake]
            if not self._watchers:
                self._forget()

    def held(self, after: int) -> Sequence[Entry] | None:
        """All events above this number, where they are held; None: ask `read`."""
        if after >= self.seq:
            return ()
        first = self.seq - len(self._held)
        return self._held[after - first :] if after >= first else None

    async def read(self, after: int, wanted: EventFilter = EVERY_EVENT, *, limit: int = PAGE) -> Batch:
        """The next events above this number: at most `limit` are looked at. Empty and at `after`: there is nothing newer."""
        held = self.held(after)
        if held is None:
            entries: Sequence[Entry] = [Entry(event) for event in await self._store.events(after=after, limit=limit)]
            if (
                not entries or entries[0].seq != after + 1
            ):  # They are numbered without a gap: what is missing was pruned.
                return Batch((), self.seq, reset=True)
        else:
            entries = held[:limit]
        entries = _one_page(entries)
        return Batch(chosen(entries, wanted), entries[-1].seq if entries else after)

    async def begin(self, after: int | None) -> Batch:
        """Where one who has all up to `after` begins (None: with what comes from now on); empty, perhaps a reset."""
        if after is None:
            return Batch((), self.seq)
        if after > self.seq and after > await self._store.last_seq():
            return Batch((), self.seq, reset=True)  # Of another database, or of one that a copy was put in place of.
        if after < self.seq and self.held(after) is None:
            first = await self._store.events(after=after, limit=1)
            if not first or first[0].seq != after + 1:
                return Batch((), self.seq, reset=True)
        return Batch((), after)

    async def follow(
        self, after: int, wanted: EventFilter = EVERY_EVENT, *, patience_s: float, limit: int = PAGE
    ) -> AsyncGenerator[Batch, None]:
        """What is above this number, batch by batch, as it comes; an empty batch after `patience_s` without any. Ends with the feed."""
        news = asyncio.Event()
        with self.watching(news.set):
            while not self._stopped:
                news.clear()
                batch = await self.read(after, wanted, limit=limit)
                if batch.seq == after and not batch.reset:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(patience_s):
                            await news.wait()
                            continue
                after = batch.seq
                yield batch
