"""Analytics: the part of ShopifyQL that tells a day's sales, for parity checks.

Belongs here: `FROM sales`, its metrics by Shopify's definitions, days of the shop's zone. Does not belong here:
other tables; what is not understood is a parse error, never a guess.

    FROM sales SHOW net_sales, orders GROUP BY day SINCE 2026-11-01 UNTIL 2026-11-19 ORDER BY day DESC LIMIT 5

gross − discounts − returns = net; net + shipping + taxes = total. Sales count on the order's processing day,
returns on the refund's; test orders never. Without SINCE and UNTIL the whole history counts. `TIMESERIES day`
lists every day of the span, `GROUP BY day` only days with sales.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.company.model import ZERO
from sandbox.shopify.values import Overlay, parse_instant
from sandbox.shopify.world import World

_MONEY = {
    "gross_sales": "Gross sales",
    "discounts": "Discounts",
    "returns": "Returns",
    "net_sales": "Net sales",
    "shipping_charges": "Shipping charges",
    "taxes": "Taxes",
    "total_sales": "Total sales",
    "average_order_value": "Average order value",
}
_COUNTS = {
    "orders": "Orders",
    "quantity_ordered": "Quantity ordered",
    "quantity_returned": "Quantity returned",
    "net_items_sold": "Net items sold",
}
_KEYWORDS = ("FROM", "SHOW", "TIMESERIES", "GROUP BY", "SINCE", "UNTIL", "DURING", "WHERE", "ORDER BY", "LIMIT", "WITH",
             "HAVING", "COMPARE TO", "VISUALIZE")  # fmt: skip
_CLAUSE = re.compile(r"\b(" + "|".join(word.replace(" ", r"\s+") for word in _KEYWORDS) + r")\b", re.I)


@dataclass(slots=True)
class Day:
    """One day's sums. Discounts and returns are kept positive here."""

    orders: int = 0
    ordered: int = 0
    returned: int = 0
    gross: Decimal = ZERO
    discounts: Decimal = ZERO
    returns: Decimal = ZERO
    shipping: Decimal = ZERO
    taxes: Decimal = ZERO

    def add(self, other: Day) -> None:
        for name in Day.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def metric(self, name: str) -> Decimal | int:
        net = self.gross - self.discounts - self.returns
        match name:
            case "orders":
                return self.orders
            case "quantity_ordered":
                return self.ordered
            case "quantity_returned":
                return -self.returned
            case "net_items_sold":
                return self.ordered - self.returned
            case "gross_sales":
                return self.gross
            case "discounts":
                return -self.discounts
            case "returns":
                return -self.returns
            case "net_sales":
                return net
            case "shipping_charges":
                return self.shipping
            case "taxes":
                return self.taxes
            case "total_sales":
                return net + self.shipping + self.taxes
            case "average_order_value":
                return (self.gross - self.discounts) / self.orders if self.orders else ZERO
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Answer:
    columns: list[Column] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class ParseError(Exception):
    """The text is no query this evaluator understands."""


_days_kept: dict[int, tuple[World, int, dict[date, Day]]] = {}


def daily(world: World) -> dict[date, Day]:
    """Sums by day of the shop's zone; kept until the world changes."""
    kept = _days_kept.get(id(world))
    if kept is not None and kept[0] is world and kept[1] == world.version:
        return kept[2]
    days: dict[date, Day] = {}

    def on(at: datetime) -> Day:
        return days.setdefault(at.astimezone(world.zone).date(), Day())

    for order in world.orders:
        if type(order) is Overlay:
            _add_overlay(order, world, on)
            continue
        if order.test:
            continue
        day = on(order.processed_at)
        day.orders += 1
        day.shipping += order.shipping
        day.taxes += order.tax
        for line in order.lines:
            day.ordered += line.quantity
            day.gross += line.unit_price * line.quantity
            for share in line.discounts:
                day.discounts += share.amount
        for refund in order.refunds:
            day = on(refund.processed_at)
            day.shipping -= refund.shipping
            day.returns -= sum((a.amount for a in refund.adjustments), ZERO)
            for back in refund.lines:
                day.returned += back.quantity
                day.returns += back.subtotal
                day.taxes -= back.tax
    _days_kept.clear()
    _days_kept[id(world)] = (world, world.version, days)
    return days


def _add_overlay(order: Overlay, world: World, on: Any) -> None:
    """An order a test changed counts by what it shows; what cannot be read counts nothing."""
    patch, base = order.patch, order.base
    while type(base) is Overlay:
        patch, base = {**base.patch, **patch}, base.base
    try:
        if patch.get("test", base.test if base is not None else False):
            return
        at = parse_instant(patch["processedAt"]) if "processedAt" in patch else base.processed_at
        day = on(at)
        day.orders += 1
        if "lineItems" in patch:
            for line in patch["lineItems"] or ():
                quantity = int(line.get("quantity", 1))
                total = line.get("originalTotalSet") or line.get("originalUnitPriceSet")
                amount = Decimal(total["shopMoney"]["amount"])
                day.ordered += quantity
                day.gross += amount if line.get("originalTotalSet") else amount * quantity
                for share in line.get("discountAllocations") or ():
                    day.discounts += Decimal(share["allocatedAmountSet"]["shopMoney"]["amount"])
        elif base is not None:
            day.ordered += sum(line.quantity for line in base.lines)
            day.gross += base.gross
            day.discounts += base.discount
        if base is not None:
            day.shipping += base.shipping
            day.taxes += base.tax
        if "refunds" not in patch and base is not None:
            for refund in base.refunds:
                back = on(refund.processed_at)
                back.returns += refund.net
                back.shipping -= refund.shipping
                back.returned += sum(line.quantity for line in refund.lines)
                back.taxes -= sum((line.tax for line in refund.lines), ZERO)
        for refund in patch.get("refunds") or ():
            back = on(parse_instant(refund["processedAt"]))
            for returned in refund.get("refundLineItems") or ():
                back.returned += int(returned.get("quantity", 0))
                back.returns += Decimal(returned["subtotalSet"]["shopMoney"]["amount"])
            for adjustment in refund.get("orderAdjustments") or ():
                back.returns -= Decimal(adjustment["amountSet"]["shopMoney"]["amount"])
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        return


def answer(text: str, world: World, now: datetime) -> Answer:
    try:
        return _answer(text, world, now)
    except ParseError as error:
        return Answer(errors=[str(error)])


def _clauses(text: str) -> dict[str, str]:
    found = list(_CLAUSE.finditer(text))
    if not found or text[: found[0].start()].strip():
        raise ParseError("Invalid query: a query starts with FROM.")
    clauses: dict[str, str] = {}
    for place, match in enumerate(found):
        name = re.sub(r"\s+", " ", match.group(1).upper())
        end = found[place + 1].start() if place + 1 < len(found) else len(text)
        if name in clauses:
            raise ParseError(f"Invalid query: {name} is given twice.")
        clauses[name] = text[match.end() : end].strip().rstrip(",")
    return clauses


def _answer(text: str, world: World, now: datetime) -> Answer:
    clauses = _clauses(text.strip().rstrip(";"))
    for needed in ("FROM", "SHOW"):
        if not clauses.get(needed):
            raise ParseError(f"Missing {needed} clause.")
    if clauses["FROM"].lower() != "sales":
        raise ParseError(f"Table '{clauses['FROM']}' is not supported here.")
    for unknown in ("WHERE", "WITH", "HAVING", "COMPARE TO", "VISUALIZE"):
        if unknown in clauses:
            raise ParseError(f"{unknown} is not supported here.")
    metrics = [name.strip().lower() for name in clauses["SHOW"].split(",")]
    for name in metrics:
        if name not in _MONEY and name not in _COUNTS:
            raise ParseError(f"Column '{name}' not found in table 'sales'.")
    by = clauses.get("TIMESERIES") or clauses.get("GROUP BY")
    if by is not None and by.lower() not in {"day", "month"}:
        raise ParseError(f"Dimension '{by}' is not supported here.")
    first, last = _span(clauses, world, now)
    days = {day: sums for day, sums in daily(world).items() if first <= day <= last}
    columns = [
        Column(name, _MONEY.get(name) or _COUNTS[name], "MONEY" if name in _MONEY else "INTEGER") for name in metrics
    ]
    if by is None:
        whole = Day()
        for sums in days.values():
            whole.add(sums)
        return Answer(columns, _ordered([_row(metrics, whole)], clauses, "", metrics))
    unit = by.lower()
    if "TIMESERIES" in clauses:
        known = daily(world)
        start, stop = max(first, min(known, default=first)), min(last, max(known, default=last))
        for step in range((stop - start).days + 1):
            days.setdefault(start + timedelta(days=step), Day())
    groups: dict[date, Day] = {}
    for day, sums in sorted(days.items()):
        groups.setdefault(day if unit == "day" else day.replace(day=1), Day()).add(sums)
    rows = [{unit: str(key), **_row(metrics, sums)} for key, sums in groups.items()]
    rows = _ordered(rows, clauses, unit, metrics)
    kind = "DAY_TIMESTAMP" if unit == "day" else "MONTH_TIMESTAMP"
    return Answer([Column(unit, unit.capitalize(), kind), *columns], rows)


def _row(metrics: list[str], sums: Day) -> dict[str, str]:
    row = {}
    for name in metrics:
        value = sums.metric(name)
        if isinstance(value, Decimal):
            # Prices may carry three decimals; a report does not round them away.
            row[name] = format(value if value.as_tuple().exponent <= -2 else value.quantize(Decimal("0.01")), "f")  # type: ignore[operator]
            if name == "average_order_value":
                row[name] = format(value.quantize(Decimal("0.01")), "f")
        else:
            row[name] = str(value)
    return row


def _ordered(
    rows: list[dict[str, str]], clauses: dict[str, str], unit: str, metrics: list[str]
) -> list[dict[str, str]]:
    if "ORDER BY" in clauses:
        match = re.fullmatch(r"(\w+)(?:\s+(ASC|DESC))?", clauses["ORDER BY"], re.I)
        if match is None or match.group(1).lower() not in {unit, *metrics}:
            raise ParseError(f"ORDER BY '{clauses['ORDER BY']}' is not supported here.")
        name = match.group(1).lower()
        backwards = (match.group(2) or "ASC").upper() == "DESC"
        if name == unit:
            rows.sort(key=lambda row: row[name], reverse=backwards)
        else:
            rows.sort(key=lambda row: Decimal(row[name]), reverse=backwards)
    if "LIMIT" in clauses:
        if not clauses["LIMIT"].isdigit():
            raise ParseError("LIMIT must be a number.")
        rows = rows[: int(clauses["LIMIT"])]
    return rows


def _span(clauses: dict[str, str], world: World, now: datetime) -> tuple[date, date]:
    today = now.astimezone(world.zone).date()
    if "DURING" in clauses:
        word = clauses["DURING"].lower()
        if word not in {"today", "yesterday"}:
            raise ParseError(f"DURING '{clauses['DURING']}' is not supported here.")
        day = today if word == "today" else today - timedelta(days=1)
        return day, day
    first = _day(clauses["SINCE"], today) if "SINCE" in clauses else date.min
    last = _day(clauses["UNTIL"], today) if "UNTIL" in clauses else today
    return first, last


def _day(text: str, today: date) -> date:
    value = text.strip("'\" ").lower()
    if value in {"today", "yesterday"}:
        return today - timedelta(days=value == "yesterday")
    if match := re.fullmatch(r"-(\d+)([dwmy])", value):
        count = int(match.group(1))
        if match.group(2) in "dw":
            return today - timedelta(days=count * (7 if match.group(2) == "w" else 1))
        months = today.year * 12 + today.month - 1 - count * (12 if match.group(2) == "y" else 1)
        return date(months // 12, months % 12 + 1, min(today.day, 28))
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ParseError(f"Invalid date '{text}'.") from None
