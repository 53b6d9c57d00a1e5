"""Airtable through the loader into a real warehouse: lands, ties out, follows changes, pauses what must pause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources.airtable import STREAMS
from tests.connectors.conftest import NOW, World

TODAY = date(2024, 12, 5)
SPEND = {"base": "Paid media", "table": "Daily spend"}
Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [(each.vendor, each.name, each.description) for each in STREAMS.values()])
        opened.commit()
        opened.autocommit = True
        yield opened


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": TODAY, **more})


def later(world: World, **more: float) -> Any:
    """Move the sandbox's clock, its company standing still."""
    at = NOW + timedelta(**more)
    world.control("/clock", {"now": at.isoformat(), "company": "keep"})
    return at


def landed(connection: Any, name: str, what: str, where: str = "true") -> Any:
    row = connection.execute(
        f"select {what} from raw_airtable.{name} where deleted_at is null and {where}".encode()
    ).fetchone()
    return row[0] if row else None


def test_every_stream_lands_ties_out_and_a_second_sync_writes_nothing(own_world: World, connection: Any) -> None:
    source = own_world.airtable()
    for name in source.streams:
        first = sync(connection, source, name, sweep=True)
        assert (first.status, first.error, first.tie_out) == ("succeeded", None, "matched"), (name, first)
        assert first.inserted == first.received > 0 and first.quarantined == 0, (name, first)
    source = own_world.airtable()
    for name in source.streams:
        second = sync(connection, source, name, sweep=True)
        assert (second.status, second.error, second.tie_out) == ("succeeded", None, "matched"), (name, second)
        assert (second.inserted, second.updated, second.deleted, second.revived) == (0, 0, 0, 0), (name, second)
    assert landed(connection, "bases", "count(*)") == 42
    # Exact to the cent, and every day of it.
    assert connection.execute(
        "select count(*), sum(source_amount) = sum(landed_amount) from ops.tie_outs"
        " where stream = 'paid_media_spend' and status = 'matched'"
    ).fetchone() == (33, True)


def test_changes_late_changes_and_deletes(own_world: World, connection: Any) -> None:
    sync(connection, own_world.airtable(), "paid_media_spend")
    identities = own_world.mutate("airtable", "find", **SPEND, field="Channel", value="Google Ads")["ids"]
    at = later(own_world, hours=3)
    own_world.mutate("airtable", "put_record", **SPEND, id=identities[2], fields={"Spend": 1.1})
    new = {"Channel": "Google Ads", "Date": "2024-11-07", "Spend": 5}
    own_world.mutate(
        "airtable", "put_record", **SPEND, id="recLATE0000000001", created="2024-11-08T12:00:00Z", fields=new
    )
    own_world.mutate("airtable", "delete_record", **SPEND, id=identities[3])
    result = sync(connection, own_world.airtable(), "paid_media_spend", now=at)
    assert (result.inserted, result.updated, result.deleted) == (1, 1, 0) and result.received == 2
    assert landed(connection, "paid_media_spend", "payload->>'spend'", f"id like '%{identities[2]}'") == "1.1"
    swept = sync(connection, own_world.airtable(), "paid_media_spend", now=at, sweep=True)
    assert (swept.sweep, swept.deleted) == ("done", 1)
    # What a formula computes anew is no change to Airtable: it comes with the whole read of the next night.
    price = {"base": "Market watch", "table": "Competitor prices"}
    sync(connection, own_world.airtable(), "competitor_prices", now=at)
    one = own_world.mutate("airtable", "find", **price, field="Competitor", value="Sonora")["ids"][0]
    at = later(own_world, hours=4)
    own_world.mutate("airtable", "recompute", **price, id=one, fields={"List price": 999.99})
    assert sync(connection, own_world.airtable(), "competitor_prices", now=at).updated == 0
    at = later(own_world, hours=25)
    assert sync(connection, own_world.airtable(), "competitor_prices", now=at).updated == 1
    assert landed(connection, "competitor_prices", "payload->>'list_price'", f"id like '%{one}'") == "999.99"


def test_renamed_things_flow_on(own_world: World, connection: Any) -> None:
    sync(connection, own_world.airtable(), "paid_media_spend")
    own_world.mutate("airtable", "rename_field", **SPEND, field="Spend", to="Ausgaben 💶")
    own_world.mutate("airtable", "rename_table", **SPEND, to="Media plan")
    own_world.mutate("airtable", "rename_base", base="Paid media", to="Paid media (2025)")
    at = later(own_world, hours=25)
    there = {"base": "Paid media (2025)", "table": "Media plan"}
    one = own_world.mutate("airtable", "find", **there, field="Channel", value="Meta Ads")["ids"][5]
    own_world.mutate("airtable", "put_record", **there, id=one, fields={"Ausgaben 💶": 77})
    result = sync(connection, own_world.airtable(), "paid_media_spend", now=at)
    assert (result.status, result.error, result.updated, result.tie_out) == ("succeeded", None, 1, "matched")
    assert landed(connection, "paid_media_spend", "payload->>'spend'", f"id like '%{one}'") == "77"
    # And once more, from what was remembered.
    assert sync(connection, own_world.airtable(), "paid_media_spend", now=at + timedelta(hours=1)).error is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"op": "remove_field", "field": "Status"}, "was removed: restore it"),
        ({"op": "retype_field", "field": "Status", "type": "number"}, "held text and is number now"),
        ({"op": "hide_base"}, "not among those the token may see"),
        ({"op": "remove_table"}, "is gone: restore it"),
    ],
)
def test_one_base_pauses_and_the_others_go_on(
    own_world: World, connection: Any, change: dict[str, Any], says: str
) -> None:
    base, other = "P01 Aurora Buds refresh", "P02 Arc headphones ANC firmware"
    assert sync(connection, own_world.airtable(), "projects").tie_out == "matched"
    whole = landed(connection, "projects", "count(*)")
    op = change.pop("op")
    own_world.mutate("airtable", op, base=base, table="Projects", **change)
    at = later(own_world, hours=2)
    fresh = {"Project": "New one", "Status": "Planned"}
    own_world.mutate("airtable", "put_record", base=other, table="Projects", fields=fresh)
    result = sync(connection, own_world.airtable(), "projects", now=at, sweep=True)
    assert (result.status, result.inserted, result.deleted) == ("succeeded", 1, 0)
    assert result.tie_out == "unknown" and base in str(result.error) and says in str(result.error)
    assert result.sweep == "held" and base in str(result.held)
    # Fresh only up to when that base was last read; nothing of it was lost.
    assert result.fresh_to == NOW and landed(connection, "projects", "count(*)") == whole + 1
    again = sync(connection, own_world.airtable(), "projects", now=at + timedelta(hours=1))
    assert again.tie_out == "unknown" and says in str(again.error)


def test_a_base_that_comes_back_is_read_from_where_it_stood(own_world: World, connection: Any) -> None:
    base = {"base": "P01 Aurora Buds refresh"}
    sync(connection, own_world.airtable(), "projects")
    own_world.mutate("airtable", "hide_base", **base)
    at = later(own_world, hours=2)
    sync(connection, own_world.airtable(), "projects", now=at)
    own_world.mutate("airtable", "put_record", **base, table="Projects", fields={"Name": "Meanwhile", "Status": "Done"})
    own_world.mutate("airtable", "show_base", **base)
    result = sync(connection, own_world.airtable(), "projects", now=at + timedelta(hours=3), sweep=True)
    assert (result.inserted, result.tie_out, result.sweep) == (1, "matched", "done")
    assert result.fresh_to == at + timedelta(hours=3)


def test_formula_errors_are_null_and_told(own_world: World, connection: Any) -> None:
    sync(connection, own_world.airtable(), "projects")
    rows = connection.execute(
        "select payload->>'progress', payload->>'rag', payload->'problems' from raw_airtable.projects"
        " where payload->'problems' <> 'null'"
    ).fetchall()
    assert (None, None, {"progress": "NaN", "rag": "#ERROR!"}) in rows


def test_what_a_cell_may_not_be_is_quarantined_with_its_reason(own_world: World, connection: Any) -> None:
    bad = {"Channel": "X", "Date": "yesterday", "Spend": 3}
    own_world.mutate("airtable", "put_record", **SPEND, id="recBADBADBADBAD01", fields=bad)
    result = sync(connection, own_world.airtable(), "paid_media_spend")
    assert result.quarantined == 1 and result.received == result.inserted + 1
    row = connection.execute("select reason, detail from ops.quarantine").fetchone()
    assert row[0] == "invalid_timestamp" and "spent_on" in row[1]
