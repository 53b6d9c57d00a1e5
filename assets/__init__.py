"""What is made, in the order data flows. Reading LAYERS is reading the pipeline.

    raw        vendors' records, one asset a stream
    warehouse  dbt: staging, intermediate, marts, metrics
    watch      what every metric was expected to be, and whether it was
    health     is the machine well: the fleet's score
    alerts     all that was looked at, taken in by the alert machine; the receipt of silence
    briefings  the reports that jobs of fleet.yaml describe, and what jobs without one collect
    evidence   numbered facts of one document, with their proof
    reports    the document, written and checked
    delivery   the message, once
    narratives the day, the week and the month in review, each building on the tier below
    board_pack the month for the board: evidence, pages, the question whether it may be sent

Belongs here: the order. Does not belong here: anything made (one module a layer).
"""

from __future__ import annotations

from importlib import import_module

from dagster import AssetsDefinition

LAYERS: dict[str, tuple[str, ...]] = {
    "raw": ("assets.raw",),
    "watch": ("assets.watch",),
    "health": ("assets.health",),
    "alerts": ("assets.alerts",),
    "evidence": ("assets.evidence",),
    "reports": ("assets.reports",),
    "delivery": ("assets.delivery",),
    "narratives": ("assets.narratives",),
    "board_pack": ("assets.board_pack",),
}


def all_assets() -> list[AssetsDefinition]:
    """Every asset of the platform, in the order of the layers."""
    from assets.briefings import briefing_assets
    from assets.warehouse import warehouse_assets
    from ops_platform.fleet import get_fleet

    made = [
        value
        for modules in LAYERS.values()
        for module in modules
        for value in vars(import_module(module)).values()
        if isinstance(value, AssetsDefinition)
    ]
    return [*made, *briefing_assets(get_fleet()), warehouse_assets()]
