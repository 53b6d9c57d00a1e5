"""Amazon: orders with their items, and the stock in its warehouses. A deleted order does not show to a reader.

Belongs here: what the seller has there and how it changes. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.company.marketplace import US
from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox

_NO_SWEEP = "Amazon has no list of ids to sweep by"


def _units(order: dict[str, Any]) -> str:
    return str(sum(int(item["quantityOrdered"]) for item in order["orderItems"]))


def census(sandbox: Sandbox, stream: str) -> Held:
    world = sandbox.sides["amazon"].world  # type: ignore[attr-defined]
    if stream == "orders":
        return {
            identity: (order["lastUpdatedTime"], order["fulfillment"]["fulfillmentStatus"], _units(order))
            for identity, order in world.orders.items()
            if order["salesChannel"]["marketplaceId"] == US
        }
    return {sku: (str(item["inventoryDetails"]["fulfillableQuantity"]),) for sku, item in world.summaries.items()}


def change(meanwhile: Meanwhile) -> None:
    step, draw = meanwhile.step, meanwhile.draw
    world = meanwhile.sandbox.sides["amazon"].world  # type: ignore[attr-defined]
    # What happened in the last minutes is not shown yet: told as of ten minutes ago.
    at = (meanwhile.sandbox.clock.now() - timedelta(minutes=10)).isoformat()
    meanwhile.mutate("amazon", "upsert_order", id=f"111-7777777-{step:07}", quantity=1 + step % 4, at=at)
    for identity in draw.sample(sorted(world.orders), 2):
        meanwhile.mutate("amazon", "update_order", id=identity, status="SHIPPED", at=at)
    meanwhile.mutate("amazon", "set_stock", sku=draw.choice(sorted(world.summaries)), quantity=step)
    if step % 2:
        meanwhile.mutate("amazon", "set_stock", sku=f"NB-KILL-{step}", quantity=step)
    elif f"NB-KILL-{step - 1}" in world.summaries:
        meanwhile.mutate("amazon", "delete_sku", sku=f"NB-KILL-{step - 1}")


SCENARIO = Scenario(
    "amazon",
    ("orders", "inventory_summaries"),
    census,
    {
        "orders": (
            "payload->>'lastUpdatedTime', payload#>>'{fulfillment,fulfillmentStatus}',"
            " (select sum((item->>'quantityOrdered')::int)::text from jsonb_array_elements(payload->'orderItems') item)"
        ),
        "inventory_summaries": "payload#>>'{inventoryDetails,fulfillableQuantity}'",
    },
    change,
    unreached={"sync.sweep_read": _NO_SWEEP, "sync.mid_sweep": _NO_SWEEP, "sync.after_sweep": _NO_SWEEP},
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
