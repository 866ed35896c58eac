"""Reads path and query strictly: an unknown, doubled or malformed parameter is a 400 that names it; a malformed id is simply not found."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from aiohttp import web

from jobmgr.clock import parse_rfc3339
from jobmgr.errors import FieldProblem, InvalidRequest, NotFound
from jobmgr.job import parse_job_id

MAX_NUMBER = 2**53
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}


def check_query(request: web.Request, known: Collection[str], many: Collection[str] = ()) -> None:
    """Refuse parameters that this path does not know, and any given twice but those that may be given `many` times."""
    problems = []
    for name in dict.fromkeys(request.query):
        if name not in known:
            problems.append(FieldProblem(f"?{name}", _unknown(name, known)))
        elif name not in many and len(request.query.getall(name)) > 1:
            problems.append(FieldProblem(f"?{name}", "give it once"))
    if problems:
        raise InvalidRequest(problems)


def _unknown(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"unknown parameter; did you mean {near[0]}?"
    return f"unknown parameter; known here are {', '.join(known)}" if known else "unknown parameter; none is known here"


def job_number(request: web.Request) -> int:
    """The job of the path. Raises NotFound for what is no id, as for one that is not there."""
    text = request.match_info["id"]
    number = parse_job_id(text)
    if number is None:
        raise NotFound("job", text)
    return number


def number(request: web.Request, name: str, *, least: int = 0, most: int = MAX_NUMBER) -> int | None:
    """A whole number, None where it is not given."""
    text = request.query.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    raise InvalidRequest([FieldProblem(f"?{name}", f"give a whole number from {least:,} to {most:,}")])


def flag(request: web.Request, name: str) -> bool:
    """Whether it is given and true."""
    text = request.query.get(name, "false")
    if text not in _FLAGS:
        raise InvalidRequest([FieldProblem(f"?{name}", "give true or false")])
    return _FLAGS[text]


def choice(request: web.Request, name: str, choices: Collection[str]) -> str | None:
    """One of these words, None where it is not given."""
    text = request.query.get(name)
    if text is not None and text not in choices:
        raise InvalidRequest([FieldProblem(f"?{name}", f"give one of {', '.join(choices)}")])
    return text


def text(request: web.Request, name: str) -> str | None:
    """Any text but none, None where it is not given."""
    given = request.query.get(name)
    if given == "":
        raise InvalidRequest([FieldProblem(f"?{name}", "give a text, or leave it out")])
    return given


def instant(request: web.Request, name: str) -> int | None:
    """A time as microseconds since the epoch, None where it is not given."""
    given = request.query.get(name)
    if given is None:
        return None
    us = parse_rfc3339(given)
    if us is None:
        example = "give a time like 2026-11-22T08:00:00Z"
        plus = "; in an address + is written %2B" if " " in given else ""
        raise InvalidRequest([FieldProblem(f"?{name}", example + plus)])
    return us
