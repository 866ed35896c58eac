"""Reports on their way to the controller: those of one turn leave together, and news that can wait travels with others.

Standard library only; part of the keeper.
"""

from __future__ import annotations

from typing import Any

BEGUN_DELAY_US = 10_000
"""Nobody waits for the news that a run began, and most short ones end before: one message less, and one wake-up of the server."""


class Outbox:
    """Records to be sent, in the order in which they came about."""

    def __init__(self) -> None:
        self._begun: list[dict[str, Any]] = []
        self._others: list[dict[str, Any]] = []
        self.due: int | None = None
        """Boot-clock instant at which what waits must leave; None: nothing waits."""

    def begun(self, record: dict[str, Any], now: int) -> None:
        """A run began: soon enough."""
        self._begun.append(record)
        if self.due is None:
            self.due = now + BEGUN_DELAY_US

    def add(self, record: dict[str, Any]) -> None:
        """Anything else: at the end of this turn."""
        self._others.append(record)

    def take(self, now: int) -> list[dict[str, Any]]:
        """What is to be sent now; a begin goes before the end of its run."""
        if not self._others and (self.due is None or now < self.due):
            return []
        records = self._begun + self._others
        self._begun, self._others, self.due = [], [], None
        return records
