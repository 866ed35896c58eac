"""What each change of the contract does to SQLite: one handler a change, in the module of what it is about.

A handler takes the ledger of its savepoint and the change, and returns the outcome. It may raise: then the savepoint is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobmgr.store.base import (
    Begin,
    Claim,
    Delete,
    Finish,
    MakeDue,
    Overdue,
    Progress,
    Restart,
    Stop,
    Submit,
    TakeUp,
    Unbegin,
    WantStop,
)
from jobmgr.store.changes.asking import delete, restart, stop, want_stop
from jobmgr.store.changes.claiming import claim
from jobmgr.store.changes.ending import finish, unbegin
from jobmgr.store.changes.running import begin, report_progress, take_up, tell_overdue
from jobmgr.store.changes.submitting import submit
from jobmgr.store.changes.upkeep import make_due, prune
from jobmgr.store.changes.watching import keep_watchers
from jobmgr.store.changes.webhooks import (
    change_webhook,
    create_webhook,
    enqueue,
    record_try,
    redeliver,
    remove_webhook,
    send_test,
)
from jobmgr.store.ledger import Ledger
from jobmgr.store.pruning import Prune
from jobmgr.store.watching import KeepWatchers
from jobmgr.store.webhooks import (
    ChangeWebhook,
    CreateWebhook,
    Enqueue,
    RecordTry,
    Redeliver,
    RemoveWebhook,
    SendTest,
)

HANDLERS: Mapping[type, Callable[[Ledger, Any], Any]] = {
    Submit: submit,
    Claim: claim,
    Begin: begin,
    Finish: finish,
    Unbegin: unbegin,
    Stop: stop,
    WantStop: want_stop,
    Restart: restart,
    Delete: delete,
    TakeUp: take_up,
    MakeDue: make_due,
    Progress: report_progress,
    Overdue: tell_overdue,
    Prune: prune,
    KeepWatchers: keep_watchers,
    CreateWebhook: create_webhook,
    ChangeWebhook: change_webhook,
    RemoveWebhook: remove_webhook,
    Enqueue: enqueue,
    SendTest: send_test,
    RecordTry: record_try,
    Redeliver: redeliver,
}
