"""The generated company: arithmetic, determinism, a past that stays, and a present worth looking at."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest

from sandbox.company import generate
from sandbox.company.chance import split_cents
from sandbox.company.model import Company, Order
from sandbox.company.season import black_friday, day_bounds

ZONE = ZoneInfo("America/New_York")
CLOCK = datetime(2026, 11, 20, 6, tzinfo=ZONE)
CENT = Decimal("0.01")


@lru_cache(maxsize=4)
def company(seed: int = 7, clock: datetime = CLOCK) -> Company:
    return generate(seed, clock)


def fingerprint(found: Company) -> str:
    digest = hashlib.sha256()
    for part in (
        found.orders, found.customers, found.products, found.inventory_levels, found.purchase_orders,
        found.b2b_invoices, found.factory_messages, found.incidents, found.discounts, sorted(found.erp_missing),
        sorted(found.erp_doubled), sorted(found.erp_late.items()),
    ):  # fmt: skip
        digest.update(repr(part).encode())
    return digest.hexdigest()


def test_same_seed_and_clock_give_the_same_company_and_another_seed_another() -> None:
    early = datetime(2025, 2, 3, 6, tzinfo=ZONE)
    first, again, other = generate(7, early), generate(7, early.astimezone(UTC)), generate(8, early)
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first) != fingerprint(other)


def test_a_clock_before_the_first_day_is_refused() -> None:
    with pytest.raises(ValueError, match="too early"):
        generate(7, datetime(2024, 10, 1, tzinfo=UTC))


def _as_of(order: Order, clock: datetime) -> tuple[object, ...]:
    """What of a later view of the order had already happened at `clock`, rebuilt here by hand."""
    refunds = tuple(refund for refund in order.refunds if refund.created_at <= clock)
    back: Counter[int] = Counter()
    for refund in refunds:
        for line in refund.lines:
            back[line.line_id] += line.quantity
    return (
        order.id, order.name, order.created_at, order.processed_at, order.test, order.channel, order.tags,
        order.customer_id, order.shipping_address, order.discount_codes, order.shipping, order.tax, order.total,
        tuple((li.id, li.sku, li.title, li.quantity, li.unit_price, li.tax, li.discounts) for li in order.lines),
        tuple(li.quantity - back[li.id] for li in order.lines),
        refunds,
        tuple((f.id, f.lines, f.location_id, f.created_at) for f in order.fulfilments if f.created_at <= clock),
        order.cancelled_at if order.cancelled_at and order.cancelled_at <= clock else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (datetime(2025, 11, 28, 13, 37, tzinfo=ZONE), datetime(2025, 12, 20, 6, tzinfo=ZONE)),
        (datetime(2026, 11, 20, 6, tzinfo=ZONE), datetime(2026, 11, 21, 6, tzinfo=ZONE)),
        (datetime(2025, 3, 9, 2, 30, tzinfo=ZONE), datetime(2026, 11, 20, 6, tzinfo=ZONE)),
    ],
)
def test_a_later_clock_leaves_the_past_as_it_was(early: datetime, late: datetime) -> None:
    before, after = company(7, early), company(7, late)
    later = after.order_by_id
    assert len(after.orders) > len(before.orders)
    for order in before.orders:
        now = later[order.id]
        assert _as_of(order, early) == _as_of(now, early)
        if now.updated_at <= early:
            assert now == order
    assert [o.id for o in before.orders] == [o.id for o in after.orders if o.created_at <= early]

    for old_po, new_po in zip(before.purchase_orders, after.purchase_orders, strict=False):
        assert (old_po.id, old_po.created_at, old_po.due_on) == (new_po.id, new_po.created_at, new_po.due_on)
        for line, line_now in zip(old_po.lines, new_po.lines, strict=True):
            assert line.receipts == tuple(r for r in line_now.receipts if r.at <= early)
    old = [(m.id, m.at, m.text, m.author_id) for m in before.factory_messages]
    assert old == [(m.id, m.at, m.text, m.author_id) for m in after.factory_messages if m.at <= early]
    replies = {m.id: tuple(r for r in m.replies if r.at <= early) for m in after.factory_messages}
    assert all(m.replies == replies[m.id] for m in before.factory_messages)
    invoices = {i.id: i for i in after.b2b_invoices}
    for invoice in before.b2b_invoices:
        assert (invoice.lines, invoice.created_at) == (invoices[invoice.id].lines, invoices[invoice.id].created_at)
    planned = {(i.id, i.kind, i.start, i.end, i.entity) for i in after.incidents}
    assert {(i.id, i.kind, i.start, i.end, i.entity) for i in before.incidents} <= planned
    assert before.erp_missing == {o for o in after.erp_missing if o in before.order_by_id}


def test_nothing_is_later_than_the_clock() -> None:
    found = company()
    for order in found.orders:
        instants = [order.created_at, order.updated_at, order.cancelled_at, order.closed_at]
        instants += [at for f in order.fulfilments for at in (f.created_at, f.updated_at, f.delivered_at)]
        instants += [refund.processed_at for refund in order.refunds]
        assert all(at <= found.clock for at in instants if at is not None)
    assert all(r.at <= found.clock for p in found.purchase_orders for line in p.lines for r in line.receipts)
    assert all(m.at <= found.clock and all(r.at <= found.clock for r in m.replies) for m in found.factory_messages)
    assert all(incident.start <= found.business_day(found.clock) for incident in found.incidents)


def test_money_adds_up_to_the_cent_in_every_order() -> None:
    found = company()
    for order in found.orders:
        for line in order.lines:
            assert line.unit_price == line.unit_price.quantize(CENT) > 0
            assert line.quantity > 0 and 0 <= line.current_quantity <= line.quantity
            assert 0 <= line.unfulfilled_quantity <= line.quantity
            assert 0 <= line.discount <= line.gross
        assert order.tax == sum(line.tax for line in order.lines)
        assert order.total == order.subtotal + order.tax + order.shipping
        by_line: Counter[int] = Counter()
        money: dict[int, Decimal] = {}
        for refund in order.refunds:
            paid_back = sum((r.subtotal + r.tax for r in refund.lines), refund.shipping)
            assert refund.total == paid_back - sum(a.amount for a in refund.adjustments)
            for returned in refund.lines:
                by_line[returned.line_id] += returned.quantity
                money[returned.line_id] = money.get(returned.line_id, Decimal(0)) + returned.subtotal
        for line in order.lines:
            assert line.current_quantity == line.quantity - by_line[line.id]
            if by_line[line.id] == line.quantity:
                assert money[line.id] == line.net
        if order.cancelled_at is not None:
            assert order.refunded == order.total
            assert sum(refund.net for refund in order.refunds) == order.subtotal
            assert not order.fulfilments


def test_discounts_are_what_their_rule_says() -> None:
    found = company()
    rules = {discount.id: discount for discount in found.discounts}
    checked = 0
    for order in found.orders:
        by_code: dict[tuple[int, bool], Decimal] = {}
        for line in order.lines:
            for share in line.discounts:
                assert share.discount_id is not None and share.amount > 0
                key = (share.discount_id, share.code is None)
                by_code[key] = by_code.get(key, Decimal(0)) + share.amount
        base = order.gross
        for (number, automatic), amount in sorted(by_code.items(), key=lambda item: item[0][1]):
            rule = rules[number]
            if rule.percentage is not None:
                assert amount == (base * rule.percentage).quantize(CENT, rounding="ROUND_HALF_UP")
            else:
                assert amount == rule.amount
            assert automatic == (not rule.codes)
            base -= amount
            checked += 1
    assert checked > 2000


def test_split_cents_is_exact_and_fair() -> None:
    assert split_cents(100, [1, 1, 1]) == [34, 33, 33]
    assert split_cents(7, [0, 5, 5]) == [0, 4, 3]
    assert split_cents(0, [3, 4]) == [0, 0]
    for total in range(0, 400, 7):
        shares = split_cents(total, [199, 3, 77, 1])
        assert sum(shares) == total and all(share >= 0 for share in shares)


def test_stock_is_opening_stock_plus_receipts_less_sales() -> None:
    """Between two clocks, per SKU: units change by what arrived, came back and was sold, nothing else."""
    early, late = datetime(2026, 4, 1, 6, tzinfo=ZONE), datetime(2026, 4, 20, 6, tzinfo=ZONE)
    before, after = company(7, early), company(7, late)
    planted = {i.entity.removeprefix("sku:") for i in after.incidents if i.kind == "stock_out"}

    def units(found: Company) -> Counter[str]:
        count: Counter[str] = Counter()
        for level in found.inventory_levels:
            assert level.on_hand == level.available + level.committed + level.damaged
            assert level.available >= 0
            count[level.sku] += level.available + level.damaged
        return count

    change: Counter[str] = Counter()
    for order in after.orders:
        if order.created_at > early.astimezone(UTC):
            for line in order.lines:
                change[line.sku] -= line.quantity
        for refund in order.refunds:
            if refund.created_at > early.astimezone(UTC):
                for returned in refund.lines:
                    change[returned.sku] += returned.quantity
    for purchase in after.purchase_orders:
        for bought in purchase.lines:
            change[bought.sku] += sum(r.quantity for r in bought.receipts if r.at > early.astimezone(UTC))
    first, second = units(before), units(after)
    tracked = {v.sku for v in after.variants if v.active and v.tracked} - planted
    assert len(tracked) > 40
    for sku in tracked:
        assert second[sku] - first[sku] == change[sku], sku


def test_it_is_the_company_described() -> None:
    found = company()
    real = [order for order in found.orders if not order.test]
    year = [order for order in real if order.processed_at > found.clock - timedelta(days=365)]
    assert 11_000 <= len(year) <= 13_500
    assert 165 <= sum(o.subtotal for o in year) / len(year) <= 205
    dealers = sum(
        i.net if i.kind == "invoice" else -i.net
        for i in found.b2b_invoices
        if i.created_at > found.clock - timedelta(days=365)
    )
    assert 3_000_000 <= dealers + sum(o.subtotal for o in year) <= 5_000_000
    assert sum(v.active for v in found.variants) == 60 and len(found.variants) == 900
    assert 9 <= len(found.locations) <= 12 and {s.lead_time_days for s in found.suppliers} == {14, 21, 30, 45}
    assert {o.channel for o in real} == {"web", "amazon", "retail", "wholesale"}
    assert 1.5 <= sum(len(o.lines) for o in real) / len(real) <= 1.75
    refunded = sum(1 for o in real if o.refunds and o.cancelled_at is None) / len(real)
    assert 0.02 <= refunded <= 0.045
    assert 0.008 <= sum(1 for o in real if o.cancelled_at) / len(real) <= 0.03
    assert 5 <= sum(o.test for o in found.orders) <= 40
    assert any(len(o.lines) > 50 for o in real) and any(len(r.lines) > 20 for o in real for r in o.refunds)
    assert any(len(o.fulfilments) > 1 for o in real) and any(o.edited for o in real)
    assert any(len(line.discounts) > 1 for o in real for line in o.lines)
    assert max(len(p.variants) for p in found.products) > 100
    titles = " ".join(p.title for p in found.products) + " ".join(t for c in found.customers for t in c.tags)
    assert any("\u0590" <= ch <= "\u06ff" for ch in titles) and any(ord(ch) > 0x1F000 for ch in titles)


def test_season_shows_in_the_orders() -> None:
    found = company()
    days: Counter[date] = Counter(found.business_day(o.processed_at) for o in found.orders)
    friday = black_friday(2025)
    assert friday == date(2025, 11, 28)
    usual = [days[friday - timedelta(days=7 * week)] for week in range(3, 8)]
    assert days[friday] > 2 * max(usual)
    second = sum(n for day, n in days.items() if date(2025, 11, 1) <= day < date(2026, 11, 1))
    first = sum(n for day, n in days.items() if day < date(2025, 11, 1))
    assert 1.08 < second / first < 1.32


def test_days_are_as_long_as_the_clocks_say() -> None:
    def hours(day: date) -> float:
        start, end = day_bounds(day)
        return (end - start).total_seconds() / 3600

    assert hours(date(2026, 3, 8)) == 23 and hours(date(2026, 11, 1)) == 25 and hours(date(2026, 11, 19)) == 24


@pytest.mark.parametrize("seed", [7, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_present_has_late_orders_of_every_age(seed: int) -> None:
    found = company(seed)
    ages: Counter[str] = Counter()
    custom = high = 0
    for order in found.orders:
        if order.test or order.cancelled_at or order.fulfilment_status == "FULFILLED":
            continue
        age = (found.clock - order.processed_at).days
        if age < 7:
            continue
        if "custom-order" in order.tags:
            custom += 1
            continue
        high += order.subtotal >= 500
        bucket = next((name for name, most in (("7", 13), ("14", 20), ("21", 29), ("30", 60)) if age <= most), "61")
        ages[bucket] += 1
    assert set(ages) == {"7", "14", "21", "30", "61"}
    assert custom >= 1 and high >= 1


def test_the_present_has_stock_of_every_severity() -> None:
    found = company()
    sold: Counter[str] = Counter()
    for order in found.orders:
        if order.processed_at > found.clock - timedelta(days=30):
            for line in order.lines:
                sold[line.sku] += line.quantity
    units: Counter[str] = Counter()
    for level in found.inventory_levels:
        units[level.sku] += level.available
    coming: Counter[str] = Counter()
    for purchase in found.purchase_orders:
        for bought in purchase.lines:
            coming[bought.sku] += bought.quantity - bought.received
    seen: Counter[tuple[str, bool]] = Counter()
    for variant in found.variants:
        if variant.active and variant.tracked and sold[variant.sku]:
            days = units[variant.sku] / (sold[variant.sku] / 30)
            severity = "critical" if days < 7 else "warning" if days < 14 else "watch" if days < 21 else "none"
            seen[severity, coming[variant.sku] > 0] += 1
            seen["overstock", False] += days > 180
    assert seen["critical", False] >= 2 and seen["critical", True] >= 1
    assert seen["none", False] > 20 and seen["overstock", False] >= 1
    today = found.business_day(found.clock)
    overdue = [p for p in found.purchase_orders if any(
        line.received < line.quantity and line.expected_on < today for line in p.lines)]  # fmt: skip
    assert overdue and any(p.status == "partially_received" for p in found.purchase_orders)


def test_the_night_before_the_clock_left_questions() -> None:
    found = company()
    night = [m for m in found.factory_messages if m.at > found.clock - timedelta(hours=12)]
    assert sum(m.needs_answer and not m.answered for m in night) >= 3
    assert sum(m.needs_answer and m.answered for m in night) >= 2
    assert any(not m.needs_answer for m in night)
    partners = {u.id for u in found.users if u.partner}
    for message in found.factory_messages:
        assert message.author_id in partners
        assert message.answered == any(reply.author_id not in partners for reply in message.replies)
        local = message.at.astimezone(ZoneInfo("Asia/Shanghai"))
        assert 9 <= local.hour <= 18
    stamps = [(m.channel_id, m.ts) for m in found.factory_messages]
    assert len(stamps) == len(set(stamps))


def _orders_on(found: Company, start: date, end: date) -> list[Order]:
    return [o for o in found.orders if start <= found.business_day(o.processed_at) <= end and not o.test]


def test_planted_incidents_show_in_the_data() -> None:
    found = company()
    kinds = Counter(incident.kind for incident in found.incidents)
    assert set(kinds) >= {
        "channel_drop", "demand_spike", "stock_out", "refund_spike", "late_wave", "erp_gap", "erp_late", "erp_double",
        "price_error", "supply_hold",
    }  # fmt: skip
    names = {order.name: order for order in found.orders}
    for incident in found.incidents:
        entity = incident.entity.partition(":")[2]
        days = (incident.end - incident.start).days + 1
        during = _orders_on(found, incident.start, incident.end)
        if incident.kind == "stock_out":
            sold = [o for o in during if any(line.sku == entity for line in o.lines)]
            early = {found.business_day(o.processed_at) for o in sold} - {incident.start}
            # Only a unit a customer sent back can still be sold.
            assert len(early) <= 3 and sum(line.quantity for o in sold for line in o.lines if line.sku == entity) < 12
        elif incident.kind == "channel_drop":
            before = _orders_on(found, incident.start - timedelta(days=28), incident.start - timedelta(days=1))
            usual = sum(o.channel == entity for o in before) / 28
            assert sum(o.channel == entity for o in during) / days < 0.75 * usual
        elif incident.kind == "price_error":
            price = next(v.price for v in found.variants if v.sku == entity)
            prices = {line.unit_price for o in during if o.channel == "web" for line in o.lines if line.sku == entity}
            assert not prices or max(prices) <= price / 10
        elif incident.kind == "erp_gap":
            assert {names[name].id for name in incident.expected["orders"].split(",")} <= found.erp_missing
        elif incident.kind == "erp_double":
            assert {names[name].id for name in incident.expected["orders"].split(",")} <= found.erp_doubled
        elif incident.kind == "supply_hold":
            placed = [
                p for p in found.purchase_orders
                if incident.start <= found.business_day(p.created_at) <= incident.end
                and any(line.sku == entity for line in p.lines)
            ]  # fmt: skip
            assert not placed


def test_yesterday_is_an_ordinary_day_with_news_around_it() -> None:
    found = company()
    yesterday = date(2026, 11, 19)
    days: dict[date, Decimal] = {}
    for order in found.orders:
        if not order.test:
            day = found.business_day(order.processed_at)
            days[day] = days.get(day, Decimal(0)) + order.subtotal
    recent = [days[yesterday - timedelta(days=back)] for back in range(1, 29)]
    assert min(recent) < days[yesterday] < max(recent) * Decimal("1.2")
    live = {i.kind for i in found.incidents if i.end >= yesterday - timedelta(days=12)}
    assert {"channel_drop", "late_wave", "refund_spike", "stock_out", "erp_gap", "erp_double"} <= live


def test_two_years_are_generated_in_seconds() -> None:
    start = time.process_time()
    generate(11, CLOCK)
    assert time.process_time() - start < 6
