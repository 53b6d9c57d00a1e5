"""Customers who stay away: who is at risk, who is inactive and why, who came back.

Belongs here: the tools of the retention role. Does not belong here: writing to anybody (`campaigns.py` proposes it,
people decide, `ops_platform.approvals` hands it over).

A customer is an account of the app with a running subscription: who has none cannot cancel one. Orders are those of the
own shop; campaigns are those this platform was allowed to make, since the campaign tool's own mailings are not kept by
person here.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from ops_platform.failures import DataFailure
from ops_platform.playbooks.reporting import Action, Line, Reportable, Section, kept
from ops_platform.playbooks.toolbox.figures import Figures, Standing, share
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput, ToolOutput

SOURCES = ("app.users", "app.sessions", "app.subscriptions", "app.tickets", "shopify.orders")
MOST_LISTED = 500
SHOWN = 5
# As of a day: what came later does not count, so that a past week can be replayed.
STANDING_OF_CUSTOMERS = """
with plans as (
    select
        subscriptions.user_id,
        coalesce(sum(subscriptions.mrr) filter (
            where subscriptions.paid_from <= %(today)s
        ), 0) as mrr,
        bool_or(subscriptions.paid_from <= %(today)s and subscriptions.mrr is null) as is_mrr_unknown
    from marts.fct_subscriptions as subscriptions
    where
        subscriptions.started_day <= %(today)s
        and (subscriptions.ended_day is null or subscriptions.ended_day > %(today)s)
        and subscriptions.status in ('active', 'past_due', 'trialing', 'canceled')
    group by subscriptions.user_id
),

logins as (
    select
        days.user_id,
        max(days.session_day) as last_login_day
    from intermediate.int_app_user_days as days
    where days.session_day <= %(today)s
    group by days.user_id
),

bought as (
    select distinct on (orders.customer_id)
        orders.customer_id,
        orders.sales_day as last_order_day,
        orders.order_id as last_order_id,
        orders.created_at as last_order_at
    from marts.fct_orders as orders
    where orders.sales_day <= %(today)s and orders.customer_id is not null
    order by orders.customer_id asc, orders.created_at desc, orders.order_id desc
),

asked as (
    select
        tickets.user_id,
        count(*) as tickets_open,
        min(tickets.created_at) as oldest_ticket_at
    from staging.stg_app__tickets as tickets
    where
        tickets.created_at <= %(as_of)s
        and (tickets.resolved_at is null or tickets.resolved_at > %(as_of)s)
        and tickets.user_id is not null
    group by tickets.user_id
),

written as (
    select
        recipients.customer,
        max(recipients.approved_on) as last_campaign_day
    from ops.campaign_recipients as recipients
    where recipients.approved_on <= %(today)s
    group by recipients.customer
),

waiting as (
    select distinct named.customer #>> '{}' as customer
    from ops.approvals as approvals
    inner join ops.approval_versions as versions
        on approvals.id = versions.approval_id and approvals.version = versions.version
    cross join lateral jsonb_path_query(versions.payload, '$.groups[*].recipients[*].customer') as named (customer)
    where
        approvals.kind = 'campaign'
        and approvals.state in ('draft', 'approved')
        and approvals.subject <> %(own_subject)s
)

select
    customers.user_id as customer,
    customers.shop_customer_id,
    customers.signup_day,
    logins.last_login_day,
    bought.last_order_day,
    bought.last_order_id,
    bought.last_order_at,
    coalesce(asked.tickets_open, 0) as tickets_open,
    asked.oldest_ticket_at,
    written.last_campaign_day,
    waiting.customer is not null as is_waiting,
    case when plans.is_mrr_unknown then null else plans.mrr end as mrr
from marts.fct_app_customers as customers
inner join plans on customers.user_id = plans.user_id
left join logins on customers.user_id = logins.user_id
left join bought on customers.shop_customer_id = bought.customer_id
left join asked on customers.user_id = asked.user_id
left join written on customers.user_id = written.customer
left join waiting on customers.user_id = waiting.customer
where customers.is_customer and not customers.is_deleted and customers.signup_day <= %(today)s
order by coalesce(plans.mrr, 0) desc, customers.user_id
"""


def mark_of(today: date) -> str:
    """What the day's campaign is called in the inbox: asked for again, it is made anew and not beside itself."""
    return f"winback-{today.isoformat()}"


def rows_of(figures: Figures, context: StepContext) -> list[dict[str, Any]]:
    """Every customer as of the tool's moment, who brings most first. `is_waiting` is whom another campaign than the
    day's own is for, which waits for somebody's word."""
    params = {"today": context.today, "as_of": context.as_of, "own_subject": mark_of(context.today)}
    return figures.rows(STANDING_OF_CUSTOMERS, params)


def days_since(day: date | None, today: date) -> int | None:
    return None if day is None else (today - day).days


# Who is at risk ---------------------------------------------------------------------------------------------------


class AtRiskInput(ToolInput):
    login_days: int = Field(default=14, ge=1, le=365, description="No login for so many days.")
    campaign_days: int = Field(default=30, ge=1, le=365, description="No campaign of ours for so many days.")


class AtRiskCustomer(ToolOutput):
    customer: str = Field(description="The app's id of the account.")
    reasons: list[str] = Field(description="no_login, no_campaign, open_ticket.")
    days_without_login: int | None
    tickets_open: int
    mrr: Decimal | None


class AtRisk(Reportable):
    """Customers who may leave."""

    customers: list[AtRiskCustomer] = Field(description="With at least two reasons, who brings most first.")
    count: int | None = Field(description="How many; None is unknown.")
    of: int | None = Field(description="Of how many customers.")
    rate: Decimal | None
    no_login: int | None
    no_campaign: int | None
    open_tickets: int | None
    mrr_at_risk: Decimal | None


class AtRiskCustomers(Tool[AtRiskInput, AtRisk]):
    """Customers with more than one sign of leaving."""

    name = "at_risk_customers"
    description = (
        "Customers with a running subscription who show at least two of: no login, no campaign of ours, an unresolved"
        " ticket; who brings most first."
    )
    Input, Output, effect = AtRiskInput, AtRisk, "reads"

    def run(self, given: AtRiskInput, context: StepContext) -> AtRisk:
        figures = Figures(context)
        standing = figures.standing(*SOURCES)
        rows = rows_of(figures, context) if standing.known else []
        marked = [(row, self._reasons(row, given, context.today)) for row in rows]
        risky = [(row, reasons) for row, reasons in marked if len(reasons) >= 2]
        counts = {
            reason: sum(reason in reasons for _, reasons in marked) if standing.known else None
            for reason in ("no_login", "no_campaign", "open_ticket")
        }
        count = len(risky) if standing.known else None
        of = len(rows) if standing.known else None
        money = _sum([row["mrr"] for row, _ in risky]) if standing.known else None
        section = self._section(figures, standing, count, of, money, counts, risky, given, context)
        return AtRisk(
            customers=[
                AtRiskCustomer(
                    customer=row["customer"], reasons=reasons,
                    days_without_login=days_since(row["last_login_day"], context.today),
                    tickets_open=row["tickets_open"], mrr=row["mrr"],
                )
                for row, reasons in risky[:MOST_LISTED]
            ],
            count=count, of=of, rate=share(count, of), no_login=counts["no_login"], no_campaign=counts["no_campaign"],
            open_tickets=counts["open_ticket"], mrr_at_risk=money, section=kept(section),
        )  # fmt: skip

    @staticmethod
    def _reasons(row: dict[str, Any], given: AtRiskInput, today: date) -> list[str]:
        away = days_since(row["last_login_day"] or row["signup_day"], today)
        written = days_since(row["last_campaign_day"], today)
        found = []
        if away is not None and away >= given.login_days:
            found.append("no_login")
        if written is None or written >= given.campaign_days:
            found.append("no_campaign")
        if row["tickets_open"]:
            found.append("open_ticket")
        return found

    def _section(
        self,
        figures: Figures,
        standing: Standing,
        count: int | None,
        of: int | None,
        money: Decimal | None,
        counts: dict[str, int | None],
        risky: list[tuple[dict[str, Any], list[str]]],
        given: AtRiskInput,
        context: StepContext,
    ) -> Section:
        params = {"today": context.today, "login_days": given.login_days, "campaign_days": given.campaign_days}

        def counted(name: str, label: str, value: int | None) -> Any:
            return figures.fact(
                name, label, "count", value, standing, "marts.fct_app_customers", STANDING_OF_CUSTOMERS, params,
                direction="down_is_good",
            )  # fmt: skip

        facts = (
            counted("at_risk", "Customers at risk", count),
            counted("customers_counted", "Customers with a subscription", of),
            counted("at_risk_no_login", "Without a login lately", counts["no_login"]),
            counted("at_risk_no_campaign", "Without a campaign of ours lately", counts["no_campaign"]),
            counted("at_risk_tickets", "With an unresolved ticket", counts["open_ticket"]),
            figures.fact(
                "mrr_at_risk", "MRR at risk", "money", money, standing, "marts.fct_subscriptions",
                STANDING_OF_CUSTOMERS, params, direction="down_is_good",
            ),
        )  # fmt: skip
        if count is None:
            return Section("Customers at risk", facts, (), (Line("unknown", "Customers at risk", ("at_risk",)),))
        lines = [Line("attention" if count else "ok", "Customers at risk", ("at_risk", "mrr_at_risk"))]
        actions = []
        tickets = [row for row, reasons in risky if "open_ticket" in reasons]
        if tickets:
            named = ", ".join(row["customer"] for row in tickets[:SHOWN])
            actions.append(
                Action("retention:tickets", "Answer the tickets of customers at risk first", "alert", "retention", 2,
                       f"customers {named}", ("at_risk_tickets",))
            )  # fmt: skip
        if count:
            actions.append(
                Action("retention:at_risk", "Decide on the re-engagement campaign for who stays away", "watch",
                       "retention", 7, "", ("at_risk", "mrr_at_risk"))
            )  # fmt: skip
        shown = ("customers_counted", "at_risk_no_login", "at_risk_no_campaign", "at_risk_tickets")
        return Section("Customers at risk", facts, shown, tuple(lines), tuple(actions))


# Who is inactive --------------------------------------------------------------------------------------------------


class InactiveInput(ToolInput):
    login_days: int = Field(default=7, ge=1, le=365, description="No login for so many days.")
    order_days: int = Field(default=90, ge=1, le=730, description="No order in the own shop for so many days.")
    campaign_days: int = Field(default=30, ge=1, le=365, description="No campaign of ours for so many days.")
    long_days: int = Field(
        default=30, ge=2, le=730, description="From so many days without a login on they are long away."
    )
    most: int = Field(default=50, ge=1, le=MOST_LISTED, description="At most so many are written to in one campaign.")
    count_alert: int = Field(default=10, ge=0, description="More inactive customers than this are an alert.")
    rate_alert: Decimal = Field(default=Decimal("0.15"), description="A larger share than this is an alert.")


class InactiveCustomer(ToolOutput):
    customer: str = Field(description="The app's id of the account.")
    reason: str = Field(description="never_used, long_away or lately_away.")
    days_without_login: int | None = Field(description="None: never logged in.")
    order: str | None = Field(description="The shop's number of the last order; None: never bought in the own shop.")
    ordered_at: datetime | None
    shop_customer_id: str | None
    mrr: Decimal | None


class Inactive(Reportable):
    """Customers who stay away from everything."""

    customers: list[InactiveCustomer] = Field(
        description="Who can be written to, who brings most first; at most as many as asked for."
    )
    count: int = Field(description="All who are inactive, reachable or not.")
    of: int = Field(description="Customers with a running subscription.")
    rate: Decimal | None = Field(description="Share of inactive ones; None where there is no customer at all.")
    unreachable: int = Field(
        description="Inactive, and never bought in the own shop: nobody knows how to write to them."
    )
    waiting: int = Field(description="Inactive, and in a campaign that waits for somebody's word already.")
    left_for_later: int = Field(description="Reachable, and beyond the most that is asked for.")
    week: str = Field(description="The calendar week it is for, as 2026-W47: to tell a matter once a week.")


class InactiveCustomers(Tool[InactiveInput, Inactive]):
    """Customers without a login, an order and a campaign."""

    name = "inactive_customers"
    description = (
        "Customers with a running subscription and no login, no order and no campaign of ours for so many days each;"
        " none that a waiting campaign is for already. Refuses to answer from data that are too old."
    )
    Input, Output, effect = InactiveInput, Inactive, "reads"

    def run(self, given: InactiveInput, context: StepContext) -> Inactive:
        figures = Figures(context)
        standing = figures.standing(*SOURCES)
        if not standing.known:
            since = f"since {standing.since:%F %H:%M} UTC" if standing.since is not None else "as they never arrived"
            raise DataFailure(f"who is inactive is unknown {since}: nobody is written to on a guess")
        rows = rows_of(figures, context)
        away = [(row, reason) for row in rows if (reason := self._reason(row, given, context.today)) is not None]
        reachable = [
            (row, reason) for row, reason in away if row["last_order_id"] is not None and not row["is_waiting"]
        ]
        waiting = sum(row["is_waiting"] for row, _ in away)
        rate = share(len(away), len(rows))
        left = max(len(reachable) - given.most, 0)
        section = self._section(figures, standing, len(away), len(rows), rate, len(reachable), given, context)
        return Inactive(
            customers=[self._customer(row, reason, context.today) for row, reason in reachable[: given.most]],
            count=len(away), of=len(rows), rate=rate, waiting=waiting,
            unreachable=sum(row["last_order_id"] is None for row, _ in away), left_for_later=left,
            week=f"{context.today:%G-W%V}", section=kept(section),
        )  # fmt: skip

    @staticmethod
    def _reason(row: dict[str, Any], given: InactiveInput, today: date) -> str | None:
        """Why a customer counts as inactive, None where not. A new account has its first days to be used."""
        seen = days_since(row["last_login_day"], today)
        waited = days_since(row["signup_day"], today)
        ordered = days_since(row["last_order_day"], today)
        written = days_since(row["last_campaign_day"], today)
        if ordered is not None and ordered < given.order_days:
            return None
        if written is not None and written < given.campaign_days:
            return None
        if seen is None:
            return "never_used" if waited is not None and waited >= given.login_days else None
        if seen < given.login_days:
            return None
        return "long_away" if seen >= given.long_days else "lately_away"

    @staticmethod
    def _customer(row: dict[str, Any], reason: str, today: date) -> InactiveCustomer:
        return InactiveCustomer(
            customer=row["customer"], reason=reason, days_without_login=days_since(row["last_login_day"], today),
            order=str(row["last_order_id"]).rpartition("/")[2], ordered_at=row["last_order_at"],
            shop_customer_id=row["shop_customer_id"], mrr=row["mrr"],
        )  # fmt: skip

    def _section(
        self,
        figures: Figures,
        standing: Standing,
        count: int,
        of: int,
        rate: Decimal | None,
        reachable: int,
        given: InactiveInput,
        context: StepContext,
    ) -> Section:
        params = {
            "today": context.today, "login_days": given.login_days, "order_days": given.order_days,
            "campaign_days": given.campaign_days,
        }  # fmt: skip
        relation = "marts.fct_app_customers"
        facts = (
            figures.fact("inactive", "Inactive customers", "count", count, standing, relation, STANDING_OF_CUSTOMERS,
                         params, direction="down_is_good", limit=given.count_alert),
            figures.fact("inactive_rate", "Share of customers that is inactive", "ratio", rate, standing, relation,
                         STANDING_OF_CUSTOMERS, params, direction="down_is_good", limit=given.rate_alert),
            figures.fact("customers_counted", "Customers with a subscription", "count", of, standing, relation,
                         STANDING_OF_CUSTOMERS, params),
            figures.fact("inactive_reachable", "Inactive customers who can be written to", "count", reachable, standing,
                         relation, STANDING_OF_CUSTOMERS, params),
        )  # fmt: skip
        over = count > given.count_alert or (rate is not None and rate > given.rate_alert)
        lines = (
            Line("attention" if count > given.count_alert else "ok", "Inactive customers", ("inactive",)),
            *((Line("attention" if rate > given.rate_alert else "ok", "Share inactive", ("inactive_rate",)),)
              if rate is not None else ()),
        )  # fmt: skip
        actions: tuple[Action, ...] = ()
        if over:
            actions = (
                Action("retention:inactive", "Decide on the campaign for inactive customers", "alert", "retention", 2,
                       "", ("inactive", "inactive_rate")),
            )  # fmt: skip
        return Section("Inactive customers", facts, ("customers_counted", "inactive_reachable"), lines, actions)


# Who came back ----------------------------------------------------------------------------------------------------

_RETURNED = """
select count(*) as days from intermediate.int_app_user_days as days
where
    days.user_id = %(customer)s and days.session_day > %(since)s and days.session_day <= %(until)s
"""


class ReturnedInput(ToolInput):
    unit: str = Field(description="The app's id of the account.")
    days: int = Field(default=14, ge=1, le=90, description="Within so many days up to today.")


class Returned(ToolOutput):
    returned: int = Field(description="1 where the customer used the app again, else 0.")
    days_used: int


class CustomerReturned(Tool[ReturnedInput, Returned]):
    """Whether a customer came back: the outcome of a campaign's variants."""

    name = "customer_returned"
    description = "Whether a customer used the app in the last days, and on how many of them."
    Input, Output, effect = ReturnedInput, Returned, "reads"

    def run(self, given: ReturnedInput, context: StepContext) -> Returned:
        since = context.today - timedelta(days=given.days)
        row = Figures(context).one(_RETURNED, {"customer": given.unit, "since": since, "until": context.today})
        return Returned(returned=int(row["days"] > 0), days_used=row["days"])


def _sum(values: list[Decimal | None]) -> Decimal | None:
    """The sum; None as soon as one is not known."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None
