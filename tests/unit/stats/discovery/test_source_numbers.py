"""Numbers of a job."""

from __future__ import annotations

from typing import Any

import pytest

from jobmgr.stats.discovery.attributes import Phase, View
from jobmgr.stats.discovery.predicates import of_attributes
from jobmgr.stats.discovery.source_numbers import NUMBERS, of_history
from tests.unit.stats.discovery.views import UNKNOWN, names_of, told, view_of
from tests.unit.stats.histories import START, attempt


def counted(field: str, *values: Any) -> View:
    """Tasks that differ in one field."""
    return view_of(attempt(**{field: value}, finished_at=START + place) for place, value in enumerate(values))


@pytest.mark.parametrize(
    ("field", "name", "unit", "per"),
    [
        ("priority", "priority", 1, 1),
        ("queue_wait_us", "queueWait", 1000, 1),
        ("concurrency", "concurrency", 1, 1),
        ("duration_us", "duration", 1_000_000, 1000),
        ("peak_rss_bytes", "peakRssBytes", 2**26, 2**26),
        ("cpu_us", "cpuSeconds", 1_000_000, 1),
        ("read_bytes", "readBytes", 2**20, 2**20),
        ("write_bytes", "writeBytes", 2**20, 2**20),
    ],
)
def test_a_number_is_told_in_the_units_of_the_history(field: str, name: str, unit: int, per: int) -> None:
    """A cut belongs to the level below it, and unknown is no number but a level of its own."""
    view = counted(field, 2 * unit, 5 * unit, None, 9 * unit)
    source = of_history(view, 1)
    assert names_of(source) == [name]
    assert told(source, view, name) == [(None, 2 * per), (2 * per, 5 * per), UNKNOWN, (5 * per, None)]


@pytest.mark.parametrize(
    ("field", "floor"),
    [
        ("duration_us", 1_000_000),
        ("peak_rss_bytes", 2**26),
        ("cpu_us", 500_000),
        ("read_bytes", 2**20),
        ("write_bytes", 2**20),
    ],
)
def test_small_measures_are_not_told_apart(field: str, floor: int) -> None:
    """How a run ends costs something, too: below a second, or some megabytes, there is no cut."""
    assert names_of(of_history(counted(field, 1, floor // 2, floor - 1, floor), 1)) == []
    assert names_of(of_history(counted(field, 1, floor, floor + 1), 1)) != []


def test_what_a_job_printed_is_no_attribute() -> None:
    """Those that fail say so."""
    assert names_of(of_history(counted("output_bytes", 0, 10**6, 10**9), 1)) == []


def test_the_count_of_arguments_is_known_also_when_there_are_none() -> None:
    """No arguments are 0, unknown ones are unknown."""
    view = counted("args", (), ("a",) * 300, None)
    assert told(of_history(view, 1), view, "args.count") == [(None, 0), (0, None), UNKNOWN]


def test_priorities_may_be_negative() -> None:
    """-1 is one like any other."""
    view = counted("priority", -5, -1, 0, 10, None)
    assert told(of_history(view, 1), view, "priority") == [(None, -5), (-5, -1), (-1, 0), (0, None), UNKNOWN]


@pytest.mark.parametrize("values", [(5, 5, 5), (5, None, 5), (None, None, None), ()])
def test_what_does_not_differ_is_no_attribute(values: tuple[int | None, ...]) -> None:
    """There is nowhere to cut."""
    assert names_of(of_history(counted("concurrency", *values), 1)) == []


def test_what_hardly_any_task_tells_is_no_attribute() -> None:
    """Fewer than must match a pattern."""
    view = counted("concurrency", 1, 2, 3, *[None] * 20)
    assert names_of(of_history(view, 4)) == []
    assert names_of(of_history(view, 3)) == ["concurrency"]


@pytest.mark.parametrize("field", ["peak_rss_bytes", "queue_wait_us", "cpu_us", "priority", "duration_us"])
def test_the_largest_numbers_are_numbers(field: str) -> None:
    """Up to what a line may say, with small ones beside them."""
    least = -(2**63 - 1) if field == "priority" else 0
    view = counted(field, *[least, 1, 2**62, 2**63 - 1] * 3, *range(40))
    source = of_history(view, 1)
    [attribute] = source.attributes
    levels = source.encode(view)[0]
    assert levels[3] == len(attribute.values)  # Above all cuts.
    assert levels[0] == 0
    assert attribute.unknown not in levels.tolist()


def test_what_is_measured_while_a_job_runs_says_so() -> None:
    """All others are known before it starts."""
    late = {"duration", "peakRssBytes", "cpuSeconds", "readBytes", "writeBytes"}
    assert {name for name, number in NUMBERS.items() if number.phase is Phase.RUNTIME} == late
    view = counted("duration_us", 10**6, 2 * 10**6, 3 * 10**6)
    assert {one.op for one in of_attributes(of_history(view, 1).attributes)} == {">"}
