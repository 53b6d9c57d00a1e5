"""Shopify: orders with their lines (walked by pages, swept by a bulk operation), inventory items (bulk).

Belongs here: what the shop holds and how it changes. Does not belong here: when it is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shopify.values import Overlay, amount, gid, instant, unwrapped
from sandbox.shopify.world import order_gid
from tests.faults.scenarios import Facts, Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox


def _order(order: Any) -> Facts:
    patch = order.patch if type(order) is Overlay else {}
    base = unwrapped(order)
    total = patch["totalPriceSet"]["shopMoney"]["amount"] if "totalPriceSet" in patch else amount(base.total)
    updated = patch.get("updatedAt") or instant(base.updated_at)
    return updated, total, str(sum(line.quantity for line in base.lines))


def census(sandbox: Sandbox, stream: str) -> Held:
    world = sandbox.sides["shopify"].world  # type: ignore[attr-defined]
    if stream == "orders":
        return {order_gid(order): _order(order) for order in world.orders}
    return {
        gid("InventoryItem", number): (str(sum(level.on_hand for level in world.levels_of_item[number])),)
        for number in world.items
    }


def change(meanwhile: Meanwhile) -> None:
    world = meanwhile.sandbox.sides["shopify"].world  # type: ignore[attr-defined]
    money = {"amount": f"{meanwhile.step + 1}.25", "currencyCode": "USD"}
    total = {"shopMoney": money, "presentmentMoney": money}
    # An id of its own: one that the sandbox makes up may come again after a delete.
    new = {"id": gid("Order", 7_700_000_000_000 + meanwhile.step), "name": f"#K{meanwhile.step}"}
    meanwhile.mutate("shopify", "upsert_order", totalPriceSet=total, **new)
    for order in meanwhile.draw.sample(world.orders, 2):
        meanwhile.mutate("shopify", "upsert_order", id=order_gid(order), totalPriceSet=total)
    if meanwhile.step % 2:
        meanwhile.mutate("shopify", "delete_order", id=order_gid(meanwhile.draw.choice(world.orders)))


SCENARIO = Scenario(
    "shopify",
    ("orders", "inventory_items"),
    census,
    {
        "orders": (
            "payload->>'updatedAt', payload#>>'{totalPriceSet,shopMoney,amount}',"
            " (select sum((line->>'quantity')::int)::text from jsonb_array_elements(payload->'lineItems') as line)"
        ),
        "inventory_items": (
            "(select coalesce(sum((q->>'quantity')::int), 0)::text"
            " from jsonb_array_elements(payload->'inventoryLevels') as level,"
            " jsonb_array_elements(level->'quantities') as q where q->>'name' = 'on_hand')"
        ),
    },
    change,
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_nodes"),
)
