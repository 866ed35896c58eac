"""`GET /stats/failures`: failed attempts grouped by what they said last.

Attempts that crashed (also those that were retried) or could not be started keep their last lines in the store. Here each gets the fingerprint of
what is telling in them, and those with the same one are a kind. What ended otherwise than by its own exit says so in front (`timeout: …`,
`SIGKILL: …`), for the line it printed before tells where it was, not what was wrong. One that printed nothing is of the kind of its ending.

Bounded: the newest MOST_ATTEMPTS failed attempts, or so many as have MOST_CHARS of text, are looked at. They are kept in memory between questions
and read again when the store has changed; fingerprints of texts that were there before are remembered. The reading is the store's, the counting
happens in `run`, nothing on the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jobmgr.clock import now_us, rfc3339
from jobmgr.job import Cause, job_id, signal_name
from jobmgr.stats.findings import FailureKind, Failures
from jobmgr.stats.fingerprints import telling
from jobmgr.store.base import Store
from jobmgr.store.listing import EVERY_JOB, OLDEST_FIRST
from jobmgr.store.records import FailedAttempt

MOST_ATTEMPTS = 20_000
MOST_CHARS = 16 * 2**20
PAGE = 1000
KINDS = 20
MOST_JOBS = 20
MOST_NAMES = 20
"""Of a kind, so many are named."""

MAX_AGE_S = 2.0
READ_STANDS = 10
"""What was read stands so many times as long as the reading took, but at most MAX_AGE_S: reading takes at most about a tenth of the time."""

PARTS = 16
"""Parts of equal length into which the time is cut to judge a trend."""
NEVER_BEFORE = 0.05
MORE_THAN_CHANCE = 0.005

Trend = Literal["new", "rising", "steady", "falling", "gone"]


@dataclass(frozen=True, slots=True)
class Told:
    """A failed attempt as it is counted."""

    job: str
    name: str
    at: int
    ending: str
    """Its exit code, a signal by name, or the cause where it has neither."""
    fingerprint: str
    lines: str


class FailureKinds:
    """Answers `GET /stats/failures` for this store. `run` calls a function in another thread; calls never overlap."""

    def __init__(
        self,
        store: Store,
        *,
        run: Callable[..., Awaitable[Any]] = asyncio.to_thread,
        now: Callable[[], int] = now_us,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._run = run
        self._now = now
        self._clock = clock
        self._lock = asyncio.Lock()
        self._newest: _Reading | None = None

    async def read(
        self, since: int | None = None, until: int | None = None, name: str | None = None, limit: int = KINDS
    ) -> Failures:
        """The kinds of failed attempts that ended in since ≤ end < until (microseconds since the epoch), of jobs of this name."""
        async with self._lock:
            reading = await (self._read_newest() if until is None else self._read(since, until))
            oldest = await self._oldest()
            return await self._run(self._answer, reading, oldest, since, until, name, limit)  # type: ignore[no-any-return]  # of any `run`

    async def _read_newest(self) -> _Reading:
        """All of them; kept for the next question."""
        held = self._newest
        if held is not None and (self._clock() < held.stands or await self._store.last_seq() == held.seq):
            return held
        began = self._clock()
        self._newest = reading = await self._read(None, None)
        took = self._clock() - began
        reading.stands = began + took + min(MAX_AGE_S, READ_STANDS * took)
        return reading

    async def _read(self, since: int | None, until: int | None) -> _Reading:
        # Not the version of outcomes: a crash that is retried is no outcome. Read before: what comes meanwhile is read again.
        reading = _Reading(await self._store.last_seq())
        before = self._newest.known if self._newest is not None else {}
        place = None
        while not reading.cut and (
            page := await self._store.failed_attempts(since=since, until=until, before=place, limit=PAGE)
        ):
            place = page[-1].place
            # Page by page, so that whoever else waits for that thread gets his turn.
            await self._run(reading.take, page, before)
        return reading

    async def _oldest(self) -> int | None:
        """When the oldest job there is was submitted: before, nothing could fail."""
        keys = await self._store.find_jobs(EVERY_JOB, OLDEST_FIRST, limit=1)
        jobs = await self._store.jobs([key.id for key in keys])
        return jobs[0].created_at if jobs else None

    def _answer(
        self, reading: _Reading, oldest: int | None, since: int | None, until: int | None, name: str | None, limit: int
    ) -> Failures:
        chosen = [
            one
            for one in reading.told
            if (since is None or one.at >= since) and (until is None or one.at < until) and name in (None, one.name)
        ]
        starts = [since, oldest, reading.told[-1].at if reading.cut else None]
        start = max((at for at in starts if at is not None), default=0)
        now = self._now()
        return group(chosen, start=start, end=now if until is None else min(now, until), limit=limit)


_Said = tuple[str | None, Cause | None, int | None, int | None]


@dataclass(slots=True)
class _Reading:
    """What was read, newest first, and when it must be read again."""

    seq: int
    stands: float = 0.0
    cut: bool = False
    """Whether there are more."""
    told: list[Told] = field(default_factory=list)
    known: dict[_Said, str] = field(default_factory=dict)
    """Fingerprints by what was said."""
    chars: int = 0

    def take(self, page: Sequence[FailedAttempt], before: Mapping[_Said, str]) -> None:
        """Take in a page, with the fingerprints that an earlier reading knew."""
        for row in page:
            if self.cut or len(self.told) == MOST_ATTEMPTS or self.chars > MOST_CHARS:
                self.cut = True
                return
            said = (row.last_lines, row.cause, row.exit_code, row.signal)
            if said not in self.known:
                self.known[said] = before[said] if said in before else said_last(*said)
            self.told.append(_told(row, self.known[said]))
            self.chars += len(row.last_lines or "")


def _told(row: FailedAttempt, fingerprint: str) -> Told:
    how = ending(row.cause, row.exit_code, row.signal)
    return Told(job_id(row.job), row.job_name, row.ended_at, how, fingerprint, row.last_lines or "")


# --- pure


def ending(cause: str | None, exit_code: int | None, signal: int | None) -> str:
    """How an attempt ended, in a word: a code, a signal by name, else the cause."""
    if signal is not None:
        return signal_name(signal)
    return str(exit_code) if exit_code is not None else str(cause or "unknown")


_WORDS: dict[str, str] = {
    Cause.TIMEOUT: "timeout",
    Cause.DEADLINE: "deadline",
    Cause.OOM: "out of memory",
    Cause.SPAWN_ERROR: "not started",
}


def said_last(last_lines: str | None, cause: str | None, exit_code: int | None, signal: int | None) -> str:
    """The fingerprint of a failed attempt. `last_lines`: empty where it said nothing, None where that is not known."""
    how = _WORDS.get(cause or "") or ending(cause, exit_code, signal)
    how = f"exit code {how}" if how.isdigit() else how
    if not last_lines:
        return how if last_lines is None else f"no output; {how}"
    told = telling(last_lines.split("\n"))
    return told if cause in (Cause.EXIT, Cause.SPAWN_ERROR) else f"{how}: {told}"


def group(attempts: Iterable[Told], *, start: int, end: int, limit: int = KINDS) -> Failures:
    """The kinds of these attempts, the most frequent first, among equals the newest; `start` to `end` is the time in which they could fail."""
    kinds: dict[str, list[Told]] = {}
    count = 0
    for attempt in attempts:
        kinds.setdefault(attempt.fingerprint, []).append(attempt)
        count += 1
    for members in kinds.values():
        members.sort(key=lambda one: one.at, reverse=True)
    shown = heapq.nsmallest(max(0, limit), kinds.items(), key=lambda kind: (-len(kind[1]), -kind[1][0].at, kind[0]))
    return {
        "failedAttempts": count,
        "kinds": [_kind(told, members, start=start, end=end) for told, members in shown],
    }


def _kind(told: str, members: Sequence[Told], *, start: int, end: int) -> FailureKind:
    names = Counter(one.name for one in members)
    endings = Counter(one.ending for one in members)
    counts = _per_part([one.at for one in members], start, end)
    way = trend([one.at for one in members], start=start, end=end)
    return {
        "fingerprint": told,
        "id": hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12],
        "count": len(members),
        "jobs": list(dict.fromkeys(one.job for one in members))[:MOST_JOBS],
        "names": dict(names.most_common(MOST_NAMES)),
        "firstSeen": rfc3339(members[-1].at),
        "lastSeen": rfc3339(members[0].at),
        "trend": way,
        "example": members[0].lines,
        "exitCodes": dict(endings.most_common()),
        "sentence": _sentence(names, endings, way, counts),
    }


def trend(times: Sequence[int], *, start: int, end: int) -> Trend:
    """How often it happens in the newer half of the time, against the older half.

    - `new`: never in the older half, and that is no accident: spread over all the time, with probability NEVER_BEFORE at most all would have fallen
      behind the first of them. `gone`: the same from the other end. Those in one part of PARTS count as one, because failures come in bursts.
    - `rising`, `falling`: one half has more than the other, with p ≤ MORE_THAN_CHANCE (one-sided) both by the binomial test of their counts and
      by the t test of the counts of the parts, whose variance shows how bursty they are and is taken to be that of chance at least.
    - `steady`: everything else, also too few to say.
    """
    if end <= start or not times:
        return "steady"
    counts = _per_part(times, start, end)
    older, newer = sum(counts[: PARTS // 2]), sum(counts[PARTS // 2 :])
    parts, span = sum(count > 0 for count in counts), end - start
    if older == 0 and _share(end - min(times), span) ** parts <= NEVER_BEFORE:
        return "new"
    if newer == 0 and _share(max(times) - start, span) ** parts <= NEVER_BEFORE:
        return "gone"
    if _chance_of_more(counts) > MORE_THAN_CHANCE:
        return "steady"
    return "rising" if newer > older else "falling"


def _share(part: int, span: int) -> float:
    return min(1.0, max(0.0, part / span))


def _per_part(times: Iterable[int], start: int, end: int) -> list[int]:
    counts = [0] * PARTS
    for at in times:
        counts[min(PARTS - 1, max(0, (at - start) * PARTS // max(1, end - start)))] += 1
    return counts


def _chance_of_more(counts: Sequence[int]) -> float:
    """The probability that the larger half is so much larger by chance: the worse of the two tests."""
    from scipy.special import bdtrc, stdtr

    half = PARTS // 2
    sides = counts[:half], counts[half:]
    less, more = sorted(map(sum, sides))
    means = [sum(side) / half for side in sides]
    scatter = sum((count - mean) ** 2 for side, mean in zip(sides, means, strict=True) for count in side) / (PARTS - 2)
    variance = max(scatter, sum(counts) / PARTS)
    apart = (more - less) / half / (2 * variance / half) ** 0.5
    return max(float(bdtrc(more - 1, less + more, 0.5)), float(stdtr(PARTS - 2, -apart)))


def _sentence(names: Counter[str], endings: Counter[str], way: Trend, counts: Sequence[int]) -> str:
    count = names.total()
    attempts = "1 failed attempt" if count == 1 else f"{count} failed attempts"
    return f"{attempts} of {_whose(names)}, {_how(endings)}{_when(way, counts)}."


def _whose(names: Counter[str]) -> str:
    shown = [f"{_short(name)} ({count})" for name, count in names.most_common(2)]
    if len(names) == 1:
        return _short(next(iter(names)))
    more = len(names) - len(shown)
    return ", ".join([*shown, f"{more} more names"]) if more > 1 else " and ".join([*shown, "1 more name"][: 2 + more])


_NAME_CHARS = 60


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"


def _how(endings: Counter[str]) -> str:
    [(first, most)] = endings.most_common(1)
    count = endings.total()
    how = f"with exit code {first}" if first.isdigit() else _ENDED.get(first, f"by {first}")
    percent = (200 * most + count) // (2 * count)
    return how if most == count else f"mostly {how} ({most} of {count}, {percent} %)"


_ENDED = {"spawn_error": "which could not be started", "unknown": "of unknown ending"}


def _when(way: Trend, counts: Sequence[int]) -> str:
    older, newer = sum(counts[: PARTS // 2]), sum(counts[PARTS // 2 :])
    if way == "new":
        return "; new: none in the older half of the time"
    if way == "gone":
        return "; gone: none in the newer half of the time"
    return "" if way == "steady" else f"; {way}: {newer} in the newer half of the time, {older} in the older"
