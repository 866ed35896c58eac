"""The latency figures: percentiles, their table, their bound."""

from __future__ import annotations

from bench.submit import missed, summary, table


def run(p50: float) -> dict[str, object]:
    """One launcher's figures with the given median."""
    return {"launcher": "keeper", "replyMs": {"p50": p50, "p99": 9.99}, "begunMs": {"p50": 6.0, "p99": 12.0}}


def test_percentiles_are_those_of_the_samples() -> None:
    """Of 0, 1, …, 200 the median is 100 and the 99th percentile 198, in any order."""
    assert summary([float(number) for number in reversed(range(201))]) == {"p50": 100.0, "p99": 198.0}


def test_the_table_has_a_row_a_launcher() -> None:
    """Milliseconds with one decimal."""
    assert table({"runs": [run(3.14)]}).splitlines()[-1] == "| jobmgr, keeper | 3.1 ms | 10.0 ms | 6.0 ms | 12.0 ms |"


def test_the_bound_is_on_the_median_reply() -> None:
    """Five milliseconds pass, a bit more is a sentence."""
    assert missed({"runs": [run(5.0)]}) == []
    assert missed({"runs": [run(5.01)]}) == ["keeper: POST to running takes 5.01 ms (p50); wanted is at most 5.0 ms."]
