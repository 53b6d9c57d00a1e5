"""The evidence of the monthly board pack.

Belongs here: what the pack rests on, in order. Does not belong here: the figures (`evidence.board_figures`), how months
are read (`evidence.months`), what follows from the figures (`evidence.board_review`), what only the company's records
outside the warehouse know (`evidence.pack_context`), sentences, layout.

Fact ids. A metric's fact has the metric's id and is of the month (a state: of its last day); `<metric>_qtd` and
`<metric>_ytd` are of the quarter and fiscal year to date. Besides: `channel_<n>`; `why_<n>`, `why_year_<n>`;
`restated_<n>`; `figures_*`, `sources_*`, `alerts_open`, `token_cost`, `hours_saved`, `infrastructure_cost`.
Lists: `scorecard`, `channels`, `why`, `why_year`, `division_<id>`, `standing`, `risks`, `decisions`, `actions`,
`alerts`, `turned`, `restated`, `sources`, `definitions`, `loose`.
Series: `trend_<metric>` with `_before` and `_plan`; `channel_<n>_trend`; `bridge`, `bridge_year`;
`<metric>_by_<dimension>`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.evidence import board_sales as sales
from ops_platform.evidence.board_figures import BREAKDOWNS, PLANNED, REVENUE, TREND_MONTHS, Gathering
from ops_platform.evidence.board_review import Review
from ops_platform.evidence.calendar import Calendar
from ops_platform.evidence.metrics import METRIC_TABLE, MetricReader, Warehouse
from ops_platform.evidence.model import Bundle, CompanyProfile
from ops_platform.evidence.months import Month, MonthReader, previous_month
from ops_platform.evidence.pack_context import PackContext
from ops_platform.evidence.second_reading import confirmed
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    import psycopg

_RELATIONS = (
    METRIC_TABLE, "metrics.dim_metric", "ops.connections", "ops.cursors", "ops.sync_runs", "ops.token_ledger",
    "ops.fleet_health",
)  # fmt: skip


def build_board_pack_bundle(
    connection: psycopg.Connection[Any],
    as_of: datetime,
    company: CompanyProfile,
    context: PackContext | None = None,
    month: date | None = None,
) -> Bundle:
    """Everything the pack of the month that was over last at `as_of` (or of `month`, any day of it) may say. Reads
    nothing later than `as_of`, writes nothing; what cannot be read is an unknown fact."""
    if as_of.tzinfo is None:
        raise DataFailure("The board pack needs a moment with a time zone.")
    calendar = Calendar(as_of, ZoneInfo(company.timezone))
    last = previous_month(calendar.today) if month is None else Month(month.replace(day=1))
    if last.end >= calendar.today:
        raise DataFailure(f"{last.label} is not over on {calendar.today}: a board pack is of a whole month.")
    warehouse = Warehouse(connection)
    with warehouse.snapshot():
        warehouse.probe(_RELATIONS)
        reader = MetricReader(warehouse, calendar, company, days=1)
        apart = [PLANNED, REVENUE, *(name for name, _ in BREAKDOWNS)]
        months = MonthReader(warehouse, reader, calendar, last.later(-2 * TREND_MONTHS - 1), last, apart)
        gathering = Gathering(warehouse, months, calendar, company, context or PackContext(), last)
        gathering.scorecard()
        sales.channels(gathering)
        sales.changes(gathering)
        gathering.divisions()
        gathering.breakdowns()
        Review(gathering).all()
        return confirmed(warehouse, gathering.bundle())
