"""A campaign as a payload, and an inbox that knows the kinds of threads, for tests."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ops_platform.approvals.campaigns import CampaignSubject
from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.subjects import Registry, Subject
from ops_platform.approvals.thread_subjects import IncidentSubject, ReviewSubject
from tests.approvals.notes import CHANNELS, POLICY

ZONE = ZoneInfo("America/New_York")
BODY = "It has been a while.\n\nPicked for you: {products}.\n\nThe code is {code}."


def person(number: int, order: str = "", at: datetime | None = None) -> dict[str, Any]:
    return {
        "customer": f"{number}", "order": order or f"{6000 + number}",
        "ordered_at": (at or datetime(2026, 8, 1, 12, tzinfo=UTC)).isoformat(),
        "products": [f"Product {'ABCDEFGH'[number % 8]}", "Cable <b>"], "arm": "warm",
    }  # fmt: skip


def group(reason: str, people: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "reason": reason, "label": reason.replace("_", " "), "subject": "We miss you", "preview": "A little something",
        "body": BODY, "recipients": people,
    }  # fmt: skip


def campaign(*groups: dict[str, Any], **changes: Any) -> dict[str, Any]:
    made = {
        "mark": "winback-2026-11-02", "title": "We miss you",
        "offer": {"code": "COMEBACK15", "title": "We miss you: 15 %", "in_shop": True},
        "groups": list(groups) or [group("long_away", [person(1), person(2)]), group("never_used", [person(3)])],
        "unreachable": 2,
    }  # fmt: skip
    return copy.deepcopy({**made, **changes})


def inbox(*, channel: bool = True) -> Inbox:
    kinds: dict[str, Subject] = {
        "campaign": CampaignSubject(ZONE),
        "growth_review": ReviewSubject(ZONE),
        "incident": IncidentSubject(),
    }
    return Inbox(POLICY, Registry(kinds), ZONE, CHANNELS.__getitem__ if channel else None)


def asked_for(connect: Any, desk: Inbox, payload: dict[str, Any] | None = None, **changes: Any) -> Any:
    """A request for a campaign, by its playbook."""
    from tests.approvals.notes import DUE, NOW

    given: dict[str, Any] = {
        "kind": "campaign", "subject": "winback-2026-11-02", "title": "Win-back campaign",
        "payload": payload or campaign(), "author": "job:ops_churn_prevention", "channel_key": "team", "due_at": DUE,
        "now": NOW, "assignee": "lee", **changes,
    }  # fmt: skip
    with connect() as connection:
        return desk.request(connection, **given)
