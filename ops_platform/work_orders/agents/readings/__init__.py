"""What an agent reads of the platform itself: one module a subject, each giving a `Finding`.

Belongs here: the register. Does not belong here: the company's figures (`evidence.briefing` reads those by a role's
report), what a verdict leads to (`role.Check`).

A new reading: a module with `read(reader) -> Finding`, the relations it reads as `RELATIONS`, and its line in
`READINGS`. Modules are imported when a reading is wanted.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops_platform.work_orders.agents.findings import Finding, Reader

#: By name, what it is about.
READINGS = {
    "alerts": "Alerts that are open",
    "checks": "Results of checks and the quality gates",
    "costs": "Tokens and money the models took",
    "instance": "Runs, builds and processes of the platform",
    "queue": "Work orders and their deadlines",
    "repository": "The modules of the platform",
    "security": "Refusals, held changes and access",
    "sources": "Syncs and the freshness of the sources",
}


def reading(name: str) -> Callable[[Reader], Finding]:
    """The function that makes the reading."""
    found: Any = import_module(f"{__name__}.{name}").read
    return found


def relations(name: str) -> tuple[str, ...]:
    """The relations the reading needs to read."""
    found: Any = import_module(f"{__name__}.{name}").RELATIONS
    return tuple(found)
