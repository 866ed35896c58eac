"""The shared statements: their placeholders, and that SQLite answers them from the indexes made for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobmgr.store import sqlite_webhooks, webhook_statements
from jobmgr.store import statements as sql
from jobmgr.store.sqlite_file import migrations, open_writer
from jobmgr.store.sqlite_text import Text
from jobmgr.store.webhooks import DeliveryFilter, DeliveryStatus

ALL = {
    name: text
    for module in (sql, webhook_statements)
    for name, text in vars(module).items()
    if name.isupper() and isinstance(text, str) and not name.startswith("_") and not name.endswith("_COLUMNS")
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
        ("STANDING", "webhooks_standing"),
        ("COUNT_STANDING", "webhooks_standing"),
        ("TELLS_CHANGES", "webhooks_standing"),
        ("CALLBACK_OF", "COVERING INDEX webhooks_job (job=?)"),
        ("DELETE_CLOSED", "deliveries_line (webhook=? AND status=?)"),
        ("PRUNE_CLOSED", "webhooks_closing"),
        ("IS_WAITED_FOR", "COVERING INDEX deliveries_line (webhook=? AND status=? AND job=?)"),
        ("NEXT_IN_LINE", "COVERING INDEX deliveries_line (webhook=? AND status=? AND job=?)"),
        ("DROP_PENDING", "deliveries_line (webhook=? AND status=?)"),
        ("MOVE_PENDING", "deliveries_line (webhook=? AND status=?)"),
        ("NEXT_DUE_DELIVERY", "COVERING INDEX deliveries_due (due_at>?)"),
        ("PRUNE_DELIVERIES", "deliveries_ended (ended_at>? AND ended_at<?)"),
        ("PRUNE_OUTCOMES", "outcomes_at (at<?)"),
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


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        (sqlite_webhooks._DUE, "COVERING INDEX deliveries_due (due_at>? AND due_at<?)"),
        (sqlite_webhooks._NEXT_RECEIVER, "COVERING INDEX deliveries_receiver (receiver>?)"),
        (sqlite_webhooks._DUE_AT_RECEIVER, "COVERING INDEX deliveries_receiver (receiver=? AND due_at>? AND due_at<?)"),
        (sqlite_webhooks._READ_DUE, "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)"),
        (sqlite_webhooks._READ_DUE, "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)"),
        (sqlite_webhooks._ABOUT, "webhooks_job (job=?)"),
        (sqlite_webhooks._ABOUT, "webhooks_standing"),
        (sqlite_webhooks._OUTCOMES, "SEARCH outcomes USING PRIMARY KEY (name=?)"),
        (sqlite_webhooks._OUTCOMES_OF, "jobs_name (name=?"),
        (
            sqlite_webhooks._listed(DeliveryFilter(webhook=1, status=DeliveryStatus.FAILED))[0],
            "deliveries_webhook (webhook=?",
        ),
        (sqlite_webhooks._listed(DeliveryFilter(job=1, webhook=1))[0], "deliveries_job (job=?"),
        (sqlite_webhooks._listed(DeliveryFilter(status=DeliveryStatus.FAILED))[0], "deliveries_status (status=?"),
        (sqlite_webhooks._listed(DeliveryFilter())[0], "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid<?)"),
    ],
)
def test_what_is_read_of_webhooks_is_read_by_its_index_and_not_sorted(tmp_path: Path, text: str, uses: str) -> None:
    """Whatever waits, and however many callbacks there are."""
    connection, _ = open_writer(tmp_path)
    values = [1] * text.count("?")
    plan = "\n".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + text, values))
    connection.close()
    assert uses in plan
    assert "TEMP B-TREE" not in plan


def test_migrations_are_numbered_without_a_gap() -> None:
    """1, 2, 3, …, and each is in the package."""
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers
