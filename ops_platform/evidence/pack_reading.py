"""What the operational tables know for a board pack: open alerts, actions, the last pack, what was delivered.

Belongs here: reading them into a `PackContext`. Does not belong here: the warehouse's metrics (`evidence.board_pack`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.evidence.board_figures import KIND
from ops_platform.evidence.pack_context import OpenAction, OpenAlert
from ops_platform.evidence.store import load_bundle
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import psycopg

    from ops_platform.evidence.model import Bundle

LOOKED_WITHIN = timedelta(hours=48)
_ALERTS = """
select label, severity, since, division from ops.alerts
where state <> 'resolved' and opened_at <= %(as_of)s order by since, id
"""
_LOOKED = "select exists (select from ops.receipts where checked is not null and as_of between %(since)s and %(as_of)s)"
_ACTIONS = """
select what, about, owner, due_on from ops.action_items
where state = 'open' and created_at <= %(as_of)s order by due_on, id
"""
# What the board got counts before what was only drafted; of the same month only what it got.
_PACKS = """
with packs as (
    select d.id, d.period_end, d.evidence_digest, d.document, exists (
        select 1 from ops.approvals as a
        inner join ops.approval_versions as v on v.approval_id = a.id and v.version = a.version
        where a.state = 'sent' and v.payload ->> 'document' = d.id::text
    ) as sent
    from ops.documents as d where d.kind = %(kind)s
)
select evidence_digest, document from packs
where (period_end < %(start)s or (sent and period_end = %(end)s))
order by sent desc, period_end desc, id desc limit 1
"""
_DELIVERED = """
select kind, count(distinct document_id) as documents from ops.outbox
where state = 'sent' and thread_of is null and sent_at >= %(start)s and sent_at < %(end)s and kind = any(%(kinds)s)
group by kind
"""


@dataclass(frozen=True, slots=True)
class LastPack:
    """The evidence of the last pack, and the facts whose numbers it showed."""

    bundle: Bundle
    published: frozenset[str]


def open_alerts(connection: psycopg.Connection[Any], as_of: datetime) -> list[OpenAlert] | None:
    """Incidents that are open; who has taken them on is left out. None where nothing was looked at of late: that none
    is open is then not known."""
    looked = connection.execute(_LOOKED, {"since": as_of - LOOKED_WITHIN, "as_of": as_of}).fetchone()
    if looked is None or not looked[0]:
        return None
    rows = connection.execute(_ALERTS, {"as_of": as_of}).fetchall()
    return [OpenAlert(label, severity, since, division) for label, severity, since, division in rows]


def open_actions(connection: psycopg.Connection[Any], as_of: datetime) -> list[OpenAction]:
    """What has been taken on and is not done, what is due first at the top."""
    rows = connection.execute(_ACTIONS, {"as_of": as_of}).fetchall()
    return [OpenAction(f"{what} {about}".strip(), owner, due) for what, about, owner, due in rows]


def last_pack(connection: psycopg.Connection[Any], start: date, end: date) -> LastPack | None:
    """The pack before that of the month from `start` to `end`; None where there is none, or where its evidence is no
    longer what was stored."""
    row = connection.execute(_PACKS, {"kind": KIND, "start": start, "end": end}).fetchone()
    if row is None:
        return None
    try:
        bundle = load_bundle(connection, row[0])
    except DataFailure:
        return None
    claims = row[1].get("claims", [])
    return LastPack(bundle, frozenset(claim["fact"] for claim in claims if claim["path"] == "value"))


def hours_saved(
    connection: psycopg.Connection[Any], worth: Mapping[str, Decimal], start: datetime, end: datetime
) -> Decimal:
    """Hours that the documents delivered from `start` to before `end` stand for; `worth` is that of one document of a
    job."""
    rows = connection.execute(_DELIVERED, {"start": start, "end": end, "kinds": list(worth)}).fetchall()
    return sum((worth[kind] * documents for kind, documents in rows), Decimal(0))
