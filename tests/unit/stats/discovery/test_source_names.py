"""What a name tells."""

from __future__ import annotations

from itertools import cycle, islice

import pytest

from jobmgr.stats.columns import Columns
from jobmgr.stats.discovery.attributes import View
from jobmgr.stats.discovery.source_names import family, of_history, words
from tests.unit.stats.discovery.views import OTHER, UNKNOWN, names_of, told, view_of
from tests.unit.stats.histories import START, attempt


def named(*names: str | None, times: int = 1) -> View:
    """Tasks with these names, so many times over, in this order."""
    rows = [
        attempt(job_name=name, finished_at=START + place)
        for place, name in enumerate(islice(cycle(names), len(names) * times))
    ]
    return view_of(rows)


@pytest.mark.parametrize(
    ("name", "kin"),
    [
        ("encode-17", "encode-#"),
        ("a1b22", "a#b#"),
        ("2026-01-31", "#-#-#"),
        ("plain", "plain"),
        ("", ""),
        ("٣", "٣"),
    ],
)
def test_a_family_has_a_sign_for_every_number(name: str, kin: str) -> None:
    """ASCII numbers of any length; other scripts' digits stay as they are."""
    assert family(name) == kin


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("Nightly_ETL-v2 x", {"nightly", "etl"}),
        ("café/ñandú", {"café", "ñandú"}),
        ("a-b-c 1 2", set()),
        ("run_run.RUN", {"run"}),
        ("", set()),
        ("\ud800", set()),
    ],
)
def test_words_are_runs_of_letters(name: str, own: set[str]) -> None:
    """In lower case, two letters at least, whatever is between them."""
    assert words(name) == own


def test_frequent_names_are_levels_and_others_are_other() -> None:
    """So many tasks at least; unknown is neither."""
    view = named("a", "a", "b", "b", "rare", None)
    assert told(of_history(view, 2), view, "name") == ["a", "a", "b", "b", OTHER, UNKNOWN]


def test_a_family_is_of_several_names() -> None:
    """That of one name would say what the name says."""
    view = named("encode-1", "encode-2", "report-1", times=2)
    assert told(of_history(view, 2), view, "name.family") == ["encode-#", "encode-#", OTHER] * 2


def test_a_word_is_told_where_several_names_share_it_and_not_all() -> None:
    """`nightly` is in two of three names, `job` in all, `sync` in one."""
    view = named("job nightly sync", "job nightly load", "job hourly", times=3)
    source = of_history(view, 3)
    assert names_of(source).count("name.token") == 1
    assert told(source, view, "name.token", "nightly") == [True, True, False] * 3


def test_the_length_counts_characters() -> None:
    """Not bytes; an unknown name has none."""
    view = named("ñ" * 3, "x" * 5, "ab", None)
    assert told(of_history(view, 1), view, "name.length") == [(2, 3), (3, None), (None, 2), UNKNOWN]


def test_digits_are_ascii_and_told_only_where_there_are_any() -> None:
    """As the basic pattern has it."""
    with_digits, without = named("a1", "b", None), named("a", "٣", "²")
    assert told(of_history(with_digits, 1), with_digits, "name.hasDigits") == [True, False, False]
    assert "name.hasDigits" not in names_of(of_history(without, 1))


def test_new_names_fall_into_the_levels_there_are() -> None:
    """Names that come after the choice are judged by it, and those before stay as they were."""
    columns = Columns()
    for key, name in enumerate(["job-1", "job-2", "x"] * 2):
        columns.put(key, [attempt(job_name=name, finished_at=START + key)])
    columns.settle()
    source = of_history(view_of(columns), 2)
    before = source.encode(view_of(columns))
    columns.put(100, [attempt(job_name="job-3", finished_at=START + 100)])
    columns.settle()
    after = view_of(columns)
    assert (source.encode(after)[:, :6] == before).all()
    assert told(source, after, "name.family")[-1] == "job-#"
    assert told(source, after, "name")[-1] == OTHER


def test_without_names_nothing_is_told_of_them() -> None:
    """Unknown names are no attribute."""
    assert names_of(of_history(named(None, None, times=20), 1)) == []
    assert names_of(of_history(named(), 1)) == []
