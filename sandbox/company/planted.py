"""Everything that was planted in the company, in every system's part of its story: the answers a detector, a
reconciliation or a reader is later held against.

Belongs here: joining what each part planted, with where it shows (`visibility.py`). Does not belong here: planting
(`incidents.py` for trade, stock and the ERP; each other system's part for its own).
"""

from __future__ import annotations

from sandbox.company import app_usage, campaigns, crm, issues, marketplace, worktables
from sandbox.company.model import Company, Incident
from sandbox.company.visibility import with_sightings

_PARTS = (campaigns, crm, worktables, marketplace, issues, app_usage)


def planted(company: Company) -> list[Incident]:
    """Every incident as far as the company's clock has come, by its first day. A shop of plain orders has none."""
    if company.source == "csv":
        return []
    found = [*company.incidents, *(incident for part in _PARTS for incident in part.incidents(company))]
    found = with_sightings(company, found)
    return sorted(found, key=lambda incident: (incident.start, incident.id))
