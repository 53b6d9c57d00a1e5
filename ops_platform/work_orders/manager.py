"""The manager's word on answers to P0 and P1: asked for by the inbox, and what follows it.

Belongs here: putting an answer up for decision, and taking a decision over to the order. Does not belong here: deciding
(`ops_platform.approvals`), what is shown of an answer (`approvals/work_orders.py`), closing issues (`showing.py`).

Nobody but a person approves. A no sends the order back with the person's words; where nobody decides in time it is
escalated, and the answer is put up once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops_platform.approvals import store as requests
from ops_platform.approvals import work_orders as subject
from ops_platform.approvals.model import Event, State
from ops_platform.failures import DataFailure
from ops_platform.work_orders import answers, effects, ledger, oversight, store, tickets
from ops_platform.work_orders.agents import find
from ops_platform.work_orders.model import Manager, Phase
from ops_platform.work_orders.rows import orders

if TYPE_CHECKING:
    import psycopg

    from ops_platform.approvals.model import Approval
    from ops_platform.work_orders.answers import KeptAnswer
    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.office import Office

AUTHOR = "job:work_orders"
ASKED_MOST = 2


def subject_of(work: WorkOrder) -> str:
    """What a request about this order is about: its round of its issue."""
    return f"{work.name}:{work.round}"


def ask(
    connection: psycopg.Connection[Any], office: Office, work: WorkOrder, kept: KeptAnswer, *, asked: int = 1
) -> Approval | None:
    """Put the answer up for decision, in the caller's transaction; None where that cannot be done now, which the next
    turn makes good."""
    now = office.now()
    payload = subject.payload(
        work=work.id, attempt=kept.attempt, repository=work.repository, number=work.number, title=work.title or "-",
        priority=str(work.priority), agent=work.agent, body_hash=work.body_hash, answer=kept.body, asked=asked,
        effects=kept.held,
    )  # fmt: skip
    manager = work.approver or office.policy.manager
    approver = manager if asked == 1 else (office.policy.manager_deputy or manager)
    try:
        with connection.transaction():
            return office.inbox.request(
                connection, kind=subject.KIND, subject=subject_of(work), payload=payload, author=AUTHOR,
                title=f"{work.priority} {work.name}: {work.title}"[:200],
                channel_key=office.inbox.policy.rule(subject.KIND).channel,
                due_at=now + office.policy.priorities[work.priority].decide_within, now=now,
                assignee=approver if approver in office.inbox.policy.people else None,
            )  # fmt: skip
    except DataFailure as problem:
        office.log(f"{work.name}: its answer is put up for decision later: {problem}")
        return None


def settle(connection: psycopg.Connection[Any], office: Office) -> list[WorkOrder]:
    """Take decisions over to the orders they are about; the orders that moved. Commits nothing."""
    moved = []
    for work in orders(connection, "phase = 'answered'", tail="order by priority, answered_at, id limit 200"):
        after = _settle(connection, office, work)
        if after is not None:
            moved.append(after)
    return moved


def _settle(connection: psycopg.Connection[Any], office: Office, work: WorkOrder) -> WorkOrder | None:
    request = requests.newest_on(connection, subject.KIND, subject_of(work))
    kept = answers.newest(connection, work.id)
    if kept is None:
        return None  # restored from its issue alone: a person decides by `ops work`
    if request is None or request.payload.get("attempt") != kept.attempt:
        ask(connection, office, work, kept)
        return None
    now = office.now()
    by, words = _said(connection, request)
    if work.manager is Manager.APPROVED:
        if not _pushed(connection, office, work, kept):
            return None  # the turn does what is staged now, and comes back to it
        done = store.approve(connection, work.id, by or "approvals", words, at=now)
        oversight.ended(connection, office, done)
        return done
    if request.state is State.REJECTED:
        note = words or "the manager wants it otherwise"
        answers.supersede(connection, work.id)
        again = store.revise(connection, work.id, by or "approvals", note, policy=office.policy, at=now)
        key = f"revision:{work.id}:{work.attempt}"
        words = f"{by or 'The manager'} wants the answer otherwise: {note}"
        oversight.tell(connection, office, again, step="needs_revision", key=key, words=words)
        return again
    if request.state is State.EXPIRED:
        return _escalated(connection, office, work, request, kept)
    if request.state is State.FAILED:
        words = f"The yes to the answer could not be carried out; `ops approval retry {request.id}` tries it again."
        key = f"undone:{work.id}:{request.id}"
        oversight.tell(connection, office, work, step="undone", key=key, words=words, channel="alerts", level="alert")
    return None


def _pushed(connection: psycopg.Connection[Any], office: Office, work: WorkOrder, kept: KeptAnswer) -> bool:
    """Whether what waited for the yes is done at GitHub; staged here where it is not. What is refused there is a
    revision: an order is not done while it is not."""
    if not kept.held:
        return True
    wanted = [effects.StagedEffect(each["kind"], each["name"], each["payload"]) for each in kept.held]
    states = {row.name: row for row in ledger.of_order(connection, work.id)}
    known = [states.get(each.name) for each in wanted]
    if all(row is not None and row.state == "done" for row in known):
        return True
    refused = next((row for row in known if row is not None and row.state in ("refused", "not_done")), None)
    if refused is not None:
        answers.supersede(connection, work.id)
        note = f"{refused.name} was refused: {refused.error}"
        store.revise(connection, work.id, "platform", note, policy=office.policy, at=office.now())
        key = f"refused:{work.id}:{kept.attempt}"
        oversight.tell(connection, office, work, step="refused", key=key, words=note, level="alert")
        return False
    if any(row is None for row in known):
        allowed = effects.within(find(work.agent).effects, office.policy.caps)
        effects.stage(connection, work, wanted, allowed, staged_by=work.agent)
    return False


def _escalated(
    connection: psycopg.Connection[Any], office: Office, work: WorkOrder, request: Approval, kept: KeptAnswer
) -> WorkOrder | None:
    asked = int(request.payload["asked"])
    if asked < ASKED_MOST:
        ask(connection, office, work, kept, asked=asked + 1)
    if work.manager is Manager.ESCALATED:
        return None
    words = f"Nobody decided about the answer to a {work.priority} in time."
    after = store.escalate(connection, work.id, words, at=office.now())
    deputy = office.policy.manager_deputy or office.policy.manager
    oversight.tell(
        connection, office, after, step="undecided", key=f"undecided:{work.id}:{kept.attempt}", words=words,
        recipient=deputy, channel="alerts", level="alert",
    )  # fmt: skip
    tickets.open_ticket(
        connection, after, key=f"undecided:{work.id}:{kept.attempt}", impact=words,
        assignees=[office.policy.manager, deputy],
        deadline=office.now() + office.policy.priorities[work.priority].ticket_within, now=office.now(),
    )  # fmt: skip
    return after


def waiting(connection: psycopg.Connection[Any], work: WorkOrder) -> Approval:
    """The request about this order that can be decided. Raises `DataFailure` where there is none."""
    request = requests.newest_on(connection, subject.KIND, subject_of(work))
    if work.phase is not Phase.ANSWERED or request is None or request.state is not State.DRAFT:
        raise DataFailure(f"{work.name} is {work.phase}: nothing about it waits for a decision")
    return request


def _said(connection: psycopg.Connection[Any], request: Approval) -> tuple[str, str]:
    """Who decided, and with which words; empty where nobody did."""
    for entry in reversed(requests.entries(connection, request.id)):
        if entry.event in (Event.APPROVED, Event.REJECTED):
            return entry.actor, entry.words
    return "", ""
