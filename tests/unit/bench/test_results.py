"""Result files: what they must say, what they must not, and the page they end up in."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from bench import results
from bench.__main__ import publish

PAGE = "# Title\n<!-- bench:jobs -->\nold\n<!-- /bench:jobs -->\nbetween\n<!-- bench:submit -->\n<!-- /bench:submit -->\nend\n"


def test_a_table_replaces_what_is_between_its_markers() -> None:
    """Everything else on the page stays, and doing it again changes nothing."""
    once = results.put_table(PAGE, "jobs", "new")
    assert once == PAGE.replace("old", "new")
    assert results.put_table(once, "jobs", "new") == once


@pytest.mark.parametrize("page", ["", "<!-- bench:jobs -->", "<!-- /bench:jobs -->"])
def test_a_page_without_both_markers_is_refused(page: str) -> None:
    """Nothing is written at a guessed place."""
    with pytest.raises(ValueError, match="bench:jobs"):
        results.put_table(page, "jobs", "new")


def test_the_page_in_the_repository_has_the_markers() -> None:
    """All tables have their place in docs/performance.md."""
    page = results.PAGE.read_text(encoding="utf-8")
    for what in ("jobs", "submit", "list", "stats"):
        assert "new" in results.put_table(page, what, "new")


def test_surroundings_name_no_machine_and_no_path() -> None:
    """Kind of machine, versions and commit are there; host name and paths are not."""
    record = results.surroundings()
    text = json.dumps(record)
    assert socket.gethostname() not in json.dumps(list(record["machine"].values())).split()
    assert "/" not in text.replace(record["machine"]["cpu"], "")
    assert record["machine"]["cores"] >= 1 and record["commit"] and record["versions"]["python"]


def test_results_become_a_file_and_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds the record, the page the table with a line on where it comes from; `save=False` leaves both alone."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(results, "PAGE", tmp_path / "performance.md")
    (tmp_path / "performance.md").write_text(PAGE)
    record = {
        **results.surroundings(),
        "results": {"runs": [{"name": "a", "parallel": 2, "perSecond": 7.0, "seconds": [1.0]}], "skipped": {}},
    }
    publish("jobs", record, save=False)
    assert [path.name for path in tmp_path.iterdir()] == ["performance.md"]
    publish("jobs", record, save=True)
    assert json.loads((tmp_path / "results" / "jobs.json").read_text()) == record
    page = (tmp_path / "performance.md").read_text()
    assert "| a | 7 | – |" in page and f"commit {record['commit']}" in page and "between" in page
