"""Programs from npm that tests run: each brought once for each environment, beside its packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL_TIMEOUT_S = 300
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT", "ENOTCACHED")


def installed(package: str, version: str) -> Path:
    """Its `node_modules`; skips the test, with a line that says why, where npm or the network is missing. One worker installs, others wait.

    It goes when the environment goes, and nothing outside is touched.
    """
    if sys.platform != "linux":
        pytest.skip("whole servers are tested where the keeper runs")
    import fcntl

    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip(f"{package} needs node and npm, which are not installed")
    home = Path(sys.prefix) / package
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / version).exists():
            _install(home, package, version)
    return home / version / "node_modules"


def _install(home: Path, package: str, version: str) -> None:
    """Install into a directory of its own and give it its name when it is whole, so that a killed run leaves no half of it."""
    shutil.rmtree(home / "half", ignore_errors=True)
    (home / "half").mkdir()
    options = ["--prefix", ".", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
    done = subprocess.run(
        ["npm", "install", f"{package}@{version}", *options],
        cwd=home / "half",
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode and any(word in said for word in NO_NETWORK):
        pytest.skip(f"{package} cannot be brought from npm: no network")
    assert done.returncode == 0, f"npm cannot install {package}: {said}"
    (home / "half").rename(home / version)
