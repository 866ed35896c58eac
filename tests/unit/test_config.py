"""Settings: where they come from, and what is said about wrong ones."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo, reset_tzpath

import pytest

from jobmgr.config import judge, known_names, load
from jobmgr.environment import read
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


def test_wrong_ones_of_every_kind_and_place_are_told_together(home: Path) -> None:
    """Numbers, choices, addresses, paths, zones; from the file and from the environment; one that is right is not named."""
    (home / ".env").write_text(
        "JOBMGR_EVENT_DAYS=nan\nJOBMGR_LAUNCHER=fork\nJOBMGR_TIMEZONE=Mars\nJOBMGR_RETRY=2\nJOB_SCRIPT_PATH=~nobody-at-all/x\n"
    )
    environ = {
        "PORT": "70000",
        "JOBMGR_HOST": "0.0.0.0",
        "JOBMGR_URL": "here",
        "DATABASE_URL": "x",
        "JOBMGR_LOG_FILES": "1.5",
    }
    with pytest.raises(SettingsError) as refused:
        load(environ, cwd=home)
    named = {problem.partition(":")[0].partition("=")[0] for problem in refused.value.problems}
    assert named == {*environ, "JOBMGR_EVENT_DAYS", "JOBMGR_LAUNCHER", "JOBMGR_TIMEZONE", "JOB_SCRIPT_PATH"}
    assert len(refused.value.problems) == len(named)


def test_the_good_ones_hold_beside_wrong_ones(home: Path) -> None:
    """Who only looks (doctor) goes on with the default in place of what is wrong."""
    (home / ".env").write_text("PORT=x\nJOBMGR_RETRY=2\nJOBMGR_DATA_DIR=~nobody-at-all/x\n")
    judged = judge(read({}, cwd=home))
    assert (judged.settings.port, judged.settings.retry, judged.settings.data_dir) == (3000, 2, home / "data")
    assert len(judged.problems) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBMGR_WEBHOOK_HOSTS", "10.0.0.1/8"),
        ("JOBMGR_WEBHOOK_HOSTS", "http://localhost"),
        ("JOBMGR_WEBHOOK_SECRET", "correct-horse-battery"),
        ("JOBMGR_WEBHOOK_RETRY_DELAY", "0"),
        ("JOBMGR_WEBHOOK_RETRY_DELAY", "5s"),
        ("JOBMGR_DELIVERY_DAYS", "-1"),
    ],
)
def test_a_wrong_setting_of_webhooks_is_named_and_a_secret_is_not_quoted(home: Path, name: str, value: str) -> None:
    """It may be a real one, mistyped."""
    with pytest.raises(SettingsError) as refused:
        load({name: value}, cwd=home)
    [problem] = refused.value.problems
    assert problem.startswith(name)
    assert (value in problem) == (name != "JOBMGR_WEBHOOK_SECRET")


def test_whom_webhooks_may_call_is_read_from_a_list(home: Path) -> None:
    """Names, addresses and networks."""
    allowed = load({"JOBMGR_WEBHOOK_HOSTS": "localhost, 10.0.0.0/8,::1"}, cwd=home).settings.callable_hosts
    assert allowed.has_name("LOCALHOST")
    assert allowed.has_address(ip_address("10.9.9.9")) and allowed.has_address(ip_address("::1"))


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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PORTT", "PORT"),
        ("PRT", "PORT"),
        ("port", "PORT"),
        ("PROT", "PORT"),
        ("OPRT", "PORT"),
        ("JOB_SCRIPTS_PATH", "JOB_SCRIPT_PATH"),
        ("MAX_CONCURENT_TASKS", "MAX_CONCURRENT_TASKS"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("DB_PASWORD", "DB_PASSWORD"),
    ],
)
def test_a_name_in_the_file_that_is_nearly_ours_is_warned_about(home: Path, name: str, meant: str) -> None:
    """It stands in our file, so it was meant for us."""
    (home / ".env").write_text(f"{name}=1\n")
    loaded = load({}, cwd=home)
    assert loaded.warnings == (f"{home / '.env'}: {name} is not a setting of jobmgr; did you mean {meant}?",)


@pytest.mark.parametrize(
    "name", ["HTTP_PORT", "PORTS", "DATABASE_URI", "DB_PASSWD", "DB_USER", "PGPASSWORD", "POST", "SORT", "PATH", "A"]
)
def test_names_of_others_are_left_alone(home: Path, name: str) -> None:
    """A `.env` may be shared."""
    (home / ".env").write_text(f"{name}=1\n")
    assert load({}, cwd=home).warnings == ()


def test_an_unknown_setting_of_the_file_is_told_with_the_file(home: Path) -> None:
    """Unless the environment has it as well, whose value wins."""
    (home / ".env").write_text("JOBMGR_DATADIR=/x\n")
    told = "JOBMGR_DATADIR is not a setting of jobmgr; did you mean JOBMGR_DATA_DIR?"
    assert load({}, cwd=home).warnings == (f"{home / '.env'}: {told}",)
    assert load({"JOBMGR_DATADIR": "/y"}, cwd=home).warnings == (told,)


def test_wrong_settings_do_not_hide_the_warnings(home: Path) -> None:
    """The misspelt name may be why another one is wrong."""
    (home / ".env").write_text("PROT=3111\nJOBMGR_NO=1\nnothing\n")
    with pytest.raises(SettingsError) as refused:
        load({"PORT": "abc"}, cwd=home)
    assert len(refused.value.problems) == 1
    assert len(refused.value.warnings) == 3


def test_what_is_nearly_ours_in_the_environment_is_left_alone(home: Path) -> None:
    """The environment is everybody's."""
    assert load({"PORTT": "1", "MAX_CONCURENT_TASKS": "1"}, cwd=home).warnings == ()


def test_a_line_that_says_nothing_is_a_warning(home: Path) -> None:
    """With its number; the server starts."""
    (home / ".env").write_text("\nPORT 4000\n")
    loaded = load({}, cwd=home)
    assert loaded.warnings == (f"{home / '.env'}: line 2 is ignored: it is not NAME=value",)
    assert loaded.settings.port == 3000


def test_the_password_of_the_database_is_taken_and_never_shown(home: Path) -> None:
    """It waits for a database that has one."""
    settings = load({"DB_PASSWORD": "hunter2"}, cwd=home).settings
    assert settings.db_password is not None
    assert settings.db_password.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_another_database_is_refused_in_a_sentence(home: Path) -> None:
    """Whoever sets one learns that it is not used, instead of finding an empty one later."""
    with pytest.raises(
        SettingsError, match=r"^DATABASE_URL: another database than SQLite is not supported yet; unset it$"
    ):
        load({"DATABASE_URL": "postgresql://u:${DB_PASSWORD}@db/x", "DB_PASSWORD": "x"}, cwd=home)


def test_the_address_for_the_commands_is_a_setting(home: Path) -> None:
    """The server takes it without a word and listens where it listens."""
    loaded = load({"JOBMGR_URL": "http://build:3000"}, cwd=home)
    assert loaded.warnings == ()
    assert (loaded.settings.url, loaded.settings.port) == ("http://build:3000", 3000)


def test_a_password_never_appears_in_a_complaint(home: Path) -> None:
    """What goes to the terminal may go to a log."""
    with pytest.raises(SettingsError) as refused:
        load({"DATABASE_URL": "postgresql://u:hunter2@db/x"}, cwd=home)
    assert "hunter2" not in str(refused.value)


def test_a_home_directory_that_is_not_there_is_a_wrong_setting(home: Path) -> None:
    """Each by its name; `~` alone is one's own."""
    with pytest.raises(SettingsError) as refused:
        load({"JOBMGR_DATA_DIR": "~nobody-at-all/x", "JOB_SCRIPT_PATH": "~nobody-at-all/y", "PORT": "1"}, cwd=home)
    assert sorted(problem.partition(":")[0] for problem in refused.value.problems) == [
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
