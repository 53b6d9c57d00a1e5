"""What an error of PostgreSQL means: worth another try, or a sentence that says what to run.

Belongs here: SQLSTATEs and the words of libpq, turned into the house's failures. Does not belong here: the retry
itself (`resources/retry.py`). No text of this module ever holds the password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from resources.retry import Unreachable

if TYPE_CHECKING:
    import psycopg

LONGEST_TEXT = 400

# Classes (two characters) and single states that may pass by themselves. 40001 and 40P01 are also what a replica
# says when it cancels a query in conflict with recovery.
_TRANSIENT_CLASSES = frozenset({"08", "40", "53"})
_TRANSIENT = frozenset(
    {
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "55006",  # object_in_use
        "55P03",  # lock_not_available: the app is migrating
        "57014",  # query_canceled: statement_timeout, an administrator, or recovery
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
        "58030",  # io_error
        "72000",  # snapshot_too_old
    }
)

# libpq gives no SQLSTATE for a connection that was never made; these are its words and the server's.
_REFUSED_PASSWORD = re.compile(
    r"password authentication failed|no password supplied|authentication failed for user"
    r"|role .* does not exist|is not permitted to log in|SASL|SCRAM",
    re.IGNORECASE,
)
_NO_ENTRY = re.compile(r"no pg_hba\.conf entry|pg_hba\.conf rejects", re.IGNORECASE)
_NO_DATABASE = re.compile(r"database .* does not exist", re.IGNORECASE)
_NO_CONNECT = re.compile(r"permission denied for database|does not have CONNECT privilege", re.IGNORECASE)
_NO_TLS = re.compile(
    r"does not support SSL|SSL was required|requires SSL|SSL is not (enabled|supported)", re.IGNORECASE
)
_CERTIFICATE = re.compile(
    r"certificate verify failed|root certificate|does not match host name|private key file|certificate file",
    re.IGNORECASE,
)
_MALFORMED = re.compile(r"invalid (integer value|port number|\w+ value|connection option|URI)", re.IGNORECASE)
_NOT_THERE = re.compile(
    r"connection refused|could not translate host name|no route to host|network is unreachable"
    r"|name or service not known|no such file or directory",
    re.IGNORECASE,
)


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """One line of `text` without any of the secrets."""
    said = " ".join(text.split())
    for secret in sorted((each for each in secrets if each), key=len, reverse=True):
        said = said.replace(secret, "[secret]")
    return said if len(said) <= LONGEST_TEXT else said[: LONGEST_TEXT - 3] + "..."


def connect_failure(error: Exception, where: str, role: str, database: str, secrets: tuple[str, ...]) -> OpsError:
    """The failure that a connection which could not be made stands for."""
    said = redacted(str(error), secrets)
    if _REFUSED_PASSWORD.search(said):
        return PermanentFailure(
            f"app: {where} refused the credentials of the role {role} ({said}); check APP_DATABASE_URL, or set the "
            f"password anew: ALTER ROLE {role} WITH LOGIN PASSWORD '...'"
        )
    if _NO_ENTRY.search(said):
        return PermanentFailure(
            f"app: {where} does not admit this machine ({said}); add its address to pg_hba.conf or to the provider's "
            "list of allowed addresses, and sslmode=require to APP_DATABASE_URL where the server wants TLS"
        )
    if _NO_DATABASE.search(said):
        return PermanentFailure(f"app: there is no database {database} on {where}; check the end of APP_DATABASE_URL")
    if _NO_CONNECT.search(said):
        return PermanentFailure(
            f"app: the role {role} may not connect; run: GRANT CONNECT ON DATABASE {database} TO {role};"
        )
    if _CERTIFICATE.search(said):
        return PermanentFailure(
            f"app: the certificate of {where} is not trusted ({said}); give sslrootcert in APP_DATABASE_URL"
        )
    if _NO_TLS.search(said):
        return PermanentFailure(
            f"app: {where} and this machine do not agree on TLS ({said}); set sslmode in APP_DATABASE_URL as the "
            "server wants it"
        )
    if _MALFORMED.search(said):
        return ConfigurationError(f"app: APP_DATABASE_URL is not understood: {said}")
    if _NOT_THERE.search(said):
        return Unreachable(f"app: cannot reach {where}: {said}")
    return TransientFailure(f"app: {where} did not let us in: {said}")


def query_failure(
    error: psycopg.Error, what: str, role: str, secrets: tuple[str, ...], columns: tuple[str, ...] = ()
) -> OpsError:
    """The failure that an error of a query stands for. `what` is what was being read ("public.users"), `columns`
    those of it that we need."""
    state = error.sqlstate
    primary = (error.diag.message_primary if state else None) or str(error) or type(error).__name__
    said = redacted(primary, secrets)
    if state is None:
        return TransientFailure(f"app: the connection broke while reading {what}: {said}")
    if state == "57014":
        return TransientFailure(
            f"app: the server cancelled the reading of {what} ({said}); if it goes on, an index on (updated_at, id) "
            "is missing"
        )
    if state == "55P03":
        return TransientFailure(f"app: {what} is locked, as during a migration of the app ({said})")
    if state in _TRANSIENT or state[:2] in _TRANSIENT_CLASSES:
        return TransientFailure(f"app: reading {what} was cut short ({state}: {said})")
    if state == "42501":
        return PermanentFailure(f"app: the role {role} may not read {what} ({said}); run: {grant(what, role, columns)}")
    if state in ("42P01", "42703", "42704", "3F000"):
        return PermanentFailure(
            f"app: {what} changed under us ({state}: {said}); give it back by a view in ops_export "
            "(docs/connect/app.md)"
        )
    if state[:2] == "28":
        return PermanentFailure(f"app: the role {role} was refused ({state}: {said}); check APP_DATABASE_URL")
    return PermanentFailure(f"app: reading {what} failed ({state}: {said})")


def grant(what: str, role: str, columns: tuple[str, ...] = ()) -> str:
    """The statements that let the role read a table, or only some of its columns."""
    schema, _, _ = what.partition(".")
    these = f" ({', '.join(columns)})" if columns else ""
    return f"GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT{these} ON {what} TO {role};"
