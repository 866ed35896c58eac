"""How long runs last, from weighted runs of which some were cut off: Kaplan and Meier's estimate, its quantiles, the risk of a crash.

A run that ended by itself is an *end*, with or without success. One that was stopped, lost or timed out would have gone on: it says only that such
a run lasts at least so long (right-censored). Taking it for an end would make runs look shorter than they are.

Besides the runs there is a prior of a small weight: what has lasted so long lasts about as long again (Lindy; the time that is left is `reference` x
u / (1 - u) for a uniform u, so 0.11, 1 and 9 times at 10, 50 and 90 %). While many runs lasted longer it hardly counts; where none did it is
all there is.

Times are seconds. Pure arithmetic over a few hundred runs, a few dozen microseconds a question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

PRIOR_WEIGHT = 0.5
"""Of the prior, in runs. On the traces of docs/statistics.md 0.2 to 0.7 lose the same within 1 %; with more, the intervals hold more often."""
SHORTEST_S = 0.001


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs with their weights; all arrays are of the same length."""

    seconds: Array
    weights: Array
    ended: Array
    """They ended by themselves; the others were cut off."""
    crashed: Array
    """They crashed, by themselves or because their time was up."""


class Survival:
    """What these runs say of another one of their kind."""

    def __init__(self, runs: Runs) -> None:
        import numpy as np

        order = np.lexsort((~runs.ended, runs.seconds))  # Of equal times the ends come first, as Kaplan and Meier say.
        self._seconds = runs.seconds[order]
        weights = runs.weights[order]
        ended, crashed = runs.ended[order], runs.crashed[order]
        self._weight_left = np.append(np.cumsum(weights[::-1])[::-1], 0.0)
        share = weights / self._weight_left[:-1]
        self._surviving = np.append(1.0, np.cumprod(1 - np.where(ended, share, 0.0)))
        self._crashing = _incidence(share, crashed & ended, ended)
        self._crashing_or_cut = _incidence(share, crashed, ended | crashed)
        middle = self.quantiles(0.0, (0.5,), reference=SHORTEST_S) if len(order) else (SHORTEST_S,)
        self._typical = middle[0]

    def weight_beyond(self, elapsed: float) -> float:
        """The weight of the runs that lasted longer."""
        return float(self._weight_left[self._place(elapsed)])

    def quantiles(
        self, elapsed: float, shares: tuple[float, ...], *, reference: float | None = None
    ) -> tuple[float, ...]:
        """Within so many more seconds these shares of such runs end, given that they lasted so long. `reference`: the scale of the prior."""
        reference = max(elapsed, self._typical if reference is None else reference)
        place = self._place(elapsed)
        beyond = self._seconds[place:] - elapsed
        trust = float(self._weight_left[place] / (self._weight_left[place] + PRIOR_WEIGHT))
        alive = self._surviving[place] if len(beyond) else 1.0
        surviving = self._surviving[place:] / alive * trust
        mixed = surviving[1:] + (1 - trust) * reference / (beyond + reference)
        return tuple(
            self._quantile(share, beyond, surviving, mixed, (1 - trust) * reference, reference) for share in shares
        )

    @staticmethod
    def _quantile(
        share: float, beyond: Array, surviving: Array, mixed: Array, scaled: float, reference: float
    ) -> float:
        """Where the mixture has fallen to 1 - share: at a run, or between two runs where only the prior falls."""
        left = 1 - share
        at = int((-mixed).searchsorted(-left - 1e-12))
        if at < len(beyond):
            rest = left - surviving[at]
            before = float(beyond[at - 1]) if at else 0.0
            return float(beyond[at]) if rest <= 0 else float(min(max(scaled / rest - reference, before), beyond[at]))
        # Beyond the last run; what it left over falls on as the prior does.
        last = float(beyond[-1]) if len(beyond) else 0.0
        total = float(surviving[-1]) * (last + reference) + scaled if len(beyond) else reference
        return max(total / left - reference, last)

    def crash_risk(self, elapsed: float, limit: float | None = None) -> float | None:
        """The probability of a crash at last, given that it lasted so long; None where no such run ever lasted longer.

        `limit`: after so many seconds in all it is cut off, which is a crash. Without, being cut off is one as often as it was.
        """
        place = self._place(elapsed)
        if not self._weight_left[place]:
            return None
        crashing, ending = self._crashing if limit is not None else self._crashing_or_cut
        end = len(self._seconds) if limit is None else max(self._place(limit), place)
        alive, at_end = 1 - ending[place], 1 - ending[end]
        if alive <= 0:
            return None
        crashes = float(crashing[end] - crashing[place])
        if limit is not None:
            return min(1.0, (crashes + float(at_end)) / float(alive))
        known = float(alive - at_end)  # Of those that are still alive after the longest run nothing is known.
        return crashes / known if known > 0 else None

    def _place(self, elapsed: float) -> int:
        return int(self._seconds.searchsorted(elapsed, "right"))


def _incidence(share: Array, crashes: Array, ends: Array) -> tuple[Array, Array]:
    """By each run: the share of all that has crashed, and that has ended at all (competing risks)."""
    import numpy as np

    surviving = np.append(1.0, np.cumprod(1 - np.where(ends, share, 0.0)))
    crashing = np.append(0.0, np.cumsum(surviving[:-1] * np.where(crashes, share, 0.0)))
    return crashing, 1 - surviving
