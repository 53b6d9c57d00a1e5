"""An alert nobody has taken is told further: to other people, in another channel, once at each level.

Belongs here: which alerts are due, and what is put in the outbox for them. Does not belong here: when an alert is told
in its own channel again (`owing.py`), who is told and after how long (`fleet.yaml`, delivery.escalation).

Taken is: acknowledged, assigned, snoozed or muted. The time counts from when it was first told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.documents.model import Actions, Document, Title, rich

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import psycopg

    from ops_platform.fleet import Fleet
    from ops_platform.fleet.delivery_policy import Escalation

KIND = "alert_escalation"
_DUE = """
select alerts.id, alerts.severity, alerts.label, alerts.first_told_at, outbox.document_id, documents.document
from ops.alerts
left join ops.outbox on outbox.id = alerts.last_outbox_id
left join ops.documents on documents.id = outbox.document_id
where alerts.state in ('open', 'worsening')
    and alerts.first_told_at is not null
    and (
        (alerts.severity = 'alert' and alerts.first_told_at <= %(alert)s)
        or (alerts.severity = 'critical' and alerts.first_told_at <= %(critical)s)
    )
    and alerts.acknowledged_by is null
    and alerts.assignee is null
    and (alerts.snoozed_until is null or alerts.snoozed_until <= %(today)s)
    and not exists (
        select from ops.alert_escalations as told
        where told.alert_id = alerts.id and told.severity = alerts.severity
    )
    and not exists (
        select from ops.alert_mutes as muted
        inner join ops.alert_members as members on members.alert_id = alerts.id
        where muted.ended_at is null and muted.last_day >= %(today)s
            and starts_with(members.subject, muted.kind || ':' || muted.name || ':')
    )
order by alerts.id
"""


@dataclass(frozen=True, slots=True)
class Escalated:
    """One alert told further, with how many messages that took."""

    alert_id: int
    severity: str
    messages: int


def due(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> list[tuple[Any, ...]]:
    """The alerts that are due for it, by one indexed query."""
    steps = fleet.delivery.escalation
    if not steps:
        return []
    limits = {level: now - timedelta(minutes=step.after_minutes) for level, step in steps.items()}
    never = now - timedelta(days=36_500)
    today = clock.business_day(now, fleet.company.timezone)
    parameters = {"alert": limits.get("alert", never), "critical": limits.get("critical", never), "today": today}
    with connection.cursor() as cursor:
        return cursor.execute(_DUE.encode(), parameters).fetchall()


def escalate(
    connection: psycopg.Connection[Any],
    fleet: Fleet,
    now: datetime,
    *,
    channel_of: Callable[[str], str] | None,
    email: bool,
) -> list[Escalated]:
    """Put in the outbox what is due, and note it, in the caller's transaction. What can reach nobody (no channel, no
    e-mail) is not noted: it is told once it can be."""
    told = []
    for alert_id, severity, label, since, document_id, stored in due(connection, fleet, now):
        step = fleet.delivery.escalation[severity]
        minutes = int((now - since).total_seconds() // 60)
        document = _document(stored, minutes)
        said = f"Nobody has taken alert #{alert_id} ({severity}) for {_span(minutes)}: {label}"
        sent = _put(
            connection, fleet, step, f"escalation:{alert_id}:{severity}", document, document_id, said,
            channel_of=channel_of, email=email,
        )  # fmt: skip
        if not sent:
            continue
        connection.execute(
            "insert into ops.alert_escalations (alert_id, severity, at, messages) values (%s, %s, %s, %s)"
            " on conflict do nothing",
            (alert_id, severity, now, sent),
        )
        told.append(Escalated(alert_id, severity, sent))
    return told


def _put(
    connection: psycopg.Connection[Any],
    fleet: Fleet,
    step: Escalation,
    key: str,
    document: Document | None,
    document_id: int | None,
    said: str,
    *,
    channel_of: Callable[[str], str] | None,
    email: bool,
) -> int:
    from ops_platform.delivery.email import enqueue_document, enqueue_words
    from ops_platform.delivery.outbox import enqueue
    from ops_platform.documents import slack

    sent = 0
    if step.channel is not None and channel_of is not None:
        payloads = [{"text": slack.escape(said)}] if document is None else [m.payload() for m in slack.render(document)]
        first = None
        for number, payload in enumerate(payloads):
            row = enqueue(
                connection, kind=KIND, period=None, channel_key=step.channel, channel=channel_of(step.channel),
                payload=payload, document_id=document_id, dedupe_key=f"{key}:{number}", thread_of=first,
            )  # fmt: skip
            first, sent = first or row.id, sent + 1
    to = fleet.delivery.addresses(step.email) if email else []
    if document is None:
        sent += len(enqueue_words(connection, kind=KIND, to=to, subject=said[:120], text=f"{said}\n", key=key))
    else:
        kept = tuple(block for block in document.blocks if not isinstance(block, Actions))
        mail = replace(document, blocks=kept)
        sent += len(
            enqueue_document(
                connection, mail, kind=KIND, to=to, sender=fleet.company.name, key=key, document_id=document_id
            )
        )
    return sent


def _document(stored: dict[str, Any] | None, minutes: int) -> Document | None:
    """What was last told of it, under a title that says why it comes again."""
    if stored is None:
        return None
    document = Document.from_json(stored)
    lead = f"Nobody has taken this for {_span(minutes)}: "
    blocks = tuple(Title(rich(lead, block.text)) if isinstance(block, Title) else block for block in document.blocks)
    return replace(document, blocks=blocks, summary=rich(lead, document.summary))


def _span(minutes: int) -> str:
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
