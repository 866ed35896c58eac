"""Looking up names for webhooks."""

from __future__ import annotations

import threading

import pytest

from jobmgr.addresses import Allowed
from jobmgr.webhooks.resolver import AT_ONCE, JudgingResolver


async def test_when_no_thread_is_to_be_had_the_room_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many times as there is room for, and then it works again."""
    resolver = JudgingResolver(Allowed.of(["localhost"]))

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as lacking:
        lacking.setattr(threading.Thread, "start", refuse)
        for _ in range(AT_ONCE):
            with pytest.raises(OSError, match="cannot be looked up"):
                await resolver.resolve("localhost")
    assert await resolver.resolve("localhost")
