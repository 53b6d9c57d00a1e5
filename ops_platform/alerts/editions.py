"""Editions: a message that was posted shows where its alert stands now.

Belongs here: which messages show something old, and the payload they should show. Does not belong here: posting new
messages (the outbox), what an alert message says (`ops_platform.documents.alert`), Slack's protocol.

A message's next edition is its stored evidence with what people did since. Showing it again changes nothing, so it may
be tried as often as needed; what could not be shown is tried at the next turn.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ops_platform.documents.alert import Standing
from ops_platform.failures import AmbiguousFailure, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime
    from uuid import UUID

    import psycopg

log = logging.getLogger(__name__)
#: How many messages one call brings up to date; the rest waits for the next.
MOST = 50
_DUE = """
select alerts.id as alert_id, outbox.id as outbox_id, outbox.channel, outbox.external_id, outbox.payload_hash,
    documents.evidence_digest, editions.edition, editions.payload_hash as shown_hash,
    alerts.acknowledged_by, alerts.assignee, alerts.snoozed_until, alerts.resolved_at, alerts.resolution,
    greatest(alerts.updated_at, feedback.at, mutes.at) as changed_at, feedback.verdict, mutes.muted_until
from ops.alerts
join lateral (
    select messages.id, messages.channel, messages.external_id, messages.payload_hash, messages.document_id,
        messages.sent_at
    from ops.outbox as messages
    where messages.state = 'sent' and messages.document_id is not null and (
        messages.id in (select threads.outbox_id from ops.alert_threads as threads
            where threads.alert_id = alerts.id and threads.storm_id is null and not threads.lost)
        or messages.id = (select alerts.last_outbox_id where alerts.state = 'resolved')
    )
) as outbox on true
join ops.documents on documents.id = outbox.document_id
left join ops.alert_editions as editions on editions.outbox_id = outbox.id
left join lateral (
    select said.verdict, said.at from ops.alert_feedback as said
    where said.alert_id = alerts.id order by said.at desc limit 1
) as feedback on true
left join lateral (
    select max(muted.last_day) as muted_until, max(greatest(muted.at, muted.ended_at)) as at
    from ops.alert_mutes as muted
    join ops.alert_members as members on members.alert_id = alerts.id
    where muted.ended_at is null and muted.last_day >= %(today)s
        and starts_with(members.subject, muted.kind || ':' || muted.name || ':')
        and (muted.dimension is null
            or members.subject = concat_ws(':', muted.kind, muted.name, muted.dimension, muted.value))
) as mutes on true
where (%(alert)s::bigint is null or alerts.id = %(alert)s)
    and (
        %(alert)s::bigint is not null
        or (alerts.updated_at > %(since)s
            and greatest(alerts.updated_at, feedback.at, mutes.at) is distinct from editions.seen_at)
    )
order by alerts.id, outbox.sent_at
limit %(most)s
"""


class Updater(Protocol):
    """A vendor at which a posted message can be changed."""

    def update(self, channel: str, external_id: str, payload: Mapping[str, Any], *, outbox_id: UUID) -> None:
        """Show `payload` in the message's place. Raises `PermanentFailure` where it never will (deleted), else
        `TransientFailure`; trying again is harmless."""
        ...


@dataclass(slots=True)
class Shown:
    """What a call did: messages brought up to date, those that already were, and those that could not be."""

    shown: int = 0
    unchanged: int = 0
    waiting: int = 0
    lost: int = 0


def show_standing(
    connect: Callable[[], psycopg.Connection[Any]],
    updater: Updater,
    *,
    now: datetime,
    today: date,
    since: datetime,
    alert_id: int | None = None,
) -> Shown:
    """Bring the messages of alerts that changed after `since` (or of one alert) up to date at the vendor.

    `now` is the machine's clock; `since` and `today` are the company's. Opens a connection of its own."""
    from psycopg.rows import dict_row

    report = Shown()
    with connect() as connection:
        with connection.cursor(row_factory=dict_row) as cursor:
            parameters = {"alert": alert_id, "since": since, "most": MOST, "today": today}
            rows = cursor.execute(_DUE.encode(), parameters).fetchall()
        connection.commit()
        for row in rows:
            _show(connection, updater, row, now, report)
            connection.commit()
    return report


def _show(
    connection: psycopg.Connection[Any], updater: Updater, row: Mapping[str, Any], now: datetime, report: Shown
) -> None:
    edition = (row["edition"] or 0) + 1
    plain = _payload(connection, row, 0)
    before = row["shown_hash"] or row["payload_hash"]
    # The edition's number is part of the blocks' ids, not of what is compared.
    digest = _digest(plain)
    if digest == before:
        report.unchanged += 1
        _note(connection, row, row["edition"] or 0, digest, now, shown=False, error=None)
        return
    try:
        updater.update(
            row["channel"], row["external_id"], _payload(connection, row, edition), outbox_id=row["outbox_id"]
        )
    except (TransientFailure, AmbiguousFailure) as error:
        log.warning("the message of alert %s is shown later: %s", row["alert_id"], error)
        report.waiting += 1
        return
    except PermanentFailure as error:
        log.warning("the message of alert %s cannot be changed: %s", row["alert_id"], error)
        report.lost += 1
        _note(connection, row, row["edition"] or 0, digest, now, shown=False, error=str(error))
        return
    report.shown += 1
    _note(connection, row, edition, digest, now, shown=True, error=None)


def _payload(connection: psycopg.Connection[Any], row: Mapping[str, Any], edition: int) -> dict[str, Any]:
    from ops_platform.documents import slack
    from ops_platform.documents.alert import compose_alert
    from ops_platform.evidence.store import load_bundle

    bundle = load_bundle(connection, row["evidence_digest"])
    standing = Standing(
        acknowledged_by=row["acknowledged_by"],
        assignee=row["assignee"],
        snoozed_until=row["snoozed_until"],
        muted_until=row["muted_until"],
        verdict=row["verdict"],
        resolved_at=row["resolved_at"] if row["resolution"] == "clear" else None,
        edition=edition,
    )
    return slack.render(compose_alert(bundle, standing))[0].payload()


def _note(
    connection: psycopg.Connection[Any],
    row: Mapping[str, Any],
    edition: int,
    digest: str,
    now: datetime,
    *,
    shown: bool,
    error: str | None,
) -> None:
    connection.execute(
        """insert into ops.alert_editions (outbox_id, edition, payload_hash, seen_at, shown_at, error)
           values (%(id)s, %(edition)s, %(hash)s, %(seen)s, %(shown)s, %(error)s)
           on conflict (outbox_id) do update set edition = excluded.edition, payload_hash = excluded.payload_hash,
               seen_at = excluded.seen_at, shown_at = coalesce(excluded.shown_at, alert_editions.shown_at),
               error = excluded.error""",
        {
            "id": row["outbox_id"], "edition": edition, "hash": digest, "seen": row["changed_at"],
            "shown": now if shown else None, "error": error,
        },
    )  # fmt: skip


def _digest(payload: Mapping[str, Any]) -> str:
    """As the outbox digests a payload, so that the first edition compares with what was posted."""
    return hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
