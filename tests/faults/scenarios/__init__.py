"""How each vendor is tried: a module a vendor, named as the registry names it, with a `SCENARIO`.

Belongs here: the shape of a scenario, and finding them. Does not belong here: kills and storms themselves.

A vendor of `resources.vendors.VENDORS` without a module here fails the suite: it is not covered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ops_platform.settings import Settings
from tests.connectors.conftest import World, hurried

if TYPE_CHECKING:
    from resources.http import HttpClient
    from sandbox.server import Sandbox

# What is compared of one record: a version, money, counts; as text, None where there is none.
Facts = tuple[str | None, ...]
Held = dict[str, Facts]


@dataclass
class Meanwhile:
    """A moment between two syncs in which the vendor's world changes. `step` counts them; `draw` is seeded."""

    world: World
    sandbox: Sandbox
    draw: random.Random
    step: int

    def mutate(self, vendor: str, op: str, **data: Any) -> Any:
        return self.world.mutate(vendor, op, **data)


@dataclass(frozen=True)
class Scenario:
    """`streams` are tried in turn: at least one with a cursor, and one read whole where the vendor has both.

    `census` says what the vendor's world holds of a stream, from the sandbox's inside and not through its HTTP;
    `facts` is SQL (a list of text expressions over `payload`) for the same of a landed row. `change` puts,
    changes and (where the client can notice) deletes records. `unreached` names the points of a sync that this
    vendor never comes by, and why."""

    vendor: str
    streams: tuple[str, ...]
    census: Callable[[Sandbox, str], Held]
    facts: Mapping[str, str]
    change: Callable[[Meanwhile], None]
    unreached: Mapping[str, str] = field(default_factory=dict)
    # Whether a first load brings everything, or only a window of the past (then it is not begun again).
    begins_whole: bool = True
    # Semantic faults of the vendor's side that belong in a storm of bad pages.
    page_faults: tuple[str, ...] = ()


def scenario_of(vendor: str) -> Scenario:
    """The scenario of a registered vendor. Raises `LookupError` where nobody wrote one."""
    name = f"{__name__}.{vendor}"
    if find_spec(name) is None:
        raise LookupError(f"{vendor} is not covered by the fault suite: write tests/faults/scenarios/{vendor}.py")
    scenario: Scenario = import_module(name).SCENARIO
    return scenario


def source_at(vendor: str, url: str, settings: Mapping[str, str]) -> Any:
    """A connected client of `vendor` that waits no longer than it must; made as `World` makes it, if it does."""
    world = World(url, Settings(**dict(settings)), None)  # type: ignore[arg-type]
    maker = getattr(world, vendor, None)
    if maker is not None:
        return maker()
    from resources.vendors import source_of

    source = source_of(vendor, world.settings)
    assert source is not None, f"the sandbox gives no credentials for {vendor}"
    for http in clients_of(source):
        hurried(http)
    return source


def clients_of(source: Any) -> list[HttpClient]:
    """The HTTP clients inside a source, wherever it keeps them."""
    from resources.http import HttpClient

    found: list[HttpClient] = []
    seen: set[int] = set()

    def look(value: Any, depth: int) -> None:
        if id(value) in seen or depth > 3:
            return
        seen.add(id(value))
        if isinstance(value, HttpClient):
            found.append(value)
            return
        for part in _parts(value):
            look(part, depth + 1)

    look(source, 0)
    return found


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if not type(value).__module__.startswith("resources"):
        return []
    slots = [name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in slots)]
