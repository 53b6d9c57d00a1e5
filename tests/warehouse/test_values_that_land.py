"""What a connector's checks let land, staging can read: one value that SQL cannot cast would stop every build.

Every value of a rich record of each stream is replaced, one at a time, by what a vendor should not send there and may.
Either the record is refused, as it would be in a sync, or every staging model of the stream still reads it.

Belongs here: that one rule. Does not belong here: which values each check refuses (`tests/connectors`), builds in which
something is wrong (`test_poisoned_builds.py`).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from ops_platform.failures import OpsError
from ops_platform.ingestion.sync import sync_stream
from sandbox.server import Sandbox, running
from tests.connectors.conftest import NOW
from tests.faults.scenarios import clients_of, source_at
from tests.sizes import WHOLE
from tests.warehouse.conftest import MakeWarehouse
from tests.warehouse.dbt_warehouse import DbtWarehouse

Path_ = tuple[str | int, ...]
VENDORS = [
    "github", "amazon", "hubspot", "app",
    *(
        pytest.param(vendor, marks=pytest.mark.slow)
        for vendor in ("shopify", "netsuite", "slack", "klaviyo", "airtable")
    ),
]  # fmt: skip

#: What the connector adds to what came, before it is checked: with all that is in it, or (as a place) without.
OURS: dict[str, set[str | Path_]] = {
    "airtable": {
        "entity", "base_id", "table_id", "fields", "currency", "entities", "field_count", "options", "ignored",
    },
    "hubspot": {"from_type", "from_id", "to_type"},
    "klaviyo": {"metric", "metrics", "names", "more", ("messages",), ("attributions",)},
}  # fmt: skip

OF_ANOTHER_KIND: list[Any] = ["1.5", "9" * 30, "1e30", "x", True, 7, [], {}, [{}], {"a": 1}, ["x"], 1e300]
#: Computed by the connector, or landed whole: no record of theirs is ever checked anew.
UNTRIED = {"klaviyo": {"metric_aggregates"}, "amazon": {"account_health"}}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(seed=7, clock=NOW, state=tmp_path_factory.mktemp("sandbox"), netsuite_key="ec") as made:
        yield made


@pytest.fixture(scope="module")
def warehouse_of_all(make_warehouse: MakeWarehouse) -> DbtWarehouse:
    made = make_warehouse()
    made.clock(NOW)
    return made


def places(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Where there is a value below `value`; of a list the first element stands for all."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*at, key)
        yield from places(item, (*at, key))


def strange(value: Any) -> list[Any]:
    """What may stand there instead: of the same kind, and where long proofs are run of any other."""
    return [*strange_of_its_kind(value), *(OF_ANOTHER_KIND if WHOLE[0] else ())]


def strange_of_its_kind(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [None]
    if isinstance(value, str):
        return [None, "", "2026-W47-4T12:00:00+00:00", "2026-11-20T12:00:00+23:00", "\u0661\u0662"]
    if isinstance(value, Decimal):
        return [None, 2**63, 2**63 - 1, Decimal("1.5"), Decimal("1E+400"), Decimal("-0")]
    if isinstance(value, int | float):
        return [None, 2**40, 2**63, 2**63 - 1, 1.5]
    return [None, [None]] if isinstance(value, list) else [None]


def replaced(payload: Any, place: Path_, value: Any) -> Any:
    changed = copy.deepcopy(payload)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return changed


@pytest.fixture
def came(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of the vendors whose objects do not land as they come: what each was, by the id it landed under."""
    from resources.airtable import source as airtable
    from resources.hubspot import source as hubspot
    from resources.klaviyo import records as klaviyo

    seen: dict[str, Any] = {}

    def noting(checked: Callable[..., Any]) -> Callable[..., Any]:
        def noted(items: Iterable[Any], *check: Any) -> Any:
            items = list(items)
            good, bad = checked(items, *check)
            if not bad:
                seen.update((record.id, item) for record, item in zip(good, items, strict=True))
            return good, bad

        return noted

    def association(target: Any) -> Any:
        record = check_association(target)
        seen[record.id] = target
        return record

    check_association = hubspot.check_association
    monkeypatch.setattr(hubspot, "check_association", association)
    monkeypatch.setattr(airtable, "_checked", noting(airtable._checked))
    monkeypatch.setattr(klaviyo, "checked", noting(klaviyo.checked))
    return seen


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("vendor", VENDORS)
def test_what_lands_is_read(
    vendor: str, sandbox: Sandbox, warehouse_of_all: DbtWarehouse, came: dict[str, Any]
) -> None:
    warehouse, connection = warehouse_of_all, warehouse_of_all.connection
    source = source_at(vendor, sandbox.url, {key.lower(): value for key, value in sandbox.environment().items()})
    for http in clients_of(source):
        http.sleep = lambda _: None
    for stream in source.streams.values():
        assert sync_stream(connection, source, stream, now=NOW, today=NOW.date()).status == "succeeded", stream.name
        # The one that says most: what it has, the others have too.
        longest = f"select id from raw_{vendor}.{stream.name} order by length(payload::text) desc, id limit 1"
        connection.execute(f"delete from raw_{vendor}.{stream.name} where id not in ({longest})".encode())
    warehouse._invoke("run", "--full-refresh", "--select", f"+path:models/staging/{vendor}")
    compiled = Path(warehouse.scratch, "target", "compiled").rglob(f"models/staging/{vendor}/*.sql")
    models = {file.stem: file.read_text(encoding="utf-8") for file in compiled}
    assert models
    tried: Counter[str] = Counter()
    broken = []
    for stream in source.streams.values():
        table = f'"raw_{vendor}"."{stream.name}"'
        reading = {name: sql for name, sql in models.items() if table in sql}
        for identity, payload in connection.execute(f"select id, payload from {table}".encode()).fetchall():
            item = came.get(identity, payload)
            for place in places(item):
                if not {place[0], place}.isdisjoint(OURS.get(vendor, ())):
                    continue
                value: Any = item
                for key in place:
                    value = value[key]
                # Rows of a database come as text.
                for other in strange(value) if vendor != "app" else strange_of_its_kind(value):
                    try:
                        page = source.recheck(stream, [replaced(item, place, other)], now=NOW)
                    except OpsError:
                        continue  # what is not landed record by record
                    for record in page.records:
                        tried[stream.name] += 1
                        broken += [
                            (stream.name, ".".join(map(str, place)), other, said)
                            for said in unread(connection, table, identity, record.payload, reading)
                        ]
    source.close()
    assert not broken, broken
    assert {name for name in source.streams if not tried[name]} == UNTRIED.get(vendor, set())
    assert tried.total() > 20


def unread(
    connection: psycopg.Connection[Any], table: str, identity: str, payload: Any, models: dict[str, str]
) -> Iterator[str]:
    """What the models that cannot read the table with this payload in it say."""
    for name, sql in models.items():
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(
                    f"update {table} set payload = %s where id = %s".encode(),
                    (orjson.dumps(payload).decode(), identity),
                )
                connection.execute(f"select row(read.*)::text from ({sql}) as read".encode())
        except psycopg.errors.DataError as error:
            yield f"{name}: {error}"
