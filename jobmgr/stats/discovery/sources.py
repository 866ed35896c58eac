"""All sources of attributes that look at each task alone, with their levels chosen from a history."""

from __future__ import annotations

from jobmgr.stats.discovery import (
    source_arguments,
    source_calendar,
    source_names,
    source_numbers,
    source_texts,
)
from jobmgr.stats.discovery.attributes import Source, View

MODULES = (source_names, source_texts, source_numbers, source_calendar, source_arguments)


def of_history(view: View, least: int) -> list[Source]:
    """The sources that have any attribute in this history. `least`: a level that fewer tasks have is not worth one."""
    sources: list[Source] = [module.of_history(view, least) for module in MODULES]
    return [source for source in sources if source.attributes]
