"""The companion app's Postgres: users, sessions, roles, subscriptions and tickets of its own database.

Belongs here: turning settings into a source. Does not belong here: the warehouse's own server
(`ops_platform.database`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.app_database.tables import STREAMS, VENDOR

if TYPE_CHECKING:
    from ops_platform.settings import Settings
    from resources.app_database.source import AppSource

__all__ = ["STREAMS", "VENDOR", "connect"]


def connect(settings: Settings, *, zone: str | None = None) -> AppSource | None:
    """The database the settings name, or None when they name none. Opens no connection.

    `zone` is the IANA zone whose days the totals are of; by default the company's, as the fleet file or
    OPS_TIMEZONE says. Raises `ConfigurationError`, never with the address in it, when that is not usable."""
    from resources.app_database.client import AppDatabase, address_of
    from resources.app_database.source import DEFAULT_SCHEMAS, AppSource

    if settings.app_database_url is None:
        if settings.app_database_schema is not None:
            raise ConfigurationError("app: APP_DATABASE_SCHEMA is set and APP_DATABASE_URL is not")
        return None
    address = address_of(settings.app_database_url.get_secret_value())
    schema = settings.app_database_schema
    if schema is not None and not re.fullmatch(r"[a-z_][a-z0-9_]*", schema):
        raise ConfigurationError(
            f"app: APP_DATABASE_SCHEMA {schema!r} is not a plain name (small letters, digits, underscores)"
        )
    if zone is None:
        from ops_platform.fleet import load_fleet

        zone = load_fleet(settings.ops_fleet_file, settings).company.timezone
    return AppSource(AppDatabase(address), zone=zone, schemas=(schema,) if schema else DEFAULT_SCHEMAS)
