"""Telling a waiting person what is being done now.

Belongs here: one hook. Long work reports to it; a command that a person watches listens. Does not
belong here: logging (Dagster's) or results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str], None]
_process_listener: Listener | None = None


def report(message: str) -> None:
    """Tell whoever listens; nobody listening costs nothing."""
    if _process_listener is not None:
        _process_listener(message)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hear every report of this process while the block runs, from other threads too."""
    global _process_listener
    before, _process_listener = _process_listener, listener
    try:
        yield
    finally:
        _process_listener = before
