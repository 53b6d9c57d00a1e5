"""Postgres: embedded or external, its databases, migrations, roles and bulk load.

Belongs here: everything that knows it is talking to PostgreSQL. Does not belong here: what the rows
mean. `connect()` is the one way to open a connection.
"""

from ops_platform.database.connection import DAGSTER, WAREHOUSE, address, connect, database_url
from ops_platform.database.migrations import ensure_raw_tables, migrate

__all__ = ["DAGSTER", "WAREHOUSE", "address", "connect", "database_url", "ensure_raw_tables", "migrate"]
