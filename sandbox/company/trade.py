"""The days of trade: who orders what, how it ships, what comes back. One pass in time order.

Belongs here: drawing orders and their planned lives, day by day, and the queue of what happens later (goods
arriving, stock coming back, the planner's Mondays). Does not belong here: how an order looks at the clock
(`orders.py`), stock rules (`stock.py`), other vendors' records (`ledgers.py`, `messages.py`).
"""

from __future__ import annotations

import heapq
from bisect import bisect
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from sandbox.company.catalogue import AUSTIN, DAVENTRY, FBA, FIRST_DAY, NEWARK, RENO, SHARES, SOHO, VENLO, ZONE, Demand
from sandbox.company.chance import cumulative, poisson, split_cents, stream
from sandbox.company.incidents import Plan, plan_incidents
from sandbox.company.model import Address
from sandbox.company.orders import Placed, PlannedLine, PlannedParcel, PlannedRefund
from sandbox.company.people import EUROPE, WEST, Person, address, person, tax_rate
from sandbox.company.season import HOURS, Promotion, day_bounds, expected_orders, local, promotions_from
from sandbox.company.stock import Stock

CHANNELS = ("web", "amazon", "retail", "wholesale")
_PLACE = {location.id: place for place, (location, _) in enumerate(SHARES)}
_SIZES = cumulative((60, 26, 10, 4))
_REASONS = ("CUSTOMER", "CUSTOMER", "CUSTOMER", "INVENTORY", "FRAUD", "DECLINED", "OTHER")
_NOTES = (None, "Changed mind", "Defective", "Arrived late", "Wrong colour", "תקלה ברמקול", "لم يعجبني اللون")


def stuck_days(day: date) -> int:
    """How long the day's one stuck web order waits. The pattern keeps every age of late order filled at any time."""
    number = day.toordinal()
    for period, remainder, days in ((23, 3, 100), (17, 4, 60), (6, 1, 30), (5, 2, 21), (2, 0, 14)):
        if number % period == remainder:
            return days
    return 0


class Trade:
    """Runs from the first day to the clock. Afterwards `placed`, `people`, `stock` hold what happened."""

    def __init__(self, seed: int, clock: datetime, demands: tuple[Demand, ...], overbought: dict[str, float]) -> None:
        self._seed = seed
        self._clock = clock
        self._demands = demands
        self._index = {demand.variant.sku: place for place, demand in enumerate(demands)}
        self._care_plan = self._index["NB-CARE-2Y"]
        self._weights = [demand.popularity if demand.variant.tracked else 0.0 for demand in demands]
        self._plain = cumulative(self._weights)
        self.stock = Stock(seed, demands, overbought)
        self.placed: list[Placed] = []
        self.people: list[Person] = []
        self.lost_lines = 0
        self._regulars: dict[str, list[int]] = {channel: [] for channel in CHANNELS}
        self._queue: list[tuple[datetime, int, str, Any]] = []
        self._queued = 0
        last = clock.astimezone(ZONE).date()
        # An order placed today may be part of a bad batch that comes back next week: plans reach past the clock.
        self._plans = plan_incidents(seed, last + timedelta(days=45))
        self.incidents = tuple(plan for plan in self._plans if plan.start <= last)
        self.promotions = promotions_from(FIRST_DAY, last)
        self._live: list[Plan] = []
        self._batches: list[Plan] = []
        self._run(last)

    # -- the queue ----------------------------------------------------------------------------------------------

    def _later(self, at: datetime, kind: str, what: Any) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (at, self._queued, kind, what))

    def _catch_up(self, until: datetime, day: date) -> None:
        queue, stock = self._queue, self.stock
        while queue and queue[0][0] <= until:
            at, _, kind, what = heapq.heappop(queue)
            if kind == "restock":
                sku, place, units, spoiled = what
                if spoiled:
                    stock.spoil(sku, units)
                else:
                    stock.give_back(sku, place, units, at)
            elif kind == "arrive":
                wait = stock.arrive(what, at, self._live, day)
                if wait is not None:
                    self._later(wait, "arrive", what)
            elif kind == "plan":
                held = frozenset(plan.sku for plan in self._live if plan.kind == "supply_hold")
                for arrives, arrival in stock.plan(day, held):
                    self._later(arrives, "arrive", arrival)
            elif kind == "write_off":
                stock.write_off(what, at)

    # -- the days -----------------------------------------------------------------------------------------------

    def _run(self, last: date) -> None:
        day = FIRST_DAY
        while day <= last:
            self._live = [plan for plan in self._plans if plan.on(day)]
            self._batches = [
                plan for plan in self._plans if plan.kind == "refund_spike" and 0 < (plan.start - day).days <= 16
            ]
            self._day(day)
            self.stock.close_day()
            day += timedelta(days=1)

    def _day(self, day: date) -> None:
        start, end = day_bounds(day)
        length = (end - start).total_seconds()
        if day.weekday() == 0:
            self._later(local(day, 19, 30), "plan", None)
        for plan in self._live:
            if plan.kind == "stock_out" and plan.start == day and plan.sku is not None:
                self._later(local(day, 6, 40), "write_off", self._index[plan.sku])
        promotions = [p for p in self.promotions if p.start <= day and (p.end is None or day <= p.end)]
        weights, lift = self._demand(promotions)
        arrivals: list[tuple[datetime, int, str, int]] = []
        chances: dict[str, Random] = {}
        for rank, channel in enumerate(CHANNELS):
            rng = chances[channel] = stream(self._seed, channel, day)
            mean = expected_orders(day, channel) * lift.get(channel, 1.0) * rng.gauss(1.0, 0.07)
            hours = HOURS[channel]
            moments = sorted(
                start + timedelta(seconds=int((bisect(hours, rng.random()) + rng.random()) / 24 * length))
                for _ in range(poisson(rng, mean))
            )
            arrivals.extend((at, rank, channel, place) for place, at in enumerate(moments))
        arrivals.sort()
        for at, _, channel, place in arrivals:
            if at > self._clock:
                break
            self._catch_up(at, day)
            self._order(chances[channel], day, at, channel, place, promotions, weights)
        self._catch_up(min(end - timedelta(seconds=1), self._clock), day)

    def _demand(self, promotions: list[Promotion]) -> tuple[list[float], dict[str, float]]:
        """The day's cumulative SKU weights and the factor on each channel's orders."""
        lift = dict.fromkeys(CHANNELS, 1.0)
        for promotion in promotions:
            lift["web"] *= promotion.lift
        weights = self._plain
        changed: list[float] | None = None
        for plan in self._live:
            if plan.kind == "channel_drop" and plan.channel is not None:
                lift[plan.channel] *= plan.size
            elif plan.kind in {"demand_spike", "price_error"} and plan.sku is not None:
                factor = plan.size if plan.kind == "demand_spike" else 5.0
                changed = changed or list(self._weights)
                place = self._index[plan.sku]
                extra = self._weights[place] / sum(self._weights) * (factor - 1.0)
                changed[place] *= factor
                for channel in ("web", "amazon"):
                    lift[channel] *= 1.0 + extra
        return (cumulative(changed) if changed else weights), lift

    # -- one order ----------------------------------------------------------------------------------------------

    def _order(
        self, rng: Random, day: date, at: datetime, channel: str, place: int, promotions: list[Promotion],
        weights: list[float],
    ) -> None:  # fmt: skip
        number = day.toordinal()
        who, where = self._buyer(rng, channel, at)
        shelf = self._shelf(rng, channel, where)
        special = channel == "web" and place == 1 and stuck_days(day) > 0
        big = special and number % 10 in {0, 3, 6}
        if channel == "wholesale" and place == 0 and number % 89 < 3:
            wanted = [(sku, 1) for sku, tracked in enumerate(self.stock.tracked) if tracked]
        else:
            wanted = self._basket(rng, channel, weights, big=big)
        lines, shelf = self._pick(wanted, shelf, rng, weights, at)
        if not lines:
            self.lost_lines += 1
            return
        if channel == "wholesale":
            for line in lines:
                line.price = line.price * 62 // 100
        for plan in self._live:
            if plan.kind == "price_error":
                for line in lines:
                    if self._demands[line.sku].variant.sku == plan.sku:
                        line.price = max(1, line.price // 10)
        if channel == "web" and rng.random() < 0.03:
            care = self._demands[self._care_plan]
            lines.append(PlannedLine(self._care_plan, 1, care.price_cents, 0))
        placed = Placed(len(self.placed), at, channel, shelf, who, where, lines)
        for line in lines:
            line.net = line.price * line.quantity
        self._discount(placed, rng, promotions)
        rate = tax_rate(where) if channel != "wholesale" else 0
        for line in lines:
            line.tax = (line.net * rate + 5000) // 10000
        placed.tags = self._tags(rng, channel, where)
        if channel == "web" and place == 0 and number % 61 == 7:
            placed.test, placed.tags = True, (*placed.tags, "test")
        self._life(placed, rng, day, place)
        self.placed.append(placed)
        if who is not None and not placed.test:
            buyer = self.people[who]
            buyer.orders += 1
            buyer.updated = at
            buyer.spent_cents += placed.total

    def _buyer(self, rng: Random, channel: str, at: datetime) -> tuple[int | None, Address | None]:
        draw, again = rng.random(), rng.random()
        if channel == "retail" and draw < 0.5:
            return None, None
        if channel == "amazon" and draw < 0.3:
            return None, address(rng, at_home=True)
        regulars = self._regulars[channel]
        share = {"web": 0.33, "amazon": 0.12, "retail": 0.3, "wholesale": 0.85}[channel]
        if regulars and again < share and (channel != "wholesale" or len(regulars) > 6):
            # The recent ones come back more often than the old ones.
            who = regulars[int(len(regulars) * rng.random() ** 0.6)]
            return who, self.people[who].address
        where = address(rng, at_home=channel != "web")
        number = len(self.people)
        self.people.append(person(rng, number, where, at, with_email=channel != "amazon"))
        regulars.append(number)
        return number, where

    def _shelf(self, rng: Random, channel: str, where: Address | None) -> int:
        if channel == "amazon":
            return _PLACE[FBA.id]
        if channel == "retail":
            return _PLACE[SOHO.id if rng.random() < 0.58 else AUSTIN.id]
        if where is not None and where.country == "GB":
            return _PLACE[DAVENTRY.id]
        if where is not None and where.country in EUROPE:
            return _PLACE[VENLO.id]
        if where is not None and where.country == "US" and where.province in WEST:
            return _PLACE[RENO.id]
        return _PLACE[NEWARK.id]

    def _basket(self, rng: Random, channel: str, weights: list[float], *, big: bool) -> list[tuple[int, int]]:
        if big:
            return [(self._index["NB-ARCS-BLK"], 1), (self._index["NB-DOCK-GRY"], 1)]
        if channel == "wholesale":
            size = rng.randint(3, 7)
            return [(bisect(weights, rng.random()), rng.randint(2, 5)) for _ in range(size)]
        size = bisect(_SIZES, rng.random()) + 1
        basket: dict[int, int] = {}
        for _ in range(size):
            sku = bisect(weights, rng.random())
            draw = rng.random()
            basket[sku] = basket.get(sku, 0) + (1 if draw < 0.91 else 2 if draw < 0.985 else 3)
        return list(basket.items())

    def _pick(
        self, wanted: list[tuple[int, int]], shelf: int, rng: Random, weights: list[float], at: datetime
    ) -> tuple[list[PlannedLine], int]:
        """Take the goods off one shelf; a SKU that is out is replaced once by another, then left out."""
        available = self.stock.available
        sku, units = wanted[0]
        if available[sku][shelf] < units:
            for other in (_PLACE[NEWARK.id], _PLACE[RENO.id], _PLACE[VENLO.id]):
                if available[sku][other] >= units:
                    shelf = other
                    break
        lines: list[PlannedLine] = []
        taken: set[int] = set()
        for sku, units in wanted:
            if available[sku][shelf] < units:
                self.lost_lines += 1
                sku = bisect(weights, rng.random())
            if available[sku][shelf] < units or sku in taken:
                continue
            taken.add(sku)
            self.stock.take(sku, shelf, units, at)
            lines.append(PlannedLine(sku, units, self._demands[sku].price_cents, 0))
        return lines, shelf

    def _discount(self, placed: Placed, rng: Random, promotions: list[Promotion]) -> None:
        """At most one code, and the automatic bundle discount on top; shares of lines sum to the discount."""
        draw, lines = rng.random(), placed.lines
        subtotal = sum(line.net for line in lines)
        free = subtotal >= 7500
        first = placed.person is not None and self.people[placed.person].orders == 0
        if placed.channel == "web":
            for promotion in promotions:
                if promotion.kind.startswith("automatic"):
                    continue
                if promotion.code == "WELCOME10" and not first:
                    continue
                if draw >= promotion.share or subtotal < promotion.minimum_cents:
                    draw -= promotion.share
                    continue
                placed.codes = (promotion.code or "",)
                if promotion.kind == "code_free_shipping":
                    free = True
                else:
                    self._allocate(lines, promotion, subtotal)
                break
            if len(lines) >= 3:
                for promotion in promotions:
                    if promotion.kind == "automatic_basic":
                        self._allocate(lines, promotion, sum(line.net for line in lines))
        abroad = placed.address is not None and placed.address.country != "US"
        if placed.channel in {"web", "amazon"} and not free:
            placed.shipping = 1995 if abroad else 795 if placed.channel == "web" else 0
        elif placed.channel == "wholesale":
            placed.shipping = 3900

    @staticmethod
    def _allocate(lines: list[PlannedLine], promotion: Promotion, subtotal: int) -> None:
        total = promotion.amount_cents or (subtotal * promotion.percent + 50) // 100
        shares = split_cents(min(total, subtotal), [line.net for line in lines])
        for line, share in zip(lines, shares, strict=True):
            if share:
                line.discounts.append((promotion.id, promotion.code, share))
                line.net -= share

    @staticmethod
    def _tags(rng: Random, channel: str, where: Address | None) -> tuple[str, ...]:
        tags = [] if channel == "web" else [channel]
        draw = rng.random()
        if draw < 0.04:
            tags.append("gift 🎁")
        elif draw < 0.05:
            tags.append("هدية")
        if where is not None and where.country != "US":
            tags.append("international")
        return tuple(tags)

    # -- what becomes of it -------------------------------------------------------------------------------------

    def _life(self, placed: Placed, rng: Random, day: date, place: int) -> None:
        channel, number = placed.channel, day.toordinal()
        placed.paid = placed.at + timedelta(days=30, hours=5) if channel == "wholesale" else placed.at
        stuck = stuck_days(day) if channel == "web" and place == 1 else 0
        custom = channel == "web" and place == 2 and number % 5 == 1
        cancel_draw, edit_draw, refund_draw = rng.random(), rng.random(), rng.random()
        wait = self._ship_wait(rng, placed, day)
        if stuck:
            wait = timedelta(days=stuck, hours=3)
        elif custom:
            placed.tags = (*placed.tags, "custom-order")
            wait = timedelta(days=16 + int(refund_draw * 30))
        if not stuck and not custom and channel != "retail" and cancel_draw < 0.018:
            self._cancel(placed, rng, min(wait * rng.uniform(0.1, 0.8), timedelta(hours=30)))
            return
        if stuck == 100 and number % 2:
            self._cancel(placed, rng, wait)
            return
        held = [line.quantity for line in placed.lines]
        if edit_draw < 0.01 and channel == "web" and (len(held) > 1 or held[0] > 1) and not stuck:
            last = len(held) - 1
            units = held[last] if len(held) > 1 else 1
            held[last] -= units
            placed.edited = placed.at + wait * rng.uniform(0.1, 0.5)
            placed.refunds.append(PlannedRefund(placed.edited, "Order edited", [(last, units, "CANCEL")]))
            self._give_back(placed, placed.refunds[-1])
        self._ship(placed, rng, wait, held)
        self._return(placed, rng, refund_draw, held, number)

    def _ship_wait(self, rng: Random, placed: Placed, day: date) -> timedelta:
        if placed.channel == "retail":
            return timedelta(minutes=2)
        hours = min(70.0, rng.lognormvariate(2.75, 0.55))
        if placed.channel != "amazon" and day.weekday() >= 4:
            hours += (30.0, 26.0, 14.0)[day.weekday() - 4] * rng.random()
        for plan in self._live:
            if plan.kind == "late_wave" and plan.location_id == SHARES[placed.place][0].id:
                hours += plan.size * 24 + rng.random() * 20
        return timedelta(seconds=int(hours * 3600))

    def _cancel(self, placed: Placed, rng: Random, after: timedelta) -> None:
        at = placed.at + timedelta(seconds=int(after.total_seconds()) + 60)
        placed.cancelled = (at, _REASONS[int(rng.random() * len(_REASONS))])
        lines = [(index, line.quantity, "CANCEL") for index, line in enumerate(placed.lines)]
        placed.refunds.append(PlannedRefund(at, "Order cancelled", lines, [], placed.shipping))
        self._give_back(placed, placed.refunds[-1])

    def _ship(self, placed: Placed, rng: Random, wait: timedelta, held: list[int]) -> None:
        lines = [(index, units) for index, units in enumerate(held) if units]
        parts = [lines]
        if placed.channel in {"web", "wholesale"} and sum(held) > 1 and rng.random() < 0.09:
            (index, units), rest = lines[0], lines[1:]
            parts = [lines[:1], rest] if rest else [[(index, 1)], [(index, units - 1)]]
        at = placed.at + wait
        for part in parts:
            moving = None if placed.channel == "retail" else at + timedelta(hours=3 + rng.random() * 12)
            arrived = None if moving is None else moving + timedelta(hours=30 + rng.random() * 90)
            placed.parcels.append(
                PlannedParcel(
                    at.replace(microsecond=0),
                    None if moving is None else moving.replace(microsecond=0),
                    None if arrived is None else arrived.replace(microsecond=0),
                    part,
                )
            )
            at += timedelta(hours=20 + rng.random() * 40)

    def _return(self, placed: Placed, rng: Random, draw: float, held: list[int], number: int) -> None:
        rate = {"web": 0.030, "amazon": 0.034, "retail": 0.014, "wholesale": 0.03}[placed.channel]
        done = placed.parcels[-1].delivered or placed.parcels[-1].at
        for plan in self._batches:
            # A bad batch: what was sold in the fortnight before comes back within the incident's days.
            index = next((i for i, n in enumerate(held) if n and self._is(placed.lines[i].sku, plan.sku)), None)
            if index is not None and rng.random() < plan.size:
                days = (plan.end - plan.start).days + 1
                at = local(plan.start, 9) + timedelta(seconds=int(rng.random() * (days * 24 - 12) * 3600))
                if at > done:
                    refund = PlannedRefund(at, "Defective batch", [(index, held[index], "NO_RESTOCK")])
                    placed.refunds.append(refund)
                    self._give_back(placed, refund)
                    return
        many = len(held) > 40 and number % 2 == 0
        if draw > rate and not many:
            return
        at = (done + timedelta(days=3 + rng.random() * 24)).replace(microsecond=0)
        if draw < rate * 0.14 and not many:
            cents = min(1500, placed.net // 5)
            if cents:
                placed.refunds.append(PlannedRefund(at, "Goodwill", [], [("REFUND_DISCREPANCY", -cents)]))
            return
        lines: list[tuple[int, int, str]] = []
        for index, units in enumerate(held):
            if units and (not lines or many or rng.random() < 0.3) and len(lines) < 26:
                back = units if rng.random() < 0.8 else 1
                lines.append((index, back, "RETURN" if rng.random() < 0.62 else "NO_RESTOCK"))
        refund = PlannedRefund(at, _NOTES[int(rng.random() * len(_NOTES))], lines)
        if rng.random() < 0.12:
            # A restocking fee: less is paid back than the lines are worth.
            refund.adjustments.append(("RESTOCK", min(990, placed.lines[lines[0][0]].net // 4)))
        placed.refunds.append(refund)
        self._give_back(placed, refund)

    def _is(self, sku: int, name: str | None) -> bool:
        return self._demands[sku].variant.sku == name

    def _give_back(self, placed: Placed, refund: PlannedRefund) -> None:
        for index, units, restock in refund.lines:
            sku = placed.lines[index].sku
            if self.stock.tracked[sku]:
                self._later(refund.at, "restock", (sku, placed.place, units, restock == "NO_RESTOCK"))
