"""`GET /stats` as a report for a person: what was found first, in sentences, then what was counted, then where to look next.

Pure: lines from an answer, whether a server gave it (`jobmgr stats`) or a file did (`jobmgr analyze`). Says how sure a finding is in words; the
numbers behind them (p, q, inflation) are in the JSON. An answer of an older server, or one with fewer fields, is told as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobmgr.cli import terminal
from jobmgr.cli.bars import bar, counted, listed, percent, span, width, wrapped

Answer = Mapping[str, Any]

SHOWN_INCIDENTS = 5
SHOWN_CHANGES = 5
SHOWN_FLAKY = 8
SHOWN_ALIKE = 3
_NAME_CELLS = 28
_HAD_IT = {"success": ("failed", "failures"), "slow": ("slow", "slow runs"), "memory": ("large", "large runs")}
"""What those are called that the rates of a pattern are about: in a word, and when they are counted."""
_TITLES = {
    "failure": ("What goes with failure", "What goes with success"),
    "slow": (
        "What goes with running more than twice as long as is usual for the name",
        "What goes with running as long as is usual for the name",
    ),
    "memory": (
        "What goes with more than twice the memory that is usual for the name",
        "What goes with the memory that is usual for the name",
    ),
}
_BURSTS = "What came in bursts: ask what happened then, before you change these jobs"


def stats_lines(stats: Answer, *, again: str = "jobmgr stats", room: int | None = None) -> Iterator[str]:
    """The report. `again`: the command that asks for more of the same history; `room`: cells a line has."""
    room = width() if room is None else room
    patterns = stats.get("patterns") or []
    yield f"jobs:          {stats['totalJobs']:,}"
    if not patterns:  # There is at least one as soon as there is an outcome.
        yield f"{_rate_of(stats) + ':':<15}–"
        yield "\nNothing to compare yet: patterns are shown when jobs have completed or crashed."
        yield from _notes(stats, room)
        return
    rate = stats["overallSuccessRate"]
    yield f"{_rate_of(stats) + ':':<15}{percent(rate)}  {bar(rate)}{_finished(stats)}"
    found = [pattern for pattern in patterns if pattern.get("kind", "basic") != "basic"]
    yield from _found(stats, found, room)
    basic = [pattern for pattern in patterns if pattern.get("kind", "basic") == "basic"]
    yield from _basic(basic, _rate_of(stats).removesuffix(" rate"))
    yield from _incidents(stats.get("incidents") or [], room)
    yield from _changes(stats.get("changepoints") or [], room)
    yield from _flaky(stats.get("flakiness") or {})
    yield from _notes(stats, room)
    yield f"\nnext:          {_next(stats, again)}"


def _rate_of(stats: Answer) -> str:
    """What the rates of this answer are."""
    target = str((stats.get("analysis") or {}).get("target"))
    return {"slow": "not slow", "memory": "not large"}.get(target, "success rate")


def _finished(stats: Answer) -> str:
    finished = (stats.get("analysis") or {}).get("finishedTasks")
    return "" if finished is None else f"  of {counted(finished, 'finished task')}"


# --- what was discovered


def _found(stats: Answer, found: Sequence[Answer], room: int) -> Iterator[str]:
    """In groups: what has more of the target, what has less, what came in bursts. Their order within is that of the answer."""
    analysis = stats.get("analysis")
    if analysis is None:
        return
    bad, good = _TITLES.get(analysis["target"], _TITLES["failure"])
    lasting = [pattern for pattern in found if pattern["kind"] != "bursty"]
    groups = {
        bad: [pattern for pattern in lasting if pattern["excessFailures"] >= 0],
        good: [pattern for pattern in lasting if pattern["excessFailures"] < 0],
        _BURSTS: [pattern for pattern in found if pattern["kind"] == "bursty"],
    }
    number = 0
    for title, patterns in groups.items():
        if patterns or (title == bad and not found):
            yield f"\n{title}"
        for pattern in patterns:
            number += 1
            yield ""
            yield from pattern_lines(pattern, room, number=number, overall=stats["overallSuccessRate"])
    if not found:
        yield from wrapped(_nothing_found(analysis), room)


def _nothing_found(analysis: Answer) -> str:
    if not analysis["hypotheses"]:
        return "Too little has finished to search for patterns."
    tried = counted(analysis["hypotheses"], "possible pattern")
    return f"Nothing stands out: {tried} tried, and none goes beyond what chance and bursts of failures explain."


def pattern_lines(pattern: Answer, room: int, *, number: int, overall: float | None = None) -> Iterator[str]:
    """One discovered pattern: its sentence, a bar above that of all, how sure it is."""
    indent = "    "
    yield from wrapped(pattern["sentence"], room, indent=indent, first=f"{number:2}. ")
    had_it = 1 - pattern["successRate"]
    low, high = pattern["confidenceInterval"]
    word = _HAD_IT[pattern.get("target", "success")][0]
    yield f"{indent}these  {bar(had_it)}  {percent(had_it):>5} {word}  ({span((1 - high, 1 - low))})"
    if overall is not None:
        yield f"{indent}all    {bar(1 - overall)}  {percent(1 - overall):>5}"
    yield from wrapped(" · ".join(_remarks(pattern)), room, indent=indent)
    if pattern["explainedBy"]:
        yield from wrapped(f"Explained by: {pattern['explainedBy']}", room, indent=indent)
    if pattern["alsoMatches"]:
        alike = listed(pattern["alsoMatches"], SHOWN_ALIKE)
        yield from wrapped(f"Nearly the same tasks: {alike}", room, indent=indent)


def _remarks(pattern: Answer) -> Iterator[str]:
    """How sure it is in words, and what the sentence does not say."""
    yield _grade(pattern)
    if pattern["kind"] != "bursty":
        yield f"in {counted(pattern['episodes'], 'part')} of the time"
    within = pattern["heldWithinName"]
    if within is not None:
        yield "also within one name" if within else "not within one name"
    excess = pattern["excessFailures"]
    if abs(excess) >= 1:
        what = _HAD_IT[pattern.get("target", "success")][1]
        yield f"{abs(excess):,.0f} {what} {'more' if excess > 0 else 'fewer'}"
    if pattern.get("phase") == "runtime":
        yield "known only while it runs: a sign, hardly a cause"


def _grade(pattern: Answer) -> str:
    if pattern["kind"] == "bursty":
        return "In bursts"
    if not pattern["significant"]:
        return "May be chance"
    if pattern["confirmedOutOfTime"] is False:
        return "Fading"
    return "Strong evidence" if pattern["confirmedOutOfTime"] else "Good evidence"


# --- what was counted


def _basic(patterns: Sequence[Answer], rate: str) -> Iterator[str]:
    if not patterns:
        return
    yield "\nAlways counted, whether it means something or not: each may be chance"
    rows = [[f"{row['matchCount']:,}", percent(row["successRate"]), bar(row["successRate"], 8),
             terminal.shown(row["differenceFromAverage"]), terminal.shown(row["pattern"])] for row in patterns]  # fmt: skip
    yield from _table(("tasks", rate, "", "diff", "pattern"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, numbers to the right; the last is text and not padded."""
    every = [[column.upper() for column in columns], *rows]
    widths = [max(len(row[n]) for row in every) for n in range(len(columns) - 1)]
    numbers = [all(row[n][:1].isdigit() or row[n][:1] in "+-" for row in rows) for n in range(len(widths))]
    for row in every:
        cells = [
            cell.rjust(wide) if number else cell.ljust(wide)
            for cell, wide, number in zip(row, widths, numbers, strict=False)
        ]
        yield "  ".join(["", *cells, row[-1]]).rstrip()


def _incidents(incidents: Sequence[Answer], room: int) -> Iterator[str]:
    if not incidents:
        return
    yield "\nIncidents: times in which far more failed than around them"
    for incident in incidents[:SHOWN_INCIDENTS]:
        share = incident["failed"] / incident["of"] if incident["of"] else 0.0
        when = f"{terminal.when(incident['start'])} to {_end(incident)}"
        yield f"  {when}  {bar(share, 10)} {incident['failed']:,} of {incident['of']:,} failed"
        yield from wrapped(incident["sentence"], room, indent="    ")
    yield from _more(incidents, SHOWN_INCIDENTS)


def _end(incident: Answer) -> str:
    """The end; of the same day its time only."""
    start, end = terminal.when(incident["start"]), terminal.when(incident["end"])
    return end[11:] if end[:10] == start[:10] else end


def _changes(changes: Sequence[Answer], room: int) -> Iterator[str]:
    if not changes:
        return
    yield "\nNames that changed for good"
    for change in changes[:SHOWN_CHANGES]:
        yield from wrapped(f"{change['sentence']} {counted(change['runsSince'], 'run')} since.", room)
        yield f"    {before_and_since(change)}"
    yield from _more(changes, SHOWN_CHANGES)


def before_and_since(change: Answer) -> str:
    """Two bars: the rate before a change and since."""
    before, since = (f"{bar(change[key], 10)} {percent(change[key]):>5}" for key in ("before", "after"))
    return f"before {before}   since {since}"


def _flaky(flaky: Mapping[str, Answer]) -> Iterator[str]:
    if not flaky:
        return
    yield "\nHow often a retry passes after a crash"
    rows = [[f"{one['retries']:,}", percent(one["passOnRetry"]), bar(one["passOnRetry"], 10), span(one["interval"]),
             terminal.cut(terminal.shown(name), _NAME_CELLS)] for name, one in list(flaky.items())[:SHOWN_FLAKY]]  # fmt: skip
    yield from _table(("retries", "pass", "", "likely within", "name"), rows)
    yield from _more(flaky, SHOWN_FLAKY)


def _more(found: Sequence[Any] | Mapping[str, Any], shown: int) -> Iterator[str]:
    if len(found) > shown:
        yield f"  … {len(found) - shown:,} more: --json has all"


# --- the end


def _notes(stats: Answer, room: int) -> Iterator[str]:
    analysis = stats.get("analysis") or {}
    notes = analysis.get("notes") or []
    if notes:
        yield "\nTo be known"
    for note in notes:
        yield from wrapped(note, room, indent="    ", first="  - ")


def _next(stats: Answer, again: str) -> str:
    """Where to look now: at the name that most is said of."""
    name = telling_name(stats)
    report = "--name-report" if again.startswith("jobmgr analyze") else ""
    one = " ".join(filter(None, (again, report, _quoted(name) if name else "NAME")))
    return one if report else f"{one} · {again} --failures"


def telling_name(stats: Answer) -> str | None:
    """A name of jobs that the findings are about."""
    for change in stats.get("changepoints") or []:
        return str(change["name"])
    for pattern in stats.get("patterns") or []:
        for condition in pattern.get("conditions") or []:
            if (condition["attribute"], condition["op"]) == ("name", "==") and isinstance(condition["value"], str):
                return condition["value"]
    return next(iter(stats.get("flakiness") or {}), None)


def _quoted(name: str) -> str:
    """As a shell takes it; one that no terminal can show is left to the person."""
    import shlex

    return shlex.quote(name) if name.isprintable() and len(name) <= _NAME_CELLS else "NAME"
