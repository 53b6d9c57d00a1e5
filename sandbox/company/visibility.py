"""Where each planted incident shows, and from which day: the other half of the ledger, by which a detector is judged.

Belongs here: for each kind, the subjects of which at least one must be found out of order, the days on which it shows,
and whether it is larger than chance. Does not belong here: planting (`incidents.py` and the parts), detecting.

Subjects are written as `metric:orders:channel:web` and `threshold:stock:sku:NB-…`: kind, name, dimension, value.

An incident is drawn, not dosed: a channel that has six orders a day may have lost so few that nobody could tell. What
chance alone brings to a series at least once a year (`LEAST_CHANCE` a day) cannot be told by anybody who may cry wolf
once a year; such an incident is in the ledger with the reason why it does not show.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sandbox.company.model import Company, Incident, Sighting
from sandbox.company.season import expected_orders

LEAST_CHANCE = 1 / 365
FIRST_NOTICE = 21  # days of stock at which the company first wants to hear of it
_USUAL_DAYS = 91
DAY = timedelta(days=1)

_ORDERS = ("orders", "net_sales", "order_lines", "units_sold", "gross_sales", "sales_before_refunds")
# What else moves when a channel or a SKU sells more or less.
_SALES = (
    *_ORDERS, "channel_net_sales", "channel_mix", "channels_off_target", "b2b_sales", "average_order_value",
    "average_unit_price", "units_per_order", "new_customers", "new_customer_revenue", "returning_customer_revenue",
    "returning_revenue_share", "repeat_order_share", "discount_amount", "discount_share", "promo_orders",
    "promo_order_share", "promo_net_sales", "promo_discount_amount", "promo_discount_share", "marketplace_orders",
    "marketplace_sales", "marketplace_units", "revenue_plan_attainment", "marketing_efficiency", "email_orders",
    "email_revenue", "email_revenue_share", "erp_orders", "erp_revenue", "gross_margin", "gross_margin_rate", "cogs",
    "lines_without_customer", "business_health", "tickets_per_100_orders", "refund_rate", "orders_pending",
    "pending_order_value", "orders_shipped", "cash_balance", "net_cash_flow", "ad_conversions", "ad_revenue", "roas",
    "cost_per_acquisition", "cohort_value_90d",
)  # fmt: skip
_SHIPPING = (
    "orders_pending", "pending_order_value", "late_orders", "late_order_value", "high_value_late_orders",
    "order_to_ship_hours", "orders_shipped", "orders_shipped_late", "shipped_within_24h_share",
    "shipped_within_48h_share", "business_health", "tickets_opened", "tickets_open", "tickets_per_100_orders",
    "app_tickets_opened", "cancelled_order_share", "cancelled_lines", "refunds", "refund_rate",
)  # fmt: skip
_REFUNDS = (
    "refunds", "refund_rate", "returned_lines", "net_sales", "channel_net_sales", "business_health", "tickets_opened",
    "tickets_open", "tickets_per_100_orders", "app_tickets_opened", "gross_margin", "gross_margin_rate", "erp_revenue",
    "average_review_rating", "low_reviews", "revenue_plan_attainment",
)  # fmt: skip
_BOOKS = ("erp_revenue", "erp_orders", "erp_shop_gap", "gross_margin", "gross_margin_rate", "cogs", "cash_balance",
          "net_cash_flow", "receivables_open", "days_sales_outstanding")  # fmt: skip
_MAIL = ("email_orders", "email_revenue", "email_revenue_share", "email_order_coverage", "email_orders_doubled")
_APP = ("sessions", "active_users_daily", "active_users_weekly", "app_tickets_opened", "tickets_opened", "tickets_open",
        "tickets_closed", "tickets_per_100_orders", "first_response_hours", "resolution_hours")  # fmt: skip
_DEALS = ("won_value", "average_deal_size", "pipeline_value", "weighted_forecast", "deals_open", "deals_won",
          "deals_created", "sales_cycle_days", "win_rate", "stage_conversion")  # fmt: skip
# How long after its last day a kind still moves what it moved.
_AFTER = {"stock_out": 14, "late_wave": 21, "refund_spike": 5, "demand_spike": 21, "price_error": 21, "channel_drop": 3,
          "erp_late": 5, "erp_gap": 3, "erp_double": 3, "supply_hold": 30, "app_login_outage": 14}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shop:
    """What really happened, counted: order lines to consumers by SKU, orders by channel, refunds by SKU of a bad batch
    and of all that was not cancelled, each by day; orders by (day, location) that shipped a week or more later."""

    lines: Counter[tuple[date, str]]
    orders: Counter[tuple[date, str]]
    defective: Counter[tuple[date, str]]
    returned: Counter[tuple[date, str]]
    late: Counter[tuple[date, int | None]]


def with_sightings(company: Company, incidents: list[Incident]) -> list[Incident]:
    """The incidents, each with where it shows."""
    shop = company.part(_counted)
    return [replace(incident, sighting=_sighting(company, shop, incident)) for incident in incidents]


def _sighting(company: Company, shop: _Shop, incident: Incident) -> Sighting:
    subjects, touches, first = _where(incident)
    why = _too_small(company, shop, incident)
    last = incident.end
    if incident.kind == "late_wave":
        # Late is what has waited for a week; it waits for as many days as were planted.
        last = incident.end + timedelta(days=math.ceil(float(incident.expected["size"])) + 1)
    return Sighting(
        subjects=subjects if not why else (),
        first=first,
        last=last,
        touches=touches,
        touches_until=last + timedelta(days=_AFTER.get(incident.kind, 2)),
        prompt=incident.kind not in _SLOW,
        unseen_because=why,
    )


# What comes to a head only after a while, so that no day can be named on which it must be found.
_SLOW = frozenset({"supply_hold", "competitor_price_cut", "work_order_untrue"})


def _where(incident: Incident) -> tuple[tuple[str, ...], tuple[str, ...], date]:
    """Subjects of which one must be out, metrics that may be, the first day on which it shows."""
    start, value = incident.start, incident.entity.partition(":")[2]
    match incident.kind:
        case "channel_drop":
            found = [f"threshold:channel_demand:channel:{value}"]
            found += [f"metric:{name}:channel:{value}" for name in ("orders", "net_sales", "channel_net_sales")]
            found += [f"metric:{name}" for name in _ORDERS]
            if value == "amazon":
                found += [f"metric:marketplace_{name}" for name in ("orders", "sales", "units")]
            return tuple(found), _SALES, start
        case "demand_spike":
            return (f"threshold:sku_demand:sku:{value}", *(f"metric:{name}" for name in _ORDERS)), _SALES, start
        case "price_error":
            return (f"threshold:sku_price:sku:{value}",), _SALES, start
        case "stock_out" | "supply_hold":
            return (f"threshold:stock:sku:{value}",), _SALES, start
        case "listing_suppressed":
            return (f"threshold:listing_suppressed:sku:{value}",), _SALES, start
        case "refund_spike":
            whole = ("metric:refunds", "metric:refund_rate", "metric:returned_lines")
            return (f"threshold:sku_refunds:sku:{value}", *whole), _REFUNDS, start
        case "late_wave":
            watched = ("late_orders", "late_order_value", "orders_pending", "pending_order_value")
            found = [*(f"metric:{name}" for name in watched), "metric:late_orders:bucket:watch"]
            found += ["metric:late_order_value:bucket:watch", "metric:pending_order_value:bucket:watch"]
            return (*found, "threshold:late_orders"), _SHIPPING, start + timedelta(days=7)
        case "erp_gap" | "erp_late" | "erp_double":
            findings = {"erp_gap": "missing_in_erp", "erp_late": "other_day", "erp_double": "doubled_in_erp"}
            books = ("threshold:erp_shop_gap", f"threshold:erp_order_differences:finding:{findings[incident.kind]}",
                     "metric:erp_shop_gap")  # fmt: skip
            return books, _BOOKS, start
        case "account_at_risk":
            return ("threshold:marketplace_account",), (), start
        case "competitor_price_cut":
            return (
                (f"threshold:competitor_price_cut:sku:{value}",),
                ("competitor_undercuts", "competitor_price_cuts"),
                start,
            )
        case "spend_without_conversion":
            names = ("spend_without_conversion", "ad_conversions", "ad_revenue", "roas", "cost_per_acquisition")
            return (f"threshold:spend_without_conversion:channel:{value}",), names, start
        case "content_entry_missing" | "content_entry_misdated":
            return ("threshold:campaigns_off_calendar",), ("campaigns_off_calendar",), start
        case "mail_events_missing":
            return ("threshold:email_coverage",), _MAIL, start
        case "mail_events_doubled":
            return ("threshold:email_orders_doubled",), _MAIL, start
        case "app_login_outage":
            return ("metric:sessions", "metric:app_tickets_opened", "metric:active_users_daily"), _APP, start
        case "app_orphans":
            return ("threshold:app_users_unknown",), ("app_users_unknown_to_shop",), start
        case "crm_wrong_amount" | "crm_missing_deal":
            finding = "other_amount" if incident.kind == "crm_wrong_amount" else "no_deal"
            return (f"threshold:invoice_deal_differences:finding:{finding}",), _DEALS, start
        case "milestone_untrue":
            return ("threshold:milestone_untrue",), ("milestones_overdue", "issues_open"), start
        case "work_order_untrue":
            return (f"threshold:work_order_untrue:purchase_order_number:{value}",), (), start
    raise ValueError(f"nothing says where a {incident.kind} shows")


def _too_small(company: Company, shop: _Shop, incident: Incident) -> str:
    """Why it does not show, or ""."""
    today = company.business_day(company.clock)
    days = [incident.start + DAY * place for place in range((incident.end - incident.start).days + 1)]
    days = [day for day in days if day < today]
    value = incident.entity.partition(":")[2]
    if not days and incident.kind in ("channel_drop", "demand_spike", "price_error", "refund_spike"):
        return "it begins only now"
    match incident.kind:
        case "channel_drop":
            usual = sum(expected_orders(day, value) for day in days)
            sold = sum(shop.orders[day, value] for day in days)
            chance = poisson_at_most(sold, usual)
            told = f"{sold} orders where {usual:.1f} were to come"
        case "demand_spike":
            usual = len(days) * _usual(shop.lines, value, incident.start)
            sold = sum(shop.lines[day, value] for day in days)
            chance = 1 - poisson_at_most(sold - 1, usual)
            told = f"{sold} order lines where {usual:.1f} are usual"
        case "price_error":
            sold = sum(shop.lines[day, value] for day in days)
            return "" if sold else "nobody bought it at the wrong price"
        case "refund_spike":
            hit = sum(shop.defective[day, value] for day in days)
            usual = len(days) * _usual(shop.returned, value, incident.start)
            chance = 1 - poisson_at_most(hit - 1, usual)
            told = f"{hit} refunds of it on top of {usual:.1f} usual ones"
        case "late_wave":
            waiting = sum(shop.late[day, int(value)] for day in days)
            return "" if waiting >= 3 else f"{waiting} orders waited for a week or more"
        case "supply_hold" if incident.end >= today:
            lasts = _days_of_stock(company, value)
            return "" if lasts < FIRST_NOTICE else f"what is in stock lasts {lasts:.0f} more days"
        case _:
            return ""
    return f"{told}: chance brings as much more than once a year" if chance >= LEAST_CHANCE else ""


def _days_of_stock(company: Company, sku: str) -> float:
    """How long what can be sold lasts at the pace of the last 30 days."""
    since = company.clock - 30 * DAY
    sold = sum(
        line.quantity
        for order in company.orders
        if order.processed_at >= since and not order.test and order.cancelled_at is None
        for line in order.lines
        if line.sku == sku
    )
    available = sum(level.available for level in company.inventory_levels if level.sku == sku)
    return available / (sold / 30) if sold else math.inf


def _counted(company: Company) -> _Shop:
    lines: Counter[tuple[date, str]] = Counter()
    orders: Counter[tuple[date, str]] = Counter()
    defective: Counter[tuple[date, str]] = Counter()
    returned: Counter[tuple[date, str]] = Counter()
    late: Counter[tuple[date, int | None]] = Counter()
    for order in company.orders:
        if order.test:
            continue
        day = company.business_day(order.processed_at)
        orders[day, order.channel] += 1
        if order.cancelled_at is None and order.channel != "wholesale":
            for line in order.lines:
                lines[day, line.sku] += 1
        for refund in order.refunds:
            on = company.business_day(refund.processed_at)
            for sku in {line.sku for line in refund.lines}:
                returned[on, sku] += order.cancelled_at is None
                defective[on, sku] += refund.note == "Defective batch"
        shipped = min((each.created_at for each in order.fulfilments), default=None)
        if order.cancelled_at is None and (shipped or company.clock) - order.processed_at >= timedelta(days=7):
            late[day, order.location_id] += 1
    return _Shop(lines, orders, defective, returned, late)


def _usual(counted: Counter[tuple[date, str]], sku: str, start: date) -> float:
    """How many a day over the quarter before."""
    return sum(counted[start - DAY * back, sku] for back in range(1, _USUAL_DAYS + 1)) / _USUAL_DAYS


def poisson_at_most(count: int, mean: float) -> float:
    """The chance of at most `count` where `mean` are expected."""
    if count < 0:
        return 0.0
    if mean <= 0:
        return 1.0
    term = total = math.exp(-mean)
    for number in range(1, count + 1):
        term *= mean / number
        total += term
    return min(total, 1.0)
