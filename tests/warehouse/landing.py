"""What a connector reads, landed in a warehouse to test.

Belongs here: the way of a source's streams into `DbtWarehouse.land`. Does not belong here: starting the sandbox and
connecting to it (`tests.connectors.conftest`), payloads made by hand (`tests.warehouse.payloads`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ops_platform.ingestion.contract import VendorSource
from tests.connectors.conftest import read
from tests.warehouse.dbt_warehouse import DbtWarehouse


def land_streams(
    warehouse: DbtWarehouse, vendor: str, source: VendorSource, names: Iterable[str], at: datetime
) -> None:
    """One whole sync of each of these streams, as of `at`."""
    for name in names:
        payloads = read(source, name, now=at).payloads
        warehouse.land(vendor, name, payloads.values(), at, ids=payloads)
