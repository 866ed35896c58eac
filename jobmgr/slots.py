"""The slots of this node: how many attempts may be claimed now, and whether a claim may find anything. Pure counting, no waiting.

Every claim is an `Offer`: slots reserved before the commit and given back after it, filled or not. A claim that comes back short proves that
nothing was ready when it was made, so no further one is sent until something arrives; a commit that makes tasks ready is such an arrival.
A machine that cannot start a process just now closes the slots for a while (`hold`), longer each time.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_HOLD_S = 0.5
LONGEST_HOLD_S = 30.0


@dataclass(frozen=True, slots=True)
class Offer:
    """Slots reserved for one claim. `limit` 0: none are free, or nothing can be ready."""

    limit: int
    seen: int
    quiet: bool
    arriving: bool
    wanted: int | None


class Slots:
    """Counts. Whoever uses it asks `offer` before each commit and says `settle` after it, whatever became of it."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._reserved = 0
        self._arrivals = 0
        """Commits that made tasks ready."""
        self._exhausted_at = -1
        """No task was left of what had arrived up to here."""
        self._holds = 0
        self._held_until = 0.0
        self.open = False
        """Whether anything may begin at all."""

    @property
    def reserved(self) -> int:
        """Slots promised to claims under way."""
        return self._reserved

    def offer(self, running: int, now: float, *, arriving: bool = False, wanted: int | None = None) -> Offer:
        """Reserve what is free beside `running` attempts. `arriving`: the same commit makes tasks ready, `wanted` of them if that is known.

        `now` is the event loop's time in seconds.
        """
        quiet = not self._may_find()
        free = self._free(running, now) if arriving or not quiet else 0
        limit = free if wanted is None else min(wanted, free)
        self._reserved += limit
        return Offer(limit, self._arrivals, quiet, arriving, wanted)

    def settle(self, offer: Offer, claimed: int | None) -> None:
        """Give the reservation back. `claimed`: how many tasks were taken; None: the commit failed."""
        self._reserved -= offer.limit
        if claimed is None:
            return
        self._arrivals += offer.arriving
        if claimed < offer.limit or (offer.quiet and claimed == offer.wanted):
            # Nothing is left of what had arrived when the claim was sent, nor of what it brought itself; of what came since there may be.
            alone = offer.arriving and self._arrivals == offer.seen + 1
            self._exhausted_at = max(self._exhausted_at, offer.seen + alone)

    def wants_claim(self, running: int, now: float) -> bool:
        """Whether another claim could take something now."""
        return self._may_find() and self._free(running, now) > 0

    def hold(self, now: float) -> float:
        """Close for a while, because nothing can be started just now; how long, in seconds. Doubles until `relent`."""
        wait: float = min(FIRST_HOLD_S * 2 ** min(self._holds, 10), LONGEST_HOLD_S)
        self._holds += 1
        self._held_until = max(self._held_until, now + wait)
        return wait

    def relent(self) -> None:
        """Something began: the next lack is a new one."""
        self._holds = 0

    def _may_find(self) -> bool:
        return self._exhausted_at < self._arrivals

    def _free(self, running: int, now: float) -> int:
        if not self.open or now < self._held_until:
            return 0
        return max(0, self._count - running - self._reserved)
