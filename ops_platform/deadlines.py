"""A hard limit on how long a call may take, whatever the other side does.

Belongs here: the one function. Socket timeouts bound each read, so a server that sends a byte now and then
holds a client for ever; this bounds the whole. Does not belong here: retry policy (`failures.py`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class DeadlineExceededError(Exception):
    """The call did not return in time. It may still be running, and may still have an effect."""


def within(seconds: float, call: Callable[[], T], *, name: str = "call") -> T:
    """`call()`, or `DeadlineExceededError` after `seconds`.

    The call runs in a daemon thread, so a call that never returns does not keep the process from ending.
    What it raises is raised here."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=f"within {seconds:g}s: {name}", daemon=True)
    thread.start()
    thread.join(max(seconds, 0.0))
    if failure:
        raise failure[0]
    if not result:
        raise DeadlineExceededError(f"{name} took longer than {seconds:g} s")
    return result[0]
