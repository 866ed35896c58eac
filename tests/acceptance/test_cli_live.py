"""`jobmgr events`, `top`, and the bars of `run` and `wait`, against a real server that is killed under them."""

import json
import os
import re
import signal
import subprocess
import sys
from codecs import getincrementaldecoder
from typing import Any

import psutil
import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.acceptance.cli_site import Cli, cli, ended, interrupt, on_terminal, wait_line
from tests.faults.servers import END_S
from tests.waiting import eventually_blocking

__all__ = ["cli"]  # the fixture

PLAIN = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]|\x1b[78]")


def told(cli: Cli, *words: str) -> list[dict[str, Any]]:
    """All that was told so far and passes, as JSON; it must be as many as `-n` says."""
    return [json.loads(line) for line in cli.out("events", "--json", "--after", "0", *words).splitlines()]


class Watched:
    """`jobmgr` in a terminal that is looked at while it runs."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self._parent, child = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobmgr", *words],
            cwd=cli.site.directory,
            env=cli.environment(TERM="xterm", COLUMNS="100", LINES="30"),
            stdin=child,
            stdout=child,
            stderr=child,
        )
        os.close(child)
        self.seen = ""
        self._decode = getincrementaldecoder("utf-8")().decode  # A piece may end within a character.

    def wait_for(self, text: str) -> None:
        """Read on until this is seen, after what was seen before."""
        self.seen = ""

        def seen() -> bool:
            self.seen += self._decode(os.read(self._parent, 65536))
            return text in PLAIN.sub("", self.seen)

        eventually_blocking(seen, END_S)

    def rest(self) -> str:
        """What it writes until it ends."""
        rest = b""
        while True:
            try:
                rest += os.read(self._parent, 65536)
            except OSError:  # The other end is closed.
                break
        os.close(self._parent)
        self.process.wait(END_S)
        return self._decode(rest)


# --- events


def test_events_are_lines_for_a_pipe(cli: Cli) -> None:
    """The time as the API has it, the job, its status, how it ended, its name, and why."""
    cli.do("run", "--no-retry", "--name", "sad \x1b[31m", "say.sh", "0", "3", code=3)
    *_, end = cli.out("events", "--after", "0", "--status", "crashed", "-n", "1").splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  job-0     crashed    exit 3    sad \\x1b\[31m  Exited with code 3.*",
        end,
    )


def test_events_for_programs(cli: Cli) -> None:
    """The objects of the API, one a line; those of tasks where they are asked for."""
    cli.do("run", "--tasks", "2", "say.sh", "0", "0")
    every = told(cli, "-n", "2")
    assert [row["seq"] for row in every] == sorted(row["seq"] for row in every)
    assert {"jobId", "jobName", "status", "progress", "at"} <= set(every[0])
    assert not any("taskId" in row for row in every)
    assert {row.get("taskId") for row in told(cli, "--tasks", "--status", "completed", "-n", "3")} == {
        None,
        "job-0.0",
        "job-0.1",
    }


@pytest.mark.parametrize(
    "words",
    [
        ["--name", "two"],
        ["--job", "1"],
        ["--job", "job-1", "--job", "job-2"],
        ["--label", "team=media"],
        ["--label", "team"],
        ["--status", "crashed,stopped"],
    ],
)
def test_events_are_chosen(cli: Cli, words: list[str]) -> None:
    """By all that names a job."""
    cli.do("run", "--name", "one", "say.sh", "0", "0")
    cli.do("run", "--no-retry", "--name", "two", "--label", "team=media", "say.sh", "0", "1", code=1)
    assert {row["jobId"] for row in told(cli, *words, "-n", "1")} == {"job-1"}


def test_events_go_on_over_the_death_of_the_server(cli: Cli) -> None:
    """Twice, with kill -9, while things happen: none is missing, and the person is told that it waits."""
    following = cli.begin("events", "--json", "--after", "0", "--status", "completed", "-n", "6")
    jobs = [cli.submit("--no-retry", "say.sh", "10", "0") for _ in range(2)]
    for _ in range(2):
        cli.site.server.kill()
        cli.start_server()
        jobs += [cli.submit("--no-retry", "say.sh", "10", "0") for _ in range(2)]
    code, out, err = ended(following)
    assert (code, sorted(json.loads(line)["jobId"] for line in out.splitlines())) == (0, sorted(jobs))
    assert "does not answer; waiting for it" in err


def test_events_end_quietly_with_an_interrupt_and_with_their_reader(cli: Cli) -> None:
    """As the other commands."""
    cli.do("run", "say.sh", "0", "0")
    following = cli.begin("events", "--after", "0")
    wait_line(following, b"completed")
    interrupt(following)
    assert ended(following) == (130, "", "\n")  # The line with ^C is ended, and that is all.
    following = cli.begin("events", "--after", "0")
    wait_line(following, b"job-0")
    assert following.stdout is not None
    following.stdout.close()
    following.stdout = None
    cli.do("run", "say.sh", "0", "0")
    cli.do("run", "say.sh", "0", "0")
    assert following.wait(END_S) == 141
    assert following.stderr is not None
    assert following.stderr.read() == b""
    following.stderr.close()


def test_events_that_are_not_kept_are_said_to_be_missing(cli: Cli) -> None:
    """A number of another database; then it goes on with what there is."""
    following = cli.begin("events", "--json", "--after", "999999", "-n", "1")
    assert following.stderr is not None
    said = following.stderr.readline()
    cli.submit("say.sh", "0", "0")
    code, out, _ = ended(following)
    assert said == b"jobmgr: what was asked for is no longer kept; going on after event 0\n"
    assert (code, json.loads(out)["jobId"]) == (0, "job-0")


def test_what_a_name_wants_does_not_reach_the_terminal(cli: Cli) -> None:
    """Neither its escapes nor what looks like markup."""
    cli.do("run", "--name", "\x1b]0;owned\x07 [red]x", "say.sh", "0", "0")
    for words in (["events", "--after", "0", "-n", "2"], ["top", "--once"]):
        seen = on_terminal(cli, *words)
        assert "\\x1b]0;owned\\x07 [red]x" in seen
        assert "\x1b]0;" not in seen
        assert "\x1b[32mcompleted" in seen


# --- wait and run


def test_wait_learns_of_each_end_over_deaths_of_the_server(cli: Cli) -> None:
    """Ends of before, of while nobody was there, and of after."""
    jobs = [cli.submit("--no-retry", "say.sh", lines, code) for lines, code in (("5", "0"), ("40", "0"), ("100", "7"))]
    waiting = cli.begin("wait", "--json", *jobs)
    # One for looking, one for what is told.
    eventually_blocking(lambda: len(psutil.Process(waiting.pid).net_connections()) == 2)
    for _ in range(2):
        cli.site.server.kill()
        cli.start_server()
    code, out, err = ended(waiting)
    rows = {row["jobId"]: row["status"] for row in map(json.loads, out.splitlines())}
    assert (code, rows) == (7, dict(zip(jobs, ["completed", "completed", "crashed"], strict=True))), err


GO = "#!/bin/sh\nwhile [ ! -e go ]; do sleep 0.05; done\nfor n in 1 2 3 4; do echo line $n; sleep 0.1; done\n"


def test_run_draws_a_job_of_many_tasks_from_0_to_100(cli: Cli) -> None:
    """Its output stands above, each line whole, and the last picture stays."""
    cli.site.add_script("go.sh", GO)
    running = Watched(cli, "run", "--no-retry", "--tasks", "20", "go.sh")
    running.wait_for(" 0 %")
    cli.site.go()
    seen = running.seen + running.rest()
    shares = [int(share) for share in re.findall(r"(\d+) %", seen)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 100)
    assert len(set(shares)) > 2
    lines = [line for line in PLAIN.sub("", seen).replace("\r", "\n").splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, 5)] * 20
    assert "20 of 20 tasks" in PLAIN.sub("", seen).splitlines()[-1]


def test_run_of_one_task_that_reports_nothing_draws_nothing(cli: Cli) -> None:
    """There is nothing to see of its way."""
    seen = on_terminal(cli, "run", "--no-retry", "say.sh", "3", "0")
    assert seen == "jobmgr: job-0 submitted\r\nline 1\r\nline 2\r\nline 3\r\n"


def test_run_draws_what_one_task_reports(cli: Cli) -> None:
    """And how it ended, before the reason."""
    cli.site.add_script("report.sh", "#!/bin/sh\nfor n in 10 50; do echo $n >&3; sleep 1.5; done\necho bye\nexit 4\n")
    seen = PLAIN.sub("", on_terminal(cli, "run", "--no-retry", "report.sh"))
    assert " 10 %" in seen
    *_, last, why = seen.splitlines()
    assert " 50 %" in last
    assert "crashed" in last
    assert why.startswith("jobmgr: job-0 crashed: Exited with code 4")


def test_wait_draws_no_bar_where_stderr_is_no_terminal(cli: Cli) -> None:
    """Nor does run: their output is as it was."""
    cli.submit("--tasks", "4", "say.sh", "3", "0")
    done = cli.do("wait", "0", TERM="xterm")
    assert (done.stdout, done.stderr) == ("job-0 completed\n", "")


def test_wait_draws_on_a_terminal_what_runs(cli: Cli) -> None:
    """And leaves nothing of it."""
    cli.submit("--tasks", "8", "wait.sh")
    waiting = Watched(cli, "wait", "0")
    waiting.wait_for("0 of 8 tasks")
    cli.site.go()
    assert waiting.rest().endswith("\x1b8job-0 completed\r\n")
    assert waiting.process.returncode == 0


# --- top


def test_top_prints_a_screen_where_there_is_no_terminal(cli: Cli) -> None:
    """What runs, what waits, what has ended; counted, also what finds no room."""
    cli.do("run", "--no-retry", "--name", "early", "say.sh", "0", "3", code=3)
    slots = int(cli.site.environment()["MAX_CONCURRENT_TASKS"])
    cli.submit("--tasks", str(slots), "--name", "busy", "wait.sh")
    waiting = [{"script": "say.sh", "jobName": f"later {n}", "arguments": ["0", "0"]} for n in range(300)]
    cli.do("submit", "--json-file", "-", stdin=json.dumps(waiting))
    seen = cli.out("top")
    assert "1 running   300 pending   1 crashed" in seen
    assert re.search(rf"job-1 .*busy  0 of {slots} tasks", seen)
    assert "the first 8 of 300" in seen
    assert re.search(r"job-0  crashed  3 .*early  Exited with code 3", seen)
    assert max(map(len, seen.splitlines())) <= 100
    every = json.loads(cli.out("top", "--json"))
    assert every["counts"] == {
        **dict.fromkeys(["paused", "retried", "completed", "failed", "stopped", "lost"], 0),
        "running": 1,
        "pending": 300,
        "crashed": 1,
    }
    assert [row["jobId"] for row in every["running"]] == ["job-1"]
    assert (len(every["waiting"]), [row["jobId"] for row in every["ended"]]) == (20, ["job-0"])
    cli.site.go()


def test_top_follows_what_happens_and_puts_the_screen_back(cli: Cli) -> None:
    """Also when the server dies and comes again. Ctrl+C ends it, with nothing left behind."""
    top = Watched(cli, "top")
    top.wait_for("no jobs; submit one")
    assert "\x1b[?1049h" in top.seen
    job = cli.submit("--name", "mine", "wait.sh")
    top.wait_for("mine")
    top.wait_for("1 running")
    cli.site.server.kill()
    top.wait_for("does not answer; waiting for it")
    cli.start_server()
    top.wait_for(cli.url)
    cli.site.go()
    top.wait_for("1 completed")
    assert cli.site.server.wait_status(job)["status"] == "completed"
    top.process.send_signal(signal.SIGINT)
    rest = top.rest()
    assert top.process.returncode == 130
    assert "\x1b[?1049l" in rest
    assert "Traceback" not in rest
