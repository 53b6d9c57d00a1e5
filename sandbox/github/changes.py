"""Every change of a repository, whoever makes it: done, kept, told.

Belongs here: the operations by name, keeping them so that they outlive the process and a moved clock, the ledger's
entry of each. Does not belong here: HTTP (`writes.py`, `code_paths.py`), the state (`tracker.py`, `code.py`), sending
webhooks (`webhooks.py`).

The company's story is built anew when the clock moves; what was changed since is made again on top of it in the same
order, with the same ids.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.clock import parse_instant
from sandbox.github.code import DEFAULT, CheckRun
from sandbox.github.tracker import Issue, NoSuch, Repository, Tracker
from sandbox.mutation import MutationRefused, required

if TYPE_CHECKING:
    from sandbox.ledger import SqliteLedger

Json = dict[str, Any]
COLLECTION = "github_changes"


@dataclass(frozen=True, slots=True)
class Happened:
    """What a webhook tells of a change: the event, GitHub's word for the action, and the parts beside the issue.
    `issue` is set where the issue is gone by now."""

    event: str
    action: str
    repository: Repository
    number: int
    actor: str
    parts: Mapping[str, Any]
    gone: Issue | None = None


class Changes:
    """Makes changes; `told` is called with each thing that happened."""

    def __init__(self, ledger: SqliteLedger | None, told: Callable[[Happened], None]) -> None:
        self._ledger = ledger
        self._told = told
        documents = ledger.documents(COLLECTION) if ledger is not None else {}
        self._kept: list[Json] = [documents[key] for key in sorted(documents)]

    @property
    def last(self) -> int:
        """The number of the newest change."""
        return len(self._kept)

    def result_of(self, number: int) -> Json | None:
        """What came of a change kept under this number; None where there is none."""
        return self._kept[number - 1]["result"] if 0 < number <= len(self._kept) else None

    def again(self, tracker: Tracker) -> None:
        """Make everything again on a tracker that was just built. What makes no sense there is left out."""
        for each in self._kept:
            repository = tracker.by_id.get(each["repository"])
            if repository is None:
                continue
            repository.preset = list(each["ids"])
            try:
                self._perform(
                    tracker, each["op"], each["data"], repository, each["actor"], parse_instant(each["at"]), []
                )
            except (NoSuch, ValueError):
                continue
            finally:
                repository.preset = []

    def make(
        self, tracker: Tracker, op: str, data: Mapping[str, Any], repository: Repository, actor: str, at: datetime,
        *, via: str = "outside",
    ) -> Json:  # fmt: skip
        """Make one change: the state moves, the change is on disk with its effect, then it is told."""
        happened: list[Happened] = []
        repository.given = []
        result = self._perform(tracker, op, data, repository, actor, at, happened)
        kept = {
            "op": op, "data": {**data, **({"number": result["number"]} if op in _OPENING else {})},
            "repository": repository.id, "actor": actor, "at": at.isoformat(), "ids": repository.given,
            "result": result,
        }  # fmt: skip
        self._kept.append(kept)
        if self._ledger is not None:
            detail = {"repository": repository.full_name, "by": actor, "via": via, **data, "result": result}
            self._ledger.record_with("github", op, detail, {(COLLECTION, f"{len(self._kept):08d}"): kept})
        for each in happened:
            self._told(each)
        return result

    # -- the operations -------------------------------------------------------------------------------------

    def _perform(
        self, tracker: Tracker, op: str, data: Mapping[str, Any], repository: Repository, actor: str, at: datetime,
        happened: list[Happened],
    ) -> Json:  # fmt: skip
        def number() -> int:
            return int(required(data, "number"))

        def tell(action: str, about: int, event: str = "issues", gone: Issue | None = None, **parts: Any) -> None:
            happened.append(Happened(event, action, repository, about, actor, parts, gone))

        def one(issue: Issue) -> Json:
            return {"id": issue.id, "number": issue.number}

        match op:
            case "open_issue":
                opened = parse_instant(str(data["created_at"])) if data.get("created_at") else at
                issue = repository.open_issue(
                    actor, opened, required(data, "title"), data.get("body"), number=data.get("number"),
                    pull=bool(data.get("pull", False)), type=data.get("type"), head=data.get("head"),
                    draft=bool(data.get("draft", False)),
                )  # fmt: skip
                issue.updated_at = at
                tell("opened", issue.number, "pull_request" if issue.pull else "issues")
                for name in data.get("labels", ()):
                    self._label(repository, issue.number, actor, at, str(name), bool(data.get("create")), tell)
                for login in data.get("assignees", ()):
                    repository.assign(issue.number, actor, at, str(login))
                    tell("assigned", issue.number, assignee=str(login))
                return one(issue)
            case "edit_issue":
                before = repository.issue(number())
                old = (before.title, before.body)
                issue = repository.edit(number(), actor, at, title=data.get("title"), body=data.get("body"))
                changes = {}
                if issue.title != old[0]:
                    changes["title"] = {"from": old[0]}
                if issue.body != old[1]:
                    changes["body"] = {"from": old[1] or ""}
                if changes:
                    tell("edited", issue.number, changes=changes)
                return one(issue)
            case "close_issue":
                was = repository.issue(number()).state
                issue = repository.close(number(), actor, at, str(data.get("reason", "completed")))
                if was == "open":
                    tell("closed", issue.number)
                return one(issue)
            case "reopen_issue":
                was = repository.issue(number()).state
                issue = repository.reopen(number(), actor, at)
                if was == "closed":
                    tell("reopened", issue.number)
                return one(issue)
            case "merge_pull":
                return one(repository.merge(number(), actor, at))
            case "delete_issue":
                issue = repository.delete_issue(number())
                tell("deleted", issue.number, gone=issue)
                return one(issue)
            case "transfer_issue":
                target = tracker.named(required(data, "to"))
                if target is None:
                    raise MutationRefused(f"There is no repository {data['to']!r}.")
                gone = repository.issue(number())
                issue = repository.transfer(number(), target, at)
                tell("transferred", gone.number, gone=gone, new_repository=target, new_number=issue.number)
                return one(issue)
            case "publish_repository":
                repository.public = True
                return {"full_name": repository.full_name}
            case "label_issue":
                self._label(repository, number(), actor, at, required(data, "label"), bool(data.get("create")), tell)
                return one(repository.issue(number()))
            case "unlabel_issue":
                label = repository.label(required(data, "label"))
                issue = repository.remove_label(number(), actor, at, label.name)
                tell("unlabeled", issue.number, label=label)
                return one(issue)
            case "set_labels":
                self._set_labels(repository, number(), actor, at, [str(each) for each in data["labels"]], tell)
                return one(repository.issue(number()))
            case "assign_issue" | "unassign_issue":
                login = required(data, "login")
                change = repository.assign if op == "assign_issue" else repository.unassign
                issue = change(number(), actor, at, login)
                tell("assigned" if op == "assign_issue" else "unassigned", issue.number, assignee=login)
                return one(issue)
            case "plan_issue":
                issue = repository.plan(number(), actor, at, data.get("milestone"))
                tell("milestoned" if data.get("milestone") is not None else "demilestoned", issue.number)
                return one(issue)
            case "comment":
                comment = repository.comment(number(), actor, at, required(data, "body"))
                tell("created", comment.number, "issue_comment", comment=comment)
                return {"id": comment.id}
            case "edit_comment":
                was = repository.comments[int(data["id"])].body if int(data["id"]) in repository.comments else ""
                comment = repository.edit_comment(int(required(data, "id")), at, required(data, "body"))
                tell("edited", comment.number, "issue_comment", comment=comment, changes={"body": {"from": was}})
                return {"id": comment.id}
            case "delete_comment":
                comment_id = int(required(data, "id"))
                found = repository.comments.get(comment_id)
                repository.delete_comment(comment_id, at)
                if found is not None:
                    tell("deleted", found.number, "issue_comment", comment=found)
                return {"id": comment_id}
            case "create_label":
                more = {key: data[key] for key in ("color", "description") if data.get(key)}
                return {"id": repository.create_label(required(data, "name"), **more).id}
            case "rename_label":
                return {"id": repository.rename_label(required(data, "name"), required(data, "to")).id}
            case "delete_label":
                repository.delete_label(required(data, "name"))
                return {"name": data["name"]}
            case "close_milestone":
                return {"id": repository.close_milestone(number(), at).id}
            case "rename_repository":
                return {"full_name": tracker.rename(repository.full_name, required(data, "to")).full_name}
            case "disable_issues" | "enable_issues":
                repository.has_issues = op == "enable_issues"
                return {"full_name": repository.full_name}
            case "set_permission":
                tracker.permissions[required(data, "login").casefold()] = required(data, "permission")
                return {"login": data["login"]}
            case "make_branch":
                repository.code.make_branch(required(data, "branch"), required(data, "sha"))
                return {"branch": data["branch"], "sha": data["sha"]}
            case "write_file":
                sha, commit = repository.code.write(
                    required(data, "branch"), required(data, "path"), base64.b64decode(str(data["content"])),
                    required(data, "message"), actor, at, replaces=data.get("replaces"),
                )  # fmt: skip
                return {"sha": sha, "commit": commit.sha}
            case "check_run":
                ref = str(data.get("ref") or DEFAULT)
                found_commit = repository.code.commit_of(ref)
                if found_commit is None:
                    raise MutationRefused(f"There is no commit {ref!r}.")
                run = CheckRun(
                    repository._new_id(at), found_commit.sha, required(data, "name"),
                    str(data.get("status") or "completed"), data.get("conclusion") or "success",
                    str(data.get("app") or "github-actions"), at, dict(data.get("output") or {}),
                )  # fmt: skip
                repository.code.report(run)
                return {"id": run.id, "sha": run.sha}
            case _:
                raise MutationRefused(f"GitHub knows no operation {op!r}.")

    def _label(
        self, repository: Repository, number: int, actor: str, at: datetime, name: str, create: bool, tell: Any
    ) -> None:
        """As at GitHub: a label that is not there yet is made along when a client names it (`create`)."""
        try:
            label = repository.label(name)
        except NoSuch:
            if not create:
                raise
            label = repository.create_label(name)
        if label.id not in repository.issue(number).labels:
            repository.add_label(number, actor, at, label.name)
            tell("labeled", number, label=label)

    def _set_labels(
        self, repository: Repository, number: int, actor: str, at: datetime, names: list[str], tell: Any
    ) -> None:
        wanted = {name.casefold() for name in names}
        for label in [repository.labels[each] for each in repository.issue(number).labels]:
            if label.name.casefold() not in wanted:
                repository.remove_label(number, actor, at, label.name)
                tell("unlabeled", number, label=label)
        for name in names:
            self._label(repository, number, actor, at, name, True, tell)


_OPENING = frozenset({"open_issue"})
