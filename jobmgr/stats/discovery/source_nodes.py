"""How the job before went on the same node: a node that has just failed one may be sick.

Bursts of failures anywhere make that likely too, so the jobs that ended beside it on other nodes are kept beside it (`rivals`): what is claimed
of a node must tell more than they do. With one node there is nothing to tell apart, and no such attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobmgr.stats.columns import COMPLETED, UNKNOWN
from jobmgr.stats.discovery.attributes import Attribute, Scale, View

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

PREVIOUS = "previousOnNode"
NO_RIVALS = 255
RIVAL_DISTANCE = 10
"""A rival ended at most so many tasks before or after."""
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

    before = view.once(_predecessors)
    crashed = (view["status"] != COMPLETED).astype("u1")
    return np.where(before >= 0, crashed[before], 2).astype("u1")


def _predecessors(view: View) -> Array:
    """For each task the last one that had ended on its node when it began; -1: none."""
    import numpy as np

    node, ended = view["node"], view["at"]
    began = np.where(view["started"] != UNKNOWN, view["started"], ended - np.maximum(view["duration"], 0))
    result = np.full(len(node), -1, "i8")
    by_node = np.argsort(node, kind="stable")
    bounds = np.flatnonzero(np.diff(node[by_node])) + 1
    for rows in np.split(by_node, bounds):
        if len(rows) and node[rows[0]] != UNKNOWN:
            before = np.searchsorted(ended[rows], began[rows], side="right")
            # A task that took no time ended when it began: it is not its own predecessor.
            before = np.minimum(before, np.arange(len(rows)))
            result[rows] = np.where(before > 0, rows[np.maximum(before - 1, 0)], -1)
    return result


def rivals(view: View) -> Array:
    """How the tasks went that ended next to each one's predecessor, just before and just after it, on other nodes.

    0, 1 or 2 of the two crashed; `NO_RIVALS` where there are not both near. If a node does not matter, they tell as much as the predecessor does.
    """
    import numpy as np

    node = view["node"]
    crashed = (view["status"] != COMPLETED).astype("u1")
    place = np.arange(len(node))
    change = np.flatnonzero(np.diff(node, prepend=-2))  # Where a run of tasks on one node begins.
    run = np.searchsorted(change, place, side="right") - 1
    earlier = change[run] - 1
    later = np.append(change, len(node))[run + 1]
    own = view.once(_predecessors)
    first, second = earlier[own], later[own]
    near = (
        (own >= 0)
        & (first >= 0)
        & (own - first <= RIVAL_DISTANCE)
        & (second < place)
        & (second - own <= RIVAL_DISTANCE)
    )
    result: Array = np.where(
        near, crashed[np.maximum(first, 0)] + crashed[np.minimum(second, len(node) - 1)], NO_RIVALS
    )
    return result.astype("u1")


def of_history(view: View, least: int) -> NodeSource:
    """Only where there are several nodes."""
    nodes = view["node"]
    known = nodes[nodes != UNKNOWN]
    if len(known) < least or int(known.min()) == int(known.max()):
        return NodeSource()
    return NodeSource([Attribute(PREVIOUS, Scale.NOMINAL, ("completed", "crashed"))])
