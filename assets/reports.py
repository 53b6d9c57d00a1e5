"""Reports: the document written from its evidence, every claim checked, stored for replay.

Belongs here: one asset a document, under `report/<job>`. Does not belong here: how it is written
(`ops_platform.writing`), laid out (`ops_platform.documents`) or sent (`assets/delivery.py`).
"""

from typing import TYPE_CHECKING, Any

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from assets.document_steps import store, stored_for, write_files
from assets.evidence import evidence_ops_pulse
from ops_platform import clock, progress
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.fleet import Fleet, get_fleet
from ops_platform.settings import Settings, get_settings
from resources.postgres import WarehouseResource

if TYPE_CHECKING:
    import psycopg

    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.budget import TokenBudget
    from ops_platform.writing.compose import Written


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
    from ops_platform.writing.budget import TokenBudget

    settings, fleet = get_settings(), get_fleet()
    with warehouse.connect() as connection:
        digest = newest_evidence(connection, "pulse")
        bundle = load_bundle(connection, digest)
        stored = stored_for(connection, "ops_pulse", digest)
    if stored is None:
        progress.report("report: writing and checking")
        budget = TokenBudget.of(fleet, warehouse.connect)
        written = write(bundle, settings, fleet, "ops_pulse", budget)
        document = compose_pulse(bundle, written.draft)
        with warehouse.connect() as connection:
            stored = store(connection, "ops_pulse", bundle, document, written)
            connection.commit()
        budget.attach(list(written.ledger_ids), stored.id)
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


def write(bundle: "Bundle", settings: Settings, fleet: Fleet, name: str, budget: "TokenBudget") -> "Written":
    """The draft of job `name`: by Claude within the job's budget where it is connected, else by rules."""
    from ops_platform.writing import compose
    from ops_platform.writing.budget import Allowance
    from ops_platform.writing.claude import ClaudeWriter
    from ops_platform.writing.draft import brief_for
    from ops_platform.writing.rules import RulesWriter
    from resources.claude import AnthropicModel

    job = fleet.jobs[name]
    claude, why_not = None, compose.NO_MODEL
    if settings.ops_writer == "rules":
        why_not = "OPS_WRITER says so"
    elif settings.anthropic_api_key is not None:
        # A day is a cycle: the bound holds over everything the fleet writes in it.
        cycle = clock.business_day(clock.now(), fleet.company.timezone).isoformat()
        allowance = Allowance(bot=job.bot, cycle=cycle, purpose=name, tier=job.tier, limit=job.token_budget)
        claude = ClaudeWriter(
            AnthropicModel.from_settings(settings), budget, allowance, model_id=fleet.models.tiers[job.tier]
        )
    elif settings.ops_writer == "claude":
        raise ConfigurationError("OPS_WRITER=claude needs ANTHROPIC_API_KEY")
    return compose.write(bundle, brief_for(bundle), rules=RulesWriter(), claude=claude, why_not=why_not)


def newest_evidence(connection: "psycopg.Connection[Any]", kind: str) -> str:
    """The digest of the newest bundle of `kind`. Raises `DataFailure` when there is none."""
    row = connection.execute(
        "select digest from ops.evidence_bundles where kind = %s order by as_of desc, created_at desc limit 1", (kind,)
    ).fetchone()
    if row is None:
        raise DataFailure(f"there is no {kind} evidence yet: materialise evidence/ops_pulse first")
    return str(row[0])
