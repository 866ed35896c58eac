"""What `jobmgr serve` tells a person at its start: warnings before errors, the program it runs, and who else has its port."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the servers of these tests need Linux", allow_module_level=True)

from tests.faults.servers import Site

SAMPLES = Path(__file__).resolve().parents[2] / "scripts" / "jobs"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site; nothing of it runs on at the end."""
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.kill_everything()


def test_warnings_are_told_before_what_is_wrong(site: Site) -> None:
    """The misspelt name may be why the other is wrong."""
    file = site.directory / ".env"
    file.write_text("PROT=3111\nJOBMGR_SHUTDWN=stop\n")
    refused = site.begin_start(PORT="abc")
    assert refused.exit_code() == 2
    [unknown, misspelt, wrong] = refused.told.read_text().splitlines()
    assert unknown.startswith(f"jobmgr: warning: {file}: JOBMGR_SHUTDWN is not a setting of jobmgr")
    assert misspelt == f"jobmgr: warning: {file}: PROT is not a setting of jobmgr; did you mean PORT?"
    assert wrong.startswith("jobmgr: PORT=abc")


@pytest.mark.parametrize(("script", "mark"), [("sample.sh", True), ("checksum.sh", False)])
def test_the_sample_is_told_to_be_one(site: Site, script: str, mark: bool) -> None:
    """As ./scripts/serve supplies it: once, with what to set for another."""
    program = SAMPLES / script
    site.start(JOB_SCRIPT_PATH=str(program))
    told = " (the sample; set JOB_SCRIPT_PATH to choose another)" if mark else ""
    assert f"  program   {program}{told}" in site.server.said.read_text().splitlines()
    assert site.server.told.read_text() == ""


def test_a_port_that_another_jobmgr_has_is_told_with_its_pid(site: Site) -> None:
    """A person may have forgotten the one that runs."""
    address = site.start().address()
    assert address is not None
    port = address.rpartition(":")[2]
    second = site.begin_start(PORT=port, JOBMGR_DATA_DIR="other")
    assert second.exit_code() == 2
    told = f"jobmgr: PORT: 127.0.0.1:{port} is in use by another jobmgr (pid {site.servers[0].pid}); "
    assert second.told.read_text() == f"{told}stop that one or set another PORT\n"


def test_a_port_that_something_else_has_is_told_without(site: Site) -> None:
    """It need not even speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = site.begin_start(PORT=str(port))
        other.accept()[0].close()
        assert refused.exit_code() == 2
    assert f"127.0.0.1:{port} is in use by another program" in refused.told.read_text()
