"""How long to wait after a try that failed, and when to give up. Pure.

One rule: the first wait, then each four times as long, 12 hours at most, all 10 % longer or shorter at random; ten tries in all. A receiver that asks
for a longer wait (`Retry-After`) gets it, up to the same 12 hours.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from jobmgr.clock import MICROSECONDS, now_us

FACTOR = 4
LONGEST_S = 12 * 3600.0
TRIES = 10
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Retrying:
    """The rule, by the first wait in seconds."""

    delay_s: float = 5.0

    def wait_us(self, tries: int, *, asked_s: float = 0.0, chance: random.Random | None = None) -> int | None:
        """Microseconds to wait after so many tries, the last one included. None: no more."""
        if tries >= TRIES:
            return None
        wait = min(self.delay_s * FACTOR ** (tries - 1), LONGEST_S)
        wait *= 1 + (chance or random).uniform(-JITTER, JITTER)
        return int(max(wait, min(asked_s, LONGEST_S)) * MICROSECONDS)


def asked_wait(text: str | None) -> float:
    """The seconds that a `Retry-After` asks for: a number or a date; 0 for anything else."""
    if text is None or not text.isascii():
        return 0.0
    if text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_us() / MICROSECONDS)
    except (ValueError, OverflowError):
        return 0.0
