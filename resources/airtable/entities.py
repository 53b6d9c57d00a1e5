"""The seven things that are read from Airtable tables, and what each of their attributes may be made of.

Belongs here: entities, attributes, which field types carry which kind of value. Does not belong here: which table
feeds which entity (`airtable.yaml`, `mapping.py`), the value of one cell (`cells.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops_platform.records import JsonObject

# Field types by what their cells look like. A field that changes within a family still means the same.
_FAMILIES = {
    "text": (
        "singleLineText", "multilineText", "richText", "singleSelect", "email", "url", "phoneNumber", "aiText",
        "barcode", "externalSyncSource",
    ),
    "number": ("number", "currency", "count", "autoNumber", "rating", "duration"),
    "percent": ("percent",),
    "date": ("date",),
    "moment": ("dateTime", "createdTime", "lastModifiedTime"),
    "checkbox": ("checkbox",),
    "choices": ("multipleSelects",),
    "person": ("singleCollaborator", "createdBy", "lastModifiedBy"),
    "people": ("multipleCollaborators",),
    "links": ("multipleRecordLinks",),
}  # fmt: skip
_FAMILY_OF = {kind: family for family, kinds in _FAMILIES.items() for kind in kinds}
_COMPUTED = {"formula", "rollup", "multipleLookupValues", "count", "autoNumber", "aiText"}

# Kind of an attribute → families it may be read from. "list of …" are look-ups.
ACCEPTED: dict[str, tuple[str, ...]] = {
    "text": ("text", "number", "choices", "person", "date", "list of text", "list of number", "list of choices"),
    "person": ("person", "people", "text", "list of person", "list of people", "list of text"),
    "date": ("date", "moment", "list of date", "list of moment"),
    "moment": ("moment", "date", "list of moment", "list of date"),
    "number": ("number", "list of number"),
    "money": ("number", "list of number"),
    "percent": ("percent", "list of percent"),
    "checkbox": ("checkbox", "list of checkbox"),
    "list": ("choices", "text", "links", "list of text", "list of choices", "list of links"),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """`kind` is a key of `ACCEPTED`. A `required` attribute must be mapped; its cell may still be empty."""

    kind: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """`amount` is the attribute that ties out as a sum; None where there is no money."""

    name: str
    description: str
    attributes: Mapping[str, Attribute]
    amount: str | None = None

    @property
    def has_money(self) -> bool:
        return any(attribute.kind == "money" for attribute in self.attributes.values())


def _entity(name: str, description: str, amount: str | None = None, /, **kinds: str) -> Entity:
    """`kinds`: attribute → its kind, with `!` where it must be mapped."""
    attributes = {key: Attribute(kind.rstrip("!"), kind.endswith("!")) for key, kind in kinds.items()}
    return Entity(name, description, attributes, amount)


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        _entity(
            "projects", "Projects of all bases, one row a project", "budget",
            name="text!", code="text", owner="person", division="text", status="text!", rag="text", start_on="date",
            due_on="date!", completed_on="date", progress="percent", budget="money", currency="text", skus="list",
            blocked="checkbox", notes="text",
        ),
        _entity(
            "content_calendar", "Planned and published content",
            title="text!", channel="text", status="text!", owner="person", publish_at="moment!", campaign="text",
            url="text", brief="text", tags="list",
        ),
        _entity(
            "sample_requests", "Samples asked for by dealers and press", "cost",
            reference="text!", company="text", contact="person", sku="text!", quantity="number", status="text!",
            owner="person", requested_on="date", due_on="date!", shipped_on="date", tracking_number="text",
            cost="money", currency="text",
        ),
        _entity(
            "product_reviews", "Customers' reviews of our products",
            sku="text!", rating="number!", title="text", body="text", source="text", market="text",
            reviewed_at="moment!", verified="checkbox", helpful_count="number", order_number="text",
        ),
        _entity(
            "competitor_prices", "Prices of competitors' products beside our SKUs", "price",
            competitor="text!", sku="text!", product="text", price="money!", list_price="money", currency="text",
            seen_at="moment!", in_stock="checkbox", url="text",
        ),
        _entity(
            "search_rankings", "Our place in search results by keyword and day",
            keyword="text!", engine="text", market="text", position="number!", checked_on="date!", url="text",
            search_volume="number",
        ),
        _entity(
            "paid_media_spend", "Spend on paid media by channel and day", "spend",
            channel="text!", campaign="text", spent_on="date!", spend="money!", currency="text", impressions="number",
            clicks="number", conversions="number", conversion_value="money",
        ),
    )
}  # fmt: skip


def family(field: Mapping[str, Any]) -> str:
    """What the cells of a field look like, from its schema: a family, "list of" one for a look-up, or the type
    itself where it is none that can be read."""
    kind = field.get("type")
    options = field.get("options") or {}
    result = options.get("result") if isinstance(options, dict) else None
    if kind in ("formula", "rollup"):
        return family(result) if isinstance(result, dict) else f"{kind} without a result"
    if kind in ("multipleLookupValues", "lookup"):
        return f"list of {family(result)}" if isinstance(result, dict) else "list of nothing"
    return _FAMILY_OF.get(str(kind), str(kind))


def is_computed(field: Mapping[str, Any]) -> bool:
    """Whether Airtable computes the field: a change of it does not count as a change of the record."""
    return field.get("type") in _COMPUTED


def type_in_words(field: JsonObject) -> str:
    """The type of a field for a sentence: "currency", "formula giving percent"."""
    kind = str(field.get("type"))
    return kind if kind not in ("formula", "rollup", "multipleLookupValues") else f"{kind} giving {family(field)}"
