"""Reports: the document written from its evidence, every claim checked, stored for replay.

Belongs here: one asset a document, under `report/<job>`. Does not belong here: how it is written
(`ops_platform.writing`), laid out (`ops_platform.documents`) or sent (`assets/delivery.py`).
"""

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from assets.document_steps import report, report_metadata, write_files
from assets.evidence import evidence_ops_pulse
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
    bundle, stored = report(warehouse, "ops_pulse")
    files = write_files(get_settings(), "ops_pulse", bundle, stored.document)
    return MaterializeResult(metadata=report_metadata(bundle, stored, files))
