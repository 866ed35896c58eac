"""The statements of lists: each walks an index in its order and sorts nothing, whatever is asked for."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobmgr.job import FINISHED, Status
from jobmgr.store.listing import EVERY_JOB, JobFilter, JobKey, JobOrder, SortBy
from jobmgr.store.sqlite_file import open_writer
from jobmgr.store.sqlite_listing import look

FILTERS = {
    "all": EVERY_JOB,
    "below": JobFilter(before=9),
    "status": JobFilter(statuses=frozenset({Status.CRASHED})),
    "statuses": JobFilter(statuses=FINISHED),
    "name": JobFilter(name="a"),
    "type": JobFilter(type="encode"),
    "label": JobFilter(labels={"team": "x"}),
    "any label": JobFilter(labels={"team": None}),
    "time": JobFilter(since=1, until=9),
    "text": JobFilter(q="a"),
    "much": JobFilter(FINISHED, "a", "encode", {"team": "x", "disk": "y"}, 1, 9, "a", 9),
}
ORDERS = [JobOrder(by, descending) for by in SortBy for descending in (False, True)]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with a few jobs of one name, one of them finished."""
    opened, _ = open_writer(tmp_path)
    opened.execute("CREATE TEMP TABLE columns AS SELECT name FROM pragma_table_info('jobs') WHERE \"notnull\"")
    needed = [name for (name,) in opened.execute("SELECT name FROM columns")]
    places = ", ".join("5" if name not in ("name", "status") else f"'{name}'" for name in needed)
    opened.execute(
        f"INSERT INTO jobs ({', '.join(needed)}, finished_at) SELECT {places}, value FROM json_each('[1,2,2,null,3,4]')"
    )
    yield opened
    opened.close()


def statements_of(found: JobFilter, order: JobOrder, connection: sqlite3.Connection) -> set[str]:
    """All that is executed to follow a list to its end, a key and a window of 2 at a time, values filled in."""
    texts: list[str] = []
    connection.set_trace_callback(texts.append)
    after: JobKey | None = None
    while (seen := look(found, order, after, 1, 2, connection)).end is not None:
        after = seen.end
    connection.set_trace_callback(None)
    return {text for text in texts if text.lstrip().startswith("SELECT")}


@pytest.mark.parametrize(("name", "order"), list(itertools.product(FILTERS, ORDERS)), ids=str)
def test_a_list_walks_an_index_and_sorts_nothing(name: str, order: JobOrder, connection: sqlite3.Connection) -> None:
    """Every statement, of every kind of filter in every order; and none reads a table from end to end."""
    found = statements_of(FILTERS[name], order, connection)
    assert found
    for text in found:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
        assert not [step for step in plan if "TEMP B-TREE" in step], (text, plan)
        scans = [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
        assert not [step for step in scans if "USING" not in step], (text, plan)


@pytest.mark.parametrize(
    ("name", "order", "uses"),
    [
        ("all", JobOrder(), "SEARCH j USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("all", JobOrder(SortBy.NAME), "SEARCH j USING COVERING INDEX jobs_name (name=? AND rowid>? AND rowid<?)"),
        (
            "all",
            JobOrder(SortBy.FINISHED_AT),
            "SEARCH j USING COVERING INDEX jobs_finished (finished_at=? AND rowid>? AND rowid<?)",
        ),
        ("all", JobOrder(SortBy.FINISHED_AT, True), "SEARCH j USING COVERING INDEX jobs_finished (finished_at<?)"),
        (
            "all",
            JobOrder(SortBy.FINISHED_AT),
            "SEARCH j USING COVERING INDEX jobs_status (status=? AND rowid>? AND rowid<?)",
        ),
        ("status", JobOrder(), "SEARCH j USING COVERING INDEX jobs_status (status=? AND rowid>? AND rowid<?)"),
        (
            "statuses",
            JobOrder(descending=True),
            "SEARCH j USING COVERING INDEX jobs_status (status=? AND rowid>? AND rowid<?)",
        ),
        ("name", JobOrder(), "SEARCH j USING COVERING INDEX jobs_name (name=? AND rowid>? AND rowid<?)"),
        ("type", JobOrder(), "SEARCH j USING COVERING INDEX jobs_type (type=? AND rowid>? AND rowid<?)"),
        ("label", JobOrder(), "SEARCH l USING COVERING INDEX labels_value (key=? AND value=? AND job>? AND job<?)"),
        ("text", JobOrder(), "SEARCH j USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("text", JobOrder(SortBy.NAME), "SEARCH j USING INDEX jobs_name (name=? AND rowid>? AND rowid<?)"),
    ],
)
def test_a_list_walks_the_index_of_its_order_or_condition(
    name: str, order: JobOrder, uses: str, connection: sqlite3.Connection
) -> None:
    """From the key on, and where each job is asked, to the end of the window."""
    plans = {
        row[3]
        for text in statements_of(FILTERS[name], order, connection)
        for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")
    }
    assert uses in plans


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["text", "much"])
def test_a_window_costs_the_same_however_many_jobs_lie_beyond_it(
    name: str, descending: bool, connection: sqlite3.Connection
) -> None:
    """Steps of SQLite's machine, for the first window of a thousand jobs and of ten times as many."""
    found = replace(FILTERS[name], before=10**6)
    few = steps_of(found, JobOrder(descending=descending), connection, jobs=1_000)
    many = steps_of(found, JobOrder(descending=descending), connection, jobs=10_000)
    assert many < 1.5 * few


def steps_of(found: JobFilter, order: JobOrder, connection: sqlite3.Connection, *, jobs: int) -> int:
    """How many steps a look into the middle of so many jobs takes, counted by tens."""
    columns = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(jobs)") if row[1] != "id")
    connection.execute("DELETE FROM jobs WHERE id >= 100")
    connection.execute(
        f"""WITH RECURSIVE numbers (n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM numbers LIMIT ?)
        INSERT INTO jobs (id, {columns}) SELECT n, {columns} FROM numbers, (SELECT * FROM jobs LIMIT 1)""",
        (jobs,),
    )
    connection.execute("UPDATE jobs SET name = 'a', type = 'encode' WHERE id >= 100")
    seen: list[None] = []
    connection.set_progress_handler(lambda: seen.append(None), 10)
    look(found, order, JobKey(None, 100 + jobs // 2), 5, 50, connection)
    connection.set_progress_handler(None, 10)
    return len(seen)
