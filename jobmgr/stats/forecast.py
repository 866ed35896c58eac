"""When a run will end, and how likely it crashes: learnt from the runs that are most like it.

The runs of the same name, group and arguments count most, the newest of them most of all; those of the name, its family (`encode-17` is of
`encode-#`), the group, and all there are, follow with a total weight that is capped (`alike`). All of them together are one weighted survival
curve (`survival`), asked what is left of it after the time that has passed. Whether newer runs of a name really say more than older ones is decided
for each name by what would have forecast its own past better.

Assumes that a run is like its predecessors; knows nothing of what it reports of its progress. Models are kept, a bounded number of them, until the
columns change. Not for two threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobmgr.clock import MICROSECONDS
from jobmgr.stats.alike import Alike, Levels, crashed, ended
from jobmgr.stats.columns import Columns
from jobmgr.stats.eta import Expectation, counted, running
from jobmgr.stats.findings import Eta
from jobmgr.stats.survival import SHORTEST_S, Runs, Survival

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

HALF_LIFE = 5.0
"""So many runs ago weighs half, unless a name's own past says that older runs are worth the same."""
CAP_OF_NAME = 4.0
"""The total weight of other runs of the name and its family, of the group, and of all, in runs. Tuned with the traces (docs/statistics.md)."""
CAP_OF_GROUP = 2.0
CAP_OF_ALL = 1.0
HALF_LIFE_OF_ALL = 20.0
Shares = tuple[float, float, float]
SHARES: Shares = (0.1, 0.5, 0.9)

MIN_FINISHED = 8
"""From so many ended runs on it can be said what is unusually long."""
LEAST_UNUSUAL_S = 10.0
"""What has not run so long is never called unusually long: nobody wants to hear of a second instead of a tenth."""
UNUSUAL_MEDIANS = 2.0
RISK_PRIOR_WEIGHT = 0.5
"""In runs: so far the risk of a crash is drawn towards the middle, because nothing is certain."""
MOST_MODELS = 2000

MIN_PAST = 12
"""From so many ended runs on a name's own past is asked,"""
FIRST_JUDGED = 5
"""beginning with the forecast of this one."""
STEADY = 0.97
"""So much better must it be to let all runs count the same: real names change."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that is asked about, as far as it is known."""

    name: str | None
    group: str | None
    args: tuple[str, ...] | None
    timeout_s: float | None = None
    """It is cut off after so long."""


class Forecasts:
    """What these columns say of runs that go on."""

    def __init__(self, columns: Columns, *, unusual_s: float = LEAST_UNUSUAL_S) -> None:
        self._columns = columns
        self._unusual_s = unusual_s
        self._alike = Alike(columns)
        self._models: dict[tuple[object, ...], _Model] = {}
        self._version = -1

    def eta(self, subject: Subject, elapsed_us: int, *, now: int) -> Eta | None:
        """When it will end, having run so long at `now` (microseconds since the epoch). None: there is nothing to tell it from."""
        elapsed = max(elapsed_us, 0) / MICROSECONDS
        model = self._model(subject)
        if model.nothing and not elapsed:
            return None
        return running(model.expect(elapsed, subject.timeout_s, SHARES), elapsed, now / MICROSECONDS)

    @property
    def nothing(self) -> bool:
        """Whether there is no run to learn from."""
        return self._model(Subject(None, None, None)).nothing

    @property
    def columns(self) -> Columns:
        """What it learns from."""
        return self._columns

    def expect(
        self, subject: Subject, elapsed_s: float, *, shares: Shares = SHARES, until: int | None = None
    ) -> Expectation:
        """The numbers alone. `until`: only runs that ended before this instant are known (nothing is kept then: for judging forecasts)."""
        return self._model(subject, until).expect(elapsed_s, subject.timeout_s, shares)

    def quantiles(self, subject: Subject, elapsed_s: float, shares: tuple[float, ...]) -> tuple[float, ...]:
        """In so many more seconds it will have ended, with these probabilities."""
        return self._model(subject).left(elapsed_s, subject.timeout_s, shares)

    def usual_us(self, subject: Subject) -> int | None:
        """The duration beyond which a run like this is unusually long; None: too few have ended to say."""
        usual = self._model(subject).usual_s
        return None if usual is None else round(usual * MICROSECONDS)

    def _model(self, subject: Subject, until: int | None = None) -> _Model:
        if until is not None:
            levels = self._alike.levels(subject.name, subject.group, subject.args, until)
            return _Model(self._columns, levels, self._unusual_s)
        if self._version != self._columns.version or len(self._models) >= MOST_MODELS:
            self._models.clear()
            self._version = self._columns.version
        key = (subject.name, subject.group, subject.args)
        model = self._models.get(key)
        if model is None:
            levels = self._alike.levels(subject.name, subject.group, subject.args)
            model = self._models[key] = _Model(self._columns, levels, self._unusual_s)
        return model


class _Model:
    """The survival of runs like one, and what is usual among them."""

    def __init__(self, columns: Columns, levels: Levels, unusual_s: float) -> None:
        import numpy as np

        weighted = list(_weighted(levels, _half_life(_seconds(columns, levels.name), ended(columns, levels.name))))
        rows = np.concatenate([rows for rows, _ in weighted])
        weights = np.concatenate([weights for _, weights in weighted])
        runs = Runs(_seconds(columns, rows), weights, ended(columns, rows), crashed(columns, rows))
        self.nothing = not len(rows)
        self._survival = Survival(runs)
        self._general_risk = float((runs.crashed * weights).sum() / weights.sum()) if len(rows) else None
        self.usual_s = _usual(columns, levels, unusual_s)
        self._count = len(levels.name)
        self._basis = _basis(levels)

    def left(self, elapsed: float, timeout: float | None, shares: tuple[float, ...]) -> tuple[float, ...]:
        left = self._survival.quantiles(elapsed, shares)
        if timeout is not None and timeout > elapsed:
            left = tuple(min(value, timeout - elapsed) for value in left)
        return left

    def expect(self, elapsed: float, timeout: float | None, shares: Shares) -> Expectation:
        weight = self._survival.weight_beyond(elapsed)
        p10, p50, p90 = self.left(elapsed, timeout, shares)
        risk = self._risk(elapsed, timeout, weight)
        return Expectation((p10, p50, p90), risk, self.usual_s, weight, self._basis, self._count)

    def _risk(self, elapsed: float, timeout: float | None, weight: float) -> float | None:
        """Drawn a little towards the share that crashes in general: nothing is certain."""
        risk = self._survival.crash_risk(elapsed, timeout)
        if risk is None or self._general_risk is None:
            return self._general_risk
        prior = 0.5 * (self._general_risk + 0.5)
        return (risk * weight + prior * RISK_PRIOR_WEIGHT) / (weight + RISK_PRIOR_WEIGHT)


def _seconds(columns: Columns, rows: Array) -> Array:
    import numpy as np

    seconds: Array = np.maximum(columns["duration"][rows] / MICROSECONDS, SHORTEST_S)
    return seconds


def _weighted(levels: Levels, half_life: float | None) -> list[tuple[Array, Array]]:
    """Each level with the weights of its runs. Of a name with few runs, its family makes up for the rest."""
    name = _weights(levels.name, half_life, CAP_OF_NAME)
    family = max(CAP_OF_NAME - float(name.sum()), 1.0)
    return [
        (levels.same, _weights(levels.same, half_life, None)),
        (levels.name, name),
        (levels.family, _weights(levels.family, HALF_LIFE, family)),
        (levels.group, _weights(levels.group, HALF_LIFE, CAP_OF_GROUP)),
        (levels.all, _weights(levels.all, HALF_LIFE_OF_ALL, CAP_OF_ALL)),
    ]


def _weights(rows: Array, half_life: float | None, cap: float | None) -> Array:
    import numpy as np

    ranks = np.arange(len(rows))
    weights: Array = np.ones(len(rows)) if half_life is None else 0.5 ** (ranks / half_life)
    total = weights.sum()
    return weights * (cap / total) if cap is not None and total > cap else weights


def _half_life(seconds: Array, ends: Array) -> float | None:
    """What would have forecast the past of this name better: newer runs weighing more, or all the same. `seconds`: the newest first."""
    import numpy as np

    logs = np.log(seconds[ends][::-1])
    if len(logs) < MIN_PAST:
        return HALF_LIFE
    age = np.arange(len(logs))[FIRST_JUDGED:, None] - 1 - np.arange(len(logs))[None, :]
    fading = _past_loss(logs, np.where(age >= 0, 0.5 ** (age / HALF_LIFE), 0.0))
    level = _past_loss(logs, (age >= 0).astype(float))
    return None if level < STEADY * fading else HALF_LIFE


def _past_loss(logs: Array, weights: Array) -> float:
    """The mean pinball loss of forecasting each run after the first few by those before it, which have these weights (a line a forecast)."""
    import numpy as np

    order = np.argsort(logs)
    upto = np.cumsum(weights[:, order], axis=1)
    forecasts = [logs[order][(upto >= share * upto[:, -1:]).argmax(axis=1)] for share in SHARES]
    misses = logs[FIRST_JUDGED:] - np.array(forecasts)
    shares = np.array(SHARES)[:, None]
    return float(np.maximum(shares * misses, (shares - 1) * misses).mean())


def _usual(columns: Columns, levels: Levels, least_s: float) -> float | None:
    """Beyond this a run is unusually long: nearly all of its like were shorter, and half of them by half."""
    import numpy as np

    for rows in (levels.same, levels.name):
        ends = ended(columns, rows)
        if ends.sum() >= MIN_FINISHED:
            nobody = np.zeros(len(rows), bool)
            survival = Survival(Runs(_seconds(columns, rows), np.ones(len(rows)), ends, nobody))
            median, nearly_all = survival.quantiles(0.0, (0.5, 0.99))
            return max(nearly_all, UNUSUAL_MEDIANS * median, least_s)
    return None


def _basis(levels: Levels) -> str:
    for rows, whose in (
        (levels.name, "of this name"),
        (levels.family, "of similar names"),
        (levels.group, "of this group"),
        (levels.all, "of any name"),
    ):
        if len(rows):
            return f"{counted(len(rows), 'run')} {whose}"
    return "nothing but how long it has run"
