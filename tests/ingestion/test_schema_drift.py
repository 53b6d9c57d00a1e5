"""A field that is new is kept and told; one that something stands on and that changed or went pauses its stream."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.contract import Field, Page, Record, Rejected, Stream, SyncResult
from ops_platform.ingestion.schema_drift import FIELDS_OF_AN_OBJECT, Shape, accept
from ops_platform.ingestion.sync import sync_stream
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, TODAY, Vendor, rows
from tests.sizes import examples

READ = {"amount", "lines[].sku", "lines[].price.value", "customer", "customer.id"}
DEALS = Stream("acme", "deals", "Deals.", look_back=timedelta(minutes=15))


def readers(path: str) -> list[str]:
    return ["stg_acme__deals"] if path in READ else []


def deal(number: int, **fields: Any) -> Record:
    payload = {
        "id": f"d{number}",
        "amount": "10.00",
        "note": "hello",
        "customer": {"id": f"c{number}"},
        "lines": [{"sku": "A", "price": {"value": "1.00"}}, {"sku": "B", "price": {"value": "2.00"}}],
    }
    payload |= fields
    return Record(f"d{number}", {key: value for key, value in payload.items() if value is not ...}, NOW)


def learned(records: list[Record], stream: Stream = DEALS) -> Shape:
    shape = Shape(stream, readers=readers)
    shape.see(records)
    shape.finish(whole=True)
    assert shape.changes == []
    return shape


def compared(known: Shape, records: list[Record], *, whole: bool = False, stream: Stream = DEALS) -> list[str]:
    shape = Shape(stream, known.to_json(), known.records, readers)
    shape.see(records)
    shape.finish(whole=whole)
    return [f"{'pause ' if change.pauses else ''}{change.change} {change.path}" for change in shape.changes]


GOOD = [deal(n) for n in range(30)]


def test_the_same_shape_again_is_no_change() -> None:
    assert compared(learned(GOOD), GOOD, whole=True) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gift": True}, ["added gift"]),
        ({"gift": {"to": "Ann", "card": {"text": "hi"}}}, ["added gift"]),
        ({"amount": 10}, ["pause retyped amount"]),
        ({"amount": 10.5}, ["pause retyped amount"]),
        ({"note": 7}, ["retyped note"]),
        ({"customer": "c1"}, ["pause retyped customer"]),
        ({"lines": [{"sku": 5, "price": {"value": "1.00"}}]}, ["pause retyped lines[].sku"]),
        ({"lines": [{"sku": "A", "price": {"value": 1}}]}, ["pause retyped lines[].price.value"]),
        ({"lines": [{"sku": "A", "price": {"value": "1"}, "tax": 0}]}, ["added lines[].tax"]),
        ({"amount": ...}, ["pause removed amount"]),
        ({"note": ...}, ["removed note"]),
        ({"lines": [{"price": {"value": "1.00"}}]}, ["pause removed lines[].sku"]),
        ({"customer": {}}, []),  # an empty object says nothing about its fields
        ({"amount": None}, []),
        ({"lines": []}, []),
        ({"customer": None}, []),
    ],
)
def test_what_every_record_of_a_sync_says(fields: dict[str, Any], said: list[str]) -> None:
    assert compared(learned(GOOD), [deal(n, **fields) for n in range(30)]) == said


def test_one_retyped_record_among_thousands_is_seen_at_the_top_level() -> None:
    records = [deal(n) for n in range(3000)]
    records[1777] = deal(1777, amount=10)
    assert compared(learned(GOOD), records) == ["pause retyped amount"]


def test_absent_from_some_is_optional() -> None:
    known = learned([deal(n, amount=... if n % 7 else "1") for n in range(30)])
    assert compared(known, [deal(n, amount=...) for n in range(300)], whole=True) == []
    assert compared(learned(GOOD), [deal(n, amount=... if n % 2 else "1") for n in range(30)]) == []


def test_a_few_records_without_a_field_prove_nothing_until_they_are_many() -> None:
    known = learned(GOOD)
    for _ in range(2):
        shape = Shape(DEALS, known.to_json(), known.records, readers)
        shape.see([deal(1, amount=...)])
        shape.finish(whole=False)
        assert shape.changes == []
        known = shape
    assert compared(known, [deal(1, amount=...)]) == ["pause removed amount"]
    assert compared(known, [deal(1)]) == []
    assert compared(learned(GOOD), [deal(1, amount=...)], whole=True) == ["pause removed amount"]


def test_null_then_a_value_is_learned_quietly() -> None:
    assert compared(learned([deal(n, amount=None) for n in range(30)]), GOOD) == []
    assert compared(learned([deal(n, amount="1" if n else 5) for n in range(9)]), [deal(1, amount=7)]) == []


def test_declared_fields_are_judged_from_the_first_sync() -> None:
    fields = {"amount": Field("string"), "lines[].sku": Field("string|number"), "gift": Field("boolean", False)}
    stream = Stream("acme", "deals", "Deals.", fields=fields)
    nothing = Shape(stream)
    assert compared(nothing, GOOD, stream=stream) == []
    assert compared(nothing, [deal(1, amount=5)], stream=stream) == ["pause retyped amount"]
    assert compared(nothing, [deal(n, amount=...) for n in range(3)], stream=stream) == ["pause removed amount"]
    assert compared(nothing, [deal(1, lines=[{"sku": 5}])], stream=stream) == []
    assert compared(nothing, [deal(1, gift="yes")], stream=stream) == ["pause retyped gift"]
    known = learned(GOOD, stream)
    assert compared(known, [deal(n, amount=None) for n in range(3)], stream=stream) == ["pause removed amount"]
    with pytest.raises(ValueError, match="not a JSON type"):
        Field("text")


def test_data_in_keys_is_no_field() -> None:
    known = learned([deal(n, per_day={f"2026-{n:03}": 1}) for n in range(100)])
    assert compared(known, [deal(n, per_day={f"2027-{n:03}": 1}) for n in range(200)], whole=True) == []
    wide = learned([deal(n, fields={f"f{k}": 1 for k in range(FIELDS_OF_AN_OBJECT)}) for n in range(3)])
    assert compared(wide, [deal(1, fields={f"f{k}": 1 for k in range(FIELDS_OF_AN_OBJECT + 9)})]) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=6), max_size=12)


@settings(max_examples=examples(150), deadline=None)
@given(PAYLOADS)
def test_no_payload_breaks_it_and_what_was_learned_is_known(payloads: list[dict[str, Any]]) -> None:
    records = [Record(f"r{n}", payload) for n, payload in enumerate(payloads)]
    shape = Shape(DEALS, readers=lambda path: ["everything"])
    shape.see(records)
    shape.finish(whole=True)
    assert shape.changes == []
    again = Shape(DEALS, shape.to_json(), shape.records, lambda path: ["everything"])
    again.see(records)
    again.finish(whole=True)
    assert again.changes == []


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(1, 2000), st.sampled_from(["10", 10, True, {"a": 1}, ["x"]]), st.data())
def test_a_retyped_field_is_found_wherever_it_stands(count: int, value: Any, data: st.DataObject) -> None:
    """Found in any one record at the top level; the type it had is never reported."""
    place = data.draw(st.integers(0, count - 1))
    records = [deal(n) for n in range(count)]
    records[place] = deal(place, amount=value)
    said = compared(learned(GOOD), records)
    assert said == ([] if isinstance(value, str) else ["pause retyped amount"])


# -- through the loader -------------------------------------------------------------------------------------


class Deals(Vendor):
    def __init__(self, *pages: Page | Exception) -> None:
        super().__init__(pages, None)


FIELDS = {"amount": Field("string"), "note": Field("string", required=False)}
DECLARED = Stream("acme", "deals", "Deals.", look_back=timedelta(minutes=15), fields=FIELDS)


def run(connect: Connect, *pages: Page | Exception, stream: Stream = DECLARED) -> SyncResult:
    with connect() as connection:
        connection.autocommit = True
        ensure_raw_tables(connection, [("acme", stream.name, "d")])
        return sync_stream(connection, Deals(*pages), stream, now=NOW, today=TODAY)


def test_a_paused_stream_lands_nothing_until_accepted_or_put_right(warehouse: Connect) -> None:
    assert run(warehouse, Page(GOOD, cursor="c1")).status == "succeeded"
    before = rows(warehouse, "select id, xmin::text from raw_acme.deals order by id")
    retyped = Page([deal(n, amount=n) for n in range(5)], cursor="c2")
    for _ in range(2):
        result = run(warehouse, Page([deal(99)], cursor="c2"), retyped)
        assert result.status == "paused"
        assert "amount was string and is now number" in str(result.error)
        assert "ops schema accept acme deals" in str(result.error)
    assert rows(warehouse, "select id, xmin::text from raw_acme.deals order by id") == before
    assert rows(warehouse, "select cursor from ops.cursors") == [("c1",)]
    assert rows(warehouse, "select path, change, state, pauses from ops.schema_changes") == [
        ("amount", "retyped", "open", True)
    ]
    # The vendor puts it right: the stream goes on by itself.
    assert run(warehouse, Page([deal(99)], cursor="c2")).status == "succeeded"
    assert rows(warehouse, "select state from ops.schema_changes") == [("withdrawn",)]
    # It comes again, and a person accepts it.
    assert run(warehouse, retyped).status == "paused"
    with warehouse() as connection:
        accepted = accept(connection, "acme", "deals", now=NOW, by="Ann")
        assert [change.path for change in accepted] == ["amount"]
        assert accept(connection, "acme", "deals", now=NOW, by="Ann") == []
    assert run(warehouse, retyped).status == "succeeded"
    assert run(warehouse, Page([deal(1, amount=True)], cursor="c3")).status == "paused"


def test_a_removed_field_is_optional_once_accepted(warehouse: Connect) -> None:
    run(warehouse, Page(GOOD, cursor="c1"))
    without = Page([deal(n, amount=...) for n in range(5)], cursor="c2")
    assert "amount (string) is gone from every record" in str(run(warehouse, without).error)
    with warehouse() as connection:
        accept(connection, "acme", "deals", now=NOW, by="Ann")
    assert run(warehouse, without).status == "succeeded"
    assert run(warehouse, Page(GOOD, cursor="c3")).status == "succeeded"


def test_a_new_field_is_landed_and_told_once(warehouse: Connect) -> None:
    run(warehouse, Page(GOOD, cursor="c1"))
    result = run(warehouse, Page([deal(n, gift="yes") for n in range(3)], cursor="c2"))
    assert (result.status, result.new_fields) == ("succeeded", ("gift",))
    assert run(warehouse, Page([deal(n, gift="no") for n in range(3)], cursor="c3")).new_fields == ()
    assert rows(warehouse, "select count(*) from raw_acme.deals where payload ? 'gift'") == [(3,)]
    assert rows(warehouse, "select path, change, state from ops.schema_changes") == [("gift", "added", "noted")]


def test_other_streams_go_on(warehouse: Connect) -> None:
    from ops_platform.ingestion.sync import sync_vendor

    class Two(Vendor):
        def pages(self, stream: Stream, cursor: str | None, *, now: Any) -> Any:
            yield Page([deal(1, amount=1) if stream.name == "deals" else deal(2)], cursor="c")

    streams = [DECLARED, Stream("acme", "others", "Others.")]
    with warehouse() as connection:
        ensure_raw_tables(connection, [("acme", stream.name, "x") for stream in streams])
    results = list(sync_vendor(warehouse, Two([]), streams, now=NOW, today=TODAY))
    assert [result.status for result in results] == ["paused", "succeeded"]


def test_a_page_refused_whole_pauses_instead_of_filling_the_quarantine(warehouse: Connect) -> None:
    run(warehouse, Page(GOOD, cursor="c1"))
    refused = [Rejected("invalid_money", "amount is 5, not a decimal number as text", "{}", f"d{n}") for n in range(5)]
    result = run(warehouse, Page([], refused, cursor="c2"))
    assert result.status == "paused"
    assert "refused as invalid_money" in str(result.error)
    assert rows(warehouse, "select count(*) from ops.quarantine") == [(0,)]
    with warehouse() as connection:
        accept(connection, "acme", "deals", now=NOW, by="Ann")
    result = run(warehouse, Page([], refused, cursor="c2"))
    assert (result.status, result.quarantined) == ("succeeded", 5)


def test_a_failed_sync_teaches_nothing(warehouse: Connect) -> None:
    from ops_platform.failures import TransientFailure

    run(warehouse, Page(GOOD, cursor="c1"))
    known = rows(warehouse, "select fields from ops.stream_shapes")
    run(warehouse, Page([deal(1, note=..., gift=1)], cursor="c2"), TransientFailure("reset"))
    assert rows(warehouse, "select fields from ops.stream_shapes") == known
    assert rows(warehouse, "select count(*) from ops.schema_changes") == [(0,)]


def test_the_staging_models_of_the_project_say_what_is_read() -> None:
    from ops_platform.warehouse.lineage import lineage

    found = lineage()
    assert "stg_shopify__orders" in found.field_readers("shopify", "orders", "totalPriceSet.shopMoney.amount")
    assert "stg_shopify__order_lines" in found.field_readers("shopify", "orders", "lineItems[].quantity")
    assert found.field_readers("shopify", "orders", "noSuchField") == []
    assert "stg_netsuite__transactions" in found.field_readers("netsuite", "transactions", "foreigntotal")
    assert "net_sales" in {metric.id for metric in found.lost_metrics(["shopify.orders"])}
    assert "net_sales" not in {metric.id for metric in found.lost_metrics(["slack.messages"])}
