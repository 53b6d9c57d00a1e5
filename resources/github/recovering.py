"""Every issue of a repository and every comment on them, for rebuilding work orders from nothing else.

Belongs here: the two whole listings. Does not belong here: what they say (`ops_platform.work_orders.recovery`), reading
what changed (`issues.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.github.client import PAGE_SIZE, Query

if TYPE_CHECKING:
    from resources.github.client import GitHubClient
    from resources.github.writing import GitHubWriter


@dataclass(frozen=True, slots=True)
class WholeRepository:
    """Implements `recovery.IssueReader`: read by `client`; `writer` knows the account whose comments are ours."""

    client: GitHubClient
    writer: GitHubWriter

    def login(self) -> str:
        return self.writer.login()

    def issues(self, repository: str) -> Iterator[Mapping[str, Any]]:
        """Issues of every state, oldest first; pull requests are left out."""
        query: Query = {"state": "all", "sort": "created", "direction": "asc", "per_page": PAGE_SIZE}
        for listed in self.client.walk(f"{self._at(repository)}/issues", query):
            for item in listed.items:
                if isinstance(item, dict) and "pull_request" not in item:
                    yield item

    def comments(self, repository: str) -> Iterator[Mapping[str, Any]]:
        """Comments on issues and pull requests, oldest first."""
        query: Query = {"sort": "created", "direction": "asc", "per_page": PAGE_SIZE}
        for listed in self.client.walk(f"{self._at(repository)}/issues/comments", query):
            for item in listed.items:
                if isinstance(item, dict):
                    yield item

    def _at(self, repository: str) -> str:
        return f"/repos/{self.client.repository(repository)['full_name']}"
