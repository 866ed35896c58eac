"""Tests of what all tests lean on: strict skips and waiting."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import eventually, eventually_blocking

LEFT_OUT = {
    "skip mark": "import pytest\n@pytest.mark.skip(reason='no cgroups')\ndef test_a(): ...\n",
    "skip call": "import pytest\ndef test_a(): pytest.skip('no cgroups')\n",
    "skip in a fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('no cgroups')\ndef test_a(f): ...\n",
    "xfail": "import pytest\n@pytest.mark.xfail(reason='no cgroups')\ndef test_a(): assert False\n",
    "module": "import pytest\npytest.skip('no cgroups', allow_module_level=True)\n",
}


def run_pytest(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test file of its own below this conftest."""
    (folder / "test_it.py").write_text(source)
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_strict_skips_fail_what_is_left_out(source: str, tmp_path: Path) -> None:
    """With --strict-skips no way to leave a test out passes, and the reason is printed."""
    ended = run_pytest(tmp_path, source, "--strict-skips")
    assert ended.returncode not in {0, 5}
    assert "no cgroups" in ended.stdout


def test_data_of_others_may_be_absent_under_strict_skips(tmp_path: Path) -> None:
    """No checkout has it, and nothing installs it."""
    source = "import pytest\ndef test_a(): pytest.skip('the log is no part of jobmgr')\n"
    ended = run_pytest(tmp_path, source, "--strict-skips", "-rs")
    assert (ended.returncode, "no part of jobmgr" in ended.stdout) == (0, True)


def test_strict_skips_hold_in_parallel_runs(tmp_path: Path) -> None:
    """The workers of xdist obey the option too."""
    assert run_pytest(tmp_path, LEFT_OUT["skip mark"], "--strict-skips", "-n1").returncode == 1


def test_a_skip_passes_without_the_option(tmp_path: Path) -> None:
    """A developer's machine may lack what some tests need."""
    assert run_pytest(tmp_path, LEFT_OUT["skip mark"]).returncode == 0


async def test_eventually_returns_what_became_true() -> None:
    """The value that ended the wait is what the test goes on with; plain and async conditions alike."""
    values = iter([None, 0, "", "there"])

    async def later() -> str:
        return "also there"

    assert await eventually(lambda: next(values)) == "there"
    assert await eventually(later) == "also there"
    assert eventually_blocking(lambda: [1]) == [1]


async def test_eventually_fails_at_its_deadline() -> None:
    """A condition that stays false fails the test and is quoted."""
    with pytest.raises(AssertionError, match="never_true"):
        await eventually(lambda: (never_true := False), deadline=0)  # noqa: F841 - the name is what the message quotes
    with pytest.raises(AssertionError, match="never_true"):
        eventually_blocking(lambda: (never_true := False), deadline=0)  # noqa: F841 - the name is what the message quotes
