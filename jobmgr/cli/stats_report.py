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
_HAD_IT = {"success": "failed", "slow": "slow", "memory": "large"}
"""What those are called that a target is about."""
_TITLES = {
    "failure": "What goes with failure and success",
    "slow": "What goes with slowness (more than twice the usual time of the name)",
    "memory": "What goes with large memory (more than twice the usual of the name)",
}


def stats_lines(stats: Answer, *, again: str = "jobmgr stats", room: int | None = None) -> Iterator[str]:
    """The report. `again`: the command that asks for more of the same history; `room`: cells a line has."""
    room = width() if room is None else room
    patterns = stats.get("patterns") or []
    yield f"jobs:          {stats['totalJobs']:,}"
    if not patterns:  # There is at least one as soon as there is an outcome.
        yield "success rate:  –"
        yield "\nNothing to compare yet: patterns are shown when jobs have completed or crashed."
        yield from _notes(stats, room)
        return
    yield f"success rate:  {percent(stats['overallSuccessRate'])}  {bar(stats['overallSuccessRate'])}{_finished(stats)}"
    found = [pattern for pattern in patterns if pattern.get("kind", "basic") != "basic"]
    yield from _found(stats, found, room)
    yield from _basic([pattern for pattern in patterns if pattern.get("kind", "basic") == "basic"])
    yield from _incidents(stats.get("incidents") or [], room)
    yield from _changes(stats.get("changepoints") or [], room)
    yield from _flaky(stats.get("flakiness") or {})
    yield from _notes(stats, room)
    yield f"\nnext:          {_next(stats, again)}"


def _finished(stats: Answer) -> str:
    finished = (stats.get("analysis") or {}).get("finishedTasks")
    return "" if finished is None else f"  of {counted(finished, 'finished task')}"


# --- what was discovered


def _found(stats: Answer, found: Sequence[Answer], room: int) -> Iterator[str]:
    analysis = stats.get("analysis")
    if analysis is None:
        return
    yield f"\n{_TITLES.get(analysis['target'], _TITLES['failure'])}"
    if not found:
        yield from wrapped(_nothing_found(analysis), room)
    for number, pattern in enumerate(found, 1):
        yield ""
        yield from pattern_lines(pattern, room, number=number, overall=_overall(stats))


def _nothing_found(analysis: Answer) -> str:
    if not analysis["hypotheses"]:
        return "Too little has finished to search for patterns."
    tried = counted(analysis["hypotheses"], "possible pattern")
    return f"Nothing stands out: {tried} tried, and none goes beyond what chance and bursts of failures explain."


def _overall(stats: Answer) -> float | None:
    """The rate that patterns are held against, where it is known: that of other targets is not in the answer."""
    return stats["overallSuccessRate"] if stats["analysis"]["target"] == "failure" else None


def pattern_lines(pattern: Answer, room: int, *, number: int, overall: float | None = None) -> Iterator[str]:
    """One discovered pattern: its sentence, a bar beside that of all, how sure it is."""
    indent = "    "
    yield from wrapped(pattern["sentence"], room, indent=indent, first=f"{number:2}. ")
    target = pattern.get("target", "success")
    had_it = 1 - pattern["successRate"]
    low, high = pattern["confidenceInterval"]
    cells = min(20, room - 50)
    yield f"{indent}these  {bar(had_it, cells)}  {percent(had_it):>5} {_HAD_IT[target]}  ({span((1 - high, 1 - low))})"
    if overall is not None:
        yield f"{indent}all    {bar(1 - overall, cells)}  {percent(1 - overall):>5}"
    yield from wrapped(_how_sure(pattern), room, indent=indent)
    for line in _besides(pattern):
        yield from wrapped(line, room, indent=indent)


def _how_sure(pattern: Answer) -> str:
    """The grade in one or two words, then what it rests on."""
    reasons = [*_reasons(pattern)]
    return f"{_grade(pattern)}: {'; '.join(reasons)}." if reasons else f"{_grade(pattern)}."


def _grade(pattern: Answer) -> str:
    if pattern["kind"] == "bursty":
        return "Comes in bursts"
    if not pattern["significant"]:
        return "May be chance"
    if pattern["confirmedOutOfTime"] is False:
        return "Weak evidence"
    return "Strong evidence" if pattern["confirmedOutOfTime"] else "Good evidence"


def _reasons(pattern: Answer) -> Iterator[str]:
    if pattern["kind"] == "bursty":
        yield f"mostly in {counted(pattern['episodes'], 'episode')}, so ask what happened then"
    elif pattern["episodes"]:
        yield f"seen again and again, in {counted(pattern['episodes'], 'part')} of the time"
    held = pattern["confirmedOutOfTime"]
    if held is not None:
        yield "it held in the newest 30 % of the time" if held else "it did not hold in the newest 30 % of the time"
    within = pattern["heldWithinName"]
    if within is not None:
        yield "it holds among jobs of one name too" if within else "among jobs of one name it is not seen"


def _besides(pattern: Answer) -> Iterator[str]:
    excess = pattern["excessFailures"]
    if abs(excess) >= 1:
        verb = "more" if excess > 0 else "fewer"
        what = {"success": "failures", "slow": "slow runs", "memory": "large runs"}[pattern.get("target", "success")]
        yield f"About {abs(excess):,.0f} {what} {verb} than if these were like all others."
    if pattern.get("phase") == "runtime":
        yield "Known only while a job runs: a sign, hardly a cause."
    if pattern["explainedBy"]:
        yield f"Explained by: {pattern['explainedBy']}."
    if pattern["alsoMatches"]:
        yield f"Nearly the same tasks: {listed(pattern['alsoMatches'], SHOWN_ALIKE)}."


# --- what was counted


def _basic(patterns: Sequence[Answer]) -> Iterator[str]:
    if not patterns:
        return
    yield "\nAlways counted, whether it means something or not"
    rows = [[f"{row['matchCount']:,}", percent(row["successRate"]), bar(row["successRate"], 10),
             terminal.shown(row["differenceFromAverage"]), _meaning(row), terminal.shown(row["pattern"])] for row in patterns]  # fmt: skip
    yield from _table(("tasks", "success", "", "difference", "chance?", "pattern"), rows)


def _meaning(pattern: Answer) -> str:
    """Whether a basic pattern means something, in a word."""
    if "significant" not in pattern:
        return ""
    return "no" if pattern["significant"] else "perhaps"


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
