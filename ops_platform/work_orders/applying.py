"""How each kind of effect is done, and how it is recognised afterwards.

Belongs here: one method a kind over the client handed in, and what that client must be able to do. Does not belong
here: when it is done and noted (`ledger.py`), HTTP (`resources/github/writing.py`).

What is made (a comment, an issue) has a marker at its end and our account as author; both are asked for, because
anybody can write a marker. What is set (a label, a state, a file) is looked at or set again without harm.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.failures import PermanentFailure
from ops_platform.work_orders.sanitising import marked

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.staged import Effect

Json = dict[str, Any]


class GitHubWrites(Protocol):
    """The writing client. Every method that changes something is tried once and raises `AmbiguousFailure` where no
    answer came, other `TransientFailure`s where it was certainly not done, `PermanentFailure` where GitHub refused."""

    def find_comment(self, repository: str, number: int, mark: str) -> Json | None: ...
    def comment(self, repository: str, number: int, body: str) -> Json: ...
    def edit_comment(self, repository: str, comment_id: int, body: str) -> Json: ...
    def add_labels(self, repository: str, number: int, names: Sequence[str]) -> None: ...
    def remove_label(self, repository: str, number: int, name: str) -> None: ...
    def set_state(self, repository: str, number: int, state: str, reason: str | None) -> None: ...
    def assign(self, repository: str, number: int, logins: Sequence[str]) -> list[str]: ...
    def default_branch(self, repository: str) -> str: ...
    def branch(self, repository: str, name: str) -> str | None: ...
    def create_branch(self, repository: str, name: str) -> str: ...
    def file(self, repository: str, path: str, branch: str) -> tuple[str, bytes] | None: ...
    def put_file(
        self, repository: str, path: str, branch: str, content: bytes, message: str, replaces: str | None
    ) -> str: ...
    def find_pull(self, repository: str, branch: str) -> Json | None: ...
    def open_pull(self, repository: str, branch: str, title: str, body: str) -> Json: ...
    def find_issue(self, repository: str, mark: str) -> Json | None: ...
    def open_issue(self, repository: str, title: str, body: str, labels: Sequence[str]) -> Json: ...


class Doing:
    """The effects of one order's issue."""

    def __init__(self, connection: psycopg.Connection[Any], github: GitHubWrites, repository: str, number: int) -> None:
        self._connection = connection
        self._github = github
        self._repository = repository
        self._number = number

    def leaves_traces(self, row: Effect) -> bool:
        """Whether doing it twice would show: then a look that finds nothing has to wait."""
        return row.kind == "issue" or (row.kind == "comment" and row.payload.get("replaces") is None)

    def do(self, row: Effect) -> Json:
        """Do it; what is remembered of it."""
        made: Json = getattr(self, f"_do_{row.kind}")(row)
        return made

    def look_up(self, row: Effect) -> Json | None:
        """What is remembered of it where it was done; None where it was not, or where doing it again is harmless."""
        if not self.leaves_traces(row):
            return None
        if row.kind == "comment":
            found = self._github.find_comment(self._repository, self._number, row.marker)
        else:
            found = self._github.find_issue(self._repository, row.marker)
        return None if found is None else _short(found)

    # -- the kinds ------------------------------------------------------------------------------------------

    def _do_comment(self, row: Effect) -> Json:
        earlier = row.payload.get("replaces")
        if earlier is None:
            body = marked(row.payload["body"], row.marker, row.payload.get("meta"))
            return _short(self._github.comment(self._repository, self._number, body))
        found = self._connection.execute(
            """select (result ->> 'id')::bigint, marker from ops.work_effects
               where work_id = %s and name = %s and state = 'done' and kind = 'comment'""",
            (row.work_id, earlier),
        ).fetchone()
        self._connection.commit()
        if found is None or found[0] is None:
            raise PermanentFailure(f"the comment {earlier!r} that was to be replaced was never posted")
        # The text is another, the comment the same: so is its marker.
        body = marked(row.payload["body"], found[1], row.payload.get("meta"))
        try:
            return _short(self._github.edit_comment(self._repository, found[0], body))
        except PermanentFailure as refused:
            if getattr(refused, "status", None) not in (404, 410):
                raise
        # A person deleted it: it is not put back. Where the issue itself is gone, the next effect says so.
        return {"id": found[0], "gone": True}

    def _do_labels(self, row: Effect) -> Json:
        if row.payload["add"]:
            self._github.add_labels(self._repository, self._number, row.payload["add"])
        for name in row.payload["remove"]:
            if name not in row.payload["add"]:
                self._github.remove_label(self._repository, self._number, name)
        return {"added": row.payload["add"], "removed": row.payload["remove"]}

    def _do_close(self, row: Effect) -> Json:
        self._github.set_state(self._repository, self._number, "closed", row.payload["reason"])
        return {"state": "closed"}

    def _do_reopen(self, row: Effect) -> Json:
        self._github.set_state(self._repository, self._number, "open", None)
        return {"state": "reopened"}

    def _do_assign(self, row: Effect) -> Json:
        assigned = self._github.assign(self._repository, self._number, row.payload["logins"])
        known = {each.casefold() for each in assigned}
        # GitHub leaves out without a word whom it may not assign.
        missing = [login for login in row.payload["logins"] if login.casefold() not in known]
        if missing:
            raise PermanentFailure(f"github: {', '.join(missing)} cannot be assigned in {self._repository}")
        return {"assigned": row.payload["logins"]}

    def _do_artefact(self, row: Effect) -> Json:
        """Kept in our own database; the same again changes nothing."""
        given = row.payload
        text = given["content"]
        content = base64.b64decode(text) if given["encoding"] == "base64" else text.encode()
        digest = hashlib.sha256(content).hexdigest()
        self._connection.execute(
            """insert into ops.work_artefacts (work_id, effect_id, filename, media_type, content, sha256, made_at)
               values (%s, %s, %s, %s, %s, %s, now()) on conflict (effect_id) do nothing""",
            (row.work_id, row.id, given["filename"], given["media_type"], content, digest),
        )
        return {"filename": given["filename"], "sha256": digest, "bytes": len(content)}

    def _do_branch(self, row: Effect) -> Json:
        name = row.payload["branch"]
        self._not_default(name)
        sha = self._github.branch(self._repository, name) or self._github.create_branch(self._repository, name)
        return {"branch": name, "sha": sha}

    def _do_file(self, row: Effect) -> Json:
        branch, path, content = row.payload["branch"], row.payload["path"], row.payload["content"].encode()
        self._not_default(branch)
        there = self._github.file(self._repository, path, branch)
        if there is not None and there[1] == content:
            return {"path": path, "sha": there[0]}
        # Words of ours alone: a commit's message closes issues and steers checks.
        message = f"Work order {self._number}: {path}"
        # The version it replaces is named, so that what a person wrote meanwhile is not overwritten.
        sha = self._github.put_file(
            self._repository, path, branch, content, message, None if there is None else there[0]
        )
        return {"path": path, "sha": sha}

    def _do_pull_request(self, row: Effect) -> Json:
        branch = row.payload["branch"]
        self._not_default(branch)
        found = self._github.find_pull(self._repository, branch)
        if found is None:
            body = marked(row.payload["body"], row.marker)
            found = self._github.open_pull(self._repository, branch, row.payload["title"], body)
        return _short(found)

    def _do_issue(self, row: Effect) -> Json:
        body = marked(row.payload["body"], row.marker)
        given = row.payload
        return _short(self._github.open_issue(self._repository, given["title"], body, given["labels"]))

    def _not_default(self, name: str) -> None:
        if name == self._github.default_branch(self._repository):
            raise PermanentFailure(f"{name} is the default branch of {self._repository}: it is never written to")


def _short(found: Json) -> Json:
    return {key: found[key] for key in ("id", "number", "html_url", "state") if key in found}
