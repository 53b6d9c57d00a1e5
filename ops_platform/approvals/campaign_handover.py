"""Approved campaigns on their way into the campaign tool: each draft made once, whatever is killed.

Belongs here: the rows of `ops.campaign_handovers`, carrying them out, telling what came of it. Does not belong here:
what is approved (`campaigns.py`), the tool's protocol (`resources/klaviyo/drafts.py`, behind `Drafter`).

A row appears with the note that the campaign was approved and done, and never without an approval (a trigger holds
that). Everything made for it has its mark in its name, so a hand-over that died half-way is found and gone on with.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.approvals import store
from ops_platform.approvals.campaign_draft import CampaignDraft, Recipient
from ops_platform.approvals.message import tell
from ops_platform.approvals.model import Event, Person
from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure, OpsError, TransientFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from ops_platform.approvals.campaign_draft import Drafter, MadeDraft
    from ops_platform.approvals.inbox import Inbox
    from ops_platform.approvals.model import Approval

log = logging.getLogger(__name__)
_MACHINE = Person("machine", "the machine", "hand-over")
_LOCK = 4172018150
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
NOBODY = "what we make"  # recommended where a reader has nothing of their own


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What came of one draft: made, failed or to be tried later, and a sentence."""

    approval_id: int
    part: str
    state: str
    words: str


def put_up(connection: psycopg.Connection[Any], approval: Approval, today: date, now: datetime) -> int:
    """Put the drafts of an approved campaign up for hand-over, in the caller's transaction; how many there are.
    `today` is the company's day."""
    from psycopg.types.json import Jsonb

    payload = approval.payload
    # Another installation's request of the same number is another campaign, in an account that both may use.
    row = connection.execute("select left(replace(id::text, '-', ''), 6) from ops.installation").fetchone()
    assert row is not None
    installation = row[0]
    for group in payload["groups"]:
        mark = f"ops-{installation}-{approval.id}-{approval.payload_hash[:6]}-{group['reason']}"
        row = connection.execute(
            """insert into ops.campaign_handovers (approval_id, payload_hash, part, mark, draft, created_at, updated_at)
               values (%s, %s, %s, %s, %s, %s, %s) returning id""",
            (
                approval.id, approval.payload_hash, group["reason"], mark,
                Jsonb({"title": payload["title"], "offer": payload["offer"], "group": group}), now, now,
            ),
        ).fetchone()  # fmt: skip
        assert row is not None
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into ops.campaign_recipients (handover_id, customer, reason, arm, approved_on)"
                " values (%s, %s, %s, %s, %s)",
                [(row[0], str(one["customer"]), group["reason"], one.get("arm"), today) for one in group["recipients"]],
            )
    return len(payload["groups"])


def hand_over(
    connect: Callable[[], psycopg.Connection[Any]], drafter: Drafter | None, inbox: Inbox, now: datetime
) -> list[HandedOver]:
    """Make every draft that is due and that no other process is making. What fails for now is tried again later, with
    growing waits; what is refused is told in the thread and waits for a person (`retry`)."""
    found = []
    with connect() as connection:
        rows = connection.execute(
            "select id from ops.campaign_handovers where state = 'pending' and (not_before is null or not_before <= %s)"
            " order by id",
            (now,),
        ).fetchall()
        connection.commit()
        for (number,) in rows:
            if not _locked(connection, number):
                continue
            try:
                done = _hand_over_one(connection, drafter, inbox, number, now)
            finally:
                connection.rollback()
                connection.execute("select pg_advisory_unlock(%s, %s)", (_LOCK % 2**31, number))
                connection.commit()
            if done is not None:
                found.append(done)
    return found


def due(connection: psycopg.Connection[Any], now: datetime) -> bool:
    """Whether a draft waits to be made now."""
    row = connection.execute(
        "select exists (select from ops.campaign_handovers where state = 'pending'"
        " and (not_before is null or not_before <= %s))",
        (now,),
    ).fetchone()
    return bool(row and row[0])


def retry(connection: psycopg.Connection[Any], number: int, now: datetime) -> int:
    """Have the refused drafts of request `number` tried again; how many there are."""
    return connection.execute(
        "update ops.campaign_handovers set state = 'pending', error = null, not_before = null, updated_at = %s"
        " where approval_id = %s and state = 'failed'",
        (now, number),
    ).rowcount


def standing(connection: psycopg.Connection[Any], number: int) -> list[tuple[str, str, int, str]]:
    """(part, state, attempts, what came of it or what is wrong) of the drafts of a request."""
    rows = connection.execute(
        "select part, state, attempts, coalesce(result ->> 'name', error, '') from ops.campaign_handovers"
        " where approval_id = %s order by id",
        (number,),
    )
    return list(rows.fetchall())


def _locked(connection: psycopg.Connection[Any], number: int) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s, %s)", (_LOCK % 2**31, number)).fetchone()
    connection.commit()
    return bool(row and row[0])


def _hand_over_one(
    connection: psycopg.Connection[Any], drafter: Drafter | None, inbox: Inbox, number: int, now: datetime
) -> HandedOver | None:
    row = connection.execute(
        "select approval_id, part, mark, draft, attempts from ops.campaign_handovers"
        " where id = %s and state = 'pending'",
        (number,),
    ).fetchone()
    connection.commit()
    if row is None:  # somebody else made it between the look and the lock
        return None
    approval_id, part, mark, kept, attempts = row
    failpoint("handover.taken")
    try:
        if drafter is None:
            raise DataFailure("no campaign tool is connected: set KLAVIYO_DRAFTS_API_KEY, then try it again")
        made = drafter.make(draft_of(mark, kept))
    except TransientFailure as error:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts, 10))
        connection.execute(
            "update ops.campaign_handovers set attempts = attempts + 1, not_before = %s, error = %s, updated_at = %s"
            " where id = %s",
            (now + wait, str(error)[:500], now, number),
        )
        connection.commit()
        log.warning("the draft %s of request #%s is made later: %s", part, approval_id, error)
        return HandedOver(approval_id, part, "pending", f"{error}; tried again later")
    except OpsError as error:
        words = f"The draft for {part.replace('_', ' ')} was not made: {error}"
        _settle(connection, inbox, number, approval_id, part, "failed", None, words, now, attempts)
        return HandedOver(approval_id, part, "failed", words)
    failpoint("handover.made")
    words = told(made, part)
    _settle(connection, inbox, number, approval_id, part, "made", made, words, now, attempts)
    failpoint("handover.noted")
    return HandedOver(approval_id, part, "made", words)


def _settle(
    connection: psycopg.Connection[Any],
    inbox: Inbox,
    number: int,
    approval_id: int,
    part: str,
    state: str,
    made: MadeDraft | None,
    words: str,
    now: datetime,
    attempts: int,
) -> None:
    """Note what came of it and tell it in the request's thread, in one transaction."""
    from psycopg.types.json import Jsonb

    result = None
    if made is not None:
        result = Jsonb(
            {"campaign": made.campaign, "name": made.name, "status": made.status, "audience": made.audience,
             "reached": made.reached, "unknown": list(made.unknown)}
        )  # fmt: skip
    with connection.transaction():
        connection.execute(
            "update ops.campaign_handovers set state = %s, result = %s, error = %s, attempts = attempts + 1,"
            " not_before = null, updated_at = %s where id = %s",
            (state, result, None if made is not None else words[:500], now, number),
        )
        approval = store.load(connection, approval_id, lock=True)
        key = f"handover:{number}:{state}:{attempts}"
        written = store.add_event(connection, approval, Event.COMMENTED, _MACHINE, words=words, key=key, now=now)
        store.touch(connection, approval_id, now)
        tell(connection, inbox, approval, written, Event.COMMENTED, _MACHINE, words)
    connection.commit()


def told(made: MadeDraft, part: str) -> str:
    """What came of it, in a sentence for the thread."""
    people = "1 customer" if made.reached == 1 else f"{made.reached:,} customers"
    words = f"In Klaviyo as {made.status.lower()}: {made.name}, for {people}. Nothing is sent: a person sends it there."
    if made.unknown:
        words += f" Klaviyo does not know {len(made.unknown):,} of them; they are left out."
    return words


# What goes over -----------------------------------------------------------------------------------------------


def draft_of(mark: str, kept: Mapping[str, Any]) -> CampaignDraft:
    """The draft as it goes to the campaign tool: text and HTML of the approved words, a reader's products in place."""
    group, offer = kept["group"], kept["offer"]
    recipients = tuple(
        Recipient(
            str(one["customer"]), str(one["order"]), datetime.fromisoformat(one["ordered_at"]).astimezone(UTC),
            {"products": _and(one["products"])},
        )
        for one in group["recipients"]
    )  # fmt: skip
    paragraphs = [part.replace("{code}", offer["code"]) for part in group["body"].split("\n\n")]
    text = "\n\n".join(paragraphs).replace("{products}", "{{value:products}}")
    rows = "".join(
        f'<p style="margin:0 0 16px;">{html.escape(part, quote=False)}</p>'.replace("{products}", "{{value:products}}")
        for part in paragraphs
    )
    body = (
        '<!doctype html><html lang="en"><body style="margin:0;padding:24px;font-family:Arial,sans-serif;font-size:16px;'
        f'line-height:1.5;color:#1b1f24;"><div style="max-width:560px;margin:0 auto;">{rows}</div></body></html>'
    )
    return CampaignDraft(
        mark=mark, name=f"{kept['title']}: {group['label']}", subject=group["subject"], preview=group["preview"],
        html=body, text=text, recipients=recipients,
    )  # fmt: skip


def _and(names: Sequence[str]) -> str:
    if not names:
        return NOBODY
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
