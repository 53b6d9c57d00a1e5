"""A small client of the sandbox's Shopify, for its tests: grants a token, asks, pages. It knows nothing of the
sandbox's inside beyond mounting it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.testclient import TestClient

from sandbox.company import Company, generate
from sandbox.faults import FaultPlan
from sandbox.hooks import Hooks, StillClock
from sandbox.shopify import ShopifySide

CLOCK = datetime(2026, 11, 20, 6, tzinfo=ZoneInfo("America/New_York"))
GRANT = {
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "grant_type": "client_credentials",
}


@lru_cache(maxsize=2)
def company(seed: int = 7, clock: datetime = CLOCK) -> Company:
    return generate(seed, clock)


@dataclass
class KeptLedger:
    """A ledger in memory."""

    entries: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def record(self, vendor: str, kind: str, detail: dict[str, Any]) -> None:
        json.dumps(detail)  # what is recorded must be JSON
        self.entries.append((vendor, kind, detail))

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.entries]


class Shop:
    """A side mounted on a test client, with a token."""

    def __init__(self, served: Company | None = None, *, clock: datetime = CLOCK, profile: str = "generous",
                 directory: Path | None = None) -> None:  # fmt: skip
        self.clock = StillClock(clock.astimezone(UTC))
        self.ledger = KeptLedger()
        self.faults = FaultPlan()
        self.company = served if served is not None else company()
        hooks = Hooks(self.clock, self.ledger, self.faults)
        self.side = ShopifySide(self.company, hooks, profile=profile, directory=directory)
        self.client = TestClient(Starlette(routes=self.side.routes()))
        self.token = self.client.post("/admin/oauth/access_token", data=GRANT).json()["access_token"]

    def post(self, body: dict[str, Any], *, version: str = "2026-10", token: str | None = None) -> Any:
        headers = {"X-Shopify-Access-Token": self.token if token is None else token}
        return self.client.post(f"/admin/api/{version}/graphql.json", json=body, headers=headers)

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        response = self.post({"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        return dict(response.json())

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return dict(answer["data"])

    def pages(self, field: str, selection: str, *, first: int = 250, args: str = "") -> Iterator[list[Any]]:
        """The pages of a root connection."""
        after = None
        query = (
            f"query Pages($first: Int!, $after: String) {{ {field}(first: $first, after: $after {args}) "
            f"{{ pageInfo {{ hasNextPage endCursor }} nodes {{ {selection} }} }} }}"
        )
        while True:
            page = self.data(query, first=first, after=after)[field]
            yield page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def every(self, field: str, selection: str, *, first: int = 250, args: str = "") -> list[Any]:
        return [node for page in self.pages(field, selection, first=first, args=args) for node in page]
