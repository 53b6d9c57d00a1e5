"""A small company by month (`board.sql`) and the pack's evidence from it, for tests of its evidence and its pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from ops_platform.evidence.board_pack import build_board_pack_bundle
from ops_platform.evidence.model import Bundle, CompanyProfile, Division, SourceSystem
from ops_platform.evidence.pack_context import OpenAction, OpenAlert, PackContext
from ops_platform.watch.tree import MetricTree

NEW_YORK = ZoneInfo("America/New_York")
AS_OF = datetime(2026, 11, 1, 8, 0, tzinfo=NEW_YORK)
SQL = "".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("metrics.sql", "board.sql"))
COMPANY = CompanyProfile(
    name="Northlight Audio", timezone="America/New_York", currency="USD",
    divisions=(
        Division("customer_support", "Customer Support"), Division("sales", "Sales"),
        Division("marketing", "Marketing"), Division("design", "Design"), Division("supply_chain", "Supply Chain"),
    ),
    sources=(SourceSystem("shopify", "Shopify"), SourceSystem("slack", "Slack")),
)  # fmt: skip
TREE = MetricTree.of({"net_sales": [{"sum": ["sales_before_refunds", "-refunds"]}]})
CONTEXT = PackContext(
    scorecard={"Growth": ["net_sales", "refund_rate", "csat"], "Money": ["operating_result", "late_orders"]},
    decisions={"late_orders": "Approve extra shifts?", "net_sales": "Revise the plan?"},
    alerts=[OpenAlert("Late orders", "alert", date(2026, 10, 20), "supply_chain")],
    actions=[OpenAction("Call the factory", "Supply Chain", date(2026, 10, 12))],
    hours_saved=Decimal("46.5"), infrastructure_cost=Decimal(10), tree=TREE,
)  # fmt: skip
Connection = psycopg.Connection[Any]


def build(connection: Connection, month: date | None = None, **more: Any) -> Bundle:
    return build_board_pack_bundle(connection, AS_OF, COMPANY, replace(CONTEXT, **more), month)
