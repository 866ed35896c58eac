"""How the job before went on the same node: a node that has just failed one may be sick.

Bursts of failures anywhere make that likely too, so the share of nodes whose last job failed is kept beside it (`trouble`): what is claimed of a node
must hold among moments with the same trouble elsewhere. With one node there is nothing to tell apart, and no such attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.attributes import Attribute, Scale, View
from jobmgr.stats.columns import COMPLETED, UNKNOWN

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

PREVIOUS = "previousOnNode"
MOST_TROUBLE = 200
TAIL = 20_000
"""How far back the last job of a node is looked for when a few tasks are added."""


@dataclass(slots=True)
class NodeSource:
    """previousOnNode."""

    attributes: list[Attribute] = field(default_factory=list)

    def encode(self, view: View) -> Array:
        """See Source."""
        import numpy as np

        return np.minimum(previous(view), 2).astype("u1")[None, :]


def previous(view: View) -> Array:
    """Outcome of the last task that had ended on the same node when each began: 0 completed, 1 crashed, 2 not known."""
    import numpy as np

    node, ended = view["node"], view["at"]
    began = np.where(view["started"] != UNKNOWN, view["started"], ended - np.maximum(view["duration"], 0))
    crashed = (view["status"] != COMPLETED).astype("u1")
    result = np.full(len(node), 2, "u1")
    by_node = np.argsort(node, kind="stable")
    bounds = np.flatnonzero(np.diff(node[by_node])) + 1
    for rows in np.split(by_node, bounds):
        if len(rows) and node[rows[0]] != UNKNOWN:
            before = np.searchsorted(ended[rows], began[rows], side="right")
            # A task that took no time ended when it began: it is not its own predecessor.
            before = np.minimum(before, np.arange(len(rows)))
            result[rows] = np.where(before > 0, crashed[rows[np.maximum(before - 1, 0)]], 2)
    return result


def trouble(view: View) -> Array:
    """On how many nodes the last task that had ended was a crash, when each task began."""
    import numpy as np

    node, ended = view["node"], view["at"]
    began = np.where(view["started"] != UNKNOWN, view["started"], ended - np.maximum(view["duration"], 0))
    crashed = (view["status"] != COMPLETED).astype("i4")
    change = crashed.copy()
    by_node = np.argsort(node, kind="stable")
    follows = np.flatnonzero(np.diff(node[by_node]) == 0)
    change[by_node[follows + 1]] -= crashed[by_node[follows]]
    change[node == UNKNOWN] = 0
    failing = np.concatenate([[0], np.cumsum(change)])
    before = np.minimum(np.searchsorted(ended, began, side="right"), np.arange(len(node)))
    result: Array = np.minimum(failing[before], MOST_TROUBLE).astype("u1")
    return result


def of_history(view: View, least: int) -> NodeSource:
    """Only where there are several nodes."""
    nodes = view["node"]
    known = nodes[nodes != UNKNOWN]
    if len(known) < least or int(known.min()) == int(known.max()):
        return NodeSource()
    return NodeSource([Attribute(PREVIOUS, Scale.NOMINAL, ("completed", "crashed"))])
