"""Repositories with their issues, comments, events, milestones and labels: the state behind GitHub's API.

Belongs here: state, and every change of it with what GitHub itself does along (an event is written, `updated_at`
moves, a milestone's counts follow). Does not belong here: JSON (`shapes.py`), HTTP (`side.py`), what the company
tracks (`sandbox/company/issues.py`).

The company's story comes anew with every company; what is opened from outside has numbers from `FIRST_OWN_NUMBER`
on, so that it never takes the number of an issue the story has yet to open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.company.issues import Account, IssueRepository, IssueStory, TrackedIssue
from sandbox.github.code import Code

FIRST_OWN_NUMBER = 90_001
GHOST = "ghost"
# Accounts of programs: tokens belong to them.
MACHINES = (Account("northbeam-ops", 160_000_002, "User", "COLLABORATOR"),)


@dataclass(slots=True)
class Label:
    id: int
    name: str
    color: str
    description: str | None


@dataclass(slots=True)
class Milestone:
    id: int
    number: int
    title: str
    description: str | None
    creator: str
    created_at: datetime
    updated_at: datetime
    due_on: datetime | None
    closed_at: datetime | None


@dataclass(slots=True)
class Comment:
    id: int
    number: int
    author: str | None
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Event:
    """`detail`: label, assignee, assigner, milestone, renamed_from, renamed_to, lock_reason, state_reason."""

    id: int
    number: int
    kind: str
    actor: str | None
    created_at: datetime
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Issue:
    """An issue, or a pull request where `pull` is true. `labels` are label ids, `milestone` a number."""

    id: int
    number: int
    title: str
    body: str | None
    author: str | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    closed_by: str | None = None
    state_reason: str | None = None
    labels: list[int] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    milestone: int | None = None
    type: str | None = None
    parent: int | None = None
    pull: bool = False
    draft: bool = False
    merged_at: datetime | None = None
    head: str | None = None
    lock_reason: str | None = None
    locked: bool = False

    @property
    def state(self) -> str:
        return "open" if self.closed_at is None else "closed"


class NoSuch(LookupError):
    """There is no such issue, comment, label or milestone; the message names it."""


class Repository:
    """One repository. Every method that changes something takes the actor and the instant."""

    def __init__(self, story: IssueRepository) -> None:
        self.id = story.id
        self.full_name = story.full_name
        self.description = story.description
        self.created_at = story.created_at
        self.has_issues = True
        self.archived = False
        self.public = False
        self.labels: dict[int, Label] = {
            each.id: Label(each.id, each.name, each.color, each.description) for each in story.labels
        }
        self.milestones: dict[int, Milestone] = {
            each.number: Milestone(
                each.id, each.number, each.title, each.description, each.creator, each.created_at,
                each.closed_at or each.created_at, each.due_on, each.closed_at,
            )
            for each in story.milestones
        }  # fmt: skip
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.events: dict[int, Event] = {}
        # By issue: listings of one issue must not walk through all.
        self._comments_by: dict[int, dict[int, Comment]] = {}
        self._events_by: dict[int, dict[int, Event]] = {}
        # Ids given out since the story, and those to give out again when a change is made anew.
        self.given: list[int] = []
        self.preset: list[int] = []
        self.code = Code(story.id, story.full_name, story.created_at)
        # Numbers that are gone: deleted (410), or moved away (the new place's repository id and number).
        self.deleted: set[int] = set()
        self.transferred: dict[int, tuple[int, int]] = {}
        names = {label.name: label.id for label in self.labels.values()}
        for issue in story.issues:
            self._take(issue, names)
        self._last_id = max((*self.comments, *self.events, 0))
        self._next_number = FIRST_OWN_NUMBER

    def _take(self, issue: TrackedIssue, names: Mapping[str, int]) -> None:
        self.issues[issue.number] = Issue(
            id=issue.id,
            number=issue.number,
            title=issue.title,
            body=issue.body,
            author=issue.author,
            created_at=issue.created_at,
            updated_at=issue.updated_at,
            closed_at=issue.closed_at,
            closed_by=issue.closed_by,
            state_reason=issue.state_reason,
            labels=[names[name] for name in issue.labels],
            assignees=list(issue.assignees),
            milestone=issue.milestone,
            type=issue.type,
            parent=issue.parent,
            pull=issue.pull,
            draft=issue.draft,
            merged_at=issue.merged_at,
            lock_reason=issue.lock_reason,
            locked=issue.lock_reason is not None,
        )
        for comment in issue.comments:
            self._keep_comment(
                Comment(
                    comment.id, issue.number, comment.author, comment.body, comment.at, comment.edited_at or comment.at
                )
            )
        for event in issue.events:
            self._keep_event(Event(event.id, issue.number, event.kind, event.actor, event.at, event.detail))

    def _keep_comment(self, comment: Comment) -> None:
        self.comments[comment.id] = self._comments_by.setdefault(comment.number, {})[comment.id] = comment

    def _keep_event(self, event: Event) -> None:
        self.events[event.id] = self._events_by.setdefault(event.number, {})[event.id] = event

    # Reading ----------------------------------------------------------------------------------------------

    def issue(self, number: int) -> Issue:
        if number not in self.issues:
            raise NoSuch(f"There is no issue {number} in {self.full_name}.")
        return self.issues[number]

    def label(self, name: str) -> Label:
        for label in self.labels.values():
            if label.name.casefold() == name.casefold():
                return label
        raise NoSuch(f"There is no label {name!r} in {self.full_name}.")

    def milestone(self, number: int) -> Milestone:
        if number not in self.milestones:
            raise NoSuch(f"There is no milestone {number} in {self.full_name}.")
        return self.milestones[number]

    def comments_of(self, number: int) -> list[Comment]:
        return list(self._comments_by.get(number, {}).values())

    def comment_count(self, number: int) -> int:
        return len(self._comments_by.get(number, ()))

    def events_of(self, number: int) -> list[Event]:
        return list(self._events_by.get(number, {}).values())

    # Changing ---------------------------------------------------------------------------------------------

    def open_issue(
        self, actor: str, at: datetime, title: str, body: str | None = None, *, number: int | None = None, **more: Any
    ) -> Issue:
        """Open an issue (or a pull request with `pull`); `more` are further fields of `Issue`."""
        if number is None:
            number = self._next_number
        self._next_number = max(self._next_number, number + 1)
        issue = Issue(2_500_000_000 + self.id % 1000 * 1_000_000 + number, number, title, body, actor, at, at, **more)
        self.issues[number] = issue
        return issue

    def comment(self, number: int, actor: str, at: datetime, body: str) -> Comment:
        issue = self.issue(number)
        comment = Comment(self._new_id(at), number, actor, body, at, at)
        self._keep_comment(comment)
        issue.updated_at = max(issue.updated_at, at)
        return comment

    def edit_comment(self, comment_id: int, at: datetime, body: str) -> Comment:
        if comment_id not in self.comments:
            raise NoSuch(f"There is no comment {comment_id} in {self.full_name}.")
        comment = self.comments[comment_id]
        comment.body, comment.updated_at = body, at
        self._touch(comment.number, at)
        return comment

    def delete_comment(self, comment_id: int, at: datetime) -> None:
        comment = self.comments.pop(comment_id, None)
        if comment is None:
            raise NoSuch(f"There is no comment {comment_id} in {self.full_name}.")
        self._comments_by[comment.number].pop(comment_id, None)
        self._touch(comment.number, at)

    def edit(
        self, number: int, actor: str, at: datetime, *, title: str | None = None, body: str | None = None
    ) -> Issue:
        issue = self.issue(number)
        if title is not None and title != issue.title:
            self._note(number, "renamed", actor, at, renamed_from=issue.title, renamed_to=title)
            issue.title = title
        if body is not None:
            issue.body = body
        self._touch(number, at)
        return issue

    def add_label(self, number: int, actor: str, at: datetime, name: str) -> Issue:
        issue, label = self.issue(number), self.label(name)
        if label.id not in issue.labels:
            issue.labels.append(label.id)
            self._note(number, "labeled", actor, at, label=label.name)
        return issue

    def remove_label(self, number: int, actor: str, at: datetime, name: str) -> Issue:
        issue, label = self.issue(number), self.label(name)
        if label.id not in issue.labels:
            raise NoSuch(f"Issue {number} has no label {name!r}.")
        issue.labels.remove(label.id)
        self._note(number, "unlabeled", actor, at, label=label.name)
        return issue

    def assign(self, number: int, actor: str, at: datetime, login: str) -> Issue:
        issue = self.issue(number)
        if login not in issue.assignees:
            issue.assignees.append(login)
            self._note(number, "assigned", actor, at, assignee=login, assigner=actor)
        return issue

    def unassign(self, number: int, actor: str, at: datetime, login: str) -> Issue:
        issue = self.issue(number)
        if login in issue.assignees:
            issue.assignees.remove(login)
            self._note(number, "unassigned", actor, at, assignee=login, assigner=actor)
        return issue

    def plan(self, number: int, actor: str, at: datetime, milestone: int | None) -> Issue:
        """Put an issue into a milestone, or take it out of one."""
        issue = self.issue(number)
        if issue.milestone != milestone:
            left, issue.milestone = issue.milestone, milestone
            kind = "milestoned" if milestone is not None else "demilestoned"
            title = self.milestone(milestone if milestone is not None else left or 0).title
            self._note(number, kind, actor, at, milestone=title)
        return issue

    def close(self, number: int, actor: str, at: datetime, reason: str = "completed") -> Issue:
        issue = self.issue(number)
        if issue.closed_at is None:
            issue.closed_at, issue.closed_by = at, actor
            issue.state_reason = None if issue.pull else reason
            self._note(number, "closed", actor, at, state_reason=reason)
        return issue

    def reopen(self, number: int, actor: str, at: datetime) -> Issue:
        issue = self.issue(number)
        if issue.closed_at is not None:
            issue.closed_at = issue.closed_by = None
            issue.state_reason = None if issue.pull else "reopened"
            self._note(number, "reopened", actor, at)
        return issue

    def merge(self, number: int, actor: str, at: datetime) -> Issue:
        issue = self.issue(number)
        issue.merged_at = at
        self._note(number, "merged", actor, at)
        return self.close(number, actor, at)

    def rename_label(self, name: str, to: str) -> Label:
        """As at GitHub: the issues that have it do not count as updated."""
        label = self.label(name)
        label.name = to
        return label

    def delete_label(self, name: str) -> None:
        label = self.label(name)
        del self.labels[label.id]
        for issue in self.issues.values():
            if label.id in issue.labels:
                issue.labels.remove(label.id)

    def create_label(self, name: str, color: str = "ededed", description: str | None = None) -> Label:
        label = Label(max(self.labels, default=self.id * 100) + 1, name, color, description)
        self.labels[label.id] = label
        return label

    def close_milestone(self, number: int, at: datetime) -> Milestone:
        milestone = self.milestone(number)
        milestone.closed_at = milestone.updated_at = at
        return milestone

    def delete_issue(self, number: int) -> Issue:
        """It is gone with its comments and events, and no list says so."""
        issue = self.issue(number)
        del self.issues[number]
        for comment_id in self._comments_by.pop(number, {}):
            del self.comments[comment_id]
        for event_id in self._events_by.pop(number, {}):
            del self.events[event_id]
        self.deleted.add(number)
        return issue

    def transfer(self, number: int, target: Repository, at: datetime) -> Issue:
        """Move an issue: it goes on under a new number and id elsewhere, and is gone here."""
        gone, comments = self.issue(number), self.comments_of(number)
        moved = target.open_issue(gone.author or GHOST, gone.created_at, gone.title, gone.body, type=gone.type)
        moved.closed_at, moved.state_reason, moved.updated_at = gone.closed_at, gone.state_reason, at
        for comment in comments:
            kept = target.comment(moved.number, comment.author or GHOST, at, comment.body)
            kept.created_at = comment.created_at
        target._note(moved.number, "transferred", gone.author, at)
        self.delete_issue(number)
        self.deleted.discard(number)
        self.transferred[number] = (target.id, moved.number)
        return moved

    def _touch(self, number: int, at: datetime) -> None:
        issue = self.issue(number)
        issue.updated_at = max(issue.updated_at, at)

    def _note(self, number: int, kind: str, actor: str | None, at: datetime, **detail: str) -> Event:
        event = Event(self._new_id(at), number, kind, actor, at, detail)
        self._keep_event(event)
        self._touch(number, at)
        return event

    def _new_id(self, at: datetime) -> int:
        newest = max(self._last_id + 1, int(at.timestamp()) * 1_000_000)
        found = self.preset.pop(0) if self.preset else newest
        self._last_id = max(self._last_id, found)
        self.given.append(found)
        return found


class Tracker:
    """All repositories, by name and by id; names are found whatever their case."""

    def __init__(self, story: IssueStory) -> None:
        self.accounts: dict[str, Account] = {**story.accounts, **{each.login: each for each in MACHINES}}
        self.by_id: dict[int, Repository] = {each.id: Repository(each) for each in story.repositories}
        # Old names lead on, as GitHub's redirects do.
        self.former: dict[str, int] = {}
        # Roles that differ from what the account's standing gives.
        self.permissions: dict[str, str] = {}

    def __iter__(self) -> Iterator[Repository]:
        return iter(self.by_id.values())

    def named(self, full_name: str) -> Repository | None:
        return next((each for each in self if each.full_name.casefold() == full_name.casefold()), None)

    def formerly(self, full_name: str) -> Repository | None:
        found = self.former.get(full_name.casefold())
        return self.by_id.get(found) if found is not None else None

    def rename(self, full_name: str, to: str) -> Repository:
        repository = self.named(full_name)
        if repository is None:
            raise NoSuch(f"There is no repository {full_name!r}.")
        self.former[repository.full_name.casefold()] = repository.id
        self.former.pop(to.casefold(), None)
        repository.full_name = to
        return repository

    def known(self, login: str) -> Account | None:
        """An account that is there, whatever the case of its letters."""
        return next((each for name, each in self.accounts.items() if name.casefold() == login.casefold()), None)

    def role(self, login: str) -> str:
        """What an account may do in our private repositories: admin, maintain, write, triage, read or none."""
        if login.casefold() in self.permissions:
            return self.permissions[login.casefold()]
        account = self.known(login)
        roles = {"OWNER": "admin", "MEMBER": "write", "COLLABORATOR": "write"}
        return roles.get(account.association, "none") if account is not None else "none"

    def account(self, login: str | None) -> Account | None:
        if login is None:
            return None
        return self.accounts.get(login) or Account(login, 170_000_000 + sum(login.encode()), "User", "NONE")
