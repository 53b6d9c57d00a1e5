"""A company of a handful of customers in the relations the tools read: every number can be counted by hand.

The Friday is 20 November 2026; the last whole week is 9 to 15 November.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ops_platform.approvals.assembly import inbox_of
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.playbooks.checks import House, plan_of
from ops_platform.playbooks.engine import Machine
from ops_platform.playbooks.integrations import Pinged
from ops_platform.playbooks.plan import Plan
from ops_platform.playbooks.runners.condition import ConditionRunner
from ops_platform.playbooks.runners.create_thread import CreateThreadRunner
from ops_platform.playbooks.runners.delegate import DelegateRunner
from ops_platform.playbooks.runners.notify import NotifyRunner
from ops_platform.playbooks.runners.synthesize import SynthesizeRunner
from ops_platform.playbooks.runners.tool_call import ToolCallRunner
from ops_platform.playbooks.steps import Runners
from ops_platform.playbooks.toolbox.campaign_figures import CampaignFigures
from ops_platform.playbooks.toolbox.campaigns import CampaignDraft
from ops_platform.playbooks.toolbox.customers import AtRiskCustomers, CustomerReturned, InactiveCustomers
from ops_platform.playbooks.toolbox.growth import RevenueMetrics, SignupAnalytics
from ops_platform.playbooks.toolbox.incidents import CloseIncident
from ops_platform.playbooks.toolbox.integrations import CredentialsCheck, IntegrationPings, SearchLogs
from ops_platform.playbooks.toolbox.system import PlatformStats, SystemHealth
from ops_platform.playbooks.tools import StepContext, Toolbox
from ops_platform.settings import PROJECT_ROOT

SCHEMA = (Path(__file__).parent / "company.sql").read_text(encoding="utf-8")
TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # ten in the morning, New York
ZONE = "America/New_York"
FRESH = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
LABELS = {"shopify": "Shopify", "hubspot": "HubSpot", "anthropic": "Claude"}
CHANNELS = {"executive": "C0EXEC", "team": "C0TEAM", "alerts": "C0ALERT"}
STREAMS = ("app.users", "app.sessions", "app.subscriptions", "app.tickets", "shopify.orders")


# The record refuses to be emptied; only as a replica, where no trigger speaks, can a test do it.
_EMPTY = """
set session_replication_role = replica;
truncate ops.playbook_versions, ops.playbook_executions, ops.playbook_steps, ops.playbook_effects,
    ops.playbook_notices, ops.playbook_assignments, ops.outbox, ops.approvals, ops.approval_versions,
    ops.approval_events, ops.approval_attachments, ops.campaign_handovers, ops.campaign_recipients, ops.documents,
    ops.evidence_bundles, ops.token_ledger, ops.action_items, ops.action_item_events cascade;
alter table ops.approvals alter column id restart with 1;
set session_replication_role = origin;
"""


def empty(connection: Any) -> None:
    """Nothing was ever run, asked or said."""
    connection.execute(_EMPTY.encode())


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@dataclass
class Customer:
    """Days ago of each thing; None: never."""

    name: str
    signed_up: int = 200
    login: int | None = 3
    ordered: int | None = 10
    mrr: str | None = "5"
    tickets: int = 0
    deleted: bool = False
    cancelled: int | None = None
    trial: bool = False
    bought: Sequence[str] = field(default_factory=tuple)


#: Five that are well or no customer any more, and what each of the others shows.
PEOPLE = (
    Customer("well"),
    Customer("buys", login=60, ordered=30),  # ordered within ninety days
    Customer("new", signed_up=2, login=None, ordered=2),  # has its first days
    Customer("gone", login=99, ordered=None, deleted=True),
    Customer("left", login=50, ordered=200, cancelled=5),
    Customer("away", login=40, ordered=120, mrr="9", bought=("A",)),  # long away, reachable
    Customer("lately", login=7, ordered=90, mrr="7", bought=("A", "B"), tickets=1),  # both limits are met on the day
    Customer("never", login=None, ordered=91, mrr="6"),
    Customer("amazon", login=30, ordered=None, mrr="3"),  # nobody knows how to write to them
    Customer("almost", login=6, ordered=91),  # a day too early
)


def fill(connection: Any, people: Sequence[Customer] = PEOPLE, *, fresh_to: datetime | None = FRESH) -> None:
    """The company as it stands, in place of what was there."""
    tables = (
        "marts.fct_app_customers", "marts.fct_subscriptions", "intermediate.int_app_user_days",
        "staging.stg_app__users", "staging.stg_app__sessions", "staging.stg_app__tickets",
        "staging.stg_shopify__discounts", "marts.fct_orders", "marts.fct_order_lines", "marts.dim_products",
        "marts.fct_inventory_position", "metrics.dim_metric", "metrics.fct_metric_daily", "ops.cursors",
        "ops.sync_runs", "ops.tie_outs", "ops.warehouse_builds", "ops.receipts", "ops.integration_pings",
    )  # fmt: skip
    connection.execute(f"truncate {', '.join(tables)} cascade".encode())
    for place, one in enumerate(people):
        shop = f"gid://shopify/Customer/{place}"
        connection.execute(
            "insert into marts.fct_app_customers values (%s, 'customer', true, %s, %s, 'shop', %s, %s, %s, %s, %s)",
            (one.name, one.deleted, ago(one.signed_up), shop, None if one.login is None else ago(one.signed_up),
             None if one.login is None else ago(one.login), ago(one.signed_up), ago(one.signed_up)),
        )  # fmt: skip
        ended = None if one.cancelled is None else ago(one.cancelled)
        status = "canceled" if ended else "trialing" if one.trial else "active"
        connection.execute(
            "insert into marts.fct_subscriptions values (%s, %s, %s, %s, %s, %s, %s)",
            (
                f"s{place}",
                one.name,
                status,
                ago(one.signed_up),
                None if one.trial else ago(one.signed_up),
                ended,
                one.mrr,
            ),
        )
        if one.login is not None:
            connection.execute("insert into intermediate.int_app_user_days values (%s, %s)", (ago(one.login), one.name))
        if one.ordered is not None:
            at = datetime.combine(ago(one.ordered), datetime.min.time(), UTC) + timedelta(hours=12)
            connection.execute(
                "insert into marts.fct_orders values (%s, %s, %s, %s, %s, 100)",
                (f"gid://shopify/Order/{7000 + place}", shop, ago(one.ordered), at, at),
            )
        for sku in one.bought:
            connection.execute(
                "insert into marts.fct_order_lines values (%s, %s, %s, false, false)", (shop, sku, ago(100))
            )
        for ticket in range(one.tickets):
            connection.execute(
                "insert into staging.stg_app__tickets values (%s, %s, %s, null)",
                (f"t{ticket}", one.name, NOW - timedelta(days=2)),
            )
    # Others bought A with C, and B with C and D; D is sold out, E nobody bought.
    for place, skus in enumerate((("A", "C"), ("A", "C"), ("B", "C"), ("B", "D"), ("F",), ("F",), ("F",))):
        for sku in skus:
            connection.execute(
                "insert into marts.fct_order_lines values (%s, %s, %s, false, false)", (f"other{place}", sku, ago(50))
            )
    for sku, stock in (("A", 5), ("B", 5), ("C", 5), ("D", 0), ("E", 5), ("F", 5)):
        connection.execute("insert into marts.dim_products values (%s, %s, true, 10)", (sku, f"Product {sku}"))
        connection.execute("insert into marts.fct_inventory_position values (%s, %s)", (sku, stock))
    connection.execute(
        "insert into staging.stg_shopify__discounts values (%s, 'ACTIVE', %s, null, 'We miss you: 15 %%')",
        (["COMEBACK15"], NOW - timedelta(days=300)),
    )
    for stream in STREAMS if fresh_to is not None else ():
        vendor, name = stream.split(".")
        connection.execute(
            "insert into ops.cursors (vendor, stream, fresh_to, updated_at) values (%s, %s, %s, %s)",
            (vendor, name, fresh_to, fresh_to),
        )
    connection.commit()


def metric(connection: Any, name: str, unit: str, aggregation: str, days: dict[date, tuple[str, str, str]]) -> None:
    """A published metric: by day its value, numerator and denominator."""
    kind = "level" if aggregation == "last" else "flow"
    currency = "USD" if unit == "money" else None
    connection.execute(
        "insert into metrics.dim_metric"
        " values (%s, %s, %s, 'up_is_good', %s, %s, %s, null, 1, 'sales', '{app.users}', true)",
        (name, name.replace("_", " ").capitalize(), unit, aggregation, kind, currency),
    )
    for day, (value, numerator, denominator) in days.items():
        connection.execute(
            "insert into metrics.fct_metric_daily values (%s, %s, 'all', 'all', %s, %s, %s, %s, 'matched')",
            (name, day, value, numerator, denominator, FRESH),
        )
    connection.commit()


@dataclass
class Vendors:
    """The vendors' side of pings: what each answers. What is not named is online, after 120 ms."""

    out: dict[str, str] = field(default_factory=dict)
    slow: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    asked: int = 0

    def __call__(self, wanted: Sequence[str]) -> list[Pinged]:
        self.asked += 1
        found = []
        for name in wanted:
            if name in self.missing:
                found.append(Pinged(name, "not_connected", None, "no credentials are set"))
            elif name in self.out:
                found.append(Pinged(name, "offline", None, self.out[name]))
            else:
                found.append(Pinged(name, "online", self.slow.get(name, 120), "well"))
        return found


def company_house(vendors: Vendors, *, fleet: Fleet | None = None, mail: bool = False) -> House:
    """The tools, roles and runners of the company, with the vendors given."""
    its = fleet or get_fleet()

    def inbox() -> Any:
        return inbox_of(its, CHANNELS.__getitem__)

    tools = Toolbox.of(
        SystemHealth(), PlatformStats(), IntegrationPings(vendors, LABELS), CredentialsCheck(LABELS), SearchLogs(),
        SignupAnalytics(), RevenueMetrics(), AtRiskCustomers(), InactiveCustomers(), CustomerReturned(),
        CampaignDraft(), CampaignFigures(), CloseIncident(inbox), roles=frozenset(its.roles),
    )  # fmt: skip
    runners = Runners(
        {
            "tool_call": ToolCallRunner(), "condition": ConditionRunner(),
            "notify": NotifyRunner(lambda: its, CHANNELS.__getitem__, lambda: mail),
            "delegate": DelegateRunner(lambda: its, lambda: (None, "no model is connected")),
            "synthesize": SynthesizeRunner(lambda: its, lambda: (None, "no model is connected")),
            "create_thread": CreateThreadRunner(lambda: its, inbox),
        }
    )  # fmt: skip
    return House(tools, runners, frozenset(its.bots))


def shipped(name: str, house: House) -> Plan:
    """A playbook as it is shipped."""
    text = (PROJECT_ROOT / "playbooks" / f"{name}.yaml").read_text(encoding="utf-8")
    return plan_of(text, f"{name}.yaml", house)


def machine(connect: Any, house: House) -> Machine:
    return Machine(connect, house, ZONE, lambda line: None)


def context(
    connection: Any, connect: Any, *, as_of: datetime = NOW, dry_run: bool = False, **changes: Any
) -> StepContext:
    """What a tool is given, outside a playbook."""
    given: dict[str, Any] = {
        "connection": connection, "execution_id": 1, "playbook": "ops_test", "playbook_name": "A test", "version": 1,
        "step": "look", "attempt": 1, "key": "key", "as_of": as_of, "today": TODAY,
        "zone": ZONE, "deadline": as_of + timedelta(minutes=5), "variables": {}, "results": {}, "statuses": {},
        "dry_run": dry_run, "log": lambda line: None, "spend": lambda tokens: None, "variant_of": lambda unit: None,
        "once": lambda *a: None, "connect": connect, **changes,
    }  # fmt: skip
    return StepContext(**given)


def answer(connect: Any, tool: Any, given: Any, **changes: Any) -> Any:
    """What the tool answers, committed."""
    with connect() as connection:
        found = tool.run(given, context(connection, connect, **changes))
        connection.commit()
    # What a step keeps is JSON; it comes back as it was.
    assert tool.Output.model_validate_json(found.model_dump_json()) == found
    return found
