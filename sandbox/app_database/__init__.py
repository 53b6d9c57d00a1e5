"""The companion app's own database: a real PostgreSQL, seeded from the company, reached over its own protocol.

Belongs here: server, contents, the wire between and its faults, the changes tests make. Does not belong here: what
users did (`sandbox/company/app_usage.py`).
"""

from __future__ import annotations

from sandbox.app_database.side import AppSide
from sandbox.vendor_side import Surroundings, VendorSide

__all__ = ["SIDE", "AppSide"]

# Named here as well, so that listing the sides does not import the wire; a test holds the two together.
_FAULTS = frozenset(
    {
        "refuse_connection", "starting_up", "too_many_connections", "kill_connection", "cut_connection",
        "recovery_conflict", "slow_query", "short_page", "empty_page", "repeat_page", "duplicate_rows",
    }
)  # fmt: skip


def _mount(around: Surroundings) -> AppSide:
    return AppSide(
        around.company,
        clock=around.clock,
        ledger=around.ledger,
        faults=around.faults,
        directory=around.directory("app_database"),
    )


SIDE = VendorSide(_mount, (), _FAULTS)
