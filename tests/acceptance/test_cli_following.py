"""What `run`, `logs -f` and `wait` do when somebody interrupts them, and when the server dies under them."""

import signal
import sys

import psutil
import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.acceptance.cli_site import Cli, cli, ended, interrupt, wait_line
from tests.faults.servers import END_S
from tests.waiting import eventually_blocking

__all__ = ["cli"]  # the fixture


def lines(count: int, first: int = 1) -> str:
    """What `say.sh` prints."""
    return "".join(f"line {n}\n" for n in range(first, count + 1))


# --- the server dies


def test_logs_lose_and_repeat_nothing_when_the_server_is_killed(cli: Cli) -> None:
    """Twice, with kill -9, while the job prints on."""
    cli.submit("--no-retry", "say.sh", "80", "0")
    following = cli.begin("logs", "-f", "0")
    read = wait_line(following, b"line 5\n")
    for _ in range(2):
        cli.site.server.kill()
        cli.start_server()
    code, rest, err = ended(following)
    assert read.decode() + rest == lines(80)
    assert code == 0
    assert f"jobmgr: {cli.url} does not answer; waiting for it, Ctrl+C gives up\n" in err


def test_run_survives_a_restart_of_the_server(cli: Cli) -> None:
    """It goes on where it was, and ends with the true code."""
    running = cli.begin("run", "--no-retry", "say.sh", "60", "7")
    read = wait_line(running, b"line 3\n")
    cli.site.server.kill()
    cli.start_server()
    code, rest, _ = ended(running)
    assert (read.decode() + rest, code) == (lines(60), 7)


def test_a_server_that_leaves_in_order_is_waited_for_too(cli: Cli) -> None:
    """An upgrade: the jobs stay, the followers are cut off."""
    cli.site.server.ask_to_leave()
    assert cli.site.server.exit_code() == 0
    cli.site.settings["JOBMGR_SHUTDOWN"] = "detach"
    cli.start_server()
    running = cli.begin("run", "--no-retry", "say.sh", "60", "0")
    read = wait_line(running, b"line 3\n")
    cli.site.server.ask_to_leave()
    assert cli.site.server.exit_code() == 0
    cli.start_server()
    code, rest, _ = ended(running)
    assert (read.decode() + rest, code) == (lines(60), 0)


def test_wait_survives_a_restart_of_the_server(cli: Cli) -> None:
    """The end is true, whenever it was."""
    job = cli.submit("--no-retry", "say.sh", "40", "9")
    waiting = cli.begin("wait", job)
    eventually_blocking(lambda: psutil.Process(waiting.pid).net_connections())
    cli.site.server.kill()
    cli.start_server()
    code, _, err = ended(waiting)
    assert code == 9, err


def test_logs_follow_a_job_that_waits(cli: Cli) -> None:
    """From its first byte on, once it begins."""
    slots = int(cli.site.environment()["MAX_CONCURRENT_TASKS"])
    cli.submit("--tasks", str(slots), "wait.sh")
    job = cli.submit("say.sh", "3", "0")
    following = cli.begin("logs", "-f", job)
    assert cli.site.server.job(job)["status"] == "pending"
    cli.site.go()
    assert ended(following) == (0, lines(3), "")


def test_logs_follow_from_the_last_lines_on(cli: Cli) -> None:
    """Nothing between these and what comes is left out."""
    job = cli.submit("wait.sh")
    eventually_blocking(lambda: cli.out("logs", job))
    following = cli.begin("logs", "-f", "-n", "1", job)
    wait_line(following, b"begun\n")
    cli.site.go()
    assert ended(following)[:2] == (0, "done\n")


# --- Ctrl+C


def test_an_interrupt_stops_the_job_of_run(cli: Cli) -> None:
    """Its end is waited for, and told."""
    running = cli.begin("run", "wait.sh")
    wait_line(running, b"begun\n")
    interrupt(running)
    code, _, err = ended(running)
    assert code == 130
    assert "stopping job-0; Ctrl+C again leaves it" in err
    assert "job-0 stopped" in err
    assert cli.site.server.job("job-0")["status"] == "stopped"


def test_an_interrupt_stops_tasks_that_have_not_begun(cli: Cli) -> None:
    """They have no output, which is no error; the code is that of a stopped job."""
    slots = int(cli.site.environment()["MAX_CONCURRENT_TASKS"])
    running = cli.begin("run", "--tasks", str(slots + 5), "wait.sh")
    wait_line(running, b"begun\n")
    interrupt(running)
    code, _, err = ended(running)
    assert code == 130, err
    assert "job-0 stopped" in err


def test_a_second_interrupt_leaves_the_job_to_itself(cli: Cli) -> None:
    """And says how to find it."""
    cli.site.add_script(
        "deaf.sh", "#!/bin/sh\ntrap '' TERM\necho begun\nwhile [ ! -e go ]; do sleep 0.05; done\necho done\n"
    )
    running = cli.begin("run", "--stop-timeout", "1h", "deaf.sh")
    wait_line(running, b"begun\n")
    interrupt(running)
    assert running.stderr is not None
    while b"stopping" not in running.stderr.readline():
        assert running.poll() is None
    interrupt(running)
    code, _, err = ended(running)
    assert code == 130
    assert "jobmgr logs -f job-0" in err
    assert cli.site.server.job("job-0")["status"] == "running"
    cli.site.go()


def test_an_interrupt_of_logs_stops_nothing(cli: Cli) -> None:
    """Who looks on leaves."""
    job = cli.submit("wait.sh")
    following = cli.begin("logs", "-f", job)
    wait_line(following, b"begun\n")
    interrupt(following)
    assert ended(following)[0] == 128 + signal.SIGINT
    assert cli.site.server.job(job)["status"] == "running"
    cli.site.go()


def test_run_whose_reader_left_leaves_the_job_running(cli: Cli) -> None:
    """As `jobmgr run … | head -1`."""
    running = cli.begin("run", "--no-retry", "say.sh", "20", "0")
    wait_line(running, b"line 1\n")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert "job-0 goes on" in running.stderr.read().decode()
    assert running.wait(END_S) == 141
    running.stderr.close()
    assert cli.site.server.wait_status("job-0")["status"] == "completed"
