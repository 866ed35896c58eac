"""What requests send, as the OpenAPI document shows it: the models of `submission` with the rules that their types cannot say, and examples.

`admission` decides; this only describes it, and the fuzzing of tests/contract/test_openapi_fuzz.py holds that both agree.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from itertools import combinations, product
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from jobmgr import submission
from jobmgr.admission import MAX_JOBS
from jobmgr.secrets import MIN_SECRET
from jobmgr.submission import ALIASES, LOADER, LOADER_PREFIXES

SCRIPT = r"^(?!/)(?!(.*/)?\.\.(/|$)).+$"
"""A path below a directory, without `..`."""

SECRET = rf"\S.{{{MIN_SECRET - 2},}}\S"
"""With a line that is long enough to be hidden."""

URL = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!#-;=?-\[\]_a-z~]*)?$"
"""Near enough: which hosts may be called no pattern says."""

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
    _narrow(fields["callbackUrl"], pattern=URL)
    refused = "|".join(("JOBMGR_", *LOADER_PREFIXES, *(f"{name}$" for name in sorted(LOADER))))
    for name in ("env", "secretEnv"):
        fields[name]["propertyNames"] = {"pattern": f"^(?!{refused})[^=]+$"}
    fields["secretEnv"]["additionalProperties"] |= {"pattern": SECRET}
    least, most = NUMBERS[0], NUMBERS[-1]
    gaps = sorted(set(range(least, most)) - set(NUMBERS))
    fields["stopSignal"]["anyOf"] = [
        {"type": "string", "pattern": f"^(SIG)?({NAMES})$"},
        {"type": "integer", "minimum": least, "maximum": most, **({"not": {"enum": gaps}} if gaps else {})},
    ]
    schema["allOf"] = [
        *({"not": {"required": list(pair)}} for pair in ALIASES),
        *(_not_both({one: _GIVEN}, {other: _GIVEN}) for one, other in _ONE_OF),
        *(_not_both({name: _SOME}, {other: _GIVEN}) for name in ALIASES[1] for other in ("tasks", "type", "command")),
        {
            "if": {"required": ["params"], "properties": {"params": {"minProperties": 1}}},
            "then": {"required": ["type"], "properties": {"type": _GIVEN}},
        },
    ]


_GIVEN = {"not": {"type": "null"}}
_SOME = {"minItems": 1}
_ONE_OF = (*combinations(("script", "type", "command"), 2), *product(("tasks",), ("numTask", "type", "command")))


def _not_both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {"not": {"required": [*first, *second], "properties": {**first, **second}}}


def _narrow(field: dict[str, Any], *, pattern: str) -> None:
    """Add a pattern to the branch that is a string."""
    next(branch for branch in field["anyOf"] if branch.get("type") == "string")["pattern"] = pattern


class Submission(submission.Submission):
    """One job as a client submits it: all but what to run is optional, and an unknown field is refused.

    One of `script`, `type` with its `params`, and `command` says what runs; without them it is the server's own program (`JOB_SCRIPT_PATH`).
    `numTask` or `tasks`, not both; and only one of `arguments`, `tasks`, `type` and `command`. No text may contain NUL or lone surrogates.
    """

    model_config = ConfigDict(json_schema_extra=_add_rules)


SUBMISSIONS = Submission | Annotated[list[Submission], Field(min_length=1, max_length=MAX_JOBS)]

EXAMPLES: Mapping[str, Any] = {
    "One job": {"jobName": "hello", "arguments": ["a", "b"]},
    "Stopped after a minute": {"jobName": "slow", "arguments": ["x"], "timeout": 60},
    "Twenty tasks": {"jobName": "frames", "arguments": ["frame-{index}.png"], "numTask": 20},
    "A list of arguments for each task": {"jobName": "encode", "tasks": [["a.mp4"], ["b.mp4"]]},
    "Tried up to five times": {"jobName": "fetch", "retry": {"maxAttempts": 5, "delay": 2, "on": ["exit", "timeout"]}},
    "A job type": {"type": "extract", "params": {"archive": "/data/in.tar.gz"}, "labels": {"team": "media"}},
    "A command, where the server allows it": {"command": ["ffmpeg", "-i", "in.mp4", "out.webm"]},
    "One that tells when it has ended": {"jobName": "report", "callbackUrl": "https://example.org/done"},
    "With a secret": {"jobName": "sync", "secretEnv": {"API_KEY": "correct-horse-battery"}},
    "With variables, before others": {"jobName": "report", "env": {"LANG": "C"}, "priority": "High"},
    "Many jobs, all or nothing": [{"jobName": "first"}, {"jobName": "second", "retry": False}],
}
