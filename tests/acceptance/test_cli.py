"""`jobmgr` against a real server: each verb, its output for people and programs, its errors."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from shlex import quote

import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.acceptance.cli_site import Cli, cli, on_terminal
from tests.faults.servers import END_S

__all__ = ["cli"]  # the fixture


# --- submit


def test_submit_says_id_and_status(cli: Cli) -> None:
    """One line, for a person."""
    assert cli.out("submit", "say.sh", "1", "0") in {"job-0 running\n", "job-0 pending\n"}


@pytest.mark.parametrize("verb", ["submit", "run"])
def test_an_option_after_the_script_is_pointed_out_on_a_terminal(cli: Cli, verb: str) -> None:
    """It goes to the script all the same, which may have one of that name."""
    note = "note: --timeout stands after the script, so it goes to the script; jobmgr's options stand before it"
    assert note in on_terminal(cli, verb, "say.sh", "0", "0", "--timeout=3")
    assert "--timeout=3" in cli.out("show", "0", "--json")
    assert "note:" not in on_terminal(cli, verb, "--timeout", "3", "say.sh", "0", "0", "--", "--timeout", "--other")
    assert "note:" not in on_terminal(cli, verb, "say.sh", "0", "0", "--other")
    assert "note:" not in cli.do(verb, "say.sh", "0", "0", "--timeout", "3").stderr


def test_submit_quietly_says_ids_only(cli: Cli) -> None:
    """One a line, also of a list."""
    both = json.dumps([{"script": "say.sh", "arguments": ["0", "0"]}] * 2)
    done = cli.do("submit", "--quiet", "--json-file", "-", stdin=both)
    assert done.stdout == "job-0\njob-1\n"


def test_submit_as_json_says_what_the_api_said(cli: Cli) -> None:
    """The reply, as it came."""
    assert json.loads(cli.out("submit", "--json", "say.sh", "0", "0"))["jobId"] == "job-0"


def test_the_same_key_never_submits_twice(cli: Cli) -> None:
    """A script may be run again."""
    assert [cli.submit("--key", "once", "say.sh", "0", "0") for _ in range(2)] == ["job-0", "job-0"]


def test_options_reach_the_job(cli: Cli) -> None:
    """The environment, the arguments, the directory, the tasks."""
    cli.site.add_script("tell.sh", '#!/bin/sh\necho "$COLOUR $1 $PWD"\n')
    job = cli.submit("--env", "COLOUR=red", "--cwd", ".", "--tasks", "2", "--name", "two words", "tell.sh", "-x")
    assert cli.do("wait", job).returncode == 0
    assert cli.out("logs", f"{job}.1") == f"red -x {cli.site.directory.resolve()}\n"
    assert json.loads(cli.out("show", "--json", job))["jobName"] == "two words"


# --- run


@pytest.mark.parametrize(("ending", "code"), [("0", 0), ("3", 3), ("KILL", 137)])
def test_run_prints_the_output_and_ends_as_the_job(cli: Cli, ending: str, code: int) -> None:
    """Nothing but the job's output is on stdout."""
    done = cli.do("run", "--no-retry", "say.sh", "2", ending, code=code)
    assert done.stdout == "line 1\nline 2\n"
    assert (done.stderr == "") == (code == 0)


def test_run_of_a_job_that_cannot_start_ends_with_127(cli: Cli) -> None:
    """And says what is missing."""
    cli.site.add_script("broken", "#!/no/such/interpreter\n")
    done = cli.do("run", "broken", code=127)
    assert done.stdout == ""
    assert "/no/such/interpreter" in done.stderr


def test_run_shows_the_next_attempt_too(cli: Cli) -> None:
    """After a line about it."""
    cli.site.add_script("second", '#!/bin/sh\necho "attempt $JOBMGR_ATTEMPT"\n[ "$JOBMGR_ATTEMPT" = 2 ]\n')
    done = cli.do("run", "second")
    assert done.stdout == "attempt 1\nattempt 2\n"
    assert "job-0 crashed; attempt 2 follows" in done.stderr


def test_run_shows_task_after_task(cli: Cli) -> None:
    """In their order, whichever ends first."""
    tasks = "3 0\n1 0\n0 0\n1 4\n"
    done = cli.do("run", "--no-retry", "--tasks-from", "-", "say.sh", stdin=tasks, code=4)
    assert done.stdout == "line 1\nline 2\nline 3\nline 1\nline 1\n"


def test_run_that_was_refused_ends_with_125(cli: Cli) -> None:
    """A code that no job has by itself, so nobody takes it for the job's."""
    assert "/script" in cli.do("run", "nosuch.sh", code=125).stderr
    assert "No such option" in cli.do("run", "--nosuch", code=125).stderr
    assert "No server answers" in cli.do("run", "say.sh", code=125, JOBMGR_URL="http://127.0.0.1:1").stderr


# --- look


def test_list_is_a_plain_table_for_a_pipe(cli: Cli) -> None:
    """The oldest first, no colours."""
    cli.do("run", "--no-retry", "say.sh", "0", "3", code=3)
    cli.do("run", "--name", "a\x1b[31mb", "say.sh", "0", "0")
    head, first, second = cli.out("list").splitlines()
    assert head.split() == ["JOB", "STATUS", "CODE", "DURATION", "SUBMITTED", "NAME"]
    assert first.split()[:3] == ["job-0", "crashed", "3"]
    assert second.endswith("a\\x1b[31mb")


def test_list_for_programs(cli: Cli) -> None:
    """The array of the API, or ids."""
    ids = [cli.submit("say.sh", "0", "0") for _ in range(3)]
    assert [row["jobId"] for row in json.loads(cli.out("list", "--json"))] == ids
    assert cli.out("list", "--quiet").split() == ids


def test_an_empty_list_is_no_error(cli: Cli) -> None:
    """And still JSON."""
    assert json.loads(cli.out("list", "--json")) == []
    assert cli.out("list", "--quiet") == ""


def test_a_closed_pipe_ends_a_list_quietly(cli: Cli) -> None:
    """As `jobmgr list | head -1` does."""
    large = {"script": "say.sh", "arguments": ["0", "0", "x" * 20_000]}
    cli.do("submit", "--json-file", "-", stdin=json.dumps([large] * 100))
    script = f"{quote(sys.executable)} -m jobmgr list --json | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], env=cli.environment(), capture_output=True, text=True, timeout=END_S, check=False
    )
    assert (done.stdout, done.stderr) == ("[141\n", "")


def test_show_tells_why_a_job_failed(cli: Cli) -> None:
    """The sentence, the program, the attempts, the last lines, and what to do next."""
    cli.site.add_script("sad.sh", "#!/bin/sh\necho 'disk \033[1mfull'\nexit 3\n")
    cli.do("run", "--no-retry", "sad.sh", "a b", code=3)
    text = cli.out("show", "0")
    assert "status:    crashed (exit code 3)" in text
    assert "error:     Exited with code 3" in text
    assert f"runs:      {cli.site.directory}/scripts/sad.sh 'a b'" in text
    assert "\n1        crashed  3 " in text
    assert "\n  disk \\x1b[1mfull\n" in text
    assert "jobmgr restart job-0" in text


def test_show_of_a_running_job_names_what_one_may_do(cli: Cli) -> None:
    """Follow, wait, stop."""
    job = cli.submit("wait.sh")
    text = cli.out("show", job)
    assert "so far" in text
    assert f"jobmgr logs -f {job} · jobmgr wait {job} · jobmgr stop {job}" in text
    cli.site.go()


def test_tasks_and_attempts_are_listed(cli: Cli) -> None:
    """As tables and as JSON."""
    job = cli.submit("--tasks", "3", "--no-retry", "say.sh", "0", "5")
    cli.do("wait", job, code=5)
    assert [line.split()[:2] for line in cli.out("tasks", job).splitlines()[1:]] == [
        [f"{job}.{n}", "crashed"] for n in range(3)
    ]
    assert len(json.loads(cli.out("attempts", "--json", job))) == 3
    assert cli.out("attempts", f"{job}.1").splitlines()[1].startswith(f"{job}.1  1 ")


def test_logs_pass_every_byte(cli: Cli) -> None:
    """Also what is no text."""
    cli.site.add_script("bytes.sh", "#!/bin/sh\nprintf '\\377\\000\\033[31m\\r\\n'\n")
    cli.submit("bytes.sh")
    cli.do("wait", "0")
    done = subprocess.run(
        [sys.executable, "-m", "jobmgr", "logs", "0"],
        env=cli.environment(),
        capture_output=True,
        timeout=END_S,
        check=True,
    )
    assert done.stdout == b"\xff\x00\x1b[31m\r\n"


def test_logs_of_the_last_lines_of_an_attempt_of_a_stream(cli: Cli) -> None:
    """Each by its option."""
    cli.site.add_script("both", "#!/bin/sh\necho one; echo two; echo bad $JOBMGR_ATTEMPT >&2; exit 1\n")
    job = cli.submit("--stderr-separate", "--retry", "1", "both")
    cli.do("wait", job, code=1)
    assert cli.out("logs", "-n", "1", job) == "two\n"
    assert cli.out("logs", "--stderr", "--attempt", "1", job) == "bad 1\n"
    assert cli.out("logs", "-f", "-n", "1", job) == "two\n"


def test_stats_for_people_and_programs(cli: Cli) -> None:
    """What GET /stats has."""
    nothing = cli.out("stats")
    assert "Nothing to compare yet" in nothing
    assert "success rate:  –\n" in nothing
    cli.do("run", "say.sh", "0", "0")
    assert "success rate:  100 %" in cli.out("stats")
    assert json.loads(cli.out("stats", "--json"))["totalJobs"] == 1


# --- change


def test_wait_ends_with_the_code_of_the_first_that_did_not_complete(cli: Cli) -> None:
    """All are waited for."""
    jobs = [cli.submit("--no-retry", "say.sh", "1", code) for code in ("0", "5", "0")]
    done = cli.do("wait", *jobs, code=5)
    assert sorted(done.stdout.splitlines()) == [f"{jobs[0]} completed", f"{jobs[1]} crashed", f"{jobs[2]} completed"]
    assert "Exited with code 5" in done.stderr


def test_wait_for_any_and_for_so_long(cli: Cli) -> None:
    """Others may go on."""
    slow, quick = cli.submit("wait.sh"), cli.submit("say.sh", "0", "0")
    assert cli.do("wait", "--any", slow, quick, "--quiet").stdout == f"{quick}\n"
    assert "not ended within 0.2 s" in cli.do("wait", "--timeout", "200ms", slow, code=124).stderr
    cli.site.go()


def test_several_are_stopped_and_what_is_refused_is_said(cli: Cli) -> None:
    """One that is not there keeps none of the others from being stopped."""
    jobs = [cli.submit("wait.sh") for _ in range(2)]
    done = cli.do("stop", jobs[0], "job-99", jobs[1], code=1)
    assert done.stderr == "jobmgr: There is no job job-99.\n"
    assert [line.split()[0] for line in done.stdout.splitlines()] == jobs
    cli.do("wait", *jobs, code=130)


def test_finished_jobs_are_restarted_and_deleted(cli: Cli) -> None:
    """A running one is refused in the server's words."""
    job = cli.submit("wait.sh")
    assert "cannot delete it" in cli.do("delete", job, code=1).stderr
    cli.site.go()
    cli.do("wait", job)
    assert cli.out("restart", "--quiet", job) == f"{job}\n"
    cli.do("wait", job)
    assert json.loads(cli.out("delete", "--json", job))["status"] == "deleted"
    assert "There is no job" in cli.do("show", job, code=1).stderr


# --- errors


def test_without_a_server_the_remedy_is_said(cli: Cli) -> None:
    """The address that was tried, and how to get one."""
    done = cli.do("list", "--url", "http://127.0.0.1:1", code=3)
    assert done.stdout == ""
    assert done.stderr == (
        "jobmgr: No server answers at http://127.0.0.1:1. Start one with ./scripts/serve, or set JOBMGR_URL.\n"
    )


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://x", "http://", "http://127.0.0.1:1/ü"])
def test_what_is_no_address_is_said(cli: Cli, url: str) -> None:
    """With one that is."""
    assert "http://127.0.0.1:3000" in cli.do("list", "--url", url, code=2).stderr


def test_the_address_is_found_in_dotenv(cli: Cli) -> None:
    """As the server finds its port."""
    (cli.site.directory / ".env").write_text(f"PORT={cli.port}\n")
    assert cli.do("list", "--quiet", JOBMGR_URL=None, PORT=None).stdout == ""


def test_what_the_server_refuses_is_said_once_in_its_words(cli: Cli) -> None:
    """Exit code 1, nothing on stdout."""
    done = cli.do("submit", "--stop-signal", "NOPE", "say.sh", code=1)
    assert done.stdout == ""
    assert "/stopSignal" in done.stderr
    assert done.stderr.count("\n") == 1


# --- a terminal


def test_a_terminal_that_knows_few_letters_gets_escapes(cli: Cli) -> None:
    """Not an error."""
    cli.do("run", "--name", "naïve 🚀", "say.sh", "0", "0")
    done = cli.do("list", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "na\\xefve \\U0001f680" in done.stdout


def test_on_a_terminal_there_are_colours_and_nothing_that_a_name_wants(cli: Cli) -> None:
    """The table's own escapes, not those of the job's name, and no markup of it."""
    cli.do("run", "--name", "\x1b]0;owned\x07 [red]x", "say.sh", "0", "0")
    seen = on_terminal(cli, "show", "0")
    assert "\\x1b]0;owned\\x07 [red]x" in seen
    assert "\x1b]0;" not in seen


# --- where the server is


def test_the_address_may_stand_before_the_command(cli: Cli) -> None:
    """It outranks JOBMGR_URL, and the command's own outranks it."""
    nowhere = "http://127.0.0.1:1"
    cli.do("--url", cli.url, "list", JOBMGR_URL=nowhere)
    cli.do("--url", nowhere, "list", "--url", cli.url)
    assert nowhere in cli.do("--url", nowhere, "list", code=3).stderr
    cli.do("--url", nowhere, "run", "say.sh", code=125)


# --- completion


def test_completion_is_read_by_bash(cli: Cli) -> None:
    """And completes ids, statuses and commands by asking the server."""
    cli.submit("say.sh", "0", "0")
    script = cli.out("completion", "bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=END_S)
    assert "run" in _completed(cli, "ru")
    assert "completed" in _completed(cli, "list", "--status", "comp")


@pytest.mark.parametrize(
    "typed", [r"%s/job\ mgr/jobmgr", '"%s/job mgr/jobmgr"', "%s/nowhere/jobmgr", r"~/job\ mgr/jobmgr"]
)
def test_completion_in_bash_of_a_typed_path(cli: Cli, tmp_path: Path, typed: str) -> None:
    """With its escapes, its quotes or its tilde; where there is no such program, nothing is offered and nothing is said."""
    program = tmp_path / "job mgr" / "jobmgr"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jobmgr "$@"\n')
    program.chmod(0o755)
    typed = typed.replace("%s", str(tmp_path))
    words = f"{shlex.quote(typed)} sto"
    ask = (
        f"COMP_WORDS=({words}) COMP_CWORD=1\n_jobmgr_completion {words} {shlex.quote(typed)}\necho ${{COMPREPLY[@]}}\n"
    )
    code = cli.out("completion", "bash") + ask
    environment = cli.environment(HOME=str(tmp_path))
    done = subprocess.run(
        ["bash", "--norc"], input=code, env=environment, capture_output=True, text=True, check=True, timeout=END_S
    )
    assert (done.stdout.strip(), done.stderr) == ("" if "nowhere" in typed else "stop", "")


def _completed(cli: Cli, *words: str) -> str:
    line = " ".join(["jobmgr", *words])
    return cli.do(_JOBMGR_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words))).stdout


@pytest.mark.parametrize(
    ("shell", "mark"), [("zsh", "#compdef jobmgr"), ("fish", "complete --no-files --command jobmgr")]
)
def test_completion_for_other_shells(cli: Cli, shell: str, mark: str) -> None:
    """In their own words."""
    assert mark in cli.out("completion", shell)


def test_completion_without_a_server_offers_nothing_and_says_nothing(cli: Cli) -> None:
    """A person is in the middle of typing."""
    done = cli.do(
        _JOBMGR_COMPLETE="bash_complete", COMP_WORDS="jobmgr show ", COMP_CWORD="2", JOBMGR_URL="http://127.0.0.1:1"
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
