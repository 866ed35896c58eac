"""What is made: each document with the function that makes its text. A part of a page stands between two marks, the rest is written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from documents import api, cli, collection, history, settings, words

ROOT = Path(__file__).parents[1]

WHOLE: Mapping[str, Callable[[], str]] = {
    ".env.example": settings.example,
    "docs/api.md": api.api_page,
    "docs/cli.md": cli.page,
    "docs/words.md": words.words_page,
    "postman_collection.json": collection.text,
}
"""Files that are made as a whole, by their path in the checkout."""

PARTS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("docs/history.md", "fields"): history.fields_table,
    ("docs/operations.md", "settings"): settings.table,
}
"""Parts of files, by path and the name of their marks: `<!-- made: NAME -->` and `<!-- end: NAME -->`, each on a line of its own."""


def made() -> dict[str, str]:
    """Every file with the text that it should have."""
    texts = {path: make() for path, make in WHOLE.items()}
    for (path, name), make in PARTS.items():
        texts[path] = _with_part(texts.get(path) or (ROOT / path).read_text(), name, make())
    return texts


def _with_part(text: str, name: str, part: str) -> str:
    begin, end = f"<!-- made: {name} -->\n", f"<!-- end: {name} -->\n"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the marks of {name} are not in the file")
    return f"{before}{begin}{part.rstrip()}\n{end}{after}"
