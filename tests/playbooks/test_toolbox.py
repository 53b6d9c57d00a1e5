"""The tools, over a company whose customers can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.approvals.campaigns import check_payload
from ops_platform.failures import DataFailure
from ops_platform.playbooks.toolbox.campaigns import CampaignDraft, CampaignInput
from ops_platform.playbooks.toolbox.customers import (
    AtRiskCustomers,
    AtRiskInput,
    CustomerReturned,
    InactiveCustomers,
    InactiveInput,
    ReturnedInput,
)
from ops_platform.playbooks.toolbox.growth import RevenueInput, RevenueMetrics, SignupAnalytics, SignupInput
from ops_platform.playbooks.toolbox.integrations import (
    CredentialsCheck,
    CredentialsInput,
    IntegrationPings,
    LogsInput,
    PingInput,
    SearchLogs,
)
from ops_platform.playbooks.toolbox.system import PlatformStats, StatsInput, SystemHealth, SystemInput
from ops_platform.playbooks.tools import Arm
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.playbooks.company import FRESH, LABELS, NOW, SCHEMA, TODAY, Customer, Vendors, context, empty, fill, metric


@pytest.fixture(scope="module")
def its_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "toolbox") as connect:
        with connect() as connection:
            connection.execute(SCHEMA.encode())
        yield connect


@pytest.fixture
def company(its_database: Connect) -> Connect:
    with its_database() as connection:
        empty(connection)
        fill(connection)
    return its_database


def run(connect: Connect, tool: Any, given: Any, **changes: Any) -> Any:
    with connect() as connection:
        found = tool.run(given, context(connection, connect, **changes))
        connection.commit()
    # What a step keeps is JSON; it comes back as it was.
    assert tool.Output.model_validate_json(found.model_dump_json()) == found
    return found


# -- customers ---------------------------------------------------------------------------------------------------------


def test_who_is_inactive_and_why(company: Connect) -> None:
    found = run(company, InactiveCustomers(), InactiveInput())
    assert [(one.customer, one.reason, one.days_without_login) for one in found.customers] == [
        ("away", "long_away", 40), ("lately", "lately_away", 7), ("never", "never_used", None),
    ]  # fmt: skip
    # gone and left are no customers any more; amazon is inactive and nobody knows how to write there.
    assert (found.count, found.of, found.unreachable, found.left_for_later) == (4, 8, 1, 0)
    assert found.rate == Decimal("0.5") and found.week == "2026-W47"
    assert found.customers[0].order == "7005" and found.customers[0].ordered_at is not None


def test_at_most_so_many_are_written_to_who_bring_most_first(company: Connect) -> None:
    found = run(company, InactiveCustomers(), InactiveInput(most=1))
    assert [one.customer for one in found.customers] == ["away"] and found.left_for_later == 2


def test_a_past_day_is_answered_as_of_that_day(company: Connect) -> None:
    """Logins, orders and cancellations that came later do not count."""
    then = TODAY - timedelta(days=10)
    found = run(company, InactiveCustomers(), InactiveInput(), as_of=NOW - timedelta(days=10), today=then)
    # On the tenth nobody had ordered or logged in who did since: `left` had not cancelled yet and was long away.
    assert "left" in {one.customer for one in found.customers}
    assert "lately" not in {one.customer for one in found.customers}  # its order was eighty days old then


def test_nobody_is_written_to_on_a_guess(company: Connect) -> None:
    with company() as connection:
        fill(connection, fresh_to=FRESH - timedelta(days=3))
    with pytest.raises(DataFailure, match="unknown since 2026-11-17 14:30 UTC: nobody is written to on a guess"):
        run(company, InactiveCustomers(), InactiveInput())
    with company() as connection:
        fill(connection, fresh_to=None)
    with pytest.raises(DataFailure, match="as they never arrived"):
        run(company, InactiveCustomers(), InactiveInput())


def test_no_customer_at_all_is_no_share(company: Connect) -> None:
    with company() as connection:
        fill(connection, ())
    found = run(company, InactiveCustomers(), InactiveInput())
    assert (found.count, found.of, found.rate, found.customers) == (0, 0, None, [])


def test_who_is_at_risk(company: Connect) -> None:
    found = run(company, AtRiskCustomers(), AtRiskInput())
    # Two signs: no campaign of ours has gone to anybody; the second is a login or a ticket.
    assert [(one.customer, one.reasons) for one in found.customers] == [
        ("away", ["no_login", "no_campaign"]), ("lately", ["no_campaign", "open_ticket"]),
        ("never", ["no_login", "no_campaign"]), ("buys", ["no_login", "no_campaign"]),
        ("amazon", ["no_login", "no_campaign"]),
    ]  # fmt: skip
    assert (found.count, found.of, found.no_login, found.no_campaign, found.open_tickets) == (5, 8, 4, 8, 1)
    assert found.mrr_at_risk == Decimal(30) and found.rate == Decimal("0.625")


def test_an_unknown_amount_makes_the_sum_unknown(company: Connect) -> None:
    with company() as connection:
        fill(connection, (Customer("a", login=90), Customer("b", login=90, mrr=None)))
    found = run(company, AtRiskCustomers(), AtRiskInput())
    assert found.count == 2 and found.mrr_at_risk is None


def test_stale_data_leave_at_risk_unknown(company: Connect) -> None:
    with company() as connection:
        fill(connection, fresh_to=FRESH - timedelta(days=3))
    found = run(company, AtRiskCustomers(), AtRiskInput())
    assert (found.count, found.of, found.rate, found.customers) == (None, None, None, [])
    (fact,) = [fact for fact in found.facts() if fact.id == "at_risk"]
    assert (fact.status, fact.unknown_since) == ("unknown", FRESH - timedelta(days=3))


def test_who_came_back(company: Connect) -> None:
    assert run(company, CustomerReturned(), ReturnedInput(unit="well", days=3)).returned == 0
    assert run(company, CustomerReturned(), ReturnedInput(unit="well", days=4)).returned == 1
    assert run(company, CustomerReturned(), ReturnedInput(unit="nobody", days=4)).days_used == 0


# -- the campaign ------------------------------------------------------------------------------------------------------


def test_a_campaign_is_personal_and_of_the_shop(company: Connect) -> None:
    inactive = run(company, InactiveCustomers(), InactiveInput())
    arms = {"away": "warm", "lately": "plain", "never": "warm"}
    found = run(
        company, CampaignDraft(), CampaignInput(customers=inactive.customers, unreachable=1),
        variant_of=lambda unit: Arm("words", arms[unit], {"tone": arms[unit]}),
    )  # fmt: skip
    check_payload(found.payload)
    people = {one["customer"]: (group["reason"], one["products"], one["order"]) for group in found.payload["groups"]
              for one in group["recipients"]}  # fmt: skip
    # away has A, which goes with C and, by one, with B; lately has both; never has nothing: what sells best. D is out.
    assert people["away"] == ("long_away_warm", ["Product C", "Product B", "Product F"], "7005")
    assert people["lately"][0] == "lately_away_plain" and people["lately"][1][0] == "Product C"
    assert people["never"][1][0] == "Product A" and "Product D" not in str(people)
    assert (found.customers, found.campaigns, found.code_in_shop, found.mark) == (3, 3, True, "winback-2026-11-20")
    subjects = {group["reason"]: group["subject"] for group in found.payload["groups"]}
    assert len(set(subjects.values())) == 3
    assert (
        run(company, CampaignDraft(), CampaignInput(customers=inactive.customers, code="OTHER1")).code_in_shop is False
    )


def test_who_is_in_a_waiting_campaign_or_was_written_to_is_left_alone(company: Connect) -> None:
    from tests.approvals.campaign import campaign, group, inbox, person
    from tests.approvals.notes import LEE

    desk = inbox(channel=False)
    payload = campaign(group("long_away", [{**person(1), "customer": "away"}]))
    with company() as connection:
        approval = desk.request(
            connection, kind="campaign", subject="winback-2026-11-19", title="x", payload=payload,
            author="job:ops_churn_prevention", channel_key=None, due_at=NOW + timedelta(days=3), now=NOW,
        )  # fmt: skip
    waiting = run(company, InactiveCustomers(), InactiveInput())
    assert [one.customer for one in waiting.customers] == ["lately", "never"]
    assert (waiting.count, waiting.waiting) == (4, 1)
    from ops_platform.approvals.execution import execute_approved

    with company() as connection:
        desk.approve(connection, approval.id, shown=approval.payload_hash, person=LEE, key="k", now=NOW)
    execute_approved(company, desk, NOW)
    written = run(company, InactiveCustomers(), InactiveInput())
    assert (written.count, written.waiting) == (3, 0)  # written to today, so not inactive for thirty days
    at_risk = run(company, AtRiskCustomers(), AtRiskInput())
    assert "away" not in {one.customer for one in at_risk.customers}


# -- growth ------------------------------------------------------------------------------------------------------------

WEEK = [date(2026, 11, 9) + timedelta(days=n) for n in range(7)]
BEFORE = [day - timedelta(days=7) for day in WEEK]


def test_sign_ups_by_role_and_source_and_their_funnel(company: Connect) -> None:
    people = (
        Customer("a", signed_up=6), Customer("b", signed_up=10, login=None), Customer("c", signed_up=11),
        Customer("late", signed_up=4), Customer("early", signed_up=12),
    )  # fmt: skip
    with company() as connection:
        fill(connection, people)
        connection.execute(
            "update marts.fct_app_customers set role = 'tester', is_customer = false where user_id = 'c'"
        )
        connection.execute("update marts.fct_app_customers set first_paid_day = null where user_id = 'b'")
        metric(connection, "signups", "count", "sum", {**dict.fromkeys(WEEK, ("1", "1", "1")),
                                                       **dict.fromkeys(BEFORE, ("2", "2", "1"))})  # fmt: skip
        metric(connection, "signup_to_subscription_conversion", "ratio", "ratio",
               dict.fromkeys(WEEK, ("0.1", "1", "10")))  # fmt: skip
    found = run(company, SignupAnalytics(), SignupInput())
    assert (found.week_start, found.week_end) == (WEEK[0], WEEK[-1])
    assert (found.signups, found.signups_before, found.conversion) == (7, 14, Decimal("0.1"))
    assert [(one.name, one.signups) for one in found.by_role] == [("customer", 2), ("tester", 1)]
    assert (found.funnel_logged_in, found.funnel_subscribed, found.funnel_paid) == (1, 2, 1)
    assert next((line.state, line.label) for line in found.shown().lines) == ("attention", "Conversion of sign-ups")


def test_revenue_and_what_moved_it(company: Connect) -> None:
    with company() as connection:
        metric(connection, "mrr", "money", "last", {WEEK[-1]: ("1040", "1040", "1"), BEFORE[-1]: ("1000", "1000", "1")})
        metric(
            connection, "subscribers", "count", "last", {WEEK[-1]: ("98", "98", "1"), BEFORE[-1]: ("100", "100", "1")}
        )
        for name, value in (("expansion_mrr", "3"), ("churned_mrr", "2"), ("subscribers_churned", "1")):
            unit = "count" if name.startswith("sub") else "money"
            metric(connection, name, unit, "sum", dict.fromkeys(WEEK, (value, value, "1")))
    found = run(company, RevenueMetrics(), RevenueInput())
    assert (found.mrr, found.mrr_before, found.mrr_growth) == (Decimal(1040), Decimal(1000), Decimal("0.04"))
    assert (found.expansion, found.churned, found.subscribers_churned) == (Decimal(21), Decimal(14), 7)
    assert found.churn_rate == Decimal("0.07")
    assert found.new is None and found.contraction is None  # no such figures: unknown, and not nothing
    states = {line.label: line.state for line in found.shown().lines}
    assert states == {"MRR growth": "attention", "Subscribers lost": "attention"}
    assert [action.severity for action in found.shown().actions] == ["watch", "alert"]


def test_without_figures_growth_is_unknown(company: Connect) -> None:
    found = run(company, RevenueMetrics(), RevenueInput())
    assert found.mrr is None and found.mrr_growth is None and found.churn_rate is None
    assert {line.state for line in found.shown().lines} == {"unknown"}
    assert run(company, SignupAnalytics(), SignupInput()).signups is None


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
    assert [(line.state, line.label) for line in found.shown().lines] == [("attention", "Errors")]


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


def test_every_figure_can_be_traced(company: Connect) -> None:
    """Each fact names its relation and query; what is known has a value."""
    for tool, given in (
        (InactiveCustomers(), InactiveInput()), (AtRiskCustomers(), AtRiskInput()), (PlatformStats(), StatsInput()),
        (SystemHealth(), SystemInput()), (SignupAnalytics(), SignupInput()), (RevenueMetrics(), RevenueInput()),
    ):  # fmt: skip
        for fact in run(company, tool, given).facts():
            assert fact.source.relation and fact.source.query, (tool.name, fact.id)


def test_a_tool_that_reads_cannot_write(company: Connect) -> None:
    """The engine gives them a read-only transaction: every one of them holds to it."""
    tools: tuple[tuple[Any, Any], ...] = (
        (InactiveCustomers(), InactiveInput()), (AtRiskCustomers(), AtRiskInput()), (PlatformStats(), StatsInput()),
        (SystemHealth(), SystemInput()), (SignupAnalytics(), SignupInput()), (RevenueMetrics(), RevenueInput()),
        (SearchLogs(), LogsInput(words=["x"])),
    )  # fmt: skip
    for tool, given in tools:
        assert tool.effect == "reads"
        with company() as connection:
            connection.execute("set transaction read only")
            tool.run(given, context(connection, company))
    with company() as connection:
        connection.execute("set transaction read only")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            IntegrationPings(Vendors(), LABELS).run(PingInput(), context(connection, company))
