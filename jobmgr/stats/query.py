"""What a question to the statistics may narrow: which target, which part of the history, how many patterns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """What is looked for in jobs."""

    FAILURE = "failure"
    """They crashed."""
    SLOW = "slow"
    """They ran more than twice as long as the median of their name."""
    MEMORY = "memory"
    """Their peak memory was more than twice the median of their name."""


MOST_PATTERNS = 12


@dataclass(frozen=True, slots=True)
class Question:
    """Which patterns are asked for. Times are microseconds since the epoch and mean the end of a task: since ≤ end < until."""

    target: Target = Target.FAILURE
    since: int | None = None
    until: int | None = None
    name: str | None = None
    group: str | None = None
    max_patterns: int = MOST_PATTERNS
    """Of those that were discovered; basic ones are always shown besides."""
    min_support: int | None = None
    """So many tasks at least match a pattern; None: 1 % of all, but 10 to 50."""

    @property
    def narrow(self) -> bool:
        """Whether it asks of some of the tasks only."""
        return any(part is not None for part in (self.since, self.until, self.name, self.group))


EVERYTHING = Question()
