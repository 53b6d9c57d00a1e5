"""What a resolver may know: the world, the request, the caller's rights.

Belongs here: the context of one request, access checks, the two kinds of resolver. Does not belong here: resolvers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.shopify.listing import Listings, Sorted
from sandbox.shopify.paging import CAP
from sandbox.shopify.values import ApiError
from sandbox.shopify.world import World

if TYPE_CHECKING:
    from sandbox.shopify.bulk import BulkOperations

SCOPES = (
    "read_customers", "read_discounts", "read_fulfillments", "read_inventory", "read_locations",
    "read_merchant_managed_fulfillment_orders", "read_all_orders", "read_orders", "read_products", "read_reports",
    "read_returns",
)  # fmt: skip
"""What the sandbox app is granted unless a profile or a test says otherwise."""

RECENT = timedelta(days=60)


@dataclass(slots=True)
class Context:
    """`warnings` collects what goes to `extensions.search`; `base_url` is where the client reached us."""

    world: World
    listings: Listings
    bulk: BulkOperations
    now: datetime
    scopes: frozenset[str] = frozenset(SCOPES)
    version: str = "2026-10"
    base_url: str = ""
    lag: timedelta = timedelta(0)
    cap: int = CAP
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def currency(self) -> str:
        return self.world.currency

    @property
    def oldest_order(self) -> datetime | None:
        """Without `read_all_orders` an app sees the last sixty days of orders alone."""
        return None if "read_all_orders" in self.scopes else self.now - RECENT

    def need(self, scope: str, what: str) -> None:
        """Raises ApiError where the token lacks the scope."""
        if scope not in self.scopes:
            required = f"`{scope}` access scope."
            raise ApiError(
                f"Access denied for {what} field. Required access: {required}",
                "ACCESS_DENIED",
                documentation="https://shopify.dev/api/usage/access-scopes",
                requiredAccess=required,
            )

    def listing(self, name: str, args: Mapping[str, Any], path: str, *, sort: str | None = None) -> Sorted:
        oldest = self.oldest_order if name in {"orders", "fulfillmentOrders"} else None
        found, warnings = self.listings.get(name, args, self.now, oldest=oldest, lag=self.lag, sort=sort)
        if warnings:
            self.warnings.append({"path": [path], "query": args.get("query"), "warnings": warnings})
        return found

    def may_see(self, order: Any) -> bool:
        oldest = self.oldest_order
        return oldest is None or getattr(order, "created_at", self.now) >= oldest


Resolver = Callable[[Any, Mapping[str, Any], Context], Any]
Items = Callable[[Any, Mapping[str, Any], Context], "Sequence[Any] | Sorted"]


class Connection:
    """Resolver of a connection field: gives all its records; the executor cuts pages, a bulk operation does not."""

    __slots__ = ("items",)

    def __init__(self, items: Items) -> None:
        self.items = items
