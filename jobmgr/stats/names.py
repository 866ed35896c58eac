"""What is known of the jobs of one name: how often they succeed, how long they take, what has changed, which limits would suit them.

All counts are of tasks that stand as completed or crashed, as everywhere in statistics; durations and memory are those of completed ones, because a
crash cuts a run short. What is unknown is in no number: it is left out, or the whole answer is null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Literal

from jobmgr.job import Status, signal_name
from jobmgr.stats import limits, moments
from jobmgr.stats.changepoints import changepoints
from jobmgr.stats.columns import COMPLETED, CRASHED, MOST_TEXT, NO_EXIT_CODE, STATUS_CODES, UNKNOWN, Columns
from jobmgr.stats.discovery.basic import hundredths
from jobmgr.stats.discovery.evidence import log_mid_p
from jobmgr.stats.discovery.sentences import percent
from jobmgr.stats.discovery.source_calendar import local_hours
from jobmgr.stats.findings import HourOfDay, NameReport, Pattern, Quantiles, Trend
from jobmgr.stats.flakiness import flakiness_of
from jobmgr.stats.intervals import wilson
from jobmgr.stats.labels import quoted, span

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Discover = Callable[[str], list[Pattern]]
"""Gives the patterns among the runs of a name."""

LAST_ATTEMPTS = 100
"""Of so many of the newest attempts it is told how they ended."""
LEAST_FOR_TREND = 10
SURE = 0.05
US_PER_MS = 1000
_ALIVE = [STATUS_CODES[status.value] for status in (Status.PENDING, Status.RUNNING, Status.PAUSED)]


def describe(
    columns: Columns, name: str, *, now: int, zone: tzinfo = UTC, discover: Discover | None = None
) -> NameReport | None:
    """The body of `GET /stats/jobs/{name}`; None: no job of that name is known. `now`: microseconds since the epoch."""
    rows = _rows_of(columns, name)
    if not len(rows):
        return None
    standing = rows[columns["standing"][rows]]
    finished = standing[_are(columns, standing, COMPLETED, CRASHED)]
    completed = finished[_are(columns, finished, COMPLETED)]
    failed = columns["status"][finished] == CRASHED
    runs, good = len(finished), len(completed)
    changes = changepoints(columns, finished, zone=zone)
    report: NameReport = {
        "name": name,
        "runs": runs,
        "completed": good,
        "crashed": runs - good,
        "other": _others(columns, standing),
        "successRate": hundredths(good, runs) / 100 if runs else None,
        "interval": wilson(good, runs) if runs else None,
        "duration": _quantiles(columns["duration"][completed], 1 / US_PER_MS),
        "peakRssBytes": _quantiles(columns["peak_rss"][completed], 1),
        "trend": trend(failed),
        "changepoint": changes[0] if changes else None,
        "flakiness": flakiness_of(columns, int(columns["name"][rows[0]])),
        "patterns": [] if discover is None else discover(name),
        "hours": _hours(columns, standing, zone),
        "exitCodes": _exit_codes(columns, rows),
        "suggestedTimeout": limits.timeout(columns, rows),
        "suggestedMemoryLimit": limits.memory(columns, rows),
        "sentence": "",
    }
    last = int(columns["at"][finished[-1]]) if runs else UNKNOWN
    report["sentence"] = _sentence(report, last, now)
    return report


def _rows_of(columns: Columns, name: str) -> Array:
    """All attempts of a name in the order of their ends."""
    import numpy as np

    code = columns.names.find(name[:MOST_TEXT])
    rows = np.flatnonzero(columns["name"] == code) if code is not None else np.empty(0, "i8")
    result: Array = rows[np.argsort(columns["at"][rows], kind="stable")]
    return result


def _are(columns: Columns, rows: Array, *statuses: int) -> Array:
    import numpy as np

    result: Array = np.isin(columns["status"][rows], statuses)
    return result


def _others(columns: Columns, standing: Array) -> dict[str, int]:
    """How many tasks stand otherwise, by status, in the order of statuses."""
    import numpy as np

    counts = np.bincount(columns["status"][standing], minlength=len(Status))
    return {
        status.value: int(counts[STATUS_CODES[status.value]])
        for status in Status
        if counts[STATUS_CODES[status.value]] and STATUS_CODES[status.value] not in {COMPLETED, CRASHED}
    }


def _quantiles(values: Array, unit: float) -> Quantiles | None:
    """Of the known values; `unit` turns them into what is shown."""
    import numpy as np

    values = values[values != UNKNOWN]
    if not len(values):
        return None
    p10, p50, p90, p99 = (round(float(each) * unit, 3) for each in np.quantile(values, [0.1, 0.5, 0.9, 0.99]))
    return {"p10": p10, "p50": p50, "p90": p90, "p99": p99}


def trend(failed: Array) -> Trend | None:
    """The newer half of the outcomes against the older, by the two-sided mid-p of Fisher's exact test. None with fewer than two."""
    import numpy as np

    old = len(failed) // 2
    if old == 0:
        return None
    new = len(failed) - old
    bad_old, bad = int(failed[:old].sum()), int(failed.sum())
    bad_new = bad - bad_old
    p = min(1.0, 2 * float(np.exp(log_mid_p(*(np.array([each]) for each in (bad_new, new, bad, len(failed))))[0])))
    return {
        "before": hundredths(old - bad_old, old) / 100,
        "after": hundredths(new - bad_new, new) / 100,
        "p": float(f"{p:.2g}"),
        "sentence": _of_halves(old, bad_old, new, bad_new, p),
    }


def _of_halves(old: int, bad_old: int, new: int, bad_new: int, p: float) -> str:
    older, newer = percent(old - bad_old, old), percent(new - bad_new, new)
    if old + new < LEAST_FOR_TREND:
        return f"{old + new} runs are too few to tell a trend."
    if p > SURE:
        return f"No trend can be told: {newer} of the newer {new:,} runs succeeded, {older} of the older {old:,}."
    word = "less" if bad_new * old > bad_old * new else "more"
    return f"The newer {new:,} runs succeeded {word} often than the older {old:,}: {newer} against {older}."


def _hours(columns: Columns, standing: Array, zone: tzinfo) -> list[HourOfDay]:
    import numpy as np

    rows = standing[columns["created"][standing] != UNKNOWN]
    created = np.maximum(columns["created"][rows], moments.FIRST_US)
    hours, _ = local_hours(created, zone)
    runs = np.bincount(hours, minlength=24)
    good = np.bincount(hours[_are(columns, rows, COMPLETED)], minlength=24)
    finished = np.bincount(hours[_are(columns, rows, COMPLETED, CRASHED)], minlength=24)
    return [
        {
            "hour": hour,
            "runs": int(runs[hour]),
            "successRate": hundredths(int(good[hour]), int(finished[hour])) / 100 if finished[hour] else None,
        }
        for hour in np.flatnonzero(runs).tolist()
    ]


def _exit_codes(columns: Columns, rows: Array) -> dict[str, int]:
    """How the newest attempts ended of which that is known, the most frequent first."""
    codes, signals = columns["exit_code"][rows], columns["signal"][rows]
    known = ((codes != NO_EXIT_CODE) | (signals > 0)) & ~_are(columns, rows, *_ALIVE)
    newest = zip(codes[known][-LAST_ATTEMPTS:].tolist(), signals[known][-LAST_ATTEMPTS:].tolist(), strict=True)
    return dict(Counter(signal_name(signal) if signal > 0 else str(code) for code, signal in newest).most_common())


# --- in words

_SHOWN: tuple[Literal["p50"], Literal["p90"]] = ("p50", "p90")


def _sentence(report: NameReport, last: int, now: int) -> str:
    name, runs = quoted(report["name"]), report["runs"]
    if not runs:
        others = ", ".join(f"{count:,} {status}" for status, count in report["other"].items())
        return (
            f"No run of {name} has completed or crashed ({others})."
            if others
            else f"No run of {name} is known to have ended."
        )
    times = "once" if runs == 1 else f"{runs:,} times"
    parts = [f"{name} ran {times} and succeeded {_how_often(report)}"]
    if report["duration"] is not None:
        half, most = (span(float(f"{report['duration'][each]:.3g}")) for each in _SHOWN)
        parts.append(f"half of the completed runs took at most {half}, 90 % at most {most}")
    if last != UNKNOWN:
        parts.append(f"the last one ended {moments.ago(last, now)}")
    return "; ".join(parts) + "."


def _how_often(report: NameReport) -> str:
    low, high = (round(bound * 100) for bound in report["interval"] or (0, 1))
    return f"{percent(report['completed'], report['runs'])} of the time (95 % interval {low} to {high} %)"
