"""How many re-engagement campaigns a week brought: put up, approved, made as drafts, and for how many customers.

Belongs here: the figures of the inbox's campaigns and their hand-over. Does not belong here: a campaign's content
(`campaigns.py`), how playbooks go over weeks (`ops_platform.playbooks.statistics`), what a sent mail brought
(`dbt_project`).

The tables are our own and whole at any moment, so a week without a campaign is a week with none, not an unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

from pydantic import Field

from ops_platform.evidence.model import Direction
from ops_platform.evidence.spans import last_complete
from ops_platform.playbooks.reporting import Action, Line, Reportable, Section, kept
from ops_platform.playbooks.toolbox.figures import Figures
from ops_platform.playbooks.tools import StepContext, Tool, ToolInput

_PUT_UP = """
select count(*) as value from ops.approvals as requests
where requests.kind = 'campaign' and requests.created_at >= %(from)s and requests.created_at < %(to)s
"""
_APPROVED = """
select count(*) as value
from ops.approval_events as events
join ops.approvals as requests on requests.id = events.approval_id
where requests.kind = 'campaign' and events.event = 'approved' and events.at >= %(from)s and events.at < %(to)s
"""
_MADE = """
select count(*) as value from ops.campaign_handovers as drafts
where drafts.state = 'made' and drafts.updated_at >= %(from)s and drafts.updated_at < %(to)s
"""
_REACHED = """
select coalesce(sum((drafts.result ->> 'reached')::bigint), 0) as value from ops.campaign_handovers as drafts
where drafts.state = 'made' and drafts.updated_at >= %(from)s and drafts.updated_at < %(to)s
"""
_REFUSED = """
select count(*) as value from ops.campaign_handovers as drafts
where drafts.state = 'failed' and drafts.updated_at < %(to)s
"""

# By name: label, relation, query, which way is good.
_FIGURES: Mapping[str, tuple[str, str, str, Direction]] = {
    "put_up": ("Campaigns put up for approval", "ops.approvals", _PUT_UP, "neutral"),
    "approved": ("Campaigns approved", "ops.approval_events", _APPROVED, "up_is_good"),
    "made": ("Campaigns made in the campaign tool", "ops.campaign_handovers", _MADE, "up_is_good"),
    "customers": ("Customers in campaigns made", "ops.campaign_handovers", _REACHED, "up_is_good"),
    "refused": ("Drafts refused", "ops.campaign_handovers", _REFUSED, "down_is_good"),
}


class CampaignFiguresInput(ToolInput):
    target: int = Field(default=5, ge=0, description="More campaigns than this in a week are aimed at.")


class CampaignWeek(Reportable):
    """Campaigns of the last whole week."""

    week_start: date
    week_end: date
    put_up: int = Field(description="Requests for a campaign in the inbox.")
    approved: int = Field(description="Requests that a person approved.")
    made: int = Field(description="Campaigns made as drafts in the campaign tool, one a reason and wording.")
    made_before: int = Field(description="The same, the week before.")
    customers: int = Field(description="Customers in the drafts that were made.")
    refused: int = Field(description="Drafts that the campaign tool refused and nobody has seen to.")


class CampaignFigures(Tool[CampaignFiguresInput, CampaignWeek]):
    """Campaigns a week."""

    name = "campaign_figures"
    description = (
        "Re-engagement campaigns of the last whole week: put up, approved, made as drafts, for how many customers."
    )
    Input, Output, effect = CampaignFiguresInput, CampaignWeek, "reads"

    def run(self, given: CampaignFiguresInput, context: StepContext) -> CampaignWeek:
        figures = Figures(context)
        week = last_complete("weekly", context.today)
        # The company's days: an approval late on Sunday evening belongs to the week that ends then.
        start, end = figures.calendar.start_of(week.start), figures.calendar.end_of(week.end)
        params = {"from": start, "to": end}
        earlier = {"from": figures.calendar.start_of(week.start - timedelta(days=week.days)), "to": start}
        found = {name: int(figures.one(query, params)["value"]) for name, (_, _, query, _) in _FIGURES.items()}
        before = int(figures.one(_MADE, earlier)["value"])
        told = {name: moment.isoformat() for name, moment in params.items()}
        facts = tuple(
            figures.fact(
                f"campaigns_{name}", label, "count", found[name], None, relation, query, told, direction=direction,
                period=week.period, limit=given.target if name == "made" else None, limit_label="the aim",
                before=("before", "the week before", Decimal(before)) if name == "made" else None,
            )
            for name, (label, relation, query, direction) in _FIGURES.items()
        )  # fmt: skip
        # Few campaigns in a week in which few stayed away are no fault: below the aim is told, and not as one.
        reached = found["made"] > given.target
        lines = [Line("ok" if reached else "info", "Campaigns made in the week", ("campaigns_made",))]
        actions = []
        if found["refused"]:
            lines.append(Line("attention", "Drafts that the campaign tool refused", ("campaigns_refused",)))
            actions.append(
                Action("campaigns:refused", "See why drafts were refused, then try them again", "watch", "campaigns", 3,
                       "", ("campaigns_refused",))
            )  # fmt: skip
        shown = ("campaigns_made", "campaigns_put_up", "campaigns_approved", "campaigns_customers")
        section = Section(f"Campaigns, {week.label}", facts, shown, tuple(lines), tuple(actions))
        return CampaignWeek(
            week_start=week.start, week_end=week.end, made_before=before, section=kept(section), **found
        )  # fmt: skip
