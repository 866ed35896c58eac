"""What `jobmgr list` finds, and `stop --all`, which stops what a list would show."""

import json
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.acceptance.cli_site import Cli, cli, on_terminal
from tests.waiting import eventually_blocking

__all__ = ["cli"]  # the fixture


def many(cli: Cli) -> None:
    """25 jobs: job-0 to job-24, named n0 to n24, every fifth crashed; all ended."""
    jobs = [
        {"script": "say.sh", "jobName": f"n{n}", "retry": False, "arguments": ["0", "3" if n % 5 == 0 else "0"]}
        for n in range(25)
    ]
    ids = cli.do("submit", "--quiet", "--json-file", "-", stdin=json.dumps(jobs)).stdout.split()
    cli.do("wait", "--quiet", *ids, code=3)


def test_filters_sort_and_limit(cli: Cli) -> None:
    """Each as its help says."""
    many(cli)
    assert cli.out("list", "-q", "--status", "failed").split() == [f"job-{n}" for n in range(0, 25, 5)]
    assert cli.out("list", "-q", "--limit", "2").split() == ["job-23", "job-24"]
    assert cli.out("list", "-q", "--name", "n7").split() == ["job-7"]
    assert cli.out("list", "-q", "-Q", "n24").split() == ["job-24"]
    assert cli.out("list", "-q", "--sort=-jobName", "-n", "1").split() == ["job-9"]
    assert cli.out("list", "-q", "--since", "1h", "--status", "finished").count("\n") == 25
    assert cli.out("list", "-q", "--until", "1h") == ""
    assert [row["jobName"] for row in json.loads(cli.out("list", "--json", "-n", "2"))] == ["n23", "n24"]
    assert "?sort" in cli.do("list", "--sort", "colour", code=1).stderr


def test_on_a_terminal_the_newest_are_shown_and_how_many_there_are_besides(cli: Cli) -> None:
    """The newest last, next to the prompt."""
    many(cli)
    lines = on_terminal(cli, "list").splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [f"job-{n}" for n in range(5, 25)]
    assert lines[-1] == "… 5 older: --all, or --limit N"
    assert "\x1b[" in lines[1]
    assert on_terminal(cli, "list", "--sort", "createdAt").splitlines()[-1] == "… 5 more: --all, or --limit N"
    assert len(on_terminal(cli, "list", "--all").splitlines()) == 26
    assert len(on_terminal(cli, "list", "-n", "3").splitlines()) == 4


def test_a_list_of_nothing_is_said_beside_it(cli: Cli) -> None:
    """On stderr, and it is no error; a person sees nothing else."""
    assert "no jobs; submit one" in cli.do("list").stderr
    assert "no such jobs" in cli.do("list", "--status", "failed").stderr
    assert cli.do("list", "--quiet").stderr == ""
    assert on_terminal(cli, "list").splitlines() == ["no jobs; submit one: jobmgr submit SCRIPT"]


def test_stop_all_stops_what_is_not_finished(cli: Cli) -> None:
    """After a question, which nobody answers where there is no terminal."""
    cli.submit("say.sh", "0", "0")
    cli.do("wait", "0")
    jobs = [cli.submit("wait.sh") for _ in range(2)]
    eventually_blocking(lambda: all(cli.site.server.job(job)["status"] == "running" for job in jobs))
    assert "add --yes" in cli.do("stop", "--all", code=2).stderr
    assert cli.do("stop", "--all", "--yes", "--quiet").stdout.split() == jobs
    cli.do("wait", *jobs, code=130)
    assert "nothing to stop" in cli.do("stop", "--all").stderr
