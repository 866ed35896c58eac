"""The handlers of job types: what may be submitted as `"type"`, with all that a client needs to make a form of it."""

from __future__ import annotations

from aiohttp import web

from jobmgr.api import answers
from jobmgr.api.parts import PARTS, Parts
from jobmgr.api.send import json_answer
from jobmgr.catalog import JobType, Parameter
from jobmgr.errors import NotFound


async def list_types(request: web.Request) -> web.StreamResponse:
    """All job types, in the order of the catalog.

    The catalog is a file of the server (`JOBMGR_CATALOG`), read when it starts.
    """
    parts = request.app[PARTS]
    return json_answer([type_json(parts, name, kind) for name, kind in parts.admission.catalog.types.items()])


async def show_type(request: web.Request) -> web.StreamResponse:
    """One job type.

    With all that a form needs: what each parameter is, whether it must be given, what it may be.
    """
    parts, name = request.app[PARTS], request.match_info["name"]
    kind = parts.admission.catalog.types.get(name)
    if kind is None:
        raise NotFound("job type", name)
    return json_answer(type_json(parts, name, kind))


def type_json(parts: Parts, name: str, kind: JobType) -> answers.JobType:
    """One job type. `job`: its defaults for other fields of a submission, without `env`, which no answer shows."""
    return {
        "name": name,
        "description": kind.description,
        "script": kind.script,
        "available": parts.admission.is_available(name),
        "params": [_parameter_json(name, parameter) for name, parameter in kind.params.items()],
        "job": kind.job.model_dump(mode="json", exclude_unset=True, exclude={"env"}),
        "links": {"self": f"/types/{name}"},
    }


def _parameter_json(name: str, parameter: Parameter) -> answers.Parameter:
    """What a value may be; null where nothing is said. How it reaches the program is the server's affair."""
    return {
        "name": name,
        "type": parameter.type,
        "description": parameter.description,
        "required": parameter.is_required,
        "default": parameter.default,
        "choices": parameter.choices,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "pattern": parameter.pattern,
        "maxLength": parameter.maxLength,
        "secret": parameter.secret,
    }
