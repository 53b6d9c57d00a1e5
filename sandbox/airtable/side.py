"""Airtable over HTTP: tokens, scopes, limits, listings with iterators, and errors in its several shapes.

Belongs here: what Airtable answers to whom, and changes made from outside. Does not belong here: bases and cells
(`world.py`), formulas (`formula.py`).

The world is built at the first request. A listing honours `pageSize`, `maxRecords`, `offset`, `fields[]`,
`filterByFormula`, `sort`, `view`, `returnFieldsByFieldId`, `cellFormat` (json alone) and `recordMetadata[]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.airtable.formula import BadFormula, Row, compile_formula
from sandbox.airtable.limits import RateLimits
from sandbox.airtable.world import COMPUTED, BaseDef, RecordDef, TableDef, World, airtable_id, is_empty
from sandbox.clock import parse_instant
from sandbox.company import Company
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.hooks import Clock
from sandbox.mutation import MutationRefused, required
from sandbox.refusals import refusal
from sandbox.vendor_side import MadeOnce, Side

TOKEN = "patSandboxReader0.0123456789abcdef"  # noqa: S105
READ = frozenset({"data.records:read", "schema.bases:read"})
# Tokens and their scopes. Any other token is refused as Airtable refuses it.
TOKENS: dict[str, frozenset[str]] = {
    TOKEN: READ,
    "patSandboxSchema0.0123456789abcdef": frozenset({"schema.bases:read"}),
    "patSandboxRecords.0123456789abcdef": frozenset({"data.records:read"}),
}
USER = "usrSandboxReader0"
LARGEST_PAGE = 100
BASES_A_PAGE = 1000
LONGEST_URL = 16_000
_PAGE_FAULTS = frozenset({"repeat_page", "empty_page", "short_page", "duplicate_rows"})
_REFUSALS = frozenset({"iterator_expired", "monthly_cap", "rate_limit"})
SEMANTIC_FAULTS = _PAGE_FAULTS | _REFUSALS

Json = dict[str, Any]


class Refused(Exception):
    """An answer other than 200. `kind` alone is the short shape of the body, with `message` the long one."""

    def __init__(self, status: int, kind: str, message: str | None = None) -> None:
        super().__init__(kind)
        self.status = status
        self.body: Json = {"error": kind} if message is None else {"error": {"type": kind, "message": message}}


def not_permitted() -> Refused:
    return Refused(
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "Invalid permissions, or the requested model was not found. Check that both your user and your token have the "
        "required permissions, and that the model names and/or ids are correct.",
    )


@dataclass(slots=True)
class Listing:
    """An open listing: the query it was begun with, and the ids that were to come when it was."""

    query: tuple[tuple[str, str], ...]
    ids: list[str]
    at: int
    last: tuple[bytes, str | None] | None = None


class AirtableSide(Side):
    """The Airtable side of the sandbox."""

    vendor = "airtable"

    def __init__(self, company: Company, *, clock: Clock, faults: FaultPlan, profile: str = "generous") -> None:
        self._company = company
        self._clock = clock
        self._faults = faults
        self.limits = RateLimits(profile)
        self._world = MadeOnce(lambda: World(self._company))
        self._iterators: dict[str, Listing] = {}
        self._opened = 0

    @property
    def world(self) -> World:
        return self._world()

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved); changes from outside are made again by the sandbox."""
        self._company = company
        self._world.forget()
        self._iterators.clear()

    def warm(self) -> None:
        self._world()

    @property
    def profile(self) -> str:
        return self.limits.profile

    @profile.setter
    def profile(self, name: str) -> None:
        self.limits.profile = name

    def environment(self, url: str) -> dict[str, str]:
        if self._company.source == "csv":
            return {}
        return {"AIRTABLE_BASE_URL": url, "AIRTABLE_TOKEN": TOKEN}

    def routes(self) -> list[Route]:
        return [Route("/v0/{path:path}", self._serve, methods=["GET", "POST"])]

    # HTTP -------------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> Response:
        parts = request.path_params["path"].split("/")
        base_id = parts[2] if parts[:2] == ["meta", "bases"] and len(parts) > 2 else parts[0]
        base_id = base_id if base_id != "meta" and parts != ["meta", "bases"] else ""
        try:
            token = self._authorise(request)
            self._limit(token, base_id or None)
            if len(str(request.url)) > LONGEST_URL:
                raise Refused(414, "URI_TOO_LONG")
            data = await self._answer(request, parts, TOKENS[token])
        except Refused as refused:
            return _json(refused.body, refused.status)
        except _Limited as limited:
            headers, body = refusal("airtable", 429, {"monthly": limited.monthly})
            return Response(body, 429, headers=dict(headers))
        return data if isinstance(data, Response) else _json(data)

    def _authorise(self, request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        if token not in TOKENS:
            raise Refused(401, "AUTHENTICATION_REQUIRED", "Invalid token")
        return token

    def _limit(self, token: str, base: str | None) -> None:
        armed = self._faults.take_fault("airtable", "limit", frozenset({"monthly_cap", "rate_limit"}))
        refused = self.limits.refuse(token, base)
        if armed is not None:
            refused = "month" if armed.name == "monthly_cap" else "rate"
        if refused is not None:
            raise _Limited(refused == "month")

    async def _answer(self, request: Request, parts: list[str], scopes: frozenset[str]) -> Any:
        if parts == ["meta", "whoami"]:
            note(operation="whoami")
            return {"id": USER, "scopes": sorted(scopes)}
        if parts == ["meta", "bases"]:
            note(operation="bases")
            self._scope(scopes, "schema.bases:read")
            return self._bases(request)
        if parts[:2] == ["meta", "bases"] and len(parts) == 4 and parts[3] == "tables":
            note(operation="tables")
            self._scope(scopes, "schema.bases:read")
            base = self._base(parts[2])
            return {"tables": [table.schema() for table in base.tables.values()]}
        if len(parts) == 2 or (len(parts) == 3 and parts[2] == "listRecords"):
            if (request.method == "POST") != (len(parts) == 3):
                raise Refused(404, "NOT_FOUND")
            note(operation="records")
            self._scope(scopes, "data.records:read")
            base = self._base(parts[0])
            table = base.table_named(parts[1])
            if table is None:
                raise not_permitted()
            return self._records(base, table, await _query(request))
        raise Refused(404, "NOT_FOUND")

    def _scope(self, scopes: frozenset[str], needed: str) -> None:
        if needed not in scopes:
            raise not_permitted()

    def _base(self, identity: str) -> BaseDef:
        base = self.world.bases.get(identity)
        if base is None or base.hidden:
            raise not_permitted() if identity.startswith("app") else Refused(404, "NOT_FOUND")
        return base

    def _bases(self, request: Request) -> Json:
        shown = [base for base in self.world.bases.values() if not base.hidden]
        offset = request.query_params.get("offset", "")
        start = int(offset.removeprefix("itrBases/")) if re.fullmatch(r"itrBases/\d+", offset) else 0
        if offset and not start:
            raise Refused(422, "INVALID_OFFSET_VALUE", "The value of offset is invalid")
        size = BASES_A_PAGE
        found = shown[start : start + size]
        answer: Json = {"bases": [{"id": b.id, "name": b.name, "permissionLevel": b.permission} for b in found]}
        if start + size < len(shown):
            answer["offset"] = f"itrBases/{start + size}"
        return answer

    # Listing ----------------------------------------------------------------------------------------------

    def _records(self, base: BaseDef, table: TableDef, query: list[tuple[str, str]]) -> Response:
        given = dict(query)
        size = _size(given.get("pageSize"))
        by_id = given.get("returnFieldsByFieldId", "false") == "true"
        if given.get("cellFormat", "json") != "json":
            raise Refused(422, "INVALID_REQUEST_UNKNOWN", "Invalid request: parameter validation failed.")
        columns = [self._column(table, value) for key, value in query if re.fullmatch(r"fields(\[\d*\])?", key)]
        told = tuple((key, value) for key, value in query if key != "offset")
        iterator, name = self._iterator(table, told, given)
        armed = self._faults.take_fault("airtable", "records", _PAGE_FAULTS)
        if armed is not None and armed.name == "repeat_page" and iterator.last is not None:
            return Response(iterator.last[0], media_type="application/json; charset=utf-8")
        ids = iterator.ids[iterator.at : iterator.at + size]
        following = iterator.at + size
        records = [table.records[each] for each in ids if each in table.records]
        if armed is not None and armed.name == "empty_page":
            records, following = [], len(iterator.ids)
        if armed is not None and armed.name == "short_page":
            records, following = records[: len(records) // 2], len(iterator.ids)
        if armed is not None and armed.name == "duplicate_rows" and records:
            records = [*records, records[0]]
        shown = columns or list(table.fields)
        answer: Json = {"records": [self._record(table, record, shown, by_id) for record in records]}
        if following < len(iterator.ids):
            iterator.at = following
            answer["offset"] = f"{name}/{iterator.ids[following - 1]}/{following}"
        note(records=len(records))
        body = orjson.dumps(answer, default=_exact)
        body = _NUMBERS.sub(rb"\1", body)
        iterator.last = (body, answer.get("offset"))
        return Response(body, media_type="application/json; charset=utf-8")

    def _column(self, table: TableDef, name: str) -> str:
        found = table.field_named(name)
        if found is None:
            raise Refused(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')
        return found.id

    def _iterator(
        self, table: TableDef, told: tuple[tuple[str, str], ...], given: Mapping[str, str]
    ) -> tuple[Listing, str]:
        offset = given.get("offset", "")
        if not offset:
            self._opened += 1
            name = airtable_id("itr", str(self._opened))
            iterator = Listing(told, self._selected(table, told, given), 0)
            self._iterators[name] = iterator
            return iterator, name
        found = re.fullmatch(r"(itr[A-Za-z0-9]{14})/rec[A-Za-z0-9]{14}/(\d+)", offset)
        if found is None:
            raise Refused(422, "INVALID_OFFSET_VALUE", "The value of offset is invalid")
        name = found.group(1)
        expired = self._faults.take_fault("airtable", "records", frozenset({"iterator_expired"}))
        known = self._iterators.get(name)
        if expired is not None or known is None or known.query != told:
            self._iterators.pop(name, None)
            raise Refused(422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")
        known.at = int(found.group(2))
        return known, name

    def _selected(self, table: TableDef, told: tuple[tuple[str, str], ...], given: Mapping[str, str]) -> list[str]:
        found = list(table.records.values())
        formula = given.get("filterByFormula")
        if formula:
            try:
                test = compile_formula(formula)
                found = [record for record in found if test(_row(table, record))]
            except (BadFormula, ValueError, IndexError, TypeError):
                message = "The formula for filtering records is invalid: Please check your formula text."
                raise Refused(422, "INVALID_FILTER_BY_FORMULA", message) from None
            except KeyError as missing:
                message = f"The formula for filtering records is invalid: Unknown field names: {missing.args[0]}"
                raise Refused(422, "INVALID_FILTER_BY_FORMULA", message) from None
        sorted_by = given.get("sort[0][field]")
        if sorted_by is not None:
            column = self._column(table, sorted_by)
            found.sort(
                key=lambda record: (column in record.cells, str(record.cells.get(column))),
                reverse=given.get("sort[0][direction]") == "desc",
            )
        most = given.get("maxRecords")
        if most is not None:
            if not most.isdigit() or int(most) < 1:
                raise Refused(422, "INVALID_MAX_RECORDS_OPTION", "Invalid option for maxRecords")
            found = found[: int(most)]
        return [record.id for record in found]

    def _record(self, table: TableDef, record: RecordDef, columns: list[str], by_id: bool) -> Json:
        cells = {
            each if by_id else table.fields[each].name: record.cells[each]
            for each in columns
            if each in record.cells and each in table.fields
        }
        return {"id": record.id, "createdTime": _iso(record.created), "fields": cells}

    # Changes made by tests --------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> Json:
        """Change the bases from outside; `base` is a name or an id everywhere, `table` and `field` too. Operations:
        `put_record` (table, fields by name; id to change one), `recompute` (table, id, fields: as a formula does, which
        is no change to Airtable), `delete_record` (table, id), `rename_field` (field, to), `retype_field` (field,
        type; options), `remove_field`, `add_field` (name, type), `rename_table` (to), `remove_table`,
        `rename_base` (to), `hide_base`, `show_base`, `add_base` (name), `add_table` (name, fields: name → type),
        `expire_iterators`, `find` (table, field, value): the ids of records."""
        if op == "expire_iterators":
            self._iterators.clear()
            return {}
        if op == "add_base":
            made = self.world._base(required(data, "name"))
            return {"id": made.id}
        base = self.world.base_named(required(data, "base"))
        if base is None:
            raise MutationRefused(f"There is no base {data['base']!r}.")
        if op in ("hide_base", "show_base"):
            base.hidden = op == "hide_base"
            return {"id": base.id}
        if op == "rename_base":
            base.name = required(data, "to")
            return {"id": base.id}
        if op == "add_table":
            table = self.world._table(base, required(data, "name"), data.get("fields") or {"Name": "singleLineText"})
            return {"id": table.id}
        found = base.table_named(required(data, "table"))
        if found is None:
            raise MutationRefused(f"There is no table {data['table']!r} in {base.name}.")
        if op == "rename_table":
            found.name = required(data, "to")
            return {"id": found.id}
        if op == "remove_table":
            del base.tables[found.id]
            return {"id": found.id}
        if "field" in op:
            return self._change_field(op, base, found, data)
        return self._change_record(op, found, data)

    def _change_field(self, op: str, base: BaseDef, table: TableDef, data: Mapping[str, Any]) -> Json:
        if op == "add_field":
            made = self.world.add_field(
                base, table, required(data, "name"), required(data, "type"), data.get("options")
            )
            return {"id": made.id}
        field = table.field_named(required(data, "field"))
        if field is None:
            raise MutationRefused(f"There is no field {data['field']!r} in {table.name}.")
        if op == "rename_field":
            field.name = required(data, "to")
        elif op == "retype_field":
            field.type, field.options = required(data, "type"), data.get("options")
        elif op == "remove_field":
            del table.fields[field.id]
            for record in table.records.values():
                record.cells.pop(field.id, None)
        else:
            raise MutationRefused(f"Airtable knows no operation {op!r}.")
        return {"id": field.id}

    def _change_record(self, op: str, table: TableDef, data: Mapping[str, Any]) -> Json:
        if op == "find":
            field = table.field_named(required(data, "field"))
            wanted = data.get("value")
            return {
                "ids": [
                    record.id
                    for record in table.records.values()
                    if field is not None and (wanted is None or record.cells.get(field.id) == wanted)
                ]
            }
        identity = data.get("id")
        record = table.records.get(str(identity)) if identity is not None else None
        if op == "delete_record":
            if record is None:
                raise MutationRefused(f"There is no record {identity!r} in {table.name}.")
            del table.records[record.id]
            return {"id": record.id}
        if op not in ("put_record", "recompute") or (op == "recompute" and record is None):
            raise MutationRefused(f"Airtable knows no operation {op!r} for {identity!r}.")
        at = parse_instant(str(data["at"])) if data.get("at") else self._clock.now()
        if record is None:
            made = str(identity or airtable_id("rec", f"made|{table.id}|{len(table.records)}|{at.isoformat()}"))
            created = parse_instant(str(data["created"])) if data.get("created") else at
            record = table.records[made] = RecordDef(made, created, at, {})
        elif op == "put_record":
            record.modified = at
        for name, value in (data.get("fields") or {}).items():
            field = table.field_named(name)
            if field is None:
                raise MutationRefused(f"There is no field {name!r} in {table.name}.")
            if op == "put_record" and field.type in COMPUTED and not data.get("anyway"):
                raise MutationRefused(f"{name!r} is computed.")
            record.cells.pop(field.id, None)
            if not is_empty(value):
                record.cells[field.id] = value
        return {"id": record.id}


class _Limited(Exception):
    def __init__(self, monthly: bool) -> None:
        super().__init__("limited")
        self.monthly = monthly


def _size(text: str | None) -> int:
    if text is None:
        return LARGEST_PAGE
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise Refused(422, "INVALID_PAGE_SIZE_OPTION", "Invalid option for pageSize")
    return int(text)


async def _query(request: Request) -> list[tuple[str, str]]:
    if request.method == "GET":
        return list(request.query_params.multi_items())
    body = orjson.loads(await request.body() or b"{}")
    pairs: list[tuple[str, str]] = []
    for key, value in body.items():
        if key == "fields":
            pairs += [("fields[]", str(each)) for each in value]
        else:
            pairs.append((key, str(value).lower() if isinstance(value, bool) else str(value)))
    return pairs


def _row(table: TableDef, record: RecordDef) -> Row:
    def cell(name: str) -> Any:
        field = table.field_named(name)
        if field is None:
            raise KeyError(name)
        return record.cells.get(field.id)

    return Row(record.id, record.created, record.modified, cell)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


# Decimals leave as bare JSON numbers, digit for digit: as marked text first, then without quotes and mark.
_NUMBERS = re.compile(rb'"\\u0001(-?[0-9.]+)"')


def _exact(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"\x01{value:f}"
    raise TypeError(type(value).__name__)


def _json(data: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(data), status, media_type="application/json; charset=utf-8")
