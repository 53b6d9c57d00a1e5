"""An order's state shown at its issue: labels, one card, closing.

Belongs here: what GitHub is told of a state, and that it was told. Does not belong here: states (`store.py`), the
answer (`processing.py`), doing effects (`ledger.py`).

The card is one comment a round, brought up to date with every change. Its hidden part has the order's record: what
recovery reads when there is nothing but the issues. A state that changes twice before it was shown is shown once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.failures import PermanentFailure, TransientFailure
from ops_platform.work_orders import answers, effects, ledger, store
from ops_platform.work_orders.model import MANAGER_LABELS, STATUS_LABELS, Manager, Phase, is_state_label
from ops_platform.work_orders.sla import in_words

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.ledger import Applied
    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.office import Office

BY = "coordinator"
MOST = 50
_WORDS = {
    Phase.RECEIVED: "held", Phase.QUEUED: "in the queue", Phase.RUNNING: "being worked on",
    Phase.ANSWERED: "answered, waits for the manager", Phase.DONE: "done", Phase.BLOCKED: "blocked: a person is needed",
    Phase.WITHDRAWN: "withdrawn", Phase.FAILED: "given up: a person is needed",
}  # fmt: skip
_TIMES = {
    "received": "received_at", "clock": "clock_from", "queued": "queued_at", "started": "started_at",
    "answered": "answered_at", "ended": "ended_at", "due": "due_at", "labelled": "labelled_at",
}  # fmt: skip


def state_of(work: WorkOrder) -> str:
    """As `ops.work_state_shown` has it."""
    return f"{work.phase}|{work.manager}" + ("" if work.paused_since is None else "|paused")


def to_show(connection: psycopg.Connection[Any], limit: int = MOST) -> list[int]:
    """Orders whose state is another than GitHub was told; those at work show their own."""
    rows = connection.execute(
        """select id from ops.work_orders
           where shown_state <> ops.work_state_shown(phase, manager, paused_since) and phase <> 'running'
           order by priority, id limit %s""",
        (limit,),
    )
    return [int(row[0]) for row in rows]


def stage_state(connection: psycopg.Connection[Any], office: Office, work: WorkOrder) -> bool:
    """Stage what shows the state as it is, in the caller's transaction; False where it was told already."""
    row = connection.execute(
        """select orders.shown_state, issues.state, issues.labels from ops.work_orders as orders
           left join ops.work_issues as issues using (repository, number) where orders.id = %s for update of orders""",
        (work.id,),
    ).fetchone()
    if row is None or row[0] == state_of(work):
        return False
    if work.phase in (Phase.WITHDRAWN, Phase.RECEIVED):
        answers.supersede(connection, work.id)
    shown, gone, present = str(row[0]), row[1] in ("deleted", "transferred"), list(row[2] or ())
    connection.execute("update ops.work_orders set shown_state = %s where id = %s", (state_of(work), work.id))
    if gone:
        return False
    staged: list[effects.StagedEffect] = []
    wanted = set(work.state_labels)
    off = (_labels_of(shown) | {label for label in present if is_state_label(label)}) - wanted
    rows = ledger.of_order(connection, work.id)
    if wanted - _labels_of(shown) or off:
        staged.append(effects.labels(_name(rows, "labels"), add=sorted(wanted), remove=sorted(off)))
    if _has_card(work, rows):
        staged.append(_card(connection, office, work, rows))
    if work.phase is Phase.DONE:
        staged.append(effects.close("close"))
    if staged:
        effects.stage(connection, work, staged, effects.COORDINATOR, staged_by=BY)
    return True


def show(office: Office, work_id: int) -> Applied | None:
    """Show an order's state, and do whatever of it was left undone. None where there is nothing to do, or where it
    cannot be done now: the next turn tries again."""
    if office.github is None:
        return None
    with office.connect() as connection:
        stage_state(connection, office, store.load(connection, work_id))
        connection.commit()
        try:
            return effects.apply(connection, work_id, office.github, settle=office.settle)
        except (TransientFailure, PermanentFailure) as problem:
            office.log(f"work order {work_id} is shown later: {problem}")
            return None


def _labels_of(shown: str) -> set[str]:
    phase, _, rest = shown.partition("|")
    if not phase:
        return set()
    found = (STATUS_LABELS[Phase(phase)], MANAGER_LABELS[Manager(rest.partition("|")[0] or "none")])
    return {label for label in found if label is not None}


def _name(rows: list[ledger.Effect], base: str) -> str:
    """The next name of its kind; one that was not begun is replaced."""
    own = [row for row in rows if row.name.partition(":")[0] == base and row.state != "refused"]
    if own and own[-1].state == "staged":
        return own[-1].name
    return f"{base}:{len(own) + 1}"


# The card ---------------------------------------------------------------------------------------------------


def _has_card(work: WorkOrder, rows: list[ledger.Effect]) -> bool:
    if work.phase is Phase.WITHDRAWN or (work.phase is Phase.QUEUED and work.paused_since is None and not work.attempt):
        return any(row.name == "card" and row.state == "done" for row in rows)
    return True


def _card(
    connection: psycopg.Connection[Any], office: Office, work: WorkOrder, rows: list[ledger.Effect]
) -> effects.StagedEffect:
    body, meta = card_text(office, work), record_of(connection, work)
    own = [row for row in rows if row.name == "card" and row.state != "refused"]
    if not own or own[-1].state in ("staged", "not_done"):
        return effects.comment("card", body, meta=meta)
    return effects.comment(_name(rows, "cards"), body, meta=meta, replaces="card")


def card_text(office: Office, work: WorkOrder) -> str:
    """The card's visible part. Every figure is the order's own."""

    def local(moment: datetime) -> str:
        return f"{moment.astimezone(office.zone):%a %d %b %Y %H:%M %Z}"

    lines = [("State", f"**{_WORDS[work.phase]}**"), ("Agent", work.agent), ("Priority", str(work.priority))]
    if work.paused_since is not None:
        lines.append(("Clock", f"stands still since {local(work.paused_since)}"))
    elif work.due_at is not None and work.answered_at is None and work.phase not in (Phase.WITHDRAWN, Phase.FAILED):
        lines.append(("Due", local(work.due_at)))
    if work.attempt:
        lines.append(("Attempt", str(work.attempt)))
    if work.started_at is not None and work.phase is Phase.RUNNING:
        lines.append(("Taken up", local(work.started_at)))
    if work.answered_at is not None and work.due_at is not None:
        late = work.answered_at - work.due_at
        kept = f"late by {in_words(late)}" if late.total_seconds() > 0 else "in time"
        lines.append(("Answered", f"{local(work.answered_at)}, {kept}"))
        if work.started_at is not None and work.answered_at >= work.started_at:
            lines.append(("Took", f"{(work.answered_at - work.started_at).total_seconds():.1f} s"))
        lines.append(("Cost", f"{work.tokens:,} tokens, USD {work.cost:.4f}" if work.tokens else "none: by rules"))
    if work.manager is not Manager.NONE:
        lines.append(("Manager", str(work.manager).replace("_", " ")))
    why = work.held_reason or (work.reason if work.phase in (Phase.BLOCKED, Phase.FAILED) else None)
    if why:
        lines.append(("Why", " ".join(why.split())[:400].replace("|", "/")))
    table = "\n".join(f"| {name} | {value} |" for name, value in lines)
    return f"| Work order | {work.id} |\n|---|---|\n{table}"


def record_of(connection: psycopg.Connection[Any], work: WorkOrder) -> dict[str, str | int | bool | None]:
    """The order's record as the card carries it: flat, short, moments as microseconds since 1970."""
    pauses = connection.execute(
        "select paused_at, resumed_at from ops.work_clock where work_id = %s order by paused_at desc limit 5",
        (work.id,),
    ).fetchall()
    spans = ",".join(f"{_micros(begun)}-{'' if ended is None else _micros(ended)}" for begun, ended in reversed(pauses))
    made: dict[str, str | int | bool | None] = {
        "round": work.round, "attempt": work.attempt, "agent": work.agent, "priority": str(work.priority),
        "state": state_of(work), "hash": work.body_hash, "by": work.labelled_by, "tokens": work.tokens,
        "cost": str(work.cost), "pauses": spans, "sla": f"{work.sla_minutes}/{work.calendar}",
        "why": (work.reason or work.held_reason or "")[:180],
    }  # fmt: skip
    for short, name in _TIMES.items():
        moment: datetime | None = getattr(work, name)
        made[short] = None if moment is None else _micros(moment)
    return made


def _micros(moment: datetime) -> int:
    from datetime import UTC, timedelta

    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
