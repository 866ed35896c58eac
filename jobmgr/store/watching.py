"""What the store keeps of watchers that named themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeepWatchers:
    """These watchers (name, number of the last event that it has) were connected at this time. No event. Outcome: None."""

    rows: Sequence[tuple[str, int]]
    at: int
