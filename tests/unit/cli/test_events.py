"""The lines of `jobmgr events`."""

from typing import Any

import pytest

from jobmgr.cli.events import cells
from jobmgr.client.events import Event


def line(**data: Any) -> list[str]:
    """The cells of an event without the spaces that align them; of a job unless more is said."""
    event = Event(7, "job-update", {"jobId": "job-7", "jobName": "encode", "status": "running", **data})
    return [cell.rstrip() for cell in cells(event, "now")]


@pytest.mark.parametrize(
    ("data", "how", "said"),
    [
        ({"progress": 35.0}, "35 %", ""),
        ({"progress": 12.5, "message": "page 7"}, "12.5 %", "page 7"),
        ({"progress": 35, "tasks": {"running": 2, "completed": 1007}}, "35 %", "2 running, 1,007 completed"),
        ({"status": "completed", "exitCode": 0, "duration": 1500, "progress": 100}, "1.50 s", ""),
        (
            {"status": "crashed", "exitCode": 3, "duration": 1500, "error": "Exited with code 3"},
            "exit 3",
            "Exited with code 3",
        ),
        ({"status": "crashed", "signal": "SIGKILL", "progress": 5}, "SIGKILL", ""),
        ({"status": "pending"}, "", ""),
        ({"status": "deleted"}, "", ""),
        ({"attempt": 2}, "", "attempt 2"),
        ({"longerThanUsual": True, "usual": 90_000}, "", "runs longer than usual, which is 1 min 30 s"),
    ],
)
def test_a_line_says_how_far_it_is_or_how_it_ended_and_why(data: dict[str, Any], how: str, said: str) -> None:
    """In one word and one sentence."""
    assert line(**data) == ["now", "job-7", data.get("status", "running"), how, "encode", said]


def test_a_task_is_named_by_its_own_id() -> None:
    """Not by that of its job."""
    assert line(taskId="job-7.3")[1] == "job-7.3"


def test_foreign_words_are_shown_escaped() -> None:
    """Whatever they are in."""
    evil = "\x1b[2J"
    every = line(jobName=evil, error=evil), line(message=evil), line(status=evil), line(signal=evil)
    assert "\x1b" not in "".join(cell for cells in every for cell in cells)
