"""What watchers that named themselves have acknowledged."""

from __future__ import annotations

from jobmgr.store import statements as sql
from jobmgr.store.ledger import Ledger
from jobmgr.store.sqlite_text import Text
from jobmgr.store.watching import KeepWatchers

_KEEP_WATCHER = Text(sql.KEEP_WATCHER)


def keep_watchers(ledger: Ledger, change: KeepWatchers) -> None:
    """Keep where each stands, and that it was here."""
    ledger.execute_many(_KEEP_WATCHER, ((name, seq, change.at) for name, seq in change.rows))
