"""Who else finds what goes with failure: sliceline, pysubgroup, and seven fixed patterns as a hand-written analyzer has them.

A contestant is given the rows of a history and returns the tasks of each pattern that it shows, and the seconds of the search alone. The two
libraries want an older numpy than jobmgr's, so they live in an environment of their own, `.venv-peers`, that is made when it is first needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.binned import binned
from bench.cases.facts import Facts, counted
from bench.cases.table import Array
from bench.judging import claimed, matches
from bench.results import ROOT
from bench.scoring import answer
from jobmgr.history import HistoryRow

ENVIRONMENT = ROOT / ".venv-peers"
PYTHON = ENVIRONMENT / "bin" / "python"
SCRIPT = Path(__file__).with_name("discovering_peer.py")
TIMEOUT_S = 120.0
MEMORY_GIB = 12
"""A peer that wants more than this is as good as one that takes too long: the machine is not its own."""
OUT_OF_MEMORY = "MemoryError"


class TooSlowError(Exception):
    """The search took longer than `TIMEOUT_S`, or more memory than `MEMORY_GIB`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a contestant shows of a history."""

    tasks: list[Array]
    seconds: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way of finding patterns. Tasks of what is shown stand in the order of `counted(rows)`."""

    name: str
    show: Callable[[Sequence[HistoryRow]], Shown]
    missing: Callable[[], str | None] = lambda: None


def _jobmgr(rows: Sequence[HistoryRow]) -> Shown:
    stats, seconds = answer(rows)
    facts = Facts(counted(rows))
    return Shown([matches(pattern["conditions"], facts) for pattern in claimed(stats)], seconds)


def _library(name: str) -> Callable[[Sequence[HistoryRow]], Shown]:
    def show(rows: Sequence[HistoryRow]) -> Shown:
        facts = Facts(counted(rows))
        table = binned(facts)
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            file = Path(directory) / "history.npz"
            np.savez(file, codes=table.codes, failed=facts.failed)
            seconds, found = _search(name, file)
        return Shown([table.tasks(conditions) for conditions in found], seconds)

    return show


def _search(name: str, file: Path) -> tuple[float, list[list[tuple[int, int]]]]:
    command = [str(PYTHON), "-W", "ignore", str(SCRIPT), name, str(file), str(MEMORY_GIB * 2**30)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise TooSlowError(name) from error
    if done.returncode != 0 and OUT_OF_MEMORY in done.stderr:
        raise TooSlowError(name)
    if done.returncode != 0:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    answered = json.loads(done.stdout.splitlines()[-1])
    return answered["seconds"], answered["found"]


def _fixed(rows: Sequence[HistoryRow]) -> Shown:
    """Seven lines, always: long names, digits, many arguments, much memory, long runs, the worst hour, the name that fails most."""
    facts = Facts(counted(rows))
    began = time.perf_counter()
    names, hours = facts.texts("name"), facts.numbers("submit.hour")
    rates = [_rate(facts.failed, hours == hour) for hour in range(24)]
    fails = Counter(name for name, failed in zip(names, facts.failed.tolist(), strict=True) if failed)
    [(prone, _)] = fails.most_common(1)
    conditions = [
        {"attribute": "name.length", "op": ">", "value": 10},
        {"attribute": "name.hasDigits", "op": "==", "value": True},
        {"attribute": "args.count", "op": ">", "value": 2},
        {"attribute": "peakRssBytes", "op": ">", "value": 100 * 2**20},
        {"attribute": "duration", "op": ">", "value": 1000},
        {"attribute": "submit.hour", "op": "==", "value": int(np.argmax(rates))},
        {"attribute": "name", "op": "==", "value": prone},
    ]
    return Shown([matches([each], facts) for each in conditions], time.perf_counter() - began)


def _rate(failed: Array, mask: Array) -> float:
    return float(failed[mask].mean()) if mask.any() else 0.0


def _lacks_environment() -> str | None:
    """Make the environment of the libraries if it is not there; what stands in the way, in words."""
    if _works():
        return None
    print(f"making {ENVIRONMENT.name} for sliceline and pysubgroup (once)", file=sys.stderr, flush=True)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["peers"]
    try:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"could not be installed into {ENVIRONMENT.name}: {error}"
    return None if _works() else f"does not work in {ENVIRONMENT.name}"


def _works() -> bool:
    if not PYTHON.exists():
        return False
    command = [str(PYTHON), "-W", "ignore", "-c", "import sliceline, pysubgroup"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


JOBMGR = Contestant("jobmgr", _jobmgr)
SLICELINE = Contestant("sliceline", _library("sliceline"), _lacks_environment)
PYSUBGROUP = Contestant("pysubgroup", _library("pysubgroup"), _lacks_environment)
FIXED = Contestant("7 fixed patterns", _fixed)
ALL = (JOBMGR, SLICELINE, PYSUBGROUP, FIXED)
