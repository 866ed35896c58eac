"""The shared statements: their placeholders, and that SQLite answers them from the indexes made for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobmgr.store import statements as sql
from jobmgr.store.sqlite_file import migrations, open_writer
from jobmgr.store.sqlite_text import Text

ALL = {
    name: text
    for name, text in vars(sql).items()
    if name.isupper() and isinstance(text, str) and not name.startswith("_")
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_placeholders_stand_once_and_in_order(name: str) -> None:
    """So that the same parameters serve every database."""
    assert "$" not in Text(ALL[name])


@pytest.mark.parametrize("text", ["SELECT $2, $1", "SELECT $1, $1", "SELECT $2"])
def test_other_placeholders_are_refused(text: str) -> None:
    """At import, not at the first use."""
    with pytest.raises(ValueError, match="once each, in order"):
        Text(text)


@pytest.mark.parametrize(
    ("name", "uses"),
    [
        ("READY_BEST", "tasks_ready"),
        ("READY_OLDEST", "tasks_oldest"),
        ("MAKE_DUE", "tasks_due (due_at<?)"),
        ("MAKE_DUE", "tasks_waiting (ready_at>?)"),
        ("NEXT_DUE", "tasks_due"),
        ("OPEN_RUNS", "tasks_live"),
        ("FIND_RUN", "tasks_live"),
        ("FIND_RUN", "tasks_lost (run=?)"),
        ("PRUNE_KEYS", "idempotency_keys_at"),
        ("READ_ATTEMPTS", "SEARCH a USING PRIMARY KEY ((task,number)>(?,?) AND task<?)"),
        ("READ_TASKS", "SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("READ_STATUSES", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("IDS_BETWEEN", "COVERING INDEX jobs_created (created_at>? AND created_at<?)"),
        ("COUNT_BETWEEN", "COVERING INDEX jobs_created (created_at>? AND created_at<?)"),
        ("COUNT_BEFORE", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid>?)"),
        ("READ_JOB", "SEARCH j USING INTEGER PRIMARY KEY (rowid=?)"),
        ("READ_JOB", "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)"),
        ("READ_JOB_IDS", "SEARCH jobs USING INTEGER PRIMARY KEY (rowid>?)"),
        ("EVENTS_AFTER", "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"),
        ("HISTORY_JOBS", "SEARCH j USING INTEGER PRIMARY KEY (rowid>?)"),
        ("HISTORY_JOBS", "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)"),
        ("READ_HISTORY", "SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("READ_HISTORY", "SEARCH a USING PRIMARY KEY (task=?)"),
    ],
)
def test_statements_use_their_index_and_sort_nothing(tmp_path: Path, name: str, uses: str) -> None:
    """The cost of each does not grow with the history."""
    connection, _ = open_writer(tmp_path)
    values = [1] * ALL[name].count("$")
    plan = "\n".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + Text(ALL[name]), values))
    connection.close()
    assert uses in plan
    assert "TEMP B-TREE" not in plan


def test_migrations_are_numbered_without_a_gap() -> None:
    """1, 2, 3, …, and each is in the package."""
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers
