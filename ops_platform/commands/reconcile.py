"""`ops reconcile`: the shop's orders against the ERP's postings.

Belongs here: showing what the warehouse found. Does not belong here: finding it
(`dbt_project/models/marts/finance/fct_erp_shop_*`).
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import click

from ops_platform.commands.safe_text import printable
from ops_platform.failures import DataFailure

_DAYS = """
    select count(*) as days, min(date) as first_day, max(date) as last_day,
           coalesce(sum(shop_orders), 0) as shop_orders,
           coalesce(sum(erp_orders), 0) as erp_orders, sum(shop_amount) as shop_amount, sum(erp_amount) as erp_amount,
           sum(gap_amount) as gap_amount, count(*) filter (where status = 'mismatched') as mismatched_days,
           count(*) filter (where status = 'unknown') as unknown_days, min(currency) as currency
    from marts.fct_erp_shop_reconciliation
    where date between coalesce(%(start)s::date, '-infinity') and coalesce(%(end)s::date, 'infinity')
"""
_ORDERS = """
    select order_name, date, finding, state, sales_day, posted_day, days_late, shop_amount, erp_amount,
           difference_amount, currency, shop_currency, erp_currency, postings
    from marts.fct_erp_shop_order_differences
    where date between coalesce(%(start)s::date, '-infinity') and coalesce(%(end)s::date, 'infinity')
    order by state, date desc, finding, order_name
"""
_WORDS = {
    "missing_in_erp": "in the shop, not in the ERP",
    "missing_in_shop": "in the ERP, not in the shop",
    "doubled_in_erp": "posted more than once",
    "other_day": "posted on another day",
    "other_amount": "posted with another amount",
    "other_currency": "posted in another currency",
    "unknown_amount": "amount unknown (no rate)",
}


def reconcile(start: date | None, end: date | None, *, limit: int, as_json: bool) -> int:
    """Print the summary of the days and the orders that differ. Exit code 1 when one that is due differs."""
    from psycopg.rows import dict_row

    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect

    if start is not None and end is not None and end < start:
        raise click.UsageError(f"--to {end} is before --from {start}")
    prepare_database()
    asked = {"start": start, "end": end}
    with connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        for name in ("fct_erp_shop_reconciliation", "fct_erp_shop_order_differences"):
            there = cursor.execute("select to_regclass(%s) is not null as there", (f"marts.{name}",)).fetchone()
            if not there or not there["there"]:
                raise DataFailure("the warehouse has not been built yet: `ops run ops_pulse`, or `ops dbt build`")
        summary: dict[str, Any] = cursor.execute(_DAYS.encode(), asked).fetchone() or {}
        orders = cursor.execute(_ORDERS.encode(), asked).fetchall()
    counted: dict[str, dict[str, int]] = {}
    for order in orders:
        states = counted.setdefault(order["finding"], {})
        states[order["state"]] = states.get(order["state"], 0) + 1
    differ = any(order["state"] == "open" for order in orders)
    if as_json:
        answer = {"ok": not differ, "summary": summary, "findings": counted, "orders": orders}
        click.echo(json.dumps(answer, default=str, indent=2))
        return int(differ)
    _print(summary, counted, orders, limit)
    return int(differ)


def _print(
    summary: dict[str, Any], counted: dict[str, dict[str, int]], orders: list[dict[str, Any]], limit: int
) -> None:
    if not summary.get("days"):
        click.echo("no day can be compared: shop and ERP must both be synced through it, and the warehouse built")
        return
    currency = summary["currency"] or ""
    shop = f"shop {summary['shop_orders']:,} orders {_money(summary['shop_amount'])}"
    erp = f"ERP {summary['erp_orders']:,} postings {_money(summary['erp_amount'])}"
    span = f"{summary['first_day']} to {summary['last_day']}, {summary['days']:,} days"
    click.echo(f"{span}: {shop}, {erp}, gap {_money(summary['gap_amount'])} {currency}")
    unknown = f", {summary['unknown_days']:,} unknown" if summary["unknown_days"] else ""
    click.echo(f"{summary['mismatched_days']:,} days beyond tolerance{unknown}")
    if not orders:
        click.secho("✓ every order agrees", fg="green")
        return
    for finding, states in counted.items():
        waiting = states.get("not_yet_due", 0)
        due = f" ({waiting:,} not yet due)" if waiting else ""
        click.echo(f"{sum(states.values()):>7,}  {_WORDS[finding]}{due}")
    if limit:
        click.echo()
    for order in orders[:limit]:
        mark = click.style("✗", fg="red") if order["state"] == "open" else "·"
        late = f", posted {order['posted_day']}" if order["finding"] == "other_day" else ""
        if order["finding"] == "other_currency":
            late = f" {order['shop_currency']}/{order['erp_currency']}"
        state = "" if order["state"] == "open" else f"  ({order['state'].replace('_', ' ')})"
        click.echo(
            f"{mark} {order['date']}  {printable(str(order['order_name'])):<12} {_WORDS[order['finding']]}{late}"
            f": shop {_money(order['shop_amount'])}, ERP {_money(order['erp_amount'])}{state}"
        )
    if len(orders) > limit:
        click.echo(f"… {len(orders) - limit:,} more (--limit, or --json for all)")


def _money(amount: Decimal | None) -> str:
    return "none" if amount is None else f"{amount:,.2f}"
