"""Behind ./scripts/test: lint, format, types for POSIX and Windows, then the tests; each stage runs even when one before it failed.

`--strict` counts everything that is left out (skips, expected failures) as a failure, `--stats` judges statistics by all seeds. Any other
argument goes to pytest, which then runs alone, one test after the other: `./scripts/test tests/unit -k pause`. Tests marked `serial` run first,
without others beside them; the rest runs on all cores, and last, so that pytest's closing line for the whole suite is what a reader sees at the end.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = {"--strict": "--strict-skips", "--stats": "--stats"}  # what a person types, and what pytest is told
NO_TESTS = 5  # pytest's exit code when nothing was to run


def main() -> int:
    """Run what the arguments ask for; give the exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument not in OPTIONS]
    pytest = ["pytest", *(OPTIONS[argument] for argument in sys.argv[1:] if argument in OPTIONS)]
    if arguments:
        return call([*pytest, *map(from_root, arguments)])
    stages = {
        "ruff check": ["ruff", "check"],
        "ruff format": ["ruff", "format", "--check"],
        "mypy": ["mypy"],
        # A cache of its own: the two platforms would throw out each other's.
        "mypy for Windows": ["mypy", "--platform", "win32", "--cache-dir", ".mypy_cache/win32"],
        "tests, serial": [*pytest, "-m", "serial", "-p", "no:xdist"],
        "tests": [*pytest, "-m", "not serial", "-n", str(max(2, cores()))],
    }
    results = [run(name, command) for name, command in stages.items()]
    print("\n".join(["", *(line for line, _ in results)]))
    return 0 if all(passed for _, passed in results) else 1


def run(name: str, command: list[str]) -> tuple[str, bool]:
    """Run one stage; give its line of the summary and whether it passed."""
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    code = call(command)
    passed = code == 0 or (name == "tests, serial" and code == NO_TESTS)
    return f"{name:<18}{'passed' if passed else 'FAILED':<8}{time.monotonic() - start:6.1f} s", passed


def call(command: list[str]) -> int:
    """Run a tool of the environment from the root of the checkout."""
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode


def from_root(argument: str) -> str:
    """Make a path that the person gave from where they stand one that holds from the root; leave other arguments alone."""
    path, mark, test = argument.partition("::")
    return f"{Path(path).absolute()}{mark}{test}" if Path(path).exists() else argument


def cores() -> int:
    """Count the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
