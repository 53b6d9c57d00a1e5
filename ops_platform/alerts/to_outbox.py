"""An announcement is composed and put in the outbox, in the caller's transaction.

Belongs here: that one hand-over, and the plain words that go where a composer fails. Does not belong here: when
something is said (`owing.py`), in which thread (`telling.py`), how it looks (the composer), the outbox itself
(`ops_platform.delivery`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.announcement import Composed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from ops_platform.alerts.announcement import Announcement, Composer

log = logging.getLogger(__name__)

OUTBOX_KIND = "alert"


def announce(
    connection: psycopg.Connection[Any],
    announcement: Announcement,
    *,
    compose: Composer,
    key: str,
    channel: str,
    thread_of: UUID | None,
    quiet_until: datetime | None = None,
) -> tuple[UUID, str | None]:
    """Compose a message and put it in the outbox, where it waits for `quiet_until`; returns its id, and what went wrong
    where it went as plain text."""
    import psycopg

    problem = None
    try:
        with connection.transaction():
            composed = compose(connection, announcement)
            outbox_id = _put(connection, announcement, composed, key, channel, thread_of, quiet_until)
    except psycopg.OperationalError:
        raise
    except Exception as error:
        log.exception("the message %s could not be composed", key)
        problem = f"{key}: {type(error).__name__}: {error}"
        outbox_id = _put(connection, announcement, _plain(announcement), key, channel, thread_of, quiet_until)
    return outbox_id, problem


def _put(
    connection: psycopg.Connection[Any],
    announcement: Announcement,
    composed: Composed,
    key: str,
    channel: str,
    thread_of: UUID | None,
    quiet_until: datetime | None,
) -> UUID:
    from ops_platform.delivery.outbox import enqueue

    common: dict[str, Any] = {
        "kind": f"{OUTBOX_KIND}_{announcement.kind}", "period": None, "channel_key": announcement.channel_key,
        "channel": channel, "document_id": composed.document_id, "quiet_until": quiet_until,
    }  # fmt: skip
    row = enqueue(connection, payload=composed.payload, dedupe_key=key, thread_of=thread_of, **common)
    for number, payload in enumerate(composed.rest, 1):
        enqueue(connection, payload=payload, dedupe_key=f"{key}:{number}", thread_of=thread_of or row.id, **common)
    return row.id


def _plain(announcement: Announcement) -> Composed:
    """What is said where the composer failed: enough to act on."""
    names = [f"#{incident.id} {incident.label}" for incident in announcement.incidents]
    names = names or [signal.label for signal in announcement.signals]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    word = announcement.kind.value.replace("_", " ")
    return Composed({"text": f"Alert {word}: {', '.join(names[:20])}{more}. {announcement.note}".strip()})
