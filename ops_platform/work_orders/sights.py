"""Reading an issue out of what GitHub sends: a webhook's payload, or an issue with its timeline.

Belongs here: GitHub's fields into an `IssueSeen`, distrustfully. Does not belong here: asking GitHub (`intake.py`),
what the sight means (`receiving.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ops_platform.work_orders.model import Edit, IssueSeen, Labelling, Reopening

# owner/name and a login → whether what this account sets counts.
Holds = Callable[[str, str], bool]
# What is kept of a text at most; GitHub itself takes 65,536 characters for a body and 256 for a title.
MOST_BODY = 262_144
MOST_TITLE = 1_000
MOST_LABELS = 200
# GitHub's timeline may lag behind the issue: within this, who set a label is asked again.
LAG = timedelta(minutes=10)


class Malformed(Exception):
    """What was sent is not what GitHub sends."""


def of_webhook(told: Mapping[str, Any], holds: Holds, at: datetime) -> IssueSeen:
    """The issue that an `issues` event tells of. Raises `Malformed`; `OpsError` where GitHub cannot be asked who did
    it."""
    issue = _object(told, "issue")
    repository = _object(told, "repository")
    name = _text(repository, "full_name").lower()
    action = _text(told, "action")
    actor = _login(told.get("sender"))
    updated_at = _moment(issue, "updated_at")
    authorised = holds(name, actor)
    labels = _labels(issue)
    labelled: dict[str, Labelling] = {}
    if action == "labeled":
        label = _text(_object(told, "label"), "name")
        labelled[label.lower()] = Labelling(actor, updated_at, authorised)
    elif action == "opened":
        # At its opening nobody but its author has set a label; whoever does so later is told by an event of its own.
        labelled = {label.lower(): Labelling(actor, _moment(issue, "created_at"), authorised) for label in labels}
    changes = told.get("changes")
    changes = changes if isinstance(changes, dict) else {}
    words_changed = action == "edited" and ("body" in changes or "title" in changes)
    author = _login(issue.get("user"))
    return _seen(
        name, issue, labels, at, action=action, source="webhook",
        repository_id=repository.get("id") if isinstance(repository.get("id"), int) else None,
        actor=actor, actor_authorised=authorised,
        author_authorised=authorised if author.lower() == actor.lower() else holds(name, author),
        labelled=labelled,
        edit=Edit(actor, updated_at, authorised) if words_changed else None,
        reopened=Reopening(actor, updated_at, authorised) if action == "reopened" else None,
        moved_to=_moved_to(changes) if action == "transferred" else None,
    )  # fmt: skip


def of_api(
    repository: str, issue: Mapping[str, Any], timeline: Sequence[Mapping[str, Any]], holds: Holds, at: datetime
) -> IssueSeen | Malformed:
    """An issue as the API gives it, with everything that happened to it; `Malformed` where it is none."""
    try:
        labels = _labels(issue)
        set_by: dict[str, tuple[str, datetime]] = {}
        edit: tuple[str, datetime] | None = None
        reopened: tuple[str, datetime] | None = None
        closed_by = ""
        for event in timeline:
            kind, when = event.get("event"), _moment_or_none(event.get("created_at"))
            if when is None:
                continue
            who = _login(event.get("actor"))
            if kind == "labeled":
                set_by[_text(_object(event, "label"), "name").lower()] = (who, when)
            elif kind == "unlabeled":
                set_by.pop(_text(_object(event, "label"), "name").lower(), None)
            elif kind == "renamed":
                edit = (who, when)
            elif kind == "reopened":
                reopened = (who, when)
            elif kind == "closed":
                closed_by = who
        labelled = {
            label: Labelling(who, when, holds(repository, who))
            for label, (who, when) in set_by.items()
            if label in {each.lower() for each in labels}
        }
        updated_at = _moment(issue, "updated_at")
        if at - updated_at > LAG:
            # Long enough: a label of which the timeline says nothing is nobody's.
            for label in labels:
                labelled.setdefault(label.lower(), Labelling("", updated_at, False))
        author = _login(issue.get("user"))
        state = _text(issue, "state")
        return _seen(
            repository.lower(), issue, labels, at, action="polled", source="poll",
            actor=closed_by if state == "closed" else "", author_authorised=holds(repository, author),
            labelled=labelled, whole=True,
            edit=None if edit is None else Edit(*edit, holds(repository, edit[0])),
            reopened=None if reopened is None else Reopening(*reopened, holds(repository, reopened[0])),
        )  # fmt: skip
    except Malformed as error:
        return error


def _seen(repository: str, issue: Mapping[str, Any], labels: tuple[str, ...], at: datetime, **known: Any) -> IssueSeen:
    number = issue.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**31:
        raise Malformed("the issue has no number")
    state = _text(issue, "state")
    if state not in ("open", "closed"):
        raise Malformed(f"the issue's state is {state[:40]!r}")
    if not 3 <= len(repository) <= 140 or repository.count("/") != 1:
        raise Malformed("the repository has no name")
    title, body = _clean(issue.get("title")), _clean(issue.get("body"))
    reason = issue.get("state_reason")
    return IssueSeen(
        repository=repository, number=number, title=title[:MOST_TITLE], body=body[:MOST_BODY], state=state,
        labels=labels, author=_login(issue.get("user")), created_at=_moment(issue, "created_at"),
        updated_at=_moment(issue, "updated_at"), seen_at=at, issue_id=_id(issue.get("id")),
        node_id=_clean(issue.get("node_id"))[:200] or None,
        state_reason=reason if isinstance(reason, str) else None,
        assignees=tuple(filter(None, (_login(each) for each in _list(issue.get("assignees"))))),
        is_pull_request=issue.get("pull_request") is not None,
        original_length=len(body) if len(body) > MOST_BODY else None, **known,
    )  # fmt: skip


def _moved_to(changes: Mapping[str, Any]) -> str | None:
    issue, repository = changes.get("new_issue"), changes.get("new_repository")
    if isinstance(issue, dict) and isinstance(repository, dict):
        return f"{_clean(repository.get('full_name'))[:140]}#{issue.get('number')}"
    return None


def _labels(issue: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for each in _list(issue.get("labels"))[:MOST_LABELS]:
        name = each.get("name") if isinstance(each, dict) else each
        if isinstance(name, str) and name.strip():
            found.append(_clean(name)[:100])
    return tuple(found)


def _clean(value: Any) -> str:
    """A text that Postgres takes: without NUL, and whole characters only."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _object(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key)
    if not isinstance(value, dict):
        raise Malformed(f"{key} is missing")
    return value


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{key} is missing")
    return _clean(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _login(user: Any) -> str:
    """The account, `ghost` for one that was deleted."""
    login = user.get("login") if isinstance(user, dict) else None
    return _clean(login)[:100] if isinstance(login, str) and login else "ghost"


def _id(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else None


def _moment(told: Mapping[str, Any], key: str) -> datetime:
    found = _moment_or_none(told.get(key))
    if found is None:
        raise Malformed(f"{key} is no time")
    return found


def _moment_or_none(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
