"""What is written to GitHub: comments, labels, states, branches, files, draft pull requests. Never a merge.

Belongs here: one call each, and the looks that find out whether an unclear one was done. Does not belong here: what may
be written (`ops_platform.work_orders.effects`), when it is repeated (`ledger.py` there), headers and limits
(`client.py`).

Writing has a token of its own, which only the step that applies effects holds. No method here deletes what people made,
merges, or touches a default branch. Something made is recognised by the marker in its text and our account as author,
for GitHub takes no idempotency key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ops_platform.failures import AmbiguousFailure, ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.work_orders.sanitising import mark_in
from resources.github.client import API, PAGE_SIZE, GitHubClient, Query, Refused

if TYPE_CHECKING:
    from ops_platform.settings import Settings

Json = dict[str, Any]
# How many of our own newest issues are looked through for a marker.
PAGES_OF_ISSUES = 3


def connect(settings: Settings) -> GitHubWriter | None:
    """The account that writes, or None without a token for it. Opens no connection."""
    if settings.github_write_token is None:
        return None
    from pydantic import SecretStr

    from resources.http import HttpClient

    token = settings.github_write_token.get_secret_value().strip()
    if settings.github_token is not None and token == settings.github_token.get_secret_value().strip():
        raise ConfigurationError(
            "github: GITHUB_WRITE_TOKEN is the token that reads; it must be another, which reading never holds"
        )
    return GitHubWriter(GitHubClient(HttpClient("github", settings.github_base_url or API), SecretStr(token)))


class GitHubWriter:
    """Implements `ops_platform.work_orders.applying.GitHubWrites`. Not for two threads at once."""

    def __init__(self, client: GitHubClient) -> None:
        self.client = client
        self._login = ""

    def close(self) -> None:
        self.client.http.close()

    # -- who we are, what is there --------------------------------------------------------------------------

    def login(self) -> str:
        """The account whose token this is."""
        if not self._login:
            found = self.client.get("/user").data
            if not isinstance(found, dict) or not isinstance(found.get("login"), str):
                raise TransientFailure("github: the token's account was answered without its name")
            self._login = found["login"]
        return self._login

    def identity(self) -> str:
        """Ask for the account: the check that `ops doctor` makes. Changes nothing."""
        return f"work orders are answered by {self.login()}; nothing is ever merged"

    def permission(self, repository: str, login: str) -> str:
        """What somebody may do in a repository: admin, write, read or none."""
        try:
            found = self.client.get(f"{self._at(repository)}/collaborators/{quote(login, safe='')}/permission").data
        except Refused as refused:
            if refused.status == 404:
                return "none"
            raise
        return str(found.get("permission") or "none") if isinstance(found, dict) else "none"

    def public(self, repository: str) -> bool:
        """Whether anybody may read the repository; also where GitHub does not say."""
        return self.client.repository(repository).get("private") is not True

    def protected(self, repository: str) -> bool | None:
        """Whether the default branch is protected; None where the token may not see it."""
        try:
            name = quote(self.default_branch(repository))
            found = self.client.get(f"{self._at(repository)}/branches/{name}").data
        except Refused:
            return None
        return found.get("protected") is True if isinstance(found, dict) else None

    def labels(self, repository: str) -> dict[str, Json]:
        """The repository's labels by name."""
        found = self.client.whole(f"{self._at(repository)}/labels", {})
        return {str(each["name"]): each for each in found if isinstance(each, dict) and each.get("name")}

    def ensure_label(self, repository: str, name: str, color: str, description: str = "") -> bool:
        """Make a label unless it is there, in any case of letters; whether it was made."""
        if any(known.casefold() == name.casefold() for known in self.labels(repository)):
            return False
        body = {"name": name, "color": color, "description": description[:100]}
        try:
            self.client.write("POST", f"{self._at(repository)}/labels", body)
        except Refused as refused:
            if refused.status == 422 and "already_exists" in str(refused):
                return False
            raise
        return True

    def checks(self, repository: str, ref: str) -> list[Json]:
        """The newest check runs of a commit or branch, as GitHub has them."""
        path = f"{self._at(repository)}/commits/{quote(ref, safe='')}/check-runs"
        found = self.client.get(path, {"per_page": PAGE_SIZE}).data
        runs = found.get("check_runs") if isinstance(found, dict) else None
        if not isinstance(runs, list):
            raise TransientFailure("github: the checks of a commit were answered without a list")
        if found.get("total_count", 0) > len(runs):
            raise PermanentFailure(f"github: {ref} has more than {PAGE_SIZE} checks, which are not read")
        return [each for each in runs if isinstance(each, dict)]

    # -- comments -------------------------------------------------------------------------------------------

    def find_comment(self, repository: str, number: int, mark: str) -> Json | None:
        """Our comment with this marker."""
        path = f"{self._at(repository)}/issues/{number}/comments"
        for listed in self.client.walk(path, {"per_page": PAGE_SIZE}):
            for item in listed.items:
                if self._is_ours(item, mark):
                    return dict(item)
        return None

    def comment(self, repository: str, number: int, body: str) -> Json:
        path = f"{self._unread_by_strangers(repository)}/issues/{number}/comments"
        return _made(self.client.write("POST", path, {"body": body}))

    def edit_comment(self, repository: str, comment_id: int, body: str) -> Json:
        path = f"{self._unread_by_strangers(repository)}/issues/comments/{comment_id}"
        return _made(self.client.write("PATCH", path, {"body": body}))

    # -- labels, state, people ------------------------------------------------------------------------------

    def add_labels(self, repository: str, number: int, names: Sequence[str]) -> None:
        self.client.write("POST", f"{self._at(repository)}/issues/{number}/labels", {"labels": list(names)})

    def remove_label(self, repository: str, number: int, name: str) -> None:
        """One that is not there is gone already."""
        try:
            self.client.write("DELETE", f"{self._at(repository)}/issues/{number}/labels/{quote(name, safe='')}")
        except Refused as refused:
            # The same answer is given for an issue that is not there; the next call on it will say so.
            if refused.status != 404:
                raise

    def set_state(self, repository: str, number: int, state: str, reason: str | None) -> None:
        body = {"state": state} if reason is None else {"state": state, "state_reason": reason}
        answered = self.client.write("PATCH", f"{self._at(repository)}/issues/{number}", body)
        if not isinstance(answered, dict) or answered.get("state") != state:
            raise PermanentFailure(f"github: issue {number} is not {state} though it was asked for")

    def assign(self, repository: str, number: int, logins: Sequence[str]) -> list[str]:
        """Who is assigned afterwards: GitHub leaves out whom it may not assign."""
        path = f"{self._at(repository)}/issues/{number}/assignees"
        answered = _made(self.client.write("POST", path, {"assignees": list(logins)}))
        return [str(each.get("login")) for each in answered.get("assignees") or [] if isinstance(each, dict)]

    # -- branches and files ---------------------------------------------------------------------------------

    def default_branch(self, repository: str) -> str:
        return str(self.client.repository(repository).get("default_branch") or "main")

    def branch(self, repository: str, name: str) -> str | None:
        """The commit at a branch's tip; None where there is no such branch."""
        try:
            found = self.client.get(f"{self._at(repository)}/git/ref/heads/{quote(name)}").data
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        target = found.get("object") if isinstance(found, dict) else None
        if not isinstance(target, dict) or not isinstance(target.get("sha"), str):
            raise TransientFailure(f"github: the branch {name} was answered without its commit")
        return str(target["sha"])

    def create_branch(self, repository: str, name: str) -> str:
        """A branch from the tip of the default branch; the commit it stands on."""
        start = self.branch(repository, self.default_branch(repository))
        if start is None:
            raise PermanentFailure(f"github: {repository} has no commit to branch from")
        try:
            self.client.write("POST", f"{self._at(repository)}/git/refs", {"ref": f"refs/heads/{name}", "sha": start})
        except Refused as refused:
            there = self.branch(repository, name) if refused.status == 422 else None
            if there is None:
                raise
            return there
        return start

    def file(self, repository: str, path: str, branch: str) -> tuple[str, bytes] | None:
        """A file's version and content on a branch; None where it is not there."""
        try:
            found = self.client.get(f"{self._at(repository)}/contents/{quote(path)}", {"ref": branch}).data
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        if not isinstance(found, dict) or found.get("type") != "file" or not isinstance(found.get("sha"), str):
            raise PermanentFailure(f"github: {path} is no plain file")
        try:
            return found["sha"], base64.b64decode(str(found.get("content") or ""))
        except (binascii.Error, ValueError):
            raise TransientFailure(f"github: {path} was answered with something that is no content") from None

    def put_file(
        self, repository: str, path: str, branch: str, content: bytes, message: str, replaces: str | None
    ) -> str:
        """Write a file, as the next version of `replaces` where that is given; the version it has then."""
        body = {"message": message, "content": base64.b64encode(content).decode(), "branch": branch}
        if replaces is not None:
            body["sha"] = replaces
        answered = self.client.write("PUT", f"{self._unread_by_strangers(repository)}/contents/{quote(path)}", body)
        made = answered.get("content") if isinstance(answered, dict) else None
        if not isinstance(made, dict) or not isinstance(made.get("sha"), str):
            raise AmbiguousFailure(f"github: the answer does not name what was written to {path}")
        return str(made["sha"])

    # -- pull requests and issues ---------------------------------------------------------------------------

    def find_pull(self, repository: str, branch: str) -> Json | None:
        """The pull request of a branch, open or not."""
        owner = self._full_name(repository).split("/")[0]
        path = f"{self._at(repository)}/pulls"
        query: Query = {"head": f"{owner}:{branch}", "state": "all", "per_page": PAGE_SIZE}
        for item in self.client.page(path, query).items:
            # Looked at once more: GitHub takes a head it does not understand for no filter at all.
            if isinstance(item, dict) and (item.get("head") or {}).get("ref") == branch:
                return dict(item)
        return None

    def open_pull(self, repository: str, branch: str, title: str, body: str) -> Json:
        """A draft pull request into the default branch; a plain one where the repository knows no drafts."""
        path = f"{self._unread_by_strangers(repository)}/pulls"
        asked = {
            "title": title, "head": branch, "base": self.default_branch(repository), "body": body,
            "maintainer_can_modify": True, "draft": True,
        }  # fmt: skip
        try:
            return _made(self.client.write("POST", path, asked))
        except Refused as refused:
            if refused.status != 422 or "draft" not in str(refused).lower():
                raise
        return _made(self.client.write("POST", path, {**asked, "draft": False}))

    def find_issue(self, repository: str, mark: str) -> Json | None:
        """Our issue with this marker, among the newest."""
        query: Query = {
            "creator": self.login(), "state": "all", "sort": "created", "direction": "desc", "per_page": PAGE_SIZE,
        }  # fmt: skip
        for page, listed in enumerate(self.client.walk(f"{self._at(repository)}/issues", query), start=1):
            for item in listed.items:
                if self._is_ours(item, mark):
                    return dict(item)
            if page == PAGES_OF_ISSUES:
                break
        return None

    def open_issue(self, repository: str, title: str, body: str, labels: Sequence[str]) -> Json:
        asked = {"title": title, "body": body, "labels": list(labels)}
        return _made(self.client.write("POST", f"{self._unread_by_strangers(repository)}/issues", asked))

    # -- parts ----------------------------------------------------------------------------------------------

    def _full_name(self, repository: str) -> str:
        """The repository's present name: a change that is redirected is not followed."""
        return str(self.client.repository(repository)["full_name"])

    def _at(self, repository: str) -> str:
        return f"/repos/{self._full_name(repository)}"

    def _unread_by_strangers(self, repository: str) -> str:
        """The repository's path, for what carries the company's figures. Raises `PermanentFailure` where anybody may
        read it: one setting at GitHub must not publish them."""
        if self.public(repository):
            raise PermanentFailure(
                f"github: {repository} is public, and answers hold the company's figures: make it private"
            )
        return self._at(repository)

    def _is_ours(self, item: Any, mark: str) -> bool:
        if not isinstance(item, dict):
            return False
        author = (item.get("user") or {}).get("login")
        found = mark_in(item.get("body"))
        return (
            found is not None
            and found[0] == mark
            and isinstance(author, str)
            and author.casefold() == self.login().casefold()
        )


def _made(answered: Any) -> Json:
    if not isinstance(answered, dict) or not isinstance(answered.get("id"), int):
        # It may well have been made: the look that follows tells.
        raise AmbiguousFailure("github: the answer names nothing that was made")
    return answered
