"""The code of a repository: commits, branches, files, and what checks said of a commit.

Belongs here: git's objects as far as the REST API shows them, and every change of them. Does not belong here: HTTP
(`code_paths.py`), issues and pull requests (`tracker.py`).

Blobs have git's own hashes. The default branch is protected: changes arrive by pull request alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DEFAULT = "main"


class CodeRefused(Exception):
    """GitHub's answer to a change it does not make."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    parent: str | None
    tree: dict[str, str]
    message: str
    author: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckRun:
    """`conclusion` is None while it runs; `output` has title and summary."""

    id: int
    sha: str
    name: str
    status: str
    conclusion: str | None
    app: str
    at: datetime
    output: dict[str, Any] = field(default_factory=dict)


def blob_sha(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class Code:
    """One repository's."""

    def __init__(self, identity: int, full_name: str, at: datetime) -> None:
        self._identity = identity
        self.blobs: dict[str, bytes] = {}
        self.commits: dict[str, Commit] = {}
        self.branches: dict[str, str] = {}
        self.checks: list[CheckRun] = []
        name = full_name.split("/")[1]
        files = {
            "README.md": f"# {name}\n\nSee `docs/`.\n",
            "docs/index.md": f"# Documentation of {name}\n",
            "src/main.ts": "export const version = '1.0.0';\n",
            "tests/main.test.ts": "test('version', () => {});\n",
        }
        tree = {path: self._blob(text.encode()) for path, text in files.items()}
        self._commit(DEFAULT, None, tree, "Initial commit", "lucasmeyer", at)

    def tip(self, branch: str) -> Commit | None:
        sha = self.branches.get(branch)
        return None if sha is None else self.commits[sha]

    def commit_of(self, ref: str) -> Commit | None:
        """By branch, by full name of a ref, or by hash."""
        branch = ref.removeprefix("refs/").removeprefix("heads/")
        return self.tip(branch) or self.commits.get(ref)

    def make_branch(self, name: str, sha: str) -> None:
        if name in self.branches:
            raise CodeRefused(422, "Reference already exists")
        if sha not in self.commits:
            raise CodeRefused(422, "Object does not exist")
        self.branches[name] = sha

    def write(
        self, branch: str, path: str, content: bytes, message: str, author: str, at: datetime, *, replaces: str | None
    ) -> tuple[str, Commit]:
        """Commit one file; its blob's hash and the commit."""
        tip = self.tip(branch)
        if tip is None:
            raise CodeRefused(404, f"Branch {branch} not found")
        if branch == DEFAULT:
            rules = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n"
            raise CodeRefused(409, rules)
        there = tip.tree.get(path)
        if there is not None and replaces is None:
            raise CodeRefused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
        if replaces is not None and there != replaces:
            raise CodeRefused(409, f"{path} does not match {replaces}")
        if any(other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in tip.tree):
            raise CodeRefused(422, f"{path} is in the way of another file")
        sha = self._blob(content)
        return sha, self._commit(branch, tip.sha, {**tip.tree, path: sha}, message, author, at)

    def report(self, run: CheckRun) -> None:
        """Keep what a check said; a later run of the same name stands beside it, as at GitHub."""
        self.checks.append(run)

    def _blob(self, content: bytes) -> str:
        sha = blob_sha(content)
        self.blobs[sha] = content
        return sha

    def _commit(
        self, branch: str, parent: str | None, tree: dict[str, str], message: str, author: str, at: datetime
    ) -> Commit:
        said = f"{self._identity}{parent}{sorted(tree.items())}{message}{author}{at.isoformat()}{len(self.commits)}"
        sha = hashlib.sha1(said.encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = Commit(sha, parent, tree, message, author, at)
        self.branches[branch] = sha
        return self.commits[sha]
