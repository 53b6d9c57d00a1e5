"""The company as Shopify holds it: records by id, what is derived from orders, and what a test put over them.

Belongs here: lookups and derived records (fulfilment orders, stock by item). Does not belong here: JSON, GraphQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.company.model import (
    Company,
    Customer,
    Discount,
    Fulfilment,
    InventoryLevel,
    Location,
    Order,
    OrderLine,
    Product,
    Refund,
    Variant,
)
from sandbox.shopify.values import Overlay, gid, split_gid

_FULFILMENT_ORDER = 500_000_000_000
_FULFILMENT_ORDER_LINE = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class FulfilmentOrderLine:
    id: int
    line: OrderLine
    total: int
    remaining: int


class FulfilmentOrder:
    """What one location has to ship for an order. Ours are never split over locations."""

    __slots__ = ("id", "lines", "location_id", "order", "status", "updated_at")

    def __init__(self, order: Order) -> None:
        self.id = order.id + _FULFILMENT_ORDER
        self.order = order
        self.location_id = order.location_id
        cancelled: dict[int, int] = defaultdict(int)
        updated = order.created_at
        for refund in order.refunds:
            for line in refund.lines:
                if line.restock_type == "CANCEL":
                    cancelled[line.line_id] += line.quantity
                    updated = max(updated, refund.created_at)
        for parcel in order.fulfilments:
            updated = max(updated, parcel.created_at)
        if order.cancelled_at is not None:
            self.status = "CANCELLED"
            updated = max(updated, order.cancelled_at)
        else:
            self.status = {"FULFILLED": "CLOSED", "UNFULFILLED": "OPEN"}.get(order.fulfilment_status, "IN_PROGRESS")
        self.updated_at: datetime = updated
        self.lines = tuple(
            FulfilmentOrderLine(
                line.id + _FULFILMENT_ORDER_LINE,
                line,
                line.quantity - (0 if order.cancelled_at else cancelled[line.id]),
                line.unfulfilled_quantity,
            )
            for line in order.lines
            if order.cancelled_at or line.quantity > cancelled[line.id]
        )


@dataclass(frozen=True, slots=True)
class RefundOf:
    """A refund with its order."""

    order: Order
    refund: Refund


@dataclass(frozen=True, slots=True)
class ParcelOf:
    """A fulfilment with its order."""

    order: Order
    parcel: Fulfilment


@dataclass(frozen=True, slots=True)
class Item:
    """An inventory item: the stock side of a variant."""

    variant: Variant


class World:
    """One company, served. `orders` may hold overlays; `version` changes with every change from outside."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.currency = company.shop.currency
        self.zone = ZoneInfo(company.shop.timezone)
        self.orders: list[Any] = list(company.orders)
        self.version = 0

    # -- changes from outside -----------------------------------------------------------------------------------

    def replace_orders(self, change: Callable[[list[Any]], list[Any]]) -> None:
        self.orders = change(self.orders)
        self.version += 1
        for name in ("_order_places", "_orders_of_customers"):
            self.__dict__.pop(name, None)

    # -- records by id ------------------------------------------------------------------------------------------

    @cached_property
    def _order_places(self) -> dict[str, int]:
        places: dict[str, int] = {}
        for place, order in enumerate(self.orders):
            places.setdefault(order_gid(order), place)
        return places

    def order(self, text: str) -> Any:
        """The order (or overlay) with this GID, or None."""
        place = self._order_places.get(text)
        return None if place is None else self.orders[place]

    def find(self, text: str) -> Any:
        """The record with this GID, whatever its kind, or None."""
        parts = split_gid(text)
        if parts is None:
            return None
        kind, number = parts
        if kind == "Order":
            return self.order(text)
        finder = self._finders.get(kind)
        return None if finder is None else finder(number)

    @cached_property
    def _finders(self) -> dict[str, Callable[[int], Any]]:
        company = self.company
        return {
            "Customer": company.customer_by_id.get,
            "Product": company.product_by_id.get,
            "ProductVariant": company.variant_by_id.get,
            "Location": company.location_by_id.get,
            "InventoryItem": lambda number: self.items.get(number),
            "InventoryLevel": lambda number: self._level_by_id.get(number),
            "FulfillmentOrder": lambda number: self._fulfilment_order_by_id.get(number),
            "Refund": lambda number: self._refund_by_id.get(number),
            "Fulfillment": lambda number: self._parcel_by_id.get(number),
            "LineItem": lambda number: self._line_by_id.get(number),
            "DiscountNode": lambda number: self._discount_by_id.get(number),
            "DiscountCodeNode": lambda number: self._discount_by_id.get(number),
            "Shop": lambda number: company.shop if number == company.shop.id else None,
        }

    @cached_property
    def items(self) -> dict[int, Item]:
        return {variant.inventory_item_id: Item(variant) for variant in self.company.variants}

    @cached_property
    def _level_by_id(self) -> dict[int, InventoryLevel]:
        return {level.id: level for level in self.company.inventory_levels}

    @cached_property
    def _discount_by_id(self) -> dict[int, Discount]:
        return {discount.id: discount for discount in self.company.discounts}

    @cached_property
    def _line_by_id(self) -> dict[int, OrderLine]:
        return {line.id: line for order in self.company.orders for line in order.lines}

    @cached_property
    def _order_by_line(self) -> dict[int, Order]:
        return {line.id: order for order in self.company.orders for line in order.lines}

    def order_of_line(self, line_id: int) -> Order | None:
        return self._order_by_line.get(line_id)

    @cached_property
    def _refund_by_id(self) -> dict[int, RefundOf]:
        return {refund.id: RefundOf(order, refund) for order in self.company.orders for refund in order.refunds}

    @cached_property
    def _parcel_by_id(self) -> dict[int, ParcelOf]:
        return {parcel.id: ParcelOf(order, parcel) for order in self.company.orders for parcel in order.fulfilments}

    # -- derived ------------------------------------------------------------------------------------------------

    @cached_property
    def levels_of_item(self) -> dict[int, list[InventoryLevel]]:
        found: dict[int, list[InventoryLevel]] = defaultdict(list)
        for level in self.company.inventory_levels:
            found[level.inventory_item_id].append(level)
        return found

    @cached_property
    def levels_of_location(self) -> dict[int, list[InventoryLevel]]:
        found: dict[int, list[InventoryLevel]] = defaultdict(list)
        for level in self.company.inventory_levels:
            found[level.location_id].append(level)
        return found

    @cached_property
    def available_of_item(self) -> dict[int, int]:
        return {item: sum(level.available for level in levels) for item, levels in self.levels_of_item.items()}

    @cached_property
    def fulfilment_orders(self) -> list[FulfilmentOrder]:
        """None for a history that came in from a file: it was shipped before it was imported."""
        if self.company.source == "csv":
            return []
        return [FulfilmentOrder(order) for order in self.company.orders]

    @cached_property
    def _fulfilment_order_by_id(self) -> dict[int, FulfilmentOrder]:
        return {one.id: one for one in self.fulfilment_orders}

    def fulfilment_order_of(self, order: Order) -> FulfilmentOrder | None:
        return self._fulfilment_order_by_id.get(order.id + _FULFILMENT_ORDER)

    @cached_property
    def _orders_of_customers(self) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for order in self.orders:
            base = order
            while type(base) is Overlay:
                base = base.base
            if base.customer_id is not None:
                found[base.customer_id].append(order)
        return found

    def orders_of(self, customer: Customer) -> Sequence[Any]:
        return self._orders_of_customers.get(customer.id, ())

    def location(self, number: int | None) -> Location | None:
        return None if number is None else self.company.location_by_id.get(number)

    def product(self, number: int | None) -> Product | None:
        return None if number is None else self.company.product_by_id.get(number)

    def variant(self, number: int | None) -> Variant | None:
        return None if number is None else self.company.variant_by_id.get(number)

    def discount(self, number: int | None) -> Discount | None:
        return None if number is None else self._discount_by_id.get(number)


def order_gid(order: Any) -> str:
    """The GID an order is served under, overlay or not."""
    while type(order) is Overlay:
        given = order.patch.get("id")
        if isinstance(given, str):
            return given
        order = order.base
    return gid("Order", order.id)
