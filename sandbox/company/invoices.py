"""What only the ERP knows: invoices to dealers, and which shop orders it posted wrongly or late.

Belongs here: business invoices and credits, the plan's ERP incidents applied to orders. Does not belong here:
NetSuite's wording of either. Dealers' goods ship from the factory's consolidation point, outside our stock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from sandbox.company.catalogue import CONSOLIDATION, FIRST_DAY, ZONE, Demand
from sandbox.company.chance import cumulative, money, poisson, stream
from sandbox.company.incidents import Plan
from sandbox.company.model import B2bInvoice, BusinessCustomer, InvoiceLine
from sandbox.company.orders import Placed
from sandbox.company.season import day_bounds, growth, local

_TRADE_PRICE = 58
_MEAN_A_DAY = 1.35


def build_invoices(
    seed: int, clock: datetime, demands: Sequence[Demand], dealers: Sequence[BusinessCustomer]
) -> tuple[B2bInvoice, ...]:
    """Invoices and credit memos up to the clock, in order of time."""
    from bisect import bisect

    goods = [demand for demand in demands if demand.variant.tracked]
    weights = cumulative([demand.popularity for demand in goods])
    accounts = cumulative([1.0 / (place + 2) for place in range(len(dealers))])
    drafts: list[tuple[datetime, str, int, list[InvoiceLine], int, datetime]] = []
    day, last, line_id = FIRST_DAY, clock.astimezone(ZONE).date(), 0
    while day <= last:
        if day.weekday() < 5:
            rng = stream(seed, "dealers", day)
            quarter_end = 1.5 if day.month % 3 == 0 and day.day > 20 else 1.0
            for _ in range(poisson(rng, _MEAN_A_DAY * growth(day) * quarter_end)):
                at = local(day, rng.randint(9, 17), rng.randint(0, 59), rng.randint(0, 59))
                dealer = bisect(accounts, rng.random())
                lines: list[InvoiceLine] = []
                for _ in range(rng.randint(2, 6)):
                    demand = goods[bisect(weights, rng.random())]
                    quantity = 5 * rng.randint(1, 6)
                    line_id += 1
                    price = money(demand.price_cents * _TRADE_PRICE // 100)
                    lines.append(
                        InvoiceLine(
                            71_000_000 + line_id,
                            demand.variant.id,
                            demand.variant.sku,
                            demand.title,
                            quantity,
                            price,
                            money(demand.cost_cents),
                        )
                    )
                paid = at + timedelta(days=dealers[dealer].terms_days + rng.choice((-4, -1, 0, 0, 2, 5, 9, 21)))
                drafts.append((at, "invoice", dealer, lines, 0, paid))
                if rng.random() < 0.05:
                    back = lines[0]
                    line_id += 1
                    credit = InvoiceLine(
                        71_000_000 + line_id, back.variant_id, back.sku, back.title, max(1, back.quantity // 5),
                        back.unit_price, back.unit_cost,
                    )  # fmt: skip
                    when = at + timedelta(days=rng.randint(6, 25), minutes=rng.randint(0, 90))
                    drafts.append((when, "credit", dealer, [credit], 0, when))
        day += timedelta(days=1)
    # The number is that of the drawing, not of the sorted list: a credit drawn early may fall after the clock.
    found = []
    for number, (at, kind, dealer, lines, tax, paid) in enumerate(drafts):
        if at > clock:
            continue
        on = at.astimezone(ZONE).date()
        settled = paid if paid <= clock else None
        found.append(
            B2bInvoice(
                id=70_000 + number,
                number=f"{'INV' if kind == 'invoice' else 'CM'}-{10001 + number}",
                kind=kind,
                customer_id=dealers[dealer].id,
                created_at=at,
                invoice_date=on,
                due_on=on + timedelta(days=dealers[dealer].terms_days),
                lines=tuple(lines),
                tax=Decimal("0.00") if not tax else money(tax),
                location_id=CONSOLIDATION.id,
                paid_at=settled,
                modified_at=settled or at,
            )
        )
    found.sort(key=lambda invoice: (invoice.created_at, invoice.id))
    return tuple(found)


def erp_faults(
    seed: int, placed: Iterable[Placed], plans: Sequence[Plan]
) -> tuple[frozenset[int], frozenset[int], dict[int, datetime], dict[int, list[str]]]:
    """Orders missing, doubled and late in the ERP, and the names hit by each plan (by its id)."""
    missing: set[int] = set()
    doubled: set[int] = set()
    late: dict[int, datetime] = {}
    hit: dict[int, list[str]] = {}
    planned = [(plan, *_bounds(plan), stream(seed, "erp", plan.id)) for plan in plans if plan.kind.startswith("erp_")]
    for order in placed:
        if order.test:
            continue
        for plan, start, end, chance in planned:
            if not start <= order.at < end:
                continue
            draw = chance.random()
            names = hit.setdefault(plan.id, [])
            if plan.kind == "erp_gap" and (draw < plan.size or not names):
                missing.add(order.id)
            elif plan.kind == "erp_late":
                late[order.id] = _posted(plan, order.at)
            elif plan.kind == "erp_double" and len(names) < int(plan.size):
                doubled.add(order.id)
            else:
                continue
            names.append(order.name)
    return frozenset(missing), frozenset(doubled), late, hit


def _bounds(plan: Plan) -> tuple[datetime, datetime]:
    return day_bounds(plan.start)[0], day_bounds(plan.end)[1]


def _posted(plan: Plan, at: datetime) -> datetime:
    day: date = at.astimezone(ZONE).date() + timedelta(days=int(plan.size))
    return local(day, 2, 10)
