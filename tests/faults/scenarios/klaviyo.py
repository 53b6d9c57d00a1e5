"""Klaviyo: campaigns and lists (with a cursor), and the metrics (read whole).

Belongs here: what the account holds and how it changes. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox

_KINDS = {"campaigns": ("campaign", "updated_at"), "lists": ("list", "updated"), "metrics": ("metric", "updated")}


def census(sandbox: Sandbox, stream: str) -> Held:
    kind, updated = _KINDS[stream]
    objects = sandbox.sides["klaviyo"].account.objects[kind]  # type: ignore[attr-defined]
    return {identity: (each.attributes[updated], each.attributes["name"]) for identity, each in objects.items()}


def change(meanwhile: Meanwhile) -> None:
    step, draw = meanwhile.step, meanwhile.draw
    account = meanwhile.sandbox.sides["klaviyo"].account  # type: ignore[attr-defined]
    for stream in ("campaigns", "lists"):
        standing = sorted(account.objects[_KINDS[stream][0]])
        made = meanwhile.mutate("klaviyo", "upsert", stream=stream, name=f"Kill {step} 工厂 <!channel>")
        meanwhile.mutate("klaviyo", "upsert", stream=stream, id=draw.choice(standing), name=f"renamed {step}")
        if step % 4 == 0:
            meanwhile.mutate("klaviyo", "delete", stream=stream, id=made["id"])
    if step % 5 == 0:
        meanwhile.mutate("klaviyo", "upsert", stream="metrics", name=f"Metric {step}")


SCENARIO = Scenario(
    "klaviyo",
    ("campaigns", "lists", "metrics"),
    census,
    {
        "campaigns": "payload->>'updated_at', payload->>'name'",
        "lists": "payload->>'updated', payload->>'name'",
        "metrics": "payload->>'updated', payload->>'name'",
    },
    change,
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
