"""The scripts that a person types, on checkouts of their own: what makes .venv, when, and what becomes of a set-up that went wrong.

The checkouts here require no packages, so these tests need no network and are quick; that real packages come in is seen by whoever runs
this suite through ./scripts/test.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import eventually_blocking

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for POSIX systems")

SCRIPTS = Path(__file__).parents[2] / "scripts"
PYPROJECT = """
[project]
dependencies = [%s]
[dependency-groups]
test = []
"""
# Says what it was given; as a server it runs until it is told to stop.
PACKAGE = """
import json, os, signal, sys
said = {"arguments": sys.argv[1:], "script": os.environ.get("JOB_SCRIPT_PATH"), "pid": os.getpid(), "cwd": os.getcwd(), "file": __file__}
said["heldBack"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(json.dumps(said), flush=True)
if sys.argv[1:2] == ["serve"]:
    signal.pause()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a path with spaces, without .venv."""
    root = tmp_path / "a check out"
    (root / "jobmgr").mkdir(parents=True)
    (root / "jobmgr" / "__main__.py").write_text(PACKAGE)
    (root / "pyproject.toml").write_text(PYPROJECT % "")
    (root / "scripts").mkdir()
    for name in ("_launch", "_environment.py", "jobmgr", "serve"):
        shutil.copy(SCRIPTS / name, root / "scripts" / name)
    return root


def environment(**variables: str) -> dict[str, str]:
    """What the scripts see of this process: neither a chosen program nor the network."""
    return (
        {name: value for name, value in os.environ.items() if name != "JOB_SCRIPT_PATH"}
        | {"PIP_NO_INDEX": "1"}
        | variables
    )


def run(script: Path, *arguments: str, cwd: str | Path = "/", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a person would, from another directory."""
    command = [str(script), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, check=False)


def test_the_first_call_makes_the_environment_and_the_second_has_nothing_to_do(checkout: Path) -> None:
    """After a first call that reports what it makes, a second is silent; both run the checkout's code with all arguments."""
    first = run(checkout / "scripts" / "jobmgr", "list", "a b", "")
    assert json.loads(first.stdout)["arguments"] == ["list", "a b", ""]
    assert "making .venv" in first.stderr
    second = run(checkout / "scripts" / "jobmgr", "list")
    assert json.loads(second.stdout)["file"] == str(checkout / "jobmgr" / "__main__.py")
    assert second.stderr == ""


def test_a_command_runs_where_the_person_stands(checkout: Path) -> None:
    """Paths among the arguments mean what they mean in the person's shell; code that lies there, or on PYTHONPATH, is not run."""
    elsewhere = checkout.parent / "elsewhere"
    (elsewhere / "jobmgr").mkdir(parents=True)
    (elsewhere / "jobmgr" / "__main__.py").write_text("print('wrong')")
    link = elsewhere / "link"
    link.symlink_to(checkout / "scripts" / "jobmgr")
    ended = run(link, cwd=elsewhere, PYTHONPATH=".")
    assert json.loads(ended.stdout)["cwd"] == str(elsewhere)


def test_a_moved_checkout_runs_its_own_code(checkout: Path) -> None:
    """The environment follows when the checkout moves, with nothing to install."""
    run(checkout / "scripts" / "jobmgr")
    moved = checkout.rename(checkout.parent / "moved")
    ended = run(moved / "scripts" / "jobmgr")
    assert json.loads(ended.stdout)["file"] == str(moved / "jobmgr" / "__main__.py")
    assert ended.stderr == ""


@pytest.mark.parametrize("left", ["nothing but a folder", "no record", "half a record", "no python", "another python"])
def test_a_set_up_that_was_cut_off_is_repaired(checkout: Path, left: str) -> None:
    """Whatever an interrupted set-up left behind, the next call ends with a whole environment."""
    run(checkout / "scripts" / "jobmgr")
    venv = checkout / ".venv"
    record = venv / "jobmgr-environment.json"
    if left == "nothing but a folder":
        shutil.rmtree(venv)
        venv.mkdir()
    elif left == "no record":
        record.unlink()
    elif left == "half a record":
        record.write_text(record.read_text()[:20])
    elif left == "no python":
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/nowhere/python3")
    else:
        record.write_text(record.read_text().replace("cpython-3", "cpython-2"))
    ended = run(checkout / "scripts" / "jobmgr", "list")
    assert json.loads(ended.stdout)["arguments"] == ["list"]
    assert "making .venv" in ended.stderr
    assert run(checkout / "scripts" / "jobmgr").stderr == ""


def test_calls_at_the_same_time_make_one_environment(checkout: Path) -> None:
    """Of several first calls one makes the environment, the others wait for it; all run."""
    script = str(checkout / "scripts" / "jobmgr")
    pipe = subprocess.PIPE
    calls = [
        subprocess.Popen([script, str(n)], env=environment(), stdout=pipe, stderr=pipe, text=True) for n in range(3)
    ]
    outputs = [call.communicate() for call in calls]
    assert [json.loads(stdout)["arguments"] for stdout, _ in outputs] == [["0"], ["1"], ["2"]]
    assert sum("making .venv" in stderr for _, stderr in outputs) == 1


def test_packages_that_cannot_be_had_leave_the_environment_as_it_was(checkout: Path) -> None:
    """Without network a new requirement is refused in a sentence; when it is taken back, all is as before."""
    run(checkout / "scripts" / "jobmgr")
    (checkout / "pyproject.toml").write_text(PYPROJECT % '"jobmgr-no-such-package"')
    refused = run(checkout / "scripts" / "jobmgr")
    assert refused.returncode == 1
    assert "jobmgr: the packages could not be installed" in refused.stderr
    assert "Traceback" not in refused.stderr
    (checkout / "pyproject.toml").write_text(PYPROJECT % "")
    assert run(checkout / "scripts" / "jobmgr").stderr == ""


def test_a_checkout_that_cannot_be_written_is_refused_in_a_sentence(checkout: Path) -> None:
    """The person reads who can help, not a traceback."""
    (checkout / ".venv").write_text("in the way")  # a file cannot be removed as a folder can, not even by root
    ended = run(checkout / "scripts" / "jobmgr")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"jobmgr: cannot make {checkout / '.venv'}")
    assert "Traceback" not in ended.stderr


def test_a_machine_with_an_old_python_only_is_told_so(checkout: Path, tmp_path: Path) -> None:
    """The message names the version that is there and the one that is needed."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("dirname", "readlink", "sh"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "python3").write_text('#!/bin/sh\n[ "$1" = -c ] && echo 3.9.2\n[ "$1" = -c ]\n')
    (tools / "python3").chmod(0o755)
    ended = run(checkout / "scripts" / "jobmgr", PATH=str(tools))
    assert ended.returncode == 1
    assert "needs Python 3.11 or newer, this machine has only 3.9.2" in ended.stderr
    (tools / "python3").unlink()
    assert "needs Python 3.11 or newer and finds none" in run(checkout / "scripts" / "jobmgr", PATH=str(tools)).stderr


def serve(checkout: Path, **variables: str) -> tuple[dict[str, object], str]:
    """Start ./scripts/serve, read what the server was given, and stop it by the pid that a person would signal; also what stderr said."""
    command = [str(checkout / "scripts" / "serve"), "--flag"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd="/", env=environment(**variables), stdout=pipe, stderr=pipe, text=True
    ) as server:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        _, noise = server.communicate()
    assert server.returncode == -signal.SIGTERM
    assert said["pid"] == server.pid
    return said, noise


def test_serve_becomes_the_server(checkout: Path) -> None:
    """The process that was started is the server itself, so a signal reaches it; its arguments are passed on."""
    said, _ = serve(checkout)
    assert said["arguments"] == ["serve", "--flag"]


def test_serve_supplies_the_sample_and_leaves_it_to_the_server_to_say_so(checkout: Path) -> None:
    """A first start has something to run; the server's own `program` line tells the person (test_serve_words.py)."""
    said, noise = serve(checkout)
    sample = str(checkout / "scripts" / "jobs" / "sample.sh")
    assert said["script"] == sample
    assert "sample" not in noise


@pytest.mark.parametrize(
    ("line", "chosen"),
    [
        ("JOB_SCRIPT_PATH=/bin/true", True),
        ("  export JOB_SCRIPT_PATH = '/bin/true'", True),
        ("# JOB_SCRIPT_PATH=/bin/true", False),
        ("JOB_SCRIPT_PATH=", False),
        ("JOB_SCRIPT_PATH=''", False),
        ("MY_JOB_SCRIPT_PATH=/bin/true", False),
    ],
)
def test_a_program_chosen_in_env_file_is_left_alone(checkout: Path, line: str, chosen: bool) -> None:
    """Only without a JOB_SCRIPT_PATH in .env, set to something, the sample is supplied."""
    (checkout / ".env").write_text(f"PORT=1\n{line}\n")
    said, _ = serve(checkout)
    assert (said["script"] is None) is chosen


def test_a_program_chosen_in_the_environment_is_left_alone(checkout: Path) -> None:
    """JOB_SCRIPT_PATH of the environment reaches the server as it is."""
    said, noise = serve(checkout, JOB_SCRIPT_PATH="/bin/true")
    assert said["script"] == "/bin/true"
    assert "sample" not in noise


def installing(checkout: Path, tmp_path: Path) -> tuple[dict[str, str], Path, Path]:
    """The environment, and the marks `begun` and `go`, of an installer that has begun and goes on until told: a `uv` where there is no pip."""
    (checkout / "pyproject.toml").write_text(PYPROJECT % '"jobmgr-no-such-package"')
    go, begun, fake = tmp_path / "go", tmp_path / "begun", tmp_path / "uv"
    until_told = (
        f'until [ -e "{go}" ] || [ $((n += 1)) -gt 600 ]; do sleep 0.05; done'  # a failing test leaves none behind
    )
    fake.write_text(f'#!/bin/sh\n[ "$1" = pip ] || exit 0\n: > "{begun}"\n{until_told}\n')
    fake.chmod(0o755)
    launcher = checkout / "scripts" / "_environment.py"
    source = launcher.read_text()
    launcher.write_text(source.replace('"-m", "pip"', '"-m", "no_pip"').replace('"-m", "ensurepip"', '"-m", "no_pip"'))
    return environment(PATH=f"{tmp_path}:{os.environ['PATH']}"), begun, go


def test_ctrl_c_in_a_set_up_says_what_becomes_of_it(checkout: Path, tmp_path: Path) -> None:
    """A sentence instead of a traceback, and the exit code of Ctrl+C."""
    variables, begun, go = installing(checkout, tmp_path)
    command = [str(checkout / "scripts" / "jobmgr")]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as call:
        eventually_blocking(begun.exists)
        call.send_signal(signal.SIGINT)
        go.touch()
        _, noise = call.communicate()
    assert call.returncode == 130
    assert noise.splitlines()[-1] == "jobmgr: set-up interrupted; the next call finishes it"
    assert "Traceback" not in noise


def test_ctrl_c_while_nothing_is_set_up_is_silent(checkout: Path) -> None:
    """Here while another set-up is waited for."""
    fcntl = pytest.importorskip("fcntl")
    command = [str(checkout / "scripts" / "jobmgr")]
    with (checkout / "pyproject.toml").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as call:
            assert call.stderr is not None
            assert "waiting for another set-up" in call.stderr.readline()
            call.send_signal(signal.SIGINT)
            assert call.stderr.read() == ""
    assert call.returncode == -signal.SIGINT  # a shell calls it 130


def test_a_closed_stderr_is_no_obstacle(checkout: Path) -> None:
    """What has nowhere to go is not said."""
    ended = run(Path("/bin/sh"), "-c", '"$0" list 2>&-', str(checkout / "scripts" / "jobmgr"))
    assert json.loads(ended.stdout)["arguments"] == ["list"]


def test_ctrl_c_is_held_back_until_the_command_can_take_it(checkout: Path) -> None:
    """While Python starts, it could only print a traceback."""
    assert json.loads(run(checkout / "scripts" / "jobmgr").stdout)["heldBack"] == [signal.SIGINT]


def test_a_set_up_killed_with_minus_9_is_finished_by_the_next_call(checkout: Path, tmp_path: Path) -> None:
    """The next call waits for a pip that outlived its launcher, then makes the environment anew."""
    variables, begun, go = installing(checkout, tmp_path)
    command = [str(checkout / "scripts" / "jobmgr")]
    killed = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
    eventually_blocking(begun.exists)
    killed.kill()
    killed.wait()
    begun.unlink()
    following = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert following.stderr is not None
    assert "waiting for another set-up" in following.stderr.readline()
    assert not begun.exists()
    go.touch()
    stdout, stderr = following.communicate()
    assert "removing a .venv that is not whole" in stderr
    assert json.loads(stdout)["arguments"] == []
