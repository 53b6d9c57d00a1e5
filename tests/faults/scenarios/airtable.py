"""Airtable: the table of paid media spend (money), the sample requests, and the bases themselves.

Belongs here: what the bases hold and how they change. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox

# stream → base, table, the field compared
_TABLES = {
    "paid_media_spend": ("Paid media", "Daily spend", "Spend"),
    "sample_requests": ("Sample requests", "Requests", "Quantity"),
}


def _table(sandbox: Sandbox, stream: str) -> tuple[Any, Any, Any]:
    base_name, table_name, field_name = _TABLES[stream]
    base = sandbox.sides["airtable"].world.base_named(base_name)  # type: ignore[attr-defined]
    table = base.table_named(table_name)
    return base, table, table.field_named(field_name)


def census(sandbox: Sandbox, stream: str) -> Held:
    if stream == "bases":
        bases = sandbox.sides["airtable"].world.bases.values()  # type: ignore[attr-defined]
        return {base.id: (base.name,) for base in bases if not base.hidden}
    base, table, field = _table(sandbox, stream)
    return {
        f"{base.id}:{record.id}": (f"{Decimal(str(record.cells[field.id])):.2f}" if field.id in record.cells else None,)
        for record in table.records.values()
    }


def change(meanwhile: Meanwhile) -> None:
    step, draw = meanwhile.step, meanwhile.draw
    for stream in _TABLES:
        base, table, field = _table(meanwhile.sandbox, stream)
        records = sorted(table.records)
        model = table.records[draw.choice(records)]
        # A computed cell is nobody's to write.
        cells = {
            table.fields[key].name: value
            for key, value in model.cells.items()
            if table.fields[key].type in ("singleLineText", "singleSelect", "date", "dateTime", "multilineText")
        }
        where = {"base": base.name, "table": table.name}
        meanwhile.mutate("airtable", "put_record", fields={**cells, field.name: step}, **where)
        meanwhile.mutate("airtable", "put_record", id=draw.choice(records), fields={field.name: 1000 + step}, **where)
        if step % 4 == 0:
            meanwhile.mutate("airtable", "delete_record", id=draw.choice(records), **where)
    if step == 3:
        meanwhile.mutate("airtable", "add_base", name="Kill 工厂 <!channel>")


SCENARIO = Scenario(
    "airtable",
    ("paid_media_spend", "sample_requests", "bases"),
    census,
    {
        "paid_media_spend": "(payload->>'spend')::numeric(12, 2)::text",
        "sample_requests": "(payload->>'quantity')::numeric(12, 2)::text",
        "bases": "payload->>'name'",
    },
    change,
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
