"""What a client may change of issues: the paths, what they refuse, what they answer.

Belongs here: POST, PATCH, PUT and DELETE below a repository's issues, labels and pull requests. Does not belong here:
reading (`side.py`), branches and files (`code_paths.py`), the change itself (`changes.py`).

As at GitHub: a label that is not there is made when it is put on an issue, people who may not be assigned are left out
without a word, nothing is idempotent (the same comment twice is two comments), and a merge wants a review nobody gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.github.answers import Refused, invalid, missing
from sandbox.github.code import DEFAULT
from sandbox.github.tracker import Issue, NoSuch, Repository

if TYPE_CHECKING:
    from sandbox.github.answers import Call

Json = dict[str, Any]
Make = Callable[["Call", str, Repository, Mapping[str, Any]], Json]
Answer = tuple[int, Any]

LONGEST_BODY = 65_536
LONGEST_TITLE = 256
LONGEST_LABEL = 50
MOST_ASSIGNEES = 10
ISSUES = ("issues=write", "pull_requests=write")


class Writes:
    """The handlers. `make` makes a change as the token's account."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def table(self) -> dict[tuple[str, str], tuple[tuple[str, ...], Callable[..., Answer]]]:
        """(method, pattern) → the permissions of which one is wanted, and the handler."""
        return {
            ("POST", r"/issues"): (("issues=write",), self.open_issue),
            ("PATCH", r"/issues/(\d+)"): (ISSUES, self.change_issue),
            ("POST", r"/issues/(\d+)/comments"): (ISSUES, self.comment),
            ("PATCH", r"/issues/comments/(\d+)"): (ISSUES, self.edit_comment),
            ("DELETE", r"/issues/comments/(\d+)"): (ISSUES, self.delete_comment),
            ("POST", r"/issues/(\d+)/labels"): (ISSUES, self.add_labels),
            ("PUT", r"/issues/(\d+)/labels"): (ISSUES, self.set_labels),
            ("DELETE", r"/issues/(\d+)/labels/(.+)"): (ISSUES, self.remove_label),
            ("POST", r"/issues/(\d+)/assignees"): (ISSUES, self.assign),
            ("DELETE", r"/issues/(\d+)/assignees"): (ISSUES, self.unassign),
            ("POST", r"/labels"): (ISSUES, self.make_label),
            ("POST", r"/pulls"): (("pull_requests=write",), self.open_pull),
            ("PUT", r"/pulls/(\d+)/merge"): (("contents=write",), self.merge),
        }

    # -- issues ---------------------------------------------------------------------------------------------

    def open_issue(self, call: Call, repository: Repository, body: Json) -> Answer:
        title = _title(body, "Issue")
        text = _text(body, "body", "Issue")
        data = {
            "title": title, "body": text, "labels": _labels(body.get("labels") or []),
            "assignees": self._assignable(call, body.get("assignees") or []), "create": True,
        }  # fmt: skip
        made = self._make(call, "open_issue", repository, data)
        return 201, call.shapes.issue(repository, repository.issue(made["number"]))

    def change_issue(self, call: Call, repository: Repository, body: Json, number: int) -> Answer:
        issue = call.one(repository, number)
        if "title" in body and body["title"] is not None:
            body["title"] = _title(body, "Issue")
        text = _text(body, "body", "Issue") if "body" in body else None
        state, reason = body.get("state"), body.get("state_reason")
        if state not in (None, "open", "closed"):
            raise invalid("Issue", "state", "state must be one of open, closed")
        if reason not in (None, "completed", "not_planned", "duplicate", "reopened"):
            raise invalid("Issue", "state_reason", "state_reason is not one of those that there are")
        if body.get("milestone") is not None and body["milestone"] not in repository.milestones:
            raise invalid("Issue", "milestone", "there is no such milestone")
        if body.get("title") is not None or "body" in body:
            edited = {key: value for key, value in (("title", body.get("title")), ("body", text)) if value is not None}
            self._make(call, "edit_issue", repository, {"number": number, **edited})
        if state == "closed" and issue.state == "open":
            self._make(call, "close_issue", repository, {"number": number, "reason": reason or "completed"})
        elif state == "open" and issue.state == "closed":
            self._make(call, "reopen_issue", repository, {"number": number})
        if "labels" in body:
            names = _labels(body["labels"] or [])
            self._make(call, "set_labels", repository, {"number": number, "labels": names})
        if "assignees" in body:
            wanted = self._assignable(call, body["assignees"] or [])
            for login in [each for each in issue.assignees if each not in wanted]:
                self._make(call, "unassign_issue", repository, {"number": number, "login": login})
            for login in wanted:
                self._make(call, "assign_issue", repository, {"number": number, "login": login})
        if "milestone" in body:
            self._make(call, "plan_issue", repository, {"number": number, "milestone": body["milestone"]})
        return 200, call.shapes.issue(repository, repository.issue(number))

    # -- comments -------------------------------------------------------------------------------------------

    def comment(self, call: Call, repository: Repository, body: Json, number: int) -> Answer:
        issue = call.one(repository, number)
        text = _text(body, "body", "IssueComment", blank=False)
        if issue.locked and call.role not in ("write", "maintain", "admin"):
            raise Refused(403, "Unable to create comment because issue is locked.")
        made = self._make(call, "comment", repository, {"number": number, "body": text})
        return 201, call.shapes.comment(repository, repository.comments[made["id"]])

    def edit_comment(self, call: Call, repository: Repository, body: Json, comment_id: int) -> Answer:
        self._own(call, repository, comment_id)
        text = _text(body, "body", "IssueComment", blank=False)
        self._make(call, "edit_comment", repository, {"id": comment_id, "body": text})
        return 200, call.shapes.comment(repository, repository.comments[comment_id])

    def delete_comment(self, call: Call, repository: Repository, body: Json, comment_id: int) -> Answer:
        self._own(call, repository, comment_id)
        self._make(call, "delete_comment", repository, {"id": comment_id})
        return 204, None

    def _own(self, call: Call, repository: Repository, comment_id: int) -> None:
        comment = repository.comments.get(comment_id)
        if comment is None:
            raise Refused(404, "Not Found")
        # Whoever may write to the repository may also change what others said.
        if comment.author != call.login and call.role not in ("write", "maintain", "admin"):
            raise Refused(403, "Must have admin rights to Repository.")

    # -- labels, people -------------------------------------------------------------------------------------

    def add_labels(self, call: Call, repository: Repository, body: Any, number: int) -> Answer:
        issue = call.one(repository, number)
        names = _labels(body if isinstance(body, list) else body.get("labels") or [], least=1)
        for name in names:
            data = {"number": number, "label": name, "create": True}
            if not _has(repository, issue, name):
                self._make(call, "label_issue", repository, data)
        return 200, _shown(call, repository, issue)

    def set_labels(self, call: Call, repository: Repository, body: Any, number: int) -> Answer:
        issue = call.one(repository, number)
        names = _labels(body if isinstance(body, list) else body.get("labels") or [])
        self._make(call, "set_labels", repository, {"number": number, "labels": names})
        return 200, _shown(call, repository, issue)

    def remove_label(self, call: Call, repository: Repository, body: Any, number: int, name: str) -> Answer:
        issue = call.one(repository, number)
        try:
            self._make(call, "unlabel_issue", repository, {"number": number, "label": unquote(name)})
        except NoSuch:
            raise Refused(404, "Label does not exist") from None
        return 200, _shown(call, repository, issue)

    def make_label(self, call: Call, repository: Repository, body: Json) -> Answer:
        (name,) = _labels([body.get("name")] if body.get("name") else [], least=1)
        colour = str(body.get("color") or "ededed").lower()
        if len(colour) not in (3, 6) or any(each not in "0123456789abcdef" for each in colour):
            raise invalid("Label", "color", "is not a color")
        if len(str(body.get("description") or "")) > 100:
            raise invalid("Label", "description", "description is too long (maximum is 100 characters)")
        if any(each.name.casefold() == name.casefold() for each in repository.labels.values()):
            errors = [{"resource": "Label", "code": "already_exists", "field": "name"}]
            raise Refused(422, "Validation Failed", errors=errors)
        data = {"name": name, "color": colour, "description": body.get("description")}
        made = self._make(call, "create_label", repository, data)
        return 201, call.shapes.label(repository, repository.labels[made["id"]])

    def assign(self, call: Call, repository: Repository, body: Json, number: int) -> Answer:
        issue = call.one(repository, number)
        for login in self._assignable(call, body.get("assignees") or []):
            if login not in issue.assignees and len(issue.assignees) < MOST_ASSIGNEES:
                self._make(call, "assign_issue", repository, {"number": number, "login": login})
        return 201, call.shapes.issue(repository, issue)

    def unassign(self, call: Call, repository: Repository, body: Json, number: int) -> Answer:
        issue = call.one(repository, number)
        for login in body.get("assignees") or []:
            if login in issue.assignees:
                self._make(call, "unassign_issue", repository, {"number": number, "login": login})
        return 200, call.shapes.issue(repository, issue)

    def _assignable(self, call: Call, logins: Any) -> list[str]:
        if not isinstance(logins, list):
            raise invalid("Issue", "assignees", "assignees is not a list")
        known = {login.casefold(): login for login in call.tracker.accounts}
        found = [known[str(each).casefold()] for each in logins if str(each).casefold() in known]
        return [each for each in dict.fromkeys(found) if call.tracker.role(each) not in ("none", "read")]

    # -- pull requests --------------------------------------------------------------------------------------

    def open_pull(self, call: Call, repository: Repository, body: Json) -> Answer:
        title = _title(body, "PullRequest")
        text = _text(body, "body", "PullRequest")
        owner = repository.full_name.split("/")[0]
        head, base = str(body.get("head") or ""), str(body.get("base") or "")
        branch = head.removeprefix(f"{owner}:")
        code = repository.code
        for name, value in (("head", branch), ("base", base)):
            if not value:
                raise missing("PullRequest", name)
            if value not in code.branches:
                raise invalid("PullRequest", name, f"{name} is invalid")
        if code.branches[branch] == code.branches[base]:
            errors = [{"resource": "PullRequest", "code": "custom", "message": f"No commits between {base} and {head}"}]
            raise Refused(422, "Validation Failed", errors=errors)
        if any(each.pull and each.head == branch and each.state == "open" for each in repository.issues.values()):
            said = f"A pull request already exists for {owner}:{branch}."
            errors = [{"resource": "PullRequest", "code": "custom", "message": said}]
            raise Refused(422, "Validation Failed", errors=errors)
        data = {"title": title, "body": text, "pull": True, "head": branch, "draft": body.get("draft") is True}
        made = self._make(call, "open_issue", repository, data)
        return 201, call.shapes.pull(repository, repository.issue(made["number"]), whole=True)

    def merge(self, call: Call, repository: Repository, body: Json, number: int) -> Answer:
        issue = call.one(repository, number)
        if not issue.pull:
            raise Refused(404, "Not Found")
        raise Refused(405, f"At least 1 approving review is required by reviewers with write access to {DEFAULT}.")


# -- reading a body -----------------------------------------------------------------------------------------------


def _title(body: Mapping[str, Any], resource: str) -> str:
    title = body.get("title")
    if title is None or not str(title).strip():
        raise missing(resource, "title")
    if len(str(title)) > LONGEST_TITLE:
        raise invalid(resource, "title", f"title is too long (maximum is {LONGEST_TITLE} characters)")
    return str(title)


def _text(body: Mapping[str, Any], name: str, resource: str, *, blank: bool = True) -> str | None:
    text = body.get(name)
    if text is None and blank:
        return None
    if not isinstance(text, str):
        raise missing(resource, name) if text is None else invalid(resource, name, f"{name} is not a string")
    if not blank and not text.strip():
        raise invalid(resource, name, "body can't be blank")
    if len(text) > LONGEST_BODY:
        raise invalid(resource, name, f"{name} is too long (maximum is {LONGEST_BODY} characters)")
    return text


def _labels(given: Any, least: int = 0) -> list[str]:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or len(given) < least:
        raise missing("Label", "name")
    names = []
    for each in given:
        name = each.get("name") if isinstance(each, Mapping) else each
        if not isinstance(name, str) or not name.strip():
            raise missing("Label", "name")
        if len(name) > LONGEST_LABEL:
            raise invalid("Label", "name", f"name is too long (maximum is {LONGEST_LABEL} characters)")
        names.append(name)
    return list(dict.fromkeys(names))


def _has(repository: Repository, issue: Issue, name: str) -> bool:
    return any(repository.labels[each].name.casefold() == name.casefold() for each in issue.labels)


def _shown(call: Call, repository: Repository, issue: Issue) -> list[Json]:
    return [call.shapes.label(repository, repository.labels[each]) for each in issue.labels]
