"""Amazon over HTTP: paths, access tokens, roles, the User-Agent, rate limits, faults, pre-signed downloads.

Belongs here: what is true of every operation. Does not belong here: any one operation (`operations.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.amazon.errors import Refused, invalid, unauthorised
from sandbox.amazon.limits import RateLimits
from sandbox.amazon.login import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Logins
from sandbox.amazon.operations import OPERATIONS, PAGE_FAULTS, Call, Operation, Reports, document
from sandbox.amazon.world import SELLER, World
from sandbox.company import Company
from sandbox.company.marketplace import US
from sandbox.exchange import note
from sandbox.mutation import MutationRefused
from sandbox.vendor_side import MadeOnce, Side, Surroundings

PREFIXES = (
    "/auth/o2/token", "/orders/2026-01-01/", "/sales/v1/", "/fba/inventory/", "/listings/2021-08-01/",
    "/reports/2021-06-30/", "/amazon-documents/",
)  # fmt: skip
_TOKEN_FAULT = frozenset({"expired_page_token"})
SEMANTIC_FAULTS = PAGE_FAULTS | _TOKEN_FAULT


class AmazonSide(Side):
    """The Amazon side of the sandbox. What the seller has there is put together at the first request."""

    vendor = "amazon"

    def __init__(self, around: Surroundings) -> None:
        self._company = around.company
        self._clock = around.clock
        self._faults = around.faults
        self._world = MadeOnce(lambda: World(self._company))
        self.limits = RateLimits(around.options.profile)
        self.logins = Logins(around.clock)
        self.reports = Reports()

    @property
    def world(self) -> World:
        return self._world()

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved). Reports that were asked for stay."""
        self._company = company
        self._world.forget()

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
        return {
            "AMAZON_BASE_URL": url,
            "AMAZON_CLIENT_ID": CLIENT_ID,
            "AMAZON_CLIENT_SECRET": CLIENT_SECRET,
            "AMAZON_REFRESH_TOKEN": REFRESH_TOKEN,
            "AMAZON_MARKETPLACE_ID": US,
            "AMAZON_SELLER_ID": SELLER,
        }

    def routes(self) -> list[Route]:
        return [
            Route("/auth/o2/token", self._login, methods=["POST"]),
            Route("/amazon-documents/{document_id}", self._document, methods=["GET"]),
            *(Route(each.path, self._endpoint(each), methods=[each.method]) for each in OPERATIONS),
        ]

    # HTTP -------------------------------------------------------------------------------------------------

    async def _login(self, request: Request) -> Response:
        note(operation="token")
        status, body = self.logins.token(await request.body(), request.headers.get("content-type", ""))
        return Response(orjson.dumps(body), status, media_type="application/json;charset=UTF-8")

    async def _document(self, request: Request) -> Response:
        note(operation="document")
        if "x-amz-access-token" in request.headers or "authorization" in request.headers:
            # A storage that is handed a second way to authenticate refuses both.
            return Response("<Error><Code>InvalidArgument</Code></Error>", 400, media_type="application/xml")
        try:
            content = document(
                self.reports, request.path_params["document_id"], request.query_params, self._clock.now()
            )
        except Refused as refused:
            return Response("<Error><Code>AccessDenied</Code></Error>", refused.status, media_type="application/xml")
        return Response(content, media_type="application/octet-stream")

    def _endpoint(self, operation: Operation) -> Any:
        async def answer(request: Request) -> Response:
            note(operation=operation.name)
            headers = {"x-amzn-requestid": hashlib.sha256(str(request.url).encode()).hexdigest()[:32]}
            try:
                body = await self._run(operation, request, headers)
            except Refused as refused:
                return Response(
                    orjson.dumps(refused.body), refused.status, headers=headers, media_type="application/json"
                )
            return body

        return answer

    async def _run(self, operation: Operation, request: Request, headers: dict[str, str]) -> Response:
        token = request.headers.get("x-amz-access-token", "")
        if not token:
            raise unauthorised("The access token is missing in the request header x-amz-access-token.")
        roles = self.logins.roles(token)
        if isinstance(roles, str):
            raise unauthorised(roles)
        if not request.headers.get("user-agent"):
            raise invalid("The User-Agent header is required.")
        if operation.role not in roles:
            raise unauthorised("")
        rate, _ = self.limits.plan(operation.name)
        if not self.limits.allow(REFRESH_TOKEN, operation.name):
            raise Refused(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
        headers["x-amzn-ratelimit-limit"] = f"{rate:g}"
        query = dict(request.query_params)
        armed = None
        if operation.pages:
            armed = self._faults.take_fault("amazon", operation.name, PAGE_FAULTS)
            if any(name.endswith("Token") for name in query):
                ended = self._faults.take_fault("amazon", operation.name, _TOKEN_FAULT)
                if ended is not None:
                    raise invalid("The page token has expired.")
        call = Call(
            self.world, query, self._clock.now(), roles, str(request.base_url).rstrip("/"), self.reports,
            path=dict(request.path_params), fault=armed.name if armed else None,
        )  # fmt: skip
        if operation.method == "POST":
            try:
                call.body = orjson.loads(await request.body())
            except orjson.JSONDecodeError:
                raise invalid("The body is not JSON.") from None
        answer = operation.run(call)
        note(records=answer.records)
        return Response(orjson.dumps(answer.body), answer.status, headers=headers, media_type="application/json")

    # Changes made by tests --------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> Any:
        """Change Amazon's data from outside. Operations: `upsert_order` (id; sku, quantity, price, status, currency,
        marketplace, created, replaces, at), `update_order` (id; fields, status, at, updated), `cancel_order`,
        `delete_order` (id), `set_stock` (sku, quantity), `delete_sku` (sku), `upsert_listing` (sku; fields),
        `set_health` (metrics), `set_reports` (compressed, polls, end, forget), `end_tokens`."""
        if op == "end_tokens":
            return {"ended": self.logins.end_all()}
        if op == "set_reports":
            end = str(data.get("end", "DONE"))
            if end not in ("DONE", "CANCELLED", "FATAL"):
                raise MutationRefused(f"A report does not end as {end!r}.")
            self.reports.compressed = bool(data.get("compressed", self.reports.compressed))
            self.reports.polls = int(data.get("polls", self.reports.polls))
            self.reports.next_end = end
            if data.get("forget"):
                self.reports.made.clear()
            return {"reports": len(self.reports.made)}
        return self.world.mutate(op, data, self._clock.now())
