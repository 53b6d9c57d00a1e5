"""A shop of seven orders whose every number is worked out by hand.

The day of New York's change to summer time lies in the middle: midnight is 05:00 UTC on the eighth of March
and 04:00 UTC from the ninth.

| order | processed (New York) | lines                                   | net     |
|-------|----------------------|-----------------------------------------|---------|
| #1    | Mar 7, 23:59:59      | 2 A at 50 less 10; 1 B at 30            | 120     |
| #2    | Mar 8, 00:00:00      | 1 A at 50, by Amazon, United Kingdom    | 50      |
| #3    | Mar 8, 23:59:59      | 3 B at 0.335, no customer               | 1.005   |
| #4    | Mar 10               | 4 A at 50, cancelled Mar 11             | 200     |
| #5    | Mar 10               | a test order                            |         |
| #7    | Mar 12, the clock's  | 1 A at 50: a day that is not over       |         |

Refunds: of #1 on Mar 9, 23:59:59 New York: a line of 30 and 5 more (35); of #4 on Mar 11: 200.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.warehouse.dbt_warehouse import DbtWarehouse
from tests.warehouse.payloads import line, order, parcel, product, refund, stock

MORNING = datetime(2026, 3, 12, 10, 0, tzinfo=UTC)
DAYS = ["2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10", "2026-03-11"]

FIRST = order(
    1, "2026-03-08T04:59:59Z", [line(11, "A", 2, "50", "10"), line(12, "B", 1, "30")], customer=1, country="US",
    refunds=[refund(1, "2026-03-10T03:59:59Z", ["30"], "-5")], displayFulfillmentStatus="FULFILLED",
    fulfillments=[parcel(1, "2026-03-09T04:59:59Z")],
)  # fmt: skip
SECOND = order(2, "2026-03-08T05:00:00Z", [line(21, "A", 1, "50")], customer=1, country="GB", tags=["Amazon", "gift"])
THIRD = order(
    3, "2026-03-09T03:59:59Z", [line(31, "B", 3, "0.335")], country="GB", displayFulfillmentStatus="FULFILLED"
)
FOURTH = order(
    4, "2026-03-10T15:00:00Z", [line(41, "A", 4, "50")], customer=2, country="US",
    cancelledAt="2026-03-11T15:00:00Z", cancelReason="CUSTOMER", displayFinancialStatus="REFUNDED",
    refunds=[refund(4, "2026-03-11T15:00:00Z", ["200"])],
)  # fmt: skip
TEST_ORDER = order(5, "2026-03-10T15:00:00Z", [line(51, "A", 9, "999")], test=True, customer=9)
TODAY = order(7, "2026-03-12T09:00:00Z", [line(71, "A", 1, "50")], customer=1)


def amounts(*values: str | None) -> dict[str, Decimal | None]:
    """The values of the five days, in order."""
    return {day: None if value is None else Decimal(value) for day, value in zip(DAYS, values, strict=True)}


def open_shop(warehouse: DbtWarehouse) -> None:
    """Everything as it was on the first morning; nothing is built."""
    warehouse.clock(MORNING)
    warehouse.land(
        "shopify",
        "shop",
        [{"id": "gid://shopify/Shop/1", "name": "S", "currencyCode": "USD", "ianaTimezone": "America/New_York"}],
        MORNING,
    )
    warehouse.land("shopify", "products", [product("A"), product("B"), product("OLD", "ARCHIVED")], MORNING)
    warehouse.land("shopify", "inventory_items", [stock("A", 4, 6), stock("B", 30, 30), stock("OLD", 0, 0)], MORNING)
    warehouse.land("shopify", "orders", [FIRST, SECOND, THIRD, FOURTH, TEST_ORDER, TODAY], MORNING)
    warehouse.connection.execute(
        "insert into ops.tie_outs (vendor, stream, entity, day, status, checked_at) values"
        " ('shopify', 'orders', 'orders', '2026-03-07', 'matched', now()),"
        " ('shopify', 'orders', 'orders', '2026-03-10', 'mismatched', now()),"
        " ('shopify', 'orders', 'orders', '2026-03-11', 'matched', now())"
    )
