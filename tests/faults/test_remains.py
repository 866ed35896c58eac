"""What is left of a test whose process was killed: nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the harness of whole servers needs Linux", allow_module_level=True)

from tests.faults.remains import end, processes
from tests.faults.servers import ROOT
from tests.waiting import eventually_blocking

KILLED_WITH_A_RUNNING_JOB = """
import os, pathlib, sys
from tests.faults.servers import Site
from tests.waiting import eventually_blocking
site = Site(pathlib.Path(sys.argv[1]))
server = site.start()
server.wait_status(server.submit("until"), "running")
server.kill()
eventually_blocking(lambda: len(site.left()) >= 2)  # The keeper and its job: running says that it was asked to begin.
print("both live", flush=True)
os.kill(os.getpid(), 9)
"""


def test_nothing_is_left_of_tests_that_were_killed(tmp_path: Path) -> None:
    """No server, no keeper, no job, though no fixture could end them."""
    site = tmp_path / "site"
    site.mkdir()
    try:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_WITH_A_RUNNING_JOB, str(site)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert killed.returncode == -9, killed
        assert killed.stdout == "both live\n"
        eventually_blocking(lambda: not list(processes(site)))
    finally:
        end([site])
