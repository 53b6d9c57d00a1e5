"""The search of issues: the qualifiers of `q` that the sandbox understands.

Belongs here: reading a query and matching issues. Does not belong here: paging and shapes (`side.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sandbox.github.tracker import Issue, Repository, Tracker

_QUALIFIER = re.compile(r'([a-z-]+):("[^"]*"|\S+)')


class BadQuery(ValueError):
    """GitHub would answer 422; the message says why."""


@dataclass(slots=True)
class Query:
    repositories: list[str] = field(default_factory=list)
    pull: bool | None = None
    state: str | None = None
    labels: list[str] = field(default_factory=list)
    created: tuple[datetime | None, datetime | None] | None = None
    words: list[str] = field(default_factory=list)


def parse(text: str) -> Query:
    """Read a query. Raises `BadQuery` for qualifiers it does not know and dates that are none."""
    query = Query()
    rest = text
    for name, value in _QUALIFIER.findall(text):
        rest = rest.replace(f"{name}:{value}", "", 1)
        value = value.strip('"')
        match name:
            case "repo":
                query.repositories.append(value)
            case "is" | "type" if value in ("issue", "pr", "pull-request"):
                query.pull = value != "issue"
            case "is" | "state" if value in ("open", "closed"):
                query.state = value
            case "label":
                query.labels.append(value)
            case "created":
                query.created = _range(value)
            case _:
                raise BadQuery(f"the qualifier {name}:{value} is not known here")
    query.words = [word.casefold() for word in rest.split()]
    if query.pull is None:
        # Asked for of fine-grained tokens.
        raise BadQuery("Query must include 'is:issue' or 'is:pull-request'")
    if len(query.repositories) > 1:
        # Space means AND between qualifiers: no issue is in two repositories.
        query.repositories = ["/"]
    return query


def _instant(text: str, *, end: bool) -> datetime | None:
    if text == "*":
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            at = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return at + timedelta(days=1, seconds=-1) if end else at
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuery(f"{text!r} is not a recognized date/time format.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _range(text: str) -> tuple[datetime | None, datetime | None]:
    low, dots, high = text.partition("..")
    if dots:
        return _instant(low, end=False), _instant(high, end=True)
    for sign in (">=", "<="):
        if text.startswith(sign):
            at = _instant(text[2:], end=sign == "<=")
            return (at, None) if sign == ">=" else (None, at)
    return _instant(text, end=False), _instant(text, end=True)


def run(tracker: Tracker, query: Query) -> list[tuple[Repository, Issue]]:
    """The issues that match, newest first."""
    found: list[tuple[Repository, Issue]] = []
    for repository in tracker:
        if query.repositories and repository.full_name.casefold() not in {n.casefold() for n in query.repositories}:
            continue
        names = {label.id: label.name.casefold() for label in repository.labels.values()}
        for issue in repository.issues.values():
            if issue.pull != query.pull or (query.state is not None and issue.state != query.state):
                continue
            if query.created is not None:
                low, high = query.created
                if (low is not None and issue.created_at < low) or (high is not None and issue.created_at > high):
                    continue
            if not {label.casefold() for label in query.labels} <= {names[each] for each in issue.labels}:
                continue
            text = f"{issue.title} {issue.body or ''}".casefold()
            if all(word in text for word in query.words):
                found.append((repository, issue))
    found.sort(key=lambda pair: (pair[1].created_at, pair[1].id), reverse=True)
    return found
