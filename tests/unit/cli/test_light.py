"""The command line imports only what it needs: a person waits for each command."""

import subprocess
import sys

import pytest

HEAVY = {"pydantic", "aiohttp", "scipy", "numpy", "rich", "psutil", "structlog", "asyncio", "sqlite3", "http"}


def imported(*words: str) -> set[str]:
    """The top-level packages that this command imports."""
    code = (
        "import sys\nfrom jobmgr.cli.main import main\n"
        f"sys.argv = ['jobmgr', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('|'.join({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split("|"))


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("--version",), ("completion", "fish"), ("lits",)])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    """Not even what speaks HTTP."""
    assert imported(*words) & HEAVY == set()


@pytest.mark.parametrize("words", [("list", "--json"), ("events",), ("wait", "0"), ("top", "--json"), ("run", "x.sh")])
def test_a_client_command_imports_what_speaks_http_and_no_more(words: tuple[str, ...]) -> None:
    """Here ones that find no server, and no terminal."""
    assert imported(words[0], "--url", "http://127.0.0.1:1", *words[1:]) & HEAVY == {"http"}
