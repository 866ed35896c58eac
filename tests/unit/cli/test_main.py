"""The group of commands: its help, and what it says of what does not exist."""

import pytest
from click.testing import CliRunner, Result

from jobmgr.cli import groups
from jobmgr.cli.main import commands


def typed(*words: str) -> Result:
    """What these words give."""
    return CliRunner().invoke(commands, list(words), prog_name="jobmgr")


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_has_an_example_and_a_sentence(name: str) -> None:
    """The first thing a person looks for."""
    text = typed(name, "--help").stdout
    assert "Example" in text
    assert f"jobmgr {name}" in text
    assert commands.commands[name].get_short_help_str(limit=80).endswith(".")


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_option_says_what_it_is_for(name: str) -> None:
    """None is left to guessing."""
    options = [param for param in commands.commands[name].params if param.param_type_name == "option"]
    assert [option.name for option in options if not getattr(option, "help", None)] == []


def test_help_shows_every_command_in_a_section() -> None:
    """In the order in which a person meets them."""
    text = typed("--help").stdout
    places = [text.index(f"\n  {name} ") for name in commands.list_commands(commands.make_context("jobmgr", ["help"]))]
    assert places == sorted(places)
    assert typed("help").stdout == text
    assert typed("help", "run").stdout.split("\n", 1)[1] == typed("run", "--help").stdout.split("\n", 1)[1]


def test_the_nearest_command_is_named() -> None:
    """A slip of the finger costs no look into the manual."""
    done = typed("lits")
    assert done.exit_code == 2
    assert "Did you mean list?" in done.stderr
    assert "See jobmgr --help" in typed("qqqq").stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ps", "list"),
        ("ls", "list"),
        ("LIST", "list"),
        ("status", "show"),
        ("tail", "logs"),
        ("output", "logs"),
        ("kill", "stop"),
        ("cancel", "stop"),
        ("rm", "delete"),
        ("history", "export"),
        ("server", "serve"),
        ("sbmit", "submit"),
        ("statss", "stats"),
    ],
)
def test_a_word_of_another_program_names_the_command_that_does_it(word: str, meant: str) -> None:
    """Not the one that is spelt alike."""
    assert f"Did you mean {meant}?" in typed(word).stderr


def test_every_synonym_leads_to_a_command() -> None:
    """And is none itself."""
    assert set(groups._SYNONYMS.values()) <= set(commands.commands)
    assert not set(groups._SYNONYMS) & set(commands.commands)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("stop",), "or give --all"),
        (("stop", "--all", "7"), "or give --all"),
        (("stop", "--offline", "7"), "give --all"),
        (("show", "7.1"), "name its job, job-7"),
        (("list", "--all", "--limit", "3"), "not both"),
        (("logs", "7.1", "--task", "2"), "twice"),
        (("wait",), "JOB"),
        (("submit", "--key", "☃", "a.sh"), "--key takes printable ASCII"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], why: str) -> None:
    """Before any server is asked."""
    done = typed(*words)
    assert done.exit_code == 2
    assert why in done.stderr
