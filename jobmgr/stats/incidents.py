"""Incidents: windows of time in which far more tasks failed than before and after.

Tasks are looked at in the order of their ends. Windows of 8 × 1.5^k tasks, up to a quarter of all, are compared with what lies before them and
what lies after them, eight times their size on either side: both must differ by a binomial 2 LLR above `threshold`. A level that stays
is so no incident (it is a changepoint), neither is a rate that was always high. A side of the history too short to tell has no say, so what has not
ended is found. The best windows that do not overlap are refined: with the rates inside and around as given, the edges are where the likelihood is
highest, which is always at a failure. A stretch inside that is by the same evidence like the surroundings parts one from the next.

Sources: scan statistics (Kulldorff 1997, Communications in Statistics 26:1481); the threshold stands for the number of windows tried, and was
checked by simulation (docs/statistics.md). The edges: the segment of maximum sum of log-likelihood ratios, as in CUSUM (Page 1954).

Assumes that tasks without an incident fail independently. Where failures always come in bursts, each larger burst is an incident, rightly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo
from math import log
from typing import TYPE_CHECKING, Any

from jobmgr.stats import moments
from jobmgr.stats.columns import CRASHED, UNKNOWN, Columns
from jobmgr.stats.discovery.sentences import percent
from jobmgr.stats.findings import Condition, Incident
from jobmgr.stats.labels import clean
from jobmgr.stats.likelihood import Likelihood

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST = 20
"""Of more incidents than that the clearest are told."""
SMALLEST = 8
GROWTH = 1.5
LARGEST_PART = 4
"""The largest windows are the so manieth part of all."""
LEAST_STEP = 2
"""Windows begin at every eighth part of their size, but not at every task: the edges are refined later."""
LEAST_FAILED = 5
"""Fewer failures than that are no incident."""
AROUND, LEAST_AROUND = 8, 200
"""With so many times its own size is a window compared on either side, and with so many tasks at least, as far as there are any."""
LEAST_BESIDE, BESIDE = 50, 1 / 3
"""With its own size, and so many at least, right beside it too, and there by this part of the threshold: then it has really begun and ended."""
ROUNDS = 3 * MOST
"""So many windows are looked at more closely, the best first."""


def threshold(count: int) -> float:
    """The 2 LLR that a window must exceed among so many tasks: 24 among 500, 30 among 10,000, as there are more windows to be struck by chance."""
    return 24 + 2 * log(max(1.0, count / 500))


def incidents(columns: Columns, rows: Array, *, zone: tzinfo = UTC) -> list[Incident]:
    """The clearest windows of failure, newest first. `rows`: finished tasks in the order of their ends (`Columns.outcomes`)."""
    rows = rows[columns["at"][rows] != UNKNOWN]
    failed = columns["status"][rows] == CRASHED
    found = sorted(Series(failed).incidents(), reverse=True)
    teller = _Teller(columns, rows, failed, zone)
    return [teller.incident(window) for window in found]


Window = tuple[int, int]
"""From and to (exclusive), as places in a series."""


class Series:
    """Outcomes in their order: which of them failed."""

    def __init__(self, failed: Array) -> None:
        import numpy as np

        self._failed = failed
        self._count = len(failed)
        self._before = np.concatenate(([0], np.cumsum(failed, dtype="i8")))
        self._likelihood = Likelihood(self._count)
        self._threshold = threshold(self._count)

    def incidents(self) -> list[Window]:
        """The best windows, in no order."""
        starts, ends, scores = self._candidates()
        chosen: list[Window] = []
        for _ in range(ROUNDS):
            if not len(scores) or len(chosen) >= MOST:
                break
            best = int(scores.argmax())
            coarse = int(starts[best]), int(ends[best])
            window = self._refined(coarse)
            chosen += [piece for piece in self._pieces(window) if _free(piece, chosen)]
            apart = (ends <= min(coarse[0], window[0])) | (starts >= max(coarse[1], window[1]))
            starts, ends, scores = starts[apart], ends[apart], scores[apart]
        return chosen[:MOST]

    def scores(self, starts: Array, ends: Array) -> Array:
        """How clearly windows differ from both of their sides: the smaller 2 LLR; 0 for those that do not differ from what is next to them."""
        import numpy as np

        runs, failed = ends - starts, self._before[ends] - self._before[starts]
        result = np.where(runs * LARGEST_PART <= self._count * GROWTH, np.inf, 0.0)
        for from_, to in self._sides(starts, ends, np.maximum(AROUND * runs, LEAST_AROUND)):
            ratio = self._ratio(failed, runs, from_, to)
            result = np.minimum(result, np.where(to - from_ < runs, np.inf, ratio))
        for from_, to in self._sides(starts, ends, np.maximum(runs, LEAST_BESIDE)):
            begun = self._ratio(failed, runs, from_, to) > self._threshold * BESIDE
            result = np.where(begun | ((to - from_) * 4 < runs), result, 0.0)
        return result

    def _sides(self, starts: Array, ends: Array, reach: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        import numpy as np

        return (np.maximum(starts - reach, 0), starts), (ends, np.minimum(ends + reach, self._count))

    def _ratio(self, failed: Array, runs: Array, start: Array, end: Array) -> Array:
        """2 LLR of windows against other windows where they failed more often than those, else 0."""
        import numpy as np

        others, others_failed = end - start, self._before[end] - self._before[start]
        ratio = self._likelihood.ratio(failed, runs, others_failed, others)
        result: Array = np.where(failed * others > others_failed * runs, ratio, 0.0)
        return result

    def _candidates(self) -> tuple[Array, Array, Array]:
        """Starts, ends and scores of windows above the threshold: of those of one size that overlap, about the best."""
        import numpy as np

        none = np.empty(0, "i8")
        found: list[tuple[Array, Array, Array]] = [(none, none, np.empty(0))]
        size: float = SMALLEST
        while size * LARGEST_PART <= self._count:
            found.append(self._of_size(int(size)))
            size *= GROWTH
        starts, ends, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return starts, ends, scores

    def _of_size(self, size: int) -> tuple[Array, Array, Array]:
        import numpy as np

        step = max(LEAST_STEP, size // 8)
        failed = self._before[size::step] - self._before[:-size:step]
        starts = np.flatnonzero(failed >= LEAST_FAILED) * step
        starts = starts[self._may_differ(starts, size)]
        scores = self.scores(starts, starts + size)
        above = scores > self._threshold
        starts, scores = starts[above], scores[above]
        if len(starts):
            begins = np.flatnonzero(np.diff(starts // size, prepend=-1))
            places = [slice(a, b) for a, b in zip(begins, [*begins[1:], len(starts)], strict=True)]
            best = np.array([place.start + scores[place].argmax() for place in places])
            starts, scores = starts[best], scores[best]
        return starts, starts + size, scores

    def _may_differ(self, starts: Array, size: int) -> Array:
        """Quickly leaves out most windows that cannot exceed the threshold: 2 LLR is never above twice Pearson's chi-squared."""
        import numpy as np

        ends = starts + size
        reach = max(AROUND * size, LEAST_AROUND)
        left = np.maximum(starts - reach, 0)
        others = starts - left
        failed = self._before[ends] - self._before[starts]
        together = self._before[ends] - self._before[left]
        share = together / (others + size)
        surplus = np.maximum(failed - size * share, 0)
        variance = size * share * (1 - share) * others / (others + size)
        result: Array = (2 * surplus**2 > self._threshold * variance) | (others < size)
        return result

    def _refined(self, window: Window) -> Window:
        """The window with its edges where the likelihood is highest, looked for as far as its size away."""
        for _ in range(2):
            again = self._edges(*window)
            if again == window or self._score(again) < self._score(window):
                break
            window = again
        return window

    def _edges(self, start: int, end: int) -> Window:
        size, middle = end - start, (start + end) // 2
        first, last = max(start - size, 0), min(end + size, self._count)
        gained = self._gained((start, end), first, last)
        begin = first + int(gained[: middle - first + 1].argmin())
        return begin, middle + int(gained[middle - first :].argmax())

    def _gained(self, window: Window, first: int, last: int) -> Array:
        """What each outcome from `first` to `last` adds, summed up, to the log-likelihood that it is of the window and not of its surroundings."""
        import numpy as np

        inside, outside = self._rate(*window), self._around(*window)
        gain = np.where(self._failed[first:last], log(inside / outside), log((1 - inside) / (1 - outside)))
        return np.concatenate(([0.0], np.cumsum(gain)))

    def _pieces(self, window: Window) -> list[Window]:
        """The window, or what is left of it without the lull in it, if that was none of it."""
        lull = self._lull(window)
        if lull is None:
            return [window]
        pieces = [piece for part in ((window[0], lull[0]), (lull[1], window[1])) for piece in self._pieces(part)]
        return [piece for piece in pieces if self._score(piece) > self._threshold] or [window]

    def _lull(self, window: Window) -> Window | None:
        """The stretch within a window that is most like its surroundings, if it is clearly so."""
        import numpy as np

        start, end = window
        gained = self._gained(window, start, end)
        lost = np.maximum.accumulate(gained) - gained
        until = int(lost.argmax())
        if 2 * lost[until] <= self._threshold:
            return None
        return start + int(gained[: until + 1].argmax()), start + until

    def _rate(self, start: int, end: int) -> float:
        """Never 0 or 1: half a failure and half a success are added."""
        return float(self._before[end] - self._before[start] + 0.5) / (end - start + 1)

    def _around(self, start: int, end: int) -> float:
        """The rate of failure on both sides of a window."""
        reach = max(AROUND * (end - start), LEAST_AROUND)
        left, right = max(start - reach, 0), min(end + reach, self._count)
        inside = self._before[end] - self._before[start]
        failed = self._before[right] - self._before[left] - inside
        return float(failed + 0.5) / (right - left - (end - start) + 1)

    def _score(self, window: Window) -> float:
        import numpy as np

        start, end = window
        return float(self.scores(np.array([start]), np.array([end]))[0]) if start < end else 0.0


def _free(window: Window, chosen: list[Window]) -> bool:
    return all(window[1] <= start or window[0] >= end for start, end in chosen)


# --- what an incident has in common, and its words

_PLACES = {"node": "nodes", "name": "names", "script": "scripts", "group": "groups"}
_OF = {"node": "on node", "name": "of the name", "script": "of the script", "group": "of the group"}
MOST_OF = 0.5
"""A condition is told when more than this share of the failures have it."""
CLEARLY = 10.0
"""…and when they have it more often than tasks outside by this 2 LLR; four attributes were tried."""


@dataclass(frozen=True, slots=True)
class _Common:
    condition: Condition
    evidence: float
    words: str


class _Teller:
    """Says of windows what was in them. `rows`, `failed`: those of the series."""

    def __init__(self, columns: Columns, rows: Array, failed: Array, zone: tzinfo) -> None:
        self._columns = columns
        self._rows = rows
        self._failed = failed
        self._all_failed = int(failed.sum())
        self._zone = zone
        self._likelihood = Likelihood(len(rows))
        self._codes: dict[str, tuple[Array, Array]] = {}

    def incident(self, window: Window) -> Incident:
        start, end = window
        failed, of = int(self._failed[start:end].sum()), end - start
        elsewhere = percent(self._all_failed - failed, len(self._rows) - of)
        first, last = (int(at) for at in self._columns["at"][self._rows[[start, end - 1]]])
        common = self._common(window)
        when = moments.told_between(first, last, self._zone)
        sentence = f"{when} {failed:,} of {of:,} tasks failed (elsewhere {elsewhere})"
        return {
            "start": moments.shown(first),
            "end": moments.shown(last),
            "failed": failed,
            "of": of,
            "where": [] if common is None else [common.condition],
            "sentence": f"{sentence}." if common is None else f"{sentence}; {common.words}.",
        }

    def _common(self, window: Window) -> _Common | None:
        """The value of one attribute that most failures of a window have, and that is rarer outside: the one for which that is clearest."""
        found = [self._most_of(window, attribute) for attribute in _PLACES]
        return max((each for each in found if each is not None), key=lambda each: each.evidence, default=None)

    def _most_of(self, window: Window, attribute: str) -> _Common | None:
        import numpy as np

        codes, counts = self._codes_of(attribute)
        inside = codes[slice(*window)]
        values, shares = np.unique(inside[self._failed[slice(*window)]], return_counts=True)
        code, count, failed = int(values[shares.argmax()]), int(shares.max()), int(shares.sum())
        if code == UNKNOWN or count <= MOST_OF * failed:
            return None
        outside, others = int(counts[code + 1] - (inside == code).sum()), len(codes) - len(inside)
        evidence = float(self._likelihood.ratio(*map(np.array, (count, failed, outside, others))))
        if count * others <= outside * failed or evidence < CLEARLY:
            return None
        text = getattr(self._columns, _PLACES[attribute]).values[code]
        words = f"{percent(count, failed)} of these failures were {_OF[attribute]} {clean(text)}"
        return _Common({"attribute": attribute, "op": "==", "value": text}, evidence, words)

    def _codes_of(self, attribute: str) -> tuple[Array, Array]:
        """Which value each outcome has, and how often each value comes, the unknown one first."""
        import numpy as np

        if attribute not in self._codes:
            codes = self._columns[attribute][self._rows]
            self._codes[attribute] = codes, np.bincount(codes + 1)
        return self._codes[attribute]
