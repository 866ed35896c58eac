"""Tests of .env.example: it names every setting and prints the true defaults."""

import re
from pathlib import Path

from jobmgr import config

EXAMPLE = (Path(__file__).parents[2] / ".env.example").read_text()
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
