"""The tools, over a company whose customers can be counted by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from ops_platform.approvals.campaigns import check_payload
from ops_platform.failures import DataFailure
from ops_platform.playbooks.toolbox.campaign_figures import CampaignFigures, CampaignFiguresInput
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
    IntegrationPings,
    LogsInput,
    PingInput,
    SearchLogs,
)
from ops_platform.playbooks.toolbox.system import PlatformStats, StatsInput, SystemHealth, SystemInput
from ops_platform.playbooks.tools import Arm
from tests.conftest import Connect
from tests.playbooks.company import FRESH, LABELS, NOW, TODAY, Customer, Vendors, context, fill, metric
from tests.playbooks.company import answer as run

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


def test_campaigns_of_the_week_are_counted_from_what_became_of_them(company: Connect) -> None:
    """Put up, approved, made, refused; one of the week before; a week ends at the company's midnight."""
    from ops_platform.approvals.campaign_draft import CampaignDraft as Draft
    from ops_platform.approvals.campaign_draft import MadeDraft
    from ops_platform.approvals.campaign_handover import hand_over
    from ops_platform.approvals.execution import execute_approved
    from ops_platform.failures import PermanentFailure
    from tests.approvals.campaign import campaign, group, inbox, person
    from tests.approvals.notes import LEE

    class Klaviyo:
        def make(self, draft: Draft) -> MadeDraft:
            if "refused" in draft.mark:
                raise PermanentFailure("the template was refused")
            return MadeDraft("c1", draft.name, "Draft", "l1", len(draft.recipients))

    desk, nothing = inbox(channel=False), run(company, CampaignFigures(), CampaignFiguresInput())
    assert (nothing.put_up, nothing.approved, nothing.made, nothing.customers, nothing.refused) == (0, 0, 0, 0, 0)
    assert (nothing.week_start, nothing.week_end) == (WEEK[0], WEEK[-1])

    def one(number: int, at: datetime, parts: tuple[str, ...], approve: bool = True) -> None:
        groups = [group(part, [person(10 * number + place)]) for place, part in enumerate(parts)]
        with company() as connection:
            asked = desk.request(
                connection, kind="campaign", subject=f"winback-{number}", title="x",
                payload=campaign(*groups, mark=f"winback-{number}"), author="job:ops_churn_prevention",
                channel_key=None, due_at=at + timedelta(days=3), now=at,
            )  # fmt: skip
            if approve:
                desk.approve(connection, asked.id, shown=asked.payload_hash, person=LEE, key=f"k{number}", now=at)
        execute_approved(company, desk, at)
        hand_over(company, Klaviyo(), desk, at)

    sunday = datetime(2026, 11, 16, 4, 30, tzinfo=UTC)  # half past eleven on Sunday evening, New York
    one(1, datetime(2026, 11, 5, 15, tzinfo=UTC), ("long_away",))
    one(2, datetime(2026, 11, 10, 15, tzinfo=UTC), ("long_away", "never_used"))
    one(3, datetime(2026, 11, 12, 15, tzinfo=UTC), ("refused",))
    one(4, sunday, ("lately_away",))
    one(5, sunday + timedelta(hours=1), ("long_away",))
    one(6, datetime(2026, 11, 11, 15, tzinfo=UTC), ("long_away",), approve=False)
    found = run(company, CampaignFigures(), CampaignFiguresInput(target=2))
    assert (found.put_up, found.approved, found.made, found.customers) == (4, 3, 3, 3)
    assert (found.made_before, found.refused) == (1, 1)
    (made,) = [fact for fact in found.facts() if fact.id == "campaigns_made"]
    assert made.value == 3 and {one.name: one.value for one in made.comparisons} == {"before": 1, "limit": 2}
    assert [line.state for line in found.shown().lines] == ["ok", "attention"]
    assert [line.state for line in nothing.shown().lines] == ["info"]


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


# -- all of them -----------------------------------------------------------------------------------------------------


def test_every_figure_can_be_traced(company: Connect) -> None:
    """Each fact names its relation and query; what is known has a value."""
    for tool, given in (
        (InactiveCustomers(), InactiveInput()), (AtRiskCustomers(), AtRiskInput()), (PlatformStats(), StatsInput()),
        (SystemHealth(), SystemInput()), (SignupAnalytics(), SignupInput()), (RevenueMetrics(), RevenueInput()),
        (CampaignFigures(), CampaignFiguresInput()),
    ):  # fmt: skip
        for fact in run(company, tool, given).facts():
            assert fact.source.relation and fact.source.query, (tool.name, fact.id)


def test_a_tool_that_reads_cannot_write(company: Connect) -> None:
    """The engine gives them a read-only transaction: every one of them holds to it."""
    tools: tuple[tuple[Any, Any], ...] = (
        (InactiveCustomers(), InactiveInput()), (AtRiskCustomers(), AtRiskInput()), (PlatformStats(), StatsInput()),
        (SystemHealth(), SystemInput()), (SignupAnalytics(), SignupInput()), (RevenueMetrics(), RevenueInput()),
        (SearchLogs(), LogsInput(words=["x"])), (CampaignFigures(), CampaignFiguresInput()),
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
