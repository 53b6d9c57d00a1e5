"""Stock and purchasing: what is available where, what the planner orders, when it arrives.

Belongs here: available units by SKU and location, purchase orders, receipts, write-offs. Does not belong here:
who buys (`trade.py`). Everything happens in time order, so that the state at an instant depends on the past only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.company.catalogue import FIRST_DAY, NEWARK, RENO, SHARES, SUPPLIERS, Demand
from sandbox.company.chance import money, stream
from sandbox.company.model import PurchaseOrder, PurchaseOrderLine, Receipt
from sandbox.company.season import day_bounds, expected_orders, local, season

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.company.incidents import Plan

UNITS_PER_ORDER = 1.75
_WINDOW = 28
_PLANNER_HOUR = 19


@dataclass(slots=True)
class _PlannedLine:
    sku: int
    quantity: int
    expected: date
    receipts: list[tuple[datetime, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Purchase:
    number: int
    supplier: int
    location_id: int
    created: datetime
    due: date
    lines: list[_PlannedLine]
    modified: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """Goods due at an instant: queued when the order is placed, handled when the time comes."""

    purchase: int
    line: int
    quantity: int


class Stock:
    """Units by SKU (index into the demands) and selling location (index into `SHARES`)."""

    def __init__(self, seed: int, demands: Sequence[Demand], overbought: dict[str, float]) -> None:
        self._seed = seed
        self.demands = demands
        self.places = len(SHARES)
        self.tracked = [demand.variant.tracked for demand in demands]
        total = sum(demand.popularity for demand in demands if demand.variant.tracked)
        self._share = [demand.popularity / total for demand in demands]
        opening, _ = day_bounds(FIRST_DAY)
        base = sum(expected_orders(FIRST_DAY, channel) for channel in ("web", "amazon", "retail"))
        base *= UNITS_PER_ORDER / season(FIRST_DAY)
        self.available = [[0] * self.places for _ in demands]
        self.damaged = [0] * len(demands)
        self.touched = [[opening] * self.places for _ in demands]
        self.on_order = [0] * len(demands)
        self._sold_today = [0] * len(demands)
        self._sold: list[deque[int]] = []
        self._sold_sum: list[int] = []
        self.purchases: list[_Purchase] = []
        for sku, demand in enumerate(demands):
            pace = base * self._share[sku]
            days = (demand.variant.lead_time_days or 0) + 75
            units = pace * overbought.get(demand.variant.sku, 1.0) * days * 1.5
            if demand.variant.tracked:
                self._spread(sku, max(30, round(units)), opening)
            # The planner starts with an opinion: what it would have seen in the weeks before the first day.
            self._sold.append(deque([round(pace)] * _WINDOW, maxlen=_WINDOW))
            self._sold_sum.append(round(pace) * _WINDOW)

    def _spread(self, sku: int, units: int, at: datetime) -> None:
        shelves, left = self.available[sku], units
        for place in range(self.places - 1, 0, -1):
            part = int(units * SHARES[place][1])
            shelves[place] += part
            self.touched[sku][place] = at
            left -= part
        shelves[0] += left
        self.touched[sku][0] = at

    def take(self, sku: int, place: int, units: int, at: datetime) -> None:
        self.available[sku][place] -= units
        self.touched[sku][place] = at
        self._sold_today[sku] += units

    def give_back(self, sku: int, place: int, units: int, at: datetime) -> None:
        self.available[sku][place] += units
        self.touched[sku][place] = at

    def spoil(self, sku: int, units: int) -> None:
        self.damaged[sku] += units

    def write_off(self, sku: int, at: datetime) -> int:
        lost = sum(self.available[sku])
        self.available[sku] = [0] * self.places
        self.touched[sku] = [at] * self.places
        return lost

    def close_day(self) -> None:
        """Move today's sales into the planner's window."""
        for sku, units in enumerate(self._sold_today):
            window = self._sold[sku]
            self._sold_sum[sku] += units - window[0]
            window.append(units)
        self._sold_today = [0] * len(self.demands)

    def plan(self, day: date, held: frozenset[str | None]) -> list[tuple[datetime, Arrival]]:
        """The planner's Monday: one purchase order per supplier with the SKUs that run low."""
        at = local(day, _PLANNER_HOUR, 30)
        behind = sum(season(day - timedelta(days=d)) for d in range(2, 28, 5)) / 6
        arrivals: list[tuple[datetime, Arrival]] = []
        for place, supplier in enumerate(SUPPLIERS):
            lead = supplier.lead_time_days
            horizon = lead + 45
            ahead = sum(season(day + timedelta(days=horizon * d // 8)) for d in range(8)) / 8
            trend = min(1.8, max(0.6, ahead / behind))
            lines: list[tuple[int, int]] = []
            for sku, demand in enumerate(self.demands):
                if demand.variant.supplier_id != supplier.id:
                    continue
                if demand.variant.sku in held:
                    continue
                if demand.care < 1.0 and (day.toordinal() // 7 + sku) % 9:
                    continue  # nobody looks at these more often than every ninth week
                pace = self._sold_sum[sku] / _WINDOW * trend
                position = sum(self.available[sku]) + self.on_order[sku]
                trigger = (pace * (lead + 12) * 1.3 + 12) * demand.care
                if position < trigger:
                    wanted = pace * horizon * 1.35 * demand.care + 20 - position
                    lines.append((sku, max(20, -(-round(wanted) // 10) * 10)))
            if lines:
                arrivals.extend(self._place(len(self.purchases), place, lines, at, day))
        return arrivals

    def _place(
        self, number: int, supplier: int, lines: list[tuple[int, int]], at: datetime, day: date
    ) -> list[tuple[datetime, Arrival]]:
        rng = stream(self._seed, "purchase", number)
        lead = SUPPLIERS[supplier].lead_time_days
        due = day + timedelta(days=lead)
        delay = max(-3, round(rng.gauss(1.0, 2.5)))
        if number % 6 == 4:
            delay = rng.randint(14, 30)
        elif number % 17 == 7:
            delay = rng.randint(55, 75)
        arrivals, planned = [], []
        for place, (sku, quantity) in enumerate(lines):
            self.on_order[sku] += quantity
            planned.append(_PlannedLine(sku, quantity, due + timedelta(days=rng.choice((0, 0, 0, 2)))))
            arrives = local(due + timedelta(days=delay), 9 + rng.randint(0, 5), rng.randint(0, 59))
            if rng.random() < 0.15 and quantity >= 40:
                first = quantity * 7 // 10
                arrivals.append((arrives, Arrival(number, place, first)))
                arrivals.append((arrives + timedelta(days=9), Arrival(number, place, quantity - first)))
            else:
                arrivals.append((arrives, Arrival(number, place, quantity)))
        location = RENO if SUPPLIERS[supplier].country == "TW" else NEWARK
        self.purchases.append(_Purchase(number, supplier, location.id, at, due, planned, at))
        return arrivals

    def arrive(self, arrival: Arrival, at: datetime, incidents: Sequence[Plan], day: date) -> datetime | None:
        """Receive goods; or, while their SKU is in a planted stock-out, the later instant they must wait for."""
        purchase = self.purchases[arrival.purchase]
        line = purchase.lines[arrival.line]
        sku = self.demands[line.sku].variant.sku
        for plan in incidents:
            if plan.kind == "stock_out" and plan.sku == sku and plan.on(day):
                return local(plan.end + timedelta(days=1), 10, 15)
        line.receipts.append((at, arrival.quantity))
        purchase.modified = at
        self.on_order[line.sku] -= arrival.quantity
        self._spread(line.sku, arrival.quantity, at)
        return None

    def incoming(self) -> dict[tuple[int, int], int]:
        """Units on open purchase orders by (SKU, location id)."""
        found: dict[tuple[int, int], int] = {}
        for purchase in self.purchases:
            for line in purchase.lines:
                left = line.quantity - sum(quantity for _, quantity in line.receipts)
                if left:
                    key = (line.sku, purchase.location_id)
                    found[key] = found.get(key, 0) + left
        return found

    def purchase_orders(self) -> tuple[PurchaseOrder, ...]:
        return tuple(self._purchase_order(purchase) for purchase in self.purchases)

    def _purchase_order(self, purchase: _Purchase) -> PurchaseOrder:
        lines = tuple(
            PurchaseOrderLine(
                id=61_000_000 + purchase.number * 128 + place,
                variant_id=self.demands[line.sku].variant.id,
                sku=self.demands[line.sku].variant.sku,
                quantity=line.quantity,
                unit_cost=money(self.demands[line.sku].cost_cents),
                expected_on=line.expected,
                receipts=tuple(Receipt(at, quantity) for at, quantity in line.receipts),
            )
            for place, line in enumerate(purchase.lines)
        )
        received = sum(line.received for line in lines)
        status = "open" if not received else "partially_received"
        if received == sum(line.quantity for line in lines):
            status = "received"
        return PurchaseOrder(
            id=60_000 + purchase.number,
            number=f"PO-{2001 + purchase.number}",
            supplier_id=SUPPLIERS[purchase.supplier].id,
            location_id=purchase.location_id,
            created_at=purchase.created,
            due_on=purchase.due,
            status=status,
            lines=lines,
            modified_at=purchase.modified,
        )
