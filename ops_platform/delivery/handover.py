"""The last step of an attempt, on record before it is taken.

Belongs here: the note itself, and which notes still matter. Does not belong here: which step of a vendor's protocol is
the last (`resources/slack_posting.py`, `resources/email.py`), what an unclear attempt means (`reconcile.py`).

A message with files, and an e-mail, take several steps of which only the last has an effect. An attempt without a note
had none, however its process ended; so only what ended within that one step is ever unclear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops_platform.delivery.outbox import wall_clock
from ops_platform.failpoints import failpoint
from ops_platform.failures import TransientFailure

if TYPE_CHECKING:
    import psycopg

    from ops_platform.delivery.outbox import OutboxRow

_NOTE = """
insert into ops.outbox_handovers (outbox_id, attempt, known_as, at)
select outbox.id, outbox.attempts, %(known_as)s, %(at)s
from ops.outbox
where outbox.id = %(id)s and outbox.attempts = %(attempt)s and outbox.state = 'sending'
for update
"""


def note(conn: psycopg.Connection[Any], row: OutboxRow, known_as: str) -> None:
    """Commit that the attempt of `row` is about to take its last step.

    Raises `TransientFailure` where the attempt is not this worker's any more: then the step must not be taken."""
    failpoint("outbox.before_handover")
    with conn.transaction():
        noted = conn.execute(
            _NOTE, {"id": row.id, "attempt": row.attempts, "known_as": known_as, "at": wall_clock()}
        ).rowcount
    if noted != 1:
        raise TransientFailure("another worker has taken the message over")
    failpoint("outbox.handed_over")


def noted(conn: psycopg.Connection[Any], row: OutboxRow) -> str | None:
    """What the attempt at hand noted; None where it did not come so far."""
    found = conn.execute(
        "select known_as from ops.outbox_handovers where outbox_id = %s and attempt = %s", (row.id, row.attempts)
    ).fetchone()
    return None if found is None else str(found[0])
