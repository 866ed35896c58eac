"""`GET /stats/jobs/{name}` as a report for a person: how the jobs of one name do, how long they take, when they fail, which limits fit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jobmgr.cli import terminal
from jobmgr.cli.bars import bar, column, counted, percent, span, width, wrapped
from jobmgr.cli.stats_report import before_and_since, pattern_lines

Answer = Mapping[str, Any]

_MS = 1000
SHOWN_CODES = 8
SURE = 0.05
"""A change that is less sure is told, and not drawn."""
HOURS = 24
LEAST_HOURS = 2


def name_lines(report: Answer, *, room: int | None = None) -> Iterator[str]:
    """The report on one name."""
    room = width() if room is None else room
    yield from wrapped(report["name"], room, indent="")
    yield from wrapped(report["sentence"], room, indent="")
    yield ""
    yield f"runs:          {_runs(report)}"
    rate = report["successRate"]
    if rate is not None:
        within = f"  ({span(report['interval'])})" if report["interval"] else ""
        yield f"success rate:  {percent(rate)}  {bar(rate)}{within}"
    yield from _usual("duration", report["duration"], terminal.duration, room)
    yield from _usual("memory", report["peakRssBytes"], lambda value: terminal.size(round(value)), room)
    if report["exitCodes"]:
        yield from wrapped(_endings(report["exitCodes"]), room, indent=" " * 15, first="lately ended:  ")
    yield from _course(report, room)
    yield from _hours(report["hours"])
    yield from _patterns(report, room)
    yield from _limits(report, room)


def _runs(report: Answer) -> str:
    other = ", ".join(f"{count:,} {terminal.shown(status)}" for status, count in report["other"].items())
    besides = f"; besides {other}" if other else ""
    return f"{report['runs']:,} ({report['completed']:,} completed, {report['crashed']:,} crashed){besides}"


def _usual(label: str, quantiles: Answer | None, shown: Callable[[float], str], room: int) -> Iterator[str]:
    if quantiles is not None:
        p10, p50, p90, p99 = (shown(quantiles[q]) for q in ("p10", "p50", "p90", "p99"))
        text = f"mostly {p10} to {p90}, half of them at most {p50}; 1 of 100 over {p99}"
        yield from wrapped(text, room, indent=" " * 15, first=f"{label + ':':<15}")


def _endings(codes: Mapping[str, int]) -> str:
    """`0 (88 times), 1 (9), SIGKILL (3)`."""
    every = [f"{code} ({count:,})" for code, count in list(codes.items())[:SHOWN_CODES]]
    return ", ".join(every) + (" …" if len(codes) > SHOWN_CODES else "")


def _course(report: Answer, room: int) -> Iterator[str]:
    """What changed, and what a retry is worth."""
    changed = report["changepoint"] or report["trend"]
    if changed is not None:
        yield ""
        yield from wrapped(changed["sentence"], room, indent="")
    if changed is not None and changed["p"] < SURE:
        yield f"  {before_and_since(changed)}"
    flaky = report["flakiness"]
    if flaky is not None:
        yield ""
        passed = flaky["passOnRetry"]
        tried = "1 retry" if flaky["retries"] == 1 else f"{flaky['retries']:,} retries"
        yield f"retries pass:  {percent(passed)}  {bar(passed)}  ({span(flaky['interval'])}; {tried})"


def _hours(hours: Sequence[Answer]) -> Iterator[str]:
    """Two profiles over the day: how many runs, and how many of them succeed."""
    if len(hours) < LEAST_HOURS:
        return
    runs: list[float | None] = [None] * HOURS
    rates: list[float | None] = [None] * HOURS
    most = max(hour["runs"] for hour in hours) or 1
    for hour in hours:
        runs[hour["hour"]] = hour["runs"] / most if hour["runs"] else None
        rates[hour["hour"]] = hour["successRate"]
    yield "\nhour of the day, when submitted"
    yield f"  runs     {_profile(runs)}  at most {most:,}"
    yield f"  success  {_profile(rates)}"
    yield "           0           6           12          18"
    yield from _worst(hours)


def _profile(shares: Sequence[float | None]) -> str:
    return "".join(column(share) * 2 for share in shares)


def _worst(hours: Sequence[Answer]) -> Iterator[str]:
    rated = [hour for hour in hours if hour["successRate"] is not None]
    if len(rated) > 1:
        worst = min(rated, key=lambda hour: hour["successRate"])
        rate = percent(worst["successRate"])
        yield f"  lowest from {worst['hour']}:00 to {worst['hour'] + 1}:00: {rate} of {counted(worst['runs'], 'run')}; may be chance"


def _patterns(report: Answer, room: int) -> Iterator[str]:
    if not report["patterns"]:
        return
    yield "\nWhat goes with its failures and successes"
    for number, pattern in enumerate(report["patterns"], 1):
        yield ""
        # Within one name is all of it here.
        yield from pattern_lines(
            {**pattern, "heldWithinName": None}, room, number=number, overall=report["successRate"]
        )


def _limits(report: Answer, room: int) -> Iterator[str]:
    timeout, memory = report["suggestedTimeout"], report["suggestedMemoryLimit"]
    if timeout is None and memory is None:
        return
    yield "\nLimits that would fit"
    if timeout is not None:
        text = f"timeout {terminal.duration(timeout['value'] * _MS)}: {timeout['basis']}"
        yield from wrapped(text, room, indent="    ", first="  ")
    if memory is not None:
        text = f"memory {terminal.size(round(memory['value']))}: {memory['basis']}"
        yield from wrapped(text, room, indent="    ", first="  ")
