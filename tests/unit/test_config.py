"""Settings: where they come from, and what is said about wrong ones."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, reset_tzpath

import pytest

from jobmgr.config import known_names, load
from jobmgr.errors import SettingsError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with an empty .env: relative paths resolve against it."""
    (tmp_path / ".env").write_text("")
    return tmp_path


def test_without_anything_the_defaults_hold(home: Path) -> None:
    """Loopback, port 3000, everything below the directory of .env."""
    settings = load({}, cwd=home).settings
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 3000, home / "data")
    assert settings.log_file == home / "logs/app.log"
    assert settings.job_script_path is None


def test_the_environment_beats_the_file(home: Path) -> None:
    """Environment, then .env, then the default."""
    (home / ".env").write_text("PORT=1111\nJOBMGR_RETRY=3\n")
    settings = load({"PORT": "2222"}, cwd=home).settings
    assert (settings.port, settings.retry) == (2222, 3)


def test_an_empty_value_means_unset(home: Path) -> None:
    """Compose files set what is not there to nothing."""
    assert load({"PORT": "", "JOB_SCRIPT_PATH": ""}, cwd=home).settings.port == 3000


def test_all_wrong_settings_are_reported_at_once(home: Path) -> None:
    """Each by its name, with its value and the reason."""
    with pytest.raises(SettingsError) as refused:
        load({"PORT": "x", "MAX_CONCURRENT_TASKS": "0", "JOBMGR_SHUTDOWN": "maybe"}, cwd=home)
    problems = "\n".join(refused.value.problems)
    assert len(refused.value.problems) == 3
    assert "PORT=x" in problems
    assert "MAX_CONCURRENT_TASKS=0" in problems
    assert "'wait', 'detach' or 'stop'" in problems


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_no_address_but_loopback_is_possible(home: Path, host: str) -> None:
    """Until tokens exist, whoever reaches the port could run programs."""
    with pytest.raises(SettingsError, match="loopback"):
        load({"JOBMGR_HOST": host}, cwd=home)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_has_many_names(home: Path, host: str) -> None:
    """All of them stay on this machine."""
    assert load({"JOBMGR_HOST": host}, cwd=home).settings.host == host


def test_an_unknown_setting_is_warned_about_with_the_nearest_name(home: Path) -> None:
    """A typing mistake must not be silent; foreign keys are none of our business."""
    loaded = load({"JOBMGR_DATADIR": "/x", "PATH": "/bin", "JOBMGR_ATTEMPT": "1"}, cwd=home)
    assert loaded.warnings == ("JOBMGR_DATADIR is not a setting of jobmgr; did you mean JOBMGR_DATA_DIR?",)


def test_a_password_never_appears_in_a_complaint(home: Path) -> None:
    """What goes to the terminal may go to a log."""
    with pytest.raises(SettingsError) as refused:
        load({"DATABASE_URL": "postgresql://u:hunter2@db/x"}, cwd=home)
    assert "hunter2" not in str(refused.value)


def test_a_home_directory_that_is_not_there_is_a_wrong_setting(home: Path) -> None:
    """Each by its name; `~` alone is one's own."""
    with pytest.raises(SettingsError) as refused:
        load({"JOBMGR_DATA_DIR": "~nobody-at-all/x", "JOB_SCRIPT_PATH": "~nobody-at-all/y", "PORT": "1"}, cwd=home)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "JOBMGR_DATA_DIR=~nobody-at-all/x",
        "JOB_SCRIPT_PATH=~nobody-at-all/y",
    ]
    assert load({"JOBMGR_DATA_DIR": "~/x"}, cwd=home).settings.data_dir == Path.home() / "x"


def test_lists_are_separated_by_commas(home: Path) -> None:
    """Blanks around names do not matter."""
    assert load({"JOBMGR_PASS_ENV": "A, B,,C "}, cwd=home).settings.pass_env == ("A", "B", "C")


def test_every_setting_is_in_the_example_file() -> None:
    """A newcomer finds all of them in one place."""
    example = (Path(__file__).parents[2] / ".env.example").read_text()
    assert [name for name in known_names() if f"{name}=" not in example] == []


@pytest.mark.parametrize(("name", "hours"), [("UTC", 0), ("Asia/Kolkata", 5.5), ("Etc/GMT+8", -8)])
def test_a_time_zone_is_known_by_its_name(home: Path, name: str, hours: float) -> None:
    """As the IANA writes it."""
    zone = load({"JOBMGR_TIMEZONE": name}, cwd=home).settings.zone
    assert datetime(2026, 11, 22, tzinfo=zone).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "name", ["Nowhere/Land", "Europe", "../UTC", "/etc/localtime", "UTC+3", "x" * 5000, "\0", "Ünknown"]
)
def test_a_time_zone_that_is_none_is_refused_with_the_remedy(home: Path, name: str) -> None:
    """Names, folders, paths and offsets that are no zone."""
    with pytest.raises(
        SettingsError, match=r"^JOBMGR_TIMEZONE=.*not a time zone; write an IANA name such as Europe/Berlin"
    ):
        load({"JOBMGR_TIMEZONE": name}, cwd=home)


def test_a_machine_without_time_zones_knows_utc(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other needs the package that is named."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    ZoneInfo.clear_cache()
    reset_tzpath([str(home)])
    try:
        assert load({}, cwd=home).settings.zone is UTC
        with pytest.raises(SettingsError, match="pip install tzdata"):
            load({"JOBMGR_TIMEZONE": "Europe/Berlin"}, cwd=home)
    finally:
        reset_tzpath()
