"""What arguments tell."""

from __future__ import annotations

import pytest

from jobmgr.stats.columns import MOST_ARGS, Columns
from jobmgr.stats.discovery.attributes import View
from jobmgr.stats.discovery.source_arguments import flag_of, of_history, prefixes_of
from tests.unit.stats.discovery.views import OTHER, UNKNOWN, names_of, told, view_of
from tests.unit.stats.histories import START, attempt


def given(*lines: str | None) -> View:
    """Tasks with these command lines; None is unknown."""
    return view_of(
        attempt(args=None if line is None else tuple(line.split()), finished_at=START + place)
        for place, line in enumerate(lines)
    )


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("--batch", ("--batch", None)),
        ("--batch=64", ("--batch", "64")),
        ("--a.b-c=x=y", ("--a.b-c", "x=y")),
        ("--empty=", ("--empty", "")),
        ("--two=lines\nof text", ("--two", "lines\nof text")),
        ("-x", ("-x", None)),
        ("-5", None),
        ("-1e3", None),
        ("-", None),
        ("--", None),
        ("--=x", None),
        ("KEY=value", ("KEY", "value")),
        ("a/b=c", None),
        ("plain", None),
        ("", None),
        ("---x", None),
        ("--ñ", None),
    ],
)
def test_a_flag_begins_with_dashes_and_a_letter(text: str, flag: tuple[str, str | None] | None) -> None:
    """Or is a key with its value; negative numbers and lone dashes are none."""
    assert flag_of(text) == flag


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("/data/in/x.csv", ("/data", "/data/in")),
        ("/data/in/a/b/c/d/e", ("/data", "/data/in", "/data/in/a", "/data/in/a/b")),
        ("/x", ("/",)),
        ("a/b/c/d", ("a", "a/b", "a/b/c")),
        ("a/b", ("a",)),
        ("--out=/data/x/y/z", ("/data", "/data/x", "/data/x/y")),
        ("--out", ()),
        ("-o/x/y", ()),
        ("https://host/a/b", ()),
        ("s3://bucket/a", ()),
        ("plain", ()),
    ],
)
def test_a_path_lies_below_its_directories(text: str, prefixes: tuple[str, ...]) -> None:
    """From the top; of a flag's value too; an address of the web is no path."""
    assert prefixes_of(text) == prefixes


def test_a_flag_has_the_value_behind_it_or_within_it() -> None:
    """`--mode fast` and `--mode=fast` are the same; without a value, or without the flag, it is unknown."""
    view = given("--mode fast", "--mode=fast", "--mode slow", "--mode=slow", "--mode", "x", None)
    assert told(of_history(view, 2), view, "args.--mode") == ["fast", "fast", "slow", "slow", UNKNOWN, UNKNOWN, UNKNOWN]


def test_a_short_flag_has_values_too() -> None:
    """`-m fast`."""
    view = given(*["-m fast", "-m slow"] * 3)
    assert told(of_history(view, 2), view, "args.-m") == ["fast", "slow"] * 3


def test_a_flag_behind_a_flag_is_no_value() -> None:
    """Nor is what the next task begins with."""
    view = given("--force --mode fast", "--mode slow --force", "fast")
    source = of_history(view, 1)
    assert "args.--force" not in names_of(source)
    assert told(source, view, "args.has", "--force") == [True, True, False]


def test_numbers_of_a_flag_are_ordered() -> None:
    """Negative ones are values as others; a word among many numbers is unknown."""
    numbers = [f"--offset {number}" for number in (-5, 0, 10)] * 4
    view = given(*numbers, "--offset x", "--offset=-5")
    assert told(of_history(view, 1), view, "args.--offset") == [(None, -5), (-5, 0), (0, None)] * 4 + [
        UNKNOWN,
        (None, -5),
    ]


def test_a_flag_of_words_and_numbers_is_nominal() -> None:
    """With a tenth of words or more they are compared as texts."""
    view = given(*["--level 1", "--level 2", "--level high"] * 3)
    assert told(of_history(view, 2), view, "args.--level")[:3] == ["1", "2", "high"]


def test_an_argument_that_stands_only_behind_one_flag_is_left_to_it() -> None:
    """`fast` is told as the value of `--mode`, and not as an argument besides."""
    view = given(*["--mode fast", "--mode slow", "raw"] * 4)
    source = of_history(view, 2)
    has = [attribute.values[0] for attribute in source.attributes if attribute.name == "args.has"]
    assert sorted(has) == ["--mode", "raw"]


def test_an_argument_that_stands_alone_too_is_told() -> None:
    """It is then more than the flag's value."""
    view = given(*["--mode fast", "fast", "--mode slow"] * 4)
    assert told(of_history(view, 2), view, "args.has", "fast") == [True, True, False] * 4


def test_key_and_value_are_one_argument() -> None:
    """`KEY=value` is told as it stands."""
    view = given(*["A=1", "A=2"] * 4)
    assert told(of_history(view, 2), view, "args.has", "A=1") == [True, False] * 4


def test_what_every_task_has_is_not_told() -> None:
    """There is nothing to compare it with."""
    assert names_of(of_history(given(*["run --force"] * 20), 2)) == []


def test_paths_below_one_directory_are_told_together() -> None:
    """However many files there are."""
    view = given(*[line for number in range(6) for line in (f"/data/in/{number}", f"/data/out/{number}")])
    assert told(of_history(view, 3), view, "args.pathPrefix", "/data/in") == [True, False] * 6


def test_only_the_first_arguments_are_looked_at() -> None:
    """Of 300 the first hundred; the next task's are its own."""
    many = " ".join([*["x"] * (MOST_ARGS - 1), "in", *["out"] * 200])
    view = given(*[many, "y"] * 3)
    source = of_history(view, 2)
    assert told(source, view, "args.has", "in") == [True, False] * 3
    assert told(source, view, "args.has", "y") == [False, True] * 3
    assert "out" not in [attribute.values[0] for attribute in source.attributes]


def test_new_arguments_fall_into_the_levels_there_are() -> None:
    """A new text is other, a new number lies between the cuts."""
    columns = Columns()
    for key, (mode, size) in enumerate([("fast", "1"), ("slow", "9")] * 3):
        columns.put(key, [attempt(args=("--mode", mode, "--size", size), finished_at=START + key)])
    columns.settle()
    source = of_history(view_of(columns), 2)
    columns.put(99, [attempt(args=("--mode", "new", "--size=5", "--new"), finished_at=START + 99)])
    columns.settle()
    after = view_of(columns)
    assert told(source, after, "args.--mode")[-1] == OTHER
    assert told(source, after, "args.--size")[-2:] == [(1, None), (1, None)]


def test_without_arguments_nothing_is_told_of_them() -> None:
    """Neither where there are none, nor where they are not known."""
    assert names_of(of_history(given(*[None, ""] * 20), 1)) == []
