"""Settings: from the environment, then `.env`, then the default. All wrong ones are reported at once, before anything starts.

Read once, by `load`, from what `environment` found. Relative paths resolve against the directory of `.env`, else of the checkout, else the
current one. Keys of others in `.env` are none of our business; an unknown `JOBMGR_*` is warned about with the nearest known name, and so is
a name in `.env` that looks like one of ours that has no prefix.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from jobmgr import environment
from jobmgr.addresses import Allowed
from jobmgr.environment import Environment
from jobmgr.errors import SettingsError
from jobmgr.misspelt import doubtful
from jobmgr.remedies import remedy
from jobmgr.signature import secret_trouble

MIB = 1024 * 1024

CommaSeparated = Annotated[tuple[str, ...], Field(default=())]


class Settings(BaseModel):
    """Every setting, checked and complete; paths are absolute. The alias of a field is the name that users set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    # The order is that of the documents, which put a heading before PORT, JOB_SCRIPT_PATH, MAX_CONCURRENT_TASKS, JOBMGR_DATA_DIR
    # and JOBMGR_LOG_FILE (documents/settings.py): a new one stands with its like.
    port: int = Field(
        environment.DEFAULT_PORT,
        alias="PORT",
        ge=0,
        le=65535,
        description="Port to listen on; 0 takes a free one, which the server prints.",
    )
    host: str = Field(
        environment.DEFAULT_HOST,
        alias="JOBMGR_HOST",
        description="Address to listen on. Loopback only (127.0.0.1, ::1, localhost) until access tokens exist: "
        "whoever reaches it can run programs.",
    )
    url: str | None = Field(
        None,
        alias="JOBMGR_URL",
        repr=False,
        description="Where the commands of `jobmgr` find the server; the server itself does not use it. "
        "Unset: what JOBMGR_HOST and PORT say.",
    )
    allowed_hosts: CommaSeparated = Field(
        (),
        alias="JOBMGR_ALLOWED_HOSTS",
        description="Host names accepted in requests besides the loopback ones, separated by commas.",
    )
    allowed_origins: CommaSeparated = Field(
        (),
        alias="JOBMGR_ALLOWED_ORIGINS",
        description="Origins whose pages may change things here, separated by commas.",
    )
    max_watchers: int = Field(
        20_000,
        alias="JOBMGR_MAX_WATCHERS",
        ge=1,
        le=1_000_000,
        description="How many may watch at once; further ones get 503. Each needs an open file, of which the system allows so many (`ulimit -n`).",
    )
    max_body_bytes: int = Field(16 * MIB, alias="JOBMGR_MAX_BODY_BYTES", ge=1024, description="Largest request body.")

    job_script_path: Path | None = Field(
        None,
        alias="JOB_SCRIPT_PATH",
        description="The program of submissions that name none. Unset: such a submission is refused (409); "
        "`./scripts/serve` alone supplies the sample.",
    )
    scripts_dir: Path = Field(
        Path("scripts/jobs"), alias="JOBMGR_SCRIPTS_DIR", description='Where the "script" of a submission is looked up.'
    )
    catalog: Path = Field(
        Path("jobs.toml"),
        alias="JOBMGR_CATALOG",
        description="The job types (docs/types.md), read at start. Without the default file there are none; "
        "another one must be there.",
    )
    allow_commands: bool = Field(
        default=False,
        alias="JOBMGR_ALLOW_COMMANDS",
        description='Whether a submission may run any program of this machine ("command"), never through a shell.',
    )
    pass_env: CommaSeparated = Field(
        (),
        alias="JOBMGR_PASS_ENV",
        description="Names of variables, separated by commas, that jobs see of the server's environment "
        "besides PATH, HOME, USER, LANG and the like.",
    )

    slots: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        alias="MAX_CONCURRENT_TASKS",
        ge=1,
        le=10_000,
        description="How many attempts run at once.",
    )
    retry: int = Field(
        1,
        alias="JOBMGR_RETRY",
        ge=0,
        le=1000,
        description="How often a crash is retried when the submission says nothing; 0 means one attempt.",
    )
    launcher: Literal["keeper", "direct"] = Field(
        "keeper" if sys.platform == "linux" else "direct",
        alias="JOBMGR_LAUNCHER",
        description="keeper: jobs survive the server. direct: jobs end with it (the only choice where there is no Linux).",
    )
    shutdown: Literal["wait", "detach", "stop"] = Field(
        "wait",
        alias="JOBMGR_SHUTDOWN",
        description="What SIGTERM and Ctrl+C do to running jobs: `wait` for them, `detach` from them (they run on), "
        "or `stop` them.",
    )
    shutdown_timeout: float = Field(
        30.0,
        alias="JOBMGR_SHUTDOWN_TIMEOUT",
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="How long `wait` waits before it detaches; without a keeper, before it stops what is left.",
    )

    data_dir: Path = Field(
        Path("data"),
        alias="JOBMGR_DATA_DIR",
        description="Where jobs, their output and the keepers live; on a local disk. One server per directory.",
    )
    database_url: str | None = Field(
        None,
        alias="DATABASE_URL",
        repr=False,
        description="Unset: SQLite in the data directory. No other database is supported yet, so any value is refused.",
    )
    db_password: SecretStr | None = Field(
        None,
        alias="DB_PASSWORD",
        repr=False,
        description="The password that DATABASE_URL will name as `${DB_PASSWORD}`. "
        "Accepted, never shown, and without effect until another database is supported.",
    )
    disk_floor_bytes: int = Field(
        256 * MIB,
        alias="JOBMGR_DISK_FLOOR_BYTES",
        ge=0,
        description="With less room than this on the data disk new jobs get 507, and running ones go on.",
    )
    output_cap_bytes: int = Field(
        64 * MIB,
        alias="JOBMGR_OUTPUT_CAP_BYTES",
        ge=64 * 1024,
        description="Output kept of one attempt; beyond it the middle goes.",
    )
    event_days: float = Field(
        7.0, alias="JOBMGR_EVENT_DAYS", gt=0, le=3660, allow_inf_nan=False, description="How long events are kept."
    )
    watcher_days: float = Field(
        30.0,
        alias="JOBMGR_WATCHER_DAYS",
        gt=0,
        le=3660,
        allow_inf_nan=False,
        description="How long a watcher that named itself is remembered after it was last connected.",
    )
    idempotency_hours: float = Field(
        24.0,
        alias="JOBMGR_IDEMPOTENCY_HOURS",
        gt=0,
        le=8760,
        allow_inf_nan=False,
        description="How long an `Idempotency-Key` is remembered.",
    )

    delivery_days: float = Field(
        30.0,
        alias="JOBMGR_DELIVERY_DAYS",
        gt=0,
        le=3660,
        allow_inf_nan=False,
        description="How long deliveries of webhooks are listed after they ended.",
    )

    webhook_hosts: CommaSeparated = Field(
        (),
        alias="JOBMGR_WEBHOOK_HOSTS",
        description="Names, addresses and networks, separated by commas, that webhooks may call although they are private: "
        "`localhost, 10.0.0.0/8`.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        alias="JOBMGR_WEBHOOK_SECRET",
        repr=False,
        description="What signs the callbacks of jobs (`whsec_` and base64). Unset: made once, and kept in the data directory "
        "as `webhook-secret`.",
    )
    webhook_retry_delay: float = Field(
        5.0,
        alias="JOBMGR_WEBHOOK_RETRY_DELAY",
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="The wait after the first try of a webhook that failed; each further one is four times as long, at most 12 hours.",
    )

    log_file: Path = Field(Path("logs/app.log"), alias="JOBMGR_LOG_FILE", description="The log; it rotates itself.")
    log_max_bytes: int = Field(
        100 * MIB, alias="JOBMGR_LOG_MAX_BYTES", ge=4096, description="Size at which the log rotates."
    )
    log_files: int = Field(5, alias="JOBMGR_LOG_FILES", ge=1, le=1000, description="How many log files are kept.")
    node_name: str = Field(
        "", alias="JOBMGR_NODE_NAME", max_length=255, description="This node's name, in every answer."
    )
    timezone: str = Field(
        "UTC",
        alias="JOBMGR_TIMEZONE",
        description="Where GET /stats counts the hours of the day: an IANA name such as Europe/Berlin. "
        "On Windows other zones than UTC need `pip install tzdata`.",
    )

    @property
    def zone(self) -> tzinfo:
        """The time zone itself."""
        return time_zone(self.timezone)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        time_zone(value)
        return value

    @property
    def callable_hosts(self) -> Allowed:
        """What webhooks may call although it is private."""
        return Allowed.of(self.webhook_hosts)

    @field_validator("webhook_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Allowed.of(value)
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (trouble := secret_trouble(value.get_secret_value())):
            raise ValueError(trouble)
        return value

    @field_validator("pass_env", "allowed_hosts", "allowed_origins", "webhook_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value != "localhost" and not _is_loopback(value):
            raise ValueError(
                "only loopback (127.0.0.1, ::1, localhost) is possible until access tokens exist: anyone could run programs here"
            )
        return value

    @field_validator("url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value and not environment.is_url(value):
            raise ValueError(environment.NOT_A_URL)
        return value

    @field_validator("launcher")
    @classmethod
    def _possible(cls, value: str) -> str:
        if value == "keeper" and sys.platform != "linux":
            raise ValueError("a keeper needs Linux; use direct")
        return value

    @field_validator("database_url")
    @classmethod
    def _sqlite_only(cls, value: str | None) -> str | None:
        if value:
            raise ValueError("another database than SQLite is not supported yet; unset it")
        return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, the directory that relative paths were resolved against, and warnings to show."""

    settings: Settings
    base: Path
    warnings: tuple[str, ...]
    environ: Mapping[str, str]
    """The server's own environment, of which jobs get to see a few names."""
    problems: tuple[str, ...] = ()
    """What is wrong; `settings` has the default in its place. Always empty from `load`."""


def load(environ: Mapping[str, str] | None = None, *, cwd: Path | None = None) -> Loaded:
    """Read the settings. Raises SettingsError with every wrong one and every warning."""
    loaded = judge(environment.read(environ, cwd=cwd))
    if loaded.problems:
        raise SettingsError(loaded.problems, loaded.warnings)
    return loaded


def judge(found: Environment) -> Loaded:
    """The settings that are good, with the default in place of each wrong one, and what is wrong with those."""
    given: dict[str, str] = found.given(known_names())
    settings, problems = _checked(given, found.base)
    if not settings.node_name:
        settings = settings.model_copy(update={"node_name": f"{socket.gethostname()}-{settings.port}"})
    warnings = (*found.warnings, *doubtful(found, known_names()))
    return Loaded(settings, found.base, warnings, found.own, (*found.problems, *problems))


def _checked(given: Mapping[str, str], base: Path) -> tuple[Settings, list[str]]:
    wrong: dict[str, str] = {}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]): _problem(detail) for detail in error.errors()}
        settings = Settings.model_validate({name: value for name, value in given.items() if name not in wrong})
    settings, lost = _absolute(settings, base)
    return settings, [*wrong.values(), *lost]


_UNSHOWN = frozenset(field.alias for field in Settings.model_fields.values() if not field.repr)


def known_names() -> tuple[str, ...]:
    """The names of all settings, in the order of their definition."""
    return tuple(field.alias or name for name, field in Settings.model_fields.items())


def _absolute(settings: Settings, base: Path) -> tuple[Settings, list[str]]:
    paths: dict[str, Path | None] = {}
    problems = []
    for name, value in settings:
        if isinstance(value, Path):
            try:
                paths[name] = base / value.expanduser()
            except RuntimeError:
                field = type(settings).model_fields[name]
                problems.append(f"{field.alias}={value}: there is no such home directory; write the path without ~")
                paths[name] = base / field.default if field.default else None
    catalog = paths.get("catalog")
    if "catalog" in settings.model_fields_set and catalog is not None and not catalog.is_file():
        problems.append(f"JOBMGR_CATALOG={catalog}: there is no such file; write it, or leave the setting out")
    return settings.model_copy(update=paths), problems


def _problem(detail: ErrorDetails) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    message = remedy(detail)
    # The value is shown because it may come from a file that nobody thought of; never that of a setting with a password in it.
    value = "" if name in _UNSHOWN else f"={detail['input']}"
    return f"{name}{value}: {message[:1].lower()}{message[1:]}"


def time_zone(name: str) -> tzinfo:
    """The zone of this name; UTC without asking the machine, which may know none. Raises ValueError with the remedy."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # Not there; no possible name (`../x`); the name of a folder (`Europe`).
        if available_timezones():
            raise ValueError("not a time zone; write an IANA name such as Europe/Berlin, or UTC") from None
        raise ValueError(
            "this machine has no time zones, as is usual on Windows; install them with: pip install tzdata, or use UTC"
        ) from None


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False
