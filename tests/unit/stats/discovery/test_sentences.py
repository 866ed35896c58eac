"""Patterns in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.stats.discovery.sentences import FEW_EPISODES, Told, percent, sentence
from jobmgr.stats.findings import Pattern
from jobmgr.stats.query import Target


def pattern(**known: Any) -> Pattern:
    """A pattern of which a sentence needs only a few fields."""
    plain = {
        "kind": "basic",
        "phase": "before",
        "riskDifference": (-0.25, -0.05),
        "p": 0.3,
        "episodes": 4,
        "confirmedOutOfTime": None,
        "explainedBy": None,
    }
    return {**plain, **known}  # type: ignore[typeddict-item]  # the others are not read


def told(
    bad: int = 30,
    count: int = 100,
    bad_others: int = 30,
    others: int = 200,
    target: Target = Target.FAILURE,
    **known: Any,
) -> str:
    """The sentence of 30 of 100 against 30 of 200."""
    return sentence(Told(target, ["on node n1"], pattern(**known), bad, count, bad_others, others))


BEGINNING = "Jobs on node n1 fail 30 % of the time (30 of 100), all others 15 %"


def test_what_recurs_is_told_with_its_interval() -> None:
    """In points of failure, turned from the difference of success."""
    assert told(kind="recurring") == (
        f"{BEGINNING}: 15 points more (95 % interval 5 to 25). "
        "It comes again and again; early or late in the time there is too little to confirm it."
    )


def test_fewer_failures_are_told_as_less() -> None:
    """10 of 100 against 60 of 200."""
    words = told(10, 100, 60, 200, kind="recurring", riskDifference=(0.1, 0.28))
    assert "20 points less (95 % interval 10 to 28)." in words


def test_an_interval_that_holds_zero_begins_there() -> None:
    """Intervals that know of bursts may be wide."""
    assert "(95 % interval 0 to 25)" in told(kind="recurring", riskDifference=(-0.25, 0.05))


@pytest.mark.parametrize(
    ("confirmed", "words"),
    [(True, "held in the rest."), (False, "less so in the last 30 % of the time."), (None, "to confirm it.")],
)
def test_whether_it_held_is_said(confirmed: bool | None, words: str) -> None:
    """True, false, or too little known."""
    assert told(kind="recurring", confirmedOutOfTime=confirmed).endswith(words)


@pytest.mark.parametrize(("episodes", "words"), [(1, "one episode"), (2, "2 episodes"), (FEW_EPISODES, "4 episodes")])
def test_what_is_bursty_may_have_been_its_episodes(episodes: int, words: str) -> None:
    """It is not claimed."""
    assert told(kind="bursty", episodes=episodes) == (
        f"{BEGINNING}, but mostly in {words}: it may have been that, and not this."
    )


def test_where_failures_come_in_many_bursts_they_may_be_all() -> None:
    """Nor is this claimed."""
    words = "failures come in bursts here, and bursts alone can look like this."
    assert told(kind="bursty", episodes=FEW_EPISODES + 1) == f"{BEGINNING}, but {words}"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"phase": "outcome"}, "that is a part of how they went, not a reason."),
        ({"explainedBy": "Node n2"}, "that is explained by: Node n2."),
        ({"p": 0.049}, "not enough to claim it among all that was tried."),
        ({"p": 0.05}, "no more than chance."),
        ({"p": None}, "no more than chance."),
    ],
)
def test_a_basic_pattern_says_why_it_is_not_claimed(known: dict[str, Any], words: str) -> None:
    """One reason, the first that holds."""
    assert told(**known) == f"{BEGINNING}; {words}"


@pytest.mark.parametrize("few", [(3, 19, 30, 200), (30, 200, 3, 19), (4, 100, 5, 200)])
def test_few_jobs_are_said_to_be_few(few: tuple[int, int, int, int]) -> None:
    """Fewer than twenty on one side, or fewer than ten failures in all."""
    assert told(*few).endswith("; too few jobs to tell this from chance.")


def test_without_others_there_is_no_comparison() -> None:
    """All tasks match."""
    words = told(0, 12, 0, 0, kind="recurring")
    assert words == "Jobs on node n1 fail 0 % of the time (0 of 12); there are no others to compare with."


def test_all_and_none_are_whole_percents() -> None:
    """100 % and 0 %, with thousands set apart."""
    words = told(12_000, 12_000, 0, 30_000, kind="recurring", riskDifference=(-1.0, -1.0))
    assert words.startswith(
        "Jobs on node n1 fail 100 % of the time (12,000 of 12,000), all others 0 %: 100 points more"
    )


@pytest.mark.parametrize(
    ("target", "verb"),
    [(Target.FAILURE, "fail"), (Target.SLOW, "run unusually long"), (Target.MEMORY, "use unusually much memory")],
)
def test_each_target_has_its_verb(target: Target, verb: str) -> None:
    """What the rates are about."""
    assert told(target=target).startswith(f"Jobs on node n1 {verb} 30 % of the time")


def test_a_pair_is_told_with_and() -> None:
    """Both clauses behind one “jobs”."""
    words = sentence(Told(Target.FAILURE, ["on node n1", "with --x = 1"], pattern(), 1, 30, 20, 300))
    assert words.startswith("Jobs on node n1 and with --x = 1 fail 3.3 % of the time (1 of 30), all others 6.7 %")


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (0, 0, "0 %"), (0, 5, "0 %"), (5, 5, "100 %"), (1, 8, "13 %"), (5, 8, "63 %"), (1, 1000, "0.1 %"), (1, 3000, "0 %"),
        (99, 1000, "9.9 %"), (1, 10, "10 %"), (2, 100, "2 %"), (999, 1000, "99.9 %"), (25, 1000, "2.5 %"), (1, 2000, "0.1 %"),
    ],
)  # fmt: skip
def test_shares_are_rounded_half_up(part: int, whole: int, words: str) -> None:
    """With one decimal below ten percent, where there is one."""
    assert percent(part, whole) == words


@given(st.integers(1, 10**6).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_a_share_is_within_half_of_its_last_digit(share: tuple[int, int]) -> None:
    """Whatever the numbers."""
    part, whole = share
    exact, shown = 100 * part / whole, percent(part, whole).removesuffix(" %")
    assert abs(float(shown) - exact) <= (0.05 if "." in shown or exact < 0.05 else 0.5) + 1e-9
