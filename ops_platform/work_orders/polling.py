"""Polling: everything that webhooks lost is caught here.

Belongs here: reading what changed in each repository, and asking for single issues where that is not enough. Does not
belong here: GitHub's protocol (`resources.github.issues`), deliveries (`intake.py`), what follows (`receiving.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops_platform import clock
from ops_platform.failures import OpsError
from ops_platform.records import JsonObject
from ops_platform.work_orders import mirror, routing
from ops_platform.work_orders.model import IssueSeen, Received
from ops_platform.work_orders.policy import WorkPolicy
from ops_platform.work_orders.reading import Authority, Connect, Elsewhere, IssueReader, know_repository
from ops_platform.work_orders.receiving import receive
from ops_platform.work_orders.sights import Malformed, of_api

log = logging.getLogger(__name__)

# An order whose issue was not seen for so long is looked at: what was deleted or moved tells nobody who lost the
# webhook.
UNSEEN = timedelta(hours=1)
MOST_LOOKS = 50


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll of a repository came to. `error` where it was not read to the end: the next one begins there."""

    repository: str
    seen: int
    received: tuple[Received, ...]
    unchanged: bool = False
    error: str | None = None


def poll(
    connect: Connect,
    policy: WorkPolicy,
    reader: IssueReader,
    repositories: Iterable[str],
    *,
    at: datetime | None = None,
) -> list[Polled]:
    """Read what changed in each repository since its last poll, and take it in."""
    return [_poll_one(connect, policy, reader, name, at) for name in repositories]


def _poll_one(
    connect: Connect, policy: WorkPolicy, reader: IssueReader, configured: str, at: datetime | None
) -> Polled:
    now = at or clock.now()
    name = configured.lower()
    received: list[Received] = []
    seen = 0
    reached: datetime | None = None
    try:
        full_name, repository_id = reader.repository(configured)
        name = full_name.lower()
        with connect() as connection:
            know_repository(connection, name, repository_id)
            connection.execute(
                """insert into ops.work_repositories (repository, repository_id, connected_at) values (%s, %s, %s)
                   on conflict (repository) do update set repository_id = excluded.repository_id""",
                (name, repository_id, now),
            )
            row = connection.execute(
                "select polled_to, etag, connected_at from ops.work_repositories where repository = %s", (name,)
            ).fetchone()
        assert row is not None
        reached, etag, connected_at = row
        oldest = None if connected_at is None else connected_at - policy.intake.backlog
        since = None if reached is None else reached - policy.intake.poll_overlap
        authority = Authority(policy, reader)
        changed = reader.changed(name, since, etag or "")
        for issue in changed.issues if changed is not None else ():
            updated_at = _moment(issue.get("updated_at"))
            old = oldest is not None and updated_at is not None and updated_at < oldest
            one = _take_listed(connect, policy, reader, authority, name, issue, at, old=old)
            seen += 1
            received += [one] if one is not None else []
            if updated_at is not None:
                reached = updated_at if reached is None else max(reached, updated_at)
        if since is None and changed is not None:
            _doubt_unlisted(connect, name, [issue.get("number") for issue in changed.issues])
        received += _look_closer(connect, policy, reader, authority, name, at)
    except OpsError as error:
        # What was read stays read: the mark stands at the last one taken in, for they come oldest change first.
        _note_poll(connect, name, reached, None, now, str(error))
        return Polled(name, seen, tuple(received), error=str(error))
    _note_poll(connect, name, reached, etag if changed is None else changed.etag, now, None)
    return Polled(name, seen, tuple(received), unchanged=changed is None)


def _doubt_unlisted(connect: Connect, repository: str, listed: list[Any]) -> None:
    """The first poll lists open issues only: an open order whose issue is not among them is asked for."""
    with connect() as connection:
        connection.execute(
            """update ops.work_issues as issues set look_again = true
               where issues.repository = %s and issues.number <> all(%s) and exists (
                   select from ops.work_orders as orders
                   where orders.repository = issues.repository and orders.number = issues.number
                       and orders.phase in ('received', 'queued', 'running', 'answered', 'blocked')
               )""",
            (repository, [number for number in listed if isinstance(number, int)]),
        )


def _note_poll(
    connect: Connect, name: str, reached: datetime | None, etag: str | None, at: datetime, error: str | None
) -> None:
    with connect() as connection:
        connection.execute(
            """insert into ops.work_repositories (repository, polled_to, etag, polled_at, error)
               values (%(name)s, %(reached)s, %(etag)s, %(at)s, %(error)s)
               on conflict (repository) do update set
                   polled_to = greatest(work_repositories.polled_to, excluded.polled_to),
                   etag = excluded.etag, polled_at = excluded.polled_at, error = excluded.error""",
            {"name": name, "reached": reached, "etag": etag, "at": at, "error": error},
        )


def _take_listed(
    connect: Connect,
    policy: WorkPolicy,
    reader: IssueReader,
    authority: Authority,
    repository: str,
    issue: JsonObject,
    at: datetime | None,
    *,
    anyway: bool = False,
    old: bool = False,
) -> Received | None:
    """Take in an issue of a listing; None where nothing about it is new, or it is no work and was none."""
    number = issue.get("number")
    if "pull_request" in issue or not isinstance(number, int):
        return None
    labels = _label_names(issue)
    with connect() as connection:
        row = connection.execute(
            """select issues.updated_at, issues.labels, issues.look_again, issues.state, exists (
                   select from ops.work_orders as orders
                   where orders.repository = issues.repository and orders.number = issues.number
               )
               from ops.work_issues as issues where issues.repository = %s and issues.number = %s""",
            (repository, number),
        ).fetchone()
    same = row is not None and row[0] == _moment(issue.get("updated_at")) and set(row[1]) == set(labels)
    if same and row is not None and not row[2] and row[3] == issue.get("state") and not anyway:
        return None
    work = any(routing.is_work_label(label, policy) for label in labels)
    if (row is None and old) or not (work or anyway or (row is not None and row[4])):
        _remember(connect, repository, issue, at or clock.now())
        return None
    seen = of_api(repository, issue, reader.timeline(repository, number), authority.holds, at or clock.now())
    if isinstance(seen, Malformed):
        log.warning("%s#%s: %s", repository, number, seen)
        return None
    with connect() as connection:
        return receive(connection, seen, policy, at=at)


def _remember(connect: Connect, repository: str, issue: JsonObject, at: datetime) -> None:
    """Keep what an issue says that is no work: once it is labelled, its words are known to be the same as before."""
    seen = of_api(repository, issue, (), lambda repository, login: False, at)
    if isinstance(seen, Malformed):
        return
    with connect() as connection:
        before = mirror.locked(connection, seen)
        mirror.save(connection, mirror.merge(before, seen).issue)


def _look_closer(
    connect: Connect,
    policy: WorkPolicy,
    reader: IssueReader,
    authority: Authority,
    repository: str,
    at: datetime | None,
) -> list[Received]:
    """Ask for issues about which two sights disagree, and for those of open orders unheard of for long."""
    now = at or clock.now()
    with connect() as connection:
        rows = connection.execute(
            """select issues.number from ops.work_issues as issues
               where issues.repository = %(repository)s and issues.look_again
               union
               select * from (
                   select issues.number from ops.work_issues as issues
                   join ops.work_orders as orders
                       on orders.repository = issues.repository and orders.number = issues.number
                   where issues.repository = %(repository)s and issues.seen_at < %(before)s
                       and orders.phase in ('received', 'queued', 'running', 'answered', 'blocked')
                   order by issues.seen_at limit %(most)s
               ) as unseen
               limit %(most)s""",
            {"repository": repository, "before": now - UNSEEN, "most": MOST_LOOKS},
        ).fetchall()
    received = []
    for (number,) in rows:
        found = reader.issue(repository, number)
        if isinstance(found, Elsewhere):
            one = _take_gone(connect, policy, repository, number, found, now)
        else:
            one = _take_listed(connect, policy, reader, authority, repository, found, at, anyway=True)
        received += [one] if one is not None else []
    return received


def _take_gone(
    connect: Connect, policy: WorkPolicy, repository: str, number: int, found: Elsewhere, now: datetime
) -> Received | None:
    """An issue that GitHub has no more: as its webhook would have told."""
    with connect() as connection:
        known = mirror.load(connection, repository, number)
        if known is None:
            return None
        seen = IssueSeen(
            repository=repository, number=number, title=known.title, body=known.body, state="closed",
            labels=known.labels, author=known.author, created_at=known.created_at, updated_at=known.updated_at,
            action="transferred" if found.moved_to else "deleted", source="poll", seen_at=now,
            issue_id=known.issue_id, node_id=known.node_id, assignees=known.assignees, moved_to=found.moved_to,
        )  # fmt: skip
        return receive(connection, seen, policy, at=now)


def _label_names(issue: Mapping[str, Any]) -> tuple[str, ...]:
    listed = issue.get("labels")
    names = [each.get("name") if isinstance(each, dict) else each for each in listed or ()]
    return tuple(name for name in names if isinstance(name, str))


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
