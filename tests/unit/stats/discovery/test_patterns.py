"""Patterns as they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobmgr.history import HistoryRow
from jobmgr.stats.discovery.candidates import Candidate
from jobmgr.stats.discovery.patterns import _confirmed
from jobmgr.stats.findings import Pattern, Stats
from jobmgr.stats.summary import summarize
from tests.unit.stats.histories import HOUR, START, attempt, columns_of

COUNT = 4000
Array = np.ndarray[Any, np.dtype[Any]]


def history(failure: Array, node: Array, seed: int = 5, **fields: Any) -> list[HistoryRow]:
    """A task a quarter of an hour, on these nodes, which fails with the probability that is given."""
    failed = np.random.default_rng(seed).random(len(failure)) < failure
    return [
        attempt(
            status="crashed" if bad else "completed",
            node=f"n{node[place]}",
            finished_at=START + place * HOUR // 4,
            **{name: values[place] for name, values in fields.items()},
        )
        for place, bad in enumerate(failed)
    ]


def told(rows: list[HistoryRow]) -> Stats:
    """The answer of a history."""
    return summarize(columns_of(rows), total_jobs=len(rows), now=START)


def only(stats: Stats) -> Pattern:
    """The one pattern that was discovered."""
    [found] = [one for one in stats["patterns"] if one["kind"] != "basic"]
    return found


@pytest.fixture
def node() -> Array:
    """One of four nodes for each task."""
    return np.random.default_rng(7).integers(4, size=COUNT)


def test_what_comes_again_and_again_recurs(node: Array) -> None:
    """Every field agrees with the counts."""
    found = only(told(history(np.where(node == 1, 0.4, 0.1), node)))
    assert (found["pattern"], found["kind"], found["significant"]) == ("Node n1", "recurring", True)
    assert found["conditions"] == [{"attribute": "node", "op": "==", "value": "n1"}]
    assert found["matchCount"] == int((node == 1).sum())
    assert found["confidenceInterval"][0] < found["successRate"] < found["confidenceInterval"][1]
    assert found["riskDifference"][1] < -0.2
    assert (found["episodes"] >= 3, found["confirmedOutOfTime"], found["heldWithinName"]) == (True, True, None)
    assert found["excessFailures"] == pytest.approx(0.3 * found["matchCount"], rel=0.15)
    assert found["support"] == pytest.approx(0.25, abs=0.02)
    assert found["p"] is not None and found["q"] is not None and found["p"] <= found["q"] < 0.001


def test_what_comes_in_one_episode_does_not_recur(node: Array) -> None:
    """A node that failed for a tenth of the time only: whatever is told of it, it is not claimed."""
    once = (np.arange(COUNT) > 2000) & (np.arange(COUNT) < 2400) & (node == 1)
    stats = told(history(np.where(once, 0.95, 0.05), node))
    assert [one["pattern"] for one in stats["patterns"] if one["significant"]] == []


def test_what_has_faded_is_not_confirmed(node: Array) -> None:
    """There in the first 70 % of the time, and not in the rest."""
    early = (np.arange(COUNT) < 2800) & (node == 1)
    patterns = told(history(np.where(early, 0.5, 0.1), node))["patterns"]
    [found] = [
        one for one in patterns if one["pattern"] == "Node n1"
    ]  # How its last job went tells besides when it was sick.
    assert found["confirmedOutOfTime"] is False


def test_what_has_become_much_weaker_is_not_confirmed(node: Array) -> None:
    """Still there, but less than 40 % of what it was."""
    early = np.arange(COUNT) < 2800
    failure = np.where(node == 1, np.where(early, 0.6, 0.22), 0.1)
    assert only(told(history(failure, node)))["confirmedOutOfTime"] is False


def test_what_is_too_rare_later_is_neither() -> None:
    """Fewer than ten such tasks in the last 30 % of the time."""
    rng = np.random.default_rng(8)
    node = np.where(np.arange(COUNT) < 2800, rng.integers(4, size=COUNT), rng.integers(2, 4, size=COUNT))
    found = [
        one for one in told(history(np.where(node == 1, 0.5, 0.1), node))["patterns"] if one["pattern"] == "Node n1"
    ]
    assert [one["confirmedOutOfTime"] for one in found] in ([None], [])


@pytest.mark.parametrize("within", [True, False])
def test_whether_it_holds_within_names(node: Array, within: bool) -> None:
    """Among tasks of the same name, the node harms as much; or each name runs on nodes of its own, and nobody knows."""
    rng = np.random.default_rng(9)
    number = rng.integers(6, size=COUNT) if within else node * 2 + rng.integers(2, size=COUNT)
    names = [f"job-{'abcdefgh'[each]}" for each in number]
    found = only(told(history(np.where(node == 1, 0.4, 0.1), node, job_name=names)))
    assert found["heldWithinName"] is (True if within else None)


def test_unknown_names_say_nothing_about_names(node: Array) -> None:
    """They are not one name."""
    assert only(told(history(np.where(node == 1, 0.4, 0.1), node)))["heldWithinName"] is None


def test_a_basic_pattern_that_was_discovered_is_told_once(node: Array) -> None:
    """Under its known words, with its evidence, in the place of the basic one."""
    rng = np.random.default_rng(3)
    digits = rng.random(COUNT) < 0.4
    names = [f"job-{'7' if one else 'x'}{'ab'[place % 2]}" for place, one in enumerate(digits)]
    found = [
        one
        for one in told(history(np.where(digits, 0.4, 0.1), node, job_name=names))["patterns"]
        if one["kind"] != "basic"
    ]
    described = [one for one in found if "Job name contains digits" in (one["pattern"], *one["alsoMatches"])]
    assert (len(found), len(described)) == (1, 1)


def test_a_basic_pattern_is_explained_by_what_was_discovered(node: Array) -> None:
    """Long names run on the bad node: among tasks of that node, and of the others, the length is nothing."""
    rng = np.random.default_rng(4)
    long = np.where(rng.random(COUNT) < 0.8, node == 1, rng.random(COUNT) < 0.5)
    names = ["a-name-of-sixteen" if one else "short" for one in long]
    stats = told(history(np.where(node == 1, 0.4, 0.1), node, job_name=names))
    [length] = [one for one in stats["patterns"] if one["pattern"] == "Job name length > 10"]
    assert (length["kind"], length["significant"], length["explainedBy"]) == ("basic", False, "Node n1")
    assert length["sentence"].endswith("that is explained by: Node n1.")


def test_what_goes_well_is_told_as_success(node: Array) -> None:
    """A node on which less fails: the sentence says less, and the excess is negative."""
    found = only(told(history(np.where(node == 2, 0.1, 0.4), node)))
    assert found["pattern"] == "Node n2"
    assert found["differenceFromAverage"].startswith("+")
    assert found["excessFailures"] < 0 < found["riskDifference"][0]
    assert "points less" in found["sentence"]


def test_a_pattern_of_the_run_itself_says_so(node: Array) -> None:
    """What is known only while a job runs is of another phase."""
    rng = np.random.default_rng(6)
    memory = rng.lognormal(20, 1, COUNT).astype("i8")
    rows = history(np.where(memory > 2**30, 0.5, 0.1), node, peak_rss_bytes=memory.tolist())
    found = only(told(rows))
    assert found["phase"] == "runtime"
    assert found["conditions"][0]["attribute"] == "peakRssBytes"
    assert found["conditions"][0]["op"] == ">"


def test_what_might_be_chance_later_is_not_confirmed() -> None:
    """It keeps nearly half of its effect, but of twelve tasks only, which is within chance; of 120 it is not."""
    for scale, confirmed in ((1, False), (10, True)):
        parts = [
            (350, 140),
            (350, 52),
            (12, 5),
            (288, 86),
        ]  # Matching and others, early and late: tasks, and failed ones.
        flags = np.concatenate([np.arange(count * scale) < failed * scale for count, failed in parts])
        mask = np.repeat([True, False, True, False], [count * scale for count, _ in parts])
        assert _confirmed(flags, mask, Candidate((), 8.0, 0.0, 0.0, 0.0, 1.0, 0.25)) is confirmed
