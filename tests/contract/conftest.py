"""The stores that the contract suite runs over. A second database joins here, as one more parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobmgr.store.base import Store
from jobmgr.store.sqlite import SqliteStore


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store."""
    opened = SqliteStore(tmp_path / "data")
    await opened.open()
    yield opened
    await opened.close()
