"""Announcements become messages: evidence, document, Slack payload, kept in the caller's transaction.

Belongs here: the composer that the alert machine is given. Does not belong here: words
(`ops_platform.documents.alert`), facts (`evidence.py`), the outbox (`ops_platform.delivery`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops_platform.alerts.announcement import Composed
from ops_platform.alerts.evidence import bundle_of
from ops_platform.alerts.links import Links

if TYPE_CHECKING:
    import psycopg

    from ops_platform.alerts.announcement import Announcement
    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle, CompanyProfile

_STORE = """
insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, document, digest)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (kind, period_start, digest) do update set evidence_digest = excluded.evidence_digest
returning id
"""


@dataclass(frozen=True, slots=True)
class AlertComposer:
    """Implements `ops_platform.alerts.announcement.Composer`. `links` says where a reader finds more."""

    company: CompanyProfile
    links: Links = field(default_factory=Links)

    def __call__(self, connection: psycopg.Connection[Any], announcement: Announcement) -> Composed:
        from ops_platform.documents import slack
        from ops_platform.documents.alert import compose_alert

        bundle = bundle_of(connection, announcement, self.company, link=self.links(announcement))
        document = compose_alert(bundle)
        first, *rest = slack.render(document)
        return Composed(first.payload(), tuple(each.payload() for each in rest), _kept(connection, bundle, document))


def _kept(connection: psycopg.Connection[Any], bundle: Bundle, document: Document) -> int:
    from psycopg.types.json import Jsonb

    from ops_platform.evidence.store import save_bundle

    digest = save_bundle(connection, bundle)
    period = bundle.period
    row = connection.execute(
        _STORE,
        (
            document.kind, period.start, period.end, digest, document.writer, Jsonb(document.to_json()),
            document.digest,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(next(iter(row.values() if isinstance(row, dict) else row)))
