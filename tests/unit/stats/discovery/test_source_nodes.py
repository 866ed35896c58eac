"""How the job before went on the same node."""

from __future__ import annotations

from typing import Any

from jobmgr.stats.discovery.attributes import View
from jobmgr.stats.discovery.source_nodes import NO_RIVALS, of_history, previous, rivals
from tests.unit.stats.discovery.views import UNKNOWN, names_of, told, view_of
from tests.unit.stats.histories import START, attempt

SECOND = 1_000_000


def went(*tasks: tuple[str | None, str], took: int = 1) -> View:
    """Tasks that end a second after each other: on which node, and `c`ompleted or `x` crashed; each began `took` / 2 seconds before."""
    words = {"c": "completed", "x": "crashed"}
    return view_of(
        attempt(
            node=node,
            status=words[how],
            started_at=START + place * SECOND - took * SECOND // 2,
            finished_at=START + place * SECOND,
        )
        for place, (node, how) in enumerate(tasks)
    )


def test_the_task_before_is_the_last_one_that_had_ended_on_the_node() -> None:
    """Not on another node; the first of each has none."""
    view = went(("a", "x"), ("b", "c"), ("a", "c"), ("b", "x"), ("a", "c"), ("b", "c"))
    assert previous(view).tolist() == [2, 2, 1, 0, 0, 1]


def test_what_had_not_ended_when_it_began_is_not_before_it() -> None:
    """Tasks that ran at the same time know nothing of each other."""
    view = went(
        ("a", "x"), ("a", "c"), ("a", "c"), ("a", "c"), took=5
    )  # Each began two and a half seconds before its end.
    assert previous(view).tolist() == [2, 2, 2, 1]


def test_a_task_that_took_no_time_is_not_before_itself() -> None:
    """Nor is one that ended at the same instant but stands behind it."""
    rows = [attempt(node="a", status=how, started_at=START, finished_at=START) for how in ("crashed", "completed")]
    assert previous(view_of(rows)).tolist() == [2, 1]


def test_without_a_start_it_is_reckoned_from_the_duration() -> None:
    """And without that, it took no time."""
    rows: list[Any] = [
        attempt(node="a", status="crashed", finished_at=START),
        attempt(node="a", finished_at=START + 10, duration_us=20),
        attempt(node="a", finished_at=START + 20, duration_us=5),
        attempt(node="a", finished_at=START + 30),
    ]
    assert previous(view_of(rows)).tolist() == [2, 2, 0, 0]


def test_an_unknown_node_has_no_past() -> None:
    """Tasks of unknown nodes are not taken for tasks of one."""
    view = went((None, "x"), (None, "c"), ("a", "c"), ("b", "c"), ("a", "c"), ("b", "c"))
    assert told(of_history(view, 2), view, "previousOnNode") == [UNKNOWN] * 4 + ["completed"] * 2


def test_one_node_is_nothing_to_compare() -> None:
    """Then what happened before on the node is what happened before."""
    assert names_of(of_history(went(*[("a", "x")] * 30), 2)) == []
    assert names_of(of_history(went(*[(None, "x")] * 30), 2)) == []
    assert names_of(of_history(went(*[("a", "x"), ("b", "x")] * 30), 2)) == ["previousOnNode"]


def test_rivals_ended_beside_the_predecessor_on_other_nodes() -> None:
    """How many of the two crashed: the one just before it and the one just after it."""
    view = went(("b", "x"), ("a", "c"), ("b", "c"), ("a", "c"), ("b", "x"), ("a", "c"))
    #           0          1 first on a    2 after 0     3 after 1     4 after 2     5 after 3
    assert rivals(view).tolist() == [NO_RIVALS, NO_RIVALS, NO_RIVALS, 1, 0, 1]


def test_rivals_that_are_far_away_are_none() -> None:
    """More than ten tasks before or after, they tell nothing of that time."""
    near = went(("b", "x"), *[("a", "c")] * 10, ("b", "c"), ("a", "c"))
    far = went(("b", "x"), *[("a", "c")] * 11, ("b", "c"), ("a", "c"))
    assert rivals(near)[-1] == 1
    assert rivals(far)[-1] == NO_RIVALS


def test_nothing_has_neither() -> None:
    """No task, no predecessor."""
    assert (previous(went()).tolist(), rivals(went()).tolist()) == ([], [])
