"""The raw step syncs vendors side by side, reports each stream, and leaves nothing to Dagster's own retries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterInstance, Failure, materialize

from assets.raw import sync as raw_sync
from assets.raw.sync import SWEEP_EVERY, Vendor, raw_assets
from ops_platform.database import ensure_raw_tables
from ops_platform.failures import PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import Field, Page, Stream
from resources.postgres import WarehouseResource
from resources.vendor_clients import VendorsResource
from tests.conftest import Connect
from tests.ingestion.test_sync import Vendor as Source
from tests.ingestion.test_sync import order

STREAMS = {
    "good": Stream("acme", "good", "Good records."),
    "changed": Stream("acme", "changed", "Records of another shape.", fields={"amount": Field("number")}),
    "refused": Stream("acme", "refused", "Records nobody may read."),
}


class Acme(Source):
    def __init__(self) -> None:
        super().__init__([], None)
        self.streams = STREAMS

    def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Iterator[Page]:
        if stream.name == "refused":
            raise PermanentFailure("acme: grant the scope")
        yield Page([order(1)], cursor="c")


@pytest.fixture
def resources(warehouse: Connect, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", name, name) for name in STREAMS])
    monkeypatch.setattr(WarehouseResource, "connect", lambda self, role=None: warehouse())
    monkeypatch.setattr(VendorsResource, "source", lambda self, vendor: Acme())
    return {"warehouse": WarehouseResource(), "vendors": VendorsResource()}


def made(resources: dict[str, Any]) -> Any:
    raw = raw_assets([Vendor("acme", "Acme", STREAMS, owner="sales", division="sales")])
    return materialize([raw], resources=resources, instance=DagsterInstance.ephemeral(), raise_on_error=False)


def test_a_stream_that_fails_or_pauses_is_a_failing_check_and_the_others_go_on(resources: dict[str, Any]) -> None:
    result = made(resources)
    assert result.success
    found = result.get_asset_check_evaluations()
    checks = {each.asset_key.path[-1]: (each.passed, each.metadata["sync"].value) for each in found}
    assert checks == {"good": (True, "succeeded"), "changed": (False, "paused"), "refused": (False, "failed")}


@pytest.mark.parametrize(("error", "again"), [(PermanentFailure("no"), False), (TransientFailure("later"), True)])
def test_a_permanent_failure_of_the_step_is_not_tried_again(error: Exception, again: bool) -> None:
    from concurrent.futures import Future

    future: Future[None] = Future()
    future.set_exception(error)
    with pytest.raises((Failure, TransientFailure)) as raised:
        raw_sync._end_of(future)
    assert not isinstance(raised.value, Failure) or raised.value.allow_retries is again
    assert isinstance(raised.value, Failure) is not again


def test_no_pool_makes_a_run_for_one_vendor_wait_for_another_and_no_op_retries_by_itself() -> None:
    raw = raw_assets([Vendor("acme", "Acme", STREAMS, owner="sales", division="sales")])
    assert raw.op.pool is None
    assert raw.op.retry_policy is None
    assert SWEEP_EVERY.total_seconds() == 20 * 3600
