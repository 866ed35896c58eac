"""Which statements an attribute allows."""

from __future__ import annotations

import numpy as np

from jobmgr.stats.discovery.attributes import Attribute, Phase, Scale
from jobmgr.stats.discovery.predicates import Predicate, membership, of_attributes

NODE = Attribute("node", Scale.NOMINAL, ("n1", "n2"))
HOUR = Attribute("submit.hour", Scale.HOURS, tuple(range(24)))
WAIT = Attribute("queueWait", Scale.ORDERED, (10, 20))
DURATION = Attribute("duration", Scale.ORDERED, (10, 20), Phase.RUNTIME)
DIGITS = Attribute("name.hasDigits", Scale.FLAG, (True,))
BATCH = Attribute("args.--batch", Scale.ORDERED, (64,))


def said(attribute: Attribute) -> list[tuple[str, object, tuple[int, ...]]]:
    """Each statement with the levels that it holds for."""
    return [(one.op, one.value, one.members) for one in of_attributes([attribute])]


def test_a_text_is_compared_with_each_level_and_with_unknown() -> None:
    """Not with all others together: that is nothing a person can look for."""
    assert said(NODE) == [("==", "n1", (0,)), ("==", "n2", (1,)), ("==", None, (2,))]


def test_a_flag_holds_or_not() -> None:
    """One statement; its absence is the same question."""
    assert said(DIGITS) == [("==", True, (1,))]


def test_a_number_is_above_a_cut_or_not() -> None:
    """Level i is above cut i-1 and at most cut i; the unknown level belongs to neither side."""
    assert said(WAIT) == [
        (">", 10, (1, 2)),
        ("<=", 10, (0,)),
        (">", 20, (2,)),
        ("<=", 20, (0, 1)),
        ("==", None, (3,)),
    ]


def test_what_is_measured_while_a_job_runs_is_only_looked_at_upwards() -> None:
    """A job that fails early has not run long: that is no finding. Nor is it one that nothing was measured."""
    assert said(DURATION) == [(">", 10, (1, 2)), (">", 20, (2,))]


def test_a_flag_that_is_not_given_is_left_to_its_presence() -> None:
    """`--batch unknown` would say what `args.has --batch` says."""
    assert said(BATCH) == [(">", 64, (1,)), ("<=", 64, (0,))]


def test_windows_of_hours_wrap_round_midnight() -> None:
    """One, three and six hours from every hour on, twelve from every other: the rest is the complement."""
    windows = {value if isinstance(value, tuple) else (value,): members for _, value, members in said(HOUR)[:-1]}
    assert windows[22, 23, 0] == (22, 23, 0)
    assert windows[23, 0, 1, 2, 3, 4] == (23, 0, 1, 2, 3, 4)
    assert windows[23,] == (23,)
    assert [sum(len(window) == width for window in windows) for width in (1, 3, 6, 12)] == [24, 24, 24, 12]
    assert said(HOUR)[-1] == ("==", None, (24,))


def test_cuts_of_one_scale_are_one_question_and_levels_are_many() -> None:
    """The best cut is paid for by so many tries; a node is a question of its own, and so is unknown."""
    predicates = of_attributes([NODE, WAIT, HOUR])
    by_attribute = [{one.question for one in predicates if one.attribute is each} for each in (NODE, WAIT, HOUR)]
    assert [len(questions) for questions in by_attribute] == [3, 2, 2]
    assert len(set.union(*by_attribute)) == 7
    assert max(one.tries for one in predicates if one.attribute is WAIT) == 1.0
    assert max(one.tries for one in predicates if one.attribute is HOUR) == 12.0


def test_what_is_only_counted_has_no_statement() -> None:
    """The basic patterns are shown, not searched; places of the others stay."""
    only_counted = Attribute("Job name length > 10", Scale.FLAG, (True,), searched=False)
    assert [one.place for one in of_attributes([only_counted, DIGITS])] == [1]


def test_membership_marks_the_levels_of_each_statement() -> None:
    """A row a statement, a column a level of all attributes behind each other."""
    above = Predicate(1, WAIT, ">", 10, (1, 2))
    matrix = membership([above], np.array([0, NODE.levels, NODE.levels + WAIT.levels]))
    assert matrix.tolist() == [[0, 0, 0, 0, 0, 1, 1, 0]]
