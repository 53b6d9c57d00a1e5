"""Bundles in the database: kept by their digest, never trusted without it.

Belongs here: saving and loading `ops.evidence_bundles`. Does not belong here: what goes into a bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops_platform.evidence.encoding import canonical
from ops_platform.evidence.model import Bundle
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    import psycopg

_INSERT = """
insert into ops.evidence_bundles (digest, kind, period_start, period_end, as_of, payload)
values (%s, %s, %s, %s, %s, %s::jsonb)
on conflict (digest) do nothing
"""


def save_bundle(connection: psycopg.Connection[Any], bundle: Bundle) -> str:
    """Store the bundle under its digest (nothing happens when it is there already) and return the digest."""
    payload = canonical(bundle).decode()
    connection.execute(
        _INSERT, (bundle.digest, bundle.kind, bundle.period.start, bundle.period.end, bundle.as_of, payload)
    )
    return bundle.digest


def load_bundle(connection: psycopg.Connection[Any], digest: str) -> Bundle:
    """The bundle stored under `digest`. Raises `DataFailure` when there is none, or when what is stored is no
    longer what was saved."""
    row = connection.execute(
        "select payload::text, kind, period_start, period_end, as_of from ops.evidence_bundles where digest = %s",
        (digest,),
    ).fetchone()
    if row is None:
        raise DataFailure(f"No evidence bundle {digest} is stored.")
    payload, *columns = tuple(row.values()) if isinstance(row, dict) else tuple(row)
    bundle = verified(payload, digest)
    if columns != [bundle.kind, bundle.period.start, bundle.period.end, bundle.as_of]:
        raise DataFailure(f"Evidence bundle {digest} was altered: its columns no longer agree with its content.")
    return bundle


def verified(payload: str | bytes, digest: str) -> Bundle:
    """The bundle in this JSON text, if its digest is `digest`; else `DataFailure`."""
    import orjson

    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise DataFailure(f"Evidence bundle {digest} was altered: it is no longer JSON ({error}).") from error
    try:
        bundle = Bundle.from_json(data)
    except DataFailure as error:
        raise DataFailure(f"Evidence bundle {digest} was altered: {error}") from error
    if bundle.digest != digest or canonical(data) != canonical(bundle):
        raise DataFailure(f"Evidence bundle {digest} was altered: its digest is now {bundle.digest}.")
    return bundle
