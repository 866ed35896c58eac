"""Single predicates as candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobmgr.history import HistoryRow
from jobmgr.stats.discovery.evidence import Evidence
from jobmgr.stats.discovery.predicates import Predicate
from jobmgr.stats.discovery.singles import clocked, singles, worth
from jobmgr.stats.discovery.tables import Tables
from tests.unit.stats.discovery.views import predicate_of, tables_of
from tests.unit.stats.histories import HOUR, START, attempt

Array = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Some tasks on two nodes, with waits, run times and hours."""
    return tables_of(
        attempt(
            node=f"n{place % 2}",
            queue_wait_us=place % 5 * 1_000_000,
            duration_us=(1 + place % 4) * 2_000_000,
            created_at=START + place * HOUR,
            finished_at=START + place * HOUR,
        )
        for place in range(600)
    )


def evidence(z: list[float], log_p: list[float]) -> Evidence:
    """Evidence by hand, of independent tasks."""
    values = np.array(z)
    return Evidence(values / 100, values, values, np.array(log_p), np.ones(len(z)), None)


def judged(
    tables: Tables, predicates: list[Predicate], z: list[float], p: list[float]
) -> dict[Any, tuple[float, float]]:
    """The p and q of each predicate, by its operator and value."""
    found = singles(tables, predicates, evidence(z, np.log(p).tolist()), np.ones(len(z), "?"))
    return {(one.predicates[0].op, one.predicates[0].value): (one.p, one.q) for one in found}


def test_the_best_of_many_cuts_is_paid_for(tables: Tables) -> None:
    """P times half of what was tried, four cuts and three single values here; and only the best has a q."""
    cuts = [predicate_of(tables, "queueWait", ">", cut) for cut in (0, 1000, 2000, 3000)]
    found = judged(tables, cuts, [3.0, 4.0, 2.0, 1.0], [0.01, 0.001, 0.1, 0.5])
    assert found[">", 1000] == pytest.approx((0.0035, 0.0035))
    assert found[">", 0] == pytest.approx((0.035, 1))


def test_levels_of_a_text_are_questions_of_their_own(tables: Tables) -> None:
    """Each has its q, by how many there are."""
    nodes = [predicate_of(tables, "node", "==", node) for node in ("n0", "n1")]
    found = judged(tables, nodes, [4.0, -1.0], [0.001, 0.5])
    assert found == {("==", "n0"): pytest.approx((0.001, 0.002)), ("==", "n1"): pytest.approx((0.5, 0.5))}


def test_of_a_statement_and_its_reverse_that_of_more_failures_is_told(tables: Tables) -> None:
    """`> 1000` and `<= 1000` have the same evidence."""
    both = [predicate_of(tables, "queueWait", op, 1000) for op in ("<=", ">")]
    for z in ([3.0, -3.0], [-3.0, 3.0]):
        found = judged(tables, both, z, [0.001, 0.001])
        failing = ("<=", ">")[int(np.argmax(z))]
        assert {op: q < 1 for (op, _), (_, q) in found.items()} == {
            failing: True,
            ({"<=", ">"} - {failing}).pop(): False,
        }


def test_longer_runs_that_fail_less_are_no_finding(tables: Tables) -> None:
    """Failing cuts a run short, so that what is measured while it runs only counts upwards."""
    longer = [predicate_of(tables, "duration", ">", 4000)]
    assert judged(tables, longer, [-9.0], [1e-9])[">", 4000] == (1, 1)
    assert judged(tables, longer, [9.0], [1e-9])[">", 4000][1] < 1e-6


def test_what_is_not_worth_telling_is_no_candidate(tables: Tables) -> None:
    """However sure it is."""
    nodes = [predicate_of(tables, "node", "==", "n0")]
    [found] = singles(tables, nodes, evidence([9.0], [-40.0]), np.zeros(1, "?"))
    assert (found.q, found.plain_q) == (1, 1)


def test_a_difference_is_worth_telling_against_the_others() -> None:
    """30 of 100 against 20 of 100, and against nothing at all."""
    n1, f1 = np.array([[100.0], [200.0]]), np.array([[30.0], [50.0]])
    assert worth(n1, f1, np.array([200.0]), np.array([50.0])).tolist() == [True, True]
    assert worth(n1[:1], np.array([[20.5]]), np.array([200.0]), np.array([40.0])).tolist() == [False]


def test_what_follows_the_clock_has_days_for_witnesses(tables: Tables) -> None:
    """A day is one of its hours, a week of its days; others have blocks."""
    some = [predicate_of(tables, "submit.hour", "==", 3), predicate_of(tables, "node", "==", "n0")]
    hour, node = clocked(some, 25.0)
    assert (hour, np.isnan(node)) == (24, True)
    [day] = [clocked([one], 70.0)[0] for one in [predicate_of(tables, "submit.weekday", "==", 3)]]
    assert day == 9


# --- the last job on a node


def nodes_that(rng: np.random.Generator, sick: bool) -> list[HistoryRow]:
    """Tasks on four nodes; failures come in bursts of a day: everywhere at once, or (`sick`) each on one node only."""
    count, burst = 4000, 40
    bad = rng.random((count // burst, 4)) < 0.2 if sick else np.repeat(rng.random((count // burst, 1)) < 0.2, 4, 1)
    rows = []
    for place in range(count):
        node = int(rng.integers(4))
        failed = rng.random() < (0.7 if bad[place // burst, node] else 0.05)
        at = START + place * 24 * HOUR // burst
        status = "crashed" if failed else "completed"
        rows.append(attempt(node=f"n{node}", status=status, started_at=at, finished_at=at))
    return rows


@pytest.mark.parametrize("sick", [True, False])
def test_a_node_must_tell_more_than_the_jobs_beside_it(sick: bool) -> None:
    """A burst of failures everywhere is not the node's, though what fails there comes after what failed there."""
    tables = tables_of(nodes_that(np.random.default_rng(3), sick))
    previous = predicate_of(tables, "previousOnNode", "==", "crashed")
    strong = evidence([20.0], [-200.0])
    [found] = singles(tables, [previous], strong, np.ones(1, "?"))
    assert (found.q < 0.01) == sick
