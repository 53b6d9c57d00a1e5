"""The tools of the platform itself: how it stands, its day in figures, its integrations, what engineering looks at."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from ops_platform.failures import DataFailure
from ops_platform.playbooks.toolbox.integrations import (
    CredentialsCheck,
    CredentialsInput,
    IntegrationPings,
    LogsInput,
    PingInput,
    SearchLogs,
)
from ops_platform.playbooks.toolbox.system import PlatformStats, StatsInput, SystemHealth, SystemInput
from tests.conftest import Connect
from tests.playbooks.company import FRESH, LABELS, NOW, Vendors, fill
from tests.playbooks.company import answer as run

# -- the platform ------------------------------------------------------------------------------------------------------


def test_the_last_day_in_figures(company: Connect) -> None:
    with company() as connection:
        for name, hours, role in (
            ("a", 1, "customer"),
            ("b", 23, "customer"),
            ("c", 25, "customer"),
            ("d", 1, "tester"),
        ):
            connection.execute(
                "insert into staging.stg_app__users values (%s, %s, %s)", (name, role, NOW - timedelta(hours=hours))
            )
            connection.execute(
                "insert into staging.stg_app__sessions values (%s, %s, %s)", (name, "a", NOW - timedelta(hours=hours))
            )
        connection.execute("update marts.fct_orders set processed_at = %s where order_id like '%%7000'", (FRESH,))
        for number in range(100):
            status = "failed" if number < 2 else "succeeded"
            connection.execute(
                "insert into ops.sync_runs (vendor, stream, status, started_at) values ('x', 'y', %s, %s)",
                (status, NOW - timedelta(hours=1)),
            )
    found = run(company, PlatformStats(), StatsInput())
    assert (found.signups, found.active_users, found.orders, found.revenue) == (2, 1, 1, Decimal(100))
    assert (found.attempts, found.errors, found.error_rate) == (100, 2, Decimal("0.02"))
    assert [(line.state, line.label) for line in found.shown().lines] == [
        ("ok", "Not below a week before"), ("attention", "Errors"),
    ]  # fmt: skip


def test_a_day_is_held_against_the_same_hours_a_week_before(company: Connect) -> None:
    def on(hours: int, count: int) -> None:
        with company() as connection:
            for number in range(count):
                connection.execute(
                    "insert into staging.stg_app__users values (%s, 'customer', %s)",
                    (f"{hours}:{number}", NOW - timedelta(hours=hours)),
                )

    on(2, 2)
    on(7 * 24 + 2, 2)
    on(6 * 24, 9)  # another weekday counts nowhere
    even = run(company, PlatformStats(), StatsInput())
    assert (even.signups, even.signups_before, even.trending) == (2, 2, True)
    on(7 * 24 + 3, 1)
    less = run(company, PlatformStats(), StatsInput())
    assert (less.signups_before, less.trending) == (3, False)
    assert ("info", "Below a week before") in [(line.state, line.label) for line in less.shown().lines]
    (fact,) = [fact for fact in less.facts() if fact.id == "signups_day"]
    assert [(one.name, one.value, one.delta) for one in fact.comparisons] == [("week", Decimal(3), Decimal(-1))]
    with company() as connection:
        fill(connection, fresh_to=None)
    assert run(company, PlatformStats(), StatsInput()).trending is None


def test_of_a_source_that_ends_earlier_a_whole_day_up_to_its_end(company: Connect) -> None:
    """At ten, of data that are whole up to six: the day from six to six, not twenty hours of it."""
    with company() as connection:
        end = NOW - timedelta(hours=4)
        fill(connection, fresh_to=end)
        for name, hours in (("a", 5), ("b", 27), ("c", 29), ("d", 1)):
            connection.execute(
                "insert into staging.stg_app__users values (%s, 'customer', %s)", (name, NOW - timedelta(hours=hours))
            )
    found = run(company, PlatformStats(), StatsInput())
    assert found.signups == 2  # a and b; d came after what is known to be whole
    (fact,) = [fact for fact in found.facts() if fact.id == "signups_day"]
    assert fact.fresh_to == end and dict(fact.source.params)["as_of"] == end.isoformat()


def test_no_sign_ups_is_not_unknown_sign_ups(company: Connect) -> None:
    found = run(company, PlatformStats(), StatsInput())
    assert found.signups == 0 and found.error_rate is None
    assert [line.label for line in found.shown().lines if line.state == "attention"] == ["Nobody signed up"]
    with company() as connection:
        fill(connection, fresh_to=FRESH - timedelta(days=3))
    found = run(company, PlatformStats(), StatsInput())
    assert found.signups is None and found.revenue is None
    assert next(line.label for line in found.shown().lines if line.state == "unknown") == "Sign-ups"


def test_the_platform_itself(company: Connect) -> None:
    never = run(company, SystemHealth(), SystemInput())
    assert never.warehouse_ok is None and not never.healthy
    with company() as connection:
        connection.execute(
            "insert into ops.warehouse_builds (fingerprint, status, started_at, finished_at)"
            " values ('f', 'succeeded', %s, %s)",
            (NOW - timedelta(hours=2), NOW - timedelta(hours=1)),
        )
    well = run(company, SystemHealth(), SystemInput())
    assert well.healthy and well.quota_share == 0
    with company() as connection:
        connection.execute(
            "insert into ops.token_ledger (bot, cycle, purpose, model, tier, state, reserved_tokens, input_tokens,"
            " output_tokens, created_at, settled_at)"
            " values ('sales', '2026-11-20', 'p', 'm', 'small', 'spent', 0, 16000, 1000, %s, %s)", (NOW, NOW),
        )  # fmt: skip
        connection.execute("update ops.warehouse_builds set finished_at = %s", (NOW - timedelta(hours=27),))
    worn = run(company, SystemHealth(), SystemInput())
    assert worn.quota_share == Decimal("0.85")
    assert {line.label for line in worn.shown().lines if line.state == "attention"} == {
        "Warehouse built",
        "Tokens of the day",
    }


# -- integrations ------------------------------------------------------------------------------------------------------


def test_pings_keep_how_each_answered(company: Connect) -> None:
    vendors = Vendors(out={"hubspot": "401: the token was refused"}, slow={"shopify": 2500}, missing=("anthropic",))
    tool = IntegrationPings(vendors, LABELS)
    well = run(company, IntegrationPings(Vendors(), LABELS), PingInput(), as_of=NOW - timedelta(hours=3))
    assert well.healthy and well.uptime == 1 and well.offline_since is None
    first = run(company, tool, PingInput(), as_of=NOW - timedelta(hours=2))
    again = run(company, tool, PingInput(), as_of=NOW - timedelta(hours=1))
    last = run(company, tool, PingInput())
    assert (last.offline, last.slow, last.not_connected, last.online) == (["hubspot"], ["shopify"], ["anthropic"], 1)
    assert (first.silent, again.silent, last.silent) == ([], ["hubspot"], ["hubspot"])
    assert last.offline_since == NOW - timedelta(hours=2)  # one outage, from its first ask on
    (hubspot,) = [one for one in last.integrations if one.name == "hubspot"]
    assert (hubspot.last_success, hubspot.uptime) == (NOW - timedelta(hours=3), Decimal("0.25"))
    assert (last.offline_labels, last.slow_labels, last.worst_latency_ms) == ("HubSpot", "Shopify", 2500)
    assert [line.label for line in last.shown().lines][:2] == [
        "Integrations that do not answer",
        "HubSpot does not answer",
    ]


def test_a_rehearsal_asks_nobody(company: Connect) -> None:
    vendors = Vendors(out={"hubspot": "away"})
    run(company, IntegrationPings(vendors, LABELS), PingInput(), as_of=NOW - timedelta(hours=5))
    found = run(company, IntegrationPings(vendors, LABELS), PingInput(), dry_run=True)
    assert vendors.asked == 1 and found.offline == ["hubspot"]
    earlier = run(company, IntegrationPings(vendors, LABELS), PingInput(), dry_run=True, as_of=NOW - timedelta(hours=9))
    assert earlier.offline == [] and len(earlier.not_connected) == 3
    with pytest.raises(DataFailure, match="there is no integration nowhere"):
        run(company, IntegrationPings(vendors, LABELS), PingInput(integrations=["nowhere"]))


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("HubSpot: 401, the token was refused", "credentials"), ("cannot reach api.example: refused", "network"),
        ("no answer within 20 s", "network"), ("503 from the vendor", "vendor"),
    ],
)  # fmt: skip
def test_where_the_fault_is(company: Connect, said: str, verdict: str) -> None:
    run(company, IntegrationPings(Vendors(out={"hubspot": said}), LABELS), PingInput())
    found = run(company, CredentialsCheck(LABELS), CredentialsInput(integrations=["hubspot", "shopify"]))
    assert [one.verdict for one in found.credentials] == [verdict, "fine"]
    assert found.refused == (["hubspot"] if verdict == "credentials" else [])


def test_logs_are_found_by_words_without_secrets(company: Connect) -> None:
    with company() as connection:
        for hours, vendor, error in (
            (1, "hubspot", "401 for xoxb-123456789012-abcdef at https://evil.example/x by a@b.example"),
            (2, "hubspot", "reset"), (30, "hubspot", "long ago"), (1, "shopify", "other"),
        ):  # fmt: skip
            connection.execute(
                "insert into ops.sync_runs (vendor, stream, status, started_at, error)"
                " values (%s, 'deals', 'failed', %s, %s)",
                (vendor, NOW - timedelta(hours=hours), error),
            )
    found = run(company, SearchLogs(), LogsInput(words=["hubspot"]))
    assert (found.count, [line.where for line in found.lines]) == (2, ["sync", "sync"])
    assert "xoxb" not in found.lines[0].text and "evil" not in found.lines[0].text and "a@b" not in found.lines[0].text
    assert run(company, SearchLogs(), LogsInput(words=["nothing"])).count == 0
    assert run(company, SearchLogs(), LogsInput(words=["'; drop table x; --", "%"])).count == 0
