"""One bulk operation: its state as a client sees it, and the refusal of a query.

Belongs here: states and their order. Does not belong here: running it (`bulk.py`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

RESULT_PATH = "/admin/bulk-operation-outputs/"
KEPT = timedelta(days=7)
OVER = frozenset({"COMPLETED", "FAILED", "CANCELED", "EXPIRED"})


class BulkRefused(Exception):
    """A user error of the mutation; `field` and `code` as Shopify names them."""

    def __init__(self, message: str, code: str | None = "INVALID", field: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field


@dataclass
class BulkOperation:
    """`status` is the work's own; a client first sees CREATED, then at least once RUNNING, then how it ended."""

    id: str
    number: int
    query: str
    grouped: bool
    created_at: datetime
    path: Path
    secret: str
    status: str = "CREATED"
    error_code: str | None = None
    completed_at: datetime | None = None
    objects: int = 0
    roots: int = 0
    size: int | None = None
    partial: bool = False
    polls: int = 0
    shown: str = "CREATED"
    cancel: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """A client polls: the next state becomes visible."""
        self.polls += 1
        if self.polls == 1 and self.status != "CREATED":
            self.shown = "RUNNING"
        elif self.polls > 1 or self.status == "CREATED":
            self.shown = self.status

    def seen_status(self) -> str:
        if self.cancel.is_set() and self.shown not in OVER:
            return "CANCELING"
        return self.shown

    @property
    def shown_over(self) -> bool:
        return self.shown in OVER

    @property
    def over(self) -> bool:
        return self.status in OVER

    def url(self, base: str, now: datetime) -> str | None:
        """None while it runs, when nothing was found, and after the seven days a result is kept."""
        if self.status != "COMPLETED" or self.objects == 0 or self.expired(now):
            return None
        return f"{base}{RESULT_PATH}{self.secret}.jsonl"

    def partial_url(self, base: str) -> str | None:
        return f"{base}{RESULT_PATH}{self.secret}.jsonl" if self.status == "FAILED" and self.partial else None

    def expired(self, now: datetime) -> bool:
        return self.completed_at is not None and now - self.completed_at > KEPT
