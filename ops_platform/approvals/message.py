"""What people see of a request in a channel: its message with buttons, its thread, its later states.

Belongs here: the words of that message and of its thread, putting them in the outbox, showing where it stands. Does not
belong here: what a payload is (`subjects.py`), Slack's limits (`documents.slack`), posting (`ops_platform.delivery`).

The message shows what will be done, by when it is to be decided, and the fingerprint of exactly the payload that its
buttons are about. When that payload is replaced, so are the buttons; those of before are refused.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ops_platform.approvals import store
from ops_platform.approvals.model import JOB, Event, State, short
from ops_platform.documents.claims import moment_text
from ops_platform.documents.model import (
    Actions,
    Block,
    Button,
    Document,
    Footer,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    StatusLine,
    StatusLines,
    Title,
    rich,
)
from ops_platform.evidence.model import Period
from ops_platform.failures import PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID
    from zoneinfo import ZoneInfo

    import psycopg

    from ops_platform.approvals.model import Approval, Entry, Person
    from ops_platform.approvals.subjects import Registry, Shown
    from ops_platform.documents.model import RichText
    from ops_platform.documents.model import State as Sign
    from ops_platform.fleet.approval_policy import ApprovalPolicy

log = logging.getLogger(__name__)

KIND = "approval"
APPROVE, REJECT, ASK = "approval_approve", "approval_reject", "approval_ask"
#: The field in which a word can be written before a button is pressed.
FIELD = "approval_words"
FIELD_MOST = 2000
REPLIES_SHOWN = 3
_VERBS = {
    Event.REVISED: "made version",
    Event.COMMENTED: "says about version",
    Event.ASKED: "asks about version",
    Event.APPROVED: "approved version",
    Event.REJECTED: "rejected version",
    Event.EXPIRED: "refused version",
    Event.SENT: "Done, once, with version",
    Event.FAILED: "Could not be done with version",
    Event.ASSIGNED: "assigned version",
    Event.MOVED: "moved the due date of version",
    Event.ATTACHED: "attached a file to version",
}
_HEADS: dict[State, tuple[str, str]] = {
    State.DRAFT: ("🖊", "For decision"),
    State.APPROVED: ("✅", "Approved"),
    State.SENT: ("✅", "Approved and done"),
    State.REJECTED: ("🚫", "Rejected"),
    State.EXPIRED: ("⌛", "Not decided in time: refused"),
    State.FAILED: ("⚠️", "Approved, and not done"),
}
_TOLD: dict[Event, tuple[Sign, str]] = {
    Event.ASKED: ("attention", "Question"),
    Event.COMMENTED: ("info", "Said"),
    Event.APPROVED: ("ok", "Approved"),
    Event.REJECTED: ("attention", "Rejected"),
    Event.EXPIRED: ("attention", "Expired"),
    Event.SENT: ("ok", "Done"),
    Event.FAILED: ("attention", "Failed"),
}


class Desk(Protocol):
    """What a message needs to know of where people are asked (`inbox.Inbox` is one)."""

    @property
    def subjects(self) -> Registry: ...
    @property
    def zone(self) -> ZoneInfo: ...
    @property
    def channel_of(self) -> Callable[[str], str] | None: ...
    @property
    def policy(self) -> ApprovalPolicy: ...


class Updater(Protocol):
    """A vendor at which a posted message can be changed (`ops_platform.alerts.editions.Updater`)."""

    def update(self, channel: str, external_id: str, payload: Mapping[str, Any], *, outbox_id: UUID) -> None: ...


# The message ------------------------------------------------------------------------------------------------


def document_of(connection: psycopg.Connection[Any], inbox: Desk, approval: Approval) -> Document:
    """The request as it stands: the same document for a channel and for a terminal."""
    shown = inbox.subjects.of(approval.kind).shown(connection, approval.payload)
    said = store.entries(connection, approval.id)
    sign, head = _HEADS[approval.state]
    if approval.state is State.REJECTED and _taken_back(approval, said):
        sign, head = "☑️", "Taken back"
    title = rich(f"{sign} {head}: ", Quoted(approval.title))
    due = moment_text(approval.due_at, inbox.zone, approval.created_at)
    figures = [KeyFigure("Approving", rich(shown.effect))]
    if approval.state is State.DRAFT:
        figures.append(KeyFigure("Decide by", rich(due), (rich("after that it counts as refused"),)))
    if approval.assignee is not None:
        figures.append(KeyFigure("Assigned to", rich(Quoted(inbox.policy.name_of(approval.assignee)))))
    beside = store.attachments(connection, approval.id)
    if beside:
        names = ", ".join(f"{one.name} ({_size(one.size)})" for one in beside)
        read = rich(f"to read them: ops inbox file {approval.id} NAME")
        figures.append(KeyFigure("Files", rich(Quoted(names)), (read,)))
    blocks: list[Block] = [Title(title), KeyFigures(tuple(figures))]
    lines = _lines(said)
    if lines:
        blocks.append(StatusLines(lines))
    if approval.state is State.DRAFT:
        blocks.append(_buttons(approval, shown))
    exactly = rich(f"Request #{approval.id} · version {approval.version} · fingerprint {short(approval.payload_hash)}")
    by = rich("asked for by ", _by(approval.author))
    if approval.made_by != approval.author:
        by = rich(by, " · this version by ", _by(approval.made_by))
    how = f"ops approval show {approval.id}"
    edit = f" · change its words: ops approval edit {approval.id}" if shown.editable and _is_draft(approval) else ""
    blocks += [Footer((rich(exactly, " · ", by), rich(f"at a terminal: {how}{edit}"))), *shown.blocks]
    day = approval.created_at.astimezone(inbox.zone).date()
    return Document(
        kind=KIND, period=Period(day, day, ""), as_of=approval.created_at, summary=rich(title),
        blocks=tuple(blocks), claims=(), evidence="", writer="rules",
    )  # fmt: skip


def _taken_back(approval: Approval, said: list[Entry]) -> bool:
    """Whether who asked refused it: it is settled, and nobody has to decide any more."""
    return any(entry.event is Event.REJECTED and entry.actor == approval.author for entry in said)


def _is_draft(approval: Approval) -> bool:
    return approval.state is State.DRAFT


def _by(maker: str) -> RichText:
    return rich(f"the job {maker.removeprefix(JOB)}") if maker.startswith(JOB) else rich(Quoted(maker))


def _lines(said: list[Entry]) -> tuple[StatusLine, ...]:
    """What was said last, shortly; the thread has all of it."""
    told = [entry for entry in said if entry.event in _TOLD]
    lines = []
    for entry in told[-REPLIES_SHOWN:]:
        sign, label = _TOLD[entry.event]
        words = entry.words if len(entry.words) <= 150 else entry.words[:149] + "…"
        by = rich("by ", Quoted(entry.actor_name)) if entry.event not in (Event.SENT, Event.FAILED) else ()
        between = ": " if by and words else ""
        lines.append(StatusLine(sign, label, rich(by, between, Quoted(" ".join(words.split())) if words else "")))
    return tuple(lines)


def _size(size: int) -> str:
    return f"{max(size // 1024, 1):,} kB" if size < 1024 * 1024 else f"{size / 1024 / 1024:.1f} MB"


def _buttons(approval: Approval, shown: Shown) -> Actions:
    number, exactly = approval.id, f"version {approval.version} ({short(approval.payload_hash)})"
    return Actions(
        # The whole fingerprint: a press says which payload its presser was shown.
        f"{KIND}:{number}:{approval.version}:{approval.payload_hash}",
        (
            Button(
                APPROVE, shown.yes, style="primary", ask=f"This {shown.effect}: exactly {exactly}, once.",
                command=f"ops approval approve {number} --shown {short(approval.payload_hash)}",
            ),
            Button(
                REJECT, shown.no, style="danger", ask=f"Nothing is done with {exactly}, for good.",
                command=f"ops approval reject {number} --shown {short(approval.payload_hash)}",
            ),
            Button(ASK, "Ask", command=f'ops approval ask {number} "…"'),
        ),
    )  # fmt: skip


def payloads(document: Document) -> list[dict[str, Any]]:
    """The document as messages of the channel; where it has buttons, with a field for a word above them."""
    from ops_platform.documents import slack

    made = [message.payload() for message in slack.render(document)]
    for payload in made:
        blocks = payload.get("blocks", [])
        for place, block in enumerate(blocks):
            if block["type"] == "actions" and block["block_id"].startswith(f"{KIND}:"):
                blocks.insert(place, _field(block["block_id"]))
                break
    return made


def _field(beside: str) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": f"{beside}:words",
        "optional": True,
        "label": {"type": "plain_text", "text": "A word with it (to ask or to reject)", "emoji": False},
        "element": {
            "type": "plain_text_input", "action_id": FIELD, "multiline": True, "max_length": FIELD_MOST,
        },
    }  # fmt: skip


def open_thread(connection: psycopg.Connection[Any], inbox: Desk, approval: Approval) -> None:
    """Put the request's message in the outbox, in the caller's transaction; without a channel there is none."""
    from ops_platform.delivery.outbox import enqueue

    if inbox.channel_of is None or approval.channel_key is None:
        return
    first, *rest = payloads(document_of(connection, inbox, approval))
    common: dict[str, Any] = {
        "kind": KIND, "period": None, "channel_key": approval.channel_key,
        "channel": inbox.channel_of(approval.channel_key),
    }  # fmt: skip
    row = enqueue(connection, payload=first, dedupe_key=f"{KIND}:{approval.id}", **common)
    for number, payload in enumerate(rest, 1):
        enqueue(
            connection, payload=payload, dedupe_key=f"{KIND}:{approval.id}:part:{number}", thread_of=row.id, **common
        )
    store.set_message(connection, approval.id, row.id)


# The thread -------------------------------------------------------------------------------------------------


def tell(
    connection: psycopg.Connection[Any],
    inbox: Desk,
    approval: Approval,
    entry_id: int,
    event: Event,
    person: Person,
    words: str,
) -> None:
    """One line in the request's thread, in the caller's transaction: who said or did what, about which version."""
    from ops_platform.delivery.outbox import enqueue, find_row

    root = find_row(connection, approval.outbox_id) if approval.outbox_id is not None else None
    if root is None:
        return
    exactly = f" {approval.version} ({short(approval.payload_hash)})"
    verb = "took back version" if event is Event.REJECTED and person.id == approval.author else _VERBS[event]
    lead = (
        rich(f"{verb}{exactly}.")
        if event in (Event.SENT, Event.FAILED)
        else rich(bold_quoted(person.name), f" {verb}{exactly}.")
    )
    blocks: list[Block] = [Paragraph(lead)]
    if words:
        own = event in (Event.SENT, Event.FAILED, Event.EXPIRED, Event.REVISED)
        blocks.append(Paragraph(rich(Quoted(words))) if own else Quote(words))
    day = approval.created_at.astimezone(inbox.zone).date()
    document = Document(
        kind=KIND, period=Period(day, day, ""), as_of=approval.created_at, summary=lead, blocks=tuple(blocks),
        claims=(), evidence="", writer="rules",
    )  # fmt: skip
    for number, payload in enumerate(payloads(document)):
        enqueue(
            connection, kind=KIND, period=None, channel_key=root.channel_key, channel=root.channel, payload=payload,
            dedupe_key=f"{KIND}:{approval.id}:said:{entry_id}:{number}", thread_of=root.id,
        )  # fmt: skip


def bold_quoted(name: str) -> Quoted:
    """A person's name: written by a person, so it is quoted."""
    return Quoted(name, bold=True)


# Where it stands --------------------------------------------------------------------------------------------


def show_standing(
    connect: Callable[[], psycopg.Connection[Any]],
    updater: Updater,
    inbox: Desk,
    *,
    approval_id: int | None = None,
) -> int:
    """Bring the messages of requests up to date at the vendor; how many were changed. Trying again is harmless; what
    cannot be shown now is shown at the next turn."""
    changed = 0
    with connect() as connection:
        for message in store.unshown(connection, approval_id):
            approval = store.load(connection, message.approval_id)
            payload = payloads(document_of(connection, inbox, approval))[0]
            connection.commit()
            digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
            error = None
            if digest != (message.shown_hash or message.posted_hash):
                try:
                    updater.update(message.channel, message.external_id, payload, outbox_id=message.outbox_id)
                    changed += 1
                except TransientFailure as problem:
                    log.warning("request #%s is shown later: %s", approval.id, problem)
                    continue
                except PermanentFailure as problem:
                    log.warning("the message of request #%s cannot be changed: %s", approval.id, problem)
                    error = str(problem)
            store.note_shown(connection, approval.id, message.changes, digest, error)
            connection.commit()
    return changed
