"""NetSuite over HTTP: token, SuiteQL pages, records, metadata.

Belongs here: paths, headers, paging, limits, error answers. Does not belong here: the query language
(`suiteql.py`), the books (`mirror.py`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.company import Company
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.hooks import Clock
from sandbox.ledger import SqliteLedger
from sandbox.netsuite.database import Database, as_text, to_char
from sandbox.netsuite.errors import NetSuiteError, bad_query
from sandbox.netsuite.records import Records
from sandbox.netsuite.tokens import (
    ACCOUNT,
    CERTIFICATE_ID,
    CLIENT_ID,
    HOST,
    TOKEN_PATH,
    OAuthError,
    Tokens,
)
from sandbox.refusals import refusal
from sandbox.vendor_side import Side

MAX_PAGE = 1000
CEILING = 100_000
# Requests under way at once, by profile.
CONCURRENCY = {"generous": 50, "standard": 15, "restricted": 5}
_PAGE_FAULTS = frozenset({"repeat_page", "empty_page", "short_page", "duplicate_rows", "drop_column", "null_id"})

_HIDING = frozenset({"hide_column"})
SEMANTIC_FAULTS = _PAGE_FAULTS | _HIDING

Handler = Callable[[Request], Awaitable[Response]]
Rows = list[tuple[Any, ...]]


class NetSuiteSide(Side):
    """The NetSuite side of the sandbox."""

    vendor = "netsuite"

    def __init__(
        self,
        company: Company,
        *,
        clock: Clock,
        ledger: SqliteLedger,
        faults: FaultPlan,
        tokens: Tokens,
        profile: str = "generous",
    ) -> None:
        self._company = company
        self.database = Database(company, clock)
        self.tokens = tokens
        self.profile = profile
        self._records = Records(self.database)
        self._ledger = ledger
        self._faults = faults
        self._requests = itertools.count(1)
        self._under_way = 0
        self._last: tuple[tuple[str, ...], Rows] = ((), [])
        # Rows still to come of a query that pages by key: (count SQL, last key) → rows.
        self._left: dict[tuple[str, int], int] = {}

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved)."""
        self._company = company
        self._left.clear()
        self.database.load(company)

    def warm(self) -> None:
        """Build the books now."""
        self.database.ready()

    def close(self) -> None:
        self.database.close()

    def mutate(self, op: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Change the books from outside: the operations of `Database.mutate`."""
        self._left.clear()
        return self.database.mutate(op, data)

    def environment(self, url: str) -> dict[str, str]:
        """The settings with which a client gets in. The CSV company has no ERP."""
        if self._company.source == "csv":
            return {}
        return {
            "NETSUITE_BASE_URL": url,
            "NETSUITE_ACCOUNT_ID": ACCOUNT,
            "NETSUITE_CLIENT_ID": CLIENT_ID,
            "NETSUITE_CERTIFICATE_ID": CERTIFICATE_ID,
            "NETSUITE_PRIVATE_KEY": str(self.tokens.path.resolve()),
        }

    def routes(self) -> list[Route]:
        record = "/services/rest/record/v1"
        return [
            Route(TOKEN_PATH, self._token, methods=["POST"]),
            Route("/services/rest/query/v1/suiteql", self._guarded(self._suiteql), methods=["POST"]),
            Route("/services/rest/query/v1/suiteql", self._not_allowed, methods=["GET", "PUT", "PATCH", "DELETE"]),
            Route(f"{record}/metadata-catalog", self._guarded(self._catalog), methods=["GET"]),
            Route(f"{record}/metadata-catalog/{{kind}}", self._guarded(self._schema), methods=["GET"]),
            Route(f"{record}/{{kind}}", self._guarded(self._list), methods=["GET"]),
            Route(f"{record}/{{kind}}/{{id}}", self._guarded(self._get), methods=["GET"]),
            Route("/services/rest/system/v1/governanceLimits", self._guarded(self._limits), methods=["GET"]),
        ]

    # Token ------------------------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        note(operation="token")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        # The connection may come by the loopback address while the client signs for the vendor's own.
        audiences = {f"https://{HOST}{TOKEN_PATH}", str(request.url.replace(query=""))}
        try:
            token = self.tokens.grant(form, audiences)
        except OAuthError as error:
            body = {"error": error.error, "error_description": error.description}
            return Response(orjson.dumps(body), 400, media_type="application/json")
        self._ledger.record("netsuite", "token_issued", {"client_id": CLIENT_ID, "token": f"…{token[-6:]}"})
        body = {"access_token": token, "expires_in": "3600", "token_type": "bearer"}
        return Response(orjson.dumps(body), media_type="application/json", headers={"cache-control": "no-store"})

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.tokens.valid(token.strip()):
            raise NetSuiteError(
                401,
                "INVALID_LOGIN",
                "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI at "
                "Setup > Users/Roles > User Management > View Login Audit Trail.",
            )

    # SuiteQL ----------------------------------------------------------------------------------------------

    async def _suiteql(self, request: Request) -> Response:
        note(operation="suiteql")
        if "transient" not in request.headers.get("prefer", "").lower().replace(" ", "").split(","):
            raise NetSuiteError(
                400,
                "INVALID_HEADER",
                "The required request header 'Prefer' is missing or its value is not 'transient'.",
                Header="Prefer",
            )
        limit, offset = _paging(request)
        query = _query(await request.body())
        number = next(self._requests)
        return await anyio.to_thread.run_sync(self._page, query, limit, offset, number, str(request.base_url))

    def _page(self, query: str, limit: int, offset: int, number: int, base: str) -> Response:
        from sandbox.netsuite.suiteql import compile_query

        hidden = self._faults.take_fault("netsuite", "suiteql", _HIDING)
        if hidden is not None:
            self._hide(query, str(hidden.options.get("column", "")).lower())
        compiled = compile_query(query)
        note(operation=f"suiteql {', '.join(compiled.tables)}")
        if offset >= CEILING:
            raise NetSuiteError(
                400,
                "INVALID_PARAMETER",
                f"Invalid offset. A query returns {CEILING} results at most; narrow it down.",
                QueryParam="offset",
            )
        limit = min(limit, CEILING - offset)
        _, rows = self.database.select(compiled.sql, (limit, offset), seed=number)
        total = min(self._total(compiled, rows, limit, offset), CEILING)
        names, more = compiled.names, offset + len(rows) < total
        fault = self._faults.take_fault("netsuite", "suiteql", _PAGE_FAULTS)
        drop = ""
        if fault is not None:
            names, rows, drop = self._spoilt(fault.name, names, rows, str(fault.options.get("column", "")))
            more = more or fault.name == "empty_page"
        else:
            self._last = (names, rows)
        items = _items(names, compiled.kinds, rows, drop)
        note(records=len(items))
        self._ledger.record("netsuite", "records_served", {"tables": compiled.tables, "count": len(items)})
        path = f"{base.rstrip('/')}/services/rest/query/v1/suiteql"
        body = {
            "links": _links(path, limit, offset, total, more),
            "count": len(items),
            "hasMore": more,
            "items": items,
            "offset": offset,
            "totalResults": total,
        }
        return _answer(body)

    def _total(self, compiled: Any, rows: Rows, limit: int, offset: int) -> int:
        """How many rows the whole query has. Counting a large table for every page of it would cost far more
        than the pages: a query that pages by key inherits the count of the page before."""
        if offset == 0 and len(rows) < limit:
            return len(rows)
        keyset = compiled.keyset
        if keyset is None or offset:
            return int(self.database.select(compiled.count_sql)[1][0][0])
        total = self._left.pop((keyset.count_sql, keyset.bound), None)
        if total is None:
            total = int(self.database.select(keyset.count_sql, (keyset.bound,))[1][0][0])
        if len(self._left) > 64:
            self._left.clear()
        self._left[(keyset.count_sql, int(rows[-1][keyset.output]))] = total - len(rows)
        return total

    def _hide(self, query: str, column: str) -> None:
        """A column the role may not see does not exist for it."""
        if column and re.search(rf"\b{re.escape(column)}\b", query, re.IGNORECASE):
            record = re.search(r"\bfrom\s+(\w+)", query, re.IGNORECASE)
            name = record.group(1).lower() if record else "record"
            raise bad_query(f"Field '{column}' for record '{name}' was not found. Reason: NOT_EXPOSED.")

    def _spoilt(self, name: str, names: tuple[str, ...], rows: Rows, column: str) -> tuple[tuple[str, ...], Rows, str]:
        """The page as a semantic fault leaves it."""
        if name == "empty_page":
            return names, [], ""
        if name == "repeat_page" and self._last[0] == names:
            return names, self._last[1], ""
        if name == "short_page":
            return names, rows[: len(rows) // 2], ""
        if name == "duplicate_rows":
            return names, [*rows, *rows[:5]], ""
        if name == "drop_column":
            return names, rows, column or names[-1]
        if name == "null_id":
            return names, [(None, *rows[0][1:]), *rows[1:]] if rows else rows, ""
        return names, rows, ""

    # Records ----------------------------------------------------------------------------------------------

    async def _list(self, request: Request) -> Response:
        kind = request.path_params["kind"].lower()
        note(operation=f"record {kind}")
        limit, offset = _paging(request)
        if request.query_params.get("q"):
            raise NetSuiteError(400, "INVALID_PARAMETER", "The sandbox lists records without a filter.", QueryParam="q")
        ids, total = await anyio.to_thread.run_sync(self._records.ids, kind, limit, offset)
        base = f"{str(request.base_url).rstrip('/')}/services/rest/record/v1/{kind}"
        items = [{"links": [{"rel": "self", "href": f"{base}/{each}"}], "id": each} for each in ids]
        note(records=len(items))
        more = offset + len(items) < total
        body = {
            "links": _links(base, limit, offset, total, more),
            "count": len(items),
            "hasMore": more,
            "items": items,
            "offset": offset,
            "totalResults": total,
        }
        return _answer(body)

    async def _get(self, request: Request) -> Response:
        kind, number = request.path_params["kind"].lower(), request.path_params["id"]
        note(operation=f"record {kind}", records=1)
        expand = request.query_params.get("expandSubResources", "false").lower() == "true"
        base = f"{str(request.base_url).rstrip('/')}/services/rest/record/v1"
        body = await anyio.to_thread.run_sync(self._records.record, kind, number, expand, base)
        fields = request.query_params.get("fields")
        if fields:
            kept = {"links", "id", *fields.split(",")}
            body = {key: value for key, value in body.items() if key in kept}
        return _answer(body)

    async def _catalog(self, request: Request) -> Response:
        note(operation="metadata")
        base = f"{str(request.base_url).rstrip('/')}/services/rest/record/v1/metadata-catalog"
        wanted = request.query_params.get("select")
        kinds = [kind.strip().lower() for kind in wanted.split(",")] if wanted else self._records.kinds()
        if "swagger" in request.headers.get("accept", ""):
            return _answer(self._records.openapi(kinds))
        items = [
            {"name": kind, "links": [{"rel": "canonical", "href": f"{base}/{kind}", "mediaType": "application/json"}]}
            for kind in kinds
        ]
        return _answer({"links": [{"rel": "self", "href": base}], "items": items})

    async def _schema(self, request: Request) -> Response:
        note(operation="metadata")
        return _answer(self._records.schema(request.path_params["kind"].lower()))

    async def _limits(self, request: Request) -> Response:
        raise NetSuiteError(
            403, "INSUFFICIENT_PERMISSION", "Permission Violation: only an administrator may read governance limits."
        )

    async def _not_allowed(self, request: Request) -> Response:
        error = NetSuiteError(405, "METHOD_NOT_ALLOWED", f"{request.method} is not allowed for this resource.")
        return _refused(error)

    def _guarded(self, handler: Handler) -> Handler:
        """A handler behind login and the limit on requests under way."""

        async def endpoint(request: Request) -> Response:
            try:
                self._authorise(request)
                if self._under_way >= CONCURRENCY.get(self.profile, CONCURRENCY["standard"]):
                    headers, body = refusal(
                        "netsuite", 429, {"detail": "The request limit of the account was exceeded."}
                    )
                    return Response(body, 429, headers=dict(headers))
                self._under_way += 1
                try:
                    return await handler(request)
                finally:
                    self._under_way -= 1
            except NetSuiteError as error:
                return _refused(error)

        return endpoint


def _query(raw: bytes) -> str:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NetSuiteError(400, "INVALID_CONTENT", "Invalid content in the request body: not JSON.") from None
    query = body.get("q") if isinstance(body, dict) else None
    if not isinstance(query, str) or not query.strip():
        raise NetSuiteError(400, "INVALID_CONTENT", "The request body must have 'q' with a query.", Path="q")
    unknown = sorted(set(body) - {"q"})
    if unknown:
        raise NetSuiteError(400, "INVALID_CONTENT", f"Unknown field '{unknown[0]}' in the body.", Path=unknown[0])
    return query


def _paging(request: Request) -> tuple[int, int]:
    numbers = []
    for name, default, low, high in (("limit", MAX_PAGE, 1, MAX_PAGE), ("offset", 0, 0, 10**9)):
        text = request.query_params.get(name, str(default))
        if not text.isdigit() or not low <= int(text) <= high:
            raise NetSuiteError(
                400,
                "INVALID_PARAMETER",
                f"Invalid value for the query parameter {name}. Provide an integer "
                + (f"between {low} and {high}." if name == "limit" else "of at least 0."),
                QueryParam=name,
            )
        numbers.append(int(text))
    limit, offset = numbers
    if offset % limit:
        raise NetSuiteError(400, "INVALID_PARAMETER", "The offset must be divisible by the limit.", QueryParam="offset")
    return limit, offset


def _items(names: tuple[str, ...], kinds: tuple[str | None, ...], rows: Rows, drop: str) -> list[dict[str, Any]]:
    """Rows as SuiteQL gives them: values are strings, NULL columns are absent, bare dates have the user's
    format and no time."""
    if not rows:
        return []
    kept = [index for index, name in enumerate(names) if name != drop]
    # Column by column: a column is of few types, and its values repeat.
    columns = list(zip(*rows, strict=True))
    shown = [_shown(columns[index], kinds[index] in ("date", "datetime")) for index in kept]
    wanted = [names[index] for index in kept]
    if not wanted:
        return [{"links": []} for _ in rows]
    return [
        {"links": [], **{name: text for name, text in zip(wanted, texts, strict=True) if text is not None}}
        for texts in zip(*shown, strict=True)
    ]


def _shown(column: Sequence[Any], dated: bool) -> Sequence[str | None]:
    """The values of one column as text, NULL as None."""
    types = set(map(type, column))
    if types <= {str, type(None)}:
        return column
    if types == {int} and not dated:
        return list(map(str, column))
    # By type as well: 1 and 1.00 are equal, and shown otherwise.
    texts: dict[tuple[type, Any], str | None] = {}
    for value in set(zip(map(type, column), column, strict=True)):
        kind, held = value
        if held is None or kind is str:
            texts[value] = held
        else:
            texts[value] = to_char(held, "MM/DD/YYYY") if dated else as_text(held)
    return [texts[value] for value in zip(map(type, column), column, strict=True)]


def _links(path: str, limit: int, offset: int, total: int, more: bool) -> list[dict[str, str]]:
    def link(rel: str, at: int) -> dict[str, str]:
        return {"rel": rel, "href": f"{path}?{urlencode({'limit': limit, 'offset': at})}"}

    links = []
    if offset:
        links += [link("previous", max(0, offset - limit)), link("first", 0)]
    if more:
        links += [link("next", offset + limit), link("last", (total - 1) // limit * limit)]
    return [*links, link("self", offset)]


def _answer(body: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json; charset=UTF-8")


def _refused(error: NetSuiteError) -> Response:
    headers = {"www-authenticate": f'Bearer realm="{ACCOUNT}", error="invalid_token"'} if error.status == 401 else {}
    return Response(
        orjson.dumps(error.body()),
        error.status,
        headers=headers,
        media_type="application/vnd.oracle.resource+json; type=error; charset=UTF-8",
    )
