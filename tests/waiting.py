"""Waiting for a condition with a deadline: the tests' way to be neither slow nor flaky, in place of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, Never, TypeVar

DEADLINE_S = 15.0  # generous: it is only ever used up by a failure, and CI machines are slow
PAUSE_S = 0.01

T = TypeVar("T")


async def eventually(condition: Callable[[], Any], deadline: float = DEADLINE_S) -> Any:
    """Wait until the condition, a plain or an async function, gives something true, and return that; fail after `deadline` seconds.

    Any in, Any out: overloads for plain and async conditions cannot be told apart where one may give None.
    """
    end = time.monotonic() + deadline
    while True:
        value = condition()
        result = await value if inspect.isawaitable(value) else value
        if result:
            return result
        if time.monotonic() > end:
            give_up(condition, deadline, result)
        await asyncio.sleep(PAUSE_S)


def eventually_blocking(condition: Callable[[], T], deadline: float = DEADLINE_S) -> T:
    """Wait like `eventually`, in a test without an event loop."""
    end = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > end:
            give_up(condition, deadline, result)
        time.sleep(PAUSE_S)
    return result


def give_up(condition: Callable[[], object], deadline: float, last: object) -> Never:
    """Fail with the text of the condition, which says more than its name."""
    try:
        text = inspect.getsource(condition).strip()
    except (OSError, TypeError):
        text = repr(condition)
    message = f"not within {deadline} s: {text} (last: {last!r})"
    raise AssertionError(message)
