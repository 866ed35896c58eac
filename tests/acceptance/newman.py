"""newman, Postman's runner on the command line: brought from npm once for each environment, and what it complains of as sentences."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.collection_gaps import requests
from tests.acceptance.npm import installed

assert sys.platform == "linux"  # As the servers that it is run against.

VERSION = "6.2.2"
RUN_TIMEOUT_S = 120
REQUEST_TIMEOUT_MS = 30_000


def install() -> Path:
    """The program; skips the test, with a line that says why, where npm or the network is missing."""
    return installed("newman", VERSION) / ".bin" / "newman"


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
