"""The statistics of a real server as a person asks for them, and the same from its history in a file."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.acceptance.cli_site import Cli, cli, on_terminal
from tests.waiting import eventually_blocking

__all__ = ["cli"]  # the fixture

HOSTILE = "\x1b[2Ja/b c%2F\u202e"
COUNTED = ("name", "runs", "completed", "crashed", "other", "successRate", "interval", "exitCodes", "hours")


def some_jobs(cli: Cli) -> None:
    """63 jobs of three names, of each 7 crashed with a message and 14 completed."""
    cli.site.add_script(
        "end.sh", '#!/bin/sh\n[ "$1" = bad ] || exit 0\necho "cannot open /tmp/file-$$: no room" >&2\nexit 3\n'
    )
    jobs = [
        {
            "script": "end.sh",
            "jobName": ("alpha", "beta", HOSTILE)[n // 3 % 3],
            "arguments": ["bad" if n % 3 == 0 else "good"],
            "retry": False,
        }
        for n in range(63)
    ]
    ids = cli.do("submit", "--quiet", "--json-file", "-", stdin=json.dumps(jobs)).stdout.split()
    cli.do("wait", "--quiet", *ids, code=3)


KNOWN = ("pattern", "matchCount", "successRate", "differenceFromAverage", "kind", "significant")


def told(stats: dict[str, Any]) -> Any:
    """What is found and counted. A file has whole milliseconds, a server microseconds: that may move the bounds of what is tried, and so p."""
    patterns = [[pattern[name] for name in KNOWN] for pattern in stats["patterns"]]
    return stats["totalJobs"], stats["overallSuccessRate"], patterns, stats["analysis"]["finishedTasks"]


def test_the_report_counts_what_finished(cli: Cli) -> None:
    """Rates, basic patterns, and what to look at next; the same on a terminal, where nothing is wider."""
    some_jobs(cli)
    out = cli.out("stats")
    assert out.startswith("jobs:          63\nsuccess rate:  67 %  █████████████▍░░░░░░  of 63 finished tasks\n")
    assert "Always counted, whether it means something or not" in out
    assert "jobmgr stats --failures" in out.splitlines()[-1]
    assert [line for line in out.splitlines() if len(line) > 80 or not line.isprintable()] == []
    assert [line for line in on_terminal(cli, "stats").splitlines() if len(line) > 100] == []


def test_json_is_what_the_server_said(cli: Cli) -> None:
    """Also where the question is narrowed."""
    some_jobs(cli)
    assert json.loads(cli.out("stats", "--json"))["totalJobs"] == 63
    narrowed = json.loads(cli.out("stats", "--json", "--name", "alpha", "--target", "slow", "--since", "1h"))
    assert narrowed["analysis"]["target"] == "slow"
    assert json.loads(cli.out("stats", "--json", "--name", "alpha"))["analysis"]["finishedTasks"] == 21
    assert json.loads(cli.out("stats", "--json", "--until", "1h"))["analysis"]["finishedTasks"] == 0


def test_an_exported_history_says_the_same_as_the_server(cli: Cli) -> None:
    """`jobmgr analyze` of what `jobmgr export` wrote."""
    some_jobs(cli)
    history = cli.out("export")
    of_file = json.loads(cli.do("analyze", "-", "--json", stdin=history).stdout)
    assert told(of_file) == told(json.loads(cli.out("stats", "--json")))
    assert of_file["etas"] == {}
    of_name = json.loads(cli.do("analyze", "-", "--json", "--name-report", HOSTILE, stdin=history).stdout)
    from_server = json.loads(cli.out("stats", "--json", HOSTILE))
    assert [of_name[field] for field in COUNTED] == [from_server[field] for field in COUNTED]


def test_all_about_one_name(cli: Cli) -> None:
    """Whatever it holds; it is shown so that it does no harm."""
    some_jobs(cli)
    assert json.loads(cli.out("stats", "--json", "alpha"))["runs"] == 21
    out = cli.out("stats", HOSTILE)
    assert out.startswith("\\x1b[2Ja/b c%2F\\u202e\n")
    assert "lately ended:  0 (14), 3 (7)" in out
    assert [line for line in out.splitlines() if not line.isprintable()] == []


def test_a_name_that_was_never_seen_is_a_sentence(cli: Cli) -> None:
    """With the remedy, and exit code 1; of a file as of a server."""
    some_jobs(cli)
    assert "There is no finished job named “gamma”. Names count exactly" in cli.do("stats", "gamma", code=1).stderr
    history = cli.out("export")
    done = cli.do("analyze", "-", "--name-report", "gamma", stdin=history, code=1)
    assert done.stderr == "jobmgr: There is no job named gamma in stdin. Names count exactly.\n"


def test_kinds_of_failure(cli: Cli) -> None:
    """What differs only in a number is one kind, with an example and its jobs."""
    some_jobs(cli)
    [kind] = json.loads(cli.out("stats", "--failures", "--json"))["kinds"]
    assert (kind["count"], kind["exitCodes"]) == (21, {"3": 21})
    out = cli.out("stats", "--failures", "--name", "alpha")
    assert "| cannot open /tmp/file-" in out
    assert out.splitlines()[-1].startswith("next:          jobmgr show job-")
    assert cli.out("stats", "--failures", "--until", "1h") == "Nothing has failed here.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("alpha", "--target", "slow"), "--target cannot be used with a NAME"),
        (("alpha", "--failures"), "--failures cannot be used with a NAME"),
        (
            ("--failures", "--group", "x", "--max-patterns", "3"),
            "--group, --max-patterns cannot be used with --failures",
        ),
        (("--target", "luck"), "'luck' is not one of 'failure', 'slow', 'memory'"),
        (("--max-patterns", "51"), "51 is not in the range 1<=x<=50"),
        (("--since", "yesterday"), "is no time; write how long ago"),
    ],
)
def test_what_cannot_be_asked_is_refused(cli: Cli, words: tuple[str, ...], sentence: str) -> None:
    """Rather than ignored."""
    assert sentence in " ".join(cli.do("stats", *words, code=2).stderr.split())


def test_what_the_server_refuses_is_its_sentence(cli: Cli) -> None:
    """Exit code 1."""
    done = cli.do("stats", "--since", "1h", "--until", "2h", code=1)
    assert done.stderr == "jobmgr: ?until: give a time after since, or leave one of them out\n"


def test_what_is_expected_of_a_running_job_is_shown(cli: Cli) -> None:
    """Learnt from earlier runs of its name, in a sentence."""
    for _ in range(3):
        cli.do("run", "--name", "x", "say.sh", "5", "0")
    job = cli.submit("--name", "x", "wait.sh")
    eventually_blocking(lambda: cli.out("show", job).count("\nexpected:  ") == 1)
    cli.do("stop", job)
    cli.do("wait", job, code=130)
    assert "expected:" not in cli.out("show", job)
