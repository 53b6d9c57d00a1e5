"""Files an agent hands over beside its answer: a list as a table for a spreadsheet.

Belongs here: from a list that was read to a file. Does not belong here: which lists (`role.Output`, the model's
choice), keeping files (`work_orders.effects`), plans and code (`development.py`).
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from ops_platform.evidence.model import Row
from ops_platform.work_orders.agents.evidence import SHEET_ROWS
from ops_platform.work_orders.agents.model import Artefact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops_platform.evidence.briefing_lists import Read
    from ops_platform.evidence.model import Fact
    from ops_platform.fleet.reports import Listing

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheets(read: Mapping[str, tuple[Listing, Read]], number: int) -> tuple[tuple[Artefact, Row], ...]:
    """Each list as a file of comma-separated values, with its row for the answer."""
    found = []
    for name, (listing, rows) in read.items():
        if not rows.rows:
            continue
        content = _csv(listing, rows)
        what = f"{listing.many}, {'whole' if rows.count <= SHEET_ROWS else 'the first rows'}"
        artefact = Artefact(f"{number}-{_slug(name)}.csv", "text/csv", content, what)
        found.append((artefact, Row({"name": artefact.name, "what": what}, {"rows": f"{name}_count"})))
    return tuple(found)


def _csv(listing: Listing, read: Read) -> str:
    """Numbers exact, in the unit of the column's heading; text of others never a formula."""
    facts = {fact.id: fact for fact in read.facts}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_heading(column.column, column.unit) for column in listing.columns])
    for row in read.rows:
        writer.writerow([_cell(row, column.column, facts) for column in listing.columns])
    return out.getvalue()


def _heading(column: str, unit: str) -> str:
    words = column.replace("_company", "").replace("_", " ")
    return words if unit in ("text", "count", "flag", "date") else f"{words} ({unit})"


def _cell(row: Row, column: str, facts: Mapping[str, Fact]) -> str:
    fact = facts.get(row.facts.get(column, ""))
    if fact is not None:
        return fact.day.isoformat() if fact.day is not None else f"{fact.value:f}" if fact.value is not None else ""
    text = row.texts.get(column, "")
    return f"'{text}" if text.startswith(_FORMULA) else text


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
