"""The `health` section of `fleet.yaml`: what the fleet's health goes by, and how long its traces are kept.

Belongs here: the shape of that section and its defaults. Does not belong here: weights
(`dbt_project/seeds/score/fleet_health_weights.csv`), the formula (`health.py`), deleting (`ops_platform.retention`).
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from ops_platform.fleet.entries import Entry, Exact


class Retention(Entry):
    """How many days each is kept. `runs`: Dagster's runs with their events and logs; the newest of each job stays in
    any case. `health`: every score; after it one a day. `syncs`: receipts of syncs, the newest of each stream
    stays, and settled records of quarantine."""

    runs: int = Field(default=60, ge=7)
    health: int = Field(default=90, ge=7)
    observations: int = Field(default=35, ge=7)
    syncs: int = Field(default=400, ge=90)
    receipts: int = Field(default=400, ge=90)


class HealthPolicy(Entry):
    """The whole section.

    `message_below`: a score under it twice running is told. `baseline_usd_per_output`: what a delivered output may cost
    for full marks in token efficiency, measured over `token_days`. `patience_minutes`: how late after its tick a run
    may begin, and how long after it a look at the services is believed. `expected_days`: how far ahead the watchdog is
    told when jobs are due. `database_limit_gb`: from this size the watchdog speaks."""

    message_below: Exact = Field(default=Decimal(70), gt=0, lt=100)
    baseline_usd_per_output: Exact = Field(default=Decimal("0.02"), gt=0)
    token_days: int = Field(default=7, ge=1, le=31)
    patience_minutes: int = Field(default=25, ge=5, le=120)
    expected_days: int = Field(default=8, ge=2, le=31)
    database_limit_gb: Exact = Field(default=Decimal(10), gt=0)
    retention: Retention = Retention()
