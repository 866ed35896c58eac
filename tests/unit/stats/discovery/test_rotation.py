"""What turning the outcomes tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.cases.bursts import ar_outcome
from bench.cases.shapes import noise, planted
from jobmgr.history import HistoryRow
from jobmgr.stats.discovery.candidates import plain_log_p
from jobmgr.stats.discovery.predicates import of_attributes
from jobmgr.stats.discovery.rotation import Rotation, rotation, z_of
from jobmgr.stats.discovery.source_nodes import PREVIOUS
from jobmgr.stats.discovery.strata import conditional
from jobmgr.stats.discovery.tables import Tables
from tests.unit.stats.discovery.views import predicate_of, tables_of
from tests.unit.stats.histories import HOUR, START, attempt


def turned(rows: list[HistoryRow]) -> tuple[Tables, Rotation]:
    """The test of all predicates that hold for some hundred tasks."""
    tables = tables_of(rows)
    predicates = [
        one for one in of_attributes(tables.attributes) if 100 <= tables.matching([one]).sum() <= len(tables) - 100
    ]
    return tables, rotation(tables, predicates)


def plain(tables: Tables, test: Rotation) -> np.ndarray:
    """Z of the same predicates, if tasks were independent."""
    return np.array([conditional(tables.flags, tables.matching([one])).z for one in test.z])


def test_of_unrelated_series_z_is_about_standard_normal() -> None:
    """Noise turned is noise: the plain z and that of the test are the same kind of number."""
    tables, test = turned(noise(3000, 3).rows)
    z = np.array(list(test.z.values()))
    assert len(z) > 100
    assert 0.7 < z.std() < 1.3
    assert abs(z.mean()) < 0.4
    assert np.corrcoef(z, plain(tables, test))[0, 1] > 0.95


def test_bursts_in_both_series_make_z_smaller() -> None:
    """Campaigns of like jobs and a wave of failures: the plain z is far out, and turning shows that this is usual."""
    tables, test = turned(ar_outcome(3000, 5).rows)
    z = np.array([z for one, z in test.z.items() if one.attribute.name != PREVIOUS])  # That is a part of the wave.
    assert plain(tables, test).std() > 2
    assert z.std() < 1.4
    assert test.expected(np.array([3.0]))[0] > 0.1


def test_what_is_there_stands_out() -> None:
    """A true pattern is farther out than nearly all turns of all questions."""
    tables, test = turned(planted(3000, 4).rows)
    z = test.z[predicate_of(tables, "node", "==", "node-3")]
    assert z > 6
    assert test.expected(np.array([z]))[0] < 0.001


def test_what_comes_in_turn_stands_out_though_it_meets_itself_again() -> None:
    """Every tenth task is of another node, which fails half of the time: turned by ten, it meets its own outcomes."""
    rng = np.random.default_rng(9)
    failed = rng.random(2000) < np.where(np.arange(2000) % 10 == 0, 0.5, 0.1)
    rows = [
        attempt(node=f"n{place % 10}", status="crashed" if bad else "completed", finished_at=START + place * HOUR)
        for place, bad in enumerate(failed)
    ]
    tables, test = turned(rows)
    z = {one.value: z for one, z in test.z.items() if one.attribute.name == "node"}
    assert z["n0"] > 8
    assert max(abs(z[f"n{number}"]) for number in range(1, 10)) < 4
    assert test.expected(np.array([z["n0"]]))[0] < 0.001
    assert len(tables) == 2000


def test_an_hour_of_the_day_that_fails_stands_out() -> None:
    """Turned by a day, a daily rhythm is still one; what it does is taken out before."""
    rng = np.random.default_rng(9)
    created = [START + place * HOUR // 4 for place in range(3000)]
    failed = rng.random(3000) < np.where([time // HOUR % 24 == 3 for time in created], 0.6, 0.1)
    rows = [
        attempt(created_at=time, finished_at=time, status="crashed" if bad else "completed")
        for time, bad in zip(created, failed, strict=True)
    ]
    _, test = turned(rows)
    z = {one.value: z for one, z in test.z.items() if one.attribute.name == "submit.hour"}
    assert max(z, key=lambda hour: z[hour]) == 3
    assert test.expected(np.array([z[3]]))[0] < 0.001


def test_expected_counts_the_turns_that_are_so_far_out() -> None:
    """Per turn, over all questions; every question is at least at 0."""
    _, test = turned(noise(1000, 3).rows)
    expected = test.expected(np.array([0.0, 2.0, 3.0, 1e9]))
    assert expected[0] == pytest.approx(test.questions)
    assert (np.diff(expected) <= 0).all()
    assert expected[-1] == 0


def test_z_of_a_mask_is_that_of_its_predicate() -> None:
    """Pairs are judged by the same test, in any number at once, none included."""
    tables, test = turned(planted(1000, 4).rows)
    some = list(test.z)[:130]
    z = z_of(test, [test.mask(tables, [one]) for one in some])
    assert z == pytest.approx([test.z[one] for one in some], abs=1e-3)
    assert len(z_of(test, [])) == 0


def test_a_mask_that_holds_always_or_never_says_nothing() -> None:
    """Z is 0, and nothing is divided by it."""
    tables, test = turned(noise(1000, 3).rows)
    size = len(test.mask(tables, []))
    assert z_of(test, [np.ones(size, "?"), np.zeros(size, "?")]).tolist() == pytest.approx([0, 0], abs=1e-3)


def test_tables_that_grew_are_judged_by_the_tasks_of_the_test() -> None:
    """New tasks are in the tables, and not in what was turned: masks keep its length."""
    rows = noise(1000, 3).rows
    tables, test = turned(rows)
    before = len(test.mask(tables, []))
    assert before == 1000
    assert test.rows == len(tables)


def test_an_odd_number_of_tasks_is_put_into_fewer_bins() -> None:
    """Transforms are quick at lengths of small factors; no task is left out."""
    rows = [
        attempt(node=f"n{place % 3}", status=("completed", "crashed")[place % 5 == 0], finished_at=START + place)
        for place in range(997)
    ]
    tables = tables_of([replace(row, job_name="x") for row in rows])
    test = rotation(tables, of_attributes(tables.attributes))
    assert len(test.edges) <= 997
    assert np.add.reduceat(np.ones(997), test.edges).sum() == 997
    assert np.isfinite(plain_log_p(np.array(list(test.z.values())))).all()
