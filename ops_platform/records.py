"""The two values everything that lands data speaks of: a good record and a refused one.

Belongs here: those shapes alone. Does not belong here: where they come from (`ops_platform.ingestion`)
or how they are stored (`ops_platform.database.load`), both of which depend on this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A good record. `payload` is the normalised vendor object, JSON-ready; `id` is never empty."""

    id: str
    payload: JsonObject
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be landed as it is. `raw` is what the vendor sent, as text; `reason` is one of
    the short machine names in `ops_platform.ingestion.quarantine`, `detail` a sentence for a person."""

    reason: str
    detail: str
    raw: str
    id: str | None = None
