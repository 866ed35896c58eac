"""What requests send, as the OpenAPI document shows it: the models of `submission` with the rules that their types cannot say, and examples.

`admission` decides; this only describes it, and the fuzzing of tests/contract/test_openapi_fuzz.py holds that both agree.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from jobmgr import submission
from jobmgr.admission import MAX_JOBS
from jobmgr.submission import ALIASES, LOADER, LOADER_PREFIXES

SCRIPT = r"^(?!/)(?!(.*/)?\.\.(/|$)).+$"
"""A path below a directory, without `..`."""

NUMBERS = sorted(int(number) for number in signal.valid_signals())
NAMES = "|".join(sorted(name.removeprefix("SIG") for name in signal.Signals.__members__))


def _add_rules(schema: dict[str, Any]) -> None:
    """What a JSON schema can say of a submission beyond the types of its fields."""
    fields = schema["properties"]
    for name, field in submission.Submission.model_fields.items():
        fields[name]["default"] = field.get_default(call_default_factory=True)
    for name, alias in ALIASES:
        fields[alias] = {**fields[name], "description": f"The same as `{name}`.", "examples": []}
    [(name, value)] = fields["labels"].pop("patternProperties").items()
    fields["labels"] |= {"propertyNames": {"pattern": name}, "additionalProperties": value}
    _narrow(fields["script"], pattern=SCRIPT)
    _narrow(fields["cwd"], pattern="^/")
    refused = "|".join(("JOBMGR_", *LOADER_PREFIXES, *(f"{name}$" for name in sorted(LOADER))))
    fields["env"]["propertyNames"] = {"pattern": f"^(?!{refused})[^=]+$"}
    least, most = NUMBERS[0], NUMBERS[-1]
    gaps = sorted(set(range(least, most)) - set(NUMBERS))
    fields["stopSignal"]["anyOf"] = [
        {"type": "string", "pattern": f"^(SIG)?({NAMES})$"},
        {"type": "integer", "minimum": least, "maximum": most, **({"not": {"enum": gaps}} if gaps else {})},
    ]
    schema["allOf"] = [
        *({"not": {"required": list(pair)}} for pair in ALIASES),
        _not_both({"numTask": _GIVEN}, {"tasks": _GIVEN}),
        *(_not_both({name: {"minItems": 1}}, {"tasks": _GIVEN}) for name in ALIASES[1]),
    ]


_GIVEN = {"not": {"type": "null"}}


def _not_both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {"not": {"required": [*first, *second], "properties": {**first, **second}}}


def _narrow(field: dict[str, Any], *, pattern: str) -> None:
    """Add a pattern to the branch that is a string."""
    next(branch for branch in field["anyOf"] if branch.get("type") == "string")["pattern"] = pattern


class Submission(submission.Submission):
    """One job as a client submits it: all but what to run is optional, and an unknown field is refused.

    `numTask` or `tasks`, not both; `tasks` or `arguments`, not both. No text may contain NUL or lone surrogates.
    """

    model_config = ConfigDict(json_schema_extra=_add_rules)


SUBMISSIONS = Submission | Annotated[list[Submission], Field(min_length=1, max_length=MAX_JOBS)]

EXAMPLES: Mapping[str, Any] = {
    "One job": {"jobName": "hello", "arguments": ["a", "b"]},
    "Stopped after a minute": {"jobName": "slow", "arguments": ["x"], "timeout": 60},
    "Twenty tasks": {"jobName": "frames", "arguments": ["frame-{index}.png"], "numTask": 20},
    "A list of arguments for each task": {"jobName": "encode", "tasks": [["a.mp4"], ["b.mp4"]]},
    "Tried up to five times": {"jobName": "fetch", "retry": {"maxAttempts": 5, "delay": 2, "on": ["exit", "timeout"]}},
    "With variables, before others": {"jobName": "report", "env": {"LANG": "C"}, "priority": "High"},
    "Many jobs, all or nothing": [{"jobName": "first"}, {"jobName": "second", "retry": False}],
}
