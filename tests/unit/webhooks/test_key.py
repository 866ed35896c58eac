"""The key of the server: made once, kept where only its owner reads it, never half a file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jobmgr.config import Settings
from jobmgr.errors import DataDirError
from jobmgr.signature import secret_trouble
from jobmgr.webhooks.key import FILE, ServerKey

GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G"


def a_key(directory: Path, **settings: str) -> ServerKey:
    """That of a server on this directory."""
    return ServerKey(Settings.model_validate({"JOBMGR_DATA_DIR": directory, **settings}))


def test_it_is_made_once_and_the_same_for_every_later_server(tmp_path: Path) -> None:
    """With mode 0600 and nothing beside it."""
    key = a_key(tmp_path).read()
    assert secret_trouble(key) is None
    assert a_key(tmp_path).read() == key
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_all_that_ask_at_once_get_the_same(tmp_path: Path) -> None:
    """Also while it is being made."""
    key, found = a_key(tmp_path), list[str]()
    threads = [threading.Thread(target=lambda: found.append(key.read())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_the_setting_wins_and_nothing_is_made(tmp_path: Path) -> None:
    """Whoever sets it keeps it elsewhere."""
    assert a_key(tmp_path, JOBMGR_WEBHOOK_SECRET=GIVEN).read() == GIVEN
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_half_made_is_no_key(tmp_path: Path) -> None:
    """It goes."""
    (tmp_path / f"{FILE}.new").write_text("whsec_half")
    assert secret_trouble(a_key(tmp_path).read()) is None
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["", "whsec_half", "correct-horse", "\u00e4" * 40])
def test_a_file_that_holds_no_key_is_told_and_neither_quoted_nor_replaced(tmp_path: Path, text: str) -> None:
    """A person may know what it was."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DataDirError, match=FILE) as refused:
        a_key(tmp_path).read()
    assert not text or text not in str(refused.value)
    assert (tmp_path / FILE).read_text() == text


def test_where_none_can_be_made_it_is_told(tmp_path: Path) -> None:
    """With the file."""
    with pytest.raises(DataDirError, match=FILE):
        a_key(tmp_path / "nowhere").read()
