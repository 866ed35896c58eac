"""From many candidates to the few that say different things."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobmgr.history import HistoryRow
from jobmgr.stats.discovery.candidates import TURNED_FDR, Candidate
from jobmgr.stats.discovery.patterns import name_of
from jobmgr.stats.discovery.prune import MOST_ALSO, Kept, prune
from jobmgr.stats.discovery.search import Finder, Search
from jobmgr.stats.discovery.strata import conditional
from jobmgr.stats.discovery.tables import Tables
from tests.unit.stats.discovery.views import predicate_of, tables_of
from tests.unit.stats.histories import HOUR, START, attempt

COUNT = 4000


def history(rng: np.random.Generator, failure: np.ndarray[Any, Any], **fields: Any) -> list[HistoryRow]:
    """A task an hour, which fails with the probability that is given, and has the texts that are given."""
    failed = rng.random(COUNT) < failure
    return [
        attempt(
            status="crashed" if failed[place] else "completed",
            finished_at=START + place * HOUR,
            **{name: values[place] for name, values in fields.items()},
        )
        for place in range(COUNT)
    ]


def kept(rows: list[HistoryRow], most: int = 12) -> list[Kept]:
    """What stays of what the search finds."""
    tables = tables_of(rows, least=40)
    return prune(tables, Finder(tables, 40).search(), most)


def titles(found: list[Kept]) -> list[str]:
    """In words."""
    return [name_of(one.candidate.predicates) for one in found]


def lone(tables: Tables, attribute: str, value: Any) -> Candidate:
    """A candidate by hand, with the evidence of independent tasks."""
    predicate = predicate_of(tables, attribute, "==", value)
    seen = conditional(tables.flags, tables.matching([predicate]))
    return Candidate((predicate,), seen.z, 0.0, 0.0, 0.0, 1.0, seen.difference)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers each time."""
    return np.random.default_rng(11)


def test_a_copy_of_a_pattern_stands_beside_it(rng: np.random.Generator) -> None:
    """A script that runs on one node only: two descriptions of the same tasks, told once."""
    node = rng.integers(4, size=COUNT)
    rows = history(rng, np.where(node == 1, 0.4, 0.1), node=[f"n{n}" for n in node], script=[f"/s{n}" for n in node])
    found = kept(rows)
    assert len(found) == 1
    assert {*titles(found), *map(name_of, found[0].also)} == {"Node n1", "Script /s1"}


def test_a_complement_is_no_second_pattern(rng: np.random.Generator) -> None:
    """With two nodes, one that fails more is one that fails less elsewhere: told of the one that fails."""
    node = rng.integers(2, size=COUNT)
    found = kept(history(rng, np.where(node == 1, 0.4, 0.1), node=[f"n{n}" for n in node]))
    assert (titles(found), [one.also for one in found]) == (["Node n1"], [[]])


def test_what_another_explains_goes(rng: np.random.Generator) -> None:
    """A name that runs mostly on the bad node fails more often, but not on the other nodes."""
    node = rng.integers(4, size=COUNT)
    name = np.where(rng.random(COUNT) < 0.7, node, rng.integers(4, size=COUNT))
    rows = history(rng, np.where(node == 1, 0.4, 0.1), node=[f"n{n}" for n in node], job_name=[f"job{'abcd'[n]}" for n in name])  # fmt: skip
    tables = tables_of(rows, least=40)
    assert "Job name “jobb”" in titles([Kept(one, np.empty(0)) for one in Finder(tables, 40).search().candidates])
    assert titles(kept(rows)) == ["Node n1"]


def test_two_patterns_that_each_hold_alone_are_both_told(rng: np.random.Generator) -> None:
    """And not their pair, which is no more than the two."""
    node, group = rng.integers(4, size=(2, COUNT))
    failure = 0.1 + 0.3 * (node == 1) + 0.2 * (group == 2)
    rows = history(rng, failure, node=[f"n{n}" for n in node], group=[f"g{n}" for n in group])
    assert titles(kept(rows)) == ["Node n1", "Group g2"]


def test_a_half_that_lives_only_in_its_pair_goes(rng: np.random.Generator) -> None:
    """Tasks of one group fail on one node: neither the node nor the group harms by itself."""
    node, group = rng.integers(4, size=(2, COUNT))
    failure = np.where((node == 1) & (group == 2), 0.6, 0.1)
    found = titles(kept(history(rng, failure, node=[f"n{n}" for n in node], group=[f"g{n}" for n in group])))
    assert [set(one.split(" and ")) for one in (text.lower() for text in found)] == [{"node n1", "group g2"}]


def test_the_strongest_come_first_and_not_more_than_asked_for(rng: np.random.Generator) -> None:
    """Whatever kind they are."""
    node, group, script = rng.integers(4, size=(3, COUNT))
    failure = 0.05 + 0.2 * (node == 1) + 0.5 * (group == 2) + 0.1 * (script == 3)
    rows = history(
        rng, failure, node=[f"n{n}" for n in node], group=[f"g{n}" for n in group], script=[f"/s{n}" for n in script]
    )
    found = kept(rows)
    assert titles(found) == ["Group g2", "Node n1", "Script /s3"]
    assert titles(kept(rows, 1)) == ["Group g2"]
    assert kept(rows, 0) == []


def test_of_noise_nothing_is_kept(rng: np.random.Generator) -> None:
    """No candidate, no pattern."""
    node = rng.integers(4, size=COUNT)
    assert kept(history(rng, np.full(COUNT, 0.2), node=[f"n{n}" for n in node])) == []


def test_what_matches_all_tasks_or_none_is_no_pattern(rng: np.random.Generator) -> None:
    """Also where a candidate claims it: the sample may hold no other task."""
    node = rng.integers(2, size=COUNT)
    tables = tables_of(history(rng, np.full(COUNT, 0.2), node=[f"n{n}" for n in node]), least=40)
    nobody = predicate_of(tables, "node", "==", None)
    assert prune(tables, Search([Candidate((nobody,), 9.0, 0.0, 0.0, 0.0, 1.0, 0.5)], (9, 9)), 12) == []
    assert prune(tables, Search(), 12) == []


def test_other_descriptions_are_bounded(rng: np.random.Generator) -> None:
    """The first few of many copies."""
    node = rng.integers(3, size=COUNT)
    copies: dict[str, Any] = {
        "job_name": [f"{'abc'[n]}-job" for n in node],
        "script": [f"/s{n}" for n in node],
        "group": [f"g{n}" for n in node],
        "node": [f"n{n}" for n in node],
        "args": [(f"--{'xyz'[n]}", "--mode", f"m{n}", f"/p{n}/q/r", f"plain{n}") for n in node],
    }
    found = kept(history(rng, np.where(node == 1, 0.4, 0.1), **copies))
    assert len(found) == 1
    assert len(found[0].also) == MOST_ALSO


def test_a_candidate_by_hand_is_judged_alike(rng: np.random.Generator) -> None:
    """Pruning looks at tasks, not at how a candidate was found; bursts are in its inflation."""
    node, group = rng.integers(4, size=(2, COUNT))
    failure = 0.1 + 0.3 * (node == 1) + 0.1 * (group == 2)
    tables = tables_of(history(rng, failure, node=[f"n{n}" for n in node], group=[f"g{n}" for n in group]), least=40)
    node_1, group_2 = lone(tables, "node", "n1"), lone(tables, "group", "g2")
    assert titles(prune(tables, Search([group_2, node_1], (9, 9)), 12)) == ["Node n1", "Group g2"]
    fields = {name: getattr(group_2, name) for name in ("predicates", "z", "p", "q", "plain_q", "difference")}
    assert titles(prune(tables, Search([node_1, Candidate(**fields, inflation=30.0)], (9, 9)), 12)) == ["Node n1"]


def test_what_stays_is_judged_again_among_what_stays(rng: np.random.Generator) -> None:
    """A finding that was borne among ten descriptions of a strong one is too weak among two."""
    node, group = rng.integers(4, size=(2, COUNT))
    failure = 0.1 + 0.3 * (node == 1) + 0.1 * (group == 2)
    tables = tables_of(history(rng, failure, node=[f"n{n}" for n in node], group=[f"g{n}" for n in group]), least=40)
    strong, weak = lone(tables, "node", "n1"), replace(lone(tables, "group", "g2"), p=0.004, plain_q=1.0)
    assert titles(prune(tables, Search([strong, weak], (20, 0)), 12)) == ["Node n1", "Group g2"]
    assert titles(prune(tables, Search([strong, weak], (30, 0)), 12)) == ["Node n1"]
    turned = replace(weak, p=0.0, turned=2 * TURNED_FDR + 0.001)
    assert titles(prune(tables, Search([strong, turned], (20, 0)), 12)) == ["Node n1"]
