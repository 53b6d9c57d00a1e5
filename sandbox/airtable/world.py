"""Bases, tables, fields and records as Airtable keeps them, made of what the company's people track.

Belongs here: ids, field types, cells, and changes made to them. Does not belong here: HTTP (`side.py`), the work
itself (`sandbox/company/worktables.py`).

Forty-two bases: one a project theme, the calendar, samples, reviews of two markets, the market, the spend, and two
that nothing reads. The bases of projects are alike but not the same: names, types and columns differ as they do when
people copy a template and go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.company import Company
from sandbox.company.staff import STAFF, Employee
from sandbox.company.worktables import PROJECT_BASES, Project, WorkTables, project_base_name, worktables_of

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
COMPUTED = frozenset({"formula", "rollup", "multipleLookupValues", "count", "autoNumber", "createdTime",
                      "lastModifiedTime"})  # fmt: skip
OPTIONS: dict[str, Any] = {
    "checkbox": {"icon": "check", "color": "greenBright"},
    "currency": {"precision": 2, "symbol": "$"},
    "number": {"precision": 0},
    "percent": {"precision": 0},
    "rating": {"icon": "star", "max": 5, "color": "yellowBright"},
    "date": {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}},
    "dateTime": {
        "timeZone": "America/New_York",
        "dateFormat": {"name": "iso", "format": "YYYY-MM-DD"},
        "timeFormat": {"name": "24hour", "format": "HH:mm"},
    },
    "singleSelect": {"choices": []},
    "multipleSelects": {"choices": []},
}


def airtable_id(prefix: str, name: str) -> str:
    """An id of Airtable's shape that depends on the name alone."""
    digest = hashlib.sha256(f"{prefix}|{name}".encode()).digest()
    return prefix + "".join(_LETTERS[byte % 62] for byte in digest[:14])


@dataclass(slots=True)
class FieldDef:
    id: str
    name: str
    type: str
    options: Any = None
    description: str | None = None

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self.id, "name": self.name, "type": self.type}
        if self.description is not None:
            found["description"] = self.description
        options = self.options if self.options is not None else OPTIONS.get(self.type)
        return {**found, "options": options} if options is not None else found


@dataclass(slots=True)
class RecordDef:
    """Cells by field id; an empty cell is not there. `modified` is of cells that people fill, not of computed ones."""

    id: str
    created: datetime
    modified: datetime
    cells: dict[str, Any]


@dataclass(slots=True)
class TableDef:
    id: str
    name: str
    fields: dict[str, FieldDef]
    records: dict[str, RecordDef] = field(default_factory=dict)

    def field_named(self, name: str) -> FieldDef | None:
        """By id or exact name, as the API takes it."""
        return self.fields.get(name) or next((each for each in self.fields.values() if each.name == name), None)

    def schema(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "primaryFieldId": next(iter(self.fields)),
            "fields": [each.schema() for each in self.fields.values()],
            "views": [{"id": airtable_id("viw", self.id), "name": "Grid view", "type": "grid"}],
        }


@dataclass(slots=True)
class BaseDef:
    id: str
    name: str
    tables: dict[str, TableDef] = field(default_factory=dict)
    permission: str = "read"
    hidden: bool = False

    def table_named(self, name: str) -> TableDef | None:
        return self.tables.get(name) or next((each for each in self.tables.values() if each.name == name), None)


class World:
    """All bases, in the order they were made."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.bases: dict[str, BaseDef] = {}
        told = worktables_of(company)
        for number in range(1, PROJECT_BASES + 1):
            self._project_base(number, told)
        self._calendar(told)
        self._samples(told)
        self._reviews(told)
        self._market(told)
        self._media(told)
        self._loose()

    def base_named(self, name: str) -> BaseDef | None:
        return self.bases.get(name) or next((each for each in self.bases.values() if each.name == name), None)

    # -- building -----------------------------------------------------------------------------------------

    def _base(self, name: str, permission: str = "read") -> BaseDef:
        base = BaseDef(airtable_id("app", name), name, permission=permission)
        self.bases[base.id] = base
        return base

    def _table(self, base: BaseDef, name: str, fields: Mapping[str, str | tuple[str, Any]]) -> TableDef:
        table = TableDef(airtable_id("tbl", f"{base.name}|{name}"), name, {})
        for called, kind in fields.items():
            self.add_field(base, table, called, *((kind, None) if isinstance(kind, str) else kind))
        base.tables[table.id] = table
        return table

    def add_field(self, base: BaseDef, table: TableDef, name: str, kind: str, options: Any = None) -> FieldDef:
        made = FieldDef(airtable_id("fld", f"{base.id}|{table.id}|{name}|{len(table.fields)}"), name, kind, options)
        table.fields[made.id] = made
        return made

    def put(
        self, table: TableDef, key: str, created: datetime, modified: datetime, cells: Mapping[str, Any]
    ) -> RecordDef:
        """A record with cells by field name; what is empty is left out, as Airtable leaves it out."""
        record = RecordDef(airtable_id("rec", f"{table.id}|{key}"), created, modified, {})
        for name, value in cells.items():
            found = table.field_named(name)
            if found is not None and not is_empty(value):
                record.cells[found.id] = value
        table.records[record.id] = record
        return record

    def _project_base(self, number: int, told: WorkTables) -> None:
        base = self._base(project_base_name(number), "create" if number % 5 == 0 else "read")
        variant = number % 3
        table = self._table(base, "Projects" if number % 10 else "projects ", _PROJECT_FIELDS[variant])
        for project in told.projects:
            if project.base == number:
                self.put(table, project.key, project.created_at, project.updated_at, _PROJECT_CELLS[variant](project))
        if number == 7:
            # A row somebody began and left, older than the company's books.
            self.put(table, "empty", _long_ago(self.company), _long_ago(self.company), {})
        if number % 3 == 0:
            notes = self._table(base, "Meeting notes", {"Title": "singleLineText", "Notes": "richText"})
            at = self.company.clock - timedelta(days=30)
            self.put(notes, "1", at, at, {"Title": "Kick-off 🚀", "Notes": "# Agenda\n- scope"})

    def _calendar(self, told: WorkTables) -> None:
        base = self._base("Content calendar")
        table = self._table(
            base,
            "Entries",
            {
                "Title": "singleLineText", "Channel": "singleSelect", "Status": "singleSelect",
                "Owner": "singleCollaborator", "Publish at": "dateTime", "Campaign": "singleLineText", "Link": "url",
                "Brief": "richText", "Tags": "multipleSelects", "Last touched": ("lastModifiedTime", _LAST_TOUCHED),
            },
        )  # fmt: skip
        for entry in told.content:
            cells = {
                "Title": entry.title, "Channel": entry.channel, "Status": entry.status, "Owner": _person(entry.owner),
                "Publish at": _moment(entry.publish_at), "Campaign": entry.campaign, "Brief": entry.brief,
                "Tags": [entry.channel.lower(), "q4"] if entry.campaign else [],
                "Last touched": _moment(entry.updated_at),
            }  # fmt: skip
            self.put(table, entry.key, entry.created_at, entry.updated_at, cells)
        self._table(base, "Ideas 💡", {"Idea": "singleLineText", "Votes": "number"})

    def _samples(self, told: WorkTables) -> None:
        base = self._base("Sample requests")
        links = {
            "isReversed": False,
            "linkedTableId": airtable_id("tbl", f"{base.name}|Companies"),
            "prefersSingleRecordLink": True,
        }
        table = self._table(
            base,
            "Requests",
            {
                "Reference": "singleLineText", "Company": ("multipleRecordLinks", links), "Company name": _LOOKUP_TEXT,
                "SKU": "singleSelect", "Quantity": "number", "Status": "singleSelect", "Owner": "singleCollaborator",
                "Requested": "date", "Due": "date", "Shipped": "date", "Tracking": "singleLineText",
                "Cost": "currency",
            },
        )  # fmt: skip
        companies = self._table(base, "Companies", {"Name": "singleLineText", "Country": "singleSelect"})
        for customer in self.company.business_customers:
            self.put(companies, str(customer.id), customer.created_at, customer.created_at,
                     {"Name": customer.name, "Country": customer.country})  # fmt: skip
        for request in told.samples:
            link = airtable_id("rec", f"{companies.id}|{request.company_id}")
            cells = {
                "Reference": request.reference, "Company": [link], "Company name": [request.company],
                "SKU": request.sku, "Quantity": request.quantity, "Status": request.status,
                "Owner": _person(request.owner), "Requested": request.requested_on.isoformat(),
                "Due": request.due_on.isoformat(), "Shipped": _day(request.shipped_on),
                "Tracking": request.tracking_number, "Cost": request.cost,
            }  # fmt: skip
            self.put(table, request.key, request.created_at, request.updated_at, cells)

    def _reviews(self, told: WorkTables) -> None:
        for market in ("US", "EU"):
            base = self._base(f"Product reviews {market}")
            table = self._table(
                base,
                "Reviews",
                {
                    "SKU": "singleLineText", "Stars": "rating", "Headline": "singleLineText", "Text": "multilineText",
                    "Source": "singleSelect", "Written": "dateTime", "Verified": "checkbox", "Helpful": "number",
                    "Order": "singleLineText",
                },
            )  # fmt: skip
            for review in told.reviews:
                if review.market == market:
                    cells = {
                        "SKU": review.sku, "Stars": review.rating, "Headline": review.title, "Text": review.body,
                        "Source": "Web shop", "Written": _moment(review.written_at), "Verified": review.verified,
                        "Helpful": review.helpful, "Order": review.order_name,
                    }  # fmt: skip
                    self.put(table, review.key, review.written_at, review.written_at, cells)

    def _market(self, told: WorkTables) -> None:
        base = self._base("Market watch")
        prices = self._table(
            base,
            "Competitor prices",
            {
                "Product": "singleLineText", "Competitor": "singleSelect", "Our SKU": "singleLineText",
                "Price": "currency", "List price": "currency", "In stock": "checkbox", "Seen": "dateTime",
                "Page": "url", "Discount": ("formula", {**_FORMULA, "result": {"type": "percent", "options": {
                    "precision": 0}}}),
            },
        )  # fmt: skip
        for price in told.prices:
            cells = {
                "Product": price.product, "Competitor": price.competitor, "Our SKU": price.sku, "Price": price.price,
                "List price": price.list_price, "In stock": price.in_stock, "Seen": _moment(price.seen_at),
                "Page": f"https://{price.competitor.split()[0].lower()}.example/p?sku={price.sku}",
                "Discount": 1 - price.price / price.list_price,
            }  # fmt: skip
            self.put(prices, price.key, price.seen_at, price.seen_at, cells)
        ranks = self._table(
            base,
            "Search rankings",
            {
                "Keyword": "singleLineText", "Engine": "singleSelect", "Market": "singleSelect", "Position": "number",
                "Checked": "date", "Volume": "number", "Page": "url",
            },
        )  # fmt: skip
        for rank in told.rankings:
            cells = {
                "Keyword": rank.keyword, "Engine": "Google", "Market": rank.market, "Position": rank.position,
                "Checked": rank.checked_on.isoformat(), "Volume": rank.volume,
            }  # fmt: skip
            self.put(ranks, rank.key, rank.created_at, rank.created_at, cells)

    def _media(self, told: WorkTables) -> None:
        base = self._base("Paid media", "edit")
        table = self._table(
            base,
            "Daily spend",
            {
                "Row": ("formula", {**_FORMULA, "result": {"type": "singleLineText"}}), "Channel": "singleSelect",
                "Date": "date", "Spend": "currency", "Impressions": "number", "Clicks": "number",
                "Conversions": "number", "Conversion value": "currency",
            },
        )  # fmt: skip
        for day in told.media:
            cells = {
                "Row": f"{day.channel} {day.day}", "Channel": day.channel, "Date": day.day.isoformat(),
                "Spend": day.spend, "Impressions": day.impressions, "Clicks": day.clicks,
                "Conversions": day.conversions, "Conversion value": day.conversion_value,
            }  # fmt: skip
            self.put(table, day.key, day.created_at, day.updated_at, cells)

    def _loose(self) -> None:
        """Bases nothing reads."""
        at = _long_ago(self.company)
        office = self._base("Office & swag")
        table = self._table(office, "Orders", {"What": "singleLineText", "Price": "currency"})
        self.put(table, "1", at, at, {"What": "Stickers 🦊", "Price": Decimal("49.90")})
        archive = self._base("Archive 2021")
        table = self._table(archive, "Projects", {"Project": "singleLineText", "Status": "singleSelect"})
        self.put(table, "1", at, at, {"Project": "Old", "Status": "Done"})


def is_empty(value: Any) -> bool:
    """Whether Airtable leaves the cell out of the record."""
    return value is None or value is False or value in ("", [])


def _long_ago(company: Company) -> datetime:
    return company.shop.created_at - timedelta(days=800)


def _person(employee: Employee | None) -> dict[str, str] | None:
    if employee is None:
        return None
    return {"id": airtable_id("usr", employee.key), "email": employee.email, "name": employee.name}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _day(day: Any) -> str | None:
    return None if day is None else day.isoformat()


_FORMULA = {"isValid": True, "formula": "…", "referencedFieldIds": []}
_LAST_TOUCHED = {
    "isValid": True,
    "referencedFieldIds": [],
    "result": {"type": "dateTime", "options": OPTIONS["dateTime"]},
}
_LOOKUP_TEXT = (
    "multipleLookupValues",
    {"isValid": True, "recordLinkFieldId": None, "fieldIdInLinkedTable": None, "result": {"type": "singleLineText"}},
)

# How the three templates call and type the same things.
_PROJECT_FIELDS: tuple[dict[str, str | tuple[str, Any]], ...] = (
    {
        "Project": "singleLineText", "Code": "singleLineText", "Lead": "singleCollaborator",
        "Division": "singleSelect", "Status": "singleSelect", "RAG": "singleSelect", "Start": "date",
        "Due date": "date", "Completed on": "date", "Progress": "percent", "Budget": "currency",
        "SKUs": "multipleSelects", "Blocked": "checkbox", "Notes": "richText",
    },
    {
        "Name": "singleLineText", "Code": "singleLineText", "Owner": "multipleCollaborators",
        "Division": "singleSelect", "Status": "singleSelect",
        "Health": ("formula", {**_FORMULA, "result": {"type": "singleLineText"}}), "Start": "date",
        "Deadline": "date", "Completed on": "date",
        "Progress": ("formula", {**_FORMULA, "result": {"type": "percent", "options": {"precision": 0}}}),
        "Blocked": "checkbox", "Notes": "multilineText",
    },
    {
        "Project": "singleLineText", "Lead": "singleLineText", "Division": "singleSelect", "Status": "singleSelect",
        "RAG": "singleSelect", "Start": "dateTime", "Due date": "dateTime", "Completed on": "date",
        "Budget": "currency", "Blocked": "checkbox", "SKUs": "multipleSelects",
        "Files": ("multipleAttachments", {"isReversed": False}),
    },
)  # fmt: skip
_LIGHTS = {"green": "🟢 Green", "amber": "🟠 Amber", "red": "🔴 Red"}


def _first_template(project: Project) -> dict[str, Any]:
    return {
        "Project": project.name, "Code": project.code, "Lead": _person(project.lead), "Division": project.division,
        "Status": project.status, "RAG": project.health.title(), "Start": project.start_on.isoformat(),
        "Due date": _day(project.due_on), "Completed on": _day(project.completed_on), "Progress": project.progress,
        "Budget": project.budget, "SKUs": list(project.skus), "Blocked": project.blocked, "Notes": project.notes,
    }  # fmt: skip


def _second_template(project: Project) -> dict[str, Any]:
    lead = _person(project.lead)
    # Divided by the days between start and deadline: without a deadline there is nothing to divide by.
    progress: Any = {"specialValue": "NaN"} if project.due_on is None else project.progress
    health: Any = _LIGHTS[project.health] if project.due_on is not None else {"error": "#ERROR!"}
    return {
        "Name": project.name, "Code": project.code, "Owner": [lead] if lead else None, "Division": project.division,
        "Status": project.status, "Health": health, "Start": project.start_on.isoformat(),
        "Deadline": _day(project.due_on), "Completed on": _day(project.completed_on), "Progress": progress,
        "Blocked": project.blocked, "Notes": project.notes,
    }  # fmt: skip


def _third_template(project: Project) -> dict[str, Any]:
    # Days kept as moments of the evening: in UTC they are already the next day.
    def evening(day: Any) -> str | None:
        return None if day is None else f"{day + timedelta(days=1)}T03:30:00.000Z"

    return {
        "Project": project.name, "Lead": project.lead.name if project.lead else None, "Division": project.division,
        "Status": project.status, "RAG": _LIGHTS[project.health], "Start": evening(project.start_on),
        "Due date": evening(project.due_on), "Completed on": _day(project.completed_on), "Budget": project.budget,
        "Blocked": project.blocked, "SKUs": list(project.skus),
    }  # fmt: skip


_PROJECT_CELLS: tuple[Callable[[Project], dict[str, Any]], ...] = (_first_template, _second_template, _third_template)
PEOPLE = {airtable_id("usr", employee.key): employee for employee in STAFF}
