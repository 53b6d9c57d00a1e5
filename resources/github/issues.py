"""GitHub's issues as work orders read them: what changed, one issue, its timeline, who may do what.

Belongs here: the requests of intake. Does not belong here: the protocol (`client.py`), writing (`writing.py`), what an
issue means (`ops_platform.work_orders`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from ops_platform.failures import ConfigurationError, TransientFailure
from ops_platform.records import JsonObject
from ops_platform.work_orders.intake import Changed, Elsewhere
from resources.github.client import PAGE_SIZE, GitHubClient, NotModified, Refused, link_of, repository_in
from resources.retry import RetryPolicy

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ops_platform.settings import Settings


# A turn of the coordinator waits for nobody long: what cannot be read now is read by the next.
SHORT = RetryPolicy(tries=3, budget_seconds=20.0, first_wait=0.5, longest_wait=5.0)


@dataclass(slots=True)
class IssueReading:
    """Reads by a `GitHubClient`. Opens nothing until first used."""

    client: GitHubClient

    def repository(self, name: str) -> tuple[str, int]:
        found = self.client.repository(name)
        return str(found["full_name"]), int(found["id"])

    def permission(self, repository: str, login: str) -> str:
        """GitHub tells the role apart from the permission it amounts to: `maintain` and `triage` are roles."""
        try:
            data = self.client.get(f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission").data
        except Refused as refused:
            if refused.status == 404:
                return "none"  # no such account, or none that may see the repository
            raise
        role = data.get("role_name") if isinstance(data, dict) else None
        given = data.get("permission") if isinstance(data, dict) else None
        return str(role if role in ("maintain", "triage") else given or "none")

    def changed(self, repository: str, since: datetime | None, etag: str) -> Changed | None:
        """Read upward: each further request asks from the last change seen on, so that an issue which changes while
        pages are read pushes none of its neighbours out of sight."""
        query: dict[str, str | int] = {"sort": "updated", "direction": "asc", "per_page": PAGE_SIZE, "state": "open"}
        if since is not None:
            query |= {"state": "all", "since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        path = f"/repos/{repository}/issues"
        found: dict[int, JsonObject] = {}
        try:
            listed = self.client.page(path, query, etag=etag)
        except NotModified:
            return None
        # The mark stands for the first page alone: once that is full, it stays as it is whatever comes after it.
        first_etag = listed.etag if len(listed.items) < PAGE_SIZE else None
        while True:
            for issue in listed.items:
                if isinstance(issue, dict) and isinstance(issue.get("id"), int):
                    found[issue["id"]] = issue
            following = listed.following
            if following is None or not listed.items:
                break
            last = str(listed.items[-1].get("updated_at") or "")
            if last > str(query.get("since") or ""):
                query |= {"state": "all" if since is not None else "open", "since": last}
                listed = self.client.page(path, query)
            else:
                # More than a page of one second: there is no other way than GitHub's own next page.
                listed = self.client.page(following, of=repository_in(path))
        issues = sorted(found.values(), key=lambda issue: (str(issue.get("updated_at")), issue["id"]))
        return Changed(issues, first_etag)

    def issue(self, repository: str, number: int) -> JsonObject | Elsewhere:
        """An issue that was moved answers with the one it became, in another repository."""
        try:
            data = self.client.get(f"/repos/{repository}/issues/{number}").data
        except Refused as refused:
            if refused.status in (404, 410):
                return Elsewhere(None)
            raise
        there = repository_in(str(data.get("url") or ""))
        if data.get("number") != number or (there and there.lower() != repository.lower()):
            return Elsewhere(f"{there or repository}#{data.get('number')}")
        found: JsonObject = data
        return found

    def default_branch(self, repository: str) -> str:
        return str(self.client.repository(repository).get("default_branch") or "main")

    def checks(self, repository: str, ref: str) -> tuple[str, list[JsonObject], list[JsonObject]]:
        """The commit a branch stands at, its check runs and commit statuses. Raises `Refused` for no such branch."""
        at = f"/repos/{repository}/commits/{quote(ref, safe='')}"
        status = self.client.get(f"{at}/status", {"per_page": PAGE_SIZE}).data
        runs: list[JsonObject] = []
        page: str | None = f"{at}/check-runs?per_page={PAGE_SIZE}"
        while page is not None:
            answer = self.client.get(page)
            listed = answer.data.get("check_runs") if isinstance(answer.data, dict) else None
            if not isinstance(listed, list):
                raise TransientFailure("github: the checks of a commit were answered without a list")
            runs += [each for each in listed if isinstance(each, dict)]
            following = link_of(answer, "next")
            page = self.client.path_of(following) if following is not None else None
        sha, statuses = status.get("sha"), status.get("statuses")
        if not isinstance(sha, str) or not isinstance(statuses, list):
            raise TransientFailure("github: the status of a commit was answered without its commit")
        return sha, runs, [each for each in statuses if isinstance(each, dict)]

    def timeline(self, repository: str, number: int) -> Sequence[JsonObject]:
        path = f"/repos/{repository}/issues/{number}/timeline"
        events: list[JsonObject] = []
        for listed in self.client.walk(path, {"per_page": PAGE_SIZE}):
            events += [each for each in listed.items if isinstance(each, dict)]
        return events


def connect(settings: Settings) -> tuple[IssueReading, list[str]] | None:
    """The reader and the repositories whose issues are work orders (`GITHUB_REPOSITORY`), None without GitHub. Opens no
    connection. Raises `ConfigurationError` where the token is missing."""
    names = [name.strip() for name in (settings.github_repository or "").split(",") if name.strip()]
    if not names:
        return None
    if settings.github_token is None:
        raise ConfigurationError("github: GITHUB_TOKEN is missing; docs/connect/github.md says how to get one")
    return _reading(settings, settings.github_token), names


def connect_checks(settings: Settings) -> IssueReading | None:
    """A reader of checks: they need permissions that the writing token has. None without it."""
    token = settings.github_write_token
    return None if token is None else _reading(settings, token)


def _reading(settings: Settings, token: SecretStr) -> IssueReading:
    from resources.github.client import API
    from resources.http import HttpClient

    return IssueReading(GitHubClient(HttpClient("github", settings.github_base_url or API), token, retry=SHORT))
