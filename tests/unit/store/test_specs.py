"""Specs as text: what is kept, what reads as its default, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.errors import DataDirError
from jobmgr.job import JobSpec, RetryPolicy
from jobmgr.store.specs import SpecCache, decode_spec, encode_spec

PLAIN = JobSpec(name="a", script="/b")
NUMBERS = st.floats(0, 1e6)
SPECS = st.builds(
    JobSpec,
    name=st.text(),
    script=st.text(),
    args=st.lists(st.text(st.characters())).map(tuple),
    num_tasks=st.integers(1, 10**5),
    indexed=st.booleans(),
    priority=st.integers(),
    retry=st.builds(
        RetryPolicy,
        max_attempts=st.integers(1),
        delay=NUMBERS,
        on=st.lists(st.text()).map(tuple),
        exit_codes=st.none() | st.lists(st.integers()).map(tuple),
    ),
    env=st.dictionaries(st.text(), st.text()),
    cwd=st.none() | st.text(),
    timeout=st.none() | NUMBERS,
    success_codes=st.lists(st.integers()).map(tuple),
    separate_stderr=st.booleans(),
    callback_url=st.none() | st.text(),
)


@given(SPECS)
def test_a_spec_comes_back_as_it_was(spec: JobSpec) -> None:
    """Any text, also lone surrogates; lists become tuples again."""
    assert decode_spec(encode_spec(spec), spec.num_tasks) == spec


def test_only_what_differs_from_the_defaults_is_kept() -> None:
    """Most rows are short."""
    assert json.loads(encode_spec(PLAIN)) == {"name": "a", "script": "/b"}
    assert json.loads(encode_spec(replace(PLAIN, retry=RetryPolicy(max_attempts=5))))["retry"] == {"max_attempts": 5}


def test_the_defaults_that_old_rows_rely_on_are_what_they_were() -> None:
    """A row without a field means this value. To change a default, write the old one into the rows by a migration first."""
    defaults = JobSpec(name="a", script="/b")
    assert (defaults.args, defaults.indexed, defaults.priority, dict(defaults.env), defaults.cwd) == (
        (),
        False,
        0,
        {},
        None,
    )
    assert (defaults.timeout, defaults.deadline, defaults.stop_timeout, defaults.stop_signal) == (None, None, 10.0, 15)
    assert (defaults.leftovers, defaults.success_codes, defaults.separate_stderr) == ("stop", (0,), False)
    assert defaults.callback_url is None
    retry = defaults.retry
    assert (retry.max_attempts, retry.delay, retry.factor, retry.max_delay, retry.jitter) == (2, 1.0, 2.0, 60.0, 0.1)
    assert (retry.on, retry.exit_codes) == (("exit", "signal", "oom", "timeout"), None)


@pytest.mark.parametrize(
    "text", ['{"name":"a","script":"/b","wings":2}', '{"name":"a","script":"/b","retry":{"wings":2}}']
)
def test_a_field_of_a_newer_version_is_refused(text: str) -> None:
    """Running a job without what its newer field asks for would be wrong silently."""
    with pytest.raises(DataDirError, match=r"wings.*newer"):
        decode_spec(text, 1)


def test_the_cache_is_bounded_by_bytes_but_keeps_the_newest() -> None:
    """A large spec pushes the others out and stays itself."""
    cache = SpecCache(limit_bytes=100)
    cache.put(1, PLAIN, 60)
    cache.put(2, PLAIN, 30)
    assert cache.get(1) is PLAIN
    cache.put(3, PLAIN, 30)
    assert (cache.get(2), cache.get(1)) == (None, PLAIN)
    cache.put(4, PLAIN, 5000)
    assert (cache.get(1), cache.get(3), cache.get(4)) == (None, None, PLAIN)
    cache.put(5, PLAIN, 90)
    assert (cache.get(4), cache.get(5)) == (None, PLAIN)
    cache.clear()
    assert cache.get(5) is None
