"""Branches, files, pull requests and checks over HTTP.

Belongs here: their paths, reading and writing, and what they refuse. Does not belong here: git's objects (`code.py`),
opening a pull request (`writes.py`: it is an issue, too).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from sandbox.github.answers import Refused, invalid, missing
from sandbox.github.code import DEFAULT, CheckRun, CodeRefused, Commit
from sandbox.github.shapes import WEB, node_id, stamp
from sandbox.github.tracker import Repository
from sandbox.github.writes import Make

if TYPE_CHECKING:
    from sandbox.github.answers import Call

Json = dict[str, Any]
Answer = tuple[int, Any]
LARGEST_FILE = 1024 * 1024


class CodePaths:
    """The handlers."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def table(self) -> dict[tuple[str, str], tuple[tuple[str, ...], Callable[..., Answer]]]:
        return {
            ("GET", r"/git/ref/(.+)"): (("contents=read",), self.ref),
            ("GET", r"/branches/(.+)"): (("contents=read",), self.branch),
            ("POST", r"/git/refs"): (("contents=write",), self.make_ref),
            ("GET", r"/contents/(.+)"): (("contents=read",), self.file),
            ("PUT", r"/contents/(.+)"): (("contents=write",), self.write_file),
            ("GET", r"/pulls"): (("pull_requests=read",), self.pulls),
            ("GET", r"/pulls/(\d+)"): (("pull_requests=read",), self.pull),
            ("GET", r"/commits/([^/]+(?:/[^/]+)*)/check-runs"): (("checks=read",), self.check_runs),
            ("GET", r"/commits/([^/]+(?:/[^/]+)*)/status"): (("statuses=read",), self.status),
        }

    # -- branches and files ---------------------------------------------------------------------------------

    def ref(self, call: Call, repository: Repository, body: Any, name: str) -> Answer:
        branch = unquote(name).removeprefix("heads/")
        tip = repository.code.tip(branch) if unquote(name).startswith("heads/") else None
        if tip is None:
            raise Refused(404, "Not Found")
        return 200, _ref(call, repository, branch, tip.sha)

    def branch(self, call: Call, repository: Repository, body: Any, name: str) -> Answer:
        tip = repository.code.tip(unquote(name))
        if tip is None:
            raise Refused(404, "Branch not found")
        url = f"{call.shapes.url(repository)}/branches/{quote(unquote(name))}"
        commit = {"sha": tip.sha, "url": f"{call.shapes.url(repository)}/commits/{tip.sha}"}
        return 200, {
            "name": unquote(name), "commit": commit, "protected": unquote(name) == DEFAULT,
            "protection_url": f"{url}/protection",
        }  # fmt: skip

    def make_ref(self, call: Call, repository: Repository, body: Json) -> Answer:
        ref, sha = str(body.get("ref") or ""), str(body.get("sha") or "")
        if not ref.startswith("refs/heads/") or ref.count("/") < 2 or len(ref) <= len("refs/heads/"):
            raise Refused(422, "Reference name must start with 'refs/' and contain at least two slashes.")
        branch = ref.removeprefix("refs/heads/")
        if re.search(r"\.\.|[\x00-\x20~^:?*\[\\]|//|/$|\.lock$|^/|@\{", branch):
            raise Refused(422, f"Reference {ref} is not valid.")
        self._code(call, "make_branch", repository, {"branch": branch, "sha": sha})
        return 201, _ref(call, repository, branch, sha)

    def file(self, call: Call, repository: Repository, body: Any, path: str) -> Answer:
        ref, path = call.query.get("ref") or "main", unquote(path)
        commit = repository.code.commit_of(ref)
        if commit is None:
            raise Refused(404, f"No commit found for the ref {ref}")
        if path not in commit.tree:
            raise Refused(404, "Not Found")
        return 200, _content(call, repository, path, commit, repository.code.blobs[commit.tree[path]])

    def write_file(self, call: Call, repository: Repository, body: Json, path: str) -> Answer:
        path = unquote(path)
        for name in ("message", "content"):
            if not isinstance(body.get(name), str):
                raise missing("Contents", name)
        if path.lower().startswith(".github/workflows/"):
            call.allow("workflows=write")
        if any(part in ("", ".", "..", ".git") for part in path.split("/")):
            raise invalid("Contents", "path", "path contains a malformed path component")
        try:
            content = base64.b64decode(body["content"], validate=True)
        except (binascii.Error, ValueError):
            raise Refused(422, "content is not valid Base64") from None
        if len(content) > LARGEST_FILE:
            raise Refused(422, "Sorry, the file is too large to be processed.")
        tip = repository.code.tip(str(body.get("branch") or "main"))
        known = tip is not None and path in tip.tree
        data = {
            "branch": str(body.get("branch") or "main"), "path": path, "message": body["message"],
            "content": body["content"], "replaces": body.get("sha"),
        }  # fmt: skip
        made = self._code(call, "write_file", repository, data)
        commit = repository.code.commits[made["commit"]]
        shown = _content(call, repository, path, commit, content)
        del shown["content"], shown["encoding"]
        return 200 if known else 201, {"content": shown, "commit": _commit(call, repository, commit)}

    def _code(self, call: Call, op: str, repository: Repository, data: Json) -> Json:
        try:
            return self._make(call, op, repository, data)
        except CodeRefused as refused:
            raise Refused(refused.status, str(refused)) from None

    # -- pull requests and checks ---------------------------------------------------------------------------

    def pulls(self, call: Call, repository: Repository, body: Any) -> Answer:
        state = call.choice("state", "open", ("open", "closed", "all"))
        wanted = call.query.get("head")
        owner = repository.full_name.split("/")[0]
        found = [
            each
            for each in sorted(repository.issues.values(), key=lambda each: -each.number)
            if each.pull
            and (state == "all" or each.state == state)
            # A head without its owner is no filter, as at GitHub.
            and (wanted is None or ":" not in wanted or f"{owner}:{each.head}" == wanted)
        ]
        page, size = call.number("page", 1), call.per_page
        return 200, [call.shapes.pull(repository, each) for each in found[(page - 1) * size : page * size]]

    def pull(self, call: Call, repository: Repository, body: Any, number: int) -> Answer:
        issue = call.one(repository, number)
        if not issue.pull:
            raise Refused(404, "Not Found")
        return 200, call.shapes.pull(repository, issue, whole=True)

    def check_runs(self, call: Call, repository: Repository, body: Any, ref: str) -> Answer:
        commit = self._commit_of(repository, ref)
        newest: dict[str, CheckRun] = {}
        for run in repository.code.checks:
            if run.sha == commit.sha:
                newest[run.name] = run
        shown = [_check(call, repository, run) for run in newest.values()]
        return 200, {"total_count": len(shown), "check_runs": shown}

    def status(self, call: Call, repository: Repository, body: Any, ref: str) -> Answer:
        """No tool here reports by commit statuses: the list is empty and pending, as for a commit without any."""
        commit = self._commit_of(repository, ref)
        url = f"{call.shapes.url(repository)}/commits/{commit.sha}"
        return 200, {
            "state": "pending", "statuses": [], "sha": commit.sha, "total_count": 0,
            "repository": call.shapes.repository(repository), "commit_url": url, "url": f"{url}/status",
        }  # fmt: skip

    def _commit_of(self, repository: Repository, ref: str) -> Commit:
        commit = repository.code.commit_of(unquote(ref))
        if commit is None:
            raise Refused(422, f"No commit found for SHA: {ref}")
        return commit


# -- shapes ---------------------------------------------------------------------------------------------------------


def _ref(call: Call, repository: Repository, branch: str, sha: str) -> Json:
    url = call.shapes.url(repository)
    return {
        "ref": f"refs/heads/{branch}",
        "node_id": node_id("REF", int(sha[:8], 16)),
        "url": f"{url}/git/refs/heads/{quote(branch)}",
        "object": {"type": "commit", "sha": sha, "url": f"{url}/git/commits/{sha}"},
    }


def _content(call: Call, repository: Repository, path: str, commit: Commit, content: bytes) -> Json:
    sha = commit.tree[path]
    url = f"{call.shapes.url(repository)}/contents/{quote(path)}?ref={commit.sha}"
    git = f"{call.shapes.url(repository)}/git/blobs/{sha}"
    web = f"{WEB}/{repository.full_name}/blob/{commit.sha}/{quote(path)}"
    return {
        "type": "file", "encoding": "base64", "size": len(content), "name": path.rsplit("/", 1)[-1], "path": path,
        "content": base64.encodebytes(content).decode(), "sha": sha, "url": url, "git_url": git, "html_url": web,
        "download_url": None, "_links": {"git": git, "self": url, "html": web},
    }  # fmt: skip


def _commit(call: Call, repository: Repository, commit: Commit) -> Json:
    url = f"{call.shapes.url(repository)}/git/commits/{commit.sha}"
    person = {"name": commit.author, "email": f"{commit.author}@users.noreply.github.com", "date": stamp(commit.at)}
    return {
        "sha": commit.sha, "node_id": node_id("C", int(commit.sha[:8], 16)), "url": url,
        "html_url": f"{WEB}/{repository.full_name}/commit/{commit.sha}", "author": person, "committer": person,
        "message": commit.message, "tree": {"url": url, "sha": commit.sha}, "parents": [
            {"sha": commit.parent, "url": url, "html_url": url}
        ] if commit.parent else [],
        "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None,
                         "verified_at": None},
    }  # fmt: skip


def _check(call: Call, repository: Repository, run: CheckRun) -> Json:
    url = f"{call.shapes.url(repository)}/check-runs/{run.id}"
    output = {
        "title": None,
        "summary": None,
        "text": None,
        "annotations_count": 0,
        "annotations_url": f"{url}/annotations",
    }
    return {
        "id": run.id, "head_sha": run.sha, "node_id": node_id("CR", run.id), "external_id": "", "url": url,
        "html_url": f"{WEB}/{repository.full_name}/runs/{run.id}", "details_url": None, "status": run.status,
        "conclusion": run.conclusion if run.status == "completed" else None, "started_at": stamp(run.at),
        "completed_at": stamp(run.at) if run.status == "completed" else None, "output": {**output, **run.output},
        "name": run.name, "check_suite": {"id": run.id + 1}, "pull_requests": [],
        "app": {"id": 15_368, "slug": run.app, "node_id": "MDM6QXBwMTUzNjg=", "name": run.app, "owner": {
            "login": "github"}, "description": "", "external_url": WEB, "html_url": WEB, "permissions": {},
            "events": [], "created_at": stamp(run.at), "updated_at": stamp(run.at)},
    }  # fmt: skip
