"""Alerts nobody takes are told further, once at each level; what somebody took is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ops_platform.alerts.cycle import handle
from ops_platform.alerts.escalation import due, escalate
from ops_platform.fleet.delivery_policy import DeliveryRoutes
from tests.alerts.scenes import CHANNELS, MORNING, fleet, signal, turn

ROUTES = {
    "lists": {"on_call": ["on-call@northbeam.example"], "leads": ["leadership@northbeam.example"]},
    "escalation": {
        "alert": {"after_minutes": 240, "email": ["on_call"]},
        "critical": {"after_minutes": 30, "email": ["on_call", "leads"], "channel": "executive"},
    },
}


def company(**routes: Any) -> Any:
    return fleet().model_copy(update={"delivery": DeliveryRoutes.model_validate({**ROUTES, **routes})})


def tell(desk: Any, minutes: int, **given: Any) -> list[tuple[int, str, int]]:
    options: dict[str, Any] = {"channel_of": CHANNELS.__getitem__, "email": True, **given}
    with desk() as connection:
        told = escalate(connection, company(), MORNING + timedelta(minutes=minutes), **options)
    return [(one.alert_id, one.severity, one.messages) for one in told]


def rows(desk: Any) -> list[tuple[Any, ...]]:
    with desk() as connection:
        return connection.execute(
            "select channel, payload ->> 'text' from ops.outbox where kind = 'alert_escalation' order by channel"
        ).fetchall()


def test_each_level_after_its_time_and_once(desk: Any) -> None:
    turn(desk, signal(), signal("refund_rate", severity="critical", closeness="5"), at=0)
    assert tell(desk, 29) == []
    assert tell(desk, 30) == [(2, "critical", 3)]
    assert tell(desk, 31) == []
    assert tell(desk, 240) == [(1, "alert", 1)]
    assert tell(desk, 5000) == []
    shown = rows(desk)
    assert [channel for channel, _ in shown] == [
        "C0EXEC", "leadership@northbeam.example", "on-call@northbeam.example", "on-call@northbeam.example",
    ]  # fmt: skip
    assert all("Nobody has taken" in text for _, text in shown)
    assert any("30 minutes" in text and "refund rate" in text for _, text in shown)


def test_a_watch_is_never_told_further(desk: Any) -> None:
    turn(desk, signal(severity="watch"), at=0)
    assert tell(desk, 10_000) == []


def test_what_becomes_critical_is_told_at_that_level_too(desk: Any) -> None:
    turn(desk, signal(), at=0)
    assert tell(desk, 300) == [(1, "alert", 1)]
    turn(desk, signal(day=1, severity="critical", closeness="9"), at=1)
    assert tell(desk, 24 * 60 + 5) == [(1, "critical", 3)]


@pytest.mark.parametrize(
    "taken",
    [
        "update ops.alerts set acknowledged_by = 'Dana', acknowledged_at = now()",
        "update ops.alerts set assignee = 'Dana'",
        "update ops.alerts set snoozed_until = '2026-12-01', snoozed_by = 'Dana'",
        "update ops.alerts set state = 'resolved', resolved_at = now(), resolution = 'clear'",
        "update ops.alerts set state = 'recovering'",
    ],
)
def test_what_somebody_took_or_is_over_is_not(taken: str, desk: Any) -> None:
    turn(desk, signal(severity="critical"), at=0)
    with desk() as connection:
        connection.execute(taken.encode())
    assert tell(desk, 300) == []


def test_where_nobody_can_be_reached_it_stays_due(desk: Any) -> None:
    turn(desk, signal(severity="critical"), at=0)
    assert tell(desk, 60, channel_of=None, email=False) == []
    assert tell(desk, 60, email=False) == [(1, "critical", 1)]
    with desk() as connection:
        assert due(connection, company(escalation={}), MORNING + timedelta(days=30)) == []


def test_the_document_goes_with_a_title_that_says_why(desk: Any) -> None:
    """With the real composer: what was last told, as a mail and as a message."""
    from ops_platform.alerts.composing import AlertComposer
    from ops_platform.fleet.profile import company_profile

    with desk() as connection:
        handle(
            connection, [signal(severity="critical")], MORNING, fleet=fleet(),
            compose=AlertComposer(company_profile(fleet())), channels=CHANNELS.__getitem__,
        )  # fmt: skip
    assert tell(desk, 45) == [(1, "critical", 3)]
    with desk() as connection:
        mail, slack = connection.execute(
            "select max(payload ->> 'subject'), max(payload ->> 'text') filter (where channel_key = 'executive')"
            " from ops.outbox where kind = 'alert_escalation'"
        ).fetchone() or ("", "")
    assert mail.startswith("Nobody has taken this for 45 minutes: ")
    assert "Nobody has taken this for 45 minutes" in slack
