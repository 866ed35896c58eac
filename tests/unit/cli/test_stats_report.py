"""The reports of statistics: what a tired person reads. The answers are those that the Postman collection shows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from documents.saved import ANSWERS
from jobmgr.cli.failure_report import failure_lines
from jobmgr.cli.name_report import name_lines
from jobmgr.cli.stats_report import stats_lines, telling_name

STATS = ANSWERS["GET /stats", "200"]
NAME = ANSWERS["GET /stats/jobs/{name}", "200"]
FAILURES = ANSWERS["GET /stats/failures", "200"]
REPORTS: list[tuple[Callable[..., Iterator[str]], Any]] = [
    (stats_lines, STATS),
    (name_lines, NAME),
    (failure_lines, FAILURES),
]
HOSTILE = "\x1b[2J\x1b]0;title\x07 \u202e\r\n" + "very-long-" * 30


def changed(answer: Any, **fields: Any) -> dict[str, Any]:
    """A copy with other fields."""
    return {**copy.deepcopy(answer), **fields}


def stats(pattern: dict[str, Any] | None = None, **fields: Any) -> str:
    """The report of the saved answer with a changed pattern."""
    patterns = [changed(STATS["patterns"][0], **(pattern or {}))]
    return "\n".join(stats_lines(changed(STATS, **{"patterns": patterns, **fields})))


def one_line(text: str) -> str:
    """Without its line breaks and indents."""
    return " ".join(text.split())


def spoilt(value: Any) -> Any:
    """The same answer with a hostile text wherever a client of jobmgr could have put one."""
    if isinstance(value, dict):
        return {_spoilt_key(key): one if key in _OURS else spoilt(one) for key, one in value.items()}
    if isinstance(value, list):
        return [spoilt(one) for one in value]
    return HOSTILE + value if isinstance(value, str) else value


def _spoilt_key(key: str) -> str:
    return HOSTILE + key if key in {"nightly-backup", "encode"} else key


_OURS = {
    *("start", "end", "at", "firstSeen", "lastSeen", "computedAt"),
    *("target", "kind", "method", "phase", "attribute", "op"),
}
"""Fields whose values are made by the server alone."""


@pytest.mark.parametrize("room", [80, 100])
@pytest.mark.parametrize(("report", "answer"), REPORTS)
def test_a_report_fits_and_is_harmless(report: Callable[..., Iterator[str]], answer: Any, room: int) -> None:
    """Whatever names and outputs hold: no control character, and no line longer than the terminal."""
    for text in (answer, spoilt(answer)):
        lines = [line for printed in report(text, room=room) for line in printed.split("\n")]
        assert [line for line in lines if not line.isprintable()] == []
        assert [line for line in lines[:-1] if len(line) > room] == []


def test_a_pattern_is_its_sentence_with_bars_and_how_sure_it_is() -> None:
    """In words: no p, no q."""
    text = stats()
    said = one_line(text)
    assert "1. Jobs whose --codec is av1 fail 29 % of the time" in said
    assert "these █████▊" in said
    assert "29 % failed (23 to 37 %)" in said
    assert "Strong evidence · in 9 parts of the time · also within one name · 28 failures more" in said
    assert "0.0021" not in text


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ({"confirmedOutOfTime": None}, "Good evidence · in 9 parts"),
        ({"confirmedOutOfTime": False}, "Fading · in 9 parts"),
        ({"kind": "bursty"}, "What came in bursts: ask what happened then, before you change these jobs 1. Jobs"),
        ({"kind": "bursty"}, "In bursts · also within one name"),
        ({"significant": False}, "May be chance · "),
        ({"heldWithinName": False}, "not within one name"),
        ({"phase": "runtime"}, "a sign, hardly a cause"),
        ({"explainedBy": "node is b"}, "Explained by: node is b"),
        ({"alsoMatches": ["a", "b", "c", "d"]}, "Nearly the same tasks: a, b, c and 1 more"),
        ({"excessFailures": -12.2}, "What goes with success 1. Jobs"),
        ({"excessFailures": -12.2}, "12 failures fewer"),
        ({"target": "slow", "excessFailures": 3.0}, "29 % slow"),
    ],
)
def test_how_sure_a_pattern_is(pattern: dict[str, Any], words: str) -> None:
    """Each kind of doubt is said."""
    assert words in one_line(stats(pattern))


def test_basic_patterns_are_a_table_whose_heading_says_that_they_may_be_chance() -> None:
    """They are counted, not claimed: no row says how sure it is."""
    text = stats({"kind": "basic", "significant": False, "pattern": "Argument count >= 2"})
    [row] = [line for line in text.splitlines() if line.endswith("Argument count >= 2")]
    assert row.split() == ["160", "71", "%", "█████▋░░", "-15%", "Argument", "count", ">=", "2"]
    assert "whether it means something or not: each may be chance TASKS" in one_line(text)
    assert "Nothing stands out: 18,658 possible patterns tried" in one_line(text)


def test_incidents_changes_and_retries_have_their_places() -> None:
    """Each with a bar."""
    said = one_line(stats())
    assert "████████▌░ 17 of 20 failed From 02:00 to 03:10" in said
    assert "fell from 98 % to 71 %. 41 runs since. before █████████▊ 98 % since ███████▏░░ 71 %" in said
    assert "11 64 % ██████▍░░░ 40 to 83 % nightly-backup" in said


def test_what_is_left_out_is_counted() -> None:
    """A report stays short; --json has all."""
    flaky = {f"name-{n}": STATS["flakiness"]["nightly-backup"] for n in range(20)}
    text = stats(flakiness=flaky, changepoints=STATS["changepoints"] * 9, incidents=STATS["incidents"] * 6)
    assert [line.strip() for line in text.splitlines() if "more: --json" in line] == [
        "… 1 more: --json has all",
        "… 4 more: --json has all",
        "… 12 more: --json has all",
    ]


def test_notes_say_what_limits_the_answer() -> None:
    """As they are given."""
    assert "  - Too few days for weekdays." in stats(
        analysis={**STATS["analysis"], "notes": ["Too few days for weekdays."]}
    )


@pytest.mark.parametrize(
    ("target", "words"), [("slow", ("not slow: 84 %", "NOT SLOW")), ("memory", ("not large: 84 %",))]
)
def test_rates_are_named_by_what_was_looked_for(target: str, words: tuple[str, ...]) -> None:
    """A rate of what is not slow is no success rate."""
    said = one_line(stats({"kind": "basic"}, analysis={**STATS["analysis"], "target": target}))
    assert all(word in said for word in words)
    assert "success" not in said.partition("goes with")[0]


def test_nothing_has_finished() -> None:
    """Then there is no rate."""
    text = "\n".join(stats_lines({"totalJobs": 3, "overallSuccessRate": 0, "patterns": []}))
    assert text.startswith("jobs:          3\nsuccess rate:  –\n\nNothing to compare yet")


def test_a_report_ends_with_what_to_look_at_next() -> None:
    """A name that something is said of, quoted for the shell; of a file, the same question of the file."""
    assert stats().splitlines()[-1] == "next:          jobmgr stats nightly-backup · jobmgr stats --failures"
    flaky = {"it's\n": STATS["flakiness"]["nightly-backup"]}
    assert (
        stats(changepoints=[], flakiness=flaky).splitlines()[-1]
        == "next:          jobmgr stats NAME · jobmgr stats --failures"
    )
    of_file = list(stats_lines(STATS, again="jobmgr analyze a.jsonl"))[-1].strip()
    assert of_file == "next:          jobmgr analyze a.jsonl --name-report nightly-backup"


def test_the_name_to_look_at_is_one_that_something_is_said_of() -> None:
    """A change first, then a pattern that is a name, then what is retried most."""
    named = [{"conditions": [{"attribute": "name", "op": "==", "value": "encode"}]}]
    assert telling_name(changed(STATS, changepoints=[], patterns=named)) == "encode"
    assert telling_name(changed(STATS, changepoints=[], patterns=[])) == "nightly-backup"
    assert telling_name(changed(STATS, changepoints=[], patterns=[], flakiness={})) is None


def test_a_name_is_told_in_full() -> None:
    """What is known of its runs, when they fail, which limits would fit."""
    text = "\n".join(name_lines(NAME))
    said = one_line(text)
    assert text.startswith("nightly-backup\n90 % of 141 runs")
    assert "runs: 141 (127 completed, 14 crashed); besides 3 stopped" in said
    assert "success rate: 90 % ██████████████████░░ (84 to 94 %)" in said
    assert "duration: mostly 1.20 s to 9.10 s, half of them at most 4.30 s; 1 of 100 over 1 min 1 s" in said
    assert "lately ended: 0 (86), 1 (12), SIGKILL (2)" in said
    assert "retries pass: 64 % ████████████▊░░░░░░░ (40 to 83 %; 11 retries)" in said
    assert "timeout 2 min 3 s: twice the longest" in said
    assert "memory 135.0 MiB: 1.5 times" in said


def test_hours_of_a_name_are_a_profile() -> None:
    """Two letters an hour; the worst one is named, with a warning."""
    hours = [{"hour": 2, "runs": 10, "successRate": 0.5}, {"hour": 23, "runs": 5, "successRate": 1.0}]
    lines = list(name_lines(changed(NAME, hours=hours)))
    [runs] = [line for line in lines if line.startswith("  runs ")]
    assert runs == "  runs         ██" + " " * 40 + "▅▅  at most 10"
    assert "  lowest from 2:00 to 3:00: 50 % of 10 runs; may be chance" in lines


def test_a_change_that_is_not_sure_is_not_drawn() -> None:
    """Its sentence says that nothing can be told; one hour of the day is no profile."""
    trend = {"before": 0.82, "after": 0.76, "p": 0.3, "sentence": "No trend can be told."}
    text = "\n".join(name_lines(changed(NAME, changepoint=None, trend=trend)))
    assert "No trend can be told." in text
    assert "since" not in text
    assert "hour of the day" not in text
    assert "within one name" not in text


def test_runs_of_milliseconds_are_told_in_milliseconds() -> None:
    """Not as 0.00 s."""
    duration = {"p10": 3.911, "p50": 5.2, "p90": 12.0, "p99": 1200.0}
    text = " ".join("\n".join(name_lines(changed(NAME, duration=duration))).split())
    assert "duration: mostly 3.91 ms to 12 ms, half of them at most 5.2 ms; 1 of 100 over 1.20 s" in text


def test_a_name_that_never_finished_is_told_as_far_as_it_goes() -> None:
    """Nothing but its sentence and counts."""
    nothing = dict.fromkeys(
        ("successRate", "interval", "duration", "peakRssBytes", "trend", "changepoint", "flakiness")
    )
    limits = dict.fromkeys(("suggestedTimeout", "suggestedMemoryLimit"))
    report = changed(NAME, runs=0, completed=0, crashed=0, hours=[], exitCodes={}, patterns=[], **nothing, **limits)
    assert list(name_lines(report))[-1] == "runs:          0 (0 completed, 0 crashed); besides 3 stopped"


def test_kinds_of_failure_are_told_with_their_last_lines() -> None:
    """How many, how that changes, an example, and where to look."""
    text = "\n".join(failure_lines(FAILURES))
    said = one_line(text)
    assert text.startswith("87 failed attempts, 1 kind of failure\n\n 1. 54 of 87 failed attempts ended with")
    assert "██████▎░░░ 54 attempts, 62 % of all · rising" in said
    assert "| cp: cannot create /backup/88: No space left on device" in said
    assert "names: nightly-backup (40), encode (14) · ended: 1 (54) · newest jobs: job-88, job-80" in said
    assert text.endswith("next:          jobmgr show job-88")


def test_no_failures_is_good_news() -> None:
    """One line."""
    assert list(failure_lines({"failedAttempts": 0, "kinds": []})) == ["Nothing has failed here."]
    assert list(failure_lines({"failedAttempts": 2, "kinds": []})) == ["2 failed attempts; none of them said anything."]


def test_the_saved_answers_are_json() -> None:
    """What these tests draw is what a server could send."""
    for _, answer in REPORTS:
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer
