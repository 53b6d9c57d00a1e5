"""HubSpot: deals, contacts (merged, archived, deleted for good), and the owners.

Belongs here: what the account holds and how it changes. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox


def census(sandbox: Sandbox, stream: str) -> Held:
    world = sandbox.sides["hubspot"].world  # type: ignore[attr-defined]
    if stream == "owners":
        return {str(owner["id"]): (owner["lastName"],) for owner in world.owners}
    name = {"deals": "amount", "contacts": "hs_merged_object_ids"}[stream]
    modified = {"deals": "hs_lastmodifieddate", "contacts": "lastmodifieddate"}[stream]
    return {item.id: (item.properties[modified], item.properties.get(name)) for item in world.living(stream)}


def change(meanwhile: Meanwhile) -> None:
    step, draw = meanwhile.step, meanwhile.draw
    world = meanwhile.sandbox.sides["hubspot"].world  # type: ignore[attr-defined]
    made = {
        kind: meanwhile.mutate("hubspot", "upsert", kind=kind, properties=properties)["id"]
        for kind, properties in (
            ("deals", {"dealname": f"Kill {step} 工厂", "amount": f"{step}.25"}),
            ("contacts", {"firstname": f"K{step}"}),
        )
    }
    for kind in made:
        living = [item.id for item in world.living(kind) if item.id != made[kind]]
        first, second = draw.sample(living, 2)
        value = {"amount": f"{step}.50"} if kind == "deals" else {"jobtitle": f"Buyer {step}"}
        meanwhile.mutate("hubspot", "upsert", kind=kind, id=first, properties=value)
        if step % 3 == 0:
            meanwhile.mutate("hubspot", "merge", kind=kind, id=second, loser=made[kind])
        elif step % 3 == 1:
            meanwhile.mutate("hubspot", "archive", kind=kind, id=made[kind])
        else:
            meanwhile.mutate("hubspot", "delete", kind=kind, id=made[kind])


SCENARIO = Scenario(
    "hubspot",
    ("deals", "contacts", "owners"),
    census,
    {
        "deals": "payload#>>'{properties,hs_lastmodifieddate}', payload#>>'{properties,amount}'",
        "contacts": "payload#>>'{properties,lastmodifieddate}', payload#>>'{properties,hs_merged_object_ids}'",
        "owners": "payload->>'lastName'",
    },
    change,
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
