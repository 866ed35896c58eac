"""The database file: what its opening tells."""

from __future__ import annotations

import json
from pathlib import Path

from jobmgr.store.sqlite import SqliteStore


async def test_the_opening_can_be_logged(tmp_path: Path) -> None:
    """Whether the file was made, its size and version, and how long its check took, as plain values; nothing before the opening."""
    store = SqliteStore(tmp_path / "data")
    assert store.opening is None
    for created in (True, False):
        await store.open()
        await store.close()
        assert store.opening is not None
        facts = store.opening.facts()
        assert json.loads(json.dumps(facts)) == facts
        assert (facts["created"], facts["path"]) == (created, str(tmp_path / "data" / "jobmgr.db"))
        assert facts.keys() == {"path", "created", "sqlite_version", "schema", "size_bytes", "check_s"}
