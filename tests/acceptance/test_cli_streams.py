"""Output that cannot be written, streams that are closed, answers that do not come: what `jobmgr` says, and how it ends."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from shlex import quote

import psutil
import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.acceptance.cli_site import Cli, cli, ended, interrupt, wait_line
from tests.faults.servers import END_S
from tests.waiting import eventually_blocking

__all__ = ["cli"]  # the fixture


def in_shell(cli: Cli, line: str) -> tuple[int, str, str]:
    """What a line for bash gives, in which `jobmgr` is this one: exit code, stdout, stderr."""
    script = f'jobmgr() {{ {quote(sys.executable)} -m jobmgr "$@"; }}; {line}'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=cli.site.directory,
        env=cli.environment(),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """The address of somebody who takes a request and never answers, and whether one came."""
    asked, over = threading.Event(), threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening:
            peer, _ = listening.accept()
            with peer:
                if peer.recv(65536):
                    asked.set()
                    over.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    over.set()
    if not asked.is_set():
        socket.create_connection(listening.getsockname()).close()
    thread.join()


# --- stdout and stdin


def test_help_for_a_reader_that_left_is_no_error(cli: Cli) -> None:
    """As `jobmgr --help | head -1`, whatever release of click there is."""
    assert in_shell(cli, "jobmgr --help | true; echo ${PIPESTATUS[0]}") == (0, "141\n", "")


@pytest.mark.parametrize(("words", "code"), [("list", 1), ("list --json", 1), ("wait 0", 125), ("logs 0", 1)])
def test_a_full_disk_is_said_in_a_line(cli: Cli, words: str, code: int) -> None:
    """No traceback, and of `wait` no code that could be the job's."""
    cli.do("run", "say.sh", "1", "0")
    assert in_shell(cli, f"jobmgr {words} > /dev/full") == (code, "", "jobmgr: the output: No space left on device\n")


def test_run_that_cannot_write_says_that_the_job_goes_on(cli: Cli) -> None:
    """And how to see the rest."""
    code, _, err = in_shell(cli, "jobmgr run --no-retry say.sh 3 0 > /dev/full")
    assert code == 125
    assert "job-0 goes on. Its output: jobmgr logs -f job-0" in err
    assert cli.site.server.wait_status("job-0")["status"] == "completed"


@pytest.mark.parametrize("words", ["list", "list --json", "logs 0", "show 0", "export", "wait 0"])
def test_a_closed_stdout_is_as_nowhere(cli: Cli, words: str) -> None:
    """Its number does not go to the connection, which would get what is printed."""
    cli.do("run", "say.sh", "1", "0")
    assert in_shell(cli, f"jobmgr {words} <&- >&-") == (0, "", "")


def test_a_closed_stdin_is_no_terminal(cli: Cli) -> None:
    """Nobody can be asked there."""
    code, _, err = in_shell(cli, "jobmgr submit --secret-env TOKEN say.sh 0 0 <&-")
    assert (code, "not set in your environment" in err) == (2, True)


# --- answers that do not come


def test_wait_keeps_its_time_when_no_answer_comes(cli: Cli, silent: tuple[str, threading.Event]) -> None:
    """Else a script that gives it a second may stand for minutes."""
    done = cli.do("wait", "--timeout", "1", "0", code=124, JOBMGR_URL=silent[0])
    assert done.stderr == "jobmgr: not ended within 1 s\n"


def test_wait_keeps_its_time_when_the_server_goes(cli: Cli) -> None:
    """It would be waited for for five minutes."""
    job = cli.submit("wait.sh")
    waiting = cli.begin("wait", "--timeout", "3", job)
    eventually_blocking(lambda: psutil.Process(waiting.pid).net_connections())
    cli.site.server.kill()
    code, _, err = ended(waiting)
    assert (code, err.splitlines()[-1]) == (124, "jobmgr: not ended within 3 s")
    cli.start_server()
    cli.site.go()


def test_an_interrupt_before_the_answer_says_that_the_job_may_be_there(
    cli: Cli, silent: tuple[str, threading.Event]
) -> None:
    """With the key that finds it, and submits it only if it is not."""
    running = subprocess.Popen(
        [sys.executable, "-m", "jobmgr", "run", "say.sh", "1", "0"],
        cwd=cli.site.directory,
        env=cli.environment(JOBMGR_URL=silent[0]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert silent[1].wait(END_S)
    interrupt(running)
    code, _, err = ended(running)
    assert code == 130
    assert "It may have been submitted" in err
    assert "--key cli-" in err


def test_run_in_the_background_of_a_script_takes_no_interrupt(cli: Cli) -> None:
    """A shell that starts it with `&` has it ignore Ctrl+C, which is meant for others."""
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", ignoring, sys.executable, "-m", "jobmgr", "run", "--no-retry", "wait.sh"],
        cwd=cli.site.directory,
        env=cli.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_line(running, b"begun\n")
    running.send_signal(signal.SIGINT)
    cli.site.go()
    assert ended(running) == (0, "done\n", "")
