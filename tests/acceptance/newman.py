"""newman, Postman's runner on the command line: brought from npm once for each environment, and what it complains of as sentences."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.collection_gaps import requests

assert sys.platform == "linux"  # As the servers that it is run against.

VERSION = "6.2.2"
HOME = Path(sys.prefix) / "newman"
"""Beside the packages of the environment: it goes when that goes, and nothing outside is touched."""

INSTALL_TIMEOUT_S = 300
RUN_TIMEOUT_S = 120
REQUEST_TIMEOUT_MS = 30_000
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT", "ENOTCACHED")


def install() -> Path:
    """The program; skips the test, with a line that says why, where npm or the network is missing. One worker installs, others wait."""
    program = HOME / VERSION / "node_modules" / ".bin" / "newman"
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("newman needs node and npm, which are not installed")
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install()
    return program


def _install() -> None:
    """Install into a directory of its own and give it its name when it is whole, so that a killed run leaves no half of it."""
    shutil.rmtree(HOME / "half", ignore_errors=True)
    (HOME / "half").mkdir()
    done = subprocess.run(
        [
            "npm",
            "install",
            f"newman@{VERSION}",
            "--prefix",
            ".",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--fetch-retries=1",
        ],
        cwd=HOME / "half",
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode and any(word in said for word in NO_NETWORK):
        pytest.skip("newman cannot be brought from npm: no network")
    assert done.returncode == 0, f"npm cannot install newman: {said}"
    (HOME / "half").rename(HOME / VERSION)


def newman_complaints(program: Path, collection: Mapping[str, Any], address: str) -> list[str]:
    """Run the whole collection against a server: each failed test and each request that was not sent, in a sentence."""
    with tempfile.TemporaryDirectory() as directory:
        source, report = Path(directory, "collection.json"), Path(directory, "report.json")
        source.write_text(json.dumps(collection))
        options = ["--reporters", "json", "--reporter-json-export", report, "--timeout-request", REQUEST_TIMEOUT_MS]
        done = subprocess.run(
            [program, "run", source, "--env-var", f"baseUrl={address}", *map(str, options)],
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert report.exists(), f"newman did not run: {done.stdout}{done.stderr}"
        return list(_complaints(json.loads(report.read_text())["run"], collection))


def _complaints(run: Mapping[str, Any], collection: Mapping[str, Any]) -> Iterator[str]:
    for failure in run["failures"]:
        error = failure["error"]
        name = failure.get("source", {}).get("name", "the collection")
        yield f"{name}, {error.get('test', error['name'])}: {error['message']}"
    sent = {execution["item"]["id"] for execution in run["executions"] if execution.get("assertions")}
    yield from (f"{item['name']}: was not tested" for item in requests(collection) if item["id"] not in sent)
