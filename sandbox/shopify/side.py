"""Shopify's side of the sandbox: the GraphQL endpoint, the token endpoint, the files of bulk operations.

Belongs here: HTTP, one request from body to answer, the state that outlives requests. Does not belong here: the
graph (`engine.py` and the fields), prices (`cost.py`), the company.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    validate,
)
from graphql.execution.execute import execute
from graphql.execution.values import get_variable_values
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from sandbox.company.model import Company
from sandbox.exchange import note
from sandbox.hooks import Hooks
from sandbox.shopify import changes, spoil
from sandbox.shopify.access import Refused, Tokens, served_version
from sandbox.shopify.bulk import BulkOperations
from sandbox.shopify.bulk_state import RESULT_PATH
from sandbox.shopify.context import SCOPES, Context
from sandbox.shopify.cost import MOST_POINTS, Bucket, Pricer, points, too_dear
from sandbox.shopify.engine import FastExecution, schema
from sandbox.shopify.listing import Listings
from sandbox.shopify.paging import CAP
from sandbox.shopify.values import to_json
from sandbox.shopify.world import World
from sandbox.vendor_side import Side

BUCKETS = {"generous": (20_000, 2_000), "standard": (2_000, 100), "restricted": (2_000, 100)}
"""Points and points a second by profile: an enterprise plan's restore rate, or a standard plan."""

_DOCUMENTS = 256
_TEXT = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Document:
    """A parsed and validated document; `errors` as Shopify words them."""

    node: DocumentNode | None
    errors: list[dict[str, Any]]
    fragments: dict[str, FragmentDefinitionNode]
    operations: list[OperationDefinitionNode]


class ShopifySide(Side):
    """Mounted by the server with `routes()`. `directory` keeps bulk results; without it a temporary one does."""

    def __init__(
        self, company: Company, hooks: Hooks, *, profile: str = "generous", directory: Path | None = None
    ) -> None:
        self.hooks = hooks
        self.tokens = Tokens()
        self.scopes = frozenset(SCOPES)
        self.search_lag = timedelta(0)
        self.pagination_cap = CAP
        self._profile = profile
        self.bucket = Bucket(*BUCKETS[profile])
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="sandbox-bulk-"))
            weakref.finalize(self, rmtree, directory, True)
        self.bulk = BulkOperations(directory, hooks, hashlib.sha256(str(directory).encode()).digest())
        self._documents: OrderedDict[str, _Document] = OrderedDict()
        self._last: dict[str, bytes] = {}
        self._lock = threading.RLock()
        self.load(company)

    @property
    def profile(self) -> str:
        return self._profile

    @profile.setter
    def profile(self, name: str) -> None:
        self._profile = name
        self.set_bucket(*BUCKETS[name])

    def set_bucket(self, maximum: int, restore: int) -> None:
        self.bucket = Bucket(maximum, restore)

    def load(self, company: Company) -> None:
        """Serve this company from now on; changes made to the one before are gone."""
        with self._lock:
            self.world = World(company)
            self.listings = Listings(self.world)

    def environment(self, url: str) -> dict[str, str]:
        return {
            "SHOPIFY_BASE_URL": url,
            "SHOPIFY_SHOP": "demo-shop",
            "SHOPIFY_CLIENT_ID": "sandbox-client",
            "SHOPIFY_CLIENT_SECRET": "sandbox-secret",
        }

    def replayed(self, data: Mapping[str, Any], result: Any) -> dict[str, Any]:
        """Changes name what they change by themselves."""
        return dict(data)

    def mutate(self, op: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Change the data from outside; see `changes`. Raises `MutationRefused`."""
        with self._lock:
            return changes.apply(self, op, data)

    def routes(self) -> list[Route]:
        return [
            Route("/admin/oauth/access_token", self._grant, methods=["POST"]),
            Route("/admin/api/{version}/graphql.json", self._graphql, methods=["POST"]),
            Route(RESULT_PATH + "{name}", self._result, methods=["GET"]),
        ]

    def context(self, *, base_url: str = "", version: str = "2026-10", scopes: frozenset[str] | None = None) -> Context:
        """What resolvers of one request see."""
        return Context(
            world=self.world,
            listings=self.listings,
            bulk=self.bulk,
            now=self.hooks.clock.now(),
            scopes=self.scopes if scopes is None else scopes,
            version=version,
            base_url=base_url,
            lag=self.search_lag,
            cap=self.pagination_cap,
        )

    # -- tokens -------------------------------------------------------------------------------------------------

    async def _grant(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                given = orjson.loads(body)
            except orjson.JSONDecodeError:
                given = {}
            form = {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        else:
            form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        note(operation="oauth_token")
        fault = spoil.take(self.hooks, "oauth", spoil.OAUTH_FAULTS)
        try:
            token, seconds = self.tokens.grant(form, self.hooks.clock.now(), self.scopes, fault=fault)
        except Refused as refused:
            self.hooks.ledger.record("shopify", "token_refused", {"error": refused.error})
            return _json({"error": refused.error, "error_description": refused.description}, refused.status)
        self.hooks.ledger.record("shopify", "token_granted", {"expires_in": seconds})
        return _json({"access_token": token.text, "scope": ",".join(sorted(self.scopes)), "expires_in": seconds})

    # -- bulk results -------------------------------------------------------------------------------------------

    async def _result(self, request: Request) -> Response:
        note(operation="bulk_result")
        if "x-shopify-access-token" in request.headers or "authorization" in request.headers:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed; a signed URL takes no other.")
        operation = self.bulk.result(request.path_params["name"].removesuffix(".jsonl"))
        if operation is None or not operation.path.exists():
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        if operation.expired(self.hooks.clock.now()):
            return _xml(403, "ExpiredToken", "The provided token has expired.")
        self.hooks.ledger.record("shopify", "bulk_fetched", {"id": operation.id, "objects": operation.objects})
        note(records=operation.objects)
        return FileResponse(operation.path, media_type="application/jsonl")

    # -- GraphQL ------------------------------------------------------------------------------------------------

    async def _graphql(self, request: Request) -> Response:
        version = served_version(request.path_params["version"])
        if version is None:
            return _json({"errors": "Not Found"}, 404)
        headers = {"X-Shopify-API-Version": version}
        now = self.hooks.clock.now()
        token = self.tokens.check(request.headers.get("x-shopify-access-token"), now)
        if token is None or spoil.take(self.hooks, "graphql", frozenset({"invalid_token"})):
            text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return _json({"errors": text}, 401, headers)
        body = await request.body()
        query, name = None, None
        variables: dict[str, Any] = {}
        if request.headers.get("content-type", "").startswith("application/graphql"):
            query = body.decode("utf-8", "replace")
        else:
            try:
                given = orjson.loads(body)
            except orjson.JSONDecodeError:
                return _json({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
            if isinstance(given, dict):
                query, name = given.get("query"), given.get("operationName")
                variables = given.get("variables") or {}
        if not isinstance(query, str) or not query.strip() or not isinstance(variables, dict):
            return _json({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
        context = self.context(base_url=str(request.base_url).rstrip("/"), version=version)
        answer = await run_in_threadpool(self._answer, query, variables, name, context)
        return Response(answer, 200, headers, _TEXT)

    def _answer(self, query: str, variables: dict[str, Any], name: str | None, context: Context) -> bytes:
        """One request, from text to the bytes of its answer."""
        with self._lock:
            document = self._document(query)
            operation = None
            for one in document.operations:
                if name is None or (one.name is not None and one.name.value == name):
                    operation = one
                    break
            label = operation.name.value if operation is not None and operation.name is not None else "anonymous"
            note(operation=label)
            if document.errors or document.node is None:
                return to_json({"errors": document.errors})
            if operation is None or (name is None and len(document.operations) > 1):
                return to_json({"errors": [{"message": "An operation name is required", "path": [],
                                            "extensions": {"code": "operationNameMissing"}}]})  # fmt: skip
            coerced = get_variable_values(schema(), operation.variable_definitions or (), variables)
            if isinstance(coerced, list):
                return to_json({"errors": [_variable_error(error) for error in coerced]})
            cost = Pricer(schema(), document.fragments, coerced).price(operation)
            requested = points(cost.requested())
            if requested > MOST_POINTS:
                return to_json({"errors": [too_dear(requested).formatted], "extensions": self._cost(requested, None)})
            fault = spoil.take(self.hooks, "graphql", spoil.REFUSALS)
            if fault == "throttled":
                self.bucket.drain()
            if not self.bucket.reserve(requested):
                self.hooks.ledger.record("shopify", "throttled", {"operation": label, "requested": requested})
                errors = [{"message": "Throttled", "extensions": {"code": "THROTTLED",
                           "documentation": "https://shopify.dev/api/usage/rate-limits"}}]  # fmt: skip
                return to_json({"errors": errors, "extensions": self._cost(requested, None)})
            if fault in {"access_denied", "internal_error"}:
                self.bucket.give_back(requested)
                return to_json(_refused(fault, label))
            if fault == "repeat_page" and query in self._last:
                self.bucket.give_back(requested)
                return self._last[query]
            result = execute(
                schema(),
                document.node,
                context_value=context,
                variable_values=variables,
                operation_name=name,
                execution_context_class=FastExecution,
            )
            assert isinstance(result, ExecutionResult)
            actual = min(requested, points(cost.actual(result.data)))
            self.bucket.give_back(requested - actual)
            fault = spoil.take(self.hooks, "graphql", spoil.PAGE_FAULTS)
            if fault is not None:
                spoil.spoil(fault, result.data)
            counted = spoil.count_nodes(result.data)
            note(records=sum(counted.values()))
            body: dict[str, Any] = {"data": result.data}
            if result.errors:
                body = {"errors": [_formatted(error) for error in result.errors], "data": result.data}
            body["extensions"] = self._cost(requested, actual)
            if context.warnings:
                body["extensions"]["search"] = context.warnings
            detail = {"operation": label, "version": context.version, "records": counted, "requested": requested,
                      "actual": actual}  # fmt: skip
            self.hooks.ledger.record("shopify", "records_served", detail)
            answer = to_json(body)
            if counted:
                self._last = {query: answer}
            return answer

    def _document(self, query: str) -> _Document:
        found = self._documents.get(query)
        if found is not None:
            self._documents.move_to_end(query)
            return found
        try:
            node = parse(query)
        except GraphQLSyntaxError as error:
            found = _Document(None, [_syntax_error(error)], {}, [])
        else:
            errors = [_validation_error(error) for error in validate(schema(), node)]
            found = _Document(
                node,
                errors,
                {d.name.value: d for d in node.definitions if isinstance(d, FragmentDefinitionNode)},
                [d for d in node.definitions if isinstance(d, OperationDefinitionNode)],
            )
        self._documents[query] = found
        while len(self._documents) > _DOCUMENTS:
            self._documents.popitem(last=False)
        return found

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        status = self.bucket.status()
        return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(body), status, dict(headers or {}), _TEXT)


def _xml(status: int, code: str, message: str) -> Response:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(text, status, media_type="application/xml")


def _refused(fault: str, label: str) -> dict[str, Any]:
    if fault == "access_denied":
        extensions = {"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/api/usage/access-scopes"}
        return {"errors": [{"message": f"Access denied for {label} field.", "extensions": extensions}], "data": None}
    message = (
        "Internal error. Looks like something went wrong on our end.\n"
        "Request ID: sandbox (include this in support requests)."
    )
    return {"errors": [{"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": "sandbox"}}]}


def _formatted(error: GraphQLError) -> dict[str, Any]:
    formatted: dict[str, Any] = dict(error.formatted)
    if not formatted.get("extensions"):
        # A resolver that raised: the vendor shows no more than this.
        formatted["extensions"] = {"code": "INTERNAL_SERVER_ERROR"}
    return formatted


def _syntax_error(error: GraphQLSyntaxError) -> dict[str, Any]:
    return {"message": f"syntax error, {error.message.removeprefix('Syntax Error: ')}", "locations": _places(error)}


def _places(error: GraphQLError) -> list[dict[str, int]]:
    return [{"line": place.line, "column": place.column} for place in error.locations or ()]


def _validation_error(error: GraphQLError) -> dict[str, Any]:
    """Shopify's wording for the commonest mistakes, graphql-core's for the rest."""
    message, code = error.message, "graphqlValidationFailed"
    if message.startswith("Cannot query field '"):
        field, type_name = message.split("'")[1], message.split("'")[3]
        message, code = f"Field '{field}' doesn't exist on type '{type_name}'", "undefinedField"
    elif message.startswith("Unknown argument '"):
        name, spot = message.split("'")[1], message.split("'")[3]
        message, code = f"Field '{spot.split('.')[-1]}' doesn't accept argument '{name}'", "argumentNotAccepted"
    elif message.startswith("Unknown type '"):
        message, code = f"{message.split(chr(39))[1]} isn't a defined input type", "undefinedType"
    return {"message": message, "locations": _places(error), "path": ["query"], "extensions": {"code": code}}


def _variable_error(error: GraphQLError) -> dict[str, Any]:
    return {"message": error.message, "locations": _places(error), "extensions": {"code": "INVALID_VARIABLE"}}
