"""The history as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobmgr.history import HistoryRow
from jobmgr.stats import columns as module
from jobmgr.stats.columns import MOST_ARGS, MOST_TEXT, NO_EXIT_CODE, NO_PRIORITY, TYPES, UNKNOWN, Columns, number_of
from tests.unit.stats.histories import START, attempt

TEXTS = {"name": "names", "script": "scripts", "node": "nodes", "group": "groups"}


def filled(*tasks: Sequence[HistoryRow]) -> Columns:
    """Columns of these tasks, each with its rows."""
    columns = Columns()
    for key, rows in enumerate(tasks):
        columns.put(key, rows)
    columns.settle()
    return columns


def told(columns: Columns) -> list[dict[str, Any]]:
    """Every row by what it says, without numbers that only this object knows."""
    texts = {name: [*getattr(columns, of).values, None] for name, of in TEXTS.items()}
    tokens = columns.tokens.values
    rows = []
    for row in range(len(columns)):
        fields: dict[str, Any] = {
            name: int(columns[name][row]) for name in TYPES if name not in {"order", "first_token"}
        }
        fields |= {name: known[fields[name]] for name, known in texts.items()}
        first, count = int(columns["first_token"][row]), min(max(fields["args_count"], 0), MOST_ARGS)
        fields["args"] = [tokens[code] for code in columns.arguments[first : first + count]]
        rows.append(fields)
    return rows


def test_what_is_put_is_visible_once_it_is_settled() -> None:
    """All in one go, with another version."""
    columns = Columns()
    columns.put(1, [attempt(job_name="a")])
    assert (len(columns), columns.version) == (0, 0)
    columns.settle()
    assert (len(columns), columns.version) == (1, 1)
    columns.settle()
    assert columns.version == 1


def test_all_that_a_row_says_is_kept() -> None:
    """Each field in its column, in the units of the row."""
    row = attempt(
        job_id="job-17", task=2, job_name="n", script="/s", args=("a", "b", "a"), priority=-1, group="g", node="h",
        created_at=1, started_at=2, finished_at=3, status="crashed", cause="signal", exit_code=-1, signal=9, round=4,
        attempt=5, retries=6, duration_us=7, queue_wait_us=8, peak_rss_bytes=9, cpu_us=10, read_bytes=11,
        write_bytes=12, output_bytes=13, concurrency=14,
    )  # fmt: skip
    [found] = told(filled([row]))
    assert found == {
        "key": 0, "job": 17, "name": "n", "script": "/s", "node": "h", "group": "g", "args_count": 3,
        "args": ["a", "b", "a"], "priority": -1, "created": 1, "started": 2, "at": 3, "duration": 7, "queue_wait": 8,
        "peak_rss": 9, "cpu": 10, "read": 11, "write": 12, "output": 13, "concurrency": 14, "exit_code": -1, "signal": 9,
        "status": module.CRASHED, "cause": module.CAUSE_CODES["signal"], "attempt": 5, "round": 4, "retries": 6, "standing": 1,
    }  # fmt: skip


def test_what_a_row_does_not_say_is_unknown() -> None:
    """-1, but for exit codes and priorities, which may be -1."""
    [found] = told(filled([attempt(job_id="elsewhere")]))
    for name, value in found.items():
        if name in {"key", "status", "round", "attempt", "standing", "args"}:
            continue
        special = {"exit_code": NO_EXIT_CODE, "priority": NO_PRIORITY, **dict.fromkeys(TEXTS)}
        assert value == special.get(name, UNKNOWN), name


def test_the_last_line_of_a_task_stands() -> None:
    """Those of its earlier attempts are kept beside it, and count in no rate."""
    columns = filled([attempt(status="crashed", finished_at=START)], [attempt(finished_at=START + 1)])
    columns.put(0, [attempt(status="crashed", finished_at=START + 2), attempt(finished_at=START + 3)])
    columns.settle()
    assert columns["standing"].tolist() == [False, True, False, True]
    assert columns.outcomes().tolist() == [1, 3]


def test_rows_that_move_say_so() -> None:
    """Who keeps row numbers begins anew when an outcome no longer stands, or rows were taken out; not when rows are added."""
    columns = filled([attempt(status="crashed")], [attempt(status="running")])
    before = columns.moved
    columns.put(7, [attempt()])
    columns.put(1, [attempt()])
    columns.settle()
    assert columns.moved == before
    columns.put(0, [attempt()])
    columns.settle()
    assert columns.moved > before
    before = columns.moved
    columns.forget([7])
    assert columns.moved > before


def test_outcomes_are_completed_and_crashed_tasks_by_their_end() -> None:
    """Of equal ends, in the order of putting; those from a row on, if asked so."""
    rows = [("crashed", 5), ("stopped", 1), ("completed", 3), ("lost", 2), ("completed", 5), ("running", 0)]
    columns = filled(*([attempt(status=status, finished_at=START + at)] for status, at in rows))
    assert columns.outcomes().tolist() == [2, 0, 4]
    assert columns.outcomes(2).tolist() == [2, 4]


def test_a_row_without_any_time_has_that_of_the_row_before() -> None:
    """Histories are written in their order. What is known of a time is used: the start and the duration, or the submission."""
    columns = filled(
        [attempt()],
        [attempt(finished_at=START)],
        [attempt()],
        [attempt(started_at=START, duration_us=5)],
        [attempt(created_at=START, queue_wait_us=3, duration_us=4)],
        [attempt(created_at=START + 9)],
    )
    columns.put(9, [attempt()])
    columns.settle()
    assert columns["at"].tolist() == [UNKNOWN, START, START, START + 5, START + 7, START + 9, START + 9]


def test_forgetting_takes_out_all_of_a_task() -> None:
    """Its attempts, its arguments, and that it runs; unknown keys are nothing."""
    columns = filled(
        [attempt(args=("x", "y")), attempt(args=("z",))], [attempt(args=("y",))], [attempt(status="running")]
    )
    columns.forget([0, 2, 77])
    assert [row["args"] for row in told(columns)] == [["y"]]
    assert columns.active == {}
    version = columns.version
    columns.forget([])
    columns.forget([77])
    assert columns.version == version


def test_active_is_what_runs_or_is_paused() -> None:
    """By its newest line; the rest is not."""
    columns = Columns()
    running, paused = attempt(status="running"), attempt(status="paused")
    columns.put(1, [running])
    columns.put(2, [attempt(), paused])
    columns.put(3, [running, attempt()])
    assert columns.active == {1: running, 2: paused}
    columns.note(1, attempt(status="stopped"))
    assert columns.active == {2: paused}
    assert len(columns) == 0


texts = st.none() | st.sampled_from(["a", "b", "\ud800", ""])
rows = st.builds(
    lambda known: attempt(**known),
    st.fixed_dictionaries(
        {
            "job_name": texts,
            "node": texts,
            "args": st.none() | st.lists(st.sampled_from("xyz"), max_size=4).map(tuple),
            "status": st.sampled_from(["completed", "crashed", "stopped", "running"]),
            "finished_at": st.integers(0, 100),
            "duration_us": st.none() | st.integers(0, 9),
            "exit_code": st.none() | st.integers(-3, 3),
        }
    ),
)
tasks = st.lists(st.lists(rows, min_size=1, max_size=3), max_size=8)


@settings(deadline=None)
@given(tasks, st.sets(st.integers(0, 7)), st.booleans())
def test_what_is_forgotten_was_never_there(given_: list[list[HistoryRow]], gone: set[int], at_once: bool) -> None:
    """The rest says what it would say alone, whatever was taken out and when it became visible."""
    columns = Columns()
    for key, own in enumerate(given_):
        columns.put(key, own)
        if not at_once:
            columns.settle()
    columns.forget(gone)
    alone = Columns()
    for key, own in enumerate(given_):
        if key not in gone:
            alone.put(key, own)
    alone.settle()
    assert told(columns) == told(alone)
    assert columns.active == alone.active


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), rows, st.booleans()), max_size=20))
def test_one_row_of_each_task_stands(lines: list[tuple[int, HistoryRow, bool]]) -> None:
    """Its last, however the lines were put and settled."""
    columns = Columns()
    for key, row, settle in lines:
        columns.put(key, [row])
        if settle:
            columns.settle()
    columns.settle()
    last = {key: place for place, (key, _, _) in enumerate(lines)}
    assert np.flatnonzero(columns["standing"]).tolist() == sorted(last.values())


def test_the_oldest_are_dropped_above_the_most() -> None:
    """By their end, a tenth more than need be; what is left keeps its arguments, and how many went is known."""
    columns = Columns(most=20)
    for key in range(21):
        columns.put(key, [attempt(args=(f"a{key}",), finished_at=START + (key * 8) % 21)])
    columns.settle()
    left = [(key * 8) % 21 for key in columns["key"].tolist()]
    assert (len(columns), columns.dropped) == (18, 3)
    assert sorted(left) == list(range(3, 21))
    assert [row["args"] for row in told(columns)] == [[f"a{row['key']}"] for row in told(columns)]


def test_of_very_many_arguments_the_first_are_kept_and_all_counted() -> None:
    """A task may have thousands."""
    [row] = told(filled([attempt(args=tuple(map(str, range(300))))]))
    assert (row["args_count"], row["args"]) == (300, list(map(str, range(MOST_ARGS))))


def test_long_texts_are_cut() -> None:
    """Two that differ only beyond that are one; nobody reads so far."""
    columns = filled(
        [attempt(job_name="x" * 5000, args=("y" * 5000,))], [attempt(job_name="x" * 5001, args=("y" * 400,))]
    )
    assert (columns.names.values, columns.tokens.values) == (["x" * MOST_TEXT], ["y" * MOST_TEXT])


def test_distinct_arguments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are coarsened first, then new words are unknown; those that are known stay so."""
    monkeypatch.setattr(module, "FINE_TOKENS", 3)
    monkeypatch.setattr(module, "MOST_TOKENS", 5)
    columns = Columns()
    assert [columns.tokens.code(text) for text in ("a", "b", "123456")] == [0, 1, 2]
    assert columns.tokens.code("1.23456789") == columns.tokens.code("1.23461") == 3
    assert [columns.tokens.code(text) for text in ("word", "more", "a", "7.0001")] == [4, UNKNOWN, 0, 5]
    assert [columns.tokens.code(None), columns.tokens.code("7")] == [UNKNOWN, 5]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5.0), ("-5", -5.0), ("+5", 5.0), ("5.", 5.0), (".5", 0.5), ("1e3", 1000.0), ("-0", 0.0),
        ("1e400", None), ("nan", None), ("inf", None), ("0x10", None), ("1_000", None), ("٣", None), ("", None),
        (" 5", None), ("5\n", None), ("9" * 41, None), (".", None), ("1-2", None),
    ],
)  # fmt: skip
def test_numbers_are_ascii_and_finite(text: str, number: float | None) -> None:
    """What Python would take besides is a word."""
    assert number_of(text) == number


@settings(deadline=None)
@given(tasks, st.sets(st.integers(-3, 12)))
def test_where_finds_the_rows_of_tasks(given_: list[list[HistoryRow]], keys: set[int]) -> None:
    """All of them, in their order."""
    columns = filled(*given_)
    expected = [row for row, key in enumerate(columns["key"].tolist()) if key in keys]
    assert columns.where(keys).tolist() == expected


@pytest.mark.parametrize(
    "times",
    [
        {"started_at": START, "duration_us": 2**63 - 1},
        {"created_at": START, "queue_wait_us": 2**63 - 1, "duration_us": 2**63 - 1},
        {"started_at": 2**63 - 1, "duration_us": 1},
    ],
)
def test_an_end_that_fits_into_no_number_is_the_last_one_that_does(times: dict[str, int]) -> None:
    """A history from elsewhere may claim any duration."""
    assert filled([attempt(**times)])["at"].tolist() == [2**63 - 1]
