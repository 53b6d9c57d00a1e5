"""What a narrative asks for: one action a subject, with an owner and a due date, and no hundred of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ops_platform.action_items.proposals import UNKNOWN, proposals
from ops_platform.alerts.policy import business_calendar
from ops_platform.evidence.spans import Tier
from ops_platform.fleet.alert_policy import AlertPolicy
from ops_platform.fleet.narratives import Narratives
from tests.evidence.narrative_warehouse import FRIDAY, MONDAY, filled, surveyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Connect

SUNDAY = date(2026, 11, 15)
HOSTILE = "<!channel> <https://evil.example/x|pay> call +49 170 1234567"


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    with warehouse() as opened:
        filled(opened)
        yield opened


def incident(connection: psycopg.Connection[Any], head: str, label: str, severity: str = "alert") -> None:
    connection.execute(
        "insert into ops.alerts (head, label, state, severity, division, owner, since, opened_at, updated_at)"
        " values (%s, %s, 'open', %s, null, 'logistics', '2026-11-15', '2026-11-16 06:00-05', now())",
        (head, label, severity),
    )


def asked(
    connection: psycopg.Connection[Any], tier: Tier = "daily", day: date = SUNDAY, **more: Any
) -> list[tuple[str, str, str, date]]:
    found = surveyed(connection, tier, day, more.pop("as_of", MONDAY), **more)
    calendar = business_calendar(AlertPolicy())
    told = proposals(found, Narratives().tier(tier), MONDAY.date(), calendar.next_business_day)
    return [(each.subject, each.about, each.owner, each.due_on) for each in told]


def test_a_concern_asks_its_division_within_business_days(connection: psycopg.Connection[Any]) -> None:
    assert asked(connection) == [("metric:late_orders:all:all", "Late orders", "Supply Chain", date(2026, 11, 18))]
    # Five business days from Monday the 16th.
    assert asked(connection, "weekly")[0][3] == date(2026, 11, 23)


def test_an_alert_about_a_concern_is_the_same_action_and_more_urgent(connection: psycopg.Connection[Any]) -> None:
    incident(connection, "metric:late_orders:all:all", "Late orders", "critical")
    assert asked(connection) == [("metric:late_orders:all:all", "Late orders", "Logistics", date(2026, 11, 17))]


def test_a_morning_on_which_everything_failed_is_no_hundred_actions(connection: psycopg.Connection[Any]) -> None:
    for number in range(40):
        incident(connection, f"source:vendor.{number}", f"Vendor: stream {number}")
    told = asked(connection)
    assert len(told) == Narratives().daily.concerns + 1 and told[-1][1] == "Late orders"


def test_what_is_unknown_is_one_action_of_the_coordinator(connection: psycopg.Connection[Any]) -> None:
    connection.execute("delete from metrics.fct_metric_daily where date = '2026-11-19'")
    told = asked(connection, day=FRIDAY.date() - timedelta(days=1), as_of=FRIDAY)
    assert [(subject, owner) for subject, _, owner, _ in told] == [(UNKNOWN, "Coordinator")]


def test_hostile_words_become_harmless_before_they_are_kept(connection: psycopg.Connection[Any]) -> None:
    incident(connection, "threshold:stock:sku:x", HOSTILE)
    ((_, about, _, _), _) = asked(connection)
    (row,) = surveyed(connection, "daily", SUNDAY, MONDAY).bundle([], [], most_actions=8).rows("incidents")
    for text in (about, row.texts["label"]):
        assert text == "[mention] pay call [phone]"
