"""A filter as conditions of SQL, and the indexes that a list can walk. Text of our own only: whatever a client gave is a parameter.

The index is named in each statement (`INDEXED BY`), so that no guess of SQLite's planner can turn a short read into a long one: a statement
whose index cannot be used is an error, which the tests would see.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobmgr.store.listing import JobFilter, SortBy
from jobmgr.store.specs import dumps

Condition = tuple[str, tuple[object, ...]]
"""A text with a `?` for each of its values."""

ALL_JOBS = "jobs j NOT INDEXED"
JOBS_WITH: Mapping[str, str] = {
    "status": "jobs j INDEXED BY jobs_status",
    "name": "jobs j INDEXED BY jobs_name",
    "type": "jobs j INDEXED BY jobs_type",
    "label": "labels l INDEXED BY labels_value",
}
"""Where the jobs that meet a condition stand in the order of their ids."""

JOB_OF_LABEL = "CROSS JOIN jobs j ON j.id = l.job"

JOBS_BY: Mapping[SortBy, tuple[str, str]] = {
    SortBy.FINISHED_AT: ("j.finished_at", "jobs j INDEXED BY jobs_finished"),
    SortBy.NAME: ("j.name", "jobs j INDEXED BY jobs_name"),
}
"""The column of an order, and where the jobs stand in it."""

# Arguments are kept as JSON, so a text that is part of one is, escaped, part of the JSON: most jobs are passed over without reading it. The
# tasks of a job have arguments of their own all or none, so the first one tells.
_CONTAINS = """
(instr(lower(j.name), lower(?)) > 0
  OR EXISTS (SELECT 1 FROM specs s WHERE s.job = j.id AND instr(lower(s.spec), lower(?)) > 0
    AND EXISTS (SELECT 1 FROM json_each(s.spec, '$.args') a WHERE instr(lower(a.value), lower(?)) > 0))
  OR ((SELECT args FROM tasks WHERE id = j.first_task) IS NOT NULL
    AND EXISTS (SELECT 1 FROM tasks t WHERE t.id BETWEEN j.first_task AND j.first_task + j.num_tasks - 1
      AND instr(lower(t.args), lower(?)) > 0
      AND EXISTS (SELECT 1 FROM json_each(t.args) a WHERE instr(lower(a.value), lower(?)) > 0))))"""


def conditions(found: JobFilter) -> dict[str, Condition]:
    """What a filter asks of a job `j`, by what it is about; without `before`, which is about the walk."""
    asked: dict[str, Condition] = {}
    if found.statuses is not None:
        statuses = tuple(sorted(found.statuses))
        places = ", ".join("?" * len(statuses))
        asked["status"] = (f"j.status IN ({places})" if len(statuses) != 1 else "j.status = ?", statuses)
    for name, text, value in (
        ("name", "j.name = ?", found.name),
        ("type", "j.type = ?", found.type),
        ("since", "j.created_at >= ?", found.since),
        ("until", "j.created_at < ?", found.until),
    ):
        if value is not None:
            asked[name] = (text, (value,))
    asked |= {f"label {key}": _label(key, value) for key, value in found.labels.items()}
    if found.q is not None:
        escaped = dumps(found.q)[1:-1]
        asked["q"] = (_CONTAINS, (found.q, escaped, found.q, escaped, found.q))
    return asked


def _label(key: str, value: str | None) -> Condition:
    if value is None:
        return "EXISTS (SELECT 1 FROM labels o WHERE o.job = j.id AND o.key = ?)", (key,)
    return "EXISTS (SELECT 1 FROM labels o WHERE o.job = j.id AND o.key = ? AND o.value = ?)", (key, value)


def walked_label(found: JobFilter) -> tuple[str, Condition] | None:
    """One of the labels with a value, by its name among the conditions, as a condition of the index of labels."""
    for key, value in found.labels.items():
        if value is not None:
            return f"label {key}", ("l.key = ? AND l.value = ?", (key, value))
    return None


def joined(beginning: str, asked: tuple[Condition, ...]) -> tuple[str, tuple[object, ...]]:
    """A statement with these conditions, and its values in order."""
    where = " AND ".join(text for text, _ in asked)
    text = f"{beginning} WHERE {where}" if where else beginning
    return text, tuple(value for _, values in asked for value in values)
