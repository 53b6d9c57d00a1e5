"""One HTTP request as the sandbox sees it, and the notes vendor code leaves on it.

Belongs here: the value that follows a request from the gate to the ledger. Does not belong here: what is
done with it (`gate.py`, `faults.py`, `ledger.py`).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Exchange:
    """`operation` says in a few words what was asked ("Orders", "chat.postMessage"), `records` how many
    records the answer carried, `fault` the fault that was applied, if any."""

    vendor: str
    method: str
    path: str
    query: str = ""
    body: bytes = b""
    operation: str = ""
    records: int = 0
    fault: str | None = None


_CURRENT: ContextVar[Exchange | None] = ContextVar("sandbox_exchange", default=None)


def current() -> Exchange | None:
    """The request being served, or None outside one."""
    return _CURRENT.get()


def enter(exchange: Exchange) -> None:
    """Make `exchange` the one being served in this task (and in threads it starts)."""
    _CURRENT.set(exchange)


def note(*, operation: str | None = None, records: int | None = None) -> None:
    """Tell the ledger what the request being served is and how many records it answered with."""
    exchange = _CURRENT.get()
    if exchange is None:
        return
    if operation is not None:
        exchange.operation = operation
    if records is not None:
        exchange.records += records
