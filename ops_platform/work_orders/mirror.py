"""What is known of an issue: everything seen of it so far, put together in whatever order it arrived.

Belongs here: merging what was seen into what is known (pure), and its row. Does not belong here: what follows for a
work order (`receiving.py`), reading GitHub (`intake.py`).

GitHub tells times by the second and delivers in any order, sometimes twice, sometimes not at all. An older sight never
replaces a newer one; two sights of the same second that disagree are looked into by asking GitHub (`look_again`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.work_orders.model import Edit, IssueSeen, Labelling, Reopening, hash_of

if TYPE_CHECKING:
    import psycopg

GONE = ("deleted", "transferred")
# A webhook tells an issue's last change, the timeline the event itself: the same labelling, this far apart at most.
SAME_EVENT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """An issue as it is known. `labelled` is about labels that are there, by their names in small letters."""

    repository: str
    number: int
    issue_id: int | None
    node_id: str | None
    title: str
    body: str
    body_hash: str
    state: str
    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    author: str
    labelled: Mapping[str, Labelling]
    reopened: Reopening | None
    edited: Edit | None
    created_at: datetime
    updated_at: datetime
    seen_at: datetime
    look_again: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """`issue` as it is known now; `stale` where the sight was older than what was known."""

    issue: KnownIssue
    stale: bool


def merge(before: KnownIssue | None, seen: IssueSeen) -> Merged:
    """Put a sight of an issue into what is known of it."""
    state = "deleted" if seen.action == "deleted" else "transferred" if seen.action == "transferred" else seen.state
    edited = seen.edit
    if before is None:
        return Merged(_as_seen(seen, state, dict(seen.labelled), seen.reopened, edited, look_again=False), stale=False)
    if edited is None or (before.edited is not None and before.edited.at >= edited.at):
        edited = before.edited
    reopened = _newer(before.reopened, seen.reopened)
    if before.state in GONE and not seen.whole and state not in GONE:
        # A late delivery of something that happened before: what is gone comes back only if GitHub itself shows it.
        return Merged(replace(before, seen_at=max(before.seen_at, seen.seen_at)), stale=True)
    if state in GONE:
        known = replace(before, state=state, updated_at=max(before.updated_at, seen.updated_at), look_again=False)
        return Merged(replace(known, seen_at=max(before.seen_at, seen.seen_at)), stale=False)
    stale = seen.updated_at < before.updated_at
    if stale:
        labels, snapshot = before.labels, before
    else:
        labels, snapshot = seen.labels, None
    facts = _facts(before, seen, labels, stale=stale)
    if snapshot is not None:
        known = replace(
            snapshot, labelled=facts, edited=edited, reopened=reopened, seen_at=max(before.seen_at, seen.seen_at)
        )
        return Merged(known, stale=True)
    disputed = (
        seen.updated_at == before.updated_at
        and not seen.whole
        and (
            before.state != state
            or set(before.labels) != set(seen.labels)
            or before.body_hash != hash_of(seen.title, seen.body)
        )
    )
    look_again = False if seen.whole else disputed or before.look_again
    return Merged(_as_seen(seen, state, facts, reopened, edited, look_again=look_again), stale=False)


def _as_seen(
    seen: IssueSeen,
    state: str,
    labelled: Mapping[str, Labelling],
    reopened: Reopening | None,
    edited: Edit | None,
    *,
    look_again: bool,
) -> KnownIssue:
    present = {label.lower() for label in seen.labels}
    return KnownIssue(
        repository=seen.repository.lower(), number=seen.number, issue_id=seen.issue_id, node_id=seen.node_id,
        title=seen.title, body=seen.body, body_hash=hash_of(seen.title, seen.body), state=state, labels=seen.labels,
        assignees=seen.assignees, author=seen.author,
        labelled={label: who for label, who in labelled.items() if label in present},
        reopened=reopened, edited=edited, created_at=seen.created_at, updated_at=seen.updated_at, seen_at=seen.seen_at,
        look_again=look_again,
    )  # fmt: skip


def _facts(before: KnownIssue, seen: IssueSeen, labels: tuple[str, ...], *, stale: bool) -> dict[str, Labelling]:
    """Who set each label that is there. Of the same event, what was decided about the person then stays decided:
    whoever left the company last week could start work the week before."""
    facts = dict(before.labelled)
    if seen.whole and not stale:
        facts = {label: who for label, who in facts.items() if who.at > seen.updated_at or label in seen.labelled}
    for label, who in seen.labelled.items():
        known = facts.get(label)
        if known is not None and known.by.lower() == who.by.lower() and abs(known.at - who.at) <= SAME_EVENT:
            facts[label] = replace(who, at=min(known.at, who.at), authorised=known.authorised)
        elif known is None or who.at >= known.at or (seen.whole and not stale):
            facts[label] = who
    present = {label.lower() for label in labels}
    return {label: who for label, who in facts.items() if label in present}


def _newer(one: Reopening | None, other: Reopening | None) -> Reopening | None:
    if one is None or other is None:
        return one or other
    if one.by.lower() == other.by.lower() and abs(one.at - other.at) <= SAME_EVENT:
        return one
    return max(one, other, key=lambda each: each.at)


# The row --------------------------------------------------------------------------------------------------------

_COLUMNS = (
    "repository, number, issue_id, node_id, title, body, body_hash, state, labels, assignees, author, labelled,"
    " reopened, edited_at, edited_by, created_at, updated_at, seen_at, look_again"
)


def locked(connection: psycopg.Connection[Any], seen: IssueSeen) -> KnownIssue | None:
    """What is known of the issue, locked until the transaction ends; None where it was never seen, and then nobody else
    makes its row meanwhile."""
    connection.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 4172020))", (f"{seen.repository.lower()}#{seen.number}",)
    )
    return load(connection, seen.repository, seen.number, for_update=True)


def load(
    connection: psycopg.Connection[Any], repository: str, number: int, *, for_update: bool = False
) -> KnownIssue | None:
    row = connection.execute(
        f"""select {_COLUMNS} from ops.work_issues where repository = %s and number = %s
            {"for update" if for_update else ""}""".encode(),
        (repository.lower(), number),
    ).fetchone()
    if row is None:
        return None
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    edited_at, edited_by = values.pop("edited_at"), values.pop("edited_by") or ""
    reopened = values["reopened"]
    return KnownIssue(
        **values
        | {
            "labels": tuple(values["labels"]),
            "assignees": tuple(values["assignees"]),
            "labelled": {label: _labelling(told) for label, told in values["labelled"].items()},
            "reopened": None
            if reopened is None
            else Reopening(reopened["by"], datetime.fromisoformat(reopened["at"]), reopened["authorised"]),
        },
        edited=None if edited_at is None else Edit(edited_by.removeprefix("+"), edited_at, edited_by.startswith("+")),
    )


def save(connection: psycopg.Connection[Any], issue: KnownIssue) -> None:
    from psycopg.types.json import Jsonb

    edited = issue.edited
    connection.execute(
        f"""insert into ops.work_issues ({_COLUMNS})
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (repository, number) do update set
                issue_id = coalesce(excluded.issue_id, work_issues.issue_id),
                node_id = coalesce(excluded.node_id, work_issues.node_id), title = excluded.title,
                body = excluded.body, body_hash = excluded.body_hash, state = excluded.state,
                labels = excluded.labels, assignees = excluded.assignees, author = excluded.author,
                labelled = excluded.labelled, reopened = excluded.reopened, edited_at = excluded.edited_at,
                edited_by = excluded.edited_by, created_at = excluded.created_at, updated_at = excluded.updated_at,
                seen_at = excluded.seen_at, look_again = excluded.look_again""".encode(),
        (
            issue.repository, issue.number, issue.issue_id, issue.node_id, issue.title, issue.body, issue.body_hash,
            issue.state, list(issue.labels), list(issue.assignees), issue.author,
            Jsonb({label: _told(who) for label, who in issue.labelled.items()}),
            None if issue.reopened is None else Jsonb(_told(issue.reopened)),
            None if edited is None else edited.at,
            # An authorised editor is marked: his edit is an act of his own.
            None if edited is None else f"{'+' if edited.authorised else ''}{edited.by}",
            issue.created_at, issue.updated_at, issue.seen_at, issue.look_again,
        ),
    )  # fmt: skip


def _told(what: Labelling | Reopening) -> dict[str, Any]:
    return {"by": what.by, "at": what.at.isoformat(), "authorised": what.authorised}


def _labelling(told: Mapping[str, Any]) -> Labelling:
    return Labelling(str(told["by"]), datetime.fromisoformat(told["at"]), bool(told["authorised"]))
