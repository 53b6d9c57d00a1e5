"""How the app grows: sign-ups and what becomes of them, recurring revenue and what moves it, over the last whole week.

Belongs here: the tools of the analytics and the revenue role. Does not belong here: single customers (`customers.py`),
what a metric means (its SQL and YAML in `dbt_project`).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from ops_platform.evidence.spans import last_complete
from ops_platform.playbooks.reporting import Action, Line, Reportable, Section, Severity, kept
from ops_platform.playbooks.toolbox.figures import Figures, growth, share
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput, ToolOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops_platform.evidence.model import Fact
    from ops_platform.evidence.spans import Span
    from ops_platform.playbooks.toolbox.figures import Standing

_APP = ("app.users", "app.sessions", "app.subscriptions")
_ROLES = """
select customers.role, count(*) as signups
from marts.fct_app_customers as customers
where customers.signup_day between %(start)s and %(end)s
group by customers.role
order by count(*) desc, customers.role
"""
_FUNNEL = """
select
    count(*) as signed_up,
    count(*) filter (where customers.first_login_day <= %(today)s) as logged_in,
    count(*) filter (where customers.first_subscription_day <= %(today)s) as subscribed,
    count(*) filter (where customers.first_paid_day <= %(today)s) as paid
from marts.fct_app_customers as customers
where customers.is_customer and customers.signup_day between %(start)s and %(end)s
"""


class Cohort(ToolOutput):
    """How many signed up under one name."""

    name: str = Field(description="The role or the source, as the app calls it.")
    signups: int


class SignupInput(ToolInput):
    conversion_target: Decimal = Field(
        default=Decimal("0.15"), description="Share of sign-ups that should pay in time."
    )


class Signups(Reportable):
    """Sign-ups of the last whole week."""

    week_start: date
    week_end: date
    signups: int | None = Field(description="Customers who signed up in the week; None is unknown.")
    signups_before: int | None = Field(description="The same, the week before.")
    conversion: Decimal | None = Field(
        description="Of those whose time to subscribe was over in the week, the share that paid in time; None where"
        " there were none or it is unknown."
    )
    by_role: list[Cohort] = Field(description="All accounts made in the week, staff and guests among them.")
    by_source: list[Cohort] = Field(description="Customers by where they signed up.")
    funnel_logged_in: int | None = Field(description="Of the week's sign-ups, who has used the app.")
    funnel_subscribed: int | None = Field(description="Who has begun a subscription, trial included.")
    funnel_paid: int | None = Field(description="Who has paid.")


class SignupAnalytics(Tool[SignupInput, Signups]):
    """Sign-ups by role and source, and the funnel from there to paying."""

    name = "signup_analytics"
    description = "Sign-ups of the last whole week by role and source, the funnel to paying, the conversion in time."
    Input, Output, effect = SignupInput, Signups, "reads"

    def run(self, given: SignupInput, context: StepContext) -> Signups:
        figures = Figures(context)
        week = last_complete("weekly", context.today)
        names = ("signups", "signup_to_subscription_conversion")
        metrics = figures.metrics(week, names, ("all", "source"))
        standing = figures.standing(*_APP)
        params = {"start": week.start, "end": week.end, "today": context.today}
        funnel = figures.one(_FUNNEL, params)
        roles = figures.rows(_ROLES, params) if standing.known else []
        sources = sorted(metrics.parts("signups", "source").items(), key=lambda one: (-one[1], one[0]))
        facts = list(metrics.facts.values())
        facts += [
            figures.fact(
                f"funnel_{name}", label, "count", funnel[name], standing, "marts.fct_app_customers", _FUNNEL, params,
                direction="up_is_good", period=week.period,
            )
            for name, label in (
                ("logged_in", "New accounts that used the app"), ("subscribed", "New accounts with a subscription"),
                ("paid", "New accounts that paid"),
            )
        ]  # fmt: skip
        facts += _cohort_facts(figures, standing, week, params, roles, sources)
        signups = metrics.value("signups")
        conversion = metrics.value("signup_to_subscription_conversion")
        lines, actions = _signup_lines(signups, conversion, given.conversion_target)
        section = Section(
            f"Sign-ups, {week.label}", tuple(facts),
            tuple(name for name in (*names, "funnel_logged_in", "funnel_subscribed", "funnel_paid")
                  if any(fact.id == name for fact in facts)),
            (*lines, *_cohort_lines(roles, sources)), actions,
        )  # fmt: skip
        return Signups(
            week_start=week.start, week_end=week.end, signups=_whole(signups),
            signups_before=_whole(metrics.before("signups")), conversion=conversion,
            by_role=[Cohort(name=row["role"], signups=row["signups"]) for row in roles],
            by_source=[Cohort(name=name, signups=int(value)) for name, value in sources],
            funnel_logged_in=funnel["logged_in"] if standing.known else None,
            funnel_subscribed=funnel["subscribed"] if standing.known else None,
            funnel_paid=funnel["paid"] if standing.known else None, section=kept(section),
        )  # fmt: skip


def _signup_lines(
    signups: Decimal | None, conversion: Decimal | None, target: Decimal
) -> tuple[list[Line], tuple[Action, ...]]:
    lines, actions = [], []
    if signups is None:
        lines.append(Line("unknown", "Sign-ups of the week", ("signups",)))
    elif not signups:
        lines.append(Line("attention", "Nobody signed up in the week", ("signups",)))
        actions.append(
            Action("growth:no_signups", "Find out why nobody signs up", "critical", "analytics", 1, "", ("signups",))
        )
    if conversion is not None:
        good = conversion > target
        lines.append(
            Line("ok" if good else "attention", "Conversion of sign-ups", ("signup_to_subscription_conversion",))
        )
        if not good:
            actions.append(
                Action(
                    "growth:conversion", "Look at where new accounts stop before they subscribe", "watch", "analytics",
                    7, "", ("signup_to_subscription_conversion", "funnel_logged_in", "funnel_subscribed"),
                )
            )  # fmt: skip
    return lines, tuple(actions)


def _cohort_facts(
    figures: Figures,
    standing: Standing,
    week: Span,
    params: Mapping[str, object],
    roles: list[dict[str, object]],
    sources: list[tuple[str, Decimal]],
) -> list[Fact]:
    found = [
        figures.fact(
            f"role_{place}", "Accounts made", "count", int(str(row["signups"])), standing, "marts.fct_app_customers",
            _ROLES, params, period=week.period, about=str(row["role"]),
        )
        for place, row in enumerate(roles[:5])
    ]  # fmt: skip
    query = (
        "select sum(value) from metrics.fct_metric_daily where metric_id = 'signups' and dimension = 'source' and"
        " dimension_value = %(source)s and date between %(start)s and %(end)s"
    )
    return found + [
        figures.fact(
            f"source_{place}", "Sign-ups of the source", "count", value, standing, "metrics.fct_metric_daily", query,
            {**params, "source": name}, period=week.period, about=name,
        )
        for place, (name, value) in enumerate(sources[:6])
    ]  # fmt: skip


def _cohort_lines(roles: list[dict[str, object]], sources: list[tuple[str, Decimal]]) -> list[Line]:
    lines = [
        Line("info", "Accounts by role:", (f"role_{place}",), str(row["role"])) for place, row in enumerate(roles[:5])
    ]
    return lines + [
        Line("info", "Sign-ups by source:", (f"source_{place}",), name) for place, (name, _) in enumerate(sources[:6])
    ]


class RevenueInput(ToolInput):
    growth_target: Decimal = Field(default=Decimal("0.05"), description="MRR growth of a week that is aimed at.")
    churn_target: Decimal = Field(default=Decimal("0.03"), description="Share lost in a week that is borne.")
    churn_alert: Decimal = Field(default=Decimal("0.05"), description="Share from which on it is an alert.")


class Revenue(Reportable):
    """Recurring revenue at the end of the last whole week, and what moved it."""

    week_start: date
    week_end: date
    mrr: Decimal | None = Field(description="At the close of the week, in company currency; None is unknown.")
    mrr_before: Decimal | None = Field(description="At the close of the week before.")
    mrr_growth: Decimal | None = Field(description="Change over the week as a fraction of what was before.")
    new: Decimal | None
    expansion: Decimal | None = Field(description="More of who paid already.")
    contraction: Decimal | None = Field(description="Less of who goes on paying, positive.")
    churned: Decimal | None = Field(description="Of who cancelled, positive: the churned value.")
    subscribers: int | None
    subscribers_churned: int | None
    churn_rate: Decimal | None = Field(
        description="Of the subscribers at the start of the week, the share that cancelled in it."
    )


class RevenueMetrics(Tool[RevenueInput, Revenue]):
    """MRR, its growth, expansion and churned value."""

    name = "revenue_metrics"
    description = "Monthly recurring revenue, its growth over the last whole week, expansion, churned value."
    Input, Output, effect = RevenueInput, Revenue, "reads"

    _NAMES = (
        "mrr", "new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr", "subscribers",
        "subscribers_churned",
    )  # fmt: skip

    def run(self, given: RevenueInput, context: StepContext) -> Revenue:
        figures = Figures(context)
        week = last_complete("weekly", context.today)
        metrics = figures.metrics(week, self._NAMES)
        mrr, before = metrics.value("mrr"), metrics.before("mrr")
        grown = growth(mrr, before)
        lost, held = metrics.value("subscribers_churned"), metrics.before("subscribers")
        rate = share(lost, held)
        standing = figures.standing("app.subscriptions")
        params = {"start": week.start, "end": week.end}
        derived = (
            figures.fact(
                "mrr_growth", "MRR growth of the week", "ratio", grown, standing, "metrics.fct_metric_daily",
                "mrr at the close of the week against the close of the week before", params, direction="up_is_good",
                period=week.period, limit=given.growth_target, limit_label="the aim",
            ),
            figures.fact(
                "churn_rate_week", "Subscribers lost in the week", "ratio", rate, standing, "metrics.fct_metric_daily",
                "subscribers_churned of the week over subscribers at its start", params, direction="down_is_good",
                period=week.period, limit=given.churn_target, limit_label="the limit",
            ),
        )  # fmt: skip
        lines, actions = _revenue_lines(grown, rate, given)
        facts = (*metrics.facts.values(), *derived)
        section = Section(
            f"Recurring revenue, {week.label}", facts,
            tuple(name for name in ("mrr", "new_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr", "subscribers")
                  if name in metrics.facts),
            tuple(lines), actions,
        )  # fmt: skip
        return Revenue(
            week_start=week.start, week_end=week.end, mrr=mrr, mrr_before=before, mrr_growth=grown,
            new=metrics.value("new_mrr"), expansion=metrics.value("expansion_mrr"),
            contraction=metrics.value("contraction_mrr"), churned=metrics.value("churned_mrr"),
            subscribers=_whole(metrics.value("subscribers")), subscribers_churned=_whole(lost), churn_rate=rate,
            section=kept(section),
        )  # fmt: skip


def _revenue_lines(
    grown: Decimal | None, rate: Decimal | None, given: RevenueInput
) -> tuple[list[Line], tuple[Action, ...]]:
    lines, actions = [], []
    if grown is None:
        lines.append(Line("unknown", "MRR growth", ("mrr_growth",)))
    else:
        lines.append(Line("ok" if grown > given.growth_target else "attention", "MRR growth", ("mrr_growth",)))
        if grown < 0:
            actions.append(
                Action("growth:mrr_declines", "Go through the week's cancellations and lower plans", "alert", "revenue",
                       2, "", ("mrr_growth", "churned_mrr", "contraction_mrr"))
            )  # fmt: skip
        elif grown <= given.growth_target:
            actions.append(
                Action("growth:mrr_slow", "Pick one offer that brings a dearer plan to who uses the app most", "watch",
                       "revenue", 7, "", ("mrr_growth", "expansion_mrr"))
            )  # fmt: skip
    if rate is None:
        lines.append(Line("unknown", "Subscribers lost", ("churn_rate_week",)))
    else:
        lines.append(Line("ok" if rate < given.churn_target else "attention", "Subscribers lost", ("churn_rate_week",)))
        if rate >= given.churn_target:
            severity: Severity = "alert" if rate > given.churn_alert else "watch"
            actions.append(
                Action("growth:churn", "Ask who cancelled for the reason and sort the answers", severity, "retention",
                       3, "", ("churn_rate_week", "churned_mrr"))
            )  # fmt: skip
    return lines, tuple(actions)


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)
