"""The company as evidence knows it, from `fleet.yaml`.

Belongs here: the one translation. Does not belong here: the file's model (`model.py`), anything a document says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.evidence.model import CompanyProfile, Division, SourceSystem

if TYPE_CHECKING:
    from ops_platform.fleet import Fleet


def company_profile(fleet: Fleet) -> CompanyProfile:
    """Name, zone, currency, and in the file's order its divisions and sources."""
    return CompanyProfile(
        name=fleet.company.name,
        timezone=fleet.company.timezone,
        currency=fleet.company.currency,
        divisions=tuple(Division(name, label) for name, label in fleet.division_labels()),
        sources=tuple(
            SourceSystem(vendor, source.label, source.stale_after_hours) for vendor, source in fleet.sources.items()
        ),
    )
