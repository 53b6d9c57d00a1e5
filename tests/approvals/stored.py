"""A written document in the database, as a run leaves it: the pulse of a fixed morning, and a pack of pages."""

from __future__ import annotations

from typing import Any

from assets.document_steps import store
from ops_platform.documents.kinds import compose
from ops_platform.evidence.model import Bundle
from ops_platform.evidence.store import save_bundle
from ops_platform.fleet import Fleet, load_fleet
from ops_platform.settings import PROJECT_ROOT, Settings
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.compose import write
from ops_platform.writing.rules import RulesWriter
from tests.evidence.bundles import morning

JOB = "ops_pulse"


def company() -> Fleet:
    return load_fleet(PROJECT_ROOT / "fleet.yaml", Settings())


def stored(connect: Any, bundle: Bundle | None = None, job: str = JOB, **changes: Any) -> int:
    """The number of the stored document of this bundle, written by rules; `changes` are of what was written."""
    from dataclasses import replace

    bundle = bundle or morning()
    written = write(bundle, brief_for(bundle), rules=RulesWriter())
    if changes:
        written = replace(written, **changes)
    with connect() as connection:
        save_bundle(connection, bundle)
        return store(connection, job, bundle, compose(bundle, written.draft), written).id
