"""What GitHub says no with, and one request that was let in.

Belongs here: the refusals' shapes, the reading of a query, permissions. Does not belong here: paths (`side.py`,
`writes.py`, `code_paths.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.github.shapes import Shapes
from sandbox.github.tracker import Issue, Repository, Tracker

DOCUMENTATION = "https://docs.github.com/rest"
LARGEST_PAGE = 100

Json = dict[str, Any]


class Refused(Exception):
    """An answer other than a good one."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: Json = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status), **more}


def invalid(resource: str, name: str, message: str) -> Refused:
    errors = [{"resource": resource, "field": name, "code": "invalid", "message": message}]
    return Refused(422, "Validation Failed", errors=errors)


def missing(resource: str, name: str) -> Refused:
    return Refused(422, "Validation Failed", errors=[{"resource": resource, "field": name, "code": "missing_field"}])


@dataclass(slots=True)
class Call:
    """One request that was let in. `login` is the account of the token."""

    tracker: Tracker
    shapes: Shapes
    query: Mapping[str, str]
    base_url: str
    permissions: frozenset[str]
    login: str = ""

    @property
    def role(self) -> str:
        return self.tracker.role(self.login)

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        value = self.query.get(name, default)
        if value not in allowed:
            raise invalid("Issue", name, f"{name} must be one of {', '.join(allowed)}")
        return value

    def number(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        return int(text) if text.isdigit() and int(text) > 0 else default

    @property
    def per_page(self) -> int:
        return min(self.number("per_page", 30), LARGEST_PAGE)

    def since(self) -> datetime | None:
        text = self.query.get("since")
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise invalid("Issue", "since", "since is not a timestamp in ISO 8601") from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def allow(self, *permissions: str) -> None:
        """Refuse unless one of the permissions is there; who may write may read."""
        enough = {*permissions, *(each.replace("=read", "=write") for each in permissions)}
        if not self.permissions & enough:
            accepted = {"X-Accepted-GitHub-Permissions": "; ".join(permissions)}
            raise Refused(403, "Resource not accessible by personal access token", accepted)

    def one(self, repository: Repository, number: int) -> Issue:
        """The issue, or where it went."""
        issue = repository.issues.get(number)
        if issue is not None:
            return issue
        if number in repository.transferred:
            identity, new = repository.transferred[number]
            url = f"{self.base_url}/repositories/{identity}/issues/{new}"
            raise Refused(301, "Moved Permanently", {"location": url}, url=url)
        if number in repository.deleted:
            raise Refused(410, "This issue was deleted")
        raise Refused(404, "Not Found")
