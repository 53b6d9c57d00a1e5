"""What a process does in the kill tests: ask, say a word, execute; then it ends."""

from __future__ import annotations

import os
from typing import Any

from ops_platform.approvals.execution import execute_approved
from ops_platform.failures import DataFailure
from tests.approvals.notes import NOW, asked, inbox, say


def life(dsn: str, number: int, failpoint: str = "") -> None:
    """Ask for note `number`, edit it, approve it as it was shown, execute what is approved: each step where it is due.

    A process that comes after a killed one does the same again, with the same keys."""
    import psycopg

    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return psycopg.connect(dsn, options="-c timezone=UTC")

    from tests.approvals.notes import LEE

    desk = inbox()
    approval = asked(connect, desk, f"Note {number}.", subject=f"s{number}")
    if approval.version == 1 and approval.state == "draft":
        given = {"texts": {"text": f"Note {number}, edited."}, "person": LEE, "key": f"edit {number}"}
        approval = say(connect, desk, "edit", approval.id, shown=approval.payload_hash, **given).approval
    try:
        say(connect, desk, "approve", approval.id, shown=approval.payload_hash, key=f"approve {number}")
    except DataFailure:
        assert approval.state != "draft"  # somebody else's word was first
    execute_approved(connect, desk, NOW)
