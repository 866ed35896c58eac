"""What to do about a value of the wrong kind: pydantic's findings as a request to whoever wrote it. What pydantic says well it says itself."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

_SAID: Mapping[str, str] = {
    "string_type": "give a string, that is text in quotes",
    "int_type": "give a whole number (an integer)",
    "int_parsing": "give a whole number (an integer)",
    "int_from_float": "give a whole number (an integer)",
    "float_type": "give a number",
    "float_parsing": "give a number",
    "finite_number": "give a number that is not infinite",
    "bool_type": "give true or false (a boolean)",
    "bool_parsing": "give true or false (a boolean)",
    "list_type": 'give a list, such as ["a", "b"]',
    "dict_type": 'give an object, such as {"NAME": "value"}',
    "model_type": 'give an object, such as {"name": "value"}',
}
_NUMBERS = frozenset({"int_type", "int_parsing", "float_type", "float_parsing"})
_IN_SECONDS = frozenset({"timeout", "deadline", "stopTimeout", "delay", "maxDelay", "JOBMGR_SHUTDOWN_TIMEOUT"})


def remedy(detail: ErrorDetails) -> str:
    """The sentence for one wrong value; what pydantic says itself where this page has none."""
    kind = detail["type"]
    if kind in _NUMBERS and detail["loc"] and detail["loc"][-1] in _IN_SECONDS:
        return "give seconds as a number, such as 90"
    return _SAID.get(kind) or detail["msg"].removeprefix("Value error, ")
