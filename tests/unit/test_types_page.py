"""docs/types.md: what it must not leave out, and that its example is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobmgr.catalog import JobType, Parameter, load_catalog
from jobmgr.secrets import MAX_PARTS, MAX_SECRET_BYTES, MIN_SECRET
from jobmgr.submission import MAX_LABELS

PAGE = (Path(__file__).parents[2] / "docs" / "types.md").read_text()


@pytest.mark.parametrize("field", [*JobType.model_fields, *Parameter.model_fields])
def test_every_key_of_the_catalog_is_told(field: str) -> None:
    """A key that nobody reads of is used by nobody."""
    assert f"`{field}`" in PAGE or re.search(rf"^{field} = ", PAGE, re.MULTILINE)


def test_the_example_is_a_catalog(tmp_path: Path) -> None:
    """It is read as it stands, and becomes what the page says."""
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "jobs.toml").write_text(example)
    filled = load_catalog(tmp_path / "jobs.toml").types["encode"].fill({"file": "a.mov", "key": "abcd"})
    assert f"encode.sh {' '.join(filled.arguments)}`" in PAGE
    assert filled.secret_env == {"ENCODER_KEY": "abcd"}


def test_the_limits_are_true() -> None:
    """As the code has them."""
    assert (
        f"at least {MIN_SECRET} characters; all secrets of a job have at most {MAX_SECRET_BYTES // 1024} KiB and {MAX_PARTS} lines"
        in PAGE
    )
    assert f"up to {MAX_LABELS} short texts" in PAGE
