"""docs/webhooks.md: the receiver that it shows verifies what a server sends, and what it says of words and waits is so."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("whole servers are tested where the keeper runs", allow_module_level=True)

from jobmgr.webhooks.matching import ON
from tests.faults.servers import Site
from tests.waiting import eventually_blocking

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()


def test_the_receiver_of_the_page_takes_what_is_signed_and_nothing_else(tmp_path: Path) -> None:
    """As a person would copy it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "receiver.py").write_text(found[1].replace("9000", str(port)))
    said = tmp_path / "said"
    site = Site(tmp_path, JOBMGR_WEBHOOK_HOSTS="127.0.0.1", JOBMGR_WEBHOOK_RETRY_DELAY="0.1")
    receiver = None
    try:
        site.start()
        made = site.server.ask("POST", "/webhooks", {"url": f"http://127.0.0.1:{port}/"}).body
        with said.open("wb") as out:
            command = [sys.executable, str(tmp_path / "receiver.py"), made["secret"]]
            receiver = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        assert site.server.ask("POST", "/webhooks/webhook-0/test").status == 202
        eventually_blocking(lambda: "webhook.test" in said.read_text())
        job = site.server.submit(0, 0)
        eventually_blocking(lambda: job in said.read_text())
        assert "not from jobmgr" not in said.read_text()
        other = {"url": f"http://127.0.0.1:{port}/", "on": ["lost"]}
        site.server.ask("POST", "/webhooks", other)
        site.server.ask("POST", "/webhooks/webhook-1/test")
        eventually_blocking(lambda: "not from jobmgr" in said.read_text())
        receiver.terminate()
        receiver.wait()
        site.leave()
    finally:
        if receiver is not None:
            receiver.kill()
            receiver.wait()
        site.kill_everything()


@pytest.mark.parametrize("word", ON)
def test_each_word_of_on_is_in_the_table(word: str) -> None:
    """With what it tells of."""
    assert re.search(rf"^\| .*`{word}`.* \|", PAGE, re.MULTILINE)
