"""Result files and the tables made from them: what was measured, on what kind of machine, with which versions and commit.

Says what the figures depend on and nothing that identifies a machine: no host name, no path.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "performance.md"
LIBRARIES = ("aiohttp", "pydantic", "structlog")


def surroundings() -> dict[str, Any]:
    """Everything around a measurement that its figures depend on."""
    return {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "commit": _commit(),
        "machine": {
            "cpu": _first(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo")) or platform.machine(),
            "cores": os.cpu_count(),
            "memoryGiB": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {_kernel_version()}",
            "filesystem": _filesystem(Path(tempfile.gettempdir()).resolve()),
            "loadBefore": round(psutil.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
    }


def save(what: str, record: dict[str, Any]) -> Path:
    """Write `bench/results/WHAT.json`; the history of results is that of the repository."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{what}.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return path


def caption(record: dict[str, Any]) -> str:
    """One line below a table: where the figures come from."""
    machine = record["machine"]
    kind = f"{machine['cores']} × {machine['cpu']}, {machine['memoryGiB']} GiB, {machine['system']}"
    where = (
        f"data on {machine['filesystem']}, Python {record['versions']['python']}, load before {machine['loadBefore']}"
    )
    return f"{record['measuredAt'][:10]}, commit {record['commit']}: {kind}, {where}."


def put_table(page: str, what: str, text: str) -> str:
    """The page with `text` between its markers `<!-- bench:WHAT -->` and `<!-- /bench:WHAT -->`. Raises ValueError without them."""
    start, end = f"<!-- bench:{what} -->", f"<!-- /bench:{what} -->"
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"docs/performance.md has no {start} … {end}")
    return f"{before}{start}\n{text}\n{end}{after}"


def _commit() -> str:
    """Short hash, with a plus when files other than results differ from it; `unknown` outside a checkout."""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", ":!bench/results", ":!docs/performance.md")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _kernel_version() -> str:
    """The numbers only: what follows them is often the name of a cloud or a person."""
    found = re.match(r"[\d.]+", platform.release())
    return found.group().rstrip(".") if found else ""


def _filesystem(path: Path) -> str:
    """Type of the file system a path is on: a commit costs nothing on tmpfs, so the figure must say so."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    below = [(len(point), kind) for _, point, kind, *_ in mounts if path.is_relative_to(point)]
    return max(below)[1] if below else "unknown"


def _first(pattern: str, file: Path) -> str | None:
    try:
        found = re.search(pattern, file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip() if found else None
