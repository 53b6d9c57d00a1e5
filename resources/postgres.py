"""The warehouse as a Dagster resource.

Belongs here: opening connections for assets, as the role the work needs. Does not belong here: SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource

if TYPE_CHECKING:
    import psycopg


class WarehouseResource(ConfigurableResource):
    """Connections to the `warehouse` database. Holds no address and no secret: settings do."""

    def connect(self, role: str | None = None) -> psycopg.Connection[Any]:
        """Open a connection, acting as `role` when one is given.

        Raises `TransientFailure` when the server does not answer."""
        from ops_platform.database import connect

        return connect(role=role, application=f"dagster:{role or 'owner'}")
