"""The environment and `.env` before anything is checked: which wins, which lines say nothing, and where the server is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobmgr import environment
from jobmgr.config import load
from jobmgr.errors import SettingsError


def in_file(directory: Path, text: str, **environ: str) -> environment.Environment:
    """What is found with this `.env` and this environment."""
    (directory / ".env").write_text(text)
    return environment.read(environ, cwd=directory)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A name that stands in both has the value of the environment."""
    found = in_file(tmp_path, "PORT=1\nJOBMGR_RETRY=3\n", PORT="2")
    assert found.given(("PORT", "JOBMGR_RETRY", "JOBMGR_HOST")) == {"PORT": "2", "JOBMGR_RETRY": "3"}


def test_nothing_in_the_environment_unsets_what_the_file_says(tmp_path: Path) -> None:
    """An empty value means unset, and the environment still wins."""
    assert in_file(tmp_path, "PORT=1\n", PORT="").given(("PORT",)) == {}


def test_without_a_file_there_is_none(tmp_path: Path) -> None:
    """In a checkout its own directory is the base, where no `.env` need be."""
    found = environment.read({}, cwd=tmp_path)
    assert found.base == Path(environment.__file__).parents[1]
    assert found.file in (None, found.base / ".env")


def test_lines_that_say_nothing_are_named_by_number(tmp_path: Path) -> None:
    """What was meant as a setting is not dropped in silence; the good lines hold."""
    found = in_file(tmp_path, "# mine\n\nPORT 4000\nPORT=1\n\n\nJOBMGR_RETRY\n=x\n'a=b\nJOBMGR_HOST=::1\n")
    assert [warning.partition(": ")[2] for warning in found.warnings] == [
        f"line {line} is ignored: it is not NAME=value" for line in (3, 7, 8, 9)
    ]
    assert found.from_file == {"PORT": "1", "JOBMGR_HOST": "::1"}


def test_a_line_that_says_nothing_is_not_logged_by_the_parser(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The person reads one warning, in our words."""
    in_file(tmp_path, "PORT 4000\n")
    assert caplog.records == []
    assert capfd.readouterr().err == ""


def test_a_file_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    """With its mark before the first name and its line ends."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=1\r\nJOBMGR_HOST=::1\r\n")
    assert environment.read({}, cwd=tmp_path).from_file == {"PORT": "1", "JOBMGR_HOST": "::1"}


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """By its name; the environment is still known."""
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    found = environment.read({"PORT": "1"}, cwd=tmp_path)
    assert found.given(("PORT",)) == {"PORT": "1"}
    with pytest.raises(SettingsError, match=r"\.env: cannot be read"):
        environment.server_url(found)
    with pytest.raises(SettingsError, match=r"\.env: cannot be read"):
        load({"PORT": "1"}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:3000"),
        ({"PORT": "4000"}, "http://127.0.0.1:4000"),
        ({"JOBMGR_HOST": "::1", "PORT": "1"}, "http://[::1]:1"),
        ({"JOBMGR_HOST": "0.0.0.0"}, "http://127.0.0.1:3000"),
        ({"JOBMGR_HOST": "::"}, "http://[::1]:3000"),
        ({"JOBMGR_HOST": "localhost"}, "http://localhost:3000"),
        ({"JOBMGR_URL": "http://build:3000/", "PORT": "x"}, "http://build:3000"),
        ({"JOBMGR_URL": "https://jobs.example.org/here"}, "https://jobs.example.org/here"),
    ],
)
def test_clients_find_the_server(tmp_path: Path, environ: dict[str, str], url: str) -> None:
    """By JOBMGR_URL, else where the settings let it listen."""
    assert environment.server_url(in_file(tmp_path, "", **environ)) == url


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"PORT": "0"}, "PORT=0: .*set JOBMGR_URL"),
        ({"PORT": "65536"}, "PORT=65536: not a port"),
        ({"PORT": "²"}, "not a port"),
        ({"PORT": "-1"}, "not a port"),
        ({"JOBMGR_URL": "build:3000"}, "JOBMGR_URL: not an address"),
        ({"JOBMGR_URL": "http://"}, "not an address"),
        ({"JOBMGR_URL": "http://me:secret@build"}, "^JOBMGR_URL: not an address.*without user and password$"),
        ({"JOBMGR_URL": "ftp://build"}, "not an address"),
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, environ: dict[str, str], complaint: str) -> None:
    """With the name of the setting and the remedy."""
    with pytest.raises(SettingsError, match=complaint):
        environment.server_url(in_file(tmp_path, "", **environ))


def test_nothing_slow_is_imported_to_find_the_server() -> None:
    """Neither pydantic nor the parser of `.env`, where there is none."""
    code = "import sys; from jobmgr import environment; print(sorted({'pydantic', 'dotenv', 'asyncio'} & sys.modules.keys()))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
