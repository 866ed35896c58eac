"""Changepoints: names whose success has changed and stayed changed.

The outcomes of a name, in the order of their ends, are split where a binomial 2 LLR of before against after is highest; if that exceeds
12 + 2.4 ln ln n, both parts are split again (binary segmentation; all names at once). Of the levels so found, short ones between others are
excursions: a burst that is over has changed nothing. What remains is the newest lasting level against the one before it; it must have lasted longer
than any excursion before, or it may be just another one.

A change is told when its p value stands up to Benjamini–Hochberg over all names that have enough runs, and when it is large enough to matter.

Sources: p of the highest of all splits: Miller & Siegmund 1982, Biometrics 38:1011 (their formula for maximally selected chi-squared; splits with
fewer than `LEAST_PART` runs on a side are not tried); binary segmentation: Vostrikova 1981; Benjamini & Hochberg 1995.

Assumes that the runs of a level fail independently. Names with fewer than `LEAST_RUNS` runs are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from itertools import pairwise
from math import exp, log, pi, sqrt
from typing import TYPE_CHECKING, Any

from jobmgr.stats import moments
from jobmgr.stats.columns import CRASHED, UNKNOWN, Columns
from jobmgr.stats.discovery.basic import hundredths
from jobmgr.stats.findings import Changepoint
from jobmgr.stats.labels import clean
from jobmgr.stats.likelihood import Likelihood

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST = 20
LEAST_RUNS = 10
AT_ONCE = 100_000
"""So many places are looked at in one go: others share the interpreter."""
LEAST_PART = 5
"""So many runs at least are before a change, and since."""
LEAST_FAILED = 4
"""So many of them failed where it was worse: fewer are an episode, not yet a level."""
FDR = 0.05
DEPTH = 8
"""So often is a part split again."""
SHORT = 0.25
"""A level with at most this share of the runs of its two neighbours is an excursion."""
MATTERS, MATTERS_IF_RARE, RARE_RATIO = 0.02, 0.005, 1.5
"""A change matters from this difference on; from the smaller one if the failures of one side are so many times those of the other."""
ALIKE = 0.03
"""Rates closer than this are told with a decimal."""


@dataclass(frozen=True, slots=True)
class Level:
    """Runs of a name that fail equally often. `start`: the place of the first in the order by name."""

    start: int
    runs: int
    failed: int

    def with_(self, other: Level) -> Level:
        """Both as one, since the start of this one."""
        return replace(self, runs=self.runs + other.runs, failed=self.failed + other.failed)


def threshold(runs: Any) -> Any:
    """The 2 LLR above which a part with so many runs (at least `LEAST_RUNS`) is split; of one or of many."""
    import numpy as np

    return 12 + 2.4 * np.log(np.log(runs))


def p_value(statistic: float, runs: int) -> float:
    """The probability that the highest 2 LLR of all splits of so many equal runs is at least this. About; not above 1."""
    b = sqrt(max(statistic, 1.0))
    density = exp(-b * b / 2) / sqrt(2 * pi)
    odds = (runs - LEAST_PART) / LEAST_PART
    return min(1.0, density * ((b - 1 / b) * 2 * log(max(odds, 1.0)) + 4 / b))


def changepoints(columns: Columns, rows: Array, *, zone: tzinfo = UTC) -> list[Changepoint]:
    """The newest lasting change of each name that has one, newest first. `rows`: finished tasks in the order of their ends."""
    import numpy as np

    rows = rows[(columns["name"][rows] != UNKNOWN) & (columns["at"][rows] != UNKNOWN)]
    rows = rows[np.argsort(_small(columns["name"][rows]), kind="stable")]
    series = Series(columns["name"][rows], columns["status"][rows] == CRASHED)
    at = columns["at"][rows]
    found: list[_Change] = []
    for name in series.changed(at):
        if len(found) > MOST and found[MOST - 1].at >= name.newest:
            break  # What follows can only be older.
        change = name.lasting(series.highest_p)
        if change is not None:
            found.append(_Change(int(at[change.since.start]), int(rows[change.since.start]), change))
            found.sort(key=lambda each: -each.at)
    return [_told(columns, change, zone) for change in found[:MOST]]


def _small(codes: Array) -> Array:
    """Codes of few names in a narrow type: numpy sorts that in linear time."""
    return codes.astype("u2") if len(codes) and int(codes.max()) < 2**16 else codes


@dataclass(frozen=True, slots=True)
class Shift:
    """A level and the one that came after it."""

    before: Level
    since: Level
    p: float


@dataclass(frozen=True, slots=True)
class Levels:
    """What the series of a name was split into, the oldest first."""

    levels: list[Level]
    likelihood: Likelihood
    newest: int = 0
    """When its last level began."""

    def lasting(self, highest_p: float) -> Shift | None:
        """The last change that is not the end of an excursion, if its p is not above this and it matters."""
        kept: list[Level] = []
        longest = 0
        for level in self.levels:
            kept.append(level)
            longest = max(longest, self._close(kept))
        if len(kept) < 2 or kept[-1].runs <= longest:
            return None
        before, since = kept[-2:]
        p = p_value(self._ratio(before, since), before.runs + since.runs)
        return Shift(before, since, p) if p <= highest_p and _matters(before, since) else None

    def _close(self, kept: list[Level]) -> int:
        """Drop the level before the last if it was an excursion, and go on with the one before it if all is as it was. How long it was, if any."""
        longest = 0
        while len(kept) >= 3 and kept[-2].runs <= SHORT * (kept[-3].runs + kept[-1].runs):
            longest = max(longest, kept.pop(-2).runs)
            if self._ratio(kept[-2], kept[-1]) > threshold(kept[-2].runs + kept[-1].runs):
                break
            kept[-2:] = [kept[-2].with_(kept[-1])]
        return longest

    def _ratio(self, one: Level, other: Level) -> float:
        import numpy as np

        return float(self.likelihood.ratio(*map(np.array, (one.failed, one.runs, other.failed, other.runs))))


def _matters(before: Level, since: Level) -> bool:
    better, worse = sorted((before, since), key=lambda level: level.failed / level.runs)
    low, high = better.failed / better.runs, worse.failed / worse.runs
    large = high - low >= MATTERS or (high - low >= MATTERS_IF_RARE and high >= RARE_RATIO * low)
    return large and worse.failed >= LEAST_FAILED


class Series:
    """The outcomes of all names, name by name, those of one in the order of their ends."""

    def __init__(self, names: Array, failed: Array) -> None:
        import numpy as np

        self._failed = np.concatenate(([0], np.cumsum(failed, dtype="i8")))
        starts = np.flatnonzero(np.diff(names, prepend=UNKNOWN))
        ends = np.append(starts[1:], len(names))[: len(starts)]
        enough = ends - starts >= LEAST_RUNS
        self._starts, self._ends = starts[enough], ends[enough]
        self._likelihood = Likelihood(int((ends - starts).max(initial=0)))
        self._splits: list[tuple[Array, Array]] = []
        self.highest_p = 0.0
        """A change with a p up to this stands up to the number of names."""
        self._split()

    def _split(self) -> None:
        """Split all names at once, then their parts, and so on."""
        import numpy as np

        owners = np.arange(len(self._starts))
        starts, ends = self._starts, self._ends
        for depth in range(DEPTH):
            ratios, places = self.best(starts, ends)
            if depth == 0:
                self.highest_p = self._highest_p(ratios)
            split = np.flatnonzero(ratios > threshold(np.maximum(ends - starts, LEAST_RUNS)))
            if not len(split):
                break
            self._splits.append((owners[split], places[split]))
            owners = np.concatenate((owners[split], owners[split]))
            starts, ends = np.concatenate((starts[split], places[split])), np.concatenate((places[split], ends[split]))

    def _highest_p(self, ratios: Array) -> float:
        """Benjamini–Hochberg over all names that have enough runs. 0: nothing stands up to it."""
        import numpy as np

        runs = self._ends - self._starts
        clear = np.flatnonzero(ratios > threshold(runs))
        p = np.sort([p_value(float(ratios[place]), int(runs[place])) for place in clear])
        bars = FDR * np.arange(1, len(p) + 1) / max(len(runs), 1)
        return float(bars[p <= bars].max(initial=0.0))

    def best(self, starts: Array, ends: Array) -> tuple[Array, Array]:
        """Of each part: the highest 2 LLR of its splits and the place of that, where the second half begins. 0 where there is none."""
        import numpy as np

        ratios, places = np.zeros(len(starts)), starts.copy()
        runs, failed = ends - starts, self._failed[ends] - self._failed[starts]
        mixed = np.flatnonzero((runs >= 2 * LEAST_PART) & (failed > 0) & (failed < runs))
        if not len(mixed):
            return ratios, places
        counts = runs[mixed] - 2 * LEAST_PART + 1
        offsets = np.cumsum(counts) - counts
        place = np.repeat(starts[mixed] + LEAST_PART - offsets, counts) + np.arange(int(counts.sum()))
        start, end = np.repeat(starts[mixed], counts), np.repeat(ends[mixed], counts)
        pieces = [slice(at, at + AT_ONCE) for at in range(0, len(place), AT_ONCE)]
        values = np.concatenate([self._ratios(place[piece], start[piece], end[piece]) for piece in pieces])
        highest = np.maximum.reduceat(values, offsets)
        first = np.flatnonzero(values == np.repeat(highest, counts))
        ratios[mixed], places[mixed] = highest, place[first[np.searchsorted(first, offsets)]]
        return ratios, places

    def _ratios(self, place: Array, start: Array, end: Array) -> Array:
        at_start, at_place, at_end = self._failed[start], self._failed[place], self._failed[end]
        return self._likelihood.ratio(at_place - at_start, place - start, at_end - at_place, end - place)

    def changed(self, at: Array) -> Iterator[Levels]:
        """The levels of each name that was split: that with the newest split first. `at`: when each outcome was."""
        import numpy as np

        if not self._splits or not self.highest_p:
            return
        owners, places = (np.concatenate(parts) for parts in zip(*self._splits, strict=True))
        order = np.lexsort((places, owners))
        owners, places = owners[order], places[order]
        last = np.flatnonzero(np.diff(owners, append=-1))
        first = np.concatenate(([0], last[:-1] + 1))
        for which in np.argsort(-at[places[last]], kind="stable"):
            owner, split = owners[last[which]], places[first[which] : last[which] + 1]
            bounds = [int(self._starts[owner]), *map(int, split), int(self._ends[owner])]
            yield Levels([self._level(*pair) for pair in pairwise(bounds)], self._likelihood, int(at[split[-1]]))

    def _level(self, start: int, end: int) -> Level:
        return Level(start, end - start, int(self._failed[end] - self._failed[start]))


# --- in words


@dataclass(frozen=True, slots=True)
class _Change:
    at: int
    row: int
    """The first run since."""
    shift: Shift


def _told(columns: Columns, change: _Change, zone: tzinfo) -> Changepoint:
    before, since = change.shift.before, change.shift.since
    name = columns.names.values[int(columns["name"][change.row])]
    verb = "fell" if since.failed * before.runs > before.failed * since.runs else "rose"
    was, is_ = _percents(before, since)
    when = moments.told(change.at, zone)
    return {
        "name": name,
        "at": moments.shown(change.at),
        "before": hundredths(before.runs - before.failed, before.runs) / 100,
        "after": hundredths(since.runs - since.failed, since.runs) / 100,
        "runsSince": since.runs,
        "p": float(f"{change.shift.p:.2g}"),
        "sentence": f"Since {when} the success of {clean(name)} {verb} from {was} to {is_} ({since.runs:,} runs since).",
    }


def _percents(before: Level, since: Level) -> tuple[str, str]:
    """Both rates of success, with a decimal where they would look much alike without."""
    digits = 0 if abs(before.failed / before.runs - since.failed / since.runs) >= ALIKE else 1
    return _percent(before, digits), _percent(since, digits)


def _percent(level: Level, digits: int) -> str:
    scale = 100 * 10**digits
    share = (2 * scale * (level.runs - level.failed) + level.runs) // (2 * level.runs)
    return f"{share / 10**digits:.{digits}f} %"
