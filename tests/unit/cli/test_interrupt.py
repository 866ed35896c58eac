"""Ctrl+C at any moment: no traceback, and what a shell calls 130."""

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

_HELD_BACK = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
os.kill(os.getpid(), signal.SIGINT)
os.execv(sys.executable, [sys.executable, "-m", "jobmgr", "--help"])
"""
_IN_A_COMMAND = """
import os, signal
from jobmgr.cli import main
main.commands.main = lambda **_: os.kill(os.getpid(), signal.SIGINT)
main.main()
"""
_IN_A_CLASS = """
import os, signal
from jobmgr.cli import main
class Name:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)
main.commands.main = lambda **_: type("Made", (), {"name": Name()})
main.main()
"""
_TWICE = """
import os, signal
from jobmgr.cli import main
def again(_):
    os.kill(os.getpid(), signal.SIGINT)
main.commands.main = lambda **_: (_ for _ in ()).throw(main.NoServer("away"))
main._told = again
main.main()
"""
_ON_THE_WAY_OUT = """
import atexit, os, signal, sys
from jobmgr.cli.main import main
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
sys.argv = ["jobmgr", "--version"]
main()
"""
_IGNORED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from jobmgr.cli import main
main.commands.main = lambda **_: os.kill(os.getpid(), signal.SIGINT)
main.main()
"""


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        pytest.param(_HELD_BACK, -signal.SIGINT, id="before the command"),
        pytest.param(_IN_A_COMMAND, 130, id="in the command"),
        pytest.param(_IN_A_CLASS, 130, id="in an import of the command"),
        pytest.param(_TWICE, 130, id="while a failure is told"),
        pytest.param(_ON_THE_WAY_OUT, -signal.SIGINT, id="after the command"),
        pytest.param(_IGNORED, 0, id="where it is ignored"),
    ],
)
def test_ctrl_c_leaves_in_silence(code: str, ended: int) -> None:
    """Nothing on stderr, wherever it hits."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.returncode == ended
