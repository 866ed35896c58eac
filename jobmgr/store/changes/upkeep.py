"""What time brings: waiting tasks become ready, old events and keys go."""

from __future__ import annotations

from jobmgr.store import statements as sql
from jobmgr.store.base import MakeDue
from jobmgr.store.changes.webhooks import prune_deliveries
from jobmgr.store.ledger import Ledger
from jobmgr.store.pruning import Prune
from jobmgr.store.sqlite_text import Text

_MAKE_DUE = Text(sql.MAKE_DUE)
_PRUNE_EVENTS = Text(sql.PRUNE_EVENTS)
_PRUNE_KEYS = Text(sql.PRUNE_KEYS)
_PRUNE_WATCHERS = Text(sql.PRUNE_WATCHERS)


def make_due(ledger: Ledger, change: MakeDue) -> int:
    """Ready the tasks whose time has come. Their status stays: they still wait."""
    at = change.at
    return ledger.execute(_MAKE_DUE, at, at, at, at).rowcount


def prune(ledger: Ledger, change: Prune) -> int:
    """Let the oldest events, keys, watchers and deliveries go, at most `limit` of each."""
    events = ledger.execute(_PRUNE_EVENTS, change.limit, change.events_before).rowcount
    keys = ledger.execute(_PRUNE_KEYS, change.keys_before, change.limit).rowcount
    watchers = ledger.execute(_PRUNE_WATCHERS, change.watchers_before, change.limit).rowcount
    return events + keys + watchers + prune_deliveries(ledger, change)
