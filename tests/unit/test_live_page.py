"""docs/live.md says all that the feed says."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobmgr.api import sockets
from jobmgr.api.wanted import WatchQuery
from jobmgr.events import KINDS, SIGNS

PAGE = (Path(__file__).parents[2] / "docs" / "live.md").read_text()


@pytest.mark.parametrize("word", [*KINDS, *SIGNS, *WatchQuery.model_fields])
def test_every_event_sign_and_parameter_is_on_the_page(word: str) -> None:
    """As code, so it can be found."""
    assert f"`{word}`" in PAGE or f"?{word}=" in PAGE


@pytest.mark.parametrize("code", [sockets.RESUME, sockets.REPLACED, 1001, 1008, 1009])
def test_every_close_code_is_on_the_page(code: int) -> None:
    """A client has to know what to do."""
    assert str(code) in PAGE


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    """Seconds and sizes."""
    assert f"takes nothing for {sockets.SEND_TIMEOUT_S:g} s" in PAGE
    assert f"pong within {sockets.HEARTBEAT_S * 1.5:g} s" in PAGE
    assert f"above {sockets.MAX_MESSAGE_BYTES // 1024} KiB" in PAGE
