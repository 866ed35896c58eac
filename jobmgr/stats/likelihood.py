"""The binomial log-likelihood ratio of two samples, for a million pairs at once: do they fail equally often?

`2 LLR` is twice the log of how much likelier the counts are when each sample has a rate of its own than when both share one (Wilks 1938: for one
pair, under equal rates and with many runs, chi-squared with one degree of freedom). All its terms are `k ln k` of whole numbers, which stand in
a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class Likelihood:
    """Ratios of samples that together have at most `most` runs."""

    def __init__(self, most: int) -> None:
        import numpy as np

        self._terms = np.arange(most + 1, dtype="f8")
        self._terms[2:] *= np.log(self._terms[2:])
        self._terms[1:2] = 0.0

    def single(self, failed: Array, runs: Array) -> Array:
        """The highest log-likelihood that so many failures of so many runs can have."""
        terms = self._terms
        result: Array = terms[failed] + terms[runs - failed] - terms[runs]
        return result

    def ratio(self, failed: Array, runs: Array, other_failed: Array, other_runs: Array) -> Array:
        """2 LLR of pairs of samples, which share nothing; 0 where one of them is empty."""
        apart = self.single(failed, runs) + self.single(other_failed, other_runs)
        return 2 * (apart - self.single(failed + other_failed, runs + other_runs))
