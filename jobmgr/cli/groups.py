"""Commands with examples, and their group: its help in sections, and the nearest name for one that does not exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import click

_MEANT = {
    "list": "ls ps queue",
    "show": "status describe info inspect explain",
    "logs": "tail output log cat follow",
    "stop": "cancel kill terminate abort",
    "delete": "rm remove del",
    "events": "watch monitor subscribe",
    "top": "htop live",
    "export": "history dump",
    "analyze": "analyse report import",
    "stats": "statistics patterns failures",
    "run": "start exec launch",
    "submit": "add create enqueue",
    "restart": "rerun retry",
    "doctor": "check diagnose",
    "serve": "server up",
}
"""How other programs name what these commands do: by spelling alone `status` would be stats."""
_SYNONYMS = {word: name for name, words in _MEANT.items() for word in words.split()}
_ALIKE = 0.7
"""From here on a word is taken for a slip of the finger: lits is list, but history is not stop."""


class OutputClosed(Exception):
    """Whoever read our output closed it, as `head` does."""


@contextmanager
def _telling_closed_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None


class Verb(click.Command):
    """A command that shows examples below its options: `examples` are lines that a person may type."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on its line however narrow the terminal is."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in self.examples))


class Sections(click.Group):
    """Commands in sections: title → commands, in the order in which help shows them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections: dict[str, list[str]] = {}

    def add_sections(self, sections: Mapping[str, Sequence[click.Command]]) -> None:
        """Add these commands below their titles."""
        for title, commands in sections.items():
            for command in commands:
                self.add_command(command)
                self.sections.setdefault(title, []).append(command.name or "")

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options before the command; `--help` prints here. Raises OutputClosed, as `invoke` does."""
        with _telling_closed_output():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises OutputClosed, because click would make the exit code 1 of a broken pipe."""
        with _telling_closed_output():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As in the help."""
        placed = [name for names in self.sections.values() for name in names]
        return [*placed, *(name for name in self.commands if name not in placed)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Section by section, the names in one column."""
        width = max(len(name) for name in self.commands)
        titles = {name: title for title, names in self.sections.items() for name in names}
        rows: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            help_text = self.commands[name].get_short_help_str(limit=80)
            rows.setdefault(titles.get(name, "More"), []).append((name.ljust(width), help_text))
        for title, lines in rows.items():
            with formatter.section(title):
                formatter.write_dl(lines)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of this name. Raises UsageError with the one that is meant."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            meant = self._meant(name.lower())
            hint = f"Did you mean {meant}?" if meant else "See jobmgr --help."
            ctx.fail(f"There is no command {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def _meant(self, word: str) -> str | None:
        if _SYNONYMS.get(word) in self.commands:
            return _SYNONYMS[word]
        return next(iter(get_close_matches(word, self.commands, n=1, cutoff=_ALIKE)), None)
