"""What every connector must do, whoever the vendor is: the basic acceptance of a source, over the whole registry.

Belongs here: promises that need no knowledge of a vendor. Does not belong here: a vendor's own protocol
(`test_<vendor>_source.py`), kills and storms (`tests/faults`).

A vendor of the registry is covered without being named here. What one of them cannot promise is listed with why.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources.vendors import VENDORS, streams
from tests.connectors.conftest import NOW, World, started
from tests.faults.oracle import state
from tests.faults.scenarios import source_at

TODAY = date(2024, 12, 5)
STAGING = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "staging"
FUTURE = "2099-01-01T00:00:00+00:00"
Connect = Callable[[], "psycopg.Connection[Any]"]

# (vendor, stream, field): why no record of the sandbox has it.
FIELDS_NOT_SHOWN: dict[tuple[str, str, str], str] = {
    ("slack", "messages", "subtype"): "an ordinary message has none, and the company's people write nothing else",
    ("slack", "messages", "bot_id"): "no bot writes in the channels of factories and partners",
    ("netsuite", "purchase_orders", "quantityshiprecv"): "the name in payloads of before `quantityreceived`",
    ("amazon", "orders", "associatedOrders"): "of replacements only, and five weeks of trade had none",
}


@pytest.fixture
def connection(warehouse: Connect) -> Iterator[psycopg.Connection[Any]]:
    with warehouse() as opened:
        yield opened


@pytest.fixture(scope="module")
def quiet_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox whose data nobody changes."""
    yield from started(tmp_path_factory.mktemp("sandbox"))


def connected(world: World, vendor: str) -> Any:
    environment = {key.lower(): value for key, value in world.control("/environment", method="GET").items()}
    return source_at(vendor, world.url, environment)


def sync(connection: Any, source: Any, name: str) -> Any:
    return sync_stream(connection, source, source.streams[name], now=NOW, today=TODAY)


@pytest.mark.parametrize("vendor", VENDORS)
def test_reads_are_repeatable(vendor: str, quiet_world: World, connection: psycopg.Connection[Any]) -> None:
    """Every stream has records and ties out; read again, whole or from its cursor, nothing is written; a cursor far
    ahead of the clock does no damage."""
    ensure_raw_tables(connection, [(vendor, each.name, each.description) for each in streams(vendor).values()])
    connection.commit()
    connection.autocommit = True
    source = connected(quiet_world, vendor)
    for name, stream in source.streams.items():
        first = sync(connection, source, name)
        assert (first.status, first.error) == ("succeeded", None), (name, first)
        assert first.inserted > 0, f"{vendor}.{name} has no record in the sandbox"
        assert first.received == first.inserted + first.duplicates + first.quarantined, (name, first)
        assert first.tie_out == ("matched" if stream.ties_out else "not_checked"), (name, first)
        before = state(connection, vendor, name)
        again = sync(connection, source, name)
        assert (again.status, again.changed, again.revived) == ("succeeded", 0, 0), (name, again)
        assert state(connection, vendor, name).digest == before.digest, name
        connection.execute("delete from ops.cursors where vendor = %s and stream = %s", (vendor, name))
        whole = sync(connection, source, name)
        assert (whole.status, whole.changed, whole.revived) == ("succeeded", 0, 0), (name, whole)
        assert state(connection, vendor, name).digest == before.digest, name
        if stream.full_refresh:
            continue
        connection.execute(
            "update ops.cursors set cursor = %s where vendor = %s and stream = %s", (FUTURE, vendor, name)
        )
        ahead = sync(connection, source, name)
        assert ahead.status == "succeeded" or (ahead.status == "failed" and ahead.error), (name, ahead)
        assert ahead.changed == 0 and ahead.received <= whole.received, (name, ahead)
        assert state(connection, vendor, name).digest == before.digest, name
    source.close()


@pytest.mark.parametrize("vendor", VENDORS)
def test_only_the_configured_host_is_spoken_to(
    vendor: str, quiet_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And every field that staging reads is there in some record."""
    source = connected(quiet_world, vendor)
    spoken_to: set[Any] = set()
    really = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            spoken_to.add(address[:2])
        really(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    keys: dict[str, set[str]] = {}
    for name, stream in source.streams.items():
        found = keys.setdefault(name, set())
        for page in source.pages(stream, None, now=NOW):
            for record in page.records:
                found.update(record.payload)
    probes = list(source.probe())
    source.close()
    monkeypatch.undo()
    port = int(quiet_world.url.rsplit(":", 1)[1])
    assert spoken_to <= {("127.0.0.1", port)}, spoken_to
    assert probes and all(getattr(probe, "ok", True) for probe in probes), probes
    for (stream_name, field), models in fields_read(vendor).items():
        if (vendor, stream_name, field) in FIELDS_NOT_SHOWN or stream_name not in keys:
            continue
        assert field in keys[stream_name], f"{vendor}.{stream_name}: no record has {field}, which {models} reads"


def fields_read(vendor: str) -> dict[tuple[str, str], set[str]]:
    """(stream, top-level field of the payload) → the staging models that read it, from their SQL."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted((STAGING / vendor).glob("*.sql")):
        text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
        sources = set(re.findall(rf"source\(\s*'raw_{vendor}'\s*,\s*'(\w+)'\s*\)", text))
        if len(sources) != 1:
            # Of a model over several sources it cannot be told whose payload is read.
            continue
        names = set(re.findall(r"\bpayload\s*->>?\s*'(\w+)'", text))
        for columns in re.findall(r"jsonb_to_record\(\s*\w+\.payload\s*\)\s+as\s+\w+\s*\((.*?)\n\)", text, re.DOTALL):
            names |= set(re.findall(r'^\s*"?(\w+)"? \w+(?:\[\])?,?$', columns, re.MULTILINE))
        for name in names:
            found.setdefault((next(iter(sources)), name), set()).add(path.stem)
    return found


def test_the_reading_of_staging_models_finds_fields() -> None:
    assert len(fields_read("shopify")) > 50
