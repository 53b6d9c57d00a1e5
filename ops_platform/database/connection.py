"""How the rest of the house gets a connection.

Belongs here: the address of each database, and opening it as a role. Does not belong here: queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from ops_platform.failures import ConfigurationError, TransientFailure

if TYPE_CHECKING:
    import psycopg

    from ops_platform.settings import Settings

WAREHOUSE = "warehouse"
DAGSTER = "dagster"
CONNECT_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a database address, for tools that want them one by one (dbt, Dagster)."""

    host: str
    port: int
    user: str
    password: str
    database: str
    query: dict[str, str]


def database_url(database: str = WAREHOUSE, settings: Settings | None = None) -> str:
    """The libpq URL of `database` on the configured server; starts the embedded one when needed.

    Contains the password of an external server: never log it."""
    from ops_platform.settings import get_settings

    settings = settings or get_settings()
    if settings.ops_database_url is None:
        from ops_platform.database.server import running_server

        return running_server(settings.ops_home).url(database)
    parts = urlsplit(settings.ops_database_url.get_secret_value())
    if parts.scheme not in ("postgres", "postgresql"):
        raise ConfigurationError("OPS_DATABASE_URL must look like postgresql://user:password@host:5432/postgres")
    query = dict(parse_qsl(parts.query))
    query.setdefault("connect_timeout", str(CONNECT_TIMEOUT_SECONDS))
    return urlunsplit(("postgresql", parts.netloc, "/" + database, urlencode(query, safe="/"), ""))


def address(database: str = WAREHOUSE, settings: Settings | None = None) -> Address:
    """`database_url`, taken apart."""
    parts = urlsplit(database_url(database, settings))
    query = dict(parse_qsl(parts.query))
    return Address(
        host=query.pop("host", "") or parts.hostname or "localhost",
        port=int(query.pop("port", "") or parts.port or 5432),
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password or ""),
        database=database,
        query=query,
    )


def connect(
    database: str = WAREHOUSE,
    *,
    role: str | None = None,
    settings: Settings | None = None,
    autocommit: bool = False,
    application: str = "ops_platform",
) -> psycopg.Connection[Any]:
    """Open a connection to `database`, acting as `role` when one is given.

    Raises `TransientFailure` with one line that says which server did not answer, never its password."""
    import psycopg
    from psycopg import sql

    try:
        connection = psycopg.connect(
            database_url(database, settings), application_name=application, options="-c timezone=UTC"
        )
    except psycopg.OperationalError as error:
        raise TransientFailure(unreachable(database, settings, error)) from None
    if role is not None:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        connection.commit()
    connection.autocommit = autocommit
    return connection


def unreachable(database: str, settings: Settings | None, error: Exception) -> str:
    """One line for a person: which server, which database, what it said."""
    where = address(database, settings)
    said = " ".join(str(error).split())
    if where.password:
        said = said.replace(where.password, "***")
    return (
        f"cannot reach PostgreSQL at {where.host}:{where.port} (database {database}): {said}. "
        "Check OPS_DATABASE_URL, or unset it to use the embedded server."
    )
