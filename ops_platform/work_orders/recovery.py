"""Recovery of work orders: the table rebuilt from the issues alone, failed work replayed, state brought together again.

Belongs here: the four steps and what they found. Does not belong here: backups of the whole database
(`ops_platform.backup`), reading GitHub (`resources/github/recovering.py`), the ordinary turn (`coordinator.py`).

The issues are the source of truth. Each round has a card: one comment of ours with the order's record in its hidden
part. Only comments by our own account count; anybody can write a marker. What no issue has does not come back and is
said: the single attempts before the last, decisions, notices, requests for approval (answers that wait are asked about
anew).

    restore    rounds, clocks, answers and posted effects, from issues and their comments
    replay     blocked and failed orders queued again, with a person's reason
    reconcile  leases without a worker, effects begun and not noted, states not shown, launches that came to nothing
    resume     one whole turn, and what is about to run
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.failures import DataFailure
from ops_platform.work_orders import answers, decisions, ledger, showing, store
from ops_platform.work_orders.model import Manager, Phase, Priority, hash_of
from ops_platform.work_orders.rows import listed, reclock
from ops_platform.work_orders.sanitising import mark_in, unmarked

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.office import Office

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATES = {"open": "open", "closed": "closed"}


class IssueReader(Protocol):
    """What restoring reads of a repository: every issue, open and closed, and every comment, as GitHub gives them."""

    def login(self) -> str:
        """The account whose comments are ours."""
        ...

    def issues(self, repository: str) -> Iterator[Mapping[str, Any]]: ...

    def comments(self, repository: str) -> Iterator[Mapping[str, Any]]: ...


@dataclass(slots=True)
class Restored:
    """What came of restoring a repository. `changed_words` are orders whose issue says something else by now: their
    hash is what was labelled, their words are today's, and they are held."""

    orders: int = 0
    issues: int = 0
    answers: int = 0
    pauses: int = 0
    there_before: int = 0
    unreadable: list[str] = field(default_factory=list)
    changed_words: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Card:
    number: int
    comment_id: int
    mark: str
    meta: Mapping[str, Any]
    body: str
    at: datetime


# Restoring ----------------------------------------------------------------------------------------------------


def restore(connection: psycopg.Connection[Any], office: Office, reader: IssueReader, repository: str) -> Restored:
    """Rebuild the orders of a repository in the caller's transaction; rounds that are there are left as they are."""
    ours, found = reader.login().casefold(), Restored()
    cards: dict[tuple[int, int], _Card] = {}
    results: dict[tuple[int, int], list[_Card]] = {}
    for comment in reader.comments(repository):
        card = _of_comment(comment, ours)
        if card is None or not isinstance(card.meta.get("round"), int):
            continue
        key = (card.number, card.meta["round"])
        if card.meta.get("kind") == "result":
            results.setdefault(key, []).append(card)
        elif "state" in card.meta:
            cards[key] = card
    numbers = {number for number, _ in cards}
    for issue in reader.issues(repository):
        number = int(issue["number"])
        if number not in numbers:
            continue  # never taken up: the poll makes its order from its labels
        _keep_issue(connection, repository, issue, office.now())
        found.issues += 1
        for _, round_ in sorted(key for key in cards if key[0] == number):
            _restore_round(
                connection, office, repository, issue, cards[number, round_], results.get((number, round_), []), found
            )
    return found


def _restore_round(
    connection: psycopg.Connection[Any],
    office: Office,
    repository: str,
    issue: Mapping[str, Any],
    card: _Card,
    results: list[_Card],
    found: Restored,
) -> None:
    name = f"{repository}#{card.number} round {card.meta.get('round')}"
    try:
        values = _values(office, repository, issue, card)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        found.unreadable.append(f"{name}: its card cannot be read ({type(error).__name__})")
        return
    if values["words_changed"]:
        found.changed_words.append(name)
    work_id = _insert(connection, values)
    if work_id is None:
        found.there_before += 1
        return
    found.orders += 1
    found.pauses += _pauses(connection, work_id, str(card.meta.get("pauses") or ""))
    _attempt(connection, work_id, values)
    _effect(connection, work_id, "card", "comment", card.mark, {"id": card.comment_id}, 0, card.at)
    for result in sorted(results, key=lambda each: each.comment_id):
        attempt = int(result.meta.get("attempt") or 1)
        _effect(
            connection, work_id, f"result:{attempt}", "comment", result.mark, {"id": result.comment_id}, attempt,
            result.at,
        )  # fmt: skip
        _answer(connection, work_id, values, result, attempt)
        found.answers += 1
    if values["phase"] == Phase.DONE:
        _effect(connection, work_id, "close", "close", "", {"state": "closed"}, values["attempt"], card.at)
    reclock(connection, work_id, office.policy)
    decisions.record(
        connection, "restored", f"rebuilt from {repository}#{card.number} and its card", work_id=work_id,
        repository=repository.lower(), number=card.number, facts={"comment": card.comment_id}, at=office.now(),
    )  # fmt: skip


def _of_comment(comment: Mapping[str, Any], ours: str) -> _Card | None:
    author = (comment.get("user") or {}).get("login") or ""
    number = str(comment.get("issue_url") or "").rpartition("/")[2]
    if author.casefold() != ours or not number.isdigit():
        return None
    told = mark_in(comment.get("body"))
    if told is None:
        return None
    at = datetime.fromisoformat(str(comment["created_at"]).replace("Z", "+00:00"))
    return _Card(int(number), int(comment["id"]), told[0], told[1], str(comment["body"]), at)


def _moment(card: _Card, name: str) -> datetime | None:
    value = card.meta.get(name)
    return None if value is None else _EPOCH + timedelta(microseconds=int(value))


def _values(office: Office, repository: str, issue: Mapping[str, Any], card: _Card) -> dict[str, Any]:
    meta = card.meta
    phase_text, manager_text, *_ = f"{meta['state']}|".split("|")
    phase, manager = Phase(phase_text), Manager(manager_text or "none")
    priority = Priority(meta["priority"])
    title, body = str(issue.get("title") or ""), str(issue.get("body") or "")
    changed = hash_of(title, body) != meta["hash"]
    minutes, _, calendar = str(meta["sla"]).partition("/")
    ended, answered = _moment(card, "ended"), _moment(card, "answered")
    why = str(meta.get("why") or "") or None
    if phase is Phase.RUNNING:  # whoever worked on it is gone
        phase = Phase.QUEUED
    held = None
    if changed and phase in (Phase.QUEUED, Phase.RECEIVED):
        phase, held = Phase.RECEIVED, "its words may have changed since it was labelled"
    elif phase is Phase.RECEIVED:
        held = why
    clock, received = _moment(card, "clock"), _moment(card, "received")
    if clock is None or received is None:
        raise ValueError("no clock")
    return {
        "repository": repository.lower(), "number": card.number, "round": int(meta["round"]),
        "issue_id": issue.get("id"), "node_id": issue.get("node_id"), "title": title, "body": body,
        "body_hash": str(meta["hash"]), "labels": _labels(issue),
        "assignees": [str(one.get("login")) for one in issue.get("assignees") or () if one.get("login")],
        "author": str((issue.get("user") or {}).get("login") or "ghost"), "labelled_by": str(meta["by"]),
        "labelled_at": _moment(card, "labelled") or received, "routed_by": "restored", "agent": str(meta["agent"]),
        "priority": priority, "approver": office.policy.manager
        if office.policy.priorities[priority].requires_manager else None,
        "phase": phase, "manager": manager, "held_reason": held, "attempt": int(meta["attempt"]),
        "received_at": received, "clock_from": clock, "calendar": calendar, "sla_minutes": int(minutes),
        "queued_at": _moment(card, "queued"), "due_at": _moment(card, "due"), "started_at": _moment(card, "started"),
        "answered_at": answered, "ended_at": ended if phase in (Phase.DONE, Phase.WITHDRAWN, Phase.FAILED) else None,
        "outcome": phase_text if phase_text in ("answered", "done", "blocked") else None, "reason": why,
        "tokens": int(meta.get("tokens") or 0), "cost": Decimal(str(meta.get("cost") or "0")),
        "updated_at": office.now(), "shown_state": str(meta["state"]), "words_changed": changed,
    }  # fmt: skip


def _labels(issue: Mapping[str, Any]) -> list[str]:
    return [str(one["name"]) if isinstance(one, Mapping) else str(one) for one in issue.get("labels") or ()]


def _keep_issue(connection: psycopg.Connection[Any], repository: str, issue: Mapping[str, Any], now: datetime) -> None:
    title, body = str(issue.get("title") or ""), str(issue.get("body") or "")
    connection.execute(
        """insert into ops.work_issues (repository, number, issue_id, node_id, title, body, body_hash, state, labels,
               assignees, author, created_at, updated_at, seen_at, look_again)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, true)
           on conflict (repository, number) do nothing""",
        (
            repository.lower(), int(issue["number"]), issue.get("id"), issue.get("node_id"), title, body,
            hash_of(title, body), _STATES.get(str(issue.get("state")), "open"), _labels(issue),
            [str(one.get("login")) for one in issue.get("assignees") or () if one.get("login")],
            str((issue.get("user") or {}).get("login") or "ghost"), issue["created_at"], issue["updated_at"], now,
        ),
    )  # fmt: skip


_INSERTED = (
    "repository", "number", "round", "issue_id", "node_id", "title", "body", "body_hash", "labels", "assignees",
    "author", "labelled_by", "labelled_at", "routed_by", "agent", "priority", "approver", "phase", "manager",
    "held_reason", "attempt", "received_at", "clock_from", "calendar", "sla_minutes", "queued_at", "due_at",
    "started_at",
    "answered_at", "ended_at", "outcome", "reason", "tokens", "cost", "updated_at", "shown_state",
)  # fmt: skip


def _insert(connection: psycopg.Connection[Any], values: Mapping[str, Any]) -> int | None:
    columns = ", ".join(_INSERTED)
    places = ", ".join(f"%({name})s" for name in _INSERTED)
    # A clock that stands still is reckoned from its pauses right after; the table wants one of the two said.
    row = connection.execute(
        f"""insert into ops.work_orders ({columns}, paused_since)
            values ({places}, case when %(due_at)s::timestamptz is null then %(received_at)s end)
            on conflict (repository, number, round) do nothing returning id""".encode(),
        dict(values),
    ).fetchone()
    return None if row is None else int(row[0])


def _pauses(connection: psycopg.Connection[Any], work_id: int, spans: str) -> int:
    count = 0
    for span in filter(None, spans.split(",")):
        begun, _, ended = span.partition("-")
        start = _EPOCH + timedelta(microseconds=int(begun))
        end = _EPOCH + timedelta(microseconds=int(ended)) if ended else None
        connection.execute(
            "insert into ops.work_clock (work_id, paused_at, reason, by, resumed_at, resumed_by)"
            " values (%s, %s, 'restored from the issue', 'platform', %s, %s)",
            (work_id, start, end, None if end is None else "platform"),
        )
        count += 1
    return count


def _attempt(connection: psycopg.Connection[Any], work_id: int, values: Mapping[str, Any]) -> None:
    """The last attempt, as far as the card tells of it; those before are not known."""
    if not values["attempt"] or values["started_at"] is None:
        return
    ended = values["answered_at"] or values["ended_at"] or values["updated_at"]
    outcome = {"answered": "answered", "done": "done", "blocked": "blocked", "failed": "failed"}.get(
        str(values["phase"]), "died"
    )
    connection.execute(
        """insert into ops.work_attempts
               (work_id, attempt, holder, agent, priority, started_at, ended_at, outcome, reason, tokens, cost)
           values (%s, %s, 'restored', %s, %s, %s, greatest(%s, %s), %s, 'restored from the issue', %s, %s)""",
        (
            work_id, values["attempt"], values["agent"], values["priority"], values["started_at"], ended,
            values["started_at"], outcome, values["tokens"], values["cost"],
        ),
    )  # fmt: skip


def _effect(
    connection: psycopg.Connection[Any],
    work_id: int,
    name: str,
    kind: str,
    mark: str,
    result: Mapping[str, Any],
    attempt: int,
    at: datetime,
) -> None:
    from psycopg.types.json import Jsonb

    connection.execute(
        """insert into ops.work_effects (work_id, name, kind, place, attempt, staged_by, payload, marker, state, result,
               staged_at, intended_at, settled_at)
           values (%(id)s, %(name)s, %(kind)s,
               (select coalesce(max(place), 0) + 1 from ops.work_effects where work_id = %(id)s), %(attempt)s,
               'coordinator', '{}', %(mark)s, 'done', %(result)s, %(at)s, %(at)s, %(at)s)
           on conflict do nothing""",
        {
            "id": work_id, "name": name, "kind": kind, "attempt": attempt, "mark": mark, "result": Jsonb(dict(result)),
            "at": at,
        },
    )  # fmt: skip


def _answer(
    connection: psycopg.Connection[Any], work_id: int, values: Mapping[str, Any], card: _Card, attempt: int
) -> None:
    ends = card.meta.get("ends")
    if ends not in ("answered", "done", "blocked"):
        return
    connection.execute(
        """insert into ops.work_answers (work_id, attempt, body_hash, state, ends, reason, note, body, tokens, cost,
               made_at, posted_at)
           values (%s, %s, %s, 'posted', %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            work_id, attempt, str(card.meta.get("hash") or values["body_hash"]), ends,
            (values["reason"] or "-") if ends == "blocked" else "", str(card.meta.get("note") or ""),
            unmarked(card.body), int(card.meta.get("tokens") or 0), Decimal(str(card.meta.get("cost") or "0")),
            card.at, card.at,
        ),
    )  # fmt: skip


# Replaying ----------------------------------------------------------------------------------------------------


def replay(
    connection: psycopg.Connection[Any], office: Office, by: str, reason: str, *, work_ids: Iterable[int] | None = None
) -> list[WorkOrder]:
    """Queue failed operations again, in the caller's transaction: those named, or every failed one. Blocked orders are
    taken up only where they are named: somebody said what is missing. Raises `DataFailure` without a reason."""
    if not reason.strip():
        raise DataFailure("work is replayed for a reason: say which")
    if work_ids is None:
        wanted = [work.id for work in listed(connection, phases=(Phase.FAILED,), limit=10_000)]
    else:
        wanted = list(work_ids)
    again = []
    for number in wanted:
        answers.supersede(connection, number)
        again.append(store.requeue(connection, number, by, reason, policy=office.policy, at=office.at))
    return again


# Reconciling --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reconciled:
    """What was not as it should be and was put right: orders whose worker died, effects that were done or found done,
    states shown now, launches forgotten; and what remains, in words."""

    released: list[str] = field(default_factory=list)
    effects_done: int = 0
    shown: int = 0
    launches_forgotten: int = 0
    attempts_closed: int = 0
    left: list[str] = field(default_factory=list)


def reconcile(office: Office) -> Reconciled:
    """Bring the agents' state and GitHub's together again. Safe to repeat; commits as it goes."""
    done = Reconciled()
    with office.connect() as connection:
        for dead in store.release_dead(connection, policy=office.policy, at=office.at):
            done.released.append(f"{dead.name}: {dead.phase}")
        row = connection.execute(
            """with closed as (
                   update ops.work_attempts as attempts set ended_at = greatest(%s, attempts.started_at), outcome =
                   'died',
                       reason = 'its order is not at work any more'
                   from ops.work_orders as orders
                   where orders.id = attempts.work_id and attempts.outcome is null and orders.phase <> 'running'
                   returning 1)
               select count(*) from closed""",
            (office.now(),),
        ).fetchone()
        done.attempts_closed = 0 if row is None else int(row[0])
        row = connection.execute(
            """with forgotten as (
                   update ops.work_orders set launched_until = null
                   where phase = 'queued' and launched_until is not null and launched_until < %s returning 1)
               select count(*) from forgotten""",
            (office.at or store.machine_clock(),),
        ).fetchone()
        done.launches_forgotten = 0 if row is None else int(row[0])
        connection.commit()
        begun = sorted({row.work_id for row in ledger.unfinished(connection, 1000)})
        to_show = showing.to_show(connection, 1000)
        running = {work.id for work in listed(connection, phases=(Phase.RUNNING,), limit=10_000)}
        connection.commit()
    for number in sorted({*begun, *to_show} - running):
        applied = showing.show(office, number)
        if applied is None:
            done.left.append(f"work order {number}: not shown at its issue yet")
            continue
        done.effects_done += len(applied.done)
        done.shown += number in to_show
        if applied.failed is not None:
            done.left.append(f"work order {number}: GitHub refused {applied.failed}: {applied.reason}")
    return done
