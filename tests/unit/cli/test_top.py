"""What `jobmgr top` knows and shows: the news of a feed, the room on a screen, and what stands there."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from jobmgr.cli.top_screen import HEAD_LINES, SECTION_LINES, screen, shares
from jobmgr.cli.top_state import ENDED, RUNNING, STATUSES, WAITING, State
from jobmgr.client.events import Event
from jobmgr.client.jobs import Client, Row
from jobmgr.errors import ConnectionLost
from tests.unit.client.stub import Asked, stub

TIME = "2026-11-22T08:00:00.250Z"


def a_row(job: str, status: str = "running", **more: Any) -> Row:
    """A job as `GET /jobs` has it, as far as it is shown."""
    row = {"jobId": job, "jobName": f"name of {job}", "status": status, "progress": None, "message": None, "numTask": 1}
    times = {"createdAt": TIME, "startedAt": TIME, "finishedAt": None, "duration": None}
    return {**row, **times, "taskCounts": {}, "eta": None, "node": "here", "pid": 4711, "error": None, **more}


JOBS = [
    a_row("job-9", progress=40),
    a_row("job-8", "pending"),
    *(
        a_row(f"job-{n}", "crashed", exitCode=3, error="Exited with code 3", finishedAt=TIME, duration=1500)
        for n in range(5)
    ),
    a_row("job-7", "failed", finishedAt=TIME),
]


def jobs(asked: Asked) -> None:
    """The jobs that are asked for; `failed` finds those that crashed, too."""
    words = asked.query["status"][0].split(",")
    found = [row for row in JOBS if row["status"] in words or (row["status"] == "crashed" and words == ["failed"])]
    shown = found[: int(asked.query["limit"][0])]
    asked.json(shown, X_Total_Count=str(len(found)), Event_Seq="17")


def update(status: str, job: str = "job-9", **more: Any) -> Event:
    """A job-update."""
    return Event(18, "job-update", {"jobId": job, "status": status, **more})


@pytest.fixture
def state() -> State:
    """That of JOBS."""
    made = State()
    with stub({"/jobs": jobs}) as server:
        made.read(server.client, rows=4)
    return made


# --- the state


def test_each_status_is_counted_by_itself(state: State) -> None:
    """Also failed, which the API counts together with crashed."""
    assert state.counts == {**dict.fromkeys(STATUSES, 0), "running": 1, "pending": 1, "crashed": 5, "failed": 1}
    assert state.seq == 17


def test_lists_are_short(state: State) -> None:
    """However many jobs there are."""
    assert {name: len(rows) for name, rows in state.lists.items()} == {RUNNING: 1, WAITING: 1, ENDED: 4}


def test_progress_is_shown_without_asking(state: State) -> None:
    """It stands in the event."""
    assert state.hear(update("running", progress=60, message="half"))
    [row] = state.lists[RUNNING]
    assert (row["progress"], row["message"], row["pid"]) == (60, "half", 4711)
    assert not state.stale


def test_only_what_has_changed_is_read_again(state: State) -> None:
    """The two statuses, and the lists in which they are."""
    state.hear(update("completed", previousStatus="running"))
    with stub({"/jobs": jobs}) as server:
        state.read(server.client, rows=4)
        asked = [query["status"][0] for _, query in server.asked]
    assert asked == ["running", "completed", "running,paused", "completed,crashed,failed,stopped,lost"]
    assert not state.stale


@pytest.mark.parametrize(
    "event",
    [
        update("pending", "job-10"),
        update("deleted", "job-0", previousStatus="crashed"),
        Event(99, "reset", {"seq": 99}),
    ],
)
def test_what_is_not_known_is_read(state: State, event: Event) -> None:
    """A new job, one that is gone, and what was missed."""
    state.hear(event)
    assert state.stale


def test_a_process_that_was_not_known_yet_is_asked_for_again(state: State) -> None:
    """One list, and nothing else."""
    assert not state.lacks_pids
    state.lists[RUNNING] = [a_row("job-9", pid=None)]
    assert state.lacks_pids
    state.expect_anew()
    with stub({"/jobs": jobs}) as server:
        state.read(server.client, rows=4)
        assert [query["status"][0] for _, query in server.asked] == ["running", "running,paused"]
    assert not state.lacks_pids


def test_a_larger_screen_needs_more(state: State) -> None:
    """As a smaller one needs less."""
    with stub({"/jobs": jobs}) as server:
        state.read(server.client, rows=6)
    assert len(state.lists[ENDED]) == 6


def test_what_could_not_be_read_is_still_to_be_read(state: State) -> None:
    """The server went away in between."""
    state.hear(update("completed", previousStatus="running"))
    lost = Client(stub_less())
    with pytest.raises(ConnectionLost):
        state.read(lost, rows=4)
    assert state.stale


def stub_less() -> Any:
    """A connection that is lost."""

    class Lost:
        def stream(self, *_: Any, **__: Any) -> Any:
            raise ConnectionLost

    return Lost()


# --- the screen


def drawn(state: State, *, width: int = 100, height: int | None = None, trouble: str = "") -> str:
    """What a person sees."""
    console = Console(file=StringIO(), width=width)
    with console.capture() as captured:
        console.print(screen(state, "http://here:3000", width=width, height=height, trouble=trouble))
    return captured.get()


@pytest.mark.parametrize("height", [10, 24, 50])
@pytest.mark.parametrize("rows", [(0, 0, 0), (1, 0, 5), (200, 200, 200), (3, 200, 1), (0, 1, 200)])
def test_a_screen_is_never_too_long(rows: tuple[int, int, int], height: int) -> None:
    """What runs comes first, and of the others there is always something to see."""
    have = dict(zip((RUNNING, WAITING, ENDED), rows, strict=True))
    room = shares(have, max(height, 18))
    sections = sum(count > 0 for count in rows)
    assert HEAD_LINES + SECTION_LINES * sections + sum(room.values()) <= max(height, 18)
    assert all(room[name] >= min(have[name], 3) for name in have)


def test_all_that_is_known_of_a_job_is_to_be_seen(state: State) -> None:
    """On a screen that is wide enough."""
    seen = drawn(state)
    assert "1 running   1 pending   5 crashed   1 failed" in seen
    [running] = [line for line in seen.splitlines() if line.startswith("job-9")]
    assert all(text in running for text in ("40 %", "name of job-9", "here", "4711"))
    assert "Exited with code 3" in seen


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_screen(state: State, width: int) -> None:
    """Names are cut; the id and the status never are."""
    seen = drawn(state, width=width).splitlines()
    assert max(map(len, seen)) <= width
    assert any(line.startswith("job-9 ") for line in seen)
    assert any(line.startswith("job-0  crashed") for line in seen)


def test_names_cannot_move_the_cursor(state: State) -> None:
    """Nor look like markup."""
    state.lists[RUNNING] = [a_row("job-1", jobName="\x1b[2J[red]", message="\x07", node="\x9b")]
    seen = drawn(state)
    assert "\\x1b[2J[red]  \\x07" in seen
    assert not set(seen) & {"\x1b", "\x07", "\x9b"}


def test_that_the_server_is_away_is_to_be_seen(state: State) -> None:
    """In the place of its address; the rest stands as it was."""
    seen = drawn(state, trouble="waiting for it")
    assert "waiting for it" in seen.splitlines()[0]
    assert "job-9" in seen


def test_without_jobs_it_says_what_to_do() -> None:
    """An empty screen tells nothing."""
    assert "jobmgr submit SCRIPT" in drawn(State())
