"""The platform itself and the business of a day: database, warehouse, delivery, the model's budget; sign-ups, revenue,
users, errors.

Belongs here: the tools of the operations lead. Does not belong here: integrations (`integrations.py`), the health of
bots and jobs (`ops_platform.fleet.health`).
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from ops_platform.fleet import get_fleet
from ops_platform.playbooks.reporting import Action, Line, Reportable, Section, kept
from ops_platform.playbooks.toolbox.figures import Figures, share
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput, ToolOutput

_BUILD = """
select builds.status, builds.finished_at, builds.failures
from ops.warehouse_builds as builds
where builds.finished_at <= %(as_of)s or not %(rehearsal)s
order by builds.id desc
limit 1
"""
_OUTBOX = """
select
    count(*) filter (where messages.state = 'failed' and messages.updated_at > %(since)s) as failed,
    count(*) filter (where messages.state in ('held', 'ambiguous')) as held,
    count(*) filter (where messages.state = 'pending' and messages.created_at < %(as_of)s - interval '1 hour') as late
from ops.outbox as messages
where messages.created_at <= %(as_of)s
"""
_TOKENS = """
select coalesce(sum(case
    when ledger.state = 'spent' then ledger.input_tokens + ledger.output_tokens + ledger.cache_read_tokens
        + ledger.cache_write_tokens
    when ledger.state = 'reserved' then ledger.reserved_tokens else 0 end), 0) as used
from ops.token_ledger as ledger
where ledger.cycle = %(cycle)s and ledger.created_at <= %(as_of)s
"""


class SystemInput(ToolInput):
    quota_alert: Decimal = Field(default=Decimal("0.80"), description="From this share of a quota on it is an alert.")
    build_hours: int = Field(default=26, ge=1, description="A warehouse built longer ago than this is stale.")


class Component(ToolOutput):
    name: str
    state: str = Field(description="ok, attention or unknown.")
    detail: str


class System(Reportable):
    """How the platform stands."""

    components: list[Component]
    healthy: bool = Field(description="Every component is in order.")
    database_ms: int = Field(description="Answer time of the database.")
    warehouse_built: datetime | None = Field(description="When the last build ended.")
    warehouse_ok: bool | None = Field(description="Whether it passed; None: never built.")
    quota_share: Decimal | None = Field(description="Share of the day's tokens that is used.")
    messages_failed: int
    messages_held: int


class SystemHealth(Tool[SystemInput, System]):
    """Database, warehouse, delivery, tokens."""

    name = "system_health"
    description = "Whether database, warehouse and delivery are in order, and how much of the day's tokens is used."
    Input, Output, effect = SystemInput, System, "reads"

    def run(self, given: SystemInput, context: StepContext) -> System:
        figures = Figures(context)
        began = time.monotonic()
        figures.one("select 1 as one", {})
        database_ms = round((time.monotonic() - began) * 1000)
        builds = figures.rows(_BUILD, {"as_of": context.as_of, "rehearsal": context.dry_run})
        outbox = figures.one(_OUTBOX, {"as_of": context.as_of, "since": context.as_of - timedelta(days=1)})
        bound = get_fleet().budget.tokens_per_cycle
        used = figures.one(_TOKENS, {"cycle": context.today.isoformat(), "as_of": context.as_of})["used"]
        quota = share(used, bound)
        lines, actions, facts = self._lines(figures, given, context, builds, outbox, quota, database_ms)
        components = [Component(name=line.label, state=line.state, detail=line.about) for line in lines]
        return System(
            components=components, healthy=all(line.state == "ok" for line in lines), database_ms=database_ms,
            warehouse_built=builds[0]["finished_at"] if builds else None,
            warehouse_ok=builds[0]["status"] == "succeeded" if builds else None, quota_share=quota,
            messages_failed=outbox["failed"], messages_held=outbox["held"],
            section=kept(Section("The platform", tuple(facts), (), tuple(lines), tuple(actions))),
        )  # fmt: skip

    @staticmethod
    def _lines(
        figures: Figures,
        given: SystemInput,
        context: StepContext,
        builds: list[dict[str, Any]],
        outbox: dict[str, Any],
        quota: Decimal | None,
        database_ms: int,
    ) -> tuple[list[Line], list[Action], list[Any]]:
        facts = [
            figures.fact("database_ms", "Answer time of the database in milliseconds", "count", database_ms, None,
                         "ops.company", "select 1", direction="down_is_good"),
            figures.fact("token_share", "Share of the day's tokens used", "ratio", quota, None, "ops.token_ledger",
                         _TOKENS, {"cycle": context.today.isoformat()}, direction="down_is_good",
                         limit=given.quota_alert),
            figures.fact("messages_failed", "Messages failed in a day", "count", outbox["failed"], None, "ops.outbox",
                         _OUTBOX, direction="down_is_good"),
            figures.fact("messages_held", "Messages held or unclear", "count", outbox["held"] + outbox["late"], None,
                         "ops.outbox", _OUTBOX, direction="down_is_good"),
        ]  # fmt: skip
        lines = [Line("ok", "Database, milliseconds:", ("database_ms",))]
        actions = []
        if not builds:
            lines.append(Line("unknown", "Warehouse: never built"))
        else:
            age = context.as_of - builds[0]["finished_at"]
            hours = (Decimal(age.total_seconds()) / 3600).quantize(Decimal("0.01"))
            facts.append(
                figures.fact("warehouse_age", "Age of the warehouse", "hours", max(hours, Decimal(0)), None,
                             "ops.warehouse_builds", _BUILD, direction="down_is_good", limit=given.build_hours)
            )  # fmt: skip
            passed = builds[0]["status"] == "succeeded"
            fresh = age <= timedelta(hours=given.build_hours)
            label = "Warehouse built" if passed else "The last build of the warehouse failed"
            lines.append(Line("ok" if passed and fresh else "attention", label, ("warehouse_age",)))
            if not passed or not fresh:
                actions.append(
                    Action("system:warehouse", "Build the warehouse and mend the tests that fail", "alert",
                           "engineering", 1, "", ("warehouse_age",))
                )  # fmt: skip
        troubled = outbox["failed"] + outbox["held"] + outbox["late"] > 0
        lines.append(Line("attention" if troubled else "ok", "Delivery", ("messages_failed", "messages_held")))
        if troubled:
            actions.append(
                Action("system:outbox", "Look at the messages that did not go out", "watch", "engineering", 1, "",
                       ("messages_failed", "messages_held"))
            )  # fmt: skip
        if quota is not None:
            over = quota > given.quota_alert
            lines.append(Line("attention" if over else "ok", "Tokens of the day", ("token_share",)))
            if over:
                actions.append(
                    Action("system:tokens", "See what spends the tokens, or raise the fleet's bound", "alert",
                           "operations_lead", 1, "", ("token_share",))
                )  # fmt: skip
        return lines, actions, facts


# The business of a day --------------------------------------------------------------------------------------------

_DAY = """
select
    (select count(*) from staging.stg_app__users as users
     where users.created_at > %(since)s and users.created_at <= %(as_of)s
        and users.role = any(%(roles)s)) as signups,
    (select count(distinct sessions.user_id) from staging.stg_app__sessions as sessions
     where sessions.started_at > %(since)s and sessions.started_at <= %(as_of)s) as active_users
"""
_SALES = """
select count(*) as orders, coalesce(sum(orders.net_amount_company), 0) as sales,
    count(*) filter (where orders.net_amount_company is null) as unknown
from marts.fct_orders as orders
where orders.processed_at > %(since)s and orders.processed_at <= %(as_of)s
"""
_ERRORS = """
select
    coalesce(sum(counted.attempts), 0)::bigint as attempts,
    coalesce(sum(counted.failures), 0)::bigint as failures
from (
    select count(*) as attempts, count(*) filter (where runs.status = 'failed') as failures
    from ops.sync_runs as runs where runs.started_at > %(since)s and runs.started_at <= %(as_of)s
    union all
    select count(*), count(*) filter (where builds.status = 'failed')
    from ops.warehouse_builds as builds where builds.started_at > %(since)s and builds.started_at <= %(as_of)s
    union all
    select count(*), count(*) filter (where receipts.status = 'failed')
    from ops.receipts as receipts where receipts.started_at > %(since)s and receipts.started_at <= %(as_of)s
    union all
    select count(*), count(*) filter (where messages.state = 'failed')
    from ops.outbox as messages where messages.created_at > %(since)s and messages.created_at <= %(as_of)s
) as counted
"""


class StatsInput(ToolInput):
    hours: int = Field(default=24, ge=1, le=24 * 14, description="Up to the moment it is for.")
    error_limit: Decimal = Field(default=Decimal("0.01"), description="A larger share of failures is an alert.")


class Stats(Reportable):
    """The last hours in figures."""

    signups: int | None = Field(description="Customers who signed up; None is unknown.")
    active_users: int | None = Field(description="Different users who began a session.")
    orders: int | None
    revenue: Decimal | None = Field(description="Net sales of the own shop's orders, in company currency.")
    signups_before: int | None = Field(description="The same hours a week before; None is unknown.")
    active_users_before: int | None
    revenue_before: Decimal | None
    trending: bool | None = Field(
        description="Neither sign-ups nor active users nor net sales are below those of a week before; None: unknown."
    )
    attempts: int = Field(description="Syncs, builds, runs and messages of the platform.")
    errors: int = Field(description="Those of them that failed.")
    error_rate: Decimal | None = Field(description="Their share; None where nothing was attempted.")


class PlatformStats(Tool[StatsInput, Stats]):
    """Sign-ups, revenue, active users, errors."""

    name = "platform_stats"
    description = (
        "Sign-ups, active users, orders and net sales of the last 24 hours, and the share of the platform's own syncs,"
        " builds, runs and messages that failed. Of a source that is whole only up to an earlier moment, the 24 hours"
        " up to that one; too old a source leaves its figures unknown."
    )
    Input, Output, effect = StatsInput, Stats, "reads"

    def run(self, given: StatsInput, context: StepContext) -> Stats:
        figures = Figures(context)
        app, shop = figures.standing("app.users", "app.sessions"), figures.standing("shopify.orders")
        length = timedelta(hours=given.hours)

        def window(end: datetime) -> dict[str, Any]:
            return {"since": end - length, "as_of": end}

        # Of a source that is whole up to seven, the hours up to seven: what came later would be half a day.
        params = window(context.as_of)
        used = window(min(app.fresh_to or context.as_of, context.as_of))
        sold = window(min(shop.fresh_to or context.as_of, context.as_of))
        day = figures.one(_DAY, {**used, "roles": ["customer"]})
        sales = figures.one(_SALES, sold)
        errors = figures.one(_ERRORS, params)
        # Of the same weekday: a Sunday is not held against a Saturday.
        week = timedelta(days=7)
        day_before = figures.one(_DAY, {**window(used["as_of"] - week), "roles": ["customer"]})
        sales_before = figures.one(_SALES, window(sold["as_of"] - week))
        signups = day["signups"] if app.known else None
        active = day["active_users"] if app.known else None
        revenue = sales["sales"] if shop.known and not sales["unknown"] else None
        signups_before = day_before["signups"] if app.known else None
        active_before = day_before["active_users"] if app.known else None
        revenue_before = sales_before["sales"] if shop.known and not sales_before["unknown"] else None
        trending = _trending(((signups, signups_before), (active, active_before), (revenue, revenue_before)))
        rate = share(errors["failures"], errors["attempts"])

        def earlier(value: Decimal | int | None) -> tuple[str, str, Decimal | None]:
            return ("week", "the same hours a week before", None if value is None else Decimal(value))

        told, told_used, told_sold = (
            {name: value.isoformat() for name, value in each.items()} for each in (params, used, sold)
        )
        facts = (
            figures.fact("signups_day", "Sign-ups", "count", signups, app, "staging.stg_app__users", _DAY, told_used,
                         direction="up_is_good", before=earlier(signups_before)),
            figures.fact("active_users_day", "Active users", "count", active, app, "staging.stg_app__sessions", _DAY,
                         told_used, direction="up_is_good", before=earlier(active_before)),
            figures.fact("orders_day", "Orders", "count", sales["orders"] if shop.known else None, shop,
                         "marts.fct_orders", _SALES, told_sold, direction="up_is_good"),
            figures.fact("revenue_day", "Net sales", "money", revenue, shop, "marts.fct_orders", _SALES, told_sold,
                         direction="up_is_good", before=earlier(revenue_before)),
            figures.fact("error_rate", "Error rate of the platform", "ratio", rate, None, "ops.sync_runs", _ERRORS,
                         told, direction="down_is_good", limit=given.error_limit),
            figures.fact("errors_day", "Failures of the platform", "count", errors["failures"], None, "ops.sync_runs",
                         _ERRORS, told, direction="down_is_good"),
        )  # fmt: skip
        lines, actions = [], []
        if signups is None:
            lines.append(Line("unknown", "Sign-ups", ("signups_day",)))
        elif not signups:
            lines.append(Line("attention", "Nobody signed up", ("signups_day",)))
            actions.append(Action("stats:signups", "See whether people can still sign up", "alert", "engineering", 1))
        if trending is not None:
            held = "Not below a week before" if trending else "Below a week before"
            below = ("signups_day", "active_users_day", "revenue_day")
            lines.append(Line("ok" if trending else "info", held, below))
        if rate is None:
            lines.append(Line("unknown", "Errors: nothing was attempted"))
        else:
            over = rate > given.error_limit
            lines.append(Line("attention" if over else "ok", "Errors", ("error_rate", "errors_day")))
            if over:
                actions.append(
                    Action("stats:errors", "Go through the failures of the last day", "alert", "engineering", 1, "",
                           ("error_rate", "errors_day"))
                )  # fmt: skip
        shown = ("revenue_day", "orders_day", "signups_day", "active_users_day")
        section = Section("The last 24 hours", facts, shown, tuple(lines), tuple(actions))
        return Stats(
            signups=signups, active_users=active, orders=sales["orders"] if shop.known else None, revenue=revenue,
            signups_before=signups_before, active_users_before=active_before, revenue_before=revenue_before,
            trending=trending,
            attempts=errors["attempts"], errors=errors["failures"], error_rate=rate, section=kept(section),
        )  # fmt: skip


def _trending(figures: tuple[tuple[Decimal | int | None, Decimal | int | None], ...]) -> bool | None:
    """Whether none is below what it was; None where all that is known is not below and something is unknown."""
    known = [(now, before) for now, before in figures if now is not None and before is not None]
    if any(now < before for now, before in known):
        return False
    return True if len(known) == len(figures) else None
