"""Flakiness: what counts as a retry, and estimates that predict better than a name's own rate or that of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from jobmgr.history import HistoryRow
from jobmgr.job import Status
from jobmgr.stats import flakiness as module
from jobmgr.stats.columns import Columns
from jobmgr.stats.flakiness import estimates, flakiness, flakiness_of
from jobmgr.stats.query import Question, Target
from jobmgr.stats.summary import summarize
from tests.unit.stats.histories import START, attempt, columns_of, spoilt


def tasks(lines: Iterable[tuple[str, str]], **known: Any) -> Columns:
    """A task a pair: its name, and how its attempts ended in turn (c completed, x crashed, s stopped, l lost, - one that never began)."""
    words = {"c": "completed", "x": "crashed", "s": "stopped", "l": "lost"}
    columns = Columns()
    for key, (name, ends) in enumerate(lines):
        rows = [
            attempt(job_name=name, status=_standing(words[end], last=place == len(ends)), attempt=place, **known)
            for place, end in enumerate(ends, start=1)
        ]
        columns.put(key, rows)
    columns.settle()
    return columns


def _standing(word: str, *, last: bool) -> str:
    """A crash that was retried leaves its task as retried."""
    return "retried" if word == "crashed" and not last else word


def test_a_crash_and_the_next_end_are_a_retry() -> None:
    """One that passed, two that crashed again: three; a run that never crashed is none."""
    told = flakiness(tasks([("a", "xc"), ("a", "xxx"), ("a", "c")]))
    assert told["a"]["retries"] == 3


def test_crashed_lines_count_as_retried_ones() -> None:
    """Histories of others say `crashed` of each attempt."""
    columns = Columns()
    columns.put(0, [attempt(job_name="a", status="crashed"), attempt(job_name="a", attempt=2)])
    columns.settle()
    assert flakiness(columns)["a"]["retries"] == 1


@pytest.mark.parametrize("ends", ["xs", "xl", "sc", "lc", "cc", "x"])
def test_what_did_not_end_by_itself_is_none(ends: str) -> None:
    """Stopped or lost attempts, and what followed a success, say nothing of flakiness."""
    assert flakiness(tasks([("a", ends)])) == {}


def rows_of(*parts: tuple[int, int, str]) -> list[HistoryRow]:
    """Attempts of one task: round, number, status."""
    return [attempt(job_name="a", round=round_, attempt=number, status=status) for round_, number, status in parts]


@pytest.mark.parametrize(
    ("rows", "retries"),
    [
        (rows_of((1, 1, "crashed"), (2, 2, "completed")), 0),
        (rows_of((1, 1, "retried"), (1, 3, "completed")), 0),
        (rows_of((1, 2, "completed"), (1, 1, "retried")), 1),
        (rows_of((1, 1, "retried"), (1, 2, "running"), (1, 2, "completed")), 1),
        (rows_of((1, 1, "retried"), (1, 2, "running")), 0),
        (rows_of((1, 1, "retried"), (1, 0, "stopped")), 0),
    ],
)
def test_attempts_belong_together_by_round_and_number(rows: list[HistoryRow], retries: int) -> None:
    """Another round or a gap is no retry; the order of lines does not matter, the last line of an attempt counts."""
    columns = Columns()
    columns.put(0, rows)
    columns.settle()
    told = flakiness(columns)
    assert (told["a"]["retries"] if told else 0) == retries


def test_the_estimate_is_drawn_towards_the_others() -> None:
    """Two passes of two beside 30 of 100. By hand: its group's others have (30 + 4 / 2) / (100 + 4), which counts as four retries."""
    told = flakiness(tasks([("a", "xc")] * 2 + [("b", "xc")] * 30 + [("b", "xx")] * 70))
    group = (30 + 4 * 0.5) / (100 + 4)
    assert told["a"]["passOnRetry"] == round((2 + 4 * group) / 6, 2) == 0.54
    low, high = stats.beta.ppf([0.025, 0.975], 2 + 4 * group, 4 * (1 - group))
    assert told["a"]["interval"] == pytest.approx((low, high), abs=0.00501)


def test_a_name_is_not_its_own_prior() -> None:
    """Alone in the history, a name that always passed is drawn towards one half, not towards itself."""
    told = flakiness(tasks([("a", "xc")] * 4))
    assert told["a"]["passOnRetry"] == pytest.approx((4 + 4 * 0.5) / 8)


def test_a_group_weighs_more_than_everyone() -> None:
    """A new name among good ones of its group is taken to be like them, though all others are bad."""
    names = np.array([0] + [1] * 40 + [2] * 400)
    groups = np.array([5] + [5] * 40 + [6] * 400)
    passed = np.array([True] + [True] * 40 + [False] * 400)
    assert estimates(names, groups, passed).rates[0] > 0.9


@pytest.mark.parametrize("spread", [0.8, 3.0])
def test_it_predicts_better_than_the_rate_of_all_and_the_own_rate(spread: float) -> None:
    """Log-loss on later retries of 300 names with rates of their own (beta distributed, by group): lowest of the three."""
    rng = np.random.default_rng(int(spread * 10))
    group = np.arange(300) % 6
    middle = np.linspace(0.2, 0.8, 6)[group]
    rate = rng.beta(spread * middle, spread * (1 - middle))
    names = rng.choice(300, 3000, p=rng.dirichlet(np.full(300, 0.5)))
    passed = rng.random(3000) < rate[names]
    early, late = slice(0, 1500), slice(1500, None)
    found = estimates(names[early], group[names[early]], passed[early])
    known = np.isin(names[late], found.names)
    seen, truth = names[late][known], passed[late][known]
    own = (found.passing + found.failing, found.retries)
    raw = np.array([passed[early][names[early] == name].mean() for name in found.names])
    place = np.searchsorted(found.names, seen)

    def loss(p: Any) -> float:
        p = np.clip(p, 0.01, 0.99)
        return float(-np.where(truth, np.log(p), np.log(1 - p)).mean())

    assert own[0] == pytest.approx(own[1] + module.PRIOR)
    assert loss(found.rates[place]) < loss(np.full(len(seen), passed[early].mean()))
    assert loss(found.rates[place]) < loss(raw[place])


def test_the_most_retried_first_and_at_most_fifty() -> None:
    """Of sixty names the fifty with most retries, in that order."""
    told = flakiness(tasks([(f"n{name:02d}", "xc") for name in range(60) for _ in range(name + 1)]))
    assert list(told) == [f"n{name:02d}" for name in range(59, 9, -1)]


def test_of_one_name_is_the_same() -> None:
    """Asked for a single name, the answer is that of the list, and none for a name that was never retried."""
    columns = tasks([("a", "xc"), ("b", "xx"), ("b", "xc"), ("c", "c")])
    assert flakiness_of(columns, 1) == flakiness(columns)["b"]
    assert flakiness_of(columns, 2) is None


@pytest.mark.parametrize(
    "columns",
    [
        Columns(),
        columns_of([attempt(job_name="a", status="crashed")]),
        columns_of([attempt(job_name="a", status=status, attempt=2) for status in Status]),
        columns_of([attempt(status="crashed", attempt=0, finished_at=START)] * 5),
        tasks([("a", "xx")] * 50),
        tasks([("a", "xc")] * 50),
        tasks([(f"n{name}", "xc") for name in range(3000)]),
        spoilt(tasks([("a", "xxc")] * 50)),
        spoilt(tasks([("\x00" * 400, "xxc")] * 50, group="g" * 400)),
    ],
)
def test_strange_histories_have_an_answer(columns: Columns) -> None:
    """Empty, one attempt, all failed, all passed, many names, unknown names, hostile text: rates between 0 and 1, no exception."""
    for told in flakiness(columns).values():
        low, high = told["interval"]
        assert 0 <= low <= told["passOnRetry"] <= high <= 1


# --- in a narrower question

MIXED = [("a", "xc", START), ("a", "xx", START + 1000), ("b", "xc", START), ("b", "xc", START + 1000)]


def mixed() -> Columns:
    """Two names, each in a group of its own, with a retry early and one late."""
    columns = Columns()
    for key, (name, ends, at) in enumerate(MIXED):
        first = attempt(job_name=name, group=f"of {name}", status="retried", finished_at=at - 10)
        status = "completed" if ends[-1] == "c" else "crashed"
        columns.put(key, [first, attempt(job_name=name, group=f"of {name}", status=status, attempt=2, finished_at=at)])
    columns.settle()
    return columns


@pytest.mark.parametrize(
    ("question", "retries"),
    [
        (Question(), {"a": 2, "b": 2}),
        (Question(min_support=1), {"a": 2, "b": 2}),
        (Question(name="a"), {"a": 2}),
        (Question(group="of b"), {"b": 2}),
        (Question(since=START + 1000), {"a": 1, "b": 1}),
        (Question(until=START + 1000, name="b"), {"b": 1}),
        (Question(name="unknown"), {}),
        (Question(Target.SLOW), {}),
        (Question(Target.MEMORY, name="a"), {}),
    ],
)
def test_an_answer_tells_the_retries_of_the_tasks_asked_for(question: Question, retries: dict[str, int]) -> None:
    """All attempts of a task count that ended in the time asked for; slowness and memory are no matter of retries."""
    told = summarize(mixed(), question, total_jobs=4, now=START + 2000)["flakiness"]
    assert {name: one["retries"] for name, one in told.items()} == retries


def test_a_narrow_answer_is_that_of_a_history_of_those_tasks_only() -> None:
    """What is left out is no prior either."""
    answer = summarize(mixed(), Question(name="a"), total_jobs=4, now=START + 2000)
    assert answer["flakiness"] == flakiness(tasks([("a", "xc"), ("a", "xx")]))
