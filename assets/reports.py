"""Reports: the document written from its evidence, every claim checked, stored for replay.

Belongs here: one asset a document, under `report/<job>`. Does not belong here: how it is written
(`ops_platform.writing`), laid out (`ops_platform.documents`) or sent (`assets/delivery.py`).
"""

from __future__ import annotations

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from assets.document_steps import store, stored_for, write_files
from assets.evidence import evidence_ops_pulse
from ops_platform import clock, progress
from ops_platform.fleet import get_fleet
from ops_platform.settings import get_settings
from resources.postgres import WarehouseResource


@asset(
    key=AssetKey(["report", "ops_pulse"]),
    deps=[evidence_ops_pulse],
    group_name="reports",
    owners=["team:coordinator"],
    tags={"bot": "coordinator", "division": "all"},
    kinds={"anthropic", "postgres"},
    description=(
        "The morning pulse as a document: sentences by Claude or, without a key or on any doubt, by rules; every "
        "number inserted from the evidence, none written by a model. Also as files under `documents/`."
    ),
)
def report_ops_pulse(context: AssetExecutionContext, warehouse: WarehouseResource) -> MaterializeResult[None]:
    from ops_platform.documents.pulse import compose_pulse
    from ops_platform.evidence.store import load_bundle
    from resources.claude import write_document

    settings, fleet = get_settings(), get_fleet()
    with warehouse.connect() as connection:
        digest = newest_evidence(connection, "pulse")
        bundle = load_bundle(connection, digest)
        stored = stored_for(connection, "ops_pulse", digest)
    if stored is None:
        progress.report("report: writing and checking")
        written = write_document(
            bundle, settings, fleet, "ops_pulse", connect=warehouse.connect, cycle=clock.now().isoformat()
        )
        document = compose_pulse(bundle, written.draft)
        with warehouse.connect() as connection:
            stored = store(connection, "ops_pulse", bundle, document, written)
            connection.commit()
    files = write_files(settings, "ops_pulse", bundle, stored.document)
    return MaterializeResult(
        metadata={
            "document_id": stored.id,
            "evidence": digest,
            "writer": stored.writer,
            "note": stored.note,
            "reused": stored.reused,
            "claims": len(stored.document.claims),
            "files": ", ".join(str(path) for path in files),
        }
    )


def newest_evidence(connection: object, kind: str) -> str:
    """The digest of the newest bundle of `kind`. Raises `DataFailure` when there is none."""
    from typing import Any, cast

    import psycopg

    from ops_platform.failures import DataFailure

    row = cast("psycopg.Connection[Any]", connection).execute(
        "select digest from ops.evidence_bundles where kind = %s order by as_of desc, created_at desc limit 1", (kind,)
    ).fetchone()
    if row is None:
        raise DataFailure(f"there is no {kind} evidence yet: materialise evidence/ops_pulse first")
    return str(row[0])
