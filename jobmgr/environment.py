"""The environment and `.env`: what a person has set, as text, and where relative paths begin. Nothing is checked here; `config` does that.

The only reader of the environment besides process/, which hands it on to jobs. Light to import: the command line needs no more than this to
find its server, so `.env` is opened, and its parser imported, only when it is there. What stands in the environment wins over `.env`; an
empty value means unset, also there: compose files and CI set variables to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from jobmgr.errors import SettingsError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3000
NOT_A_URL = "not an address; write one like http://127.0.0.1:3000, without user and password"
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here: who listens everywhere is reached on loopback


@dataclass(frozen=True, slots=True)
class Environment:
    """What was set. `base` is the directory that relative paths resolve against."""

    base: Path
    own: Mapping[str, str] = field(repr=False)
    """The environment of this process, with everything that is none of our business."""
    file: Path | None
    """The `.env` that was read; None: there is none."""
    from_file: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()
    """Lines of `.env` that say nothing."""
    problems: tuple[str, ...] = ()
    """Why `.env` could not be read."""

    def given(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these settings that are set to something."""
        found = {name: self.own.get(name, self.from_file.get(name)) for name in names}
        return {name: value for name, value in found.items() if value}


def read(environ: Mapping[str, str] | None = None, *, cwd: Path | None = None) -> Environment:
    """Read both. Raises SettingsError where the current directory is gone."""
    base = _base(cwd or _cwd())
    file = base / ".env"
    own = os.environ if environ is None else environ
    if not file.is_file():
        return Environment(base, own, None, {})
    try:
        # Editors of Windows put a mark before the first name, which would be a part of it.
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return Environment(base, own, file, {}, problems=(f"{file}: cannot be read: {error}",))
    values, warnings = _parse(file, text)
    return Environment(base, own, file, values, warnings)


def server_url(environment: Environment) -> str:
    """Where the server is, for its clients: JOBMGR_URL, else what JOBMGR_HOST and PORT say. Raises SettingsError where that is no address."""
    if environment.problems:
        raise SettingsError(environment.problems)
    given = environment.given(("JOBMGR_URL", "JOBMGR_HOST", "PORT"))
    if url := given.get("JOBMGR_URL"):
        if not is_url(url):
            raise SettingsError([f"JOBMGR_URL: {NOT_A_URL}"])
        return url.rstrip("/")
    return address(given.get("JOBMGR_HOST", DEFAULT_HOST), _port(given.get("PORT", str(DEFAULT_PORT))))


def is_url(text: str) -> bool:
    """Whether a server can be at this address."""
    try:
        parts = urlsplit(text)
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # A bracket that does not close, a port that is none.
        return False
    # A name may have letters of its own (they are encoded); the path goes out as it stands.
    reachable = reachable and parts.path.isascii()
    return reachable and parts.scheme in {"http", "https"} and not set(text) & set("@ ") and text.isprintable()


def address(host: str, port: int) -> str:
    """The URL at which a server that listens there is reached from this machine."""
    reached = _ANY_ADDRESS.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if number == 0:
        raise SettingsError(
            ["PORT=0: the server takes a free port, which only it can tell; set JOBMGR_URL to what it printed"]
        )
    if not 0 < number < 65536:
        raise SettingsError([f"PORT={text}: not a port; write a number from 1 to 65535"])
    return number


def _cwd() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise SettingsError(
            [f"the current directory cannot be used ({error.strerror}); go to another one first"]
        ) from error


def _base(cwd: Path) -> Path:
    checkout = Path(__file__).resolve().parent.parent
    if (cwd / ".env").is_file() or not (checkout / "pyproject.toml").is_file():
        return cwd
    return checkout


def _parse(file: Path, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Its values, and a warning for each line that is none; a bad line must not be silent, it may have been meant as a setting."""
    import io

    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    bindings = list(parse_stream(io.StringIO(text)))
    good = [binding for binding in bindings if not binding.error]
    values = dotenv_values(stream=io.StringIO("".join(binding.original.string for binding in good)))
    bad = [binding.original for binding in bindings if binding.error or (binding.key and binding.value is None)]
    # What precedes a statement (empty lines) is counted to it by the parser.
    lines = [one.line + one.string[: len(one.string) - len(one.string.lstrip())].count("\n") for one in bad]
    warnings = tuple(f"{file}: line {line} is ignored: it is not NAME=value" for line in lines)
    return {name: value for name, value in values.items() if value is not None}, warnings


def assume_url(url: str) -> None:
    """From now on this process and what it starts read this address as JOBMGR_URL."""
    os.environ["JOBMGR_URL"] = url
