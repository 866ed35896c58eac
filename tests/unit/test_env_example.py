"""Tests of .env.example: it names every setting and prints the true defaults."""

import re
from pathlib import Path

import pytest

from documents import settings
from jobmgr import config

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
GIVEN = dict(re.findall(r"^# ([A-Z][A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))

OF_THE_MACHINE = {"slots", "node_name"}  # their defaults depend on where they are read


def test_every_setting_stands_in_the_example() -> None:
    """Whoever looks for a setting finds it there, and finds nothing that does not exist."""
    assert set(GIVEN) == set(config.known_names())


def test_the_example_prints_the_defaults(tmp_path: Path) -> None:
    """Uncommenting all of it changes nothing."""
    given = config.load(GIVEN, cwd=tmp_path).settings.model_dump(exclude=OF_THE_MACHINE)
    defaults = config.load({}, cwd=tmp_path).settings.model_dump(exclude=OF_THE_MACHINE)
    # There is no default program; the example shows the one that ./scripts/serve supplies.
    assert str(given.pop("job_script_path")).endswith(GIVEN["JOB_SCRIPT_PATH"])
    assert defaults.pop("job_script_path") is None
    assert given == defaults


FIELDS = {field.alias: field for field in config.Settings.model_fields.values()}


@pytest.mark.parametrize("name", config.known_names())
def test_every_setting_is_explained_where_it_stands(name: str) -> None:
    """In the example with its meaning just above, in the operator's table with its meaning beside."""
    meaning = FIELDS[name].description or ""
    above = re.search(rf"((?:^# .*\n)+)# {name}=", EXAMPLE, re.MULTILINE)
    assert above
    assert re.sub(r"\n?# ", " ", above[1]).strip().startswith(meaning.replace("`", "").rstrip("."))
    row = re.search(rf"^\| `{name}` \| (.+) \| (.*) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert row
    assert row[3] == meaning


def test_sizes_and_times_have_a_unit() -> None:
    """Nobody guesses between bytes and megabytes, seconds and milliseconds."""
    sized = [name for name in FIELDS if name and re.search("BYTES|DAYS|HOURS|TIMEOUT", name)]
    assert [name for name in sized if not re.search(rf"`{name}` .* (bytes|days|hours|seconds) ", OPERATIONS)] == []


def test_a_setting_without_meaning_cannot_be_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds one says what it is for."""
    monkeypatch.setattr(config.Settings.model_fields["port"], "description", None)
    with pytest.raises(ValueError, match="without name or description"):
        settings.table()


def test_headings_stand_before_settings_that_are_there() -> None:
    """None is lost when a setting goes."""
    assert set(settings.HEADINGS) | set(settings.DEPENDS) <= set(FIELDS)
