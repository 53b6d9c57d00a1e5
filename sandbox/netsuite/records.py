"""NetSuite's record API: ids of a type, one record with its fields, and what fields there are.

Belongs here: REST names of fields and their JSON values. Does not belong here: HTTP (`side.py`), SuiteQL.

A list gives ids and links only; a record gives JSON values (numbers and booleans as such, datetimes in UTC,
dates as they are, references as objects), unlike SuiteQL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.netsuite.catalog import RECORD_TYPES, TABLES, Table
from sandbox.netsuite.database import Database
from sandbox.netsuite.errors import NetSuiteError

# Types that are not transactions, and the table of each.
_PLAIN = {
    "account": "account",
    "accountingperiod": "accountingperiod",
    "currency": "currency",
    "customer": "customer",
    "inventoryitem": "item",
    "location": "location",
    "subsidiary": "subsidiary",
    "vendor": "vendor",
}
# Field names of the record API for the columns of SuiteQL; the rest keep theirs.
_NAMES = {
    "tranid": "tranId",
    "trandate": "tranDate",
    "createddate": "createdDate",
    "lastmodifieddate": "lastModifiedDate",
    "datecreated": "dateCreated",
    "duedate": "dueDate",
    "foreigntotal": "total",
    "exchangerate": "exchangeRate",
    "postingperiod": "postingPeriod",
    "otherrefnum": "otherRefNum",
    "createdfrom": "createdFrom",
    "externalid": "externalId",
    "itemid": "itemId",
    "displayname": "displayName",
    "isinactive": "isInactive",
    "averagecost": "averageCost",
    "entityid": "entityId",
    "companyname": "companyName",
    "acctnumber": "acctNumber",
    "fullname": "fullName",
    "accttype": "acctType",
    "periodname": "periodName",
    "startdate": "startDate",
    "enddate": "endDate",
    "netamount": "amount",
    "linesequencenumber": "line",
    "isclosed": "isClosed",
    "quantityshiprecv": "quantityReceived",
    "quantitybilled": "quantityBilled",
    "expectedreceiptdate": "expectedReceiptDate",
}
_REFERENCES = {
    "entity": "customer",
    "currency": "currency",
    "postingperiod": "accountingPeriod",
    "subsidiary": "subsidiary",
    "location": "location",
    "vendor": "vendor",
    "item": "inventoryItem",
    "parent": "accountingPeriod",
}
_HEADER = (
    "id tranid trandate createddate lastmodifieddate duedate status entity currency exchangerate foreigntotal "
    "postingperiod otherrefnum memo location subsidiary createdfrom externalid"
).split()
_LINE = (
    "linesequencenumber item quantity rate netamount location isclosed quantityshiprecv quantitybilled "
    "expectedreceiptdate"
).split()


class Records:
    """Records of every type, read from the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def kinds(self) -> list[str]:
        return sorted([*RECORD_TYPES, *_PLAIN])

    def ids(self, kind: str, limit: int, offset: int) -> tuple[list[str], int]:
        """One page of ids, and how many there are."""
        table, where, values = self._source(kind)
        _, found = self._database.select(
            f'SELECT id FROM "{table.name}"{where} ORDER BY id LIMIT ? OFFSET ?', (*values, limit, offset)
        )
        _, counted = self._database.select(f'SELECT count(*) FROM "{table.name}"{where}', values)
        return [str(row[0]) for row in found], int(counted[0][0])

    def record(self, kind: str, number: str, expand: bool, base: str) -> dict[str, Any]:
        """One record. Raises `NetSuiteError` (404 NONEXISTENT_ID)."""
        table, where, values = self._source(kind)
        wanted = f"{where} AND id = ?" if where else " WHERE id = ?"
        columns = _HEADER if table.name == "transaction" else [column.name for column in table.columns]
        rows = self._rows(table, columns, wanted, (*values, int(number) if number.isdigit() else -1))
        if not rows:
            raise NetSuiteError(
                404,
                "NONEXISTENT_ID",
                f"The record instance does not exist. Provide a valid record instance ID: {number}.",
            )
        self_link = f"{base}/{kind}/{number}"
        record: dict[str, Any] = {"links": [{"rel": "self", "href": self_link}]}
        record.update(self._fields(table, rows[0], base))
        record["id"] = number
        if table.name == "transaction":
            record["item"] = {"links": [{"rel": "self", "href": f"{self_link}/item"}]}
            if expand:
                lines = self._rows(
                    TABLES["transactionline"],
                    _LINE,
                    " WHERE \"transaction\" = ? AND mainline = 'F' AND taxline = 'F' AND iscogs = 'F' "
                    "ORDER BY linesequencenumber",
                    (int(number),),
                )
                items = [self._fields(TABLES["transactionline"], line, base) for line in lines]
                record["item"].update(items=items, totalResults=len(items))
        return record

    def schema(self, kind: str) -> dict[str, Any]:
        """The JSON schema of one record type."""
        table, _, _ = self._source(kind)
        names = _HEADER if table.name == "transaction" else [column.name for column in table.columns]
        properties: dict[str, Any] = {}
        for name in names:
            column = table.column(name)
            kinds = {"number": "number", "bool": "boolean"}
            shape: dict[str, Any] = {"type": kinds.get(column.kind if column else "", "string"), "nullable": True}
            if column is not None and column.kind in ("date", "datetime"):
                shape["format"] = "date" if column.kind == "date" else "date-time"
            if name in _REFERENCES:
                shape = {"type": "object", "properties": {"id": {"type": "string"}, "refName": {"type": "string"}}}
            properties[_NAMES.get(name, name)] = shape
        return {"type": "object", "properties": properties, "x-ns-filterable": []}

    def openapi(self, kinds: list[str]) -> dict[str, Any]:
        """An OpenAPI document of some record types."""
        return {
            "openapi": "3.0.1",
            "info": {"title": "NetSuite REST Record API", "version": "v1"},
            "paths": {f"/{kind}": {"get": {"responses": {"200": {"description": "ids"}}}} for kind in kinds},
            "components": {"schemas": {kind: self.schema(kind) for kind in kinds}},
        }

    def _source(self, kind: str) -> tuple[Table, str, tuple[Any, ...]]:
        if kind in RECORD_TYPES:
            return TABLES["transaction"], ' WHERE "type" = ?', (RECORD_TYPES[kind],)
        if kind in _PLAIN:
            where = " WHERE itemtype = 'InvtPart'" if kind == "inventoryitem" else ""
            return TABLES[_PLAIN[kind]], where, ()
        raise NetSuiteError(404, "NOT_FOUND", f"Record type '{kind}' does not exist.", Url=kind)

    def _rows(
        self, table: Table, columns: list[str], where: str, values: tuple[Any, ...]
    ) -> list[dict[str, tuple[Any, Any]]]:
        """Rows as {column: (value, its label)}."""
        selected = []
        for name in columns:
            column = table.column(name)
            quoted = f'"{name}"'
            label = "NULL" if column is None or column.label is None else column.label.replace("{}", quoted)
            selected += [quoted, label]
        _, found = self._database.select(f'SELECT {", ".join(selected)} FROM "{table.name}"{where}', values)
        return [{name: (row[2 * at], row[2 * at + 1]) for at, name in enumerate(columns)} for row in found]

    def _fields(self, table: Table, row: dict[str, tuple[Any, Any]], base: str) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, (value, label) in row.items():
            if value is None or name == "id":
                continue
            column = table.column(name)
            kind = column.kind if column is not None else "text"
            shown: Any = value
            if kind == "date":
                shown = _instant(value).strftime("%Y-%m-%d")
            elif kind == "datetime":
                shown = self._database.to_utc(value).strftime("%Y-%m-%dT%H:%M:%SZ")
            elif kind == "bool":
                shown = value == "T"
            elif name in _REFERENCES:
                link = {"rel": "self", "href": f"{base}/{_REFERENCES[name]}/{value}"}
                shown = {"links": [link], "id": str(value), "refName": str(label or value)}
            elif name == "status":
                shown = {"id": value, "refName": str(label or value)}
            fields[_NAMES.get(name, name)] = shown
        return fields


def _instant(seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
