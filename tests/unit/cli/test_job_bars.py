"""The bars of `run` and `wait`: what is drawn of which jobs, and what never is."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from jobmgr.cli.job_bars import SHOWN_JOBS, DrawnBars
from jobmgr.client.jobs import Row


def a_row(number: int = 0, status: str = "running", **more: Any) -> Row:
    """A job as far as bars know it."""
    row = {"jobId": f"job-{number}", "status": status, "progress": None, "message": None, "numTask": 1}
    return {**row, "startedAt": None, "finishedAt": None, "duration": None, "taskCounts": {}, **more}


def bars(*, of: int = 1, receipt: bool = False, width: int = 100) -> DrawnBars:
    """Bars of nobody's terminal."""
    return DrawnBars(Console(file=StringIO(), width=width), of=of, receipt=receipt)


def lines(made: DrawnBars, *rows: Row) -> list[str]:
    """What is drawn after these rows, without the spaces that align it."""
    for row in rows:
        made.look(row)
    return [" ".join(line.replace("━", "").replace("╸", "").replace("╺", "").split()) for line in made.lines()]


def test_each_of_a_few_jobs_has_a_bar() -> None:
    """Until it has ended: that is told above."""
    made = bars(of=3)
    rows = a_row(0, progress=35.4, message="page 7"), a_row(1, "pending"), a_row(2, "crashed")
    assert lines(made, *rows) == ["job-0 35 % page 7", "job-1 pending"]
    assert lines(made, a_row(0, "completed", progress=100)) == ["job-1 pending"]


def test_many_jobs_have_one_together() -> None:
    """How many have ended of how many."""
    made = bars(of=200)
    rows = [*(a_row(n, "completed") for n in range(SHOWN_JOBS + 10)), a_row(100), a_row(101, "pending")]
    assert lines(made, *rows) == ["200 jobs 10 % 20 ended, 1 running, 1 pending"]


def test_of_many_tasks_it_is_said_how_many_are_where() -> None:
    """Those that wait are the rest."""
    counts = {"completed": 7, "running": 2, "crashed": 1, "pending": 10}
    [line] = lines(bars(), a_row(progress=40, numTask=20, taskCounts=counts))
    assert line == "job-0 40 % 7 of 20 tasks, 2 running, 1 crashed"


def test_run_draws_one_task_only_where_it_reports() -> None:
    """That it has come to 100 % by its end is no report."""
    silent = bars(receipt=True)
    assert lines(silent, a_row(), a_row(status="completed", progress=100)) == []
    telling = bars(receipt=True)
    assert lines(telling, a_row(progress=3)) == ["job-0 3 %"]
    assert lines(telling, a_row(status="completed", progress=100, duration=1500)) == ["job-0 100 % 1.50 s completed"]


@pytest.mark.parametrize("width", [30, 60, 300])
def test_a_line_fits(width: int) -> None:
    """Else the terminal would break it, and it could not be taken away; the last cell stays free."""
    made = bars(width=width)
    made.look(a_row(progress=3, message="x" * 500))
    [line] = made.lines()
    assert len(line) < width


def test_messages_cannot_move_the_cursor() -> None:
    """Nor look like markup."""
    [line] = lines(bars(), a_row(message="\x1b[2J\r\n[red]"))
    assert line == "job-0 \\x1b[2J\\r\\n[red]"
