"""Fills the company from a seed and a clock.

Belongs here: putting the parts together, the view at the clock, the ledger of planted incidents. Does not
belong here: any drawing of chance. The same (seed, clock) gives the same company, and a later clock changes
nothing that had happened by an earlier one: it only adds.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox.company.catalogue import (
    CHANNELS,
    FIRST_DAY,
    LOCATIONS,
    NEWARK,
    RETURNS,
    SHARES,
    SHOP,
    SUPPLIERS,
    USERS,
    Demand,
    build_business_customers,
    build_catalogue,
)
from sandbox.company.chance import money, stream
from sandbox.company.incidents import Plan
from sandbox.company.invoices import build_invoices, erp_faults
from sandbox.company.messages import build_messages
from sandbox.company.model import Company, Customer, Discount, Incident, InventoryLevel, Order, Product
from sandbox.company.orders import customer_id, project
from sandbox.company.season import day_bounds
from sandbox.company.trade import Trade

_LEVEL = 110_000_000_000


def generate(seed: int, clock: datetime) -> Company:
    """The company as `clock` (aware) sees it. Raises ValueError for a clock before the second day of trade."""
    clock = clock.astimezone(UTC)
    if clock < day_bounds(FIRST_DAY)[1]:
        raise ValueError(f"the generated company opens on {FIRST_DAY}: the clock {clock.isoformat()} is too early")
    with _no_collection():
        products, demands, overbought = build_catalogue(seed)
        trade = Trade(seed, clock, demands, overbought)
        orders = tuple(project(placed, demands, clock) for placed in trade.placed)
        purchases = trade.stock.purchase_orders()
        missing, doubled, late, hit = erp_faults(seed, trade.placed, trade.incidents)
        dealers = build_business_customers()
        return Company(
            seed=seed,
            clock=clock,
            source="generated",
            shop=SHOP,
            suppliers=SUPPLIERS,
            locations=LOCATIONS,
            products=products,
            customers=_customers(trade, orders),
            discounts=_discounts(trade, orders),
            orders=orders,
            inventory_levels=_levels(seed, trade, demands, products, orders),
            purchase_orders=purchases,
            business_customers=dealers,
            b2b_invoices=build_invoices(seed, clock, demands, dealers),
            slack_channels=CHANNELS,
            users=USERS,
            factory_messages=build_messages(seed, clock, demands, purchases),
            incidents=tuple(_incident(plan, hit) for plan in trade.incidents),
            erp_missing=missing,
            erp_doubled=doubled,
            erp_late=late,
        )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hundreds of thousands of small values that all stay: the cycle collector would only scan them in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _customers(trade: Trade, orders: Sequence[Order]) -> tuple[Customer, ...]:
    returned: Counter[int] = Counter()
    for order in orders:
        if order.customer_id is not None and order.refunds and not order.test:
            returned[order.customer_id] += int(order.refunded * 100)
    found = []
    for person in trade.people:
        number = customer_id(person.number)
        found.append(
            Customer(
                id=number,
                first_name=person.first,
                last_name=person.last,
                email=person.email,
                address=person.address,
                tags=person.tags,
                state="ENABLED" if person.orders > 1 and person.email else "DISABLED",
                orders_count=person.orders,
                amount_spent=money(person.spent_cents - returned[number]),
                created_at=person.created,
                updated_at=person.updated,
            )
        )
    return tuple(found)


def _discounts(trade: Trade, orders: Sequence[Order]) -> tuple[Discount, ...]:
    uses: Counter[tuple[str, str]] = Counter()
    for order in orders:
        for code in order.discount_codes:
            uses["code", code] += 1
    automatic = sum(1 for o in orders if any(d.code is None for line in o.lines for d in line.discounts))
    found = []
    for promotion in trade.promotions:
        created = day_bounds(promotion.start)[0] - timedelta(days=6, hours=-15)
        usage = {promotion.code: uses["code", promotion.code]} if promotion.code else {"": automatic}
        found.append(
            Discount(
                id=promotion.id,
                kind=promotion.kind,
                title=promotion.title,
                codes=(promotion.code,) if promotion.code else (),
                percentage=Decimal(promotion.percent) / 100 if promotion.percent else None,
                amount=money(promotion.amount_cents) if promotion.amount_cents else None,
                starts_at=day_bounds(promotion.start)[0],
                ends_at=None if promotion.end is None else day_bounds(promotion.end)[1],
                created_at=created,
                updated_at=created + timedelta(hours=2),
                usage=usage,
            )
        )
    return tuple(found)


def _levels(
    seed: int, trade: Trade, demands: Sequence[Demand], products: Sequence[Product], orders: Sequence[Order]
) -> tuple[InventoryLevel, ...]:
    stock = trade.stock
    committed: Counter[tuple[int, int]] = Counter()
    for order in orders:
        if order.fulfilment_status != "FULFILLED" and order.cancelled_at is None:
            for line in order.lines:
                if line.unfulfilled_quantity and line.variant_id is not None and order.location_id is not None:
                    committed[line.variant_id, order.location_id] += line.unfulfilled_quantity
    incoming = stock.incoming()
    found: list[InventoryLevel] = []

    def add(
        variant_id: int, item_id: int, sku: str, location_id: int, available: int, held: int, coming: int,
        damaged: int, updated: datetime,
    ) -> None:  # fmt: skip
        found.append(
            InventoryLevel(
                id=_LEVEL + item_id // 512 % 10**6 * 16 + location_id % 16,
                variant_id=variant_id,
                inventory_item_id=item_id,
                sku=sku,
                location_id=location_id,
                on_hand=available + held + damaged,
                available=available,
                committed=held,
                incoming=coming,
                reserved=0,
                damaged=damaged,
                safety_stock=0,
                active=True,
                updated_at=updated,
            )
        )

    for index, demand in enumerate(demands):
        variant = demand.variant
        if not variant.tracked:
            continue
        for place, (location, _) in enumerate(SHARES):
            add(
                variant.id, variant.inventory_item_id, variant.sku, location.id, stock.available[index][place],
                committed[variant.id, location.id], incoming.get((index, location.id), 0), 0,
                stock.touched[index][place],
            )  # fmt: skip
        add(
            variant.id, variant.inventory_item_id, variant.sku, RETURNS.id, 0, 0, 0, stock.damaged[index],
            max(stock.touched[index]),
        )  # fmt: skip
    rng = stream(seed, "leftovers", 0)
    for product in products:
        for variant in product.variants:
            if not variant.active:
                left = rng.randint(1, 18) if rng.random() < 0.05 else 0
                add(variant.id, variant.inventory_item_id, variant.sku, NEWARK.id, left, 0, 0, 0, variant.updated_at)
    return tuple(found)


_EFFECTS = {
    "channel_drop": "orders of the channel fall to the factor given",
    "demand_spike": "the SKU sells the multiple given, on web and marketplace",
    "stock_out": "the SKU has no units anywhere and sells nothing until new goods arrive after the end",
    "refund_spike": "units sold in the fortnight before come back as defective",
    "late_wave": "orders of these days from the location ship the given number of days late",
    "erp_gap": "the orders named never reach the ERP",
    "erp_late": "orders of these days reach the ERP only after the given number of days",
    "erp_double": "the orders named are posted twice in the ERP",
    "supply_hold": "nothing is ordered from the supplier, so that the SKU sells down with nothing on the way",
    "price_error": "the SKU sells at a tenth of its price",
}


def _incident(plan: Plan, hit: dict[int, list[str]]) -> Incident:
    if plan.kind == "channel_drop":
        entity = f"channel:{plan.channel}"
    elif plan.sku is not None:
        entity = f"sku:{plan.sku}"
    elif plan.location_id is not None:
        entity = f"location:{plan.location_id}"
    else:
        entity = "erp"
    expected = {"size": f"{plan.size:.2f}"}
    if plan.id in hit:
        expected["orders"] = ",".join(hit[plan.id])
    return Incident(plan.id, plan.kind, plan.start, plan.end, entity, _EFFECTS[plan.kind], expected)
