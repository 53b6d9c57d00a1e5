"""A subject of approval that is as small as can be: a note with a text, put into the outbox once it is approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.model import Approval, Payload, Person
from ops_platform.approvals.subjects import Registry, Revised, Shown, Text
from ops_platform.delivery.outbox import enqueue
from ops_platform.documents.model import Paragraph, Quoted, rich
from ops_platform.failures import DataFailure, OpsError
from ops_platform.fleet.approval_policy import ApprovalPolicy

NOW = datetime(2026, 11, 2, 14, 0, tzinfo=UTC)
DUE = NOW + timedelta(days=3)
CHANNELS = {"executive": "C0EXEC", "team": "C0TEAM", "alerts": "C0ALERT"}
DANA = Person("dana", "Dana Whitfield", "slack:U0DANA")
LEE = Person("lee", "Lee Moran", "slack:U0LEE")
POLICY = ApprovalPolicy.model_validate(
    {
        "people": {
            "dana": {"name": "Dana Whitfield", "slack": "U0DANA", "account": "dana"},
            "lee": {"name": "Lee Moran", "slack": "U0LEE", "account": "lee"},
            "kim": {"name": "Kim Osei", "slack": "U0KIM"},
        },
        "rules": {"note": {"approvers": ["dana", "lee"]}},
    }
)


@dataclass
class Notes:
    """Implements `Subject`. `failures` are raised by the next executions, one each."""

    failures: list[OpsError] = field(default_factory=list)

    def shown(self, connection: Any, payload: Payload) -> Shown:
        return Shown((Paragraph(rich(Quoted(payload["text"]))),), "posts this note", editable=True)

    def texts(self, connection: Any, payload: Payload) -> Mapping[str, Text]:
        return {"text": Text(payload["text"], "Anything but shouting.")}

    def revised(self, connection: Any, payload: Payload, texts: Mapping[str, str], by: Person) -> Revised:
        if texts["text"].isupper():
            raise DataFailure("no shouting")
        return Revised({**payload, "text": texts["text"]}, f"edited by {by.name}")

    def execute(self, connection: Any, approval: Approval, now: datetime) -> str:
        enqueue(
            connection, kind="note", period=None, channel_key="team", channel="C0TEAM",
            payload={"text": approval.payload["text"]}, dedupe_key=f"note:{approval.id}",
        )  # fmt: skip
        if self.failures:
            raise self.failures.pop(0)
        return "Posted to the team channel."


def inbox(notes: Notes | None = None, policy: ApprovalPolicy = POLICY, *, channel: bool = True) -> Inbox:
    registry = Registry({"note": notes or Notes()})
    return Inbox(policy, registry, ZoneInfo("America/New_York"), CHANNELS.__getitem__ if channel else None)


def asked(connect: Any, desk: Inbox, text: str = "Stock is counted on Friday.", **changes: Any) -> Approval:
    """A request for a note, by a job."""
    given: dict[str, Any] = {
        "kind": "note", "subject": "friday", "title": "A note", "payload": {"text": text}, "author": "job:notes",
        "channel_key": "executive", "due_at": DUE, "now": NOW, **changes,
    }  # fmt: skip
    with connect() as connection:
        return desk.request(connection, **given)


def say(connect: Any, desk: Inbox, what: str, number: int, **given: Any) -> Any:
    """One word of a person's, committed."""
    given = {"person": DANA, "key": f"{what}:{number}:{given.get('person', DANA).id}", "now": NOW, **given}
    with connect() as connection:
        return getattr(desk, what)(connection, number, **given)


def posted(connect: Any, kind: str = "note") -> list[str]:
    """What the outbox holds of a kind, in order."""
    with connect() as connection:
        rows = connection.execute(
            "select payload ->> 'text' from ops.outbox where kind = %s order by created_at, dedupe_key", (kind,)
        )
        return [text for (text,) in rows]


def states(connect: Any) -> list[tuple[int, str]]:
    with connect() as connection:
        return connection.execute("select id, state from ops.approvals order by id").fetchall()


def events(connect: Any, number: int = 1) -> list[str]:
    with connect() as connection:
        rows = connection.execute("select event from ops.approval_events where approval_id = %s order by id", (number,))
        return [event for (event,) in rows]
