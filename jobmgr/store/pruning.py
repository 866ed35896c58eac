"""What the store lets go in the course of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prune:
    """Forget events, keys, watchers not seen, and deliveries that ended, before these instants, a bounded number at a time.

    With the deliveries go outcomes of names that are as old, and callbacks whose job is no more. Outcome: how many rows went.
    """

    events_before: int
    keys_before: int
    watchers_before: int = 0
    deliveries_before: int = 0
    limit: int = 5000
